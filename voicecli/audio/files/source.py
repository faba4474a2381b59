"""Sound files and pipes as sources of a conversation."""

import logging
import os
import stat
import threading
from collections.abc import AsyncIterator, Callable
from io import FileIO
from typing import BinaryIO

from voicecli.audio.files.decoders import Decoder, RawDecoder
from voicecli.audio.files.errors import READABLE, unusable
from voicecli.audio.files.opening import open_decoder
from voicecli.audio.pcm import check_rates
from voicecli.errors import AudioFormatError
from voicecli.threads import Worker

__all__ = ["WavSource"]

_log = logging.getLogger(__name__)


class WavSource:
    """The user's voice from a file or a pipe, as PCM16 mono: an AudioSource, to be iterated once.

    Reads the formats of libsndfile: WAV of any sample format, rate and number of channels (mixed to one), also when its
    header does not know the length; FLAC, OGG, MP3 and others. What else there is, such as M4A and WebM, is decoded by
    the program ffmpeg, where it is installed. A file shorter than its header says ends where it ends. Memory stays the
    same whatever the length, and a pipe in which nothing comes blocks nobody. WAV of plain samples is heard out of a
    pipe as it comes; other formats when they are complete, up to 500 MB.

    Args:
        source: a path, "-" for standard input, or a binary stream, which is left open.
        raw_rate: the input is PCM16 little-endian mono without header, at this rate in Hz.
        head: what has been read of a pipe already: all of it, or its first 12 bytes.
        closes: whether a stream is closed with the source.
        mixes: whether all channels become one; else what it yields has a sample of each in turn.

    Raises:
        AudioFormatError: it cannot be read. A file says so at once, a pipe when it is opened or iterated.
        ConfigurationError: a rate that cannot be.

    Attributes:
        name: for people: the path in quotes, or what else it is.
        on_notice: gets code and message of what the user should know of the input, such as that it is cut short, on
            the loop that iterates; otherwise the log does.
    """

    def __init__(
        self,
        source: "str | os.PathLike[str] | BinaryIO",
        *,
        raw_rate: int | None = None,
        head: bytes = b"",
        closes: bool = False,
        mixes: bool = True,
    ) -> None:
        if raw_rate is not None:
            check_rates(raw_rate)
        self.on_notice: Callable[[str, str], None] = lambda code, message: _log.warning("%s", message)
        self._raw_rate = raw_rate
        self._head = head
        self._mixes = mixes
        self._closes = source if closes and not isinstance(source, str | os.PathLike) else None
        self._path: str | None = None
        self._stream: FileIO | BinaryIO | None = None
        self._owned: FileIO | None = None  # to be closed with the source
        self._status: os.stat_result | None = None
        if source == "-":
            self.name = "Standard input"
            self._status = self._check(0)
            self._stream = self._owned = FileIO(0, closefd=False)
        elif isinstance(source, str | os.PathLike):
            self._path = os.fspath(source)
            self.name = repr(self._path)
            self._status = self._check(self._path)
        else:
            self.name = repr(getattr(source, "name", "the stream"))
            self._stream = source
            if not source.seekable() and (descriptor := _descriptor(source)) is not None:
                self._status = self._check(descriptor)
                self._stream = self._owned = FileIO(descriptor, closefd=False)
        is_file = self._status is None or stat.S_ISREG(self._status.st_mode)
        self._is_pipe = not is_file or (self._stream is not None and not self._stream.seekable())
        self._decoder: Decoder | None = None
        self._closed = False
        self._worker = Worker("file")
        self._lock = threading.Lock()  # held while the worker opens or reads
        if not self._is_pipe:
            self._open()

    @property
    def sample_rate(self) -> int:
        """The rate of what it yields, in Hz. That of a pipe is known when it has been opened."""
        if self._decoder is None:
            raise RuntimeError(f"{self.name} is a pipe: its rate is known after `await source.open()`")
        return self._decoder.sample_rate

    @property
    def channels(self) -> int:
        """How many channels it yields: 1 where it mixes. That of a pipe is known when it has been opened."""
        if self._decoder is None:
            raise RuntimeError(f"{self.name} is a pipe: its channels are known after `await source.open()`")
        return self._decoder.channels

    @property
    def realtime(self) -> bool:
        """False: it waits until it is asked."""
        return False

    async def open(self) -> None:
        """Wait for the header, from which the rate follows. Iterating does it, too.

        Raises:
            AudioFormatError: it is no audio, or cannot be read.
        """
        if self._decoder is None and not self._closed:
            await self._worker.run(self._open)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        await self.open()
        empty = True
        self._tell_notices()
        while not self._closed and (audio := await self._worker.run(self._read)):
            empty = False
            self._tell_notices()
            yield audio
        self._tell_notices()
        if empty and not self._closed:
            raise AudioFormatError(f"{self.name} holds no audio.", advice=READABLE)

    async def aclose(self) -> None:
        """Stop reading; idempotent. A read that is stuck in a pipe is left to itself."""
        self._closed = True
        self._worker.stop()
        if self._lock.acquire(blocking=False):  # else the worker releases it when it comes back
            self._release()
            self._lock.release()

    def is_same_file(self, status: os.stat_result) -> bool:
        """True when it reads the very file with this status."""
        return self._status is not None and not self._is_pipe and os.path.samestat(self._status, status)

    def _tell_notices(self) -> None:
        notices = self._decoder.notices if self._decoder is not None else []
        while notices:
            self.on_notice(*notices.pop(0))

    def _check(self, file: str | int) -> os.stat_result:
        try:
            status = os.stat(file)
        except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
            raise unusable("read", self.name, error) from error
        if stat.S_ISDIR(status.st_mode):
            raise AudioFormatError(f"{self.name} is a directory, not a sound file.", advice=READABLE)
        if stat.S_ISREG(status.st_mode) and status.st_size == 0:
            raise AudioFormatError(f"{self.name} is empty.", advice=READABLE)
        return status

    def _open(self) -> None:
        with self._lock:
            try:
                if self._stream is None and self._path is not None:
                    # This waits for the writer of a named pipe.
                    self._stream = self._owned = FileIO(self._path)
                assert self._stream is not None
                if self._raw_rate is None:
                    self._decoder = open_decoder(
                        self._stream,
                        self.name,
                        is_pipe=self._is_pipe,
                        head=self._head,
                        path=self._path,
                        mixes=self._mixes,
                    )
                else:
                    self._decoder = RawDecoder(self._stream, self.name, self._raw_rate)
            except OSError as error:
                self._release()
                raise unusable("read", self.name, error) from error
            except AudioFormatError:
                self._release()
                raise
            if self._closed:
                self._release()

    def _read(self) -> bytes:
        with self._lock:
            try:
                return b"" if self._closed or self._decoder is None else self._decoder.read()
            except OSError as error:
                raise unusable("read", self.name, error) from error
            finally:
                if self._closed:
                    self._release()

    def _release(self) -> None:
        if self._decoder is not None:
            self._decoder.close()
        if self._owned is not None:
            self._owned.close()
        if self._closes is not None:
            self._closes.close()


def _descriptor(stream: BinaryIO) -> int | None:
    """The stream's file descriptor; None of one that is made by a program, such as the body of an HTTP response."""
    try:
        return stream.fileno()
    except (AttributeError, OSError, ValueError):
        return None
