"""Resampling: speed, lag and alias rejection. Run by hand: python benchmarks/resample.py

- speed: seconds of audio converted per second.
- lag: how far the output is behind the input while 20 ms chunks come in; least and most.
- alias: the strongest component that the input does not have, under a full-scale tone; the worst of 40 tones.
  Going down these lie above half the new rate; going up, what counts are images above half the old rate.
- band: up to where a tone loses less than 1 dB.
"""

import time
from collections.abc import Callable, Iterable

import numpy as np
import soxr
from rich.console import Console
from rich.table import Table

from voicecli.audio.pcm import Resampler, chunk_audio, float32_to_pcm16, pcm16_to_float32, resample_pcm16

Stream = Callable[[Iterable[bytes], int, int], Iterable[bytes]]

RATES = [(48_000, 24_000), (44_100, 24_000), (24_000, 48_000), (16_000, 24_000), (24_000, 16_000), (22_050, 24_000)]


def whole(chunks: Iterable[bytes], from_rate: int, to_rate: int) -> Iterable[bytes]:
    yield resample_pcm16(b"".join(chunks), from_rate, to_rate)


def streaming(chunks: Iterable[bytes], from_rate: int, to_rate: int) -> Iterable[bytes]:
    resampler = Resampler(from_rate, to_rate)
    for chunk in chunks:
        yield resampler.process(chunk)
    yield resampler.flush()


def soxr_stream(quality: str) -> Stream:
    def convert(chunks: Iterable[bytes], from_rate: int, to_rate: int) -> Iterable[bytes]:
        resampler = soxr.ResampleStream(from_rate, to_rate, 1, dtype="float32", quality=quality)
        for chunk in chunks:
            yield float32_to_pcm16(resampler.resample_chunk(pcm16_to_float32(chunk)))
        yield float32_to_pcm16(resampler.resample_chunk(np.zeros(0, np.float32), last=True))

    return convert


def linear(chunks: Iterable[bytes], from_rate: int, to_rate: int) -> Iterable[bytes]:
    samples = pcm16_to_float32(b"".join(chunks))
    times = np.arange(len(samples) * to_rate // from_rate) * from_rate / to_rate
    yield float32_to_pcm16(np.interp(times, np.arange(len(samples)), samples))


CONVERTERS: dict[str, Stream] = {
    "resample_pcm16": whole,
    "Resampler": streaming,
    "soxr HQ, streaming": soxr_stream("HQ"),
    "soxr LQ, streaming": soxr_stream("LQ"),
    "soxr QQ, streaming": soxr_stream("QQ"),
    "linear interpolation": linear,
}


def tone(frequency: float, rate: int) -> bytes:
    return float32_to_pcm16(0.9 * np.sin(2 * np.pi * frequency * np.arange(rate // 2) / rate))


def converted_tone(convert: Stream, frequency: float, from_rate: int, to_rate: int) -> np.ndarray:
    audio = b"".join(convert(chunk_audio(tone(frequency, from_rate), sample_rate=from_rate), from_rate, to_rate))
    return pcm16_to_float32(audio)[to_rate // 10 : -to_rate // 10].astype(np.float64)  # without its ends


def spectrum(convert: Stream, frequency: float, from_rate: int, to_rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies, and amplitudes in dB under the tone's."""
    middle = converted_tone(convert, frequency, from_rate, to_rate)
    window = np.blackman(middle.size)
    amplitudes = 2 * np.abs(np.fft.rfft(middle * window)) / window.sum()
    return np.fft.rfftfreq(middle.size, 1 / to_rate), 20 * np.log10(amplitudes / 0.9 + 1e-12)


def alias_db(convert: Stream, from_rate: int, to_rate: int) -> float:
    lower = min(from_rate, to_rate)
    if from_rate > to_rate:
        tones, floor = np.linspace(lower / 2, from_rate / 2 * 0.98, 40), 0.0
    else:
        tones, floor = np.linspace(lower * 0.01, lower * 0.49, 40), lower / 2
    found = []
    for frequency in tones:
        frequencies, levels = spectrum(convert, float(frequency), from_rate, to_rate)
        found.append(levels[frequencies > floor].max())
    return float(max(found))


def band_hz(convert: Stream, from_rate: int, to_rate: int) -> float:
    kept = 0.0
    for frequency in np.arange(0.3, 0.5, 0.005) * min(from_rate, to_rate):
        power = np.mean(converted_tone(convert, float(frequency), from_rate, to_rate) ** 2)
        if 10 * np.log10(2 * power / 0.9**2) < -1:
            break
        kept = float(frequency)
    return kept


def lag_ms(convert: Stream, from_rate: int, to_rate: int) -> tuple[float, float]:
    arrived = 0.0

    def live() -> Iterable[bytes]:
        nonlocal arrived
        for _ in range(200):
            arrived += 20
            yield bytes(from_rate // 50 * 2)

    made, lags = 0, []
    for piece in convert(live(), from_rate, to_rate):
        made += len(piece)
        lags.append(arrived - made / 2 / to_rate * 1_000)
    return min(lags[20:-1], default=float("nan")), max(lags[20:-1], default=float("nan"))


def times_real_time(convert: Stream, from_rate: int, to_rate: int, seconds: int = 20) -> float:
    noise = np.random.default_rng(0).integers(-9_000, 9_000, from_rate * seconds).astype("<i2").tobytes()
    chunks = list(chunk_audio(noise, sample_rate=from_rate))
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        for _ in convert(chunks, from_rate, to_rate):
            pass
        best = min(best, time.perf_counter() - start)
    return seconds / best


def main() -> None:
    console = Console(width=120)
    for from_rate, to_rate in RATES:
        table = Table("", "speed", "lag, ms", "alias, dB", "band, Hz", title=f"{from_rate} to {to_rate} Hz")
        for name, convert in CONVERTERS.items():
            least, most = lag_ms(convert, from_rate, to_rate)
            table.add_row(
                name,
                f"{times_real_time(convert, from_rate, to_rate):.0f} x",
                "whole" if np.isnan(least) else f"{least:.1f} to {most:.1f}",
                f"{alias_db(convert, from_rate, to_rate):.0f}",
                f"{band_hz(convert, from_rate, to_rate):.0f}",
            )
        console.print(table)


if __name__ == "__main__":
    main()
