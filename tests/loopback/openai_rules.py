"""What OpenAI refuses in the settings of a session's audio, besides wrong types."""

from tests.loopback.openai_wire import Frame

__all__ = ["wrong_field"]

_TAKE_KEYWORDS = ("gpt-transcribe", "gpt-live-transcribe")
_TAKE_NO_PROMPT = ("gpt-realtime-whisper", "gpt-4o-transcribe-diarize")


def wrong_field(audio: Frame) -> str:
    """The field that is refused, by its path in the session; "" where there is none."""
    given, voice = audio.get("input", {}), audio.get("output", {}).get("voice")
    if isinstance(voice, str) and voice.startswith("voice_"):
        return "audio.output.voice"
    reduction = given.get("noise_reduction")
    if reduction and ("type" not in reduction or reduction.get("strength", 1.0) < 0):
        return "audio.input.noise_reduction"
    wrong = _wrong_in_transcription(given.get("transcription") or {})
    return f"audio.input.transcription.{wrong}" if wrong else ""


def _wrong_in_transcription(transcription: Frame) -> str:
    model = transcription.get("model")
    if "language" in transcription and (model == "gpt-live-transcribe" or "languages" in transcription):
        return "language"
    for name in ("keywords", "languages"):
        if name in transcription and (model not in _TAKE_KEYWORDS or not transcription[name]):
            return name
    if any(set(word) & set("<>\r\n") or not word for word in transcription.get("keywords", [])):
        return "keywords"
    return "prompt" if "prompt" in transcription and model in _TAKE_NO_PROMPT else ""
