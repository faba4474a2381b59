"""Near-end speech, told from what is left of an echo after cancellation. Pure: no clock, no device."""

from collections import deque

from voicecli.audio.echo.framing import ECHO_TAIL_MS, FRAME_MS, HOLD_MS
from voicecli.audio.pcm import SILENCE_DBFS, level

__all__ = ["NearEndDetector"]

# Softer than this, what is left during a reply is residual echo.
_LEAST_DBFS = -45.0
# What is left is compared with the loudest that was captured within the time an echo takes. In ordinary rooms a residue
# is 40 dB below that; in a hard one (RT60 0.6 s and more, direct sound 9 dB below the reverberation) up to 10 dB, and
# always somewhere else. So its usual height is learnt: what 3 in 200 frames exceed. A voice must be 10 dB above it; one
# that is as loud as the echo is 9 dB below the loudest or above that, soon after it begins (simulated).
_MARGIN_DB = 10.0
_HIGHEST_DB = -9.0
_LOWEST_DB = -30.0
_RISE_DB, _FALL_DB = 1.0, 0.015
# A canceller that has not settled lets single frames through; a voice is three of five, if no more. Of 30 replies that
# begin with it in a hard room (simulated) this leaves 3 voices where nobody spoke, of 8. Afterwards it would gain
# nothing, and notice a voice 20 to 40 ms later.
_UNSETTLED_FRAMES, _UNSETTLED_OF = 3, 5
# A voice leaves more, and so does an echo at another place; noise suppression alone takes 12 dB out.
_CANCELLED_DB = -25.0


class NearEndDetector:
    """Decides for each frame of 10 ms, while an echo may be captured, whether the user is heard in it.

    Attributes:
        cancels: whether hardly anything was left of what was captured lately, which was loud.
    """

    def __init__(self) -> None:
        self.cancels = False
        self._captured = deque[float](maxlen=ECHO_TAIL_MS // FRAME_MS)  # levels, in dBFS
        self._peak = SILENCE_DBFS  # of these
        self._residue_db = _HIGHEST_DB - _MARGIN_DB  # the usual height of the residue, to the loudest captured
        self._loud = deque[bool](maxlen=_UNSETTLED_OF)
        self._hold_ms = 0

    def process(self, residual: bytes, captured: bytes, *, settled: bool = True) -> bool:
        """Take what was captured and what is left of it, PCM16 mono; whether that is near-end speech, or was lately.

        Args:
            settled: whether the canceller knows the room; before that a single frame is no voice.
        """
        loudest = self._loudest(level(captured))
        left = level(residual)
        height_db = left - loudest
        self.cancels = height_db <= _CANCELLED_DB and loudest > _LEAST_DBFS
        is_loud = height_db > self._residue_db + _MARGIN_DB and left > _LEAST_DBFS
        self._loud.append(is_loud)
        if is_loud and sum(self._loud) >= (1 if settled else _UNSETTLED_FRAMES):
            self._hold_ms = HOLD_MS
            return True
        if self._hold_ms:
            self._hold_ms -= FRAME_MS
        if not self._hold_ms and loudest > _LEAST_DBFS:
            if height_db > self._residue_db:
                self._residue_db = min(self._residue_db + _RISE_DB, _HIGHEST_DB - _MARGIN_DB)
            else:
                self._residue_db = max(self._residue_db - _FALL_DB, _LOWEST_DB - _MARGIN_DB)
        return self._hold_ms > 0

    def _loudest(self, latest: float) -> float:
        """The level of the loudest frame that was captured within the time that an echo takes."""
        leaving = self._captured[0] if len(self._captured) == self._captured.maxlen else SILENCE_DBFS
        self._captured.append(latest)
        if latest >= self._peak:
            self._peak = latest
        elif leaving >= self._peak:
            self._peak = max(self._captured)
        return self._peak

    def pause(self) -> None:
        """No echo can be captured for now: what was captured until now says nothing of the next."""
        self._captured.clear()
        self._peak = SILENCE_DBFS
        self._loud.clear()
        self._hold_ms = 0
