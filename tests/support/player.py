"""A loudspeaker for tests of what stands before it."""

from voicecli.audio import Playhead

__all__ = ["Player"]


class Player:
    """A loudspeaker that is where the test says, and notes what it is told."""

    sample_rate = 24_000

    def __init__(self, playhead: Playhead | None = None) -> None:
        self.playhead = playhead
        self.told: list[str] = []

    def write(self, audio: bytes, item_id: str) -> None: ...
    def end(self) -> None: ...
    def clear(self) -> Playhead | None:
        self.told.append("clear")
        playhead, self.playhead = self.playhead, None
        return playhead

    def pause(self) -> None:
        self.told.append("pause")

    def resume(self) -> None:
        self.told.append("resume")

    async def drain(self) -> None: ...
    async def aclose(self) -> None: ...
