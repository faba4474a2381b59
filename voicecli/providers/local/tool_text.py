"""Calls of tools that a model writes into its text, where the server does not know the model's format for them."""

import ast
import json
import re
from collections.abc import Collection
from typing import Any

from voicecli.errors import ProtocolError
from voicecli.providers.local.chat_model import ToolCall

__all__ = ["ToolTextFilter"]

_CLOSING = {
    "<tool_call>": "</tool_call>",
    "<function_call>": "</function_call>",
    "<functioncall>": "</functioncall>",
    "<function=": "</function>",
    "[tool_calls]": "",  # JSON follows, and ends by itself
    "<|python_tag|>": "",
}
_OPENING = re.compile("|".join(map(re.escape, _CLOSING)), re.IGNORECASE)
_LONGEST = max(map(len, _CLOSING))
# A line that begins like a call written as bare JSON, perhaps in a code block.
_BARE = re.compile(r"(?:\A|(?<=\n))[ \t]*(?:```\w*\s*)?[\[{]")
_MAY_BE_BARE = re.compile(r"(?:\A|(?<=\n))[ \t]*(?:`{1,2}|```\w*\s*)\Z")
_CALL_LIKE = re.compile(r'[\s`\w]*\[?\s*\{\s*["\'](?:name|function|tool|tool_name|type|id|arguments|parameters)["\']')
_DECIDED_BY = 60  # characters
_FENCE_END = re.compile(r"\s*```\s*")
_XML = re.compile(r"<function=([\w.-]+)>(.*)", re.DOTALL)
_PARAMETER = re.compile(r"<parameter=([\w.-]+)>\n?(.*?)\n?</parameter>", re.DOTALL)


class ToolTextFilter:
    """Takes text in deltas of any size; gives text and calls.

    Args:
        names: the tools that were offered. Bare JSON is a call only if it names one of them.
    """

    def __init__(self, names: Collection[str]) -> None:
        self._names = names
        self._buffer = ""
        self._line_start = True
        self._in_fence = False  # a call was in a code block, whose end is still to come

    def push(self, delta: str) -> list[str | ToolCall]:
        """Take a delta; the text and calls that it completes."""
        self._buffer += delta
        return self._take(over=False)

    def flush(self) -> list[str | ToolCall]:
        """End the text; the rest of it."""
        return self._take(over=True)

    def _take(self, *, over: bool) -> list[str | ToolCall]:
        result: list[str | ToolCall] = []
        while self._buffer:
            if self._in_fence and not self._take_fence_end(over=over):
                break
            opening = _OPENING.search(self._buffer)
            bare = self._bare()
            if bare is not None and (opening is None or bare < opening.start()):
                self._give(result, bare)
                if not self._take_bare(result, over=over):
                    break
            elif opening is not None:
                self._give(result, opening.start())
                if not self._take_tagged(result, opening.group(), over=over):
                    break
            else:
                self._give(result, len(self._buffer) if over else len(self._buffer) - self._held())
                break
        return result

    def _take_fence_end(self, *, over: bool) -> bool:
        """Drop the end of the code block that a call was in; False while it may still come."""
        if fence := _FENCE_END.match(self._buffer):
            self._buffer = self._buffer[fence.end() :]
        elif not over and "```".startswith(self._buffer.strip()):
            return False
        self._in_fence = False
        return True

    def _bare(self) -> int | None:
        for match in _BARE.finditer(self._buffer):
            if match.start() or self._line_start:
                return match.start()
        return None

    def _give(self, result: list[str | ToolCall], length: int) -> None:
        text, self._buffer = self._buffer[:length], self._buffer[length:]
        if text:
            _, newline, last = text.rpartition("\n")
            self._line_start = (self._line_start or bool(newline)) and not last.strip()
            result.append(text)

    def _held(self) -> int:
        """The number of characters at the buffer's end that may begin a call."""
        for match in _MAY_BE_BARE.finditer(self._buffer):
            if match.start() or self._line_start:
                return len(self._buffer) - match.start()
        lower = self._buffer[-_LONGEST:].lower()
        for start in range(len(lower)):
            if any(tag.startswith(lower[start:]) for tag in _CLOSING):
                return len(lower) - start
        return 0

    def _take_bare(self, result: list[str | ToolCall], *, over: bool) -> bool:
        """Take the JSON that the buffer begins with; False while more must come."""
        start = next(index for index, character in enumerate(self._buffer) if character in "[{")
        if not (over or _CALL_LIKE.match(self._buffer) or len(self._buffer) - start < _DECIDED_BY):
            self._give(result, start + 1)
            return True
        try:
            value, length = json.JSONDecoder().raw_decode(self._buffer[start:])
        except (ValueError, RecursionError):
            if not over and _CALL_LIKE.match(self._buffer):
                return False
            if not over and len(self._buffer) - start < _DECIDED_BY:
                return False
            self._give(result, start + 1)
            return True
        calls = _calls(value, self._names)
        if calls:
            result.extend(calls)
            self._in_fence = "`" in self._buffer[:start]
            self._buffer = self._buffer[start + length :]
        else:
            self._give(result, start + length)
        return True

    def _take_tagged(self, result: list[str | ToolCall], opening: str, *, over: bool) -> bool:
        closing = _CLOSING[opening.lower()]
        body = self._buffer[len(opening) :]
        if closing:
            end = body.lower().find(closing)
            if end < 0 and not over:
                return False
            inner, rest = (body, "") if end < 0 else (body[:end], body[end + len(closing) :])
            calls = _read(f"{opening}{inner}" if opening == "<function=" else inner)
        else:
            start = len(body) - len(body.lstrip())
            try:
                value, length = json.JSONDecoder().raw_decode(body[start:])
            except (ValueError, RecursionError):
                if not over:
                    return False
                raise _unreadable(body) from None
            calls, rest = _calls(value), body[start + length :]
            if not calls:
                raise _unreadable(body)
        result.extend(calls)
        self._buffer = rest
        return True


