"""Operations on PCM16 mono: resampling, chunking, conversion to and from floats, levels."""

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import soxr

from voicecli.errors import AudioFormatError, ConfigurationError
from voicecli.pcm16 import SAMPLE_BYTES, PcmFormat, SampleAligner

__all__ = [
    "SILENCE_DBFS",
    "Resampler",
    "check_rates",
    "chunk_audio",
    "float32_to_pcm16",
    "level",
    "pcm16_to_float32",
    "resample_pcm16",
]

Samples = npt.NDArray[np.float32]

SILENCE_DBFS = -96.0
"""The level of silence, in dBFS: the range of 16 bits."""

_FULL_SCALE = 32768
_FULL_SCALE_ENERGY = _FULL_SCALE**2
_PCM16, _FLOAT64 = np.dtype("<i2"), np.dtype(np.float64)  # made once: each time takes a tenth of a level
_SHORT = 8_192  # bytes; OpenBLAS begins threads for products of more than 10,000 samples
# The highest of any converter on the market; and far below what speech needs. Others come from a damaged header.
_LOWEST_RATE, _HIGHEST_RATE = 1_000, 768_000

# The streaming filter. A Kaiser window's transition is as wide as the filter is short (Kaiser's formula, below):
# 2.5 ms each side need 1.3 kHz, so that 24 kHz keeps everything up to 10.7 kHz and 16 kHz up to 6.7 kHz.
# Below 12.8 kHz that would cost too much of the band, so there 32 samples of the lower rate count.
_STOPBAND_DB = 100.0
_HALF_LENGTH_S = 0.0025
_HALF_LENGTH_SAMPLES = 32
# Positions between two input samples for which coefficients are kept. Rates with a coarser common grid than that
# (44.1 to 48 kHz: 160) are exact; for others the two nearest are interpolated, whose error is below -120 dB.
_MOST_PHASES = 1024
_FEW_PHASES = 8  # outputs of one phase are then many at once, even of 10 ms (8 to 48 kHz: 6; 24 to 16 kHz: 2)
# Output samples computed at once: inputs of any length stay within the processor's cache. Where each has its own phase,
# so many coefficients: 480 samples from 44.1 kHz took 0.45 MB for theirs, anew from the system each time, which took
# five times as long as the rest.
_BLOCK, _COEFFICIENTS = 512, 57_000


def resample_pcm16(audio: bytes, from_rate: int, to_rate: int) -> bytes:
    """Resample audio.

    For a whole recording; a stream that comes in pieces needs one `Resampler`.

    Args:
        audio: PCM16 mono.
        from_rate, to_rate: in Hz.

    Raises:
        AudioFormatError: an odd number of bytes.
        ConfigurationError: a rate that cannot be.
    """
    check_rates(from_rate, to_rate)
    _check_even(audio)
    if from_rate == to_rate or not audio:
        return bytes(audio)
    # In floats: soxr dithers PCM16, so that silence would not stay silent.
    return float32_to_pcm16(soxr.resample(pcm16_to_float32(audio), from_rate, to_rate, quality="VHQ"))


def chunk_audio(
    audio: bytes, chunk_size: int | None = None, *, chunk_ms: float | None = None, sample_rate: int = 24_000
) -> Iterator[bytes]:
    """Cut PCM16 mono into chunks of equal size; the last one may be shorter.

    Args:
        chunk_size: in bytes: even, as a sample has two.
        chunk_ms: in milliseconds at `sample_rate`, rounded down to whole samples; 20 unless `chunk_size` is given.
        sample_rate: in Hz; only `chunk_ms` needs it.

    Raises:
        AudioFormatError: an odd number of bytes.
        ConfigurationError: a rate or size that cannot be, or both sizes.
    """
    check_rates(sample_rate)
    _check_even(audio)
    if chunk_size is None:
        size = _size_of(20 if chunk_ms is None else chunk_ms, sample_rate)
    elif chunk_ms is not None:
        raise ConfigurationError("chunk_size and chunk_ms are both given.", advice="Give one of them.")
    elif type(chunk_size) is not int or chunk_size <= 0 or chunk_size % SAMPLE_BYTES:
        raise ConfigurationError(
            f"chunk_size: {chunk_size!r} is not a number of bytes that holds whole samples.",
            advice="Give an even number above 0, such as 960, or chunk_ms.",
        )
    else:
        size = chunk_size
    return (bytes(audio[start : start + size]) for start in range(0, len(audio), size))


def _size_of(chunk_ms: float, sample_rate: int) -> int:
    try:
        size = PcmFormat(sample_rate).size(chunk_ms)
    except (OverflowError, TypeError, ValueError):  # infinite, no number, not-a-number
        size = 0
    if size <= 0:
        raise ConfigurationError(
            f"chunk_ms: {chunk_ms!r} at {sample_rate} Hz is less than one sample, or no duration.",
            advice="Usual are 20 to 100 ms.",
        )
    return size


