"""Errors of OpenAI: which are harmless, which end the conversation, and what to do about them."""

import re
from dataclasses import dataclass

from voicecli.errors import AuthenticationError, ProtocolError, QuotaExceededError, RealtimeConnectionError
from voicecli.providers.fields import at, brief, error_message, identifier, parse_object, reason
from voicecli.providers.openai.endpoint import SETUP_ADVICE
from voicecli.providers.openai.setup import setting_in, setting_of

__all__ = [
    "ACCOUNT",
    "FATAL",
    "HARMLESS",
    "OPENAI_ITSELF",
    "RETRYABLE_RESPONSES",
    "Server",
    "ServerError",
    "close_error",
    "error_for",
    "handshake_error",
    "transcription_advice",
]

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
_QUOTA = {"billing_hard_limit_reached", "billing_not_active", "credit_balance_exhausted", "insufficient_quota"}
_MODEL = {"invalid_model", "missing_model", "model_not_found"}
ACCOUNT = frozenset(_KEY | _QUOTA)
"""Errors about the key, or what there is on the account."""
FATAL = frozenset(ACCOUNT | _MODEL | {"beta_api_shape_disabled", "session_expired"})
"""Errors after which the server closes the socket."""

_STATUS_PAGE = "Try again; https://status.openai.com tells of disturbances."
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
_UNKNOWN_TO_SERVER = {
    "voice": "Choose a voice that this server has: voice, or --voice.",
    "turn_detection": "Have the turns found here instead: vad_mode client, or --vad client.",
    "model": "Choose a model that this server has: model, or --model.",
    "live_backend_model": (
        "Choose a model that this server has, on Azure a deployment: live_backend_model, or --live-backend-model; "
        '"none" has nothing handed over.'
    ),
}
"""Advice on a setting that nobody chose, by the setting: what was refused is what voicecli sends without it."""
_TRANSCRIPTION_ADVICE = (
    'Choose a transcription model that this server has (transcription_model, or --transcription-model), or "none": '
    "then nothing writes down what you say."
)
# A close reason is `<error type>.<error code>`.
_REASON = re.compile(r"^[a-z_]+\.([a-z_]+)$")


@dataclass(frozen=True, slots=True)
class Server:
    """The server that answers, and what it was asked for.

    Attributes:
        name: for people: "OpenAI", or host and port of a compatible server.
        is_openai: whether OpenAI's own pages tell of it.
        chosen: the settings that were chosen; others have the value that voicecli sends without a choice.
        transcription_model: the name of the model that is to transcribe; "" without one.
    """

    name: str = "OpenAI"
    is_openai: bool = True
    chosen: frozenset[str] = frozenset()
    transcription_model: str = ""

    @property
    def later(self) -> str:
        """Advice where the server is in trouble."""
        return _STATUS_PAGE if self.is_openai else f"Try again; the log of {self.name} may tell more."

    @property
    def key_advice(self) -> str:
        if self.is_openai:
            return SETUP_ADVICE
        return f"Set OPENAI_API_KEY, or run `voice keys set openai`, with a key that {self.name} knows."

    @property
    def model_advice(self) -> str:
        if self.is_openai:
            return "Choose a model of `voice list-models openai`; --live asks which ones your key may use."
        return f"Choose a model that {self.name} has; `voice list-models openai --live` asks which."


OPENAI_ITSELF = Server()


