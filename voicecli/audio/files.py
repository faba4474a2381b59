"""Sound files and pipes as sources and sinks: one way to read anything, one way to write WAV."""

import asyncio
import contextlib
import errno
import os
import stat
import struct
import sys
import threading
from collections.abc import AsyncIterator, Callable
from io import FileIO
from typing import BinaryIO, Protocol

import soundfile

from voicecli.audio.pcm import check_rates, float32_to_pcm16
from voicecli.audio.ports import Playhead
from voicecli.errors import AudioFormatError
from voicecli.threads import Worker

__all__ = ["WavSink", "WavSource"]

_PIPE_BLOCK_MS = 20  # what comes through a pipe may be live
_FILE_BLOCK_MS = 100
_CLOSE_TIMEOUT_S = 2.0  # for a pipe that nobody reads any more
_UNKNOWN_SIZE = 0xFFFFFFFF  # what streaming writers put where WAV wants a length

_READABLE = "Give a WAV, FLAC or OGG file, a WAV in a pipe, or raw PCM16 with its rate (--input-rate, raw_rate)."


class WavSource:
    """The user's voice from a file or a pipe, as PCM16 mono: an AudioSource, to be iterated once.

    Reads what libsndfile does: WAV of any sample format, rate and number of channels (mixed to one), also when its
    header does not know the length; FLAC, OGG and others from files. What is shorter than its header says ends
    where it ends. Memory stays the same whatever the length, and a pipe in which nothing comes blocks nobody.

    Args:
        source: a path, "-" for standard input, or a binary stream, which is left open.
        raw_rate: the input is PCM16 little-endian mono without header, at this rate in Hz.

    Raises:
        AudioFormatError: it cannot be read. A file says so at once, a pipe when it is opened or iterated.
        ConfigurationError: a rate that cannot be.
    """

    def __init__(self, source: "str | os.PathLike[str] | BinaryIO", *, raw_rate: int | None = None) -> None:
        if raw_rate is not None:
            check_rates(raw_rate)
        self._raw_rate = raw_rate
        self._path: str | None = None
        self._stream: FileIO | BinaryIO | None = None
        self._owned: FileIO | None = None  # to be closed with the source
        self._status: os.stat_result | None = None
        if source == "-":
            self._name = "Standard input"
            self._status = self._check(0)
            self._stream = self._owned = FileIO(0, closefd=False)
        elif isinstance(source, str | os.PathLike):
            self._path = os.fspath(source)
            self._name = repr(self._path)
            self._status = self._check(self._path)
        else:
            self._name = repr(getattr(source, "name", "the stream"))
            self._stream = source
            if not source.seekable():
                self._status = self._check(source.fileno())
                self._stream = self._owned = FileIO(source.fileno(), closefd=False)
        self._is_pipe = self._status is not None and not stat.S_ISREG(self._status.st_mode)
        self._reader: _Reader | None = None
        self._closed = False
        self._worker = Worker("file")
        self._lock = threading.Lock()  # held while the worker opens or reads
        if not self._is_pipe:
            self._open()

    @property
    def sample_rate(self) -> int:
        """Of what it yields, in Hz. That of a pipe is known when it has been opened."""
        if self._reader is None:
            raise RuntimeError(f"{self._name} is a pipe: its rate is known after `await source.open()`")
        return self._reader.sample_rate

    @property
    def realtime(self) -> bool:
        """False: it waits until it is asked."""
        return False

    async def open(self) -> None:
        """Wait for the header, so that the rate is known and what is no audio is refused. Iterating does it, too."""
        if self._reader is None and not self._closed:
            await self._worker.run(self._open)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        await self.open()
        empty = True
        while not self._closed and (audio := await self._worker.run(self._read)):
            empty = False
            yield audio
        if empty and not self._closed:
            raise AudioFormatError(f"{self._name} holds no audio.", advice=_READABLE)

    async def aclose(self) -> None:
        """Stop reading; idempotent. A read that is stuck in a pipe is left to itself."""
        self._closed = True
        self._worker.stop()
        if self._lock.acquire(blocking=False):  # else the worker releases it when it comes back
            self._release()
            self._lock.release()

    def is_same_file(self, status: os.stat_result) -> bool:
        """Whether it reads the very file with this status."""
        return self._status is not None and not self._is_pipe and os.path.samestat(self._status, status)

    def _check(self, file: str | int) -> os.stat_result:
        try:
            status = os.stat(file)
        except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
            raise _unusable("read", self._name, error) from error
        if stat.S_ISDIR(status.st_mode):
            raise AudioFormatError(f"{self._name} is a directory, not a sound file.", advice=_READABLE)
        if stat.S_ISREG(status.st_mode) and status.st_size == 0:
            raise AudioFormatError(f"{self._name} is empty.", advice=_READABLE)
        return status

    def _open(self) -> None:
        with self._lock:
            try:
                if self._stream is None and self._path is not None:
                    # Of a named pipe, this waits for the writer.
                    self._stream = self._owned = FileIO(self._path)
                assert self._stream is not None
                if self._raw_rate is None:
                    self._reader = _SoundFileReader(self._stream, self._name, self._is_pipe)
                else:
                    self._reader = _RawReader(self._stream, self._name, self._raw_rate)
            except OSError as error:
                self._release()
                raise _unusable("read", self._name, error) from error
            except AudioFormatError:
                self._release()
                raise
            if self._closed:
                self._release()

    def _read(self) -> bytes:
        with self._lock:
            try:
                return b"" if self._closed or self._reader is None else self._reader.read()
            except OSError as error:
                raise _unusable("read", self._name, error) from error
            finally:
                if self._closed:
                    self._release()

    def _release(self) -> None:
        if isinstance(self._reader, _SoundFileReader):
            self._reader.close()
        if self._owned is not None:
            self._owned.close()


