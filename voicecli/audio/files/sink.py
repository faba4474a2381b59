"""WAV files and streams as sinks of a conversation."""

import asyncio
import contextlib
import errno
import os
import stat
import struct
import sys
from collections.abc import Callable, Sequence
from io import FileIO

from voicecli.audio.files.errors import unusable
from voicecli.audio.files.source import WavSource
from voicecli.audio.ports import Playhead
from voicecli.errors import AudioFormatError
from voicecli.pcm16 import SAMPLE_BYTES, PcmFormat
from voicecli.pipes import is_closed_pipe
from voicecli.threads import Worker

__all__ = ["WavSink"]

_CLOSE_TIMEOUT_S = 2.0  # for a pipe that nobody reads any more
_UNKNOWN_SIZE = 0xFFFFFFFF  # what streaming writers put where WAV wants a length


class WavSink:
    """Writes the replies to a WAV file or stream, PCM16 mono, in order: an AudioSink whose listener hears everything.

    The header is right at every moment, so that whatever ends the program leaves a file that plays; a stream says
    "length unknown" as streaming writers do. Nothing is written, and nothing truncated, before there is sound. A thread
    writes: a slow disk or a full pipe holds up nobody.

    Args:
        target: a path, or "-" for standard output.
        sample_rate: of what is written, in Hz.
        sources: where the conversation's input comes from: their files are refused as target.
        stdout: the descriptor of standard output.

    Raises:
        AudioFormatError: it cannot be written.
    """

    def __init__(
        self,
        target: "str | os.PathLike[str]",
        sample_rate: int,
        *,
        sources: Sequence[WavSource] = (),
        stdout: int = 1,
    ) -> None:
        self._stdout = stdout
        self._sample_rate = sample_rate
        self._path = None if target == "-" else os.fspath(target)
        self._name = "standard output" if self._path is None else repr(self._path)
        self._has_size = False  # else it is a stream of unknown length
        try:
            status = self._check()
        except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
            raise unusable("write", self._name, error) from error
        if status is not None and any(source.is_same_file(status) for source in sources):
            raise AudioFormatError(
                f"{self._name} is the input, which the output would overwrite.", advice="Choose another output file."
            )
        self._file: FileIO | None = None
        self._size = 0  # bytes of audio in the file
        self._worker = Worker("file")
        self._error: OSError | None = None
        self._reported = False
        self._closed = False

    @property
    def sample_rate(self) -> int:
        """The rate of what it takes, in Hz."""
        return self._sample_rate

    def write(self, audio: bytes, item_id: str) -> None:
        """Take a chunk of the item's audio, unless it is closed; never blocks.

        Raises:
            AudioFormatError: an earlier chunk could not be written.
            BrokenPipeError: nobody reads standard output any more.
        """
        self._raise_error()
        if self._closed or not audio:
            return
        self._worker.submit(lambda: self._attempt(lambda: self._write(audio)))

    def end(self) -> None:
        """Do nothing: the file is complete after each chunk."""

    def clear(self) -> Playhead | None:
        """Do nothing; None, as the listener of a file has heard all that was written."""
        return None

    def pause(self) -> None:
        """Do nothing: nobody listens while it is written."""

    def resume(self) -> None:
        """Do nothing."""

    async def drain(self) -> None:
        """Return when all is written; raises as `write` does."""
        await self._worker.run(lambda: None)  # behind all that was submitted
        self._raise_error()

    async def aclose(self) -> None:
        """Write what is left and close; idempotent. A pipe that takes nothing any more gets 2 s.

        Without sound an existing file stays as it was, no new one is left behind, and a stream gets nothing.

        Raises:
            AudioFormatError, BrokenPipeError: as `write` does, unless it was said already.
        """
        if self._closed:
            return
        self._closed = True
        self._worker.submit(lambda: self._attempt(self._close_file))  # also when nobody waits for it any more
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._worker.run(lambda: None), _CLOSE_TIMEOUT_S)
        self._worker.stop()
        if not self._reported:
            self._raise_error()

    def _check(self) -> os.stat_result | None:
        """Check that it can be written, and leave everything as it was; its status if it is there already."""
        if self._path is None:
            self._has_size = _can_correct_header(self._stdout)
            return os.fstat(self._stdout)
        try:
            status = os.stat(self._path)
        except FileNotFoundError:
            _open_untouched(self._path).close()
            os.unlink(os.path.realpath(self._path))
            self._has_size = True
            return None
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        self._has_size = stat.S_ISREG(status.st_mode)
        if self._has_size:
            _open_untouched(self._path).close()
        elif not os.access(self._path, os.W_OK):  # a named pipe: opening it would wait for its reader
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return status

    def _attempt(self, call: Callable[[], None]) -> None:
        try:
            call()
        except OSError as error:
            self._error = self._error or error

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()

    def _write(self, audio: bytes) -> None:
        if self._error is not None:
            return
        if self._file is None:
            self._file = (
                FileIO(self._stdout, "wb", closefd=False) if self._path is None else _open_untouched(self._path)
            )
            if self._has_size:
                self._file.truncate(0)
            _write_all(self._file, _header(self._sample_rate, 0 if self._has_size else None))
        _write_all(self._file, audio)
        if self._has_size:
            # After the audio: until then the header tells of what is surely there.
            self._size += len(audio)
            self._file.seek(0)
            _write_all(self._file, _header(self._sample_rate, self._size))
            self._file.seek(0, os.SEEK_END)

    def _raise_error(self) -> None:
        if self._error is None:
            return
        self._reported = True
        if isinstance(self._error, BrokenPipeError):
            raise self._error
        if not self._has_size and is_closed_pipe(self._error):
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)) from self._error
        raise unusable("write", self._name, self._error) from self._error


def _header(sample_rate: int, size: int | None) -> bytes:
    """The first 44 bytes of a WAV file with PCM16 mono; size of the audio in bytes, None for unknown."""
    riff = data = _UNKNOWN_SIZE
    if size is not None:  # beyond 4 GB it is as good as unknown
        riff, data = min(size + 36, _UNKNOWN_SIZE), min(size, _UNKNOWN_SIZE)
    chunk = struct.pack(
        "<4sIHHIIHH", b"fmt ", 16, 1, 1, sample_rate, PcmFormat(sample_rate).bytes_per_s, SAMPLE_BYTES, 16
    )
    return struct.pack("<4sI4s", b"RIFF", riff, b"WAVE") + chunk + struct.pack("<4sI", b"data", data)


def _open_untouched(path: str) -> FileIO:
    """Open a file for writing without truncating it."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
    return FileIO(descriptor, "wb")


def _write_all(file: FileIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _can_correct_header(descriptor: int) -> bool:
    """True when a header written to this redirected output can be corrected later."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_size or os.lseek(descriptor, 0, os.SEEK_CUR):
        return False
    if sys.platform != "win32":
        with contextlib.suppress(ModuleNotFoundError):
            import fcntl

            return not fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_APPEND
    return True
