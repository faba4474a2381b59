"""Whether a socket is still worth having: dead lines, mute models, and sockets whose time is up."""

import asyncio
import logging
from collections.abc import Callable

from websockets.exceptions import ConnectionClosed

from voicecli.connection.socket import Socket
from voicecli.errors import RealtimeConnectionError
from voicecli.ports import Codec

__all__ = ["STALLED", "Liveness"]

STALLED = "response_timeout"
"""The code of the error that says that an answer is owed and does not come."""

_TICK_S = 1.0
_PING_INTERVAL_S = 20.0
# Three pings without an answer. A single late pong means a busy program or a busy line, not a dead one.
_DEAD_AFTER_S = 60.0
_STUCK_AFTER_S = 20.0
# A wall clock that moved this much more than the loop's: the computer slept.
_SLEPT_S = 5.0
_PROBE_TIMEOUT_S = 3.0
# OpenAI's 60 minutes end in the last five of them at a quiet moment; Gemini announces its end 50 s before.
_ROLL_OVER_WINDOW_S = 300.0
_ROLL_OVER_RESERVE_S = 10.0
# Where less is left by the wall clock, that clock is wrong: nobody begins a session that ends at once.
_LEAST_LEFT_S = 30.0

_log = logging.getLogger("voicecli")


class Liveness:
    """Watches one socket.

    Args:
        response_timeout_s: how long no message may come while the codec awaits a reply, in seconds; the time does not
            run while the sound that came of the reply would still be playing.
        wall_clock: seconds that pass while the computer sleeps, too.

    Attributes:
        socket: the one watched.
    """

    def __init__(
        self, socket: Socket, codec: Codec, response_timeout_s: float, wall_clock: Callable[[], float]
    ) -> None:
        self.socket = socket
        self._codec = codec
        self._response_timeout_s = response_timeout_s
        self._wall_clock = wall_clock
        self._time = asyncio.get_running_loop().time
        self._message_at = self._time()
        self._plays_until = self._message_at
        self._writing_since: float | None = None
        self._expires_at: float | None = None
        self._reserve_s = 0.0

    def message_came(self) -> None:
        self._message_at = self._time()

    def sounded(self, duration_s: float) -> None:
        """Sound of a reply came, so long in seconds."""
        self._plays_until = max(self._plays_until, self._time()) + duration_s

    def silenced(self) -> None:
        """The reply that sounded is over, or was cut."""
        self._plays_until = self._time()

    def writing(self) -> None:
        """A message is handed to the network."""
        self._writing_since = self._time()

    def written(self) -> None:
        """The network took it."""
        self._writing_since = None

    def expires(self, left_s: float, at: float | None = None) -> None:
        """The provider will close the socket in `left_s` seconds, or at that time, in seconds since 1970."""
        if at is not None and _LEAST_LEFT_S <= (left_by_clock := at - self._wall_clock()) < left_s:
            left_s = left_by_clock
        self._expires_at = self._time() + left_s
        self._reserve_s = min(_ROLL_OVER_RESERVE_S, left_s / 4)

    async def watch(self) -> RealtimeConnectionError | None:
        """Return when the socket should be replaced: why, or None when nothing is wrong but its time is up."""
        pinged_at = owed_since = self._time()
        wall = self._wall_clock()
        while True:
            await asyncio.sleep(_TICK_S)
            now, before, wall = self._time(), wall, self._wall_clock()
            if wall - before > _TICK_S + _SLEPT_S and not await self._answers():
                return _dead("it did not survive the computer's sleep")
            if why := self._is_dead(now):
                return _dead(why)
            if not self._codec.awaiting_reply:
                owed_since = now
            elif now - max(owed_since, self._message_at, self._plays_until) > self._response_timeout_s:
                return _stalled(self._response_timeout_s)
            if self._is_time_to_roll_over(now):
                return None
            if now - pinged_at >= _PING_INTERVAL_S:
                pinged_at = now
                await self._ping()

    def _is_dead(self, now: float) -> str:
        silence = now - self.socket.heard_at
        if silence > _DEAD_AFTER_S:
            return f"nothing was heard for {_DEAD_AFTER_S:g} s"
        if self._writing_since is not None and min(silence, now - self._writing_since) > _STUCK_AFTER_S:
            return f"nothing could be sent for {_STUCK_AFTER_S:g} s"
        return ""

    def _is_time_to_roll_over(self, now: float) -> bool:
        if self._expires_at is None:
            return False
        left = self._expires_at - now
        return left <= self._reserve_s or (left <= _ROLL_OVER_WINDOW_S and not self._codec.busy)

    async def _answers(self) -> bool:
        try:
            async with asyncio.timeout(_PROBE_TIMEOUT_S):
                await (await self.socket.ping())
        except (TimeoutError, ConnectionClosed):
            return False
        return True

    async def _ping(self) -> None:
        try:
            # It is written at once, but with a full send buffer ping() then waits.
            async with asyncio.timeout(_TICK_S):
                await self.socket.ping()
        except (TimeoutError, ConnectionClosed):
            _log.debug("A ping could not be sent.")


def _dead(why: str) -> RealtimeConnectionError:
    return RealtimeConnectionError(f"The connection is dead: {why}.", advice="Check the network.", retryable=True)


def _stalled(timeout_s: float) -> RealtimeConnectionError:
    return RealtimeConnectionError(
        f"The model owes an answer, but nothing came for {timeout_s:g} s.",
        advice="Try again later, or with another model.",
        code=STALLED,
        retryable=True,
    )
