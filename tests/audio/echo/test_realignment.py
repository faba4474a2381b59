"""An echo that moves is recognised, and the canceller that knew it goes on."""

from collections.abc import Iterator
from typing import cast

import numpy as np
import numpy.typing as npt
import pytest

from voicecli.audio.echo.correlation import EchoCorrelation, Lags, delay_ms, distance, later
from voicecli.audio.echo.detection import EchoDetector
from voicecli.audio.echo.offset import OffsetPairs
from voicecli.audio.echo.realignment import RealignedProcessing
from voicecli.audio.echo.webrtc import WebRTCProcessing

RATE = 16_000
FRAME = RATE // 100
Samples = npt.NDArray[np.int16]


def sound(seconds: float, seed: int = 1) -> Samples:
    samples: Samples = np.random.default_rng(seed).normal(0, 3_000, round(seconds * RATE)).astype(np.int16)
    return samples


def heard(played: Samples, delay: int, room: int = 7) -> Samples:
    """The echo in a reverberant room, so many samples late."""
    random = np.random.default_rng(room)
    response = random.normal(0, 0.1, RATE // 4) * np.exp(-np.arange(RATE // 4) / (RATE / 20))
    size = played.size + response.size
    echo = np.fft.irfft(np.fft.rfft(played, size) * np.fft.rfft(response, size), size)[: played.size]
    late: Samples = np.concatenate((np.zeros(delay), echo))[: played.size].clip(-32_768, 32_767).astype(np.int16)
    return late


def frames(*streams: Samples) -> Iterator[tuple[bytes, ...]]:
    for at in range(0, streams[0].size - FRAME + 1, FRAME):
        yield tuple(stream[at : at + FRAME].tobytes() for stream in streams)


def correlated(delay: int, seed: int, room: int = 7) -> Lags:
    correlation, played = EchoCorrelation(RATE), sound(2, seed)
    for rendered, captured in frames(played, heard(played, delay, room)):
        correlation.pair(rendered, captured)
    found = correlation.lags()
    assert found is not None
    return found


@pytest.mark.parametrize("samples", [-1_500, -3, 0, 90, 2_000])
def test_the_distance_of_an_echo_that_moved_is_found(samples: int) -> None:
    seconds, ratio = distance(correlated(1_600, seed=1), correlated(1_600 + samples, seed=2))
    assert seconds * RATE == pytest.approx(samples, abs=2)
    assert ratio > 100


def test_an_echo_of_another_room_is_not_recognised() -> None:
    assert distance(correlated(1_600, seed=1), correlated(1_600, seed=2, room=8))[1] < 100


def test_what_is_nearly_as_like_where_it_was_has_not_moved() -> None:
    before = correlated(1_600, seed=1)
    assert distance(before, 0.8 * before + later(before, 0.05))[0] == 0
    assert distance(before, 0.2 * before + later(before, 0.05))[0] == pytest.approx(0.05, abs=0.0002)


@pytest.mark.parametrize("offset", [0, 1, 100, -1, -160, -300])
def test_the_streams_are_brought_to_the_offset(offset: int) -> None:
    pairs = OffsetPairs(FRAME * 2)
    assert pairs.move(offset)
    numbers = np.arange(1, 40 * FRAME + 1, dtype=np.int16)
    rendered, captured = (
        np.frombuffer(b"".join(stream), np.int16)
        for stream in zip(*(pairs.pair(*pair) for pair in frames(numbers, numbers)), strict=True)
    )
    assert set((captured - rendered)[4 * FRAME :].tolist()) == {offset}
    late = numbers[-1] - captured[-1]
    assert late == -(offset // FRAME) * FRAME if offset < 0 else late == 0  # no later than it must be


@pytest.mark.parametrize("offset", [-50 * 16 - 1, 280 * 16 + 1])
def test_an_offset_beyond_what_is_kept_is_refused(offset: int) -> None:
    pairs = OffsetPairs(FRAME * 2)
    assert not pairs.move(offset)
    assert pairs.offset == 0


class Processings:
    """Stands in for WebRTC's: records which one is given which pairs."""

    def __init__(self) -> None:
        self.given: list[list[tuple[bytes, bytes]]] = []

    def make(self) -> WebRTCProcessing:
        given: list[tuple[bytes, bytes]] = []
        self.given.append(given)

        class Recorded:
            def process(self, rendered: bytes, captured: bytes) -> bytes:
                given.append((rendered, captured))
                return captured

        return cast(WebRTCProcessing, Recorded())


class Path:
    """A processing, and the pairs of a conversation."""

    def __init__(self) -> None:
        self.made = Processings()
        self.detector = EchoDetector(RATE)
        self.processing = RealignedProcessing(FRAME * 2, RATE, self.detector, self.made.make)

    def run(self, played: Samples, captured: Samples) -> list[bytes]:
        residues = []
        for index, (one, other) in enumerate(frames(played, captured)):
            self.detector.pair(one, other)
            residue = self.processing.process(one, other, 10 * index)
            if not self.processing.catching_up:
                residues.append(residue)
        return residues


@pytest.mark.parametrize("samples", [85, -100, 900])
def test_what_was_learnt_goes_on_where_the_echo_moved(samples: int) -> None:
    path, played = Path(), sound(6)
    path.run(played[: 3 * RATE], heard(played, 1_920)[: 3 * RATE])
    path.processing.begin_anew(3_000)
    assert path.processing.known_ms == 0  # of the new one
    moved = heard(played, 1_920 + samples)
    path.run(played[3 * RATE :], moved[3 * RATE :])
    former, new = path.made.given
    assert len(new) < 60  # it was needed for half a second
    # What the former one is given has the old distance again: 1,920 samples.
    rendered, captured = (np.frombuffer(b"".join(stream), np.int16) for stream in zip(*former[-200:], strict=True))
    likeness = [
        np.corrcoef(heard(rendered, delay)[RATE // 2 :], captured[RATE // 2 :])[0, 1] for delay in range(1_918, 1_923)
    ]
    assert max(likeness) > 0.9
    assert len(former) == 300 + 300  # and nothing is missing
    assert path.processing.known_ms == 3_000


def test_an_echo_that_is_not_recognised_is_learnt_by_a_new_canceller() -> None:
    path, played = Path(), sound(8)
    path.run(played[: 3 * RATE], heard(played, 1_920)[: 3 * RATE])
    path.processing.begin_anew(3_000)
    path.run(played[3 * RATE :], heard(played, 1_920, room=8)[3 * RATE :])
    former, new = path.made.given
    assert (len(former), len(new)) == (300, 500)
    assert path.detector.knows_pattern  # of the new room
    assert path.processing.known_ms == 0


def test_without_an_echo_before_there_is_nothing_to_keep() -> None:
    path, played = Path(), sound(4)
    path.processing.begin_anew(0)
    path.run(played, heard(played, 1_920))
    assert [len(given) for given in path.made.given] == [0, 400]


def late(given: list[tuple[bytes, bytes]]) -> float:
    """How late the echo comes in the latest 2 s of what a processing was given, in ms."""
    correlation = EchoCorrelation(RATE)
    for pair in given[-200:]:
        correlation.pair(*pair)
    found = correlation.lags()
    assert found is not None
    return delay_ms(found)


def at(played: Samples, late_ms: int) -> Samples:
    """An echo without reverberation."""
    late: Samples = np.concatenate((np.zeros(late_ms * 16, np.int16), played))[: played.size] // 2
    return late


@pytest.mark.parametrize("late_ms", [5, 20, 58, 115, 150])
def test_an_echo_that_is_cancelled_well_stays_where_it_is(late_ms: int) -> None:
    path, played = Path(), sound(4)
    path.run(played, at(played, late_ms))
    assert [len(given) for given in path.made.given] == [400]


@pytest.mark.parametrize("late_ms", [64, 82, 90, 98, 186])
def test_an_echo_that_is_cancelled_poorly_is_moved_and_nothing_is_lost_meanwhile(late_ms: int) -> None:
    path, played = Path(), sound(4)
    residues = path.run(played, at(played, late_ms))
    first, present = path.made.given
    assert len(first) < 300
    assert len(present) == 400
    assert path.detector.delay_ms == pytest.approx(late_ms, abs=0.2)
    assert late(present) % 96 == pytest.approx(40, abs=0.2)
    assert residues == [captured for _, captured in frames(played, at(played, late_ms))]


def test_what_has_learnt_for_long_is_given_up_for_a_better_place_when_that_knows_the_room() -> None:
    path, played = Path(), sound(10)
    silent = np.zeros(4 * RATE, np.int16)  # a microphone that is muted
    path.run(played, np.concatenate((silent, at(played, 90)[4 * RATE :])))
    first, present = path.made.given
    both = len(first) + len(present) - 1_000
    assert both == 301  # of them 2 s had been kept


def test_sound_that_is_lost_before_an_echo_is_known_keeps_it_from_nothing() -> None:
    detector, played = EchoDetector(RATE), sound(4)
    detector.moved()
    for pair in frames(played, heard(played, 1_600)):
        detector.pair(*pair)
    assert detector.knows_pattern
    assert detector.delay_ms is not None


@pytest.mark.parametrize("later_ms", [105, 280])
def test_what_was_moved_and_then_moves_by_itself_comes_back_to_its_place(later_ms: int) -> None:
    path, played = Path(), sound(8)
    path.run(played[: 4 * RATE], at(played, 90)[: 4 * RATE])
    path.processing.begin_anew(4_000)
    path.run(played[4 * RATE :], at(played, later_ms)[4 * RATE :])
    _, present, _ = path.made.given
    assert late(present) == pytest.approx(40, abs=0.2)


def test_sound_that_has_just_begun_where_the_streams_were_lost_is_no_echo() -> None:
    detector, played = EchoDetector(RATE), sound(4)
    begins = 344 * FRAME
    played[:begins] = 0
    captured = (at(played, 80) // 2 + sound(4, seed=2) // 30).astype(np.int16)
    for index, pair in enumerate(frames(played, captured)):
        if index == 344:
            detector.moved()
        detector.pair(*pair)
        assert detector.delay_ms is None or detector.delay_ms == pytest.approx(80, abs=0.2)
        assert index < 395 or detector.knows_pattern


def test_what_goes_on_after_a_pause_catches_up_with_the_latest_only() -> None:
    """While it catches up nobody is heard."""
    path, played = Path(), sound(9)
    pause = slice(3 * RATE, 6 * RATE)
    played[pause] = 0
    echo, moved = at(played, 58), at(played, 70)
    path.run(played[: 3 * RATE], echo[: 3 * RATE])
    path.processing.begin_anew(3_000)
    learnable_ms = 0
    behind = 0
    for one, other in frames(played[3 * RATE :], moved[3 * RATE :]):
        path.detector.pair(one, other)
        learnable_ms += 10 * any(one)
        path.processing.process(one, other, learnable_ms)
        behind += path.processing.catching_up
    assert path.processing.known_ms == 3_000
    assert 0 < behind <= 20


@pytest.mark.parametrize("late_ms", [28, 78, 130])
def test_an_echo_that_moves_unnoticed_is_followed(late_ms: int) -> None:
    path, played = Path(), sound(7)
    path.run(played[: 4 * RATE], at(played, 58)[: 4 * RATE])
    path.run(played[4 * RATE :], at(played, late_ms)[4 * RATE :])
    [given] = path.made.given
    assert len(given) == 700
    assert late(given) == pytest.approx(58, abs=0.2)
    assert late(given[:600]) == pytest.approx(58, abs=0.2)  # for a second, a second after it moved


def test_what_is_at_a_better_place_soon_follows_too() -> None:
    path, played = Path(), sound(12)
    begins, moves = 3 * RATE, 6 * RATE  # at first the microphone is muted
    echo = np.concatenate((0 * played[:begins], at(played, 90)[begins:moves], at(played, 70)[moves:]))
    for index, (one, other) in enumerate(frames(played, echo)):
        path.detector.pair(one, other)
        # From 3 to 8 s nothing can be learnt: the second one has yet to take over when the echo moves.
        path.processing.process(one, other, min(10 * index, 3_000) + max(0, 10 * index - 8_000))
    first, present = path.made.given
    assert len(first) > 800
    assert late(present) == pytest.approx(40, abs=0.2)


def test_what_begins_at_a_better_place_hears_nothing_of_before_a_move() -> None:
    path, played = Path(), sound(8)
    path.run(played[: 4 * RATE], at(played, 230)[: 4 * RATE])
    path.run(played[4 * RATE :], at(played, 160)[4 * RATE :])  # too far to be followed
    first, second = path.made.given
    assert len(first) >= 400
    assert 0 < len(second) < 400
    assert late(second[:200]) == pytest.approx(40 + 96, abs=0.2)


def test_sound_that_repeats_itself_moves_no_echo() -> None:
    path, played = Path(), sound(8)
    played[4 * RATE :] = np.tile(played[: RATE // 10], 40)
    path.run(played, at(played, 58))
    [given] = path.made.given
    assert len(given) == 800
    rendered, captured = (np.frombuffer(b"".join(stream), np.int16) for stream in zip(*given, strict=True))
    assert rendered.tobytes() == played.tobytes()
    assert captured.tobytes() == at(played, 58).tobytes()


def test_a_former_one_that_cancels_poorly_is_brought_to_a_better_place() -> None:
    path, played = Path(), sound(9)
    echo = at(played, 90)
    begun = 0
    while not path.detector.knows_pattern:
        part = slice(begun * FRAME, (begun + 1) * FRAME)
        path.run(played[part], echo[part])
        begun += 1
    path.processing.begin_anew(10 * begun)
    path.run(played[begun * FRAME :], echo[begun * FRAME :])
    present = path.made.given[-1]
    assert len(path.made.given[0]) > 300  # the former one went on
    assert late(present) == pytest.approx(40, abs=0.2)


def test_what_is_doubtful_is_so_until_the_echo_is_heard_again() -> None:
    detector, played = EchoDetector(RATE), sound(6)
    echo = at(played, 58)
    pairs = list(frames(played, echo))
    detector.doubt()
    assert not detector.doubted  # nothing is known of it
    for pair in pairs[:300]:
        detector.pair(*pair)
    assert not detector.doubted
    detector.doubt()
    for _ in range(200):
        detector.pair(bytes(FRAME * 2), bytes(FRAME * 2))
    assert detector.doubted
    heard_ms = 0
    for pair in pairs[300:]:
        detector.pair(*pair)
        heard_ms += 10
        if not detector.doubted:
            break
    assert 300 <= heard_ms <= 700
    assert detector.take_move() == 0


def test_an_echo_that_was_found_before_the_streams_are_taken_up_again_is_followed() -> None:
    """Nothing is processed while it is on its way, but the detector hears it."""
    path, played = Path(), sound(8)
    path.run(played[: 3 * RATE], at(played, 58)[: 3 * RATE])
    moved = at(played, 78)
    for pair in frames(played[3 * RATE : 4 * RATE], moved[3 * RATE : 4 * RATE]):
        path.detector.pair(*pair)
    path.processing.begin_anew(3_000)
    path.run(played[4 * RATE :], moved[4 * RATE :])
    assert len(path.made.given) == 2
    former = path.made.given[0]
    assert len(former) == 700
    assert late(former) == pytest.approx(58, abs=0.2)


def test_an_echo_that_has_moved_is_doubtful_until_it_is_heard_there_again() -> None:
    detector, played = EchoDetector(RATE), sound(8)
    echo = np.concatenate((at(played, 58)[: 4 * RATE], at(played, 78)[4 * RATE :]))
    doubted = []
    for pair in frames(played, echo):
        detector.pair(*pair)
        doubted.append(detector.doubted)
    first = doubted.index(True)
    assert 400 < first <= 500
    assert doubted[first:] == [True] * 50 + [False] * (len(doubted) - first - 50)
    assert detector.take_move() == pytest.approx(0.02, abs=0.0002)
