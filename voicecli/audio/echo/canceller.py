"""Acoustic echo cancellation: WebRTC's canceller, kept aligned, and switched off where there is no echo."""

import math

from voicecli.audio.echo.alignment import Distance, FramePairs
from voicecli.audio.echo.detection import EchoDetector
from voicecli.audio.echo.framing import (
    ECHO_TAIL_MS,
    FRAME_MS,
    LEARNABLE_DBFS,
    FaintNoise,
    FrameCutter,
    RenderLevel,
)
from voicecli.audio.echo.realignment import SETTLED_MS, RealignedProcessing
from voicecli.audio.echo.residual import NearEndDetector
from voicecli.audio.echo.webrtc import WebRTCProcessing, processing_rate
from voicecli.audio.pcm import Resampler

__all__ = ["EchoCanceller"]

# The canceller lets half a second of echo through before it has converged (measured), of sound that is loud enough to
# learn from.
_CONVERGENCE_MS = 500
_QUIET_MS = 1_000  # longer than the pauses within a reply
# So long after an echo has ended a hard room (RT60 0.6 s) is at -60 dBFS. Silero took it for a voice at -53 to -58, in
# the gaps of a reply, where the echo came 0.13 to 0.2 s late and 0.4 s were reckoned with for both (measured).
_REVERBERATION_MS = 500


