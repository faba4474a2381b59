"""A conversation under way: its turns, its replies, who speaks, and what the program hears of it.

`session` is the API; `floor` decides who speaks and who is owed an answer, with its table in `floor_table`, and
`floor_driver` carries out what it decides; `user_audio` makes turns of the user's sound; `tool_calls` runs tools;
`transcript_order` puts the user's words before the reply's; `delivery` and `handlers` hand events to the program;
`duplex` joins a session to microphone and loudspeaker.

May know the vocabulary, `ports` and `audio`; never a provider, a socket or a terminal.
"""

__all__: list[str] = []
