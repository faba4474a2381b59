"""Errors of files and pipes, in words for people."""

from voicecli.errors import AudioFormatError

__all__ = ["READABLE", "unusable"]

READABLE = "Give WAV, FLAC, OGG or MP3, in a file or a pipe, or raw PCM16 with its rate (--input-rate, raw_rate)."
"""Advice about input that cannot be read."""


def unusable(verb: str, name: str, error: OSError | ValueError | RuntimeError) -> AudioFormatError:
    """The error for a file that cannot be used.

    Args:
        verb: "read" or "write".
        name: of the file, for people.
        error: the operating system's; a ValueError is a path that cannot be, a RuntimeError links in a circle.
    """
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    advice = "Check the path and who may use it." if verb == "read" else "Choose another output file."
    return AudioFormatError(f"Cannot {verb} {name}: {reason}.", advice=advice)