class EchoCanceller:
    """Subtracts the echo, so that the user can speak into the reply: WebRTC's canceller and noise suppressor.

    Where no echo is detected, as with headphones, it subtracts nothing: before it has converged it cannot tell the
    user's first words from an echo, and would take much of them out (for 0.8 to 1.2 s, measured).

    What is left of an echo is replaced by faint noise. While it converges, in the first half second of sound, so is
    everything; and again, for 0.4 to 0.6 s longer, after a discontinuity, which moves the echo. What the canceller has
    learnt is kept where the echo is recognised.

    WebRTC delays what it leaves by 14 or 15 ms (measured). To that comes up to 10 ms where pieces are not whole
    multiples of that, up to 100 ms while the render stream comes late, up to 50 ms where an echo comes earlier than it
    did, and 5 ms, at 8 kHz 8 ms, at rates that WebRTC does not take.

    Args:
        sample_rate: of the capture stream, in Hz.
        render_rate: of the render stream, in Hz.

    Raises:
        ConfigurationError: its package is missing.
    """

    mutes = False

    def __init__(self, sample_rate: int, render_rate: int) -> None:
        # WebRTC takes both streams at one rate.
        rate = processing_rate(sample_rate)
        self._rate = rate
        # None where the rate is WebRTC's: 100 times a second even to pass audio through takes time.
        self._from_render = Resampler(render_rate, rate) if render_rate != rate else None
        self._from_capture = Resampler(sample_rate, rate) if sample_rate != rate else None
        self._to_capture = Resampler(rate, sample_rate) if sample_rate != rate else None
        self._render = FrameCutter(rate)
        self._capture = FrameCutter(rate)
        self._level = RenderLevel()
        self._near_end = NearEndDetector()
        self._faint_noise = FaintNoise()
        self._pairs = FramePairs(bytes(self._render.size))
        self._detector = EchoDetector(rate)
        self._processing = RealignedProcessing(self._render.size, rate, self._detector, self._new_processing)
        self._learnable_ms = 0  # rendered; written by the render thread, what follows by the capture thread
        self._skipped_ms = 0  # of that, rendered before the present canceller began to converge
        self._before_ms = 0  # rendered before the latest captured frame
        self._unheard_ms = 0  # of what the present canceller could learn from, while the microphone was off
        self._moving_ms = 0  # until the echo has surely moved, and a new canceller begins to converge
        self._cancelled_ms = 0  # captured without a break of which hardly anything was left
        self._discontinuity = False  # written by either

    @property
    def active(self) -> str:
        return "none" if self._detector.no_echo else "aec"

    @property
    def suppressing(self) -> bool:
        if self._detector.no_echo:
            return False
        if not self._moving_ms and self._learnt_ms >= _CONVERGENCE_MS:
            return False
        # The echo of softer sound counts as residual, converged or not.
        return self._level.peak > LEARNABLE_DBFS

    @property
    def settled(self) -> bool:
        return self._detector.no_echo or not self._level.may_echo or self._knows_room

    @property
    def may_leave_echo(self) -> bool:
        return not self._detector.no_echo

    @property
    def _knows_room(self) -> bool:
        is_placed = not self._moving_ms and not self._detector.doubted
        return is_placed and self._processing.known_ms + self._heard_ms >= SETTLED_MS

    @property
    def _learnt_ms(self) -> int:
        """How much sound that tells something of its echo was rendered since the canceller began."""
        return self._learnable_ms - self._skipped_ms

    @property
    def _heard_ms(self) -> int:
        """How much of that could be heard."""
        return self._learnt_ms - self._unheard_ms

    def render(self, audio: bytes) -> None:
        if self._from_render is not None:
            audio = self._from_render.process(audio)
        for frame in self._render.cut(audio):
            if self._level.rendered(frame) > LEARNABLE_DBFS:
                self._learnable_ms += FRAME_MS
            self._pairs.rendered(frame)

    def capture(self, audio: bytes) -> bytes:
        cleaned: list[bytes] = []
        if self._from_capture is not None:
            audio = self._from_capture.process(audio)
        for frame in self._capture.cut(audio):
            if not frame.strip(b"\0"):
                self._unheard_ms += self._learnable_ms - self._before_ms
            self._before_ms = self._learnable_ms
            delay_ms = self._detector.delay_ms
            self._level.tail_ms = ECHO_TAIL_MS if delay_ms is None else delay_ms + _REVERBERATION_MS
            is_quiet = self._level.quiet_ms >= _QUIET_MS
            echo_ms = math.inf if self._detector.no_echo else delay_ms or 0  # at least
            distance = self._pairs.captured(frame, quiet=is_quiet, echo_ms=echo_ms)
            has_moved = distance is Distance.CHANGED
            if has_moved:
                self._detector.reset()  # perhaps a device was opened again, or another one
            elif distance is Distance.DOUBTFUL:
                self._detector.doubt()
            if has_moved or self._discontinuity:
                self._discontinuity, self._moving_ms = False, ECHO_TAIL_MS
            elif self._moving_ms:
                self._moving_ms -= FRAME_MS
                if not self._moving_ms:
                    self._begin_anew()
            elif self._processing.outrun:  # the echo has come nearer, unnoticed
                self._detector.forget()
                self._begin_anew()
            for rendered, captured in self._pairs.take():
                cleaned.append(self._cancel(rendered, captured))
            self._level.captured()
        left = b"".join(cleaned)
        return left if self._to_capture is None else self._to_capture.process(left)

    def discontinuity(self) -> None:
        self._discontinuity = True

    def _begin_anew(self) -> None:
        # By itself the canceller would take 1 to 6 s to find the echo, and let it through meanwhile (measured). A new
        # one takes 0.3 s, and 5 ms to be made.
        self._processing.begin_anew(self._heard_ms)
        self._skipped_ms, self._unheard_ms = self._learnable_ms, 0

    def _new_processing(self) -> WebRTCProcessing:
        return WebRTCProcessing(self._rate)

    def _cancel(self, rendered: bytes, captured: bytes) -> bytes:
        cancelled_ms, self._cancelled_ms = self._cancelled_ms, 0
        self._detector.pair(rendered, captured, cancelled_ms=cancelled_ms)
        if self._moving_ms and self.suppressing:
            return self._filler(captured)  # what the canceller has learnt is kept from the echo on its way
        residual = self._processing.process(rendered, captured, self._heard_ms)
        if self._detector.no_echo:
            return captured
        if self._processing.catching_up:
            return self._filler(captured)
        if not self._level.may_echo:
            self._near_end.pause()
            return residual
        is_near_end = self._near_end.process(residual, captured, settled=self._knows_room)
        if self._near_end.cancels:
            self._cancelled_ms = cancelled_ms + FRAME_MS
        return residual if is_near_end and not self.suppressing else self._filler(captured)

    def _filler(self, captured: bytes) -> bytes:
        """The noise that stands in for residual echo."""
        # Exact silence comes from a microphone that is off, which must be seen.
        return self._faint_noise.take(len(captured)) if captured.strip(b"\0") else captured
