"""Playout of a full-duplex model's voice: one lasting track at the pace of real time, which must stay close behind it.

What is unheard here the model believes to have been heard: it cannot be told to forget it. And a track that never ends
would never make up for a delay, so that each gap in the network, and each difference between two clocks, would add to
it. Hence it begins soon, and what comes while too much waits is shortened, at the quiet places first.
"""

import numpy as np
import numpy.typing as npt

from voicecli.pcm16 import SAMPLE_BYTES

__all__ = ["LIMIT_MS", "MOST_MS", "START_MS", "Backlog", "FixedDelay"]

START_MS = 80.0
"""Playout delay at the start, and after a gap, in ms: as much as chunks of 100 ms are late on an ordinary network."""
LIMIT_MS = 300.0
"""Waiting audio beyond which quiet places are left out, in ms: people begin to talk into each other at about that."""
MOST_MS = 600.0
"""Waiting audio beyond which words are left out, too, in ms: as much as a network that is late is let off with."""
_FRAME_MS = 10
_QUIET_RMS = 100.0  # -50 dBFS: pauses between words of a synthetic voice are below, its softest sounds above

Pcm = npt.NDArray[np.int16]


class FixedDelay:
    """Delay policy that holds audio back for the same time at each start, and after each gap.

    Args:
        delay_ms: how long.
    """

    def __init__(self, delay_ms: float = START_MS) -> None:
        self._hold_ms = delay_ms
        self._at_ms = 0.0  # of the latest arrival
        self._held_from_ms = 0.0
        self._underruns = 0

    def begin(self) -> None:
        self._at_ms = self._held_from_ms = 0.0
        self._underruns = 0

    def arrived(self, at_ms: float, audio_ms: float) -> None:
        self._at_ms = at_ms

    def delay_ms(self, waiting_ms: float, underruns: int) -> float:
        if underruns != self._underruns:
            self._underruns, self._held_from_ms = underruns, self._at_ms
        return max(0.0, self._held_from_ms + self._hold_ms - self._at_ms)

    def finish(self) -> None:
        """Do nothing: there is nothing to learn."""


class Backlog:
    """Keeps short what waits to be played, by shortening what comes. Pure.

    Args:
        sample_rate: of the PCM16 mono audio, in Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self._rate = sample_rate
        self._frame = sample_rate * _FRAME_MS // 1000
        self._cut = False  # the latest sound was cut off: what follows begins softly

    def fit(self, audio: bytes, waiting_ms: float) -> list[tuple[int, bytes]]:
        """What is to be played of a chunk, in pieces, each with how many samples were left out before it.

        The last piece may be empty, behind what was left out at the end.

        Args:
            audio: whole samples.
            waiting_ms: how much waits before it.
        """
        length_ms = len(audio) / SAMPLE_BYTES * 1000 / self._rate
        if waiting_ms + length_ms <= LIMIT_MS and not self._cut:
            return [(0, audio)]
        pcm: Pcm = np.frombuffer(audio, np.int16)
        pieces: list[tuple[int, list[bytes]]] = [(0, [])]
        waiting, left_ms = waiting_ms, length_ms
        for start in range(0, len(pcm), self._frame):
            frame = pcm[start : start + self._frame]
            frame_ms = len(frame) * 1000 / self._rate
            if waiting + left_ms > LIMIT_MS and _is_quiet(frame):
                kept = b""
            elif waiting + frame_ms > MOST_MS:
                kept = b"" if self._cut else _faded(frame, rising=False)
                self._cut = True
            else:
                kept = _faded(frame, rising=True) if self._cut else frame.tobytes()
                self._cut = False
            left_ms -= frame_ms
            if kept:
                pieces[-1][1].append(kept)
                waiting += frame_ms
            else:
                if pieces[-1][1]:
                    pieces.append((0, []))
                pieces[-1] = pieces[-1][0] + len(frame), pieces[-1][1]
        return [(skipped, b"".join(kept)) for skipped, kept in pieces]

    def ends_quietly(self, audio: bytes) -> bool:
        """True when the end of a chunk is no more than a pause: a gap behind it breaks no word."""
        return _is_quiet(np.frombuffer(audio, np.int16)[-self._frame :])


def _is_quiet(frame: Pcm) -> bool:
    return float(np.sqrt(np.mean(np.square(frame, dtype=np.float64)))) < _QUIET_RMS


def _faded(frame: Pcm, *, rising: bool) -> bytes:
    """A frame that fades in, or out."""
    gains = np.linspace(0.0, 1.0, len(frame))
    return np.rint(frame * (gains if rising else gains[::-1])).astype(np.int16).tobytes()
