"""What devices tell, and waiting for it in virtual time."""

import asyncio
from collections.abc import Callable

from voicecli.audio.ports import AudioSource

__all__ = ["Notices", "listen", "until"]


class Notices:
    """Keeps what a device tells."""

    def __init__(self) -> None:
        self.codes: list[str] = []
        self.messages: list[str] = []

    def __call__(self, code: str, message: str) -> None:
        assert message.endswith((".", "?"))
        self.codes.append(code)
        self.messages.append(message)


async def until(condition: Callable[[], bool], timeout_s: float = 60.0) -> float:
    """Wait until the condition holds; the time in seconds: counted, so that a slow machine is not late."""
    looks = 0
    while not condition():
        assert looks < timeout_s * 20
        await asyncio.sleep(0.05)
        looks += 1
    return looks / 20


async def listen(source: AudioSource) -> bytes:
    """All that the source yields until it is closed."""
    return b"".join([chunk async for chunk in source])
