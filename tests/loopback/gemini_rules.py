"""What Gemini refuses in the settings of a Live session, besides wrong types."""

from typing import Any

from tests.loopback.gemini_wire import INVALID, Frame, RefusedError

__all__ = ["check_setup", "enum_value"]

_MODELS = ("gemini-3.8-live", "gemini-3.8-live-extended-thinking", "gemini-3.1-flash-live-preview")
_NATIVE_25 = ("gemini-2.5-flash-native-audio-preview-12-2025", "gemini-live-2.5-flash-native-audio")
_OLD = (*_NATIVE_25, "gemini-2.5-flash-native-audio-latest")
_FINE_TUNING = {"startOfSpeechSensitivity", "endOfSpeechSensitivity", "prefixPaddingMs", "silenceDurationMs"}


def check_setup(setup: Frame) -> None:
    """Refuse what a session does not take; raises RefusedError."""
    name = setup.get("model", "").rpartition("/")[2]
    if name not in (*_MODELS, *_OLD):
        raise RefusedError(
            f"models/{name} is not found for API version v1beta, or is not supported for bidiGenerateContent.", 1008
        )
    generation = setup.get("generationConfig", {})
    if [str(getattr(kind, "value", kind)) for kind in generation.get("responseModalities", ["AUDIO"])] != ["AUDIO"]:
        raise RefusedError("The requested combination of response modalities (TEXT) is not supported by the model.")
    thinks = "thinkingConfig" in generation
    if name == "gemini-3.8-live" and thinks:
        raise RefusedError("Thinking level is not supported for this model.")
    if name.endswith("extended-thinking") and "thinkingLevel" not in generation.get("thinkingConfig", {}):
        raise RefusedError("Thinking level must be specified for this model.")
    if name in _MODELS and ("proactivity" in setup or "enableAffectiveDialog" in generation):
        raise RefusedError(INVALID)
    if setup.get("tools") == []:
        raise RefusedError(INVALID)
    for tool in setup.get("tools", []):
        for function in tool.get("functionDeclarations", []):
            behavior = enum_value(function.get("behavior"))
            if name.endswith("extended-thinking") and behavior == "BLOCKING":
                raise RefusedError("BLOCKING function calls are not supported for this model.")
            if name.startswith("gemini-3.1") and behavior == "NON_BLOCKING":
                raise RefusedError(INVALID)
            _check_schema(function.get("parameters"))
    detection = setup.get("realtimeInputConfig", {}).get("automaticActivityDetection", {})
    if detection.get("disabled") and _FINE_TUNING & set(detection):
        raise RefusedError(INVALID)


def enum_value(enum: Any) -> str:
    """The name that the wire has for a member of an enumeration; "" for none."""
    return str(getattr(enum, "value", enum or ""))


def _check_schema(schema: Frame | None) -> None:
    if schema is None:
        return
    kind = enum_value(schema.get("type"))
    if "anyOf" in schema:
        for option in schema["anyOf"]:
            _check_schema(option)
    elif not kind or kind != kind.upper():
        raise RefusedError(INVALID)
    if kind == "ARRAY":
        if "items" not in schema:
            raise RefusedError(INVALID)
        _check_schema(schema["items"])
    for value in schema.get("properties", {}).values():
        _check_schema(value)
