"""A conversation under way: its turns, its replies, who speaks, and what the program hears of it.

May know the vocabulary, `ports` and `audio`; never a provider, a socket or a terminal.
"""

__all__: list[str] = []
