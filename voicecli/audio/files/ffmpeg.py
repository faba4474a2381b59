"""Sound that libsndfile does not read, decoded by the program `ffmpeg`, where it is installed.

It gets a file and gives WAV through a pipe. It may open no other file and no address, whatever the file says, as only
containers of sound and video are let in, and no playlists.
"""

import contextlib
import os
import shlex
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable
from functools import partial
from io import FileIO
from pathlib import Path
from typing import BinaryIO, TypeVar

from voicecli.audio.files.decoders import WavPipeDecoder
from voicecli.audio.files.streams import read_fully
from voicecli.audio.files.wav import is_wav, next_audio
from voicecli.errors import AudioFormatError

__all__ = ["FfmpegDecoder", "conversion_advice", "find_ffmpeg"]

_CONTAINERS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dts,eac3,flac,flv,matroska,mov,mp4,m4a,3gp,mp3,mpegts,mpc,mpc8,ogg,oma,qcp,rm,tak,tta,w64,"
    "wav,webm,wv"
)
"""Names of ffmpeg's demuxers, besides whose it opens nothing."""
_ENDING_S = 5.0  # for a process whose output has ended
_LONGEST_REASON = 200  # characters

_T = TypeVar("_T")


def find_ffmpeg() -> str | None:
    """The path of the program; None where it is not installed."""
    found = shutil.which("ffmpeg")
    # Windows looks in the working directory first, where anybody's may lie.
    return found if found is not None and os.path.isabs(found) else None


def conversion_advice(path: str | None) -> str:
    """Advice about a file for which the program is missing, with the command that converts it.

    Args:
        path: of the file; None for a pipe.
    """
    names = ("-", "-f wav -") if path is None else (path, str(Path(path).with_suffix(".wav")))
    command = f"ffmpeg -i {' '.join(names if path is None else map(shlex.quote, names))}"
    return f"Install ffmpeg, with which it is read; or convert it where that is: {command}"


class FfmpegDecoder:
    """Decodes by `ffmpeg`: a Decoder.

    Args:
        program: its path.
        stream: can seek; used where there is no path.
        name: of the stream, for people.
        path: of the file.
        mixes: whether all channels become one.
        stalled_s: how long it may give nothing, in seconds, before it is ended.

    Raises:
        AudioFormatError: there is no sound in it that ffmpeg knows.
        OSError: the program cannot be started, or there is no room for a copy of the stream.
    """

    def __init__(
        self,
        program: str,
        stream: "FileIO | BinaryIO",
        name: str,
        path: str | None,
        *,
        mixes: bool = True,
        stalled_s: float = 30.0,  # it decodes hundreds of times faster than sound passes
    ) -> None:
        self._name = name
        self._mixes = mixes
        self._stalled_s = stalled_s
        self._closing = contextlib.ExitStack()
        self._over = threading.Event()
        self._reads = 0
        self._reading = False
        self._told = False
        try:
            self._errors = self._closing.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
            self._process = self._start(program, path or self._copy(stream))
            self._closing.callback(self._end)
            self._inner = self._open()
        except BaseException:
            self.close()
            raise
        self.sample_rate = self._inner.sample_rate
        self.channels = self._inner.channels
        self.notices = self._inner.notices

    def read(self) -> bytes:
        audio = self._guarded(self._inner.read)
        if not audio and not self._told:
            self._told = True
            if failure := self._failure():
                told = f"{self._name} is damaged: it is used as far as it could be decoded ({failure})."
                self.notices.append(("input_damaged", told))
        return audio

    def close(self) -> None:
        self._over.set()
        self._closing.close()

    def _copy(self, stream: "FileIO | BinaryIO") -> str:
        folder = self._closing.enter_context(
            tempfile.TemporaryDirectory(prefix="voicecli-", ignore_cleanup_errors=True)
        )
        path = Path(folder) / "sound"
        stream.seek(0)
        with path.open("wb") as file:
            shutil.copyfileobj(stream, file)
        return str(path)

    def _start(self, program: str, path: str) -> "subprocess.Popen[bytes]":
        options = ["-hide_banner", "-nostdin", "-loglevel", "error", "-threads", "1"]
        limits = ["-protocol_whitelist", "file", "-format_whitelist", _CONTAINERS]
        output = ["-map", "0:a:0", *(["-ac", "1"] if self._mixes else []), "-c:a", "pcm_s16le", "-f", "wav", "pipe:1"]
        return subprocess.Popen(
            # With the protocol, no name of a file is taken for an option or an address.
            [program, *options, *limits, "-i", f"file:{path}", *output],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            bufsize=0,
            start_new_session=os.name == "posix",  # Ctrl-C is for this program alone
        )

    def _open(self) -> WavPipeDecoder:
        stream = self._process.stdout
        assert isinstance(stream, FileIO)
        threading.Thread(target=self._watch, name="voicecli-ffmpeg", daemon=True).start()
        read = partial(read_fully, stream.read)
        found = self._guarded(lambda: next_audio(read) if is_wav(read(12)) else None)
        if found is None:
            why = self._failure() or "there is no sound in it"
            raise AudioFormatError(f"{self._name} cannot be decoded: {why}.", advice="Is the file complete?")
        return WavPipeDecoder(stream, self._name, found[0], None, mixes=self._mixes)

    def _guarded(self, read: Callable[[], _T]) -> _T:
        self._reading = True
        try:
            return read()
        finally:
            self._reading = False
            self._reads += 1

    def _watch(self) -> None:
        """End a program that gives nothing, so that whoever reads gets on."""
        before = -1
        while not self._over.wait(self._stalled_s):
            if self._reading and self._reads == before:
                self._process.kill()
            before = self._reads

    def _failure(self) -> str:
        """The words of ffmpeg when it has failed, or that it did not end; else ""."""
        try:
            if self._process.wait(_ENDING_S) == 0:
                return ""
        except subprocess.TimeoutExpired:
            return "ffmpeg does not end"
        self._errors.seek(0)
        lines = self._errors.read(64_000).decode(errors="replace").strip().splitlines()
        last = lines[-1].rpartition(": ")[2] if lines else ""  # before it stands the path
        return last[:_LONGEST_REASON].rstrip(".") or "ffmpeg failed"

    def _end(self) -> None:
        self._process.kill()
        self._process.wait(_ENDING_S)
        if self._process.stdout is not None:
            self._process.stdout.close()
