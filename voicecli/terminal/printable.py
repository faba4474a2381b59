"""Text from models, tools and files, made safe to show: words must not steer a terminal."""

__all__ = ["printable"]

# Invisible, and needed: they join and part letters (Persian, Indic scripts, emoji), or say the direction of a
# neutral character. The overrides and isolates of direction, which can make text read other than it is, are shown.
_KEPT = frozenset("\u200c\u200d\u200e\u200f")


def printable(text: str) -> str:
    """The text in one line, with control characters shown (`\\x1b`) instead of obeyed."""
    if text.isprintable():
        return text
    return "".join(map(_shown, text))


def _shown(char: str) -> str:
    if char.isprintable() or char in _KEPT:
        return char
    if char.isspace():
        return " "
    code = ord(char)
    if code > 0xFFFF:
        return f"\\U{code:08x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