def pcm16_to_float32(audio: bytes) -> Samples:
    """Convert PCM16 to float32 from -1 to just below 1, of shape (n,).

    Raises:
        AudioFormatError: an odd number of bytes.
    """
    _check_even(audio)
    return np.frombuffer(audio, "<i2").astype(np.float32) / np.float32(_FULL_SCALE)


def float32_to_pcm16(samples: npt.ArrayLike) -> bytes:
    """Convert floats of shape (n,), where -1 to 1 is full scale, to PCM16.

    Louder samples are clipped; not-a-number becomes silence.

    Raises:
        AudioFormatError: not floats, or more than one channel.
    """
    array = np.asarray(samples)
    if array.ndim != 1:
        raise AudioFormatError(
            f"Samples of shape {array.shape} are not mono.", advice="Pass shape (n,), such as samples.mean(axis=1)."
        )
    if array.size and array.dtype.kind != "f":
        raise AudioFormatError(
            f"Samples of type {array.dtype} are not floats.", advice="PCM16 in an int16 array needs only .tobytes()."
        )
    # Before they are scaled, which the largest floats do not survive.
    scaled = np.rint(np.clip(array.astype(np.float32, copy=False), -2, 2) * np.float32(_FULL_SCALE))
    np.nan_to_num(scaled, copy=False, nan=0.0)
    clipped: npt.NDArray[np.int16] = np.clip(scaled, -_FULL_SCALE, _FULL_SCALE - 1).astype("<i2")
    return clipped.tobytes()


