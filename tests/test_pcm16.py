import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicecli.pcm16 import PcmFormat, SampleAligner, peak


@pytest.mark.parametrize(
    ("rate", "ms", "size"),
    [(24_000, 20, 960), (16_000, 1000, 32_000), (22_050, 10, 440), (44_100, 10, 882), (24_000, 0, 0), (8_000, 0.1, 0)],
)
def test_a_size_is_whole_samples(rate: int, ms: float, size: int) -> None:
    assert PcmFormat(rate).size(ms) == size
    assert PcmFormat(rate).silence(ms) == bytes(size)


@pytest.mark.parametrize(("rate", "size", "ms"), [(24_000, 48, 1), (16_000, 32_000, 1000), (22_050, 441, 10)])
def test_a_duration_is_exact(rate: int, size: int, ms: float) -> None:
    assert PcmFormat(rate).duration_ms(size) == ms


@given(st.integers(1, 768_000), st.integers(0, 10_000_000))
def test_a_size_never_lasts_longer_than_was_asked(rate: int, ms: int) -> None:
    audio = PcmFormat(rate)
    assert audio.duration_ms(audio.size(ms)) <= ms < audio.duration_ms(audio.size(ms) + 2)


@given(st.lists(st.binary(max_size=7)))
def test_an_aligner_gives_out_every_byte_in_whole_samples(chunks: list[bytes]) -> None:
    aligner = SampleAligner()
    aligned = [aligner.push(chunk) for chunk in chunks]
    assert all(len(piece) % 2 == 0 for piece in aligned)
    assert b"".join(aligned) + aligner.half == b"".join(chunks)


def test_an_aligner_copies_nothing_it_need_not_cut() -> None:
    chunk = bytes(480)
    assert SampleAligner().push(chunk) is chunk


def test_an_aligner_that_is_cleared_says_whether_it_held_half_a_sample() -> None:
    aligner = SampleAligner()
    aligner.push(b"abc")
    assert aligner.clear()
    assert not aligner.clear()
    assert aligner.push(b"de") == b"de"


@pytest.mark.parametrize(
    ("samples", "highest"), [((), 0), ((0, 0), 0), ((5, -7), 7), ((-32768, 32767), 32768), ((32767,), 32767)]
)
def test_a_peak_is_the_largest_magnitude(samples: tuple[int, ...], highest: int) -> None:
    audio = struct.pack(f"={len(samples)}h", *samples)
    assert peak(audio) == peak(audio + b"x") == highest
