"""Reasons why a reply is not complete, in words for people."""

from voicecli.events import CONNECTION_LOST, CONTENT_FILTER, INVALID_TOOL_CALL, OUTPUT_LIMIT, RETRIES_EXHAUSTED

__all__ = ["reason_words"]

_WORDS = {
    CONNECTION_LOST: "the connection was lost",
    OUTPUT_LIMIT: "the limit of output tokens was reached",
    CONTENT_FILTER: "the provider's content filter stopped it",
    INVALID_TOOL_CALL: "the model called a tool wrongly",
    RETRIES_EXHAUSTED: "the provider gave up after several attempts",
}


def reason_words(reason: str) -> str:
    """The words for a `ResponseDone.reason`: one of the common reasons, or a code or sentence of the provider's."""
    if reason in _WORDS:
        return _WORDS[reason]
    code = " " not in reason
    return (reason.lower().replace("_", " ") if code else reason) or "no reason given"
