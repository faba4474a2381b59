"""Sleep between the conversations of the live command: the wake word is listened for, and nothing is connected."""

import asyncio
from collections.abc import Callable

from voicecli.audio.wake.wake_word import WakeWord
from voicecli.cli.live_input import LiveInput
from voicecli.cli.wakefulness import Wakefulness
from voicecli.conversation.duplex import Observer
from voicecli.events import Asleep, Awake, Event

__all__ = ["Sleeper"]


class Sleeper:
    """Sleeps until it is woken, and tells when the conversation then is to end. An observer of that conversation.

    Args:
        input_: the user's side; what wakes stays in it.
        tell: is told Asleep and Awake.
        fall_asleep: ends the conversation, which was idle for `sleep_after_s` seconds.
    """

    def __init__(
        self,
        wake_word: WakeWord,
        sleep_after_s: float,
        input_: LiveInput,
        *,
        tell: Observer,
        fall_asleep: Callable[[], None],
    ) -> None:
        self._wake_word = wake_word
        self._input = input_
        self._tell = tell
        self._fall_asleep = fall_asleep
        self._wakefulness = Wakefulness(sleep_after_s)
        self._timer: asyncio.TimerHandle | None = None

    async def sleep(self) -> bool:
        """Sleep until the wake word is said or `wake` is called; False when the microphone is closed instead."""
        self._wakefulness.sleep()
        self._set_timer()
        self._tell(Asleep(self._wake_word.phrase))
        if self._wakefulness.talking:  # the key came down while the conversation was ending
            self._input.wake()
        by = await self._input.listen_for(self._wake_word)
        if by is None:
            return False
        self._wakefulness.wake(asyncio.get_running_loop().time())
        self._tell(Awake(by))
        return True

    def wake(self) -> None:
        """Wake up where the recording is now. Without effect when it is awake."""
        if self._wakefulness.asleep:
            self._input.wake()

    def talk(self, talking: bool) -> None:
        """The talk key holds the user's turn open, which also wakes, or not any more."""
        self._wakefulness.talk(talking, asyncio.get_running_loop().time())
        self._set_timer()
        if talking:
            self.wake()

    def __call__(self, event: Event) -> None:
        self._wakefulness.apply(event, asyncio.get_running_loop().time())
        self._set_timer()

    def close(self) -> None:
        """Stop the clock; idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set_timer(self) -> None:
        self.close()
        if (sleep_at := self._wakefulness.sleep_at) is not None:
            self._timer = asyncio.get_running_loop().call_at(sleep_at, self._fall_asleep)
