"""Errors of GPT-Live: which end the conversation, and what the end of a session means."""

from voicecli.errors import RealtimeConnectionError
from voicecli.events import CONTENT_FILTER
from voicecli.providers.openai.errors import ACCOUNT, Server, ServerError

__all__ = ["HARMLESS", "closed_error", "fails_handoff", "is_fatal", "is_moderation"]

HARMLESS = frozenset({"context_injection_incomplete"})
"""Context that the model had not yet taken in when the session ended."""
_FATAL = ACCOUNT | {"forbidden"}
_MODERATION = ("moderation", "content_filter", "content_policy", "safety")


def is_fatal(error: ServerError) -> bool:
    """Whether the conversation is over, once it has begun: by the error's code, or by its type, which changes less."""
    return bool({error.code, error.type} & _FATAL)


def is_moderation(error: ServerError) -> bool:
    """Whether the service stopped the model for what it says: the session goes on. No code for it is documented."""
    return any(word in name for word in _MODERATION for name in (error.code, error.type))


def fails_handoff(error: ServerError) -> bool:
    """Whether work that was handed over came to nothing; the service does not say which."""
    said = error.message.lower()
    return "handoff" in said or error.code == "model_not_found" or ("model" in said and "does not exist" in said)


def closed_error(reason: str, server: Server) -> RealtimeConnectionError:
    """The error for a `session.closed`; that of a clean end when it was asked for."""
    if reason in {"close_requested", "remote_hangup"}:
        return RealtimeConnectionError(f"{server.name} closed the session.", close_code=1000)
    if reason == "content":
        return RealtimeConnectionError(
            f"{server.name} ended the session for what is said in it.", code=CONTENT_FILTER, close_code=1000
        )
    what = {"expired": "has reached its time limit", "connection_lost": "was lost"}.get(reason, "has ended")
    return RealtimeConnectionError(
        f"The session with {server.name} {what}.", advice=server.later, code=reason, close_code=1000, retryable=True
    )
