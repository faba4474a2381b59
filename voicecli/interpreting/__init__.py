"""Sessions of interpreters: audio in, its translation out, without turns. It may know sound, and what it shares with
conversations: limits, logs, and iterations over events."""

__all__: list[str] = []
