"""Sound files and pipes as source and sink of a conversation. Knows `audio.pcm`, `audio.ports`,
what keeps C libraries quiet, and the vocabulary."""

__all__: list[str] = []
