"""Echo control: keeps the assistant from hearing itself, by taking the render stream out of the capture stream.

The render (far-end) stream is everything that goes to the loudspeaker, silence too; the capture (near-end) stream is
everything that comes from the microphone. Both are handed over on the audio threads: then an echo never arrives before
the sound it is the echo of, and their distance does not jump.

Pure: no clock, no device. Audio is PCM16 mono, in pieces of any length.
"""

from voicecli.audio.echo.canceller import EchoCanceller
from voicecli.audio.echo.gain import AutoGainControl
from voicecli.audio.echo.gate import EchoGate, HalfDuplex
from voicecli.audio.ports import EchoControl, EchoMode
from voicecli.errors import ConfigurationError

__all__ = ["NoEchoControl", "make_echo_control"]


def make_echo_control(
    mode: EchoMode, sample_rate: int, render_rate: int | None = None, *, auto_gain_control: bool = False
) -> EchoControl:
    """Make the echo control of a mode.

    Args:
        mode: "auto" takes the canceller where its package is installed, else the gate.
        sample_rate: of the capture stream, in Hz.
        render_rate: of the render stream, in Hz; None: the same.
        auto_gain_control: whether a soft voice is made louder, by up to 20 dB, while nothing is played.

    Raises:
        ConfigurationError: an unknown mode, or "aec" or gain control without their package.
    """
    render_rate = render_rate or sample_rate
    control = _make(mode, sample_rate, render_rate)
    return AutoGainControl(control, sample_rate, render_rate) if auto_gain_control else control


def _make(mode: EchoMode, sample_rate: int, render_rate: int) -> EchoControl:
    match mode:
        case "auto":
            try:
                return EchoCanceller(sample_rate, render_rate)
            except ConfigurationError:
                return EchoGate(sample_rate, render_rate)
        case "aec":
            return EchoCanceller(sample_rate, render_rate)
        case "gate":
            return EchoGate(sample_rate, render_rate)
        case "half-duplex":
            return HalfDuplex(sample_rate, render_rate)
        case "off":
            return NoEchoControl()
    raise ConfigurationError(f"echo: {mode!r} is unknown.", advice="Take auto, aec, gate, half-duplex or off.")


class NoEchoControl:
    """Passes the capture stream through unchanged: for headphones."""

    active = "off"
    suppressing = False
    settled = True
    may_leave_echo = False
    mutes = False

    def render(self, audio: bytes) -> None:
        """Do nothing."""

    def capture(self, audio: bytes) -> bytes:
        return audio

    def discontinuity(self) -> None:
        """Do nothing."""
