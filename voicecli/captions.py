"""Captions: what was said and when, and SRT and WebVTT of it, in pieces that can be read along."""

import itertools
import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

__all__ = ["Caption", "CaptionFormat", "CaptionText", "Cue", "readable", "srt", "vtt"]

CaptionFormat = Literal["srt", "vtt"]

_LINE = 42  # columns; two such lines are the usual limit of subtitles (BBC: 37, Netflix: 42)
_LINES = 2
_SHORTEST_MS = 1_000  # that a caption stays, unless the next one follows sooner
_LEAST_MS = 300  # that it stays even then: what is said at the same moment comes one after the other
_LEAST_PAUSE_MS = 500  # between two utterances, where the next one is not known yet
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Caption:
    """An utterance as it is written down, so far.

    Attributes:
        id: of the utterance; captions with the same one replace each other.
        start_ms, end_ms: where its voice begins and ends, in ms since the sound began; as long as it is not final, how
            far it is known.
        text: all of it so far.
        final: whether this is the last of the utterance.
        channel: which one it was said on, from 1; None where they are not told apart.
    """

    id: str
    start_ms: int
    end_ms: int
    text: str
    final: bool
    channel: int | None = None

    @property
    def speaker(self) -> str:
        """The name of the channel; "" where they are not told apart."""
        return f"Channel {self.channel}" if self.channel else ""

    def cue(self) -> Cue:
        """The caption as it stands, to be shown at its time."""
        return Cue(start_ms=self.start_ms, end_ms=self.end_ms, text=self.text, speaker=self.speaker)


class CaptionText:
    """SRT or WebVTT that grows: each piece, put behind those before it, makes a complete file.

        text = CaptionText("srt")
        file.write(text.begin() + text.add(cue) + text.add(another) + text.end())

    Cues come in the order of their times; one that does not begins with the last one at the earliest. Speakers who are
    told apart may speak at once, and their cues overlap: of those the later parts of a long cue wait for the next one.
    """

    def __init__(self, form: CaptionFormat) -> None:
        self._form = form
        self._count = 0
        self._begun_ms = 0  # when the last one written begins
        self._over_ms: dict[str, int] = {}  # when the last cue of each speaker is over
        self._speaker = self._written_speaker = ""  # of the last cue, and of the last part that was written
        self._waiting: list[Cue] = []

    def begin(self) -> str:
        """All that stands in a file without any cue."""
        return "WEBVTT\n" if self._form == "vtt" else ""

    def add(self, cue: Cue) -> str:
        """The next cue, made readable."""
        if not _plain(cue.text):
            return ""
        earliest = max(self._begun_ms, self._over_ms.get(cue.speaker, 0))
        parts = _readable([cue], self._label, self._speaker, earliest, cue.end_ms + _LEAST_PAUSE_MS)
        self._speaker, self._over_ms[cue.speaker] = cue.speaker, parts[-1].end_ms
        self._waiting = sorted([*self._waiting, *parts], key=lambda part: part.start_ms)
        return self._written(parts[0].start_ms if cue.speaker else parts[-1].start_ms)

    def end(self) -> str:
        """What waits: no cue comes any more."""
        return self._written(self._waiting[-1].start_ms) if self._waiting else ""

    def whole(self, cues: Iterable[Cue]) -> str:
        """The text of all cues, where none follows or came before; no two overlap."""
        return self.begin() + "".join(map(self._block, readable(cues, self._label)))

    @property
    def _label(self) -> Callable[[Cue], str]:
        return _name_before if self._form == "srt" else _no_label

    def _written(self, until_ms: int) -> str:
        ready = [part for part in self._waiting if part.start_ms <= until_ms]
        self._waiting = self._waiting[len(ready) :]
        self._begun_ms = max([self._begun_ms, *(part.start_ms for part in ready)])
        return "".join(map(self._named_block, ready))

    def _named_block(self, part: Cue) -> str:
        """A part; one that goes on after somebody else's words says again whose it is."""
        name = self._label(part) if part.speaker != self._written_speaker else ""
        self._written_speaker = part.speaker
        return self._block(part if part.text.startswith(name) else replace(part, text=name + part.text))

    def _block(self, cue: Cue) -> str:
        self._count += 1
        if self._form == "vtt":
            voice = f"<v {_escaped(_plain(cue.speaker))}>" if cue.speaker else ""
            return f"\n{_time(cue.start_ms, '.')} --> {_time(cue.end_ms, '.')}\n{voice}{_escaped(cue.text)}\n"
        # The arrow is the one thing by which a reader may take words for times.
        text = cue.text.replace("-->", "→")
        gap = "\n" if self._count > 1 else ""
        return f"{gap}{self._count}\n{_time(cue.start_ms, ',')} --> {_time(cue.end_ms, ',')}\n{text}\n"


def srt(cues: Iterable[Cue]) -> str:
    """The cues as SRT, made readable first; the speaker's name stands before the text where it changes."""
    return CaptionText("srt").whole(cues)


def vtt(cues: Iterable[Cue]) -> str:
    """The cues as WebVTT, made readable first; the speaker is named in each by a voice tag."""
    return CaptionText("vtt").whole(cues)


def readable(cues: Iterable[Cue], label: Callable[[Cue], str] | None = None) -> list[Cue]:
    """Split long cues and take their times apart.

    Args:
        label: what stands before the text of a cue whose speaker is another than the one before.

    Returns:
        cues of at most two lines of 42 columns in the order of their times, none of which begins before the last one
        is over. The parts of one get its time by their length.
    """
    spoken = sorted((cue for cue in cues if _plain(cue.text)), key=lambda cue: cue.start_ms)
    return _readable(spoken, label or _no_label)


def _no_label(cue: Cue) -> str:
    return ""


def _name_before(cue: Cue) -> str:
    return f"{cue.speaker}: " if cue.speaker else ""


def _readable(
    spoken: list[Cue],
    label: Callable[[Cue], str],
    speaker: str = "",
    earliest: int = 0,
    after: int | None = None,
) -> list[Cue]:
    """As `readable`, behind what has been shown already.

    Args:
        spoken: in the order of their times.
        speaker: of the cue before.
        earliest: when that is over, in ms.
        after: when the next one may begin; None for never.
    """
    pieces: list[list[str]] = []
    for cue in spoken:
        pieces.append(_pieces(_plain((label(cue) if cue.speaker != speaker else "") + cue.text)))
        speaker = cue.speaker
    starts: list[int] = []
    for cue, parts in zip(spoken, pieces, strict=True):
        starts.append(max(cue.start_ms, earliest))
        earliest = starts[-1] + _LEAST_MS * len(parts)
    limits = [*starts[1:], None if after is None else max(after, earliest)][: len(starts)]
    result = []
    for cue, parts, start, following in zip(spoken, pieces, starts, limits, strict=True):
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
