"""Recordings of sessions: written while they go on, read, and replayed through today's codecs.

`format` is what stands in one; `recorder` writes it, with `recorded_codec` around the codec, or `recorded_connection`
around a connection that has none; `recording` reads it; `replaying` drives a codec by it; `contents` says what it
holds.

May know the vocabulary and `ports` only.
"""

__all__: list[str] = []
