"""Judgement of what a microphone hears while nobody speaks: whether turn detection takes it for speech. Pure."""

from voicecli.audio.vad import SpeechDetected, VoiceActivityDetector
from voicecli.config import ClientVAD
from voicecli.install import install_command

__all__ = ["advise_on_noise", "false_starts"]

# Beside music 10 dB softer than the voice, webrtcvad found no end of three turns in four; at 20 dB it did of one in two
# (silero: of all but one).
_SPEECH_OVER_NOISE_DB = 15.0


def false_starts(background: bytes, sample_rate: int) -> int:
    """Count how often sound in which nobody speaks is taken for the beginning of speech, by the default engine.

    Args:
        background: PCM16 mono. Two seconds take 0.1 s of CPU.
        sample_rate: in Hz.

    Raises:
        ConfigurationError: a rate that cannot be.
    """
    detector = VoiceActivityDetector(ClientVAD(), sample_rate)
    found = [*detector.process(background), *detector.flush()]
    return sum(isinstance(change, SpeechDetected) for change in found)


def advise_on_noise(voice_dbfs: float, noise_dbfs: float, starts: int, *, silero: bool) -> str:
    """Say what is wrong with the noise and what to do about it; "" where all is well.

    Args:
        voice_dbfs, noise_dbfs: levels of the voice and of what is heard while nobody speaks.
        starts: how often that was taken for speech, as `false_starts` counts.
        silero: whether turn detection for noisy rooms is installed.
    """
    drowned = voice_dbfs - noise_dbfs < _SPEECH_OVER_NOISE_DB
    if not starts and not drowned:
        return ""
    what = (
        "What is heard while nobody speaks is taken for speech"
        if starts
        else "Your voice hardly stands out from the noise (did you speak?)"
    )
    if not silero:
        return f"{what}: {install_command('silero')} finds turns in noise; no option is needed."
    if starts:
        return f"{what}, as other voices are: use a headset, or push to talk (--vad none)."
    return f"{what}: move closer to the microphone, or use a headset."
