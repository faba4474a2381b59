"""The spoken part of a reply's text. Everything is shown; code, tables and marks for the eye are not said."""

import re
from typing import Any
from urllib.parse import urlsplit

from markdown_it import MarkdownIt

__all__ = ["SpokenText"]

_NOTHING_SAID = "The answer is on the screen."

_FENCE = re.compile(r"\s{0,3}(```+|~~~+)")
_DELIMITER_ROW = re.compile(r"\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)+\|?\s*$|\s*\|\s*:?-+:?\s*\|\s*$")
_ROW = re.compile(r"\s*\|.*\S")
_BREAK = re.compile(r"\s*(?:[-*_=]\s*){3,}$")
_DEFINITION = re.compile(r"\s{0,3}\[[^\]]+\]:\s")  # of a footnote or a link
_BLOCK_MARK = re.compile(r"\s*(?:>+\s?)*(?:#{1,6}\s+|(?:[-*+\u2022]\s+)(?:\[[ xX]\]\s+)?)?")

_CITATION = re.compile(r"\[\^[^\]\s]+\]|(?<=[\w.,;!?)\"'])\[\d{1,3}(?:,\s*\d{1,3})*\]|\u3010[^\u3011]*\u3011")
_CUT_LINK = re.compile(r"\]\([^)\s]*\)")  # the end of a link that began in the piece before
_URL = re.compile(r"\b(?:https?|ftp)://[^\s<>\"')\]]+|\bwww\.[^\s<>\"')\]]+", re.IGNORECASE)
_URL_END = ".,;:!?*_"

_LATEX = re.compile(r"\\[()\[\]]|\$\$")
_INLINE_LATEX = re.compile(r"(?<![\w$])\$(?=[^$\n]*[\\^_=])(\S[^$\n]*)\$(?!\w)")
_FRACTION = re.compile(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}")
_ROOT = re.compile(r"\\sqrt\s*\{([^{}]*)\}")
_COMMAND = re.compile(r"\\([a-zA-Z]+)\s*")
_COMMANDS = {
    "times": "times", "cdot": "times", "div": "divided by", "pm": "plus or minus", "leq": "is at most",
    "le": "is at most", "geq": "is at least", "ge": "is at least", "neq": "is not", "ne": "is not",
    "approx": "is about", "to": "to", "rightarrow": "to", "infty": "infinity", "sum": "the sum of",
    "int": "the integral of", "left": "", "right": "", "text": "", "mathrm": "", "mathbf": "", "quad": "", "boxed": "",
}  # fmt: skip

# Signs that the voice leaves out or spells ("asterisk"), where they stand between two values.
_LEFT, _RIGHT = r"(?<=[\w)\]%°])\s*", r"\s*(?=[\w($€£.\-\u2212])"
_TIMES = re.compile(r"(?<=\d)\s*\\?\*\s*(?=\d)|(?<=[\w)]) \\?\* (?=[\w(])")
_SIGNS = tuple(
    (re.compile(pattern), f" {words} ")
    for pattern, words in (
        (r"\s*(?:<->|<=>|[\u2194\u21d4])\s*", "to and from"),
        (r"\s*(?:-+>|=+>|[\u2192\u21d2\u27f6\u279c])\s*", "to"),
        (r"\s*[\u2190\u21d0]\s*", "from"),
        (rf"{_LEFT}(?:<=|\u2264){_RIGHT}", "is at most"),
        (rf"{_LEFT}(?:>=|\u2265){_RIGHT}", "is at least"),
        (rf"{_LEFT}(?:!=|=/=|\u2260){_RIGHT}", "is not"),
        (rf"{_LEFT}(?:\u2248|~=){_RIGHT}", "is about"),
        (rf"{_LEFT}={{1,3}}{_RIGHT}", "equals"),
        (rf"{_LEFT}<{_RIGHT}", "is less than"),
        (rf"{_LEFT}>{_RIGHT}", "is greater than"),
        (r"(?<=[\w)])\s*\u2212\s*(?=[\w(])|(?<=[\d)]) - (?=[\d(])", "minus"),
        (r"\u2212(?=\d)", "minus"),
        (r"(?<=\d)\u2013(?=\d)", "to"),
        (r"(?<=[\d)])(?: / |\s*\u00f7\s*)(?=[\d(])", "divided by"),
        (r"\^\{?2\}?(?![\d.\w])|\u00b2", "squared"),
        (r"\^\{?3\}?(?![\d.\w])|\u00b3", "cubed"),
        (r"(?<=[\w)])\^(?=[\w({\-])", "to the power of"),
        (r"(?<![\w~])[~\u2248](?=\s?[\d$€£])", "about"),
        (r"(?<!\S)#(?=\d)", "number"),
        (r"(?<=\b[CF])#", "sharp"),
        (r"(?<=\s)&(?=\s)", "and"),
    )
)
_EMOJI = re.compile(
    "[\u200d\u20e3\ufe0e\ufe0f\u2300-\u23ff\u2460-\u27bf\u2900-\u2bff\U0001f000-\U0001faff\U000e0020-\U000e007f]+"
)
_LEFT_OVER = re.compile(r"[*`#~|<>\[\]{}\\^]+|(?<!\w)_+|_+(?!\w)")
_SPACE_BEFORE = re.compile(r"\s+(?=[.,;:!?])")

_MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable("strikethrough")


class SpokenText:
    """Takes a reply's text in pieces that do not cut words; tells what is spoken of each.

    Pieces may end amid a line; what a line is, is decided by the piece that begins it.
    """

    def __init__(self) -> None:
        self._fence = ""  # the mark that will close the code block
        self._in_table = False
        self._line_begins = True
        self._line_silent = False
        self._left_out = False
        self._said = False

    def push(self, piece: str) -> str:
        """The words to speak for `piece`; "" when there is nothing to say."""
        lines = [line for line in piece.splitlines(keepends=True) if self._is_spoken(line)]
        words = _words("".join(lines))
        self._said = self._said or bool(words)
        return words

    def end(self) -> str:
        """The words to speak at the end of a reply that was nothing but code or a table; "" otherwise."""
        return _NOTHING_SAID if self._left_out and not self._said else ""

    def _is_spoken(self, line: str) -> bool:
        if self._line_begins:
            self._line_silent = self._begins_silent_line(line)
        self._line_begins = line.endswith(("\n", "\r"))
        self._left_out = self._left_out or self._line_silent
        return not self._line_silent

    def _begins_silent_line(self, line: str) -> bool:
        text = line.strip()
        if self._fence:
            if text.startswith(self._fence) and not text.strip(self._fence[0]):
                self._fence = ""
            return True
        if (fence := _FENCE.match(line)) and "`" not in text.lstrip("`"):
            self._fence = fence[1]
            return True
        if not text:
            self._in_table = False
            return False
        if _DELIMITER_ROW.match(line):
            self._in_table = True
            return True
        return bool(
            (self._in_table and "|" in text) or _ROW.match(line) or _BREAK.match(line) or _DEFINITION.match(line)
        )


def _words(text: str) -> str:
    text = "\n".join(line[_mark_end(line) :] for line in text.split("\n"))
    text = _TIMES.sub(" times ", _without_latex(text))
    tokens = _MARKDOWN.parseInline(_CITATION.sub("", text))[0].children or []
    text = _URL.sub(_host, _CUT_LINK.sub(" ", "".join(map(_token_text, tokens))))
    for pattern, words in _SIGNS:
        text = pattern.sub(words, text)
    text = _LEFT_OVER.sub(" ", _EMOJI.sub(" ", text))
    text = _SPACE_BEFORE.sub("", " ".join(text.split()))
    return text if any(character.isalnum() for character in text) else ""


def _mark_end(line: str) -> int:
    mark = _BLOCK_MARK.match(line)
    return mark.end() if mark else 0


def _token_text(token: Any) -> str:
    match token.type:
        case "text" | "code_inline":
            return str(token.content)
        case "image":
            return "".join(map(_token_text, token.children or []))
        case "softbreak" | "hardbreak" | "html_inline":
            return " "
        case _:
            return ""


def _host(url: re.Match[str]) -> str:
    """The name that people would say for an address, and the punctuation after it."""
    address = url.group().rstrip(_URL_END)
    try:
        host = urlsplit(address if "://" in address else f"http://{address}").hostname or ""
    except ValueError:
        host = ""
    return host.removeprefix("www.") + url.group()[len(address) :]


def _without_latex(text: str) -> str:
    if "\\" not in text and "$" not in text:
        return text
    text = _INLINE_LATEX.sub(r"\1", _LATEX.sub(" ", text))
    text = _ROOT.sub(r"the root of \1", _FRACTION.sub(r"\1 over \2", text))
    return _COMMAND.sub(lambda command: f" {_COMMANDS.get(command[1], command[1])} ", text)