@dataclass(frozen=True, slots=True)
class ServerError:
    """The `error` of an event or of a failed response; fields that are no text are "".

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
        """From an object, or from what loose servers put in its place: a text, a list, nothing."""
        if isinstance(error, list) and error and isinstance(error[0], dict):
            error = error[0]
        named = {name: identifier(at(error), name) for name in ("type", "code", "param", "event_id")}
        return cls(**named, message=brief(reason(error)))

    @classmethod
    def of_event(cls, frame: object) -> "ServerError":
        """From an `error` event, which some servers write without the `error` in it."""
        error = cls.parse(at(frame).get("error"))
        if error == cls():
            outer = {name: value for name, value in at(frame).items() if name not in {"type", "event_id", "error"}}
            error = cls.parse(outer)
        return error

    @property
    def name(self) -> str:
        """The code, or the type where there is none."""
        return self.code or self.type

    @property
    def is_fatal(self) -> bool:
        """Whether the server closes the socket after it; a new code may come with a type that is known."""
        return self.code in FATAL or self.type in FATAL


def error_for(
    error: ServerError, server: Server = OPENAI_ITSELF, *, close_code: int | None = None
) -> RealtimeConnectionError:
    """The exception that tells of the error; `retryable` says whether a new connection may help."""
    code, said = error.name, error.message.rstrip(". ") or error.name or "no reason given"
    names = {error.code, error.type}
    if names & _KEY:
        return AuthenticationError(
            f"{server.name} refused the key: {said}.", advice=server.key_advice, code=code, close_code=close_code
        )
    if names & _QUOTA:
        billing = "Add credit at https://platform.openai.com/settings/organization/billing."
        return QuotaExceededError(
            f"{server.name}: {said}.",
            advice=billing if server.is_openai else f"Add credit to your account with {server.name}.",
            code=code,
            close_code=close_code,
        )
    if code in _LIMITS:
        return QuotaExceededError(
            f"{server.name}'s rate limit is used up: {said}.",
            advice="Wait a moment and say it again.",
            code=code,
            close_code=close_code,
            retryable=True,
        )
    advice, retryable = "", False
    setting = _setting_of(error, server)
    if setting == "transcription_model":
        said, advice = f"it refused {setting!r}: {said}", _TRANSCRIPTION_ADVICE
    elif setting == "live_backend_model":
        said, advice = f"it refused {setting!r}: {said}", _UNKNOWN_TO_SERVER[setting]
    elif code in _MODEL:
        advice = server.model_advice
    elif code == "beta_api_shape_disabled":
        advice = "Take the OpenAI-Beta header out of your headers: the beta ended in May 2026."
    elif code == "session_expired":
        said, retryable = "the session reached its limit of 60 minutes", True
    elif code == "server_error":
        advice, retryable = server.later, True
    elif setting:
        said = f"it refused {setting!r}: {said}"
        advice = f"Leave {setting!r} out, or give it another value."
        if setting not in server.chosen:
            advice = _UNKNOWN_TO_SERVER.get(setting, f"Set {setting!r} to a value that this server takes.")
    return RealtimeConnectionError(
        f"{server.name}: {said}.", advice=advice, code=code, close_code=close_code, retryable=retryable
    )


def _setting_of(error: ServerError, server: Server) -> str:
    """The setting that an error is about; "" when it is about none."""
    if error.param:
        return setting_of(error.param) if error.param.startswith("session.") else setting_in(error.param)
    if server.transcription_model and server.transcription_model in error.message:
        return "transcription_model"
    return setting_in(error.message)


def transcription_advice(error: ServerError, server: Server) -> str:
    """Advice about speech that could not be transcribed; "" where that is not the model's fault."""
    of_model = "model" in error.code or (server.transcription_model and server.transcription_model in error.message)
    return _TRANSCRIPTION_ADVICE if of_model else ""


def close_error(
    code: int, said: str, last: ServerError | None, server: Server = OPENAI_ITSELF
) -> RealtimeConnectionError:
    """The error that a close means, given the one that came just before it."""
    if last is None and (match := _REASON.match(said)):
        last = ServerError(code=match[1])
    if last is not None and (last.name or last.message):
        error = error_for(last, server, close_code=code)
        error.retryable = error.retryable or (code in _RETRYABLE_CLOSES and not last.is_fatal)
        error.advice = error.advice or server.later
        return error
    what = _CLOSES.get(code, f"closed the connection with code {code}")
    said = f": {brief(said)}" if said else ""
    return RealtimeConnectionError(
        f"{server.name} {what}{said}.", advice=server.later, close_code=code, retryable=code in _RETRYABLE_CLOSES
    )


def handshake_error(status: int, body: bytes, server: Server = OPENAI_ITSELF) -> RealtimeConnectionError:
    """The error for an HTTP answer instead of a WebSocket."""
    error, said = _body_error(body), error_message(body).rstrip(". ")
    code, said = error.code or str(status), f": {said}" if said else ""
    if error.is_fatal:
        return error_for(error, server)
    if status == 401 or (status == 403 and not said):
        return AuthenticationError(
            f"{server.name} refused the key (HTTP {status}){said}.", advice=server.key_advice, code=code
        )
    if status == 429:
        return QuotaExceededError(
            f"{server.name}'s rate limit is used up (HTTP 429){said}.",
            advice="Wait a moment, or look at your limits.",
            code=code,
            retryable=True,
        )
    return RealtimeConnectionError(
        f"{server.name} answered HTTP {status}{said}.",
        advice=_handshake_advice(status, server),
        code=code,
        retryable=status >= 500 or status == 408,
    )


def _handshake_advice(status: int, server: Server) -> str:
    if 300 <= status < 400:
        return "Check the base URL: it leads somewhere else."
    if status < 300 or status == 426:
        return "Check the base URL: no Realtime API answers there, or a proxy in between passes no WebSockets."
    if status in {502, 503, 504} and not server.is_openai:
        return f"Try again; what answers at {server.name} may not reach the model's own server."
    return {
        400: "Check the model, the options and the headers.",
        403: "Your country, network or project may not be allowed to use this model.",
        404: "Check the model and the base URL.",
        407: "The proxy wants a password: put it into HTTPS_PROXY.",
    }.get(status, server.later)


def _body_error(body: bytes) -> ServerError:
    try:
        return ServerError.parse(parse_object(body, "").get("error"))
    except ProtocolError:
        return ServerError()
