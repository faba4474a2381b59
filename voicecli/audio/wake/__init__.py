"""Wake words: what is listened for while a conversation sleeps. It knows audio and the vocabulary."""

__all__: list[str] = []
