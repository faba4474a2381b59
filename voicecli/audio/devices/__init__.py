"""Microphone and loudspeaker, through PortAudio. Knows the rest of `audio` and the errors."""

__all__: list[str] = []
