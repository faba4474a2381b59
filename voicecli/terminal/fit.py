"""Text that fits into a number of cells, and the signs that the view is drawn with. Pure."""

from dataclasses import dataclass

from rich.cells import cell_len, get_character_cell_size

__all__ = ["ASCII", "UNICODE", "Glyphs", "glyphs_for", "head", "tail"]


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
