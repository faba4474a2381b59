"""Audio as fast as it is spoken, for providers whose clock only the user's audio moves."""

import asyncio
import math
from collections.abc import Iterator
from dataclasses import replace

from voicecli.commands import AppendAudio
from voicecli.pcm16 import PcmFormat

__all__ = ["PAUSE_S", "Pacer", "pieces"]

PAUSE_S = 0.25
"""How long nothing may come of the program's audio before silence takes its place, in seconds: so late a chunk of a
microphone may be. GPT-Live's other clients wait for 200 to 300 ms."""

# The clocks of a sound card and of this computer differ, and a timer fires late: what is a little early need not wait.
_LEAD_S = 0.05
_PIECE_MS = 100
_LONGEST_MS = 2 * _PIECE_MS


def pieces(audio: AppendAudio, pcm: PcmFormat) -> Iterator[AppendAudio]:
    """The audio as it is sent: itself, or in pieces of 100 ms where it is longer than 200 ms."""
    sound = audio.audio
    if len(sound) <= pcm.size(_LONGEST_MS):
        yield audio
        return
    size = pcm.size(_PIECE_MS)
    for start in range(0, len(sound), size):
        yield replace(audio, audio=sound[start : start + size])


class Pacer:
    """Tells when audio may be sent: never faster than it is spoken, by more than a chunk that was late.

    Args:
        rate: of the audio, in Hz.
    """

    def __init__(self, rate: int) -> None:
        self._format = PcmFormat(rate)
        self._clock = asyncio.get_running_loop().time
        self._spoken_until = self._ends_at = self._clock()

    @property
    def resumes_at(self) -> float:
        """When silence goes on unless the program sends audio before, by the clock of the loop."""
        return self._ends_at + PAUSE_S

    def begin(self) -> None:
        """The provider is ready on a new socket: its clock begins now."""
        self._spoken_until = self._ends_at = self._clock()

    def wait_s(self) -> float:
        """How long the next audio has to wait, in seconds; 0 when it may be sent."""
        return max(self._spoken_until - _LEAD_S - self._clock(), 0.0)

    def silent(self) -> None:
        """Silence takes the place of the program's audio now: what was late is not made up for."""
        self._spoken_until = -math.inf

    def sent(self, size: int) -> None:
        """So many bytes of the program's audio are sent now."""
        now, lasts_s = self._clock(), self._format.duration_ms(size) / 1000
        # What is late by less than the pause follows what came before; else the time between has passed in silence.
        begins = self._spoken_until if self._spoken_until >= now - PAUSE_S else now
        self._spoken_until = begins + lasts_s
        self._ends_at = max(self._spoken_until, now + lasts_s)
