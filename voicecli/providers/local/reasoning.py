"""Parts of a model's text that are not for the user: its reasoning, and the tokens that frame messages.

Servers strip both where they know the model's format. Where they do not, they arrive as text, in deltas of any size.
"""

import json
import re

__all__ = ["ReasoningFilter", "begins_by_thinking"]

_TAGS = ("think", "thinking", "thought", "thoughts", "reasoning", "reflection", "seed:think")
_OPENING = {
    *(f"<{tag}>" for tag in _TAGS),
    *("[think]", "◁think▷", "<|begin_of_thought|>", "<|start_thinking|>", "<|channel>thought"),
}
_CLOSING = {
    *(f"</{tag}>" for tag in _TAGS),
    *("[/think]", "◁/think▷", "<|end_of_thought|>", "<|end_thinking|>", "<channel|>"),
}
_OVER = {
    *("<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|eot|>", "<|end|>", "<|end_of_text|>", "<|endoftext|>"),
    *("<|return|>", "<|call|>", "<|end_of_turn_token|>", "<|endofturn|>", "<end_of_turn>", "<turn|>", "<eos>", "</s>"),
    "<\uff5cend\u2581of\u2581sentence\uff5c>",
}
_ROLE = {"<|start|>", "<|im_start|>", "<|start_header_id|>", "<start_of_turn>", "<|turn>"}
_IGNORED = {"<s>", "<bos>", "<pad>", "[inst]", "[/inst]"}
_LITERALS = _OPENING | _CLOSING | _OVER | _ROLE | _IGNORED
# Tokens that hold calls of tools are read elsewhere.
_SPECIAL = r"<[|\uff5c](?!python_tag)[^\s<>|\uff5c]{1,40}[|\uff5c]>"
_TOKEN = re.compile(f"{'|'.join(map(re.escape, sorted(_LITERALS, key=len, reverse=True)))}|{_SPECIAL}", re.IGNORECASE)
_UNFINISHED_SPECIAL = re.compile(r"<[|\uff5c][^\s<>|\uff5c]{0,40}[|\uff5c]?\Z")
_LONGEST = max(map(len, _LITERALS))
_BEGINNINGS = {literal[0] for literal in _LITERALS}
_RECIPIENT = re.compile(r"to=(?:functions\.)?([\w.-]+)")
_ASSISTANT = ("assistant", "model")
_LINE_START = re.compile(r"(?:\A|[\n>\]▷])[ \t]*\Z")

_THINKERS = re.compile(r"(?:\A|[-_/.: ])(?:r1|qwq|thinking|thinker|reasoning|reasoner)(?:[-_.: ]|\Z)", re.IGNORECASE)


def begins_by_thinking(model: str) -> bool:
    """Tell by its name a model that may begin with reasoning which no tag opens, as the prompt has opened it."""
    return _THINKERS.search(model) is not None


