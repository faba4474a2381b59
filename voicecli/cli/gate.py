"""The user's side of a live conversation, in the order in which it happened: sound, and what keys mean."""

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable

from voicecli.audio.devices.microphone import Microphone

__all__ = ["Deed", "VoiceGate"]

Deed = Callable[[], Awaitable[None]]

# What was said just before the talk key came down belongs to the turn.
_PRE_ROLL_MS = 300


class VoiceGate:
    """The microphone, as far as it is to be sent: an AudioSource, to be iterated once.

    What is asked of it takes effect where the recording was when it was asked, however late the recording is read: a
    provider may take seconds to answer, and what was said and done meanwhile is sent and done then.

    Args:
        is_open: whether it lets sound through at first.
    """

    realtime = True

    def __init__(self, microphone: Microphone, *, is_open: bool) -> None:
        self._microphone = microphone
        self._is_open = is_open
        self._pre_roll: deque[bytes] = deque()
        self._kept = 0
        self._deeds: deque[Deed] = deque()  # one for each mark in the recording

    @property
    def sample_rate(self) -> int:
        return self._microphone.sample_rate

    def open(self) -> None:
        """Let through what is recorded from now on, and the 300 ms before."""
        self.do(self._open)

    def close(self) -> None:
        """Let nothing more through."""
        self.do(self._close)

    def do(self, deed: Deed) -> None:
        """Have this done when everything before it is sent. It must not raise."""
        self._deeds.append(deed)
        self._microphone.mark()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        most = self.sample_rate * _PRE_ROLL_MS // 1000 * 2
        async for chunk in self._microphone:
            if not chunk:
                await self._deeds.popleft()()
                continue
            self._pre_roll.append(chunk)
            self._kept += len(chunk)
            if self._is_open:
                yield b"".join(self._pre_roll)
                self._pre_roll.clear()
                self._kept = 0
            while self._kept > most:
                self._kept -= len(self._pre_roll.popleft())

    async def aclose(self) -> None:
        await self._microphone.aclose()

    async def _open(self) -> None:
        self._is_open = True

    async def _close(self) -> None:
        self._is_open = False
