"""When a reply starts to play, and how its gaps are bridged. Knows the errors and `audio.ports`."""

__all__: list[str] = []
