"""Concealment of the clicks where playout stops, and goes on, in the middle of a word."""

import numpy as np
import numpy.typing as npt

from voicecli.pcm16 import SAMPLE_BYTES, PcmFormat

__all__ = ["FADE_IN_MS", "FADE_OUT_MS", "Declicker"]

FADE_OUT_MS = 12
"""Long enough not to click, short enough to count as "at once"."""
FADE_IN_MS = 5
"""Shorter than the fade-out: the consonant that begins here must stay one."""

Pcm = npt.NDArray[np.int16]


class Declicker:
    """Fades audio out and in at the edges of silence.

    Whether the next chunk will come in time is not known while the latest one plays, so a fade-out cannot begin before
    the end. It follows after it instead: the latest samples once more, backwards, dying away.

    Args:
        sample_rate: of the PCM16 mono audio, in Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self._tail_size = PcmFormat(sample_rate).size(FADE_OUT_MS)
        self._fade_in = _half_cosine(sample_rate * FADE_IN_MS // 1000)
        self._faded_in = len(self._fade_in)  # samples of the fade-in that are done: all of them
        self._recent = b""
        self._fade_out = np.zeros(0, np.float32)  # what remains to be played of the fade-out

    def begin(self, *, softly: bool) -> None:
        """Know that audio follows which does not join what was before; `softly` fades it in."""
        self._stop()
        self._faded_in = 0 if softly else len(self._fade_in)

    def audio(self, out: memoryview) -> None:
        """Fade audio in place that is about to be heard."""
        rising = self._fade_in[self._faded_in :]
        affected = min(len(out) // SAMPLE_BYTES, max(len(rising), len(self._fade_out)))
        if affected:
            pcm: Pcm = np.frombuffer(out, np.int16, affected)
            mixed = pcm.astype(np.float32)
            mixed[: len(rising)] *= rising[:affected]
            mixed[: len(self._fade_out)] += self._fade_out[:affected]
            np.copyto(pcm, np.clip(np.rint(mixed), -32768, 32767), casting="unsafe")
            self._faded_in = min(len(self._fade_in), self._faded_in + affected)
            self._fade_out = self._fade_out[affected:]
        self._recent = (self._recent + bytes(out[-self._tail_size :]))[-self._tail_size :]

    def finish(self) -> None:
        """Know that the audio so far ends by itself, and needs no fade-out."""
        self._recent = b""

    def silence(self, out: memoryview) -> None:
        """Fill `out` where there is no audio."""
        self._stop()
        fading = min(len(out) // SAMPLE_BYTES, len(self._fade_out))
        out[fading * SAMPLE_BYTES :] = bytes(len(out) - fading * SAMPLE_BYTES)
        if fading:
            np.copyto(np.frombuffer(out, np.int16, fading), np.rint(self._fade_out[:fading]), casting="unsafe")
            self._fade_out = self._fade_out[fading:]

    def _stop(self) -> None:
        if self._recent:
            latest: Pcm = np.frombuffer(self._recent, np.int16)[::-1]
            self._fade_out = latest * _half_cosine(len(latest))[::-1]
            self._recent = b""


def _half_cosine(samples: int) -> npt.NDArray[np.float32]:
    """Gains from 0 to 1, without a corner."""
    return (0.5 - 0.5 * np.cos(np.pi * (np.arange(samples) + 0.5) / samples)).astype(np.float32)
