"""Sounds to measure hearing with: rooms, speech, noise and levels, all made here and the same each time.

Samples are float32 mono, shape (n,), full scale is 1. What takes long to make is kept in the system's temporary folder.
"""

__all__: list[str] = []
