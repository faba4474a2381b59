"""Pictures that the user shows."""

import mimetypes
import os
from pathlib import Path
from typing import TypeAlias

from voicecli.errors import ConfigurationError

__all__ = ["Picture", "read_picture"]


Picture: TypeAlias = bytes | bytearray | memoryview | str | os.PathLike[str]
"""A picture as its bytes, or its path."""


def read_picture(image: Picture, mime_type: str | None = None) -> tuple[bytes, str]:
    """The bytes and the type of a PNG or JPEG, given as its bytes or path. What the bytes say goes before `mime_type`.

    Raises:
        ConfigurationError: it cannot be read, or is neither.
    """
    if isinstance(image, bytes | bytearray | memoryview):
        data = bytes(image)
    else:
        data = _read(image)
        mime_type = mime_type or mimetypes.guess_type(str(image))[0]
    mime_type = _type_of(data) or mime_type
    if mime_type not in {"image/png", "image/jpeg"}:
        raise ConfigurationError(
            f"A picture of type {mime_type or 'unknown'} cannot be sent.", advice="Convert it to PNG or JPEG."
        )
    return data, mime_type


def _read(path: object) -> bytes:
    if not isinstance(path, str | os.PathLike):
        raise ConfigurationError(
            f"A picture is wanted as bytes or by its path, not as {type(path).__name__}.",
            advice="Give the bytes of a PNG or JPEG file, or its path.",
        )
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise ConfigurationError(f"Cannot read the picture {str(path)!r}: {reason}.") from error


def _type_of(data: bytes) -> str | None:
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    return "image/jpeg" if data.startswith(b"\xff\xd8\xff") else None
