"""Answers that are awaited: whether one is owed, and calls that return one."""

import asyncio
from collections.abc import Awaitable, Callable

from voicecli.conversation.delivery import Audience
from voicecli.conversation.floor_driver import FloorDriver
from voicecli.conversation.floor_events import AnswerRead, Stop
from voicecli.conversation.response import Answer
from voicecli.conversation.tool_calls import ToolCalls
from voicecli.errors import RealtimeError

__all__ = ["Answers"]


class Answers:
    """Waits for answers, and collects them one after the other.

    Args:
        check_open: raises RealtimeError when the conversation is over.
        timeout_s: how long nothing may come while an answer is expected, in seconds, as the floor holds it.
    """

    def __init__(
        self,
        driver: FloorDriver,
        audience: Audience,
        calls: ToolCalls,
        check_open: Callable[[], None],
        timeout_s: float,
    ) -> None:
        self._driver = driver
        self._audience = audience
        self._calls = calls
        self._check_open = check_open
        self._timeout_s = timeout_s
        self._lock = asyncio.Lock()

    @property
    def owed(self) -> bool:
        """Whether a turn has ended whose answer is not complete, words included, or a reply is being made."""
        driver = self._driver
        return driver.floor.awaits_reply(driver.now) or len(self._calls) > 0 or driver.holds_words

    async def wait(self) -> None:
        """Return when none is owed.

        Raises:
            RealtimeError: nothing happened for so long, or the conversation is over.
        """
        driver = self._driver
        gave_up = driver.gave_up
        driver.waiting += 1
        try:
            while self.owed and driver.gave_up == gave_up:
                self._check_open()
                driver.happened.clear()
                await driver.happened.wait()  # the floor's deadlines end it, and those of tools and words
        finally:
            driver.waiting -= 1
        if driver.gave_up != gave_up:
            raise RealtimeError(
                f"No answer came within {self._timeout_s:g} s.",
                advice="Was there speech in the audio? Otherwise raise response_timeout_s.",
            )

    async def collect(self, say: Callable[[], Awaitable[None]]) -> Answer:
        """The answer to what `say` says, when it is complete; cancelled, it stops the answer. Raises as `wait` does."""
        async with self._lock:
            answer = self._audience.collect()
            try:
                await say()
                await self.wait()
            except BaseException:
                # Nobody waits for this answer: it is not to be taken for the next one's.
                await self._driver.apply(Stop(is_heard=False))
                raise
            finally:
                self._audience.answer = None
                self._driver.take(AnswerRead())
            return answer
