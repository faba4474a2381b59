"""Reads what comes from the provider until the conversation ends; and its end, of which everybody is told once."""

import asyncio
import logging

from voicecli.conversation.consent import Consent
from voicecli.conversation.delivery import Audience
from voicecli.conversation.floor_driver import FloorDriver
from voicecli.conversation.limit_keeper import LimitKeeper
from voicecli.errors import LimitReachedError, RealtimeConnectionError, RealtimeError
from voicecli.events import ApprovalRequest, Reconnecting, SessionEnded
from voicecli.ports import Connection

__all__ = ["Reader"]

_log = logging.getLogger(__name__)
_STOP_TIMEOUT_S = 2.0  # for what the connection still has to tell when it is closed


class Reader:
    """Hands each event to the floor, and questions of the provider's to the user."""

    def __init__(
        self, connection: Connection, driver: FloorDriver, audience: Audience, consent: Consent, limits: LimitKeeper
    ) -> None:
        self._connection = connection
        self._driver = driver
        self._audience = audience
        self._consent = consent
        self._limits = limits
        self._task: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None  # of the connection
        self._end = SessionEnded("closed")

    async def start(self) -> None:
        """Begin, and return when the first event has come; called once."""
        self._task = asyncio.create_task(self._read(), name="voicecli-session")
        await self._driver.happened.wait()

    async def aclose(self) -> None:
        """Stop, when all was read that was still to come; the connection is closed. Idempotent."""
        if self._task is not None:
            await asyncio.wait([self._task], timeout=_STOP_TIMEOUT_S)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self.finish()

    def finish(self, failure: RealtimeError | None = None) -> None:
        """The conversation is over: nothing is told after this. Idempotent."""
        if self._driver.over:
            return
        self._consent.close()
        self._driver.finish()
        self._limits.finish()
        failure = failure or self._limits.reached
        if failure is not None:
            self._end = SessionEnded(failure.message, getattr(failure, "close_code", None))
        self._audience.end(self._end, failure)
        self._driver.happened.set()

    async def end(self) -> None:
        """End the conversation from here; what the provider tells at the end of it is told, and counts."""
        await self.close_connection()
        await self.aclose()

    async def close_connection(self) -> None:
        """Close it once, whoever else does meanwhile: called twice, it would break off its goodbye. Idempotent."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._connection.aclose(), name="voicecli-goodbye")
        await asyncio.shield(self._closing)

    def check_open(self) -> None:
        """Raise what ended the conversation, if it is over."""
        if not self._driver.over:
            return
        if self._audience.failure is not None:
            self._audience.failure_told = True
            raise self._audience.failure
        why = self._end.reason.rstrip(".")
        raise RealtimeConnectionError(f"The conversation is over: {why}.", advice="Connect again.")

    def raise_untold_failure(self) -> None:
        """Raise the failure that ended the conversation if nobody has been told of it."""
        if isinstance(self._audience.failure, LimitReachedError) and self._limits.told:
            return
        if self._audience.failure is not None and not self._audience.failure_told:
            self._audience.failure_told = True
            raise self._audience.failure

    async def _read(self) -> None:
        failure: RealtimeError | None = None
        try:
            async for event in self._connection:
                if isinstance(event, SessionEnded):
                    self._end = event  # told by `finish`, after everything else
                elif isinstance(event, ApprovalRequest):
                    await self._consent.provider_asks(event)
                elif commands := self._driver.take(event):
                    await self._driver.send(commands)
                if isinstance(event, Reconnecting):
                    self._consent.line_lost()
        except RealtimeError as error:
            failure = error
        except Exception as error:
            _log.exception("A defect in voicecli ended the conversation")
            failure = RealtimeError(f"The conversation ended by a defect: {type(error).__name__}: {error}")
            failure.__cause__ = error
        self.finish(failure)