class _Reader(Protocol):
    sample_rate: int

    def read(self) -> bytes:
        """The next block of PCM16 mono; b"" at the end."""


class _SoundFileReader:
    def __init__(self, stream: "FileIO | BinaryIO", name: str, is_pipe: bool) -> None:
        self._name = name
        try:
            # libsndfile seeks in a Python stream; a pipe it can read only by its descriptor.
            self._file = soundfile.SoundFile(stream.fileno() if is_pipe else stream, closefd=False)
        except TypeError as error:  # by its name, "x.raw", soundfile takes it for audio without a header
            raise AudioFormatError(f"{name} is raw audio of unknown rate.", advice=_READABLE) from error
        except soundfile.LibsndfileError as error:
            empty = "is empty, or " if is_pipe else ""
            reason = error.error_string.rstrip(".")
            raise AudioFormatError(f"{name} {empty}is no sound file: {reason}.", advice=_READABLE) from error
        if is_pipe and self._file.frames == 0:
            # Some streaming writers give the length as 0; the audio follows all the same.
            self._file = soundfile.SoundFile(
                stream.fileno(),
                samplerate=self._file.samplerate,
                channels=self._file.channels,
                subtype=self._file.subtype,
                endian="LITTLE",
                format="RAW",
                closefd=False,
            )
        self.sample_rate: int = self._file.samplerate
        self._frames = max(1, self.sample_rate * (_PIPE_BLOCK_MS if is_pipe else _FILE_BLOCK_MS) // 1000)

    def read(self) -> bytes:
        try:
            samples = self._file.read(self._frames, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise AudioFormatError(f"{self._name} is damaged: {error.error_string}") from error
        return float32_to_pcm16(samples.mean(axis=1) if samples.shape[1] > 1 else samples[:, 0])

    def close(self) -> None:
        self._file.close()


class _RawReader:
    def __init__(self, stream: "FileIO | BinaryIO", name: str, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self._stream = stream
        self._name = name
        self._size = max(1, sample_rate * _PIPE_BLOCK_MS // 1000) * 2
        self._odd = False

    def read(self) -> bytes:
        block = bytearray()
        # A pipe gives what it has, which need not be a whole number of samples.
        while len(block) < self._size and (piece := self._stream.read(self._size - len(block))):
            block += piece
        if self._odd or len(block) % 2:
            if len(block) > 1:  # deliver what came before it first
                self._odd = True
                return bytes(block[:-1])
            raise AudioFormatError(
                f"{self._name} ends amid a sample: raw PCM16 has two bytes for each.",
                advice="Everything before was taken. Is it really signed 16-bit mono?",
            )
        return bytes(block)


class WavSink:
    """The replies as a WAV file or stream, PCM16 mono, in order: an AudioSink whose listener hears everything.

    The header is right at every moment, so that whatever ends the program leaves a file that plays; a stream says
    "length unknown" as streaming writers do. Nothing is truncated before there is something to write. A thread
    writes: a slow disk or a full pipe holds up nobody.

    Args:
        target: a path, or "-" for standard output.
        sample_rate: of what is written, in Hz.
        source: where the conversation's input comes from: its file is refused as target.

    Raises:
        AudioFormatError: it cannot be written.
    """

    def __init__(self, target: "str | os.PathLike[str]", sample_rate: int, *, source: WavSource | None = None) -> None:
        self._sample_rate = sample_rate
        self._path = None if target == "-" else os.fspath(target)
        self._name = "standard output" if self._path is None else repr(self._path)
        self._is_patched = False  # else it is a stream of unknown length
        try:
            status = self._check()
        except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
            raise _unusable("write", self._name, error) from error
        if status is not None and source is not None and source.is_same_file(status):
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
        """Of what it takes, in Hz."""
        return self._sample_rate

    def write(self, audio: bytes, item_id: str) -> None:
        """Take a chunk of the item's audio, unless it is closed; never blocks.

        Raises:
            AudioFormatError: an earlier chunk could not be written.
            BrokenPipeError: nobody reads standard output any more.
        """
        self._raise_error()
        if self._closed:
            return
        self._worker.submit(lambda: self._attempt(lambda: self._write(audio)))

    def end(self) -> None:
        """Nothing to do: the file is complete after each chunk."""

    def clear(self) -> Playhead | None:
        """None: the listener of a file has heard all that was written."""
        return None

    def pause(self) -> None:
        """Nothing to do: nobody listens while it is written."""

    def resume(self) -> None:
        """Nothing to do."""

    async def drain(self) -> None:
        """Return when all is written; raises as `write` does."""
        await self._worker.run(lambda: None)  # behind all that was submitted
        self._raise_error()

    async def aclose(self) -> None:
        """Write what is left and close; idempotent. A pipe that takes nothing any more gets 2 s.

        When nothing was written, an existing file stays as it was, and no new one is left behind.

        Raises:
            AudioFormatError, BrokenPipeError: as `write` does, unless it was said already.
        """
        if self._closed:
            return
        self._closed = True
        if self._path is None:
            self._worker.submit(lambda: self._attempt(lambda: self._write(b"")))  # no reply is still a valid WAV
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._worker.run(lambda: self._attempt(self._close_file)), _CLOSE_TIMEOUT_S)
        self._worker.stop()
        if not self._reported:
            self._raise_error()

    def _check(self) -> os.stat_result | None:
        """Find out whether it can be written, and leave everything as it was; its status if it is there already."""
        if self._path is None:
            self._is_patched = _can_patch(1)
            return os.fstat(1)
        try:
            status = os.stat(self._path)
        except FileNotFoundError:
            _open_untouched(self._path).close()
            os.unlink(os.path.realpath(self._path))
            self._is_patched = True
            return None
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        self._is_patched = stat.S_ISREG(status.st_mode)
        if self._is_patched:
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
            self._file = FileIO(1, "wb", closefd=False) if self._path is None else _open_untouched(self._path)
            if self._is_patched:
                self._file.truncate(0)
            _write_all(self._file, _header(self._sample_rate, 0 if self._is_patched else None))
        _write_all(self._file, audio)
        if self._is_patched:
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
        raise _unusable("write", self._name, self._error) from self._error


def _header(sample_rate: int, size: int | None) -> bytes:
    """The first 44 bytes of a WAV file with PCM16 mono; size of the audio in bytes, None for unknown."""
    riff = data = _UNKNOWN_SIZE
    if size is not None:  # beyond 4 GB it is as good as unknown
        riff, data = min(size + 36, _UNKNOWN_SIZE), min(size, _UNKNOWN_SIZE)
    chunk = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, sample_rate, sample_rate * 2, 2, 16)
    return struct.pack("<4sI4s", b"RIFF", riff, b"WAVE") + chunk + struct.pack("<4sI", b"data", data)


def _open_untouched(path: str) -> FileIO:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
    return FileIO(descriptor, "wb")


def _write_all(file: FileIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _can_patch(descriptor: int) -> bool:
    """Whether a header written to this redirected output can be corrected later."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_size or os.lseek(descriptor, 0, os.SEEK_CUR):
        return False
    if sys.platform == "win32":
        return True
    import fcntl

    return not fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_APPEND


def _unusable(verb: str, name: str, error: OSError | ValueError) -> AudioFormatError:
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    advice = "Check the path and who may use it." if verb == "read" else "Choose another output file."
    return AudioFormatError(f"Cannot {verb} {name}: {reason}.", advice=advice)
