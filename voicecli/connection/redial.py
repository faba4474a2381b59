"""Decides when a lost connection is dialled again, and when it is given up."""

import random
from collections.abc import Callable

from voicecli.config import Reconnect
from voicecli.connection.dial import UNREACHABLE
from voicecli.connection.liveness import STALLED
from voicecli.errors import RealtimeConnectionError
from voicecli.events import Reconnecting

__all__ = ["RedialPolicy"]

_FIRST_DIALS = 3
_MAX_STALLS = 2
# A connection that lasted so long, or brought a whole reply, was worth dialling: the attempts count from 1 again.
_HEALTHY_AFTER_S = 10.0
# A longer Retry-After is for the user to wait out.
_MAX_RETRY_AFTER_S = 60.0


class RedialPolicy:
    """Counts attempts, and decides on the next one.

    Args:
        reconnect: the user's settings.
        clock: in seconds.
    """

    def __init__(self, reconnect: Reconnect, clock: Callable[[], float]) -> None:
        self._reconnect = reconnect
        self._clock = clock
        self._ready_at = clock()
        self._attempt = 0
        self._stalls = 0

    def ready(self) -> None:
        """A socket is there on which the provider is ready."""
        self._ready_at = self._clock()

    def answered(self) -> None:
        """The provider has given a whole reply."""
        self._attempt = self._stalls = 0

    def replaced(self) -> None:
        """A socket is replaced whose time is up."""
        self._attempt = 0

    def lost(self, error: RealtimeConnectionError) -> None:
        """A socket on which the provider was ready is lost. One on which it was mute may be dialled again once."""
        if self._clock() - self._ready_at >= _HEALTHY_AFTER_S:
            self._attempt = 0
        if error.code == STALLED:
            self._stalls += 1
            error.retryable = self._stalls < _MAX_STALLS

    def next(self, error: RealtimeConnectionError) -> Reconnecting:
        """The next attempt, and how long to wait before it.

        Args:
            error: why the last attempt failed, or the connection was lost.

        Raises:
            RealtimeConnectionError: there is none.
        """
        attempts = self._reconnect.attempts
        if not error.retryable or (error.retry_after_s or 0.0) > _MAX_RETRY_AFTER_S or not attempts:
            raise error
        if self._attempt >= attempts:
            raise RealtimeConnectionError(
                f"The connection is lost, and {attempts} attempts to make it again failed. {error.message}",
                advice=error.advice,
                code=error.code,
                close_code=error.close_code,
            )
        self._attempt += 1
        return Reconnecting(self._attempt, self._delay(self._attempt, error), error.message, attempts)

    def delay_of_first_dial(self, dialled: int, error: RealtimeConnectionError, left_s: float) -> float:
        """The delay before the first connection is tried again, in seconds.

        Args:
            dialled: how often it was tried.
            error: why that failed.
            left_s: of the time in which it must succeed, in seconds.

        Raises:
            RealtimeConnectionError: it is not tried again. Only trouble that the provider itself calls temporary is a
                reason to: one that cannot be reached at all most often means that a setting is wrong.
        """
        delay = self._delay(dialled, error)
        if not error.retryable or error.code == UNREACHABLE or dialled >= _FIRST_DIALS or delay >= left_s:
            raise error
        return delay

    def _delay(self, attempt: int, error: RealtimeConnectionError) -> float:
        backoff = min(self._reconnect.first_delay_s * 2.0 ** (attempt - 1), self._reconnect.max_delay_s)
        # The jitter keeps a thousand clients of a restarted server from coming back at the same instant.
        return max(backoff * random.uniform(0.5, 1.0), error.retry_after_s or 0.0)
