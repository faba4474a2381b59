"""Automatic gain control: makes a very soft voice louder while nothing is played."""

import numpy as np

from voicecli.audio.echo.framing import FrameCutter, RenderLevel
from voicecli.audio.echo.webrtc import GainEstimator
from voicecli.audio.pcm import Resampler, float32_to_pcm16, pcm16_to_float32
from voicecli.audio.ports import EchoControl

__all__ = ["AutoGainControl"]

_STEP_DB = 2.0  # a frame: from none to all in 0.1 s, so that nothing clicks


class AutoGainControl:
    """Echo control with a gain of up to 20 dB on what it leaves, while no echo of a reply may be captured.

    During a reply the gain is 0 dB: it would raise the residual echo as well (by 14 dB, measured).

    Args:
        inner: the echo control before it.
        sample_rate: of the capture stream, in Hz.
        render_rate: of the render stream, in Hz.

    Raises:
        ConfigurationError: its package is missing.
    """

    def __init__(self, inner: EchoControl, sample_rate: int, render_rate: int) -> None:
        self._inner = inner
        self._estimator = GainEstimator()
        self._render = FrameCutter(render_rate)
        self._capture = FrameCutter(sample_rate)
        self._level = RenderLevel()
        self._resampler = Resampler(sample_rate, GainEstimator.sample_rate)
        self._estimated = FrameCutter(GainEstimator.sample_rate)
        self._wanted_db = 0.0
        self._gain_db = 0.0

    @property
    def active(self) -> str:
        return self._inner.active

    @property
    def suppressing(self) -> bool:
        return self._inner.suppressing

    @property
    def settled(self) -> bool:
        return self._inner.settled

    @property
    def may_leave_echo(self) -> bool:
        return self._inner.may_leave_echo

    @property
    def mutes(self) -> bool:
        return self._inner.mutes

    def render(self, audio: bytes) -> None:
        for frame in self._render.cut(audio):
            self._level.rendered(frame)
        self._inner.render(audio)

    def capture(self, audio: bytes) -> bytes:
        return b"".join(map(self._amplify, self._capture.cut(self._inner.capture(audio))))

    def discontinuity(self) -> None:
        self._inner.discontinuity()

    def _amplify(self, frame: bytes) -> bytes:
        self._level.captured()
        if not self._level.may_echo:
            for piece in self._estimated.cut(self._resampler.process(frame)):
                self._wanted_db = self._estimator.process(piece)
        before_db = self._gain_db
        change_db = (0.0 if self._level.may_echo else self._wanted_db) - before_db
        self._gain_db += min(_STEP_DB, max(-_STEP_DB, change_db))
        if before_db == self._gain_db == 0.0:
            return frame
        samples = pcm16_to_float32(frame)
        gains = 10 ** (np.linspace(before_db, self._gain_db, samples.size, dtype=np.float32) / 20)
        return float32_to_pcm16(samples * gains)
