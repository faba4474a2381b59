"""Echo control as it was, as it is, and none: for comparison in one run."""

from collections.abc import Callable

from voicecli.audio.echo.canceller import EchoCanceller
from voicecli.audio.echo.control import NoEchoControl, make_echo_control
from voicecli.audio.echo.framing import FRAME_MS, HOLD_MS
from voicecli.audio.echo.residual import NearEndDetector
from voicecli.audio.pcm import level
from voicecli.audio.ports import EchoControl

__all__ = ["VARIANTS", "Variant", "available"]

Variant = Callable[[int, int], EchoControl]
"""Makes echo control for rates of the capture and of the render stream, in Hz."""


class _LiveKit:
    """WebRTC's canceller as voicecli had it before: the package livekit, without noise suppression."""

    def __init__(self, rate: int) -> None:
        from livekit.rtc import AudioFrame, AudioProcessingModule  # type: ignore[import-not-found,unused-ignore]

        self._frame = AudioFrame
        self._processing = AudioProcessingModule(echo_cancellation=True, high_pass_filter=True)
        self._rate = rate

    def process(self, rendered: bytes, captured: bytes) -> bytes:
        samples, residual = len(captured) // 2, bytearray(captured)
        self._processing.process_reverse_stream(self._frame(bytearray(rendered), self._rate, 1, samples))
        self._processing.process_stream(self._frame(residual, self._rate, 1, samples))
        return bytes(residual)


class _ByLevel(NearEndDetector):
    """What is left is judged by its level alone."""

    def __init__(self) -> None:
        self.cancels = False
        self._hold_ms = 0

    def process(self, residual: bytes, captured: bytes, *, settled: bool = True) -> bool:
        self._hold_ms = HOLD_MS if level(residual) > -45.0 else max(0, self._hold_ms - FRAME_MS)
        return self._hold_ms > 0

    def pause(self) -> None:
        return


class _Before(EchoCanceller):
    """The canceller as it was: what is left of an echo is replaced by digital zeros."""

    def __init__(self, sample_rate: int, render_rate: int) -> None:
        super().__init__(sample_rate, render_rate)
        self._near_end = _ByLevel()

    def _new_processing(self) -> _LiveKit:  # type: ignore[override]
        return _LiveKit(self._rate)

    def _filler(self, captured: bytes) -> bytes:
        return bytes(len(captured))


class _BeforeFaintNoise(_Before):
    """The same with faint noise in place of the zeros."""

    def _filler(self, captured: bytes) -> bytes:
        return self._faint_noise.take(len(captured))


VARIANTS: dict[str, Variant] = {
    "none": lambda sample_rate, render_rate: NoEchoControl(),
    "before": _Before,
    "before, faint noise": _BeforeFaintNoise,
    "now": lambda sample_rate, render_rate: make_echo_control("aec", sample_rate, render_rate),
}


def available() -> dict[str, Variant]:
    """The variants that can be made here: those of before need livekit, which voicecli itself needs no more."""
    try:
        _LiveKit(16_000).process(bytes(320), bytes(320))
    except ImportError:
        print('(Without livekit, "before" is left out: pip install "livekit>=1.2.1,<2".)')
        return {name: variant for name, variant in VARIANTS.items() if not name.startswith("before")}
    return VARIANTS
