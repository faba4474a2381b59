"""Streams that decoders read from: pieces of a file as one, a pipe kept in a file of its own."""

import os
import tempfile
from collections.abc import Callable, Sequence
from io import FileIO
from typing import Any, BinaryIO

from voicecli.errors import AudioFormatError

__all__ = ["Pieces", "read_fully", "spool"]

_IN_MEMORY = 8_000_000  # bytes
_MOST_SPOOLED = 500_000_000  # bytes: nine hours of MP3 at 128 kbit/s
_BLOCK = 65_536


class Pieces:
    """A header and pieces of a file, to be read as if they were one file.

    It is read by callbacks from C, out of which no error gets: see `error`.

    Args:
        header: what comes first.
        stream: can seek.
        extents: offset and size of each piece, in bytes.

    Attributes:
        error: what reading the file raised. It ends there.
    """

    def __init__(self, header: bytes, stream: "FileIO | BinaryIO", extents: Sequence[tuple[int, int]]) -> None:
        self.error: OSError | None = None
        self._header = header
        self._stream = stream
        self._extents = extents
        self._position = 0
        self._length = len(header) + sum(size for _, size in extents)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._length}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer as far as there is something."""
        try:
            content = self._read(len(buffer))
        except OSError as error:
            self.error = error
            content = b""
        buffer[: len(content)] = content
        return len(content)

    def _read(self, count: int) -> bytes:
        content = self._header[self._position : self._position + count]
        begin = len(self._header)
        for offset, size in self._extents:
            within = self._position + len(content) - begin
            if len(content) < count and 0 <= within < size:
                self._stream.seek(offset + within)
                content += read_fully(self._stream.read, min(count - len(content), size - within))
            begin += size
        self._position += len(content)
        return content


def read_fully(read: "Callable[[int], bytes | None]", count: int) -> bytes:
    """So many bytes; fewer only at the stream's end. A pipe gives what it has."""
    content = b""
    while len(content) < count and (piece := read(count - len(content))):
        content += piece
    return content


def spool(head: bytes, stream: "FileIO | BinaryIO", name: str, size: int | None = None) -> BinaryIO:
    """Keep what comes out of a pipe, up to its end, in a temporary file that can seek.

    Args:
        head: comes first.
        name: of the pipe, for people.
        size: to be read, in bytes; None for all.

    Raises:
        AudioFormatError: it is more than can be kept.
        OSError: it cannot be read, or kept.
    """
    kept = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed by whoever gets it
    try:
        kept.write(head)
        while size is None or size > 0:
            content = stream.read(_BLOCK if size is None else min(_BLOCK, size))
            if not content:
                break
            if kept.tell() + len(content) > _MOST_SPOOLED:
                raise AudioFormatError(
                    f"{name} is longer than {_MOST_SPOOLED // 1_000_000} MB, in a format that is read as a whole.",
                    advice="Give it as a file, or as WAV, which is heard as it comes.",
                )
            kept.write(content)
            size = None if size is None else size - len(content)
    except BaseException:
        kept.close()
        raise
    kept.seek(0)
    return kept  # type: ignore[return-value]
