"""Writing of a recording off the event loop: a thread does it, and a disk that is slow or full holds up nobody."""

import asyncio
import contextlib
import errno
from collections.abc import Callable
from pathlib import Path

from voicecli.audio.files.errors import unusable
from voicecli.errors import AudioFormatError
from voicecli.pcm16 import SAMPLE_BYTES
from voicecli.recording.stereo_wav import StereoWav
from voicecli.threads import Worker

__all__ = ["RecordingWriter"]

_BATCH = 65_536  # bytes of one channel that are written at once; live, a quarter of a second comes first
_MOST_WAITING = 64_000_000  # bytes for a disk that takes none: then it has failed
_CLOSE_TIMEOUT_S = 5.0


class RecordingWriter:
    """Writes the two channels of one file, in whatever order they come. The first sound makes the file.

    Args:
        path: of the file, which must not be there.
        rate: of the sound, in Hz.
        on_failure: is told, on the event loop, why nothing more is written; once.

    Attributes:
        has_sound: whether there was any, so that there is a file, or will be.
    """

    def __init__(self, path: Path, rate: int, on_failure: Callable[[AudioFormatError], None]) -> None:
        self.has_sound = False
        self._path = path
        self._rate = rate
        self._on_failure = on_failure
        self._loop = asyncio.get_running_loop()
        self._worker = Worker("recording")
        self._file: StereoWav | None = None
        self._failed = False
        self._closed = False
        self._waiting = 0  # bytes; taken off by the thread
        # Of each channel: what is to be written next, and the frame at which it begins.
        self._batches: dict[int, tuple[int, bytearray]] = {}

    def write(self, channel: int, frame: int, audio: bytes) -> None:
        """Put PCM16 mono into a channel, from a frame on. Never blocks."""
        if self._failed or self._closed or not audio:
            return
        self.has_sound = True
        start, batch = self._batches.setdefault(channel, (frame, bytearray()))
        if frame != start + len(batch) // SAMPLE_BYTES:
            self._flush(channel)
            start, batch = self._batches.setdefault(channel, (frame, bytearray()))
        batch += audio
        if len(batch) >= _BATCH:
            self._flush(channel)

    def erase(self, channel: int, frame: int, frames: int) -> None:
        """Make silence of so many frames of a channel."""
        self._flush(channel)
        if frames > 0:  # there was sound, then
            self._submit(lambda file: file.erase(channel, frame, frames))

    def extend(self, frames: int) -> None:
        """Write what has come, and have the file last for so many frames, if there is one."""
        for channel in tuple(self._batches):
            self._flush(channel)
        if self.has_sound:
            self._submit(lambda file: file.extend(frames))

    async def aclose(self) -> None:
        """Write what is left, and close the file; idempotent. A disk that does not answer gets 5 s."""
        if self._closed:
            return
        for channel in tuple(self._batches):
            self._flush(channel)
        self._closed = True
        self._worker.submit(self._close)  # also when nobody waits for it any more
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._worker.run(lambda: None), _CLOSE_TIMEOUT_S)
        self._worker.stop()
        await asyncio.sleep(0)  # for a failure that the thread has told last

    def _flush(self, channel: int) -> None:
        if (batch := self._batches.pop(channel, None)) is not None:
            frame, audio = batch
            self._submit(lambda file: file.write(channel, frame, bytes(audio)), size=len(audio))

    def _submit(self, work: Callable[[StereoWav], None], *, size: int = 0) -> None:
        if self._failed or self._closed:
            return
        if self._waiting > _MOST_WAITING:
            self._fail(OSError(errno.ETIMEDOUT, "the disk is too slow"))
            return
        self._waiting += size

        def attempt() -> None:
            try:
                if not self._failed:
                    self._file = self._file or StereoWav(self._path, self._rate)
                    work(self._file)
            except OSError as error:
                with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
                    self._loop.call_soon_threadsafe(self._fail, error)
            finally:
                self._waiting -= size

        self._worker.submit(attempt)

    def _fail(self, error: OSError) -> None:
        if not self._failed:
            self._failed = True
            self._on_failure(unusable("write", repr(str(self._path)), error))

    # -- on the thread

    def _close(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
