"""The user's side of a live conversation in its order: the microphone's sound, and the actions of keys."""

import contextlib
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Literal

from voicecli.audio.devices.microphone import Microphone
from voicecli.audio.wake.wake_word import WakeWord

__all__ = ["Action", "LiveInput"]

Action = Callable[[], Awaitable[None]]

# What was said just before the talk key came down belongs to the turn.
_PRE_ROLL_MS = 300


class LiveInput:
    """The microphone's sound, as far as it is to be sent, with actions between: an AudioSource.

    It is iterated by one conversation after the other; between them `listen_for` reads it.

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
        self._woken = False
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

    def wake(self) -> None:
        """Have `listen_for` return when everything recorded before has been read."""
        self.do(self._wake)

    async def listen_for(self, wake_word: WakeWord) -> Literal["word", "key"] | None:
        """Read until the wake word is said, or `wake` is called; nothing is let through meanwhile.

        The utterance that wakes is let through first when the next conversation reads on.

        Returns:
            What woke it; None when the microphone is closed instead.
        """
        self._woken = False
        wake_word.reset()
        async with contextlib.aclosing(aiter(self._microphone)) as chunks:
            async for chunk in chunks:
                if not chunk:
                    await self._actions.popleft()()
                    if self._woken:
                        return "key"
                    continue
                self._keep(chunk)
                self._trim()
                if (said := await wake_word.process(chunk)) is not None:
                    self._pre_roll.clear()
                    self._pre_roll_size = 0
                    self._keep(said)
                    return "word"
        return None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async with contextlib.aclosing(aiter(self._microphone)) as chunks:
            async for chunk in chunks:
                if not chunk:
                    await self._actions.popleft()()
                    continue
                self._keep(chunk)
                if self._is_open:
                    yield b"".join(self._pre_roll)
                    self._pre_roll.clear()
                    self._pre_roll_size = 0
                self._trim()

    async def aclose(self) -> None:
        await self._microphone.aclose()

    def _keep(self, sound: bytes) -> None:
        self._pre_roll.append(sound)
        self._pre_roll_size += len(sound)

    def _trim(self) -> None:
        longest = self.sample_rate * _PRE_ROLL_MS // 1000 * 2
        while self._pre_roll_size > longest:
            self._pre_roll_size -= len(self._pre_roll.popleft())

    async def _wake(self) -> None:
        self._woken = True

    async def _open(self) -> None:
        self._is_open = True

    async def _close(self) -> None:
        self._is_open = False
