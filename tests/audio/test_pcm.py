import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicecli.audio import chunk_audio, float32_to_pcm16, pcm16_to_float32, resample_pcm16
from voicecli.audio.pcm import SILENCE_DBFS, Resampler, level
from voicecli.errors import AudioFormatError, ConfigurationError

RATES = [(48_000, 24_000), (44_100, 24_000), (24_000, 48_000), (16_000, 24_000), (24_000, 16_000), (22_050, 24_000)]
Convert = Callable[[bytes, int, int], bytes]
EXACT = settings(derandomize=True, deadline=None, max_examples=25)


def tone(frequency: float, rate: int, seconds: float = 1.0, amplitude: float = 0.9) -> bytes:
    return float32_to_pcm16(amplitude * np.sin(2 * np.pi * frequency * np.arange(int(rate * seconds)) / rate))


def samples(audio: bytes) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.frombuffer(audio, "<i2").astype(np.int64)


def loudest_db(audio: bytes, rate: int, *, above: float = 0.0) -> float:
    """The strongest component above a frequency, in dBFS, away from the ends of the audio."""
    middle = pcm16_to_float32(audio)[rate // 10 : -rate // 10].astype(np.float64)
    window = np.blackman(middle.size)
    spectrum = 2 * np.abs(np.fft.rfft(middle * window)) / window.sum()
    return float(20 * np.log10(spectrum[np.fft.rfftfreq(middle.size, 1 / rate) > above].max() + 1e-12))


def stream(audio: bytes, from_rate: int, to_rate: int, size: int = 960) -> bytes:
    resampler = Resampler(from_rate, to_rate)
    pieces = [resampler.process(audio[start : start + size]) for start in range(0, len(audio), size)]
    return b"".join(pieces) + resampler.flush()


@pytest.mark.parametrize("convert", [resample_pcm16, stream])
@pytest.mark.parametrize(("from_rate", "to_rate"), RATES)
class TestAnyResampling:
    def test_keeps_a_tone_in_place_and_as_loud(self, convert: Convert, from_rate: int, to_rate: int) -> None:
        """Same phase and amplitude: neither delay nor gain, compared with the tone made at the other rate."""
        result = samples(convert(tone(1_000, from_rate), from_rate, to_rate))
        expected = samples(tone(1_000, to_rate))
        assert abs(result.size - expected.size) <= 1
        inner = slice(to_rate // 20, -to_rate // 20)
        assert np.abs(result[: expected.size] - expected)[inner].max() <= 2

    def test_rejects_aliases_and_images_by_90_db(self, convert: Convert, from_rate: int, to_rate: int) -> None:
        lower = min(from_rate, to_rate)
        if from_rate > to_rate:
            frequencies = np.linspace(lower / 2, from_rate / 2 * 0.98, 7)
            above = 0.0
        else:
            frequencies = np.linspace(lower * 0.02, lower * 0.48, 7)
            above = lower / 2
        for frequency in frequencies:
            result = convert(tone(frequency, from_rate), from_rate, to_rate)
            assert loudest_db(result, to_rate, above=above) <= -90

    def test_silence_stays_silent(self, convert: Convert, from_rate: int, to_rate: int) -> None:
        assert not any(convert(bytes(from_rate), from_rate, to_rate))


class TestStreaming:
    @EXACT
    @given(
        rates=st.sampled_from([*RATES, (8_000, 24_000), (44_101, 24_000), (11_025, 48_000), (24_000, 24_000)]),
        sizes=st.lists(st.integers(0, 3_000), min_size=1, max_size=40),
    )
    def test_does_not_depend_on_how_the_stream_was_cut(self, rates: tuple[int, int], sizes: list[int]) -> None:
        audio = np.random.default_rng(sum(sizes)).integers(-30_000, 30_000, sum(sizes) // 2).astype("<i2").tobytes()
        whole = Resampler(*rates)
        expected = samples(whole.process(audio) + whole.flush())
        resampler, position, pieces = Resampler(*rates), 0, []
        for size in sizes:
            pieces.append(resampler.process(audio[position : position + size]))
            position += size
        result = samples(b"".join(pieces) + resampler.flush())
        assert result.size == expected.size == math.ceil(len(audio) // 2 * rates[1] / rates[0])
        assert np.abs(result - expected).max(initial=0) <= 2

    @pytest.mark.parametrize(("from_rate", "to_rate"), [*RATES, (8_000, 24_000)])
    def test_lags_steadily_and_little(self, from_rate: int, to_rate: int) -> None:
        resampler = Resampler(from_rate, to_rate)
        given_out, lags = 0, []
        for number in range(1, 51):
            given_out += len(resampler.process(bytes(from_rate // 50 * 2))) // 2
            lags.append(number * 20 - given_out / to_rate * 1_000)
        assert max(lags) <= (4.1 if from_rate == 8_000 else 2.6)
        assert max(lags) - min(lags) < 0.1

    def test_speech_differs_little_from_the_whole_file_resampler(self) -> None:
        speech = sum(
            samples(tone(frequency, 48_000, amplitude=0.2)) for frequency in (150, 700, 1_200, 2_600, 5_000, 9_000)
        )
        audio = np.asarray(speech).astype("<i2").tobytes()
        one, other = samples(resample_pcm16(audio, 48_000, 24_000)), samples(stream(audio, 48_000, 24_000))
        assert np.abs(one - other)[1_000:-1_000].max() <= 2

    def test_passes_everything_at_equal_rates(self) -> None:
        resampler, audio = Resampler(24_000, 24_000), tone(440, 24_000)
        assert resampler.process(audio) is audio
        assert resampler.flush() == b""

    def test_begins_anew_after_a_flush(self) -> None:
        resampler, audio = Resampler(48_000, 24_000), tone(440, 48_000, 0.1)
        first = resampler.process(audio) + resampler.flush()
        assert resampler.process(audio) + resampler.flush() == first

    @pytest.mark.parametrize("to_rate", [24_000, 16_000])
    def test_names_half_a_sample_at_the_end_and_loses_no_other(self, to_rate: int) -> None:
        resampler, audio = Resampler(24_000, to_rate), tone(440, 24_000, 0.1)
        start = resampler.process(audio + b"\x01")
        with pytest.raises(AudioFormatError, match="amid a sample"):
            resampler.flush()
        assert start + resampler.flush() == stream(audio, 24_000, to_rate)


class TestWholeRecordings:
    def test_equal_rates_change_nothing(self) -> None:
        assert resample_pcm16(tone(440, 24_000), 24_000, 24_000) == tone(440, 24_000)

    def test_nothing_stays_nothing(self) -> None:
        assert resample_pcm16(b"", 16_000, 24_000) == b""

    @pytest.mark.parametrize("rates", [(0, 24_000), (24_000, -1), (24_000, 4_000_000_000), (24_000.0, 16_000)])
    def test_refuses_impossible_rates(self, rates: tuple[int, int]) -> None:
        with pytest.raises(ConfigurationError, match="sample rate") as caught:
            resample_pcm16(b"", *rates)
        assert "16000" in caught.value.advice
        with pytest.raises(ConfigurationError):
            Resampler(*rates)

    def test_refuses_half_a_sample(self) -> None:
        with pytest.raises(AudioFormatError, match="3 bytes") as caught:
            resample_pcm16(b"abc", 16_000, 24_000)
        assert "16-bit mono" in caught.value.advice


class TestChunks:
    def test_are_20_ms_at_24_khz_unless_told_otherwise(self) -> None:
        chunks = list(chunk_audio(tone(440, 24_000, 0.05)))
        assert [len(chunk) for chunk in chunks] == [960, 960, 480]
        assert b"".join(chunks) == tone(440, 24_000, 0.05)

    def test_take_length_and_rate(self) -> None:
        assert [len(chunk) for chunk in chunk_audio(bytes(1_000), chunk_ms=10, sample_rate=16_000)] == [320] * 3 + [40]

    def test_of_nothing_are_none(self) -> None:
        assert list(chunk_audio(b"")) == []

    @pytest.mark.parametrize(("chunk_ms", "rate"), [(0, 24_000), (-5, 24_000), (20, 0), (1, 500)])
    def test_refuse_lengths_and_rates_at_the_call(self, chunk_ms: int, rate: int) -> None:
        with pytest.raises(ConfigurationError):
            chunk_audio(b"", chunk_ms=chunk_ms, sample_rate=rate)

    @pytest.mark.parametrize("chunk_ms", [math.inf, math.nan, -math.inf])
    def test_refuse_what_is_no_duration(self, chunk_ms: float) -> None:
        with pytest.raises(ConfigurationError, match="chunk_ms"):
            chunk_audio(b"", chunk_ms=chunk_ms)

    def test_are_cut_by_bytes(self) -> None:
        audio = bytes(range(250)) * 40
        chunks = list(chunk_audio(audio, 4096))
        assert chunks == list(chunk_audio(audio, chunk_size=4096))
        assert [len(chunk) for chunk in chunks] == [4096, 4096, 1808]
        assert b"".join(chunks) == audio

    @pytest.mark.parametrize("chunk_size", [4095, 1, 0, -2, 4096.0, True])
    def test_refuse_sizes_that_cut_samples(self, chunk_size: int) -> None:
        with pytest.raises(ConfigurationError, match="chunk_size"):
            chunk_audio(bytes(10), chunk_size)

    def test_refuse_two_sizes(self) -> None:
        with pytest.raises(ConfigurationError, match="chunk_size and chunk_ms"):
            chunk_audio(bytes(10), 4096, chunk_ms=20)

    def test_refuse_half_a_sample_at_the_call(self) -> None:
        with pytest.raises(AudioFormatError):
            chunk_audio(b"abc")


class TestFloats:
    def test_every_sample_survives_the_round_trip(self) -> None:
        audio = np.arange(-32_768, 32_768).astype("<i2").tobytes()
        floats = pcm16_to_float32(audio)
        assert floats.dtype == np.float32
        assert floats.shape == (65_536,)
        assert floats.min() == -1.0
        assert floats.max() < 1.0
        assert float32_to_pcm16(floats) == audio

    def test_clips_and_silences_what_is_no_number(self) -> None:
        loud = np.array([1.5, -3e38, np.inf, -np.inf, np.nan, 1.0, 0.5])
        assert samples(float32_to_pcm16(loud)).tolist() == [32_767, -32_768, 32_767, -32_768, 0, 32_767, 16_384]

    def test_takes_lists_and_nothing(self) -> None:
        assert float32_to_pcm16([0.0, 0.5]) == b"\x00\x00\x00\x40"
        assert float32_to_pcm16([]) == b""
        assert pcm16_to_float32(b"").size == 0

    def test_refuses_stereo_and_whole_numbers(self) -> None:
        with pytest.raises(AudioFormatError, match="not mono"):
            float32_to_pcm16(np.zeros((10, 2), np.float32))
        with pytest.raises(AudioFormatError, match="int16"):
            float32_to_pcm16(np.zeros(10, np.int16))

    def test_refuses_half_a_sample(self) -> None:
        with pytest.raises(AudioFormatError):
            pcm16_to_float32(b"a")


class TestLevel:
    def test_of_known_signals(self) -> None:
        assert level(tone(1_000, 24_000, amplitude=1.0)) == pytest.approx(-3.01, abs=0.02)
        assert level(tone(1_000, 24_000, amplitude=0.1)) == pytest.approx(-23.01, abs=0.02)
        assert level(np.full(100, -32_768).astype("<i2").tobytes()) == 0.0

    def test_of_silence_is_the_floor(self) -> None:
        assert level(b"") == level(bytes(100)) == SILENCE_DBFS
        assert level(b"\x01\x00" + bytes(100_000)) == SILENCE_DBFS

    def test_refuses_half_a_sample(self) -> None:
        with pytest.raises(AudioFormatError):
            level(b"a")
