"""Transcription: sound in, captions out, with the times of what was said.

It may know audio, and of conversation the limits.
"""

__all__: list[str] = []
