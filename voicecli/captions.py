"""Captions: SRT and WebVTT of what was said and when, in pieces that can be read along."""

import itertools
import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass

__all__ = ["Cue", "readable", "srt", "vtt"]

_LINE = 42  # columns; two such lines are the usual limit of subtitles (BBC: 37, Netflix: 42)
_LINES = 2
_SHORTEST_MS = 1_000  # that a caption stays, unless the next one follows sooner
_LEAST_MS = 300  # that it stays even then: what is said at the same moment comes one after the other
# With those of East Asia: full stop, exclamation and question mark; comma, enumeration comma, semicolon, colon.
_SENTENCE_ENDS, _CLAUSE_ENDS = ".?!…\u3002\uff01\uff1f", ",;:\uff0c\u3001\uff1b\uff1a"
_CLOSERS = "\"')]»\u201d\u2019\u300d\u300f\uff09"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cue:
    """What is shown from one moment to another, in ms.

    Attributes:
        text: in one line; as a result of `readable`, in up to two.
        speaker: the name of who says it; "" where nobody needs to know.
    """

    start_ms: int
    end_ms: int
    text: str
    speaker: str = ""


def srt(cues: Iterable[Cue]) -> str:
    """The cues as SRT, made readable first; the speaker's name stands before the text where it changes."""
    blocks = []
    for number, cue in enumerate(readable(cues, label=lambda cue: f"{cue.speaker}: " if cue.speaker else ""), 1):
        # The arrow is the one thing by which a reader may take words for times.
        text = cue.text.replace("-->", "→")
        blocks.append(f"{number}\n{_time(cue.start_ms, ',')} --> {_time(cue.end_ms, ',')}\n{text}\n")
    return "\n".join(blocks)


def vtt(cues: Iterable[Cue]) -> str:
    """The cues as WebVTT, made readable first; the speaker is named in each by a voice tag."""
    blocks = ["WEBVTT\n"]
    for cue in readable(cues):
        voice = f"<v {_escaped(_plain(cue.speaker))}>" if cue.speaker else ""
        times = f"{_time(cue.start_ms, '.')} --> {_time(cue.end_ms, '.')}"
        blocks.append(f"{times}\n{voice}{_escaped(cue.text)}\n")
    return "\n".join(blocks)


def readable(cues: Iterable[Cue], label: Callable[[Cue], str] = lambda cue: "") -> list[Cue]:
    """Split long cues and take their times apart.

    Args:
        label: what stands before the text of a cue whose speaker is another than the one before.

    Returns:
        cues of at most two lines of 42 columns in the order of their times, none of which begins before the last one
        is over. The parts of one get its time by their length.
    """
    spoken = sorted((cue for cue in cues if _plain(cue.text)), key=lambda cue: cue.start_ms)
    pieces: list[list[str]] = []
    before = ""
    for cue in spoken:
        pieces.append(_pieces(_plain((label(cue) if cue.speaker != before else "") + cue.text)))
        before = cue.speaker
    starts: list[int] = []
    earliest = 0
    for cue, parts in zip(spoken, pieces, strict=True):
        starts.append(max(cue.start_ms, earliest))
        earliest = starts[-1] + _LEAST_MS * len(parts)
    result = []
    for cue, parts, start, following in itertools.zip_longest(spoken, pieces, starts, starts[1:]):
        end = max(cue.end_ms, start + _SHORTEST_MS * len(parts))
        result += _timed(cue, parts, start, end if following is None else min(end, following))
    return result


def _timed(cue: Cue, pieces: list[str], start_ms: int, end_ms: int) -> list[Cue]:
    lengths = [0, *itertools.accumulate(_width(piece) for piece in pieces)]
    # Each has its least time, and the rest by its length.
    spare = end_ms - start_ms - _LEAST_MS * len(pieces)
    times = [
        start_ms + _LEAST_MS * count + spare * length // max(1, lengths[-1]) for count, length in enumerate(lengths)
    ]
    return [
        Cue(start_ms=begin, end_ms=end, text=piece, speaker=cue.speaker)
        for piece, (begin, end) in zip(pieces, itertools.pairwise(times), strict=True)
    ]


def _pieces(text: str) -> list[str]:
    """Cut a text into pieces of at most two lines, where a sentence or a clause ends, if that leaves them long."""
    words = _words(text)
    pieces, begin = [], 0
    while begin < len(words):
        piece = words[begin : begin + _LINES * _LINE + 1]
        lines = _wrapped(piece)
        if len(lines) > _LINES:
            taken = sum(len(line) for line in lines[:_LINES])
            piece = piece[: _best_break(piece[:taken])]
        # Two lines of like length read better than one that is full and one word below it.
        pieces.append("\n".join("".join(line).strip() for line in _balanced(piece)))
        begin += len(piece)
    return pieces


def _words(text: str) -> list[str]:
    """The parts between which a line may end, each with the blank before it. Of scripts without blanks, characters."""
    words = []
    for word in re.findall(r" ?[^ ]+", text):
        if _width(word.strip()) <= _LINE:
            words.append(word)
            continue
        words += _characters(word)
    return words


def _characters(word: str) -> list[str]:
    """A word that is wider than a line, in parts: at each character, marks and closing punctuation kept with it."""
    parts: list[str] = []
    for character in word:
        joins = unicodedata.combining(character) or character in _SENTENCE_ENDS + _CLAUSE_ENDS + _CLOSERS
        if parts and (joins or parts[-1] == " "):
            parts[-1] += character
        else:
            parts.append(character)
    # A run of punctuation alone can be as wide.
    return [part[at : at + _LINE // 2] for part in parts for at in range(0, len(part), _LINE // 2)]


def _wrapped(words: list[str], width: int = _LINE) -> list[list[str]]:
    lines: list[list[str]] = []
    used = 0
    for word in words:
        size = _width(word)
        if lines and used + size <= width:
            lines[-1].append(word)
            used += size
        else:
            lines.append([word])
            used = _width(word.strip())
    return lines


def _balanced(words: list[str]) -> list[list[str]]:
    lines = _wrapped(words)
    if len(lines) < 2:
        return lines
    widths = range(_width("".join(words).strip()) // 2, _LINE)
    return next((fit for width in widths if len(fit := _wrapped(words, width)) <= len(lines)), lines)


def _best_break(words: list[str]) -> int:
    """How many of these words, which fill a piece, belong into it."""
    for ends, least in ((_SENTENCE_ENDS, 3), (_CLAUSE_ENDS, 2)):  # at least a third, or a half of them
        for count in range(len(words), len(words) // least, -1):
            if words[count - 1].rstrip(_CLOSERS)[-1:] in tuple(ends):
                return count
    return len(words)


def _width(text: str) -> int:
    """Columns: characters of East Asia are two wide, combining marks none."""
    if text.isascii():  # five times faster
        return len(text)
    return sum(
        0 if unicodedata.combining(character) else 1 + (unicodedata.east_asian_width(character) in "WF")
        for character in text
    )


def _plain(text: str) -> str:
    """In one line, without control characters."""
    return " ".join("".join(" " if unicodedata.category(each) in ("Cc", "Cs") else each for each in text).split())


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _time(ms: int, point: str) -> str:
    seconds, ms = divmod(max(0, ms), 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{point}{ms:03}"
