"""Playout of replies: the jitter buffer, and the delay it begins with. Knows `audio.ports` and the vocabulary."""

__all__: list[str] = []