class ReasoningFilter:
    """Takes an answer in deltas of any size; gives what of it is for the user.

    Args:
        inside: the answer begins with reasoning, which ends with a closing tag. Where none comes, it was the answer.

    Attributes:
        reasoned: whether there was reasoning.
        stray: whether a closing tag came without an opening one, after text that was given out.
        unfounded: whether the answer was over and held no reasoning, although `inside` said so.
    """

    def __init__(self, *, inside: bool = False) -> None:
        self.reasoned = False
        self.stray = False
        self.unfounded = False
        self._assumed = inside
        self._state = "inside" if inside else "text"  # or "role", "header", "call", "over"
        self._buffer = ""
        self._kept = ""  # reasoning that was only assumed; a header; a call's arguments
        self._recipient = ""
        self._before = ""  # the end of what came before the buffer
        self._shown = False

    def push(self, delta: str) -> str:
        """Take a delta; the text for the user that is ready."""
        self._buffer += delta
        shown = ""
        while (token := _TOKEN.search(self._buffer)) is not None and not self._may_grow(token):
            shown += self._text(self._buffer[: token.start()])
            self._before = (self._before + self._buffer[: token.start()])[-_LONGEST:]
            self._buffer = self._buffer[token.end() :]
            shown += self._token(token.group())
            self._before += token.group()
        held = self._held()
        ready, self._buffer = self._buffer[: len(self._buffer) - held], self._buffer[len(self._buffer) - held :]
        self._before = (self._before + ready)[-_LONGEST:]
        return shown + self._text(ready)

    def flush(self) -> str:
        """End the answer; the rest of the text for the user."""
        rest, self._buffer = self._buffer, ""
        shown = self._text(rest)
        if self._state == "inside" and self._assumed:
            self.unfounded = True
            shown += self._kept
        elif self._state == "call":
            shown += self._end_call()
        self._kept, self._state = "", "over"
        self._shown = self._shown or bool(shown.strip())
        return shown

    def _may_grow(self, token: re.Match[str]) -> bool:
        """Tell a token that more text could make a longer one."""
        rest = self._buffer[token.start() :].lower()
        return any(literal.startswith(rest) and literal != rest for literal in _LITERALS)

    def _held(self) -> int:
        """The number of characters at the buffer's end that may begin a token."""
        if special := _UNFINISHED_SPECIAL.search(self._buffer):
            return len(special.group())
        lower = self._buffer[-_LONGEST:].lower()
        for start, character in enumerate(lower):
            if character in _BEGINNINGS and any(literal.startswith(lower[start:]) for literal in _LITERALS):
                return len(lower) - start
        return 0

    def _text(self, text: str) -> str:
        """Take plain text; the part that is shown in this state."""
        if not text:
            return ""
        match self._state:
            case "text":
                if not self._shown:
                    text = text.lstrip() if self.reasoned else text
                    self._shown = bool(text.strip())
                return text
            case "role":
                self._kept += text
                role, newline, rest = self._kept.lstrip("\n").partition("\n")
                if newline:
                    self._state, self._kept = "text" if role.strip().lower() in _ASSISTANT else "over", ""
                    return self._text(rest)
            case "inside":
                self.reasoned = self.reasoned or not self._assumed
                if self._assumed:
                    self._kept += text
            case "header" | "call":
                self._kept += text
            case _:
                pass
        return ""

    def _token(self, written: str) -> str:
        token = written.lower()
        in_code = self._before.endswith("`")
        if token in _OPENING:
            if self._state == "text" and (in_code or not _LINE_START.search(self._before)):
                return written  # somebody writes about it
            self._enter("inside", reasoned=True)
        elif token in _CLOSING:
            if self._state == "text" and in_code:
                return written
            self._close()
        elif token == "<|channel|>":
            shown = self._end_call() if self._state == "call" else ""
            self._enter("header")
            return shown
        elif token == "<|message|>":
            self._message()
        elif token in _ROLE:
            shown = self._end_call() if self._state == "call" else ""
            self._enter("role")
            return shown
        elif token == "<|end_header_id|>":
            self._enter("text" if self._kept.strip().lower() in _ASSISTANT else "over")
        elif token in _OVER:
            return self._end()
        return ""

    def _enter(self, state: str, *, reasoned: bool = False) -> None:
        self._state, self._kept, self._assumed = state, "", False
        self.reasoned = self.reasoned or reasoned

    def _close(self) -> None:
        if self._state == "text":
            self.stray = self.stray or self._shown
        self._enter("text", reasoned=True)

    def _message(self) -> None:
        """A header is complete: `final`, `analysis`, or `commentary to=functions.NAME`."""
        if self._state != "header":
            return
        header = self._kept.strip().lower()
        recipient = _RECIPIENT.search(self._kept)
        if recipient:
            self._recipient = recipient[1]
            self._enter("call")
        elif header.startswith("final"):
            self._enter("text")
        else:
            self._enter("inside", reasoned=True)

    def _end(self) -> str:
        match self._state:
            case "call":
                shown = self._end_call()
                self._enter("over")
                return shown
            case "inside" if self._assumed:
                self.unfounded = True
                shown, self._kept = self._kept, ""
                self._enter("over")
                self._shown = self._shown or bool(shown.strip())
                return shown
            case "text" if not self._shown:
                pass  # nothing was said yet: it ends something before the answer
            case _:
                self._enter("over")
        return ""

    def _end_call(self) -> str:
        arguments = self._kept.strip() or "{}"
        self._enter("over")
        return f'<tool_call>{{"name": {json.dumps(self._recipient)}, "arguments": {arguments}}}</tool_call>'
