"""Decoders of files and pipes: whatever libsndfile reads, and raw PCM16, to PCM16 mono in blocks."""

from io import FileIO
from typing import BinaryIO, Protocol

import soundfile

from voicecli.audio.files.errors import READABLE
from voicecli.audio.pcm import float32_to_pcm16
from voicecli.errors import AudioFormatError
from voicecli.pcm16 import SAMPLE_BYTES, PcmFormat

__all__ = ["Decoder", "RawDecoder", "SoundFileDecoder"]

_PIPE_BLOCK_MS = 20  # what comes through a pipe may be live
_FILE_BLOCK_MS = 100


class Decoder(Protocol):
    """A decoder of one stream; blocks while it reads.

    Attributes:
        sample_rate: of what it returns, in Hz.
    """

    sample_rate: int

    def read(self) -> bytes:
        """The next block of PCM16 mono; b"" at the end.

        Raises:
            AudioFormatError: the stream is damaged.
            OSError: it cannot be read.
        """

    def close(self) -> None:
        """Release the decoder, not the stream."""


class SoundFileDecoder:
    """Decodes with libsndfile.

    Args:
        name: of the stream, for people.
        is_pipe: whether the stream is a pipe, in which nothing can be sought.

    Raises:
        AudioFormatError: libsndfile knows no such format.
    """

    def __init__(self, stream: "FileIO | BinaryIO", name: str, *, is_pipe: bool) -> None:
        self._name = name
        try:
            # libsndfile seeks in a Python stream; a pipe it can read only by its descriptor.
            self._file = soundfile.SoundFile(stream.fileno() if is_pipe else stream, closefd=False)
        except TypeError as error:  # by its name, "x.raw", soundfile takes it for audio without a header
            raise AudioFormatError(f"{name} is raw audio of unknown rate.", advice=READABLE) from error
        except soundfile.LibsndfileError as error:
            empty = "is empty, or " if is_pipe else ""
            reason = error.error_string.rstrip(".")
            raise AudioFormatError(f"{name} {empty}is no sound file: {reason}.", advice=READABLE) from error
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


class RawDecoder:
    """Passes raw PCM16 mono through, in whole samples.

    Args:
        name: of the stream, for people.
        sample_rate: in Hz.
    """

    def __init__(self, stream: "FileIO | BinaryIO", name: str, sample_rate: int) -> None:
        self.sample_rate = sample_rate
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
