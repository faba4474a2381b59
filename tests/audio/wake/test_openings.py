"""The openings of utterances: found once each, whole, and without work while nobody speaks."""

import numpy as np
import pytest

from voicecli.audio.wake.openings import Opening, OpeningFinder

RATE = 16_000
CHUNK = 640


class Engine:
    """A better engine that takes for speech what is louder than `floor`; `frames` counts its work."""

    sample_rate = RATE
    frame_ms = 32
    trigger_ms = 100
    eager = False

    def __init__(self, floor: float = 500.0) -> None:
        self.floor = floor
        self.frames = 0

    def probability(self, frame: bytes) -> float:
        assert len(frame) == 1024
        self.frames += 1
        return float(np.abs(np.frombuffer(frame, "<i2")).mean() > self.floor)

    def reset(self) -> None: ...


def silence(seconds: float) -> bytes:
    noise = np.random.default_rng(1).standard_normal(int(seconds * RATE)) * 8
    return bytes(noise.astype("<i2").tobytes())


def openings(audio: bytes, engine: Engine, opening_ms: int = 1_000) -> list[tuple[float, Opening]]:
    """Each with the second at which it was complete."""
    finder = OpeningFinder(engine, opening_ms)
    return [
        (start / 2 / RATE, opening)
        for start in range(0, len(audio), CHUNK)
        for opening in finder.process(audio[start : start + CHUNK])
    ]


def test_an_utterance_has_one_opening_with_its_first_word(speech: bytes) -> None:
    engine = Engine()
    audio = silence(2) + speech + silence(1)
    [(at, opening)] = openings(audio, engine)
    assert len(opening.audio) == pytest.approx(1.3 * RATE * 2, abs=1_024)
    assert opening.after_ms == pytest.approx(2_000, abs=300)
    begin = audio.index(opening.audio) / 2 / RATE
    assert 1.6 < begin < 2.3
    assert at < begin + 1.4
    assert engine.frames < 20, "the better engine listens until it is sure"


def test_one_that_is_shorter_is_complete_when_it_ends(speech: bytes) -> None:
    [(at, opening)] = openings(silence(1) + speech[: RATE // 10 * 8] + silence(2), Engine())
    assert at < 2.0
    assert speech[RATE // 5 : RATE // 2] in opening.audio


def test_a_pause_begins_another_one(speech: bytes) -> None:
    word = speech[: RATE // 10 * 8]
    [_, (_, second)] = openings(silence(1) + word + silence(0.5) + word + silence(1), Engine())
    assert second.after_ms == pytest.approx(500, abs=150)


def test_in_a_silent_room_the_better_engine_has_nothing_to_do() -> None:
    engine = Engine()
    assert openings(silence(20), engine) == []
    assert engine.frames == 0


def test_what_the_better_engine_does_not_take_for_speech_is_none(speech: bytes) -> None:
    assert openings(silence(1) + speech + silence(1), Engine(floor=1e9)) == []


def test_in_a_noisy_room_pauses_are_found_by_the_better_engine(speech: bytes) -> None:
    """The noise is such that webrtcvad takes it for speech all the time."""
    samples = np.frombuffer(speech, "<i2").astype(float)
    hum = np.resize(samples * 0.15, 30 * RATE)
    hum[10 * RATE : 10 * RATE + len(samples)] += samples
    hum[20 * RATE : 20 * RATE + len(samples)] += samples
    audio = np.clip(hum, -32_768, 32_767).astype("<i2").tobytes()
    found = openings(audio, Engine(floor=1_500.0))
    assert [round(at) for at, _ in found] == [11, 21]


def test_it_forgets(speech: bytes) -> None:
    finder = OpeningFinder(Engine(), 1_000)
    assert finder.process(silence(1) + speech[: RATE // 2]) == []
    finder.reset()
    assert finder.process(silence(2)) == []
