"""Errors of OpenAI: which are harmless, which end the conversation, and what to do about them."""

import re
from dataclasses import dataclass

from voicecli.errors import AuthenticationError, ProtocolError, QuotaExceededError, RealtimeConnectionError
from voicecli.providers.fields import at, parse_object, text
from voicecli.providers.openai.endpoint import SETUP_ADVICE
from voicecli.providers.openai.setup import setting_of

__all__ = ["FATAL", "HARMLESS", "RETRYABLE_RESPONSES", "ServerError", "close_error", "error_for", "handshake_error"]

HARMLESS = frozenset(
    {
        "input_audio_buffer_commit_empty",
        "invalid_tool_call_id",
        "item_delete_invalid_item_id",
        "item_retrieve_invalid_item_id",
        "item_truncate_invalid_item_id",
        "response_cancel_not_active",
        "unsupported_content_type",
    }
)
"""Errors that tell of a race which both sides have already lost nothing by."""

RETRYABLE_RESPONSES = frozenset({"inference_rate_limit_exceeded", "rate_limit_exceeded", "server_error"})
"""Failures of a response that a second attempt may not meet."""

_KEY = {"account_deactivated", "invalid_api_key", "invalid_authentication"}
_QUOTA = {"billing_hard_limit_reached", "billing_not_active", "insufficient_quota"}
_MODEL = {"invalid_model", "missing_model", "model_not_found"}
FATAL = frozenset(_KEY | _QUOTA | _MODEL | {"beta_api_shape_disabled", "session_expired"})
"""Errors after which the server closes the socket."""

_LATER = "Try again; https://status.openai.com tells of disturbances."
_LIMITS = {"rate_limit_exceeded", "inference_rate_limit_exceeded"}
_RETRYABLE_CLOSES = {1001, 1005, 1006, 1011, 1012, 1013, 1015}
_CLOSES = {
    1000: "closed the conversation",
    1001: "went away",
    1005: "closed the connection without saying why",
    1006: "is gone: the connection broke",
    1008: "refused to go on (policy)",
    1009: "found a message too big",
    1011: "had an internal error",
    1012: "restarts",
    1013: "is overloaded",
    1015: "failed in TLS",
}
# A close reason is `<error type>.<error code>`.
_REASON = re.compile(r"^[a-z_]+\.([a-z_]+)$")


@dataclass(frozen=True, slots=True)
class ServerError:
    """The `error` of an event or of a failed response; fields that are not text are "".

    Attributes:
        param: the field it is about.
        event_id: the client event that caused it.
    """

    type: str = ""
    code: str = ""
    message: str = ""
    param: str = ""
    event_id: str = ""

    @classmethod
    def parse(cls, error: object) -> "ServerError":
        return cls(**{name: text(at(error), name) for name in ("type", "code", "message", "param", "event_id")})

    @property
    def name(self) -> str:
        """The code, or the type where there is none."""
        return self.code or self.type


def error_for(error: ServerError, *, close_code: int | None = None) -> RealtimeConnectionError:
    """The exception that tells of the error; `retryable` says whether a new connection may help."""
    code, said = error.name, _without_key(error.message.rstrip(". ")) or error.name or "no reason given"
    if code in _KEY:
        return AuthenticationError(
            f"OpenAI refused the key: {said}.", advice=SETUP_ADVICE, code=code, close_code=close_code
        )
    if code in _QUOTA:
        return QuotaExceededError(
            f"OpenAI: {said}.",
            advice="Add credit at https://platform.openai.com/settings/organization/billing.",
            code=code,
            close_code=close_code,
        )
    if code in _LIMITS:
        return QuotaExceededError(
            f"OpenAI's rate limit is used up: {said}.",
            advice="Wait a moment and say it again.",
            code=code,
            close_code=close_code,
            retryable=True,
        )
    advice, retryable = "", False
    if code in _MODEL:
        advice = "Choose a model of `voice list-models openai`; --live asks which ones your key may use."
    elif code == "beta_api_shape_disabled":
        advice = "Take the OpenAI-Beta header out of your headers: the beta ended in May 2026."
    elif code == "session_expired":
        said, retryable = "the session reached its limit of 60 minutes", True
    elif code == "server_error":
        advice, retryable = _LATER, True
    elif error.param.startswith("session."):
        setting = setting_of(error.param)
        said = f"it refused {setting!r}: {said}"
        advice = f"Leave {setting!r} out, or give it another value."
    return RealtimeConnectionError(
        f"OpenAI: {said}.", advice=advice, code=code, close_code=close_code, retryable=retryable
    )


def close_error(code: int, reason: str, last: ServerError | None) -> RealtimeConnectionError:
    """The error that a close means, given the one that came just before it."""
    if last is None and (match := _REASON.match(reason)):
        last = ServerError(code=match[1])
    if last is not None and last.name:
        error = error_for(last, close_code=code)
        error.retryable = error.retryable or (code in _RETRYABLE_CLOSES and last.name not in FATAL)
        return error
    what = _CLOSES.get(code, f"closed the connection with code {code}")
    said = f": {_printable(reason)}" if reason else ""
    return RealtimeConnectionError(
        f"OpenAI {what}{said}.", advice=_LATER, close_code=code, retryable=code in _RETRYABLE_CLOSES
    )


def handshake_error(status: int, body: bytes) -> RealtimeConnectionError:
    """The error for an HTTP answer instead of a WebSocket."""
    error = _body_error(body)
    said = f": {_without_key(error.message.rstrip('. '))}" if error.message else ""
    code = error.code or str(status)
    if error.code in FATAL:
        return error_for(error)
    if status == 401 or (status == 403 and not said):
        return AuthenticationError(f"OpenAI refused the key (HTTP {status}){said}.", advice=SETUP_ADVICE, code=code)
    if status == 429:
        return QuotaExceededError(
            f"OpenAI's rate limit is used up (HTTP 429){said}.",
            advice="Wait a moment, or look at your limits.",
            code=code,
            retryable=True,
        )
    advice = {
        403: "Your country, network or project may not be allowed to use this model.",
        404: "Check the model and the base URL.",
        407: "The proxy wants a password: put it into HTTPS_PROXY.",
    }.get(status, _LATER)
    if 300 <= status < 400:
        advice = "Check the base URL: it leads somewhere else."
    return RealtimeConnectionError(
        f"OpenAI answered HTTP {status}{said}.", advice=advice, code=code, retryable=status >= 500 or status == 408
    )


def _body_error(body: bytes) -> ServerError:
    try:
        return ServerError.parse(parse_object(body, "OpenAI").get("error"))
    except ProtocolError:
        return ServerError()


def _without_key(message: str) -> str:
    # The server repeats most of a key that it refuses.
    return re.sub(r"\b(sk|ek)[-_][\w*.-]+", r"\1-...", message)


def _printable(reason: str) -> str:
    return "".join(char for char in reason if char.isprintable())
