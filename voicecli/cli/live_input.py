"""The user's side of a live conversation in its order: the microphone's sound, and the actions of keys."""

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable

from voicecli.audio.devices.microphone import Microphone

__all__ = ["Action", "LiveInput"]

Action = Callable[[], Awaitable[None]]

# What was said just before the talk key came down belongs to the turn.
_PRE_ROLL_MS = 300


class LiveInput:
    """The microphone's sound, as far as it is to be sent, with actions between: an AudioSource, to be iterated once.

    An action takes effect where the recording was when it was asked for, however late the recording is read: a
    provider may take seconds to answer, and what was said and done meanwhile is sent and done then.

    Args:
        microphone: records; its marks are the places of the actions.
        is_open: whether sound is let through at first.
    """

    realtime = True

    def __init__(self, microphone: Microphone, *, is_open: bool) -> None:
        self._microphone = microphone
        self._is_open = is_open
        self._pre_roll: deque[bytes] = deque()
        self._pre_roll_size = 0  # in bytes
        self._actions: deque[Action] = deque()  # one for each mark in the recording

    @property
    def sample_rate(self) -> int:
        return self._microphone.sample_rate

    def open(self) -> None:
        """Let through what is recorded from now on, and the 300 ms before."""
        self.do(self._open)

    def close(self) -> None:
        """Let nothing more through."""
        self.do(self._close)

    def do(self, action: Action) -> None:
        """Run the action when everything recorded before it has been read. It must not raise."""
        self._actions.append(action)
        self._microphone.mark()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        longest = self.sample_rate * _PRE_ROLL_MS // 1000 * 2
        async for chunk in self._microphone:
            if not chunk:
                await self._actions.popleft()()
                continue
            self._pre_roll.append(chunk)
            self._pre_roll_size += len(chunk)
            if self._is_open:
                yield b"".join(self._pre_roll)
                self._pre_roll.clear()
                self._pre_roll_size = 0
            while self._pre_roll_size > longest:
                self._pre_roll_size -= len(self._pre_roll.popleft())

    async def aclose(self) -> None:
        await self._microphone.aclose()

    async def _open(self) -> None:
        self._is_open = True

    async def _close(self) -> None:
        self._is_open = False
