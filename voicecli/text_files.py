"""Text from files and pipes: what is text, in which encoding, and `@FILE` in place of a text."""

import codecs
from pathlib import Path

from voicecli.errors import ConfigurationError
from voicecli.text import LONGEST_TEXT

__all__ = ["decode_text", "looks_like_text", "read_text_file", "text_or_file"]

_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
"""Byte order marks and the encodings they stand for; editors of Windows write them."""
_NOT_ASCII = bytes(range(0x80, 0x100))
_PRINTED = b"\t\n\f\r" + bytes(range(0x20, 0x7F)) + _NOT_ASCII


def looks_like_text(head: bytes) -> bool:
    """True when these first bytes of a file or pipe are text: UTF-8, or UTF-16 with its mark; or most likely in an
    eight-bit encoding, which `decode_text` refuses."""
    if head.startswith(_BOMS[1][0]) or head.startswith(_BOMS[2][0]):
        return True
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)  # its last character may go on
    except UnicodeDecodeError:
        ascii_only = head.translate(None, _NOT_ASCII)
        return not head.translate(None, _PRINTED) and len(ascii_only) > len(head) * 2 / 3
    return b"\0" not in head


def decode_text(content: bytes, name: str) -> str:
    """The text of a file or pipe.

    Args:
        name: of the file, for people.

    Raises:
        ConfigurationError: it is no text, or more than any model takes at once (`LONGEST_TEXT`).
    """
    if len(content) > LONGEST_TEXT:
        raise ConfigurationError(
            f"{name} has more than {LONGEST_TEXT} bytes of text, and no model takes as many at once.",
            advice="Give a part of it.",
        )
    encoding = next((encoding for mark, encoding in _BOMS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise ConfigurationError(f"{name} is not UTF-8 text.", advice="Save it as UTF-8.")
    return text


def read_text_file(path: str) -> str:
    """The text of a file. Raises ConfigurationError."""
    try:
        with Path(path).open("rb") as file:
            content = file.read(LONGEST_TEXT + 1)
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise ConfigurationError(f"Cannot read {path!r}: {reason}.", advice="Check the path.") from error
    return decode_text(content, repr(path))


def text_or_file(text: str) -> str:
    """The text, or for `@FILE` that file's; `@@` at its beginning stands for an `@`. Raises ConfigurationError."""
    if text.startswith("@@"):
        return text[1:]
    if not text.startswith("@"):
        return text
    try:
        if text == "@":
            raise ConfigurationError("@ names no file.", advice="Write @FILE.")
        return read_text_file(text[1:])
    except ConfigurationError as error:
        error.advice = f"{error.advice} A text that begins with @ is written with two: @{text}"
        raise
