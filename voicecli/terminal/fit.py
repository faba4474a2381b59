"""Text that fits into a number of cells, and the signs that the view is drawn with. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from rich.cells import cell_len, get_character_cell_size

__all__ = ["ASCII", "UNICODE", "Glyphs", "glyphs_for", "head", "tail", "wrap"]

_WORD = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The signs the view is drawn with."""

    bullet: str
    done: str
    failed: str
    ellipsis: str
    bars: str


UNICODE = Glyphs("●", "✓", "✗", "…", "▁▂▃▄▅▆▇█")
ASCII = Glyphs("*", "ok", "x", "...", "_.:-=+*#")


def glyphs_for(encoding: str | None) -> Glyphs:
    """The signs that text of this encoding can hold."""
    try:
        "".join((UNICODE.bullet, UNICODE.done, UNICODE.failed, UNICODE.ellipsis, UNICODE.bars)).encode(encoding or "")
    except (LookupError, UnicodeEncodeError):
        return ASCII
    return UNICODE


def head(text: str, cells: int, glyphs: Glyphs) -> str:
    """The beginning of the text, with a mark where it is cut. Reads no more of it than it shows."""
    room = cells - cell_len(glyphs.ellipsis)
    used = kept = 0
    for place, char in enumerate(text):
        used += get_character_cell_size(char)
        if used <= room:
            kept = place + 1
        elif used > cells:
            return text[:kept] + glyphs.ellipsis if room >= 0 else ""
    return text


def tail(text: str, cells: int, glyphs: Glyphs) -> str:
    """The end of the text, with a mark where it is cut. Reads no more of it than it shows."""
    room = cells - cell_len(glyphs.ellipsis)
    start, used = len(text), 0
    while start > 0 and used <= cells:
        start -= 1
        used += get_character_cell_size(text[start])
    if used <= cells:
        return text
    if room < 0:
        return ""
    while used > room:
        used -= get_character_cell_size(text[start])
        start += 1
    while start < len(text) and get_character_cell_size(text[start]) == 0:
        start += 1  # it belongs to the letter that was cut
    return glyphs.ellipsis + text[start:]


@lru_cache(maxsize=16)  # a picture is drawn many times a second, and most of its words are those of the one before
def wrap(text: str, cells: int) -> tuple[tuple[int, int], ...]:
    """Break the text into lines of at most so many cells: where each begins and ends in it.

    Breaks between words; a word that is wider than a line is broken, too. Spaces at a break are left out.
    """
    lines: list[tuple[int, int]] = []
    at = 0
    for paragraph in text.split("\n"):
        lines += _paragraph_lines(text, at, at + len(paragraph), max(cells, 1))
        at += len(paragraph) + 1
    return tuple(lines)


def _paragraph_lines(text: str, begin: int, end: int, cells: int) -> Iterator[tuple[int, int]]:
    start = stop = begin  # of the line under way
    used = 0
    for match in _WORD.finditer(text, begin, end):
        size = cell_len(match[0])
        gap = match.start() - stop if stop > start else 0
        if used + gap + size <= cells:
            start = start if stop > start else match.start()
            stop, used = match.end(), used + gap + size
            continue
        if stop > start:
            yield start, stop
        start = match.start()
        used = 0
        for place in range(match.start(), match.end()):
            char = get_character_cell_size(text[place])
            if used + char > cells and place > start:
                yield start, place
                start, used = place, 0
            used += char
        stop = match.end()
    yield start, stop
