"""One JSON object of a chat endpoint's answer, read as liberally as can be: what it adds to the answer."""

from dataclasses import dataclass
from typing import Any

from voicecli.events import Usage
from voicecli.text import valid_text

__all__ = ["ChunkParts", "WholeCharacters", "read_chunk", "reason_of"]

_REASONING_FIELDS = ("reasoning_content", "reasoning", "thinking", "reasoning_text")
_REASONING_PARTS = ("thinking", "reasoning", "redacted_thinking", "reasoning_content")


@dataclass(frozen=True, slots=True)
class ChunkParts:
    """The parts of one object of an answer.

    Attributes:
        text: for the user.
        reasoned: whether it holds reasoning, which is not for the user.
        calls: pieces of calls of tools, as sent.
        finish: why the answer ends; "" while it goes on.
        usage: None if it tells none.
    """

    text: str = ""
    reasoned: bool = False
    calls: tuple[dict[str, Any], ...] = ()
    finish: str = ""
    usage: Usage | None = None


class WholeCharacters:
    """Joins the surrogate pairs of JSON, whose halves may come in two chunks."""

    def __init__(self) -> None:
        self._half = ""

    def push(self, text: str) -> str:
        """Take a chunk's text; the whole characters in it and before it."""
        text, self._half = self._half + text, ""
        if text and "\ud800" <= text[-1] <= "\udbff":
            text, self._half = text[:-1], text[-1]
        return valid_text(text)


def read_chunk(chunk: dict[str, Any]) -> ChunkParts:
    """The parts of a chunk; also of a whole answer, which has a message in place of the delta.

    Raises:
        TypeError: it has a form that means nothing here.
    """
    choice = _first_choice(chunk)
    delta = choice.get("delta") or choice.get("message") or {}
    if isinstance(delta, str):
        delta = {"content": delta}
    if not isinstance(delta, dict):
        raise TypeError(delta)
    text, reasoned = _content(delta.get("content"))
    if not text and isinstance(choice.get("text"), str):
        text = choice["text"]
    if not text and isinstance(delta.get("refusal"), str):
        text = delta["refusal"]
    finish = choice.get("finish_reason") or choice.get("done_reason") or (choice.get("done") is True and "stop")
    return ChunkParts(
        text,
        reasoned or any(isinstance(delta.get(field), str | list) and delta[field] for field in _REASONING_FIELDS),
        _calls(delta),
        str(finish or ""),
        _usage(chunk),
    )


def reason_of(answer: Any) -> str:
    """The text of an error, found wherever a server puts it; "" when it says nothing."""
    text = valid_text(_reason(answer))
    return " ".join(text.split())[:300].rstrip(". ")


def _reason(answer: Any, depth: int = 0) -> str:
    if isinstance(answer, str):
        return answer
    if depth > 4:
        return ""
    if isinstance(answer, dict):
        for key in ("error", "message", "detail", "msg", "error_description", "reason", "errors", "type"):
            if text := _reason(answer.get(key), depth + 1):
                return text
    if isinstance(answer, list):
        return "; ".join(text for entry in answer[:3] if (text := _reason(entry, depth + 1)))
    return ""


def _first_choice(chunk: dict[str, Any]) -> dict[str, Any]:
    choices = chunk.get("choices")
    if not choices:  # Ollama's own format has no list
        return chunk if isinstance(chunk.get("message"), dict) else {}
    if isinstance(choices, dict):
        choices = [choices]
    if not isinstance(choices, list):
        raise TypeError(choices)
    for choice in choices:
        if not isinstance(choice, dict):
            raise TypeError(choice)
        if choice.get("index") in (None, 0, "0"):
            return choice
    return {}  # no more than one was asked for


def _content(content: Any) -> tuple[str, bool]:
    """The text of a message's content, and whether there is reasoning in it."""
    if content is None or isinstance(content, bool):
        return "", False
    if isinstance(content, str):
        return content, False
    if isinstance(content, int | float):
        return str(content), False
    if isinstance(content, dict):
        if content.get("type") in _REASONING_PARTS:
            return "", True
        inner = content.get("text", content.get("content"))
        return _content(inner.get("value") if isinstance(inner, dict) and "value" in inner else inner)
    if isinstance(content, list):
        parts = [_content(part) for part in content]
        return "".join(text for text, _ in parts), any(reasoned for _, reasoned in parts)
    raise TypeError(content)


def _calls(delta: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    calls = delta.get("tool_calls") or []
    if isinstance(calls, dict):
        calls = [calls]
    if not isinstance(calls, list):
        raise TypeError(calls)
    if not calls and isinstance(delta.get("function_call"), dict):  # as it was before there were tools
        calls = [{"function": delta["function_call"]}]
    return tuple(call for call in calls if isinstance(call, dict))


def _usage(chunk: dict[str, Any]) -> Usage | None:
    counts = chunk.get("usage")
    if not isinstance(counts, dict):
        if "eval_count" not in chunk:
            return None
        counts = {"prompt_tokens": chunk.get("prompt_eval_count"), "completion_tokens": chunk["eval_count"]}  # Ollama's
    details = counts.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else 0
    return Usage(
        input_text_tokens=_count(counts.get("prompt_tokens")),
        cached_text_tokens=_count(cached),
        output_text_tokens=_count(counts.get("completion_tokens")),
    )


def _count(value: Any) -> int:
    try:
        return max(0, int(value))
    except (TypeError, ValueError, OverflowError):
        return 0  # an answer is worth more than its count