def level(audio: bytes) -> float:
    """The level of PCM16: its RMS in dBFS, `SILENCE_DBFS` to 0; a full-scale sine is at -3.

    Raises:
        AudioFormatError: an odd number of bytes.
    """
    size = len(audio)
    if size % SAMPLE_BYTES:
        raise _odd_length(f"PCM16 of {size} bytes")
    # Echo control takes 300 levels a second. The overhead of np.mean is five times the work on 10 ms. Floats hold such
    # sums exactly, and take three quarters of what integers do; but for long vectors the numerical library would wake
    # threads that then spin.
    wide = np.frombuffer(audio, _PCM16).astype(_FLOAT64 if size <= _SHORT else np.int64)
    energy = float(wide.dot(wide))
    if not energy:
        return SILENCE_DBFS
    dbfs = 10 * math.log10(energy / (size // SAMPLE_BYTES * _FULL_SCALE_ENERGY))
    return dbfs if dbfs > SILENCE_DBFS else SILENCE_DBFS


class Resampler:
    """Resamples a stream of PCM16 mono that comes in pieces, without seams.

    Its output does not depend on how the stream was cut. It stays behind the input by half of its filter,
    2.5 ms (4 ms where a rate is 8 kHz), always: a windowed sinc, evaluated for each output sample. The resampling
    library used for whole recordings sets steeper edges and works in blocks, which holds live chunks back by up to
    40 ms.

    Args:
        from_rate, to_rate: in Hz; equal rates pass everything through.

    Raises:
        ConfigurationError: a rate that cannot be.
    """

    def __init__(self, from_rate: int, to_rate: int) -> None:
        check_rates(from_rate, to_rate)
        common = math.gcd(from_rate, to_rate)
        self._up, self._down = to_rate // common, from_rate // common
        self._same = from_rate == to_rate
        if not self._same:
            lower = min(from_rate, to_rate)
            self._half = math.ceil(max(_HALF_LENGTH_S, _HALF_LENGTH_SAMPLES / lower) * from_rate)
            self._phases = min(self._up, _MOST_PHASES)
            self._block = _BLOCK if self._up <= _FEW_PHASES else max(1, _COEFFICIENTS // (2 * self._half))
            self._bank = _kaiser_bank(self._half, lower / 2 / from_rate, self._phases)
        self._aligner = SampleAligner()
        self._reset()

    @property
    def lag(self) -> int:
        """How many samples of the input the output stays behind, at least."""
        return 0 if self._same else max(0, self._half - math.ceil(self._down / self._up))

    def process(self, audio: bytes) -> bytes:
        """Take more of the stream; the output that is complete with it. Half a sample waits for its other half."""
        audio = self._aligner.push(audio)
        if self._same or not audio:
            return audio
        return self._push(pcm16_to_float32(audio))

    def flush(self) -> bytes:
        """The rest of the output; the next `process` begins a new stream.

        Raises:
            AudioFormatError: the stream ended amid a sample; the whole samples are there at the next `flush`.
        """
        if self._aligner.clear():
            raise _odd_length("The stream")
        rest = b"" if self._same else self._push(np.zeros(self._half, np.float32))
        self._reset()
        return rest

    def _reset(self) -> None:
        if not self._same:
            # The filter looks back before the first sample: there is silence.
            self._history: Samples = np.zeros(self._half - 1, np.float32)
            self._phase = 0  # of the next output sample, in 1/up of an input sample, from history[half - 1] on

    def _push(self, samples: Samples) -> bytes:
        history = np.concatenate((self._history, samples))
        # Its window of 2 * half samples begins `phase // up` after the start of the history.
        last_start = history.size - 2 * self._half
        count = max(0, ((last_start + 1) * self._up - 1 - self._phase) // self._down + 1)
        output = np.empty(count, np.float32)
        for begin in range(0, count, self._block):
            block = output[begin : begin + self._block]
            block[:] = self._filter(history, self._phase + begin * self._down, block.size)
        self._phase += count * self._down
        used = min(self._phase // self._up, history.size)
        self._history = history[used:]
        self._phase -= used * self._up
        return _bounded_pcm16(output)

    def _filter(self, history: Samples, phase: int, count: int) -> Samples:
        """Filter so many outputs, the first of which is at `phase`."""
        shape = history.size - 2 * self._half + 1, 2 * self._half
        # What `sliding_window_view` makes, which takes longer than to filter 10 ms.
        windows = np.ndarray(shape, history.dtype, history, strides=history.strides * 2)
        if self._up <= _FEW_PHASES:
            output = np.empty(count, np.float32)
            for first in range(min(self._up, count)):  # of the outputs that all have the same phase
                start, at = divmod(phase + first * self._down, self._up)
                alike = windows[start :: self._down][: (count - first - 1) // self._up + 1]
                output[first :: self._up] = np.einsum("ij,j->i", alike, self._bank[at])
            return output
        starts, phases = np.divmod(phase + np.arange(count) * self._down, self._up)
        if self._up == self._phases:
            weights = self._bank[phases]
        else:
            nearest, between = np.divmod(phases * self._phases, self._up)
            share = (between / self._up).astype(np.float32)[:, np.newaxis]
            weights = self._bank[nearest] * (1 - share) + self._bank[nearest + 1] * share
        return np.asarray(np.einsum("ij,ij->i", windows[starts], weights), np.float32)


def _bounded_pcm16(samples: Samples) -> bytes:
    """PCM16 of floats that are numbers and not much above full scale, which are overwritten."""
    samples *= _FULL_SCALE
    np.rint(samples, out=samples)
    np.minimum(samples, _FULL_SCALE - 1, out=samples)
    np.maximum(samples, -_FULL_SCALE, out=samples)
    return samples.astype("<i2").tobytes()


def _kaiser_bank(half: int, stop: float, phases: int) -> Samples:
    """Make low-pass filters for outputs at 0, 1/phases ... 1 between two inputs, of shape (phases + 1, 2 * half).

    Args:
        half: length of each side, in input samples.
        stop: where the stop band begins, in cycles per input sample.
    """
    # Kaiser, "Nonrecursive digital filter design using the I0-sinh window function" (1974).
    beta = 0.1102 * (_STOPBAND_DB - 8.7)
    transition = (_STOPBAND_DB - 7.95) / 14.36 / (2 * half)
    cutoff = 2 * (stop - transition / 2)
    offset = np.arange(1 - half, half + 1) - np.arange(phases + 1)[:, np.newaxis] / phases
    window = np.i0(beta * np.sqrt(np.clip(1 - (offset / half) ** 2, 0, None)))
    bank = np.sinc(cutoff * offset) * window
    scaled: Samples = (bank / bank.sum(axis=1, keepdims=True)).astype(np.float32)
    return scaled


def check_rates(*rates: int) -> None:
    """Raise ConfigurationError for a sample rate, in Hz, that cannot be."""
    for rate in rates:
        if type(rate) is not int or not _LOWEST_RATE <= rate <= _HIGHEST_RATE:
            raise ConfigurationError(
                f"A sample rate of {rate!r} Hz is not possible.",
                advice=f"Give a whole number from {_LOWEST_RATE} to {_HIGHEST_RATE}, such as 16000, 24000 or 48000.",
            )


def _check_even(audio: bytes) -> None:
    if len(audio) % SAMPLE_BYTES:
        raise _odd_length(f"PCM16 of {len(audio)} bytes")


def _odd_length(what: str) -> AudioFormatError:
    return AudioFormatError(
        f"{what} ends amid a sample: each has two bytes.",
        advice="Pass signed 16-bit mono samples, and cut them at even positions.",
    )
