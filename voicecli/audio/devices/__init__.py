"""Microphone and loudspeaker, through PortAudio. Knows the rest of `audio` and the vocabulary."""

__all__: list[str] = []
