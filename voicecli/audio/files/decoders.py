"""Decoders of files and pipes: whatever libsndfile reads, and raw PCM16, to PCM16 in blocks: mono, or all channels."""

import contextlib
import os
import select
from functools import partial
from io import FileIO
from typing import Any, BinaryIO, Protocol

import numpy as np
import numpy.typing as npt
import soundfile

from voicecli.audio.devices.stderr_guard import quiet_stderr
from voicecli.audio.files.errors import READABLE
from voicecli.audio.files.samples import decode_samples
from voicecli.audio.files.scale import full_scale
from voicecli.audio.files.shell_text import LOOKED_AT, check_shell_text
from voicecli.audio.files.streams import Pieces, read_fully
from voicecli.audio.files.wav import WavFormat, find_audio, header, is_wav, knows_size, next_audio
from voicecli.audio.pcm import check_rates, float32_to_pcm16
from voicecli.errors import AudioFormatError, ConfigurationError
from voicecli.pcm16 import SAMPLE_BYTES, PcmFormat

__all__ = ["Decoder", "FileDecoder", "RawDecoder", "WavPipeDecoder"]

_PIPE_BLOCK_MS = 20  # what comes through a pipe may be live
_FILE_BLOCK_MS = 100
_SCALE_S = 60  # of a file of floats are looked at before it is decoded, to know what full scale is
_PIPE_SCALE_S = 1
_NEXT_CHUNK_S = 0.5  # that a pipe is waited for behind its audio: seldom does more come, and it may be left open
_LARGEST = 0xFFFFFFFF  # bytes: beyond, a WAV header cannot tell the size, and libsndfile finds its way without us
_MPEG_TAGS = (0x50, 0x55)  # MPEG sound in a WAV file
_MOST_LACKING = 0.01  # of the length that is told, before a file counts as cut short: some encoders round
_FLOATS = ("FLOAT", "DOUBLE")
_BEYOND_ANY = 1e6  # where 1 is full scale: channels of the largest floats could not be mixed


class Decoder(Protocol):
    """A decoder of one stream; blocks while it reads.

    Attributes:
        sample_rate: of what it returns, in Hz.
        channels: whose samples follow each other in what it returns.
        notices: code and message of what the user should know of the input; whoever reads takes them away.
    """

    sample_rate: int
    channels: int
    notices: list[tuple[str, str]]

    def read(self) -> bytes:
        """The next block of PCM16; b"" at the end.

        Raises:
            AudioFormatError: the stream is damaged.
            OSError: it cannot be read.
        """

    def close(self) -> None:
        """Release the decoder, not the stream."""


class _Conversion:
    """Conversion of decoded samples to PCM16.

    Args:
        name: of the stream, for people.
        is_float: whether the stream holds floats, which need not be numbers, nor between -1 and 1.
        notices: gets what the user should know.
        mixes: whether all channels become one.
    """

    def __init__(self, name: str, is_float: bool, notices: list[tuple[str, str]], *, mixes: bool) -> None:
        self._mixes = mixes
        self._name = name
        self._is_float = is_float
        self._notices = notices
        self._scale: float | None = None
        self._damaged = False

    def learn_scale(self, samples: "npt.NDArray[Any]") -> None:
        """Look at samples that will come, to know what full scale is; what was once found to be larger stays."""
        scale = full_scale(samples)
        if scale is None or (self._scale is not None and scale <= self._scale):
            return
        self._scale = scale
        if scale > 1:
            bits = int(np.log2(scale)) + 1
            told = (
                f"{self._name} holds floats that go beyond 1, taken for samples of {bits} bit that were never scaled."
            )
            self._notices.append(("input_scaled", told))

    def pcm16(self, samples: "npt.NDArray[Any]") -> bytes:
        """Convert samples of shape (n, channels)."""
        if self._is_float:
            samples = self._cleared(samples)
        if not self._mixes:
            return float32_to_pcm16(samples.reshape(-1))
        return float32_to_pcm16(samples.mean(axis=1) if samples.shape[1] > 1 else samples[:, 0])

    def _cleared(self, samples: "npt.NDArray[Any]") -> "npt.NDArray[Any]":
        numbers = np.isfinite(samples)
        if not numbers.all():
            samples = np.where(numbers, samples, np.float32(0))
            if not self._damaged:
                self._damaged = True
                told = f"{self._name} holds samples that are no numbers, or infinite: they are taken as silence."
                self._notices.append(("input_damaged", told))
        if samples.size and np.abs(samples).max() > 1:
            self.learn_scale(samples)
        return np.clip(samples / np.float32(self._scale or 1), -_BEYOND_ANY, _BEYOND_ANY)


class _Forward(soundfile.SoundFile):  # type: ignore[misc]  # it ships no type information
    """A sound file that is read from its beginning to its end.

    In others each read ends by a seek to where it got, which MPEG sound does not survive: half of it is noise then.
    """

    def seekable(self) -> bool:
        return False


