"""Every error voicecli raises.

    RealtimeError                       anything that goes wrong in a conversation
    ├── ConfigurationError              a setting, argument, key or package is wrong or missing (also a ValueError)
    ├── AudioFormatError                the audio handed in is not what it was said to be (also a ValueError)
    ├── RealtimeConnectionError         the provider cannot be reached, or ended the conversation
    │   ├── AuthenticationError         the provider refused the key
    │   └── QuotaExceededError          the account has no credit, or its rate limit is used up
    ├── LimitReachedError               a limit on cost, time or idleness ended the conversation
    ├── NoSpeechError                   there is no speech in the input, hence nothing to answer
    ├── ProtocolError                   the provider sent what its protocol does not allow
    ├── AudioDeviceError                microphone or loudspeaker cannot be used
    └── ToolError                       a tool cannot be offered to the model, or failed

Each says what failed and why, and carries in `advice` what to do next.
"""

__all__ = [
    "AudioDeviceError",
    "AudioFormatError",
    "AuthenticationError",
    "ConfigurationError",
    "LimitReachedError",
    "NoSpeechError",
    "ProtocolError",
    "QuotaExceededError",
    "RealtimeConnectionError",
    "RealtimeError",
    "ToolError",
]


class RealtimeError(Exception):
    """Base of all errors of voicecli.

    Args:
        message: what failed and why, as a sentence or two.
        advice: what the user can do about it.
    """

    def __init__(self, message: str, *, advice: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice

    def __str__(self) -> str:
        return f"{self.message} {self.advice}" if self.advice else self.message


class ConfigurationError(RealtimeError, ValueError):
    """A setting, argument, key or package is wrong or missing."""


class LimitReachedError(RealtimeError):
    """A limit on cost, time or idleness ended the conversation; what had been asked before was answered.

    Attributes:
        limit: the setting: "max_cost", "max_minutes" or "idle_minutes".
    """

    def __init__(self, message: str, *, limit: str, advice: str = "") -> None:
        super().__init__(message, advice=advice)
        self.limit = limit


class NoSpeechError(RealtimeError):
    """There is no speech in the input, hence nothing to answer."""


class AudioFormatError(RealtimeError, ValueError):
    """The audio handed in is not what it was said to be."""


class RealtimeConnectionError(RealtimeError):
    """The provider cannot be reached, or ended the conversation.

    Attributes:
        code: the provider's name for the error (`"session_expired"`), an HTTP status (`"503"`), "unreachable" for what
            came before the provider could answer, or "".
        close_code: the WebSocket close code, where a close is what happened.
        retryable: whether dialling again may help.
        retry_after_s: how long the provider asked to wait before that, in seconds.
    """

    def __init__(
        self,
        message: str,
        *,
        advice: str = "",
        code: str = "",
        close_code: int | None = None,
        retryable: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message, advice=advice)
        self.code = code
        self.close_code = close_code
        self.retryable = retryable
        self.retry_after_s = retry_after_s


class AuthenticationError(RealtimeConnectionError):
    """The provider refused the key."""


class QuotaExceededError(RealtimeConnectionError):
    """The account has no credit left, or its rate limit is used up."""


class ProtocolError(RealtimeError):
    """The provider sent what its protocol does not allow."""


class AudioDeviceError(RealtimeError):
    """Microphone or loudspeaker cannot be used."""


class ToolError(RealtimeError):
    """A tool cannot be offered to the model, or failed while it ran."""
