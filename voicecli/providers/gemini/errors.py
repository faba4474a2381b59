"""Gemini's close codes, HTTP statuses and ends of turns: what they mean, and what to do about them.

Google closes with a gRPC-like code and a reason cut at 123 bytes; 1007 stands for anything from a bad key to a
field that the model does not know, so the reason decides.
"""

from voicecli.errors import AuthenticationError, QuotaExceededError, RealtimeConnectionError
from voicecli.events import CONTENT_FILTER, INVALID_TOOL_CALL, RETRIES_EXHAUSTED, ResponseStatus
from voicecli.providers.fields import error_message

__all__ = ["KEY_ADVICE", "NEED_MORE_INPUT", "close_error", "http_error", "turn_end"]

KEY_ADVICE = (
    "Run `voice keys set gemini`, or set GEMINI_API_KEY (or GOOGLE_API_KEY), with a key from "
    "https://aistudio.google.com/apikey."
)
_QUOTA_ADVICE = "Check plan and billing at https://aistudio.google.com, and close other conversations."

NEED_MORE_INPUT = "NEED_MORE_INPUT"
# Live API, `TurnCompleteReason`.
_TURN_ENDS: dict[str, tuple[ResponseStatus, str]] = {
    "MALFORMED_FUNCTION_CALL": ("failed", INVALID_TOOL_CALL),
    "MAX_REGENERATION_REACHED": ("incomplete", RETRIES_EXHAUSTED),
}
_FILTER_WORDS = ("REJECTED", "PROHIBITED", "SAFETY", "BLOCKLIST")

_KEY_REASONS = ("api key not valid", "api key expired", "api_key_invalid", "unregistered callers", "unauthenticated")
_TOKEN_REASONS = ("invalid authentication credentials", "token expired", "auth token", "ephemeral token")
_QUOTA_REASONS = ("exceeded your current quota", "resource_exhausted", "resource has been exhausted", "billing")
_MODEL_REASONS = ("is not found for api version", "was not found", "not supported for bidigeneratecontent")
# 1007 and 1008 mean that what was sent is wrong, except for these.
_PASSING = ("client failed to close", "goaway", "operation is not implemented", "operation was aborted")
_WRONG_CODES = {1002, 1003, 1007, 1008, 1009, 1010}
_LATER = "Try again; https://aistudio.google.com/status tells of disturbances."
_WRONG = "Leave options out one by one, or choose another model."
_WRONG_ADVICE = (
    ("thinking level", "Set or leave out reasoning_effort as the model wants it, or use gemini-3.8-live."),
    ("function calls are not supported", "Use gemini-3.8-live, or no tools."),
    ("response modalities", "Live models answer by voice only; leave the output at audio."),
    ("unknown name", "The API version does not know this field: try api_version v1beta or v1alpha."),
    (
        "invalid argument",
        "A setting does not fit the model, or the conversation has become too long: leave options out one by one, "
        "or start anew.",
    ),
)


def close_error(code: int, reason: str, *, model: str) -> RealtimeConnectionError:
    """The error that a close of the socket means.

    Args:
        code: 1006 when the connection just broke.
        reason: Google's words, without any key.
        model: as the user knows it, for the advice.
    """
    said = reason.strip() or f"close code {code}"
    text = reason.lower()
    if _any(_KEY_REASONS, text) or (code in _WRONG_CODES and _any(_TOKEN_REASONS, text)):
        return AuthenticationError(
            f"Gemini refused the key: {said}", advice=KEY_ADVICE, code="api_key_invalid", close_code=code
        )
    if _any(_QUOTA_REASONS, text):
        return QuotaExceededError(
            f"Gemini's quota is used up: {said}", advice=_QUOTA_ADVICE, code="quota_exceeded", close_code=code
        )
    if _any(_MODEL_REASONS, text):
        return RealtimeConnectionError(
            f"Gemini has no Live model {model!r} here: {said}",
            advice="Choose another model, such as gemini-3.8-live; `voice list-models gemini --live` shows yours.",
            code="model_not_found",
            close_code=code,
        )
    if code in _WRONG_CODES and not _any(_PASSING, text):
        advice = next((advice for sign, advice in _WRONG_ADVICE if sign in text), _WRONG)
        return RealtimeConnectionError(
            f"Gemini refused what was sent: {said}", advice=advice, code="invalid_argument", close_code=code
        )
    return RealtimeConnectionError(
        f"Gemini closed the connection: {said}", advice=_LATER, close_code=code, retryable=True
    )


def http_error(status: int, body: bytes) -> RealtimeConnectionError:
    """The error for a handshake, or a plain request, that was answered with this HTTP status."""
    said = error_message(body)[:300] or f"HTTP {status}"
    text = said.lower()
    if status in {401, 403} or _any(_KEY_REASONS, text):
        return AuthenticationError(f"Gemini refused the key: {said}", advice=KEY_ADVICE, code=str(status))
    if status == 429:
        # A rate limit passes; a quota does not.
        spent = _any(_QUOTA_REASONS, text)
        return QuotaExceededError(
            f"Gemini takes no more requests: {said}", advice=_QUOTA_ADVICE, code="429", retryable=not spent
        )
    if status == 404:
        return RealtimeConnectionError(
            f"There is no Gemini Live API at this address: {said}",
            advice="Check base_url (GOOGLE_GEMINI_BASE_URL), api_version and location.",
            code="404",
        )
    retryable = status in {408, 425} or status >= 500
    return RealtimeConnectionError(
        f"Gemini refused the connection: {said}", advice=_LATER, code=str(status), retryable=retryable
    )


def _any(signs: tuple[str, ...], text: str) -> bool:
    return any(sign in text for sign in signs)


def turn_end(code: str) -> tuple[ResponseStatus, str]:
    """Status and reason of a reply by the code with which the server ended its turn, without its prefix."""
    if code in {"", "UNSPECIFIED", NEED_MORE_INPUT}:
        return "completed", ""
    if code in _TURN_ENDS:
        return _TURN_ENDS[code]
    filtered = any(word in code for word in _FILTER_WORDS)
    return "incomplete", CONTENT_FILTER if filtered else code.lower().replace("_", " ")
