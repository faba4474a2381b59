"""The decoder for what a file or a pipe holds."""

from io import FileIO
from typing import BinaryIO

from voicecli.audio.files.decoders import Decoder, FileDecoder, WavPipeDecoder
from voicecli.audio.files.errors import READABLE
from voicecli.audio.files.ffmpeg import FfmpegDecoder, conversion_advice, find_ffmpeg
from voicecli.audio.files.formats import HEAD_SIZE, needs_ffmpeg
from voicecli.audio.files.shell_text import LOOKED_AT, check_shell_text
from voicecli.audio.files.streams import read_fully, spool
from voicecli.audio.files.wav import header, is_wav, knows_size, next_audio
from voicecli.errors import AudioFormatError
from voicecli.text_files import looks_like_text

__all__ = ["open_decoder"]


def open_decoder(
    stream: "FileIO | BinaryIO",
    name: str,
    *,
    is_pipe: bool,
    head: bytes = b"",
    path: str | None = None,
    mixes: bool = True,
) -> Decoder:
    """The decoder for what a file or a pipe holds.

    WAV of plain samples is heard out of a pipe as it comes. Who decodes all else must seek in it: that is read to its
    end first, and kept in a temporary file.

    Args:
        name: of the stream, for people.
        is_pipe: whether the stream is one in which nothing can be sought.
        head: what has been read of a pipe already: all of it, or its first 12 bytes (`HEAD_SIZE`).
        path: of the file, where it is known.
        mixes: whether all channels become one.

    Raises:
        AudioFormatError: it is no sound, or too much of it.
        OSError: it cannot be read.
    """
    if not is_pipe:
        return _open_file(stream, name, path, mixes=mixes)
    head = head or read_fully(stream.read, HEAD_SIZE)
    if not head:
        raise AudioFormatError(f"{name} is empty.", advice=READABLE)
    size = None
    if is_wav(head) and len(head) == HEAD_SIZE:
        seen = bytearray()

        def read(count: int) -> bytes:
            content = read_fully(stream.read, count)
            seen.extend(content[: LOOKED_AT - len(seen)])
            return content

        found = next_audio(read)
        if found is None:
            read(LOOKED_AT - len(seen))
            check_shell_text(bytes(seen), name)
            raise AudioFormatError(
                f"{name} is no sound file: its header ends before any data chunk begins.", advice=READABLE
            )
        form, size = found[0], found[1] if knows_size(*found) else None
        if form.subtype is not None:
            return WavPipeDecoder(stream, name, form, size, mixes=mixes)
        head = header(form, size)
    kept = spool(head, stream, name, size)
    try:
        return _open_file(kept, name, None, owns=True, mixes=mixes)
    except BaseException:
        kept.close()
        raise


def _open_file(
    stream: "FileIO | BinaryIO", name: str, path: str | None, *, owns: bool = False, mixes: bool = True
) -> Decoder:
    """Open a file; one that libsndfile does not know by ffmpeg, where that is installed."""
    stream.seek(0)
    head = read_fully(stream.read, LOOKED_AT)
    check_shell_text(head, name)
    kind, program = needs_ffmpeg(head), find_ffmpeg()
    if kind and program is None:
        raise AudioFormatError(f"{name} is {kind}, which takes ffmpeg to read.", advice=conversion_advice(path))
    unknown: AudioFormatError | None = None
    if not kind:
        try:
            return FileDecoder(stream, name, owns=owns, mixes=mixes)
        except AudioFormatError as error:
            if program is None or looks_like_text(head):
                raise
            unknown = error
    assert program is not None
    try:
        decoder = FfmpegDecoder(program, stream, name, path, mixes=mixes)
    except AudioFormatError:
        if unknown is not None:
            raise unknown from None
        raise
    if owns:
        stream.close()  # it has been copied
    return decoder
