"""Echo control: keeps the model from hearing itself on open loudspeakers. Knows `audio.pcm` and the vocabulary."""

__all__: list[str] = []
