"""Settings that outlast a command: the file with its profiles, the environment, and the keys of providers.

Knows the vocabulary only: which providers there are, and which options the command has besides, it is told.
"""

__all__: list[str] = []
