"""Echo detection: whether the capture stream holds an echo of the render stream, and where. Pure: no clock."""

from voicecli.audio.echo.correlation import EchoCorrelation, Spectrum, delay_ms, distance, peak_ratio
from voicecli.audio.echo.framing import FRAME_MS

__all__ = ["EchoDetector"]

_INTERVAL_MS = 500
# The correlation's energy in its densest 16 ms, against the average. With recorded speech, simulated: without an echo
# at most 2.6, and 6.8 with a user who talks all the time; with an echo at the level of the noise or above, in the
# median 10 to 46, and 8 or more in three of four windows even in a room with a reverberation of 0.3 s.
_ECHO_RATIO = 8.0
# A window with an echo outweighs three without. A voice that has just begun may resemble one, once: two such windows in
# a row are an echo.
_NO_ECHO_MS = 4_000
_ECHO_OUTWEIGHS_MS = 1_500
_REMEMBERED = 0.75  # of the pattern, at each further window
_SAME_RATIO = 100.0


class EchoDetector:
    """Correlates the two streams, each half second of loud sound.

    Args:
        sample_rate: of the two streams, in Hz.

    Attributes:
        no_echo: whether there was no echo in the latest 4 s of loud sound, and since.
    """

    def __init__(self, sample_rate: int) -> None:
        self._correlation = EchoCorrelation(sample_rate)
        self._since_ms = 0
        self._without_ms = 0
        self._pattern: Spectrum | None = None  # of the echo's reflections
        self._delay_ms = 0.0  # of the pattern
        self._has_moved = False  # since the pattern was learnt
        self.no_echo = False

    @property
    def knows_pattern(self) -> bool:
        """Whether an echo has been heard whose pattern would be known again."""
        return self._pattern is not None

    @property
    def delay_ms(self) -> float | None:
        """How late the echo comes, by its strongest path; None where none has been heard since it moved."""
        return None if self._pattern is None or self._has_moved else self._delay_ms

    def pair(self, rendered: bytes, captured: bytes) -> None:
        """Take 10 ms of each, PCM16 mono; the captured frame comes no earlier than what it may be the echo of."""
        self._correlation.pair(rendered, captured)
        self._since_ms += FRAME_MS
        if self._since_ms < _INTERVAL_MS:
            return
        self._since_ms = 0
        if (spectrum := self._correlation.spectrum()) is None:
            return
        has_echo = peak_ratio(spectrum) >= _ECHO_RATIO
        self._update(has_echo=has_echo)
        if has_echo and not self._has_moved:
            self._learn(spectrum if self._pattern is None else self._pattern * _REMEMBERED + spectrum)

    def reset(self) -> None:
        """Forget whether there is an echo: it may be another device now."""
        self._without_ms = 0
        self.no_echo = False

    def moved(self) -> None:
        """Know that the echo is at another distance from now on."""
        self._has_moved = self.knows_pattern
        self._correlation.restart()
        self._since_ms = 0  # a shorter window looks like an echo where sound has just begun

    def moved_by(self) -> float | None:
        """How much later the echo comes since it has moved, in seconds; None where it is not recognised."""
        if self._pattern is None or (spectrum := self._correlation.spectrum()) is None:
            return None
        seconds, ratio = distance(self._pattern, spectrum)
        if ratio < _SAME_RATIO:
            return None
        self._has_moved = False
        self._learn(spectrum)
        return seconds

    def forget(self) -> None:
        """Learn the echo's pattern anew."""
        self._pattern, self._has_moved = None, False

    def _learn(self, pattern: Spectrum) -> None:
        self._pattern, self._delay_ms = pattern, delay_ms(pattern)

    def _update(self, *, has_echo: bool) -> None:
        if has_echo:
            self._without_ms = max(self._without_ms - _ECHO_OUTWEIGHS_MS, 0)
        else:
            self._without_ms = min(self._without_ms + _INTERVAL_MS, _NO_ECHO_MS)
        if self._without_ms == _NO_ECHO_MS:
            self.no_echo = True
        elif self._without_ms <= _NO_ECHO_MS - 2 * _ECHO_OUTWEIGHS_MS:
            self.no_echo = False
