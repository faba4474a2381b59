"""Transcription: sound in, captions out, with the times of what was said. It may know audio."""

__all__: list[str] = []
