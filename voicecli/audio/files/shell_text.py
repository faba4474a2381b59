"""Sound that a shell took for text on its way: PowerShell before 7.4 does that to whatever passes a pipe or `>`.

It decodes the bytes as text of the console's code page, and writes that text anew: as ASCII with "?" for all else
(5.1), as UTF-8 (6 to 7.3), into a file by `>` as UTF-16.
"""

from voicecli.errors import AudioFormatError

__all__ = ["LOOKED_AT", "check_shell_text", "was_taken_for_text"]

LOOKED_AT = 4_096
"""Bytes that are looked at."""

_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_SIGNATURES = ("RIFF", "RF64", "fLaC", "OggS", "ID3")
_LEAST = 64  # bytes that are not zero, to judge by
_LEAST_FOREIGN = 1 / 8  # of the characters: half of the bytes of sound are beyond ASCII, in text few are "?"


def was_taken_for_text(content: bytes) -> bool:
    """True when these bytes, of the beginning of a file or pipe, were sound before a shell took them for text."""
    if content.startswith(_UTF16):
        return content[: len(content) // 2 * 2].decode("utf-16", "replace").startswith(_SIGNATURES)
    content = content[:LOOKED_AT]
    if content.startswith(b"ID3"):  # a tag may be nothing but text, of any language
        return False
    if len(content) - content.count(0) < _LEAST:
        return False
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        if len(content) - error.start > 3:  # else its last character goes on
            return False
        text = content[: error.start].decode("utf-8")
    is_text = not any(char < " " and char not in "\t\n\f\r" for char in text)
    said = [char for char in text if char != "\0"]
    return not is_text and sum(char == "?" or char > "\x7f" for char in said) > len(said) * _LEAST_FOREIGN


def check_shell_text(content: bytes, name: str) -> None:
    """Raise AudioFormatError when it was (`was_taken_for_text`).

    Args:
        content: the beginning of a stream, or of its audio.
        name: of the stream, for people.
    """
    if was_taken_for_text(content):
        raise AudioFormatError(
            f"{name} is sound that was taken for text on its way here: it cannot be restored.",
            advice="PowerShell before 7.4 does that in a pipe and by >. Name the files instead (voice chat -i FILE, "
            "-o FILE), update PowerShell, or use cmd.",
        )