def _read(text: str) -> list[ToolCall]:
    """The calls between two tags: JSON, or what some models write instead."""
    text = text.strip().removeprefix("```json").removeprefix("```").removesuffix("```").strip()
    if xml := _XML.match(text):
        name, inside = xml.groups()
        parameters = {key: _value(value) for key, value in _PARAMETER.findall(inside)}
        if not parameters and inside.strip().startswith("{"):
            parameters = _value(inside.strip().removesuffix("</function>"))
        return [ToolCall("", name, json.dumps(parameters))]
    value = _value(text)
    # One object after the other, without a list around them.
    calls = (
        _calls(value) if not isinstance(value, str) else [call for line in text.splitlines() for call in _line(line)]
    )
    if not calls:
        raise _unreadable(text)
    return calls


def _line(line: str) -> list[ToolCall]:
    return _calls(_value(line.strip()))


def _value(text: str) -> Any:
    """The value that `text` writes, as JSON or as Python would; else the text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


def _calls(value: Any, names: Collection[str] | None = None) -> list[ToolCall]:
    """The calls that a value stands for; only of `names`, if given."""
    if isinstance(value, list):
        return [call for entry in value for call in _calls(entry, names)]
    if not isinstance(value, dict):
        return []
    inner = value.get("function")
    if isinstance(inner, dict):
        value = inner
    name = value.get("name") or value.get("tool_name") or value.get("tool") or value.get("function")
    if not isinstance(name, str) or (names is not None and name not in names):
        return []
    arguments: Any = next((value[key] for key in ("arguments", "parameters", "args", "input") if key in value), {})
    text = arguments if isinstance(arguments, str) else json.dumps(arguments or {})
    return [ToolCall("", name, text or "{}")]


def _unreadable(text: str) -> ProtocolError:
    return ProtocolError(
        f"The model wrote a call of a tool that cannot be read: {text.strip()[:80]!r}.",
        advice="Ask again, or use a model that is made for calling tools.",
    )
