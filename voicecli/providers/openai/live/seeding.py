"""The conversation so far, as the messages that a new session begins with."""

import re
from collections.abc import Sequence
from typing import Any

from voicecli.providers.openai.live.appends import LONGEST_TOOL_OUTPUT
from voicecli.text import valid_text
from voicecli.transcript import Turn

__all__ = ["seed"]

_MOST_MESSAGES = 128
_MOST_TOKENS = 7_500
"""Of the 8,192 that the service takes, by our own estimate."""
_PER_WORD = 1.4
_PER_MESSAGE = 8
_WORD = re.compile(r"[A-Z]?[a-z']+|[A-Z]+|\d{1,3}|[^\sA-Za-z0-9']")
"""A word in letters of English, three digits, or another sign. What is no language, such as a key in base64, falls into
pieces that are about as many as its tokens."""
_LONGEST_WORD = 16


def seed(turns: Sequence[Turn]) -> list[dict[str, Any]]:
    """The newest turns, in order, that fit: 128 messages and 8,192 tokens.

    A call of a tool is told in words. The newest turn is cut at its beginning where it alone is too long.
    """
    messages: list[dict[str, Any]] = []
    left = float(_MOST_TOKENS)
    for turn in reversed(turns):
        said = _said(turn)
        if not said:
            continue
        tokens = _tokens(said)
        if tokens > left and not messages:
            said, tokens = _end_of(said, left), left
        if tokens > left or len(messages) == _MOST_MESSAGES:
            break
        left -= tokens
        messages.append(_message(turn.role, said))
    return messages[::-1]


def _said(turn: Turn) -> str:
    text = valid_text(turn.text).strip()
    if turn.role != "tool":
        return text
    if not turn.final:
        return ""
    return f"Tool {turn.name}({valid_text(turn.arguments)}): {text[:LONGEST_TOOL_OUTPUT]}"


def _message(role: str, said: str) -> dict[str, Any]:
    if role == "assistant":
        return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": said}]}
    role = "developer" if role == "tool" else "user"
    return {"type": "message", "role": role, "content": [{"type": "input_text", "text": said}]}


def _tokens(said: str) -> float:
    return _PER_WORD * sum(map(_words, _WORD.findall(said))) + _PER_MESSAGE


def _words(piece: str) -> float:
    """How many words of usual length a piece counts for."""
    if len(piece) > _LONGEST_WORD:
        return len(piece) / 2
    return 2 if piece > "\uffff" else max(len(piece) / 8, 1)  # an emoji, for one


def _end_of(said: str, most: float) -> str:
    """The end of a text, of as many tokens."""
    while _tokens(said) > most:
        said = said[len(said) // 10 + 1 :]
    return said
