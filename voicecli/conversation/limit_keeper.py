"""Keeps a conversation to its limits, by the event loop's clock, and ends it when one is reached."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from voicecli.conversation.floor_driver import FloorDriver
from voicecli.conversation.limits import Limits, Spent
from voicecli.errors import LimitReachedError, RealtimeError
from voicecli.events import Event, Notice, ResponseDone, ResponseStarted, StateChanged

__all__ = ["LimitKeeper"]


class LimitKeeper:
    """Looks at the limits whenever something happens that counts, and when time alone reaches one.

    Once one is reached, no more input is taken. What was asked for before is answered and heard, the results of tools
    that were called for it included; then the conversation ends.

    Args:
        awaits_reply: whether an answer is owed, or being made.
        clear_audio: forgets the user's turn under way.
        end: ends the conversation.
        quiet_s: how long nothing may happen while an answer is owed, in seconds.

    Attributes:
        late_response: whether the response under way began when the limit had been reached: no tool is run for it, as
            another response would follow.
        told: whether the program knows of the limit that was reached, or has the answer that it waited for.
    """

    def __init__(
        self,
        limits: Limits,
        driver: FloorDriver,
        *,
        awaits_reply: Callable[[], bool],
        clear_audio: Callable[[], Awaitable[None]],
        end: Callable[[], Awaitable[None]],
        quiet_s: float,
    ) -> None:
        self.late_response = False
        self.told = False
        self._calls_left_out = False
        self._limits = limits
        self._driver = driver
        self._awaits_reply = awaits_reply
        self._clear_audio = clear_audio
        self._end = end
        self._quiet_s = quiet_s
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._ending: asyncio.Task[None] | None = None
        self._final: Spent | None = None
        self._closed = False

    @property
    def reached(self) -> LimitReachedError | None:
        """The error for the limit that was reached, or None."""
        return self._limits.reached

    @property
    def spent(self) -> Spent:
        """What counts towards the limits by now, or did when the conversation ended."""
        return self._final or self._limits.spent(self._driver.now)

    def begin(self) -> None:
        """Tell what the user should know at the beginning."""
        if (notice := self._limits.notice) is not None:
            self._driver.tell(notice)

    def check(self) -> None:
        """Raise LimitReachedError when no more input is taken; once the conversation is over that is told otherwise."""
        if self.reached is not None and not self._driver.over:
            self.told = True
            raise self.reached

    def event(self, event: Event) -> None:
        """Take an event into account that is about to be told."""
        match event:
            case ResponseStarted():
                self.late_response = self.reached is not None
            case ResponseDone(awaits_tools=True) if self.late_response:
                self._calls_left_out = True
        self._limits.event(event, self._driver.usage, self._driver.now)
        if self._limits:
            self._look()

    def finish(self) -> None:
        """The conversation is over."""
        self._final = self.spent
        self._stop_timer()

    async def aclose(self) -> None:
        """Stop; idempotent. What is told from now on counts, and reaches no limit."""
        self._closed = True
        self._stop_timer()
        if self._ending is not None and self._ending is not asyncio.current_task():
            self._ending.cancel()
            await asyncio.wait([self._ending])

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        if self.reached is not None or self._driver.over or self._closed:
            return
        self._stop_timer()
        now = self._driver.now
        warnings = self._limits.check(now)
        if self.reached is not None:
            self.told = False
            self._ending = asyncio.create_task(self._wind_down(), name="voicecli-limit")
            return
        for warning in warnings:
            self._loop.call_soon(self._driver.tell, warning)  # after the event that is about to be told
        if (deadline := self._limits.next_deadline(now)) is not None:
            # A loop runs a timer up to its clock's resolution early.
            self._timer = self._loop.call_at(deadline + 0.001, self._look)

    @property
    def _state(self) -> StateChanged:
        return self._driver.floor.state(self._driver.now)

    @property
    def _is_owed(self) -> bool:
        """Whether something that was asked for is not complete, or not heard."""
        if self.reached is not None and self.reached.limit == "idle_minutes":
            return False  # at most a question that nobody answers
        return self._state.assistant == "speaking" or (self._awaits_reply() and not self._calls_left_out)

    async def _wind_down(self) -> None:
        """Let come, and be heard, what is owed; then end the conversation."""
        driver, reached = self._driver, self.reached
        if reached is not None and self._is_owed:
            finishing = "What is under way is finished, and nothing more is sent."
            driver.tell(Notice("limit_reached", f"{reached.message} {finishing}"))
        with contextlib.suppress(RealtimeError, TimeoutError):
            if self._state.user == "speaking":  # this turn will not be answered, and holds up no reply
                await self._clear_audio()
            while self._is_owed and not driver.over:
                driver.happened.clear()
                async with asyncio.timeout(None if self._state.assistant == "speaking" else self._quiet_s):
                    await driver.happened.wait()
            if driver.player is not None:
                driver.player.resume()  # nobody speaks into it
                async with asyncio.timeout(self._quiet_s):
                    await driver.player.drain()
        await self._end()
