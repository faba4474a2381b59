"""Pictures that the user shows."""

import mimetypes
from pathlib import Path

from voicecli.errors import ConfigurationError

__all__ = ["read_picture"]


def read_picture(image: bytes | str | Path, mime_type: str | None = None) -> tuple[bytes, str]:
    """The bytes and the type of a PNG or JPEG, given as its bytes or path. What the bytes say goes before `mime_type`.

    Raises:
        ConfigurationError: it cannot be read, or is neither.
    """
    if isinstance(image, bytes):
        data = image
    else:
        try:
            data = Path(image).read_bytes()
        except OSError as error:
            raise ConfigurationError(f"Cannot read the picture {image}: {error.strerror}.") from error
        mime_type = mime_type or mimetypes.guess_type(str(image))[0]
    mime_type = _type_of(data) or mime_type
    if mime_type not in {"image/png", "image/jpeg"}:
        raise ConfigurationError(
            f"A picture of type {mime_type or 'unknown'} cannot be sent.", advice="Convert it to PNG or JPEG."
        )
    return data, mime_type


def _type_of(data: bytes) -> str | None:
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    return "image/jpeg" if data.startswith(b"\xff\xd8\xff") else None
