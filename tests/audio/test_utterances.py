"""Where utterances begin and end: by voice, by pauses, by length, and the same however the stream is cut."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicecli.audio.utterances import UtteranceChange, UtteranceDetector, UtteranceEnded, UtteranceStarted
from voicecli.pcm16 import PcmFormat

RATE = 16_000
FRAME_MS = 32
AUDIO = PcmFormat(RATE)
PAUSE_MS = 608  # whole frames


class LoudIsVoice:
    """An engine to which a frame is voice by its loudness: certain from 2000 on, doubtful from 1000 on."""

    sample_rate = RATE
    frame_ms = FRAME_MS
    trigger_ms = 100
    eager = False

    def probability(self, frame: bytes) -> float:
        loud = int(np.abs(np.frombuffer(frame, "<i2").astype(int)).max())
        return 0.9 if loud >= 2000 else 0.4 if loud >= 1000 else 0.0

    def reset(self) -> None: ...


def sound(*parts: tuple[int, int]) -> bytes:
    """Frames and loudness of each part."""
    return b"".join(np.full(AUDIO.size(frames * FRAME_MS) // 2, level, "<i2").tobytes() for frames, level in parts)


def found(audio: bytes, *, ends: bool = True, step: int | None = None, **settings: int | bool) -> list[UtteranceChange]:
    options = {"pause_ms": PAUSE_MS, "longest_ms": 100 * FRAME_MS} | settings
    detector = UtteranceDetector(LoudIsVoice(), RATE, **options)  # type: ignore[arg-type]
    step = step or max(len(audio), 2)
    changes = [change for at in range(0, len(audio), step) for change in detector.process(audio[at : at + step])]
    return changes + (detector.end() if ends else [])


def ms(frames: int) -> int:
    return frames * FRAME_MS


def test_times_are_those_of_the_voice() -> None:
    assert found(sound((10, 0), (20, 3000), (30, 0)), ends=False) == [
        UtteranceStarted(ms(10)),
        UtteranceEnded(ms(10), ms(30), ms(49)),  # 19 frames of silence
    ]


def test_a_click_is_no_utterance() -> None:
    assert found(sound((10, 0), (4, 3000), (30, 0), (4, 3000), (30, 0))) == []


def test_words_with_short_silences_between_them_are_one_utterance() -> None:
    audio = sound((3, 3000), (9, 0), (3, 3000), (18, 0), (5, 3000), (19, 0))
    assert found(audio, ends=False) == [UtteranceStarted(0), UtteranceEnded(0, ms(38), ms(57))]


def test_a_soft_ending_belongs_to_it_and_a_soft_beginning_does_not() -> None:
    audio = sound((5, 1500), (10, 3000), (10, 1500), (30, 0))
    assert found(audio)[-1] == UtteranceEnded(ms(5), ms(25), ms(44))


def test_the_end_of_the_input_ends_it() -> None:
    assert found(sound((2, 0), (10, 3000), (3, 0))) == [UtteranceStarted(ms(2)), UtteranceEnded(ms(2), ms(12), ms(15))]


def test_the_clock_goes_on_behind_an_end_that_was_told() -> None:
    detector = UtteranceDetector(LoudIsVoice(), RATE)
    detector.process(sound((10, 3000)))
    assert detector.end() == [UtteranceEnded(0, ms(10), ms(10))]
    assert detector.process(sound((10, 3000))) == [UtteranceStarted(ms(10))]
    assert detector.position_ms == ms(20)


def test_a_long_one_ends_at_a_short_pause() -> None:
    audio = sound((75, 3000), (6, 0), (20, 3000))
    ended = [change for change in found(audio) if isinstance(change, UtteranceEnded)]
    assert ended == [UtteranceEnded(0, ms(75), ms(81)), UtteranceEnded(ms(81), ms(101), ms(101))]


def test_one_without_pauses_is_cut_at_the_quietest_place_of_its_last_third() -> None:
    audio = sound((20, 2500), (3, 2001), (60, 4000), (3, 2100), (40, 4000))
    first, second = (change for change in found(audio) if isinstance(change, UtteranceEnded))
    assert first == UtteranceEnded(0, ms(84), ms(84)), "not at the quieter place before"
    assert second == UtteranceEnded(ms(84), ms(126), ms(126)), "nothing is lost"


def test_where_sound_is_passed_on_at_once_it_is_cut_where_it_is() -> None:
    audio = sound((80, 4000), (3, 2100), (40, 4000))
    ended = [change for change in found(audio, looks_back=False) if isinstance(change, UtteranceEnded)]
    assert ended == [UtteranceEnded(0, ms(100), ms(100)), UtteranceEnded(ms(100), ms(123), ms(123))]


def test_another_rate_gives_the_same_times() -> None:
    audio = sound((10, 0), (20, 3000), (30, 0))
    fast = np.repeat(np.frombuffer(audio, "<i2"), 3).tobytes()
    detector = UtteranceDetector(LoudIsVoice(), 3 * RATE, pause_ms=PAUSE_MS)
    (started, ended) = detector.process(fast)
    assert started == UtteranceStarted(ms(10))
    assert isinstance(ended, UtteranceEnded)
    assert ended.end_ms - ms(30) in (0, FRAME_MS), "the edges of a square wave are not"


@given(
    st.lists(st.tuples(st.integers(1, 40), st.sampled_from([0, 1500, 2500, 4000])), max_size=12),
    st.integers(1, 3000),
    st.booleans(),
)
def test_however_it_is_cut_the_same_is_found(parts: list[tuple[int, int]], samples: int, looks_back: bool) -> None:
    audio = sound(*parts)
    changes = found(audio, step=samples * 2, looks_back=looks_back)
    assert changes == found(audio, looks_back=looks_back)
    check(changes, len(audio) // AUDIO.size(FRAME_MS))


def check(changes: list[UtteranceChange], frames: int) -> None:
    """Each one that begins ends, within its bounds, before the next."""
    cut = 0
    for started, ended in zip(changes[::2], changes[1::2], strict=True):
        assert isinstance(started, UtteranceStarted)
        assert isinstance(ended, UtteranceEnded)
        assert started.start_ms == ended.start_ms >= cut
        assert ended.start_ms < ended.end_ms <= ended.cut_ms <= ms(frames)
        assert ended.cut_ms - ended.start_ms <= ms(100)
        cut = ended.cut_ms


@pytest.mark.parametrize("silent", [True, False])
def test_ten_minutes_take_no_more_memory_than_an_utterance(silent: bool) -> None:
    detector = UtteranceDetector(LoudIsVoice(), RATE)
    second = sound((31, 0 if silent else 4000))
    for _ in range(600):
        detector.process(second)
    held = sum(len(value) for value in vars(detector).values() if isinstance(value, list | bytearray))
    assert held < 2_000
