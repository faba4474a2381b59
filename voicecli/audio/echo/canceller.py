"""Acoustic echo cancellation: WebRTC's canceller, kept aligned, and switched off where there is no echo."""

import functools
from collections.abc import Callable
from typing import Any

from voicecli.audio.echo.alignment import FramePairs
from voicecli.audio.echo.detection import EchoDetector
from voicecli.audio.echo.framing import ECHO_TAIL_MS, FRAME_MS, HOLD_MS, LEARNABLE_DBFS, FrameCutter, RenderLevel
from voicecli.audio.pcm import Resampler, level
from voicecli.errors import ConfigurationError
from voicecli.install import install_command
from voicecli.pcm16 import SAMPLE_BYTES

__all__ = ["EchoCanceller"]

# The canceller lets half a second of echo through before it has converged (measured), of sound that is loud enough to
# learn from.
_CONVERGENCE_MS = 500
# Softer than this, what is left during a reply is residual echo: a detector that hears digital silence otherwise takes
# even -55 dBFS for a voice (seen in the second after a discontinuity).
_RESIDUAL_DBFS = -45.0
_QUIET_MS = 1_000  # longer than the pauses within a reply


class EchoCanceller:
    """Subtracts the echo, so that the user can speak into the reply: WebRTC's canceller, of the extra "aec".

    Where no echo is detected, as with headphones, it subtracts nothing: before it has converged it cannot tell the
    user's first words from an echo, and would take much of them out (for 0.8 to 1.2 s, measured).

    While it converges, in the first half second of sound, it returns silence; and again, for 0.4 s longer, after a
    discontinuity, which moves the echo. Takes 0.14 ms for 10 ms of audio, and adds up to 10 ms where pieces are not
    whole multiples of that, and up to 100 ms while the render stream comes late.

    Args:
        sample_rate: of the capture stream, in Hz.
        render_rate: of the render stream, in Hz.

    Raises:
        ConfigurationError: its package is missing.
    """

    def __init__(self, sample_rate: int, render_rate: int) -> None:
        try:
            from livekit.rtc import AudioFrame, AudioProcessingModule
        except (ImportError, OSError) as error:  # OSError: its library does not load here
            raise ConfigurationError(
                f"Echo cancellation needs the package livekit ({error}).",
                advice=f"Run: {install_command('aec')}, or choose --echo gate.",
            ) from error
        self._make_processing = functools.partial(AudioProcessingModule, echo_cancellation=True, high_pass_filter=True)
        self._processing = self._make_processing()
        self._make_frame: Callable[[bytearray, int], Any] = lambda pcm, rate: AudioFrame(
            pcm, rate, 1, len(pcm) // SAMPLE_BYTES
        )
        # A frame must be a whole number of samples: 22 050 Hz cut to 220 of them would drift away from its echo.
        is_whole = render_rate * FRAME_MS % 1000 == 0
        self._resampler = None if is_whole else Resampler(render_rate, sample_rate)
        self._render = FrameCutter(render_rate if is_whole else sample_rate)
        self._capture = FrameCutter(sample_rate)
        self._level = RenderLevel()
        self._pairs = FramePairs(bytes(self._render.size))
        self._detector = EchoDetector(self._render.sample_rate, sample_rate)
        self._learnable_ms = 0  # rendered; written by the render thread, what follows by the capture thread
        self._skipped_ms = 0  # of that, rendered before the present canceller began to converge
        self._near_end_ms = 0  # for so long what is left counts as near-end speech, not as residual echo
        self._moving_ms = 0  # until the echo has surely moved, and a new canceller begins to converge
        self._discontinuity = False  # written by either

    @property
    def active(self) -> str:
        return "none" if self._detector.no_echo else "aec"

    @property
    def suppressing(self) -> bool:
        if self._detector.no_echo:
            return False
        has_converged = not self._moving_ms and self._learnable_ms - self._skipped_ms >= _CONVERGENCE_MS
        # The echo of softer sound counts as residual, converged or not.
        return self._level.peak > LEARNABLE_DBFS and not has_converged

    def render(self, audio: bytes) -> None:
        if self._resampler is not None:
            audio = self._resampler.process(audio)
        for frame in self._render.cut(audio):
            if self._level.rendered(frame) > LEARNABLE_DBFS:
                self._learnable_ms += FRAME_MS
            self._pairs.rendered(frame)

    def capture(self, audio: bytes) -> bytes:
        cleaned: list[bytes | bytearray] = []
        for frame in self._capture.cut(audio):
            has_moved = self._pairs.captured(frame, quiet=self._level.quiet_ms >= _QUIET_MS)
            if has_moved:
                self._detector.reset()  # perhaps a device was opened again, or another one
            if has_moved or self._discontinuity:
                self._discontinuity, self._moving_ms = False, ECHO_TAIL_MS
            elif self._moving_ms:
                self._moving_ms -= FRAME_MS
                if not self._moving_ms:
                    # By itself it would take 1 to 6 s to find the echo, and let it through meanwhile (measured). A new
                    # one takes 0.3 s, and 5 ms to be made.
                    self._processing = self._make_processing()
                    self._skipped_ms = self._learnable_ms
            cleaned += map(self._cancel, self._pairs.take())
            self._level.captured()
        return b"".join(cleaned)

    def discontinuity(self) -> None:
        self._discontinuity = True

    def _cancel(self, pair: tuple[bytes, bytes]) -> bytes | bytearray:
        rendered, captured = pair
        residual = bytearray(captured)
        self._processing.process_reverse_stream(self._make_frame(bytearray(rendered), self._render.sample_rate))
        self._processing.process_stream(self._make_frame(residual, self._capture.sample_rate))
        self._detector.pair(rendered, captured)
        if self._detector.no_echo:
            return captured
        if not self._level.may_echo:
            return residual
        is_near_end = level(bytes(residual)) > _RESIDUAL_DBFS
        self._near_end_ms = HOLD_MS if is_near_end else max(0, self._near_end_ms - FRAME_MS)
        return residual if self._near_end_ms and not self.suppressing else bytes(len(residual))