class FileDecoder:
    """Decodes with libsndfile what can be sought in.

    A WAV file is handed to it with a header that is put right: whatever sizes its writer left in it, and however many
    data chunks there are, all of its audio is heard.

    Args:
        name: of the stream, for people.
        owns: whether the stream is closed with the decoder.
        mixes: whether all channels become one.

    Raises:
        AudioFormatError: libsndfile knows no such format, or the header cannot be.
    """

    def __init__(self, stream: "FileIO | BinaryIO", name: str, *, owns: bool = False, mixes: bool = True) -> None:
        self.notices: list[tuple[str, str]] = []
        self._mixes = mixes
        self._name = name
        self._stream: FileIO | BinaryIO | None = None
        self._delivered = 0  # frames
        self._lacking = 0.0  # share of the audio that the header promised, and is not there
        try:
            self._open(stream)
        except BaseException:
            self.close()
            raise
        self._stream = stream if owns else None  # whoever gets no decoder keeps the stream

    def _open(self, stream: "FileIO | BinaryIO") -> None:
        length = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        head = read_fully(stream.read, 12)
        self._pieces = Pieces(b"", stream, [(0, length)])
        self._chatty = head[:3] == b"ID3" or (head[:1] == b"\xff" and head[1:2] >= b"\xe0")
        layout = find_audio(stream, length) if is_wav(head) else None
        if layout is not None:
            _check_header(self._name, layout.format)
            self._chatty = layout.format.tag in _MPEG_TAGS
            size = sum(size for _, size in layout.extents)
            self._lacking = layout.missing / ((size + layout.missing) or 1)
            if size < _LARGEST:
                self._pieces = Pieces(header(layout.format, size), stream, layout.extents)
        try:
            with self._quiet():
                self._file = _Forward(self._pieces, closefd=False)
        except soundfile.LibsndfileError as error:
            if self._pieces.error is not None:
                raise self._pieces.error from error
            reason = error.error_string.rstrip(".")
            raise AudioFormatError(f"{self._name} is no sound file: {reason}.", advice=READABLE) from error
        self.sample_rate: int = self._file.samplerate
        _check_rate(self._name, self.sample_rate)
        self._chatty = self._chatty or self._file.subtype.startswith("MPEG")
        self._frames = _frames(self.sample_rate, _FILE_BLOCK_MS)
        self.channels = 1 if self._mixes else self._file.channels
        self._conversion = _Conversion(self._name, self._file.subtype in _FLOATS, self.notices, mixes=self._mixes)
        if self._file.subtype in _FLOATS:
            self._conversion.learn_scale(self._file.read(self.sample_rate * _SCALE_S, dtype="float32"))
            self._file.seek(0)

    def read(self) -> bytes:
        try:
            with self._quiet():
                samples = self._file.read(self._frames, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            if not self._delivered:
                raise AudioFormatError(f"{self._name} is damaged: {error.error_string}") from error
            samples = np.zeros((0, 1), np.float32)
        if self._pieces.error is not None:
            raise self._pieces.error
        self._delivered += len(samples)
        if not len(samples) and self._delivered:
            self._tell_what_lacks()
        return self._conversion.pcm16(samples)

    def close(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()
        if self._stream is not None:
            self._stream.close()

    def _quiet(self) -> contextlib.AbstractContextManager[None]:
        """The decoder of MPEG sound tells standard error what it thinks of a file."""
        return quiet_stderr() if self._chatty else contextlib.nullcontext()

    def _tell_what_lacks(self) -> None:
        heard = self._delivered / self.sample_rate
        promised = max(self._file.frames / self.sample_rate, heard / (1 - self._lacking))
        if heard < promised * (1 - _MOST_LACKING) and promised < 1e9:  # some do not know their length
            self.notices.append(_cut_short(self._name, heard, promised))


class WavPipeDecoder:
    """Decodes plain samples as they come out of a pipe, behind the header of a WAV file.

    It reads the stream itself: libsndfile would be handed its descriptor, which on Windows means nothing to a library
    with a C runtime of its own.

    Args:
        stream: stands where the audio begins.
        name: of the stream, for people.
        size: of the audio, in bytes; None where the writer did not know.
        mixes: whether all channels become one.

    Raises:
        AudioFormatError: the header cannot be.
    """

    def __init__(
        self, stream: "FileIO | BinaryIO", name: str, form: WavFormat, size: int | None, *, mixes: bool = True
    ) -> None:
        _check_header(name, form)
        assert form.subtype is not None
        self.notices: list[tuple[str, str]] = []
        self.sample_rate = form.sample_rate
        self.channels = 1 if mixes else form.channels
        self._name = name
        self._stream = stream
        self._format = form
        self._subtype = form.subtype
        self._left = size
        self._promised = size or 0
        self._delivered = 0  # bytes
        self._beginning: bytes | None = b""  # until it has been looked at
        is_float = form.subtype in _FLOATS
        self._conversion = _Conversion(name, is_float, self.notices, mixes=mixes)
        self._frames = _frames(self.sample_rate, _PIPE_BLOCK_MS)
        self._next_frames = self.sample_rate * _PIPE_SCALE_S if is_float else self._frames

    def read(self) -> bytes:
        frame = self._format.frame_size
        if self._left is not None and self._left < frame:
            self._find_next(self._left)
        wanted = self._next_frames if self._left is None else min(self._next_frames, self._left // frame)
        if wanted <= 0:
            return b""
        self._next_frames = self._frames
        content = read_fully(self._stream.read, wanted * frame)
        if self._beginning is not None:
            self._look_at(content)
        samples = decode_samples(content[: len(content) // frame * frame], self._subtype, self._format.channels)
        self._delivered += len(samples) * frame
        if self._left is not None:
            self._left -= len(samples) * frame
            if len(samples) < wanted:
                self._left = 0
                if 0 < self._delivered < self._promised * (1 - _MOST_LACKING):
                    a_second = frame * self.sample_rate
                    heard, promised = self._delivered / a_second, self._promised / a_second
                    self.notices.append(_cut_short(self._name, heard, promised))
        return self._conversion.pcm16(samples)

    def close(self) -> None:
        """Do nothing."""

    def _look_at(self, content: bytes) -> None:
        """Look at the first audio that is not silent: the header of sound that was ruined often still makes sense."""
        assert self._beginning is not None
        self._beginning += content.lstrip(b"\0") if not self._beginning else content
        if len(self._beginning) >= LOOKED_AT or not content:
            check_shell_text(self._beginning, self._name)
            self._beginning = None

    def _find_next(self, rest: int) -> None:
        """Go to the next data chunk, if there is one; what lies between is skipped."""
        self._left = 0
        read = partial(read_fully, self._stream.read)
        # At the end of what was promised, or of the pipe: it is asked no more than once.
        if self._delivered + rest == self._promised and _has_more(self._stream):
            read(rest + self._promised % 2)
            if (found := next_audio(read, self._format)) is not None:
                self._left = found[1] if knows_size(*found) else None
                self._promised += found[1] if self._left is not None else 0


class RawDecoder:
    """Passes raw PCM16 mono through, in whole samples.

    Args:
        name: of the stream, for people.
        sample_rate: in Hz.
    """

    def __init__(self, stream: "FileIO | BinaryIO", name: str, sample_rate: int) -> None:
        self.notices: list[tuple[str, str]] = []
        self.sample_rate = sample_rate
        self.channels = 1
        self._stream = stream
        self._name = name
        self._size = PcmFormat(sample_rate).size(_PIPE_BLOCK_MS) or SAMPLE_BYTES
        self._ends_amid_sample = False

    def read(self) -> bytes:
        block = bytearray()
        # A pipe gives what it has, which need not be a whole number of samples.
        while len(block) < self._size and (piece := self._stream.read(self._size - len(block))):
            block += piece
        if self._ends_amid_sample or len(block) % SAMPLE_BYTES:
            if len(block) > 1:  # deliver the audio before it first
                self._ends_amid_sample = True
                return bytes(block[:-1])
            raise AudioFormatError(
                f"{self._name} ends amid a sample: raw PCM16 has two bytes for each.",
                advice="Everything before was taken. Is it really signed 16-bit mono?",
            )
        return bytes(block)

    def close(self) -> None:
        """Do nothing."""


def _frames(sample_rate: int, duration_ms: int) -> int:
    return max(1, sample_rate * duration_ms // 1000)


def _cut_short(name: str, heard_s: float, promised_s: float) -> tuple[str, str]:
    return "input_truncated", f"{name} is cut short: it holds {heard_s:.1f} s of the {promised_s:.1f} s it speaks of."


def _check_header(name: str, form: WavFormat) -> None:
    if form.channels == 0:
        raise AudioFormatError(f"{name} has a damaged header: it says that there are no channels.", advice=READABLE)
    _check_rate(name, form.sample_rate)


def _check_rate(name: str, rate: int) -> None:
    try:
        check_rates(rate)
    except ConfigurationError as error:
        raise AudioFormatError(
            f"{name} has a damaged header: it says that there are {rate} samples in a second.", advice=READABLE
        ) from error


def _has_more(stream: "FileIO | BinaryIO") -> bool:
    """True when a pipe holds more, or has ended; False after half a second in which neither is the case."""
    try:
        return bool(select.select([stream], [], [], _NEXT_CHUNK_S)[0])
    except (OSError, TypeError, ValueError):  # this system can only ask that of sockets
        return False
