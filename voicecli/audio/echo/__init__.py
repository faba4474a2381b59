"""Keeps the model from hearing itself on open loudspeakers. Knows `audio.pcm` and the errors."""

__all__: list[str] = []
