"""What OpenAI refuses in the settings of a session and in items of a conversation, besides wrong types."""

from tests.loopback.openai_wire import Frame, RefusedError

__all__ = ["check_content", "check_session"]

_REASONING = ("gpt-realtime-2.1", "gpt-realtime-2.1-mini", "gpt-realtime-2")
_TAKE_KEYWORDS = ("gpt-transcribe", "gpt-live-transcribe")
_TAKE_NO_PROMPT = ("gpt-realtime-whisper", "gpt-4o-transcribe-diarize")


_DETECTION = {
    "threshold": (0, 1),
    "prefix_padding_ms": (0, 10_000),
    "silence_duration_ms": (1, 60_000),
    "idle_timeout_ms": (5_000, 30_000),
}
_CONTENT = {
    "user": {"input_text": "text", "input_audio": "audio", "input_image": "image_url"},
    "assistant": {"output_text": "text"},
    "system": {"input_text": "text"},
}


def check_session(update: Frame, model: str, spoken_in: str | None) -> None:
    """Refuse what a session of this model does not take.

    Args:
        spoken_in: the voice in which something has been said, which cannot be changed any more; None before.

    Raises:
        RefusedError: something is not taken.
    """

    def refuse(param: str, code: str = "invalid_value") -> None:
        raise RefusedError(code, f"Invalid or unsupported parameter: 'session.{param}'.", f"session.{param}")

    if update["type"] != "realtime":
        refuse("type")
    if update.get("model", model) != model:
        refuse("model")
    for name in ("reasoning", "parallel_tool_calls"):
        if name in update and model not in _REASONING:
            refuse(name, "unknown_parameter")
    if sorted(update.get("output_modalities", ["audio"])) == ["audio", "text"]:
        refuse("output_modalities")
    limit = update.get("max_output_tokens", "inf")
    if limit != "inf" and not 1 <= limit <= 4_096:
        refuse("max_output_tokens")
    audio = update.get("audio", {})
    output, given = audio.get("output", {}), audio.get("input", {})
    if not 0.25 <= output.get("speed", 1.0) <= 1.5:
        refuse("audio.output.speed")
    voice = output.get("voice")
    if voice and spoken_in is not None and voice != spoken_in:
        refuse("audio.output.voice", "cannot_update_voice")
    for side in (output, given):
        if side.get("format", {}).get("rate", 24_000) != 24_000:
            refuse("audio.input.format.rate")
    if wrong := _wrong_field(audio):
        refuse(wrong)
    names = [tool["name"] for tool in update.get("tools", []) if tool["type"] == "function"]
    choice = update.get("tool_choice")
    if isinstance(choice, dict) and choice["type"] == "function" and choice["name"] not in names:
        refuse("tool_choice")


def check_content(item: Frame) -> None:
    """Refuse content that a message of this role cannot have. Raises RefusedError."""
    allowed = _CONTENT[item["role"]]
    if not item["content"]:
        raise RefusedError("invalid_value", "No content.", "item.content")
    for index, part in enumerate(item["content"]):
        where = f"item.content[{index}]"
        if part["type"] not in allowed:
            raise RefusedError("missing_required_parameter", "Missing required parameter.", f"{where}.text")
        value = part.get(allowed[part["type"]])
        if not value:
            raise RefusedError("missing_required_parameter", "Missing.", f"{where}.{allowed[part['type']]}")
        if part["type"] == "input_image" and not value.startswith(
            ("data:image/png;base64,", "data:image/jpeg;base64,")
        ):
            raise RefusedError("invalid_value", "Not a data URL of a PNG or JPEG.", f"{where}.image_url")


def _wrong_field(audio: Frame) -> str:
    """The field that is refused, by its path in the session; "" where there is none."""
    given, voice = audio.get("input", {}), audio.get("output", {}).get("voice")
    if isinstance(voice, str) and voice.startswith("voice_"):
        return "audio.output.voice"
    reduction = given.get("noise_reduction")
    if reduction and ("type" not in reduction or reduction.get("strength", 1.0) < 0):
        return "audio.input.noise_reduction"
    detection = given.get("turn_detection") or {}
    for name, (low, high) in _DETECTION.items():
        value = detection.get(name)
        if value is not None and not low <= value <= high:
            return f"audio.input.turn_detection.{name}"
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
