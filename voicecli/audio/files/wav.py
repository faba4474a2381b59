"""The chunks of WAV files as writers leave them: sizes never filled in, chunks before the audio or after it."""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

__all__ = ["WavFormat", "WavLayout", "find_audio", "header", "is_wav", "knows_size", "next_audio"]

_UNKNOWN_SIZE = 0xFFFFFFFF
_UNKNOWN_FROM = 0x7FFFF000  # sox writes this for "unknown", others 0x80000000 or 0xFFFFFFFF
_EXTENSIBLE = 0xFFFE
_PCM, _FLOAT, _ALAW, _MULAW = 1, 3, 6, 7
# "fmt " has 16 to 40 bytes, of some ADPCM more; "ds64" 28 and a table.
_LONGEST_KEPT = 4_096
_LONGEST_SKIPPED = 100_000_000  # a larger chunk is none: its size is damaged
_MOST_CHUNKS = 10_000

_Read = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class WavFormat:
    """The contents of a "fmt " chunk, and what "ds64" says beside it."""

    content: bytes
    size: int | None = None
    """Bytes of audio, where "ds64" tells them: of files beyond 4 GB."""

    @property
    def channels(self) -> int:
        return self._field("<H", 2)

    @property
    def sample_rate(self) -> int:
        """In Hz."""
        return self._field("<I", 4)

    @property
    def frame_size(self) -> int:
        """Bytes of a sample of every channel; of a block, in compressed formats."""
        return self._field("<H", 12)

    @property
    def tag(self) -> int:
        """The coding: 1 for PCM, 3 for floats ..."""
        tag = self._field("<H", 0)
        return self._field("<H", 24) if tag == _EXTENSIBLE and len(self.content) >= 26 else tag

    @property
    def subtype(self) -> str | None:
        """The coding as libsndfile calls it, where each sample stands by itself: read out of a pipe as it comes."""
        if not self.channels or self.frame_size % self.channels:
            return None
        size = self.frame_size // self.channels  # 12 bit samples lie in 16, 20 bit samples in 24
        subtypes = {(_PCM, 1): "PCM_U8", (_ALAW, 1): "ALAW", (_MULAW, 1): "ULAW"}
        subtypes |= {(_PCM, 2): "PCM_16", (_PCM, 3): "PCM_24", (_PCM, 4): "PCM_32"}
        subtypes |= {(_FLOAT, 4): "FLOAT", (_FLOAT, 8): "DOUBLE"}
        return subtypes.get((self.tag, size))

    def _field(self, form: str, offset: int) -> int:
        value: int = struct.unpack_from(form, self.content, offset)[0]
        return value


@dataclass(frozen=True, slots=True)
class WavLayout:
    """The places of the audio in a WAV file.

    Attributes:
        extents: offset and size in bytes of each piece.
        missing: bytes that the header promised, and the file does not have.
    """

    format: WavFormat
    extents: tuple[tuple[int, int], ...]
    missing: int


def is_wav(head: bytes) -> bool:
    """True when a file that begins with these 12 bytes is a WAV file."""
    return head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE"


def header(form: WavFormat, size: int | None) -> bytes:
    """All that stands before the audio in a WAV file of this format; without a size, it is unknown."""
    size = _UNKNOWN_SIZE if size is None else min(size, _UNKNOWN_SIZE)
    fmt = struct.pack("<4sI", b"fmt ", len(form.content)) + form.content + bytes(len(form.content) % 2)
    chunks = b"WAVE" + fmt + struct.pack("<4sI", b"data", size)
    return struct.pack("<4sI", b"RIFF", min(len(chunks) + size, _UNKNOWN_SIZE)) + chunks


def next_audio(read: _Read, form: WavFormat | None = None) -> tuple[WavFormat, int] | None:
    """Read a stream up to its next audio.

    Args:
        read: returns that many bytes, fewer only at the end. The stream stands where a chunk begins.
        form: the format, where earlier chunks told it.

    Returns:
        the format and the bytes of audio (see `knows_size`); None where no more audio comes.
    """
    chunks: dict[bytes, bytes] = {}
    first = b""
    for _ in range(_MOST_CHUNKS):
        name, size = _chunk_head(first + read(8 - len(first)))
        if not name:
            return None
        if name == b"data":
            form = form or _format(chunks)
            return None if form is None else (form, form.size if form.size and size == _UNKNOWN_SIZE else size)
        if size > _LONGEST_SKIPPED:
            return None
        content = read(min(size, _LONGEST_KEPT))
        if name in (b"fmt ", b"ds64"):
            chunks.setdefault(name, content)
        rest = size - min(size, _LONGEST_KEPT)
        while rest > 0 and (skipped := read(min(rest, 65_536))):
            rest -= len(skipped)
        # A chunk of an odd size has a zero byte behind it. Some writers leave that out, and no name begins with one.
        first = (read(1) if size % 2 else b"").lstrip(b"\0")
    return None


def knows_size(form: WavFormat, size: int) -> bool:
    """True when a writer knew how much audio there would be, when it wrote that there are `size` bytes."""
    return size == form.size or 0 < size < _UNKNOWN_FROM


def find_audio(stream: BinaryIO, length: int) -> WavLayout | None:
    """The places of the audio in a WAV file; None where its chunks make no sense.

    Args:
        stream: can seek.
        length: of the file, in bytes.
    """
    form: WavFormat | None = None
    extents: list[tuple[int, int]] = []
    missing = 0
    stream.seek(12)
    while (found := next_audio(stream.read, form)) is not None:
        form, size = found
        start = stream.tell()
        rest = length - start
        if size == 0 and not _only_chunks(stream, start, length):
            size = rest
        extents.append((start, min(size, rest)))
        if size >= rest:
            missing = size - rest if knows_size(form, size) else 0
            break
        stream.seek(start + size)
        if size % 2 and stream.read(1) != b"\0":
            stream.seek(start + size)
    return None if form is None else WavLayout(form, tuple(extents), missing)


def _only_chunks(stream: BinaryIO, start: int, length: int) -> bool:
    """True when nothing but chunks follows: then a file that says it holds no audio tells the truth."""
    position = start
    while position < length:
        stream.seek(position)
        name, size = _chunk_head(stream.read(8))
        if not name:
            break
        position += 8 + size + size % 2
    stream.seek(start)
    return length <= position <= length + 1


def _chunk_head(head: bytes) -> tuple[bytes, int]:
    """Name and size; no name where no chunk begins."""
    name = head[:4]
    if len(head) < 8 or not (name.isascii() and name.decode("ascii").isprintable()):
        return b"", 0
    return name, int.from_bytes(head[4:], "little")


def _format(chunks: dict[bytes, bytes]) -> WavFormat | None:
    content, large = chunks.get(b"fmt ", b""), chunks.get(b"ds64", b"")
    if len(content) < 16:
        return None
    size = int.from_bytes(large[8:16], "little") if len(large) >= 16 else None
    return WavFormat(content, size)
