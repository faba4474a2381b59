"""Scripts for a loopback GPT-Live, and the ways in which it may be loose."""

from dataclasses import dataclass

import numpy as np

__all__ = ["Call", "LiveReply", "Loose", "Work", "tone"]


def tone(ms: int, rate: int = 24_000, *, level: int = 8_000) -> bytes:
    """Something loud enough to be speech: a square wave of 200 Hz."""
    half = rate // 400
    period = np.array([level] * half + [-level] * half, dtype="<i2")
    return bytes(np.resize(period, ms * rate // 1000).tobytes())


@dataclass(frozen=True, kw_only=True)
class Call:
    """A call of a tool by the backend."""

    name: str
    arguments: str = "{}"
    call_id: str = ""


@dataclass(frozen=True, kw_only=True)
class Work:
    """What the backend does for a reply.

    Attributes:
        calls: in one response; the results are waited for.
        then: further calls, in a response of their own.
        fails: "response.failed", "response.incomplete", or "handoff": an error that names no task.
        takes_ms: on the session's clock, for each response.
    """

    calls: tuple[Call, ...] = ()
    then: tuple[Call, ...] = ()
    fails: str = ""
    takes_ms: int = 200


@dataclass(frozen=True, kw_only=True)
class LiveReply:
    """The next thing that the model says.

    Attributes:
        text: a word takes 200 ms.
        pause_ms: in the middle of it.
        after_ms: after what it answers, on the session's clock.
        first: said before the backend works.
        work: that it hands over before it says the text; None for none.
        moderated_ms: after so much of its sound it is stopped by an error; 0 for never.
        ignores_stop: whether it speaks on though it is told to stop.
    """

    text: str = "Hello there, how are you?"
    pause_ms: int = 0
    after_ms: int = 600
    first: str = ""
    work: Work | None = None
    moderated_ms: int = 0
    ignores_stop: bool = False


@dataclass(frozen=True, kw_only=True)
class Loose:
    """Ways in which a server differs from what is documented.

    Attributes:
        null_codes: the code and param of errors are null.
        unknown: events and fields that nobody knows, also before the start.
        shuffled: fragments come out of order.
        repeated: events come twice.
        rewinds_ms: where the clock of the transcripts begins anew; 0 for never.
        tells_twice: each delegation is told twice, and each call.
        never_closed: a `session.close` is answered by nothing.
        start_ms: how long the start takes, in ms of real time.
        refuses: the code of the error that answers the start.
        quota_ms: where on the session's clock the credit is used up; 0 for never.
        odd_bytes: sound comes in pieces that cut samples.
        lag_ms: how long after its sound a word is told.
        dither: of the silence.
        tick: the level of a noise at the beginning.
    """

    null_codes: bool = False
    unknown: bool = False
    shuffled: bool = False
    repeated: bool = False
    rewinds_ms: int = 0
    tells_twice: bool = False
    never_closed: bool = False
    start_ms: int = 0
    refuses: str = ""
    quota_ms: int = 0
    odd_bytes: bool = False
    lag_ms: int = 1_800
    dither: int = 0
    tick: int = 0
