"""Played and recorded frames, brought together: each frame is known by its number."""

import math

import pytest

from voicecli.audio.echo.alignment import Distance, FramePairs
from voicecli.audio.echo.framing import FRAME_MS

SILENCE = b""


class Streams:
    """Two devices, and the pairs that come of them: numbers of what was played and recorded, None for silence."""

    def __init__(self) -> None:
        self.pairs = FramePairs(SILENCE)
        self.played = self.captured = 0
        self.echo_ms = 150.0
        self.paired: list[tuple[int | None, int]] = []
        self.distances: list[Distance] = []

    def play(self, frames: int = 1) -> None:
        for _ in range(frames):
            self.pairs.rendered(str(self.played).encode())
            self.played += 1

    def capture(self, frames: int = 1, *, quiet: bool = False) -> None:
        for _ in range(frames):
            frame = str(self.captured).encode()
            self.distances.append(self.pairs.captured(frame, quiet=quiet, echo_ms=self.echo_ms))
            self.captured += 1
            for played, captured in self.pairs.take():
                self.paired.append((int(played) if played != SILENCE else None, int(captured)))

    def run(self, ms: int) -> None:
        for _ in range(ms // FRAME_MS):
            self.play()
            self.capture()

    @property
    def moves(self) -> int:
        return self.distances.count(Distance.CHANGED)

    @property
    def doubts(self) -> int:
        return self.distances.count(Distance.DOUBTFUL)

    @property
    def lead(self) -> int:
        """By how many frames what was played is ahead, in the latest pair."""
        played, captured = self.paired[-1]
        assert played is not None
        return played - captured


def test_frames_are_paired_as_they_come() -> None:
    streams = Streams()
    streams.run(1_000)
    assert streams.paired == [(number, number) for number in range(100)]


def test_bunches_keep_their_distance() -> None:
    streams = Streams()
    for bunch in range(100):
        streams.play(6 + bunch % 5)
        streams.capture(6 + (bunch * 3) % 5)
    assert {played - captured for played, captured in streams.paired if played is not None} == {0}
    assert streams.moves == 0


def test_what_is_played_late_is_waited_for() -> None:
    streams = Streams()
    streams.run(500)
    streams.capture(4)
    assert len(streams.paired) == 50
    streams.play(4)
    streams.run(10)
    assert streams.paired == [(number, number) for number in range(55)]


@pytest.mark.parametrize("skipped_ms", [90, 400, 3_000])
def test_a_recording_that_skipped_is_paired_with_what_is_played_now(skipped_ms: int) -> None:
    streams = Streams()
    streams.run(2_000)
    streams.play(skipped_ms // FRAME_MS)
    streams.run(1_000)
    assert streams.moves == 1
    assert streams.lead == skipped_ms // FRAME_MS
    streams.run(1_000)
    assert streams.moves == 1
    assert streams.doubts == 0


@pytest.mark.parametrize("filled_ms", [20, 50, 80])
def test_a_buffer_that_is_filled_more_than_before_is_no_skip_and_may_hide_one(filled_ms: int) -> None:
    streams = Streams()
    streams.run(2_000)
    streams.play(filled_ms // FRAME_MS)
    streams.run(2_000)
    assert (streams.moves, streams.doubts) == (0, 1)
    assert streams.lead == 0
    streams.capture(filled_ms // FRAME_MS)  # as before
    streams.run(2_000)
    assert (streams.moves, streams.doubts) == (0, 2)
    assert streams.paired == [(number, number) for number in range(streams.captured)]


@pytest.mark.parametrize("skipped_ms", [200, 400, 3_000])
def test_a_recording_goes_on_while_nothing_is_played(skipped_ms: int) -> None:
    streams = Streams()
    streams.run(2_000)
    streams.capture(skipped_ms // FRAME_MS)
    assert streams.captured - len(streams.paired) <= 10
    streams.run(1_000)
    assert streams.lead == -skipped_ms // FRAME_MS
    assert [captured for _, captured in streams.paired] == list(range(streams.captured)), "nothing recorded is lost"


def test_a_recording_waits_for_no_loudspeaker_that_does_not_run() -> None:
    streams = Streams()
    streams.capture(3)
    assert streams.paired == [(None, 0), (None, 1), (None, 2)]
    streams.run(1_000)
    streams.capture(60)
    assert len(streams.paired) == streams.captured
    streams.run(1_000)
    assert streams.lead == -63


def test_in_silence_the_distance_is_made_the_shortest() -> None:
    streams = Streams()
    streams.capture(30, quiet=True)  # the microphone was there first
    for _ in range(300):
        streams.play()
        streams.capture(quiet=True)
    assert streams.lead == -30
    streams.capture(3)  # which wait, from now on
    streams.run(1_000)
    assert streams.lead == -30
    assert len(streams.paired) == streams.captured - 3
    for _ in range(300):
        streams.play()
        streams.capture(quiet=True)
    assert streams.lead == -33
    assert len(streams.paired) == streams.captured


@pytest.mark.parametrize("early_ms", [100, 500, 3_000])
def test_a_loudspeaker_that_was_there_first_is_not_ahead_of_what_it_is_paired_with(early_ms: int) -> None:
    streams = Streams()
    streams.play(early_ms // FRAME_MS)
    streams.run(1_000)
    assert streams.lead == early_ms // FRAME_MS
    assert streams.moves == 1


def test_what_is_lost_bit_by_bit_adds_up_to_a_skip() -> None:
    streams = Streams()
    streams.run(2_000)
    for _ in range(20):
        streams.play(6)
        streams.run(2_000)
        assert streams.played - streams.captured - streams.lead <= 8
    assert (streams.moves, streams.doubts) == (10, 10)


@pytest.mark.parametrize(("echo_ms", "moves"), [(0, 1), (80, 1), (90, 0), (math.inf, 0)])
def test_no_echo_is_left_before_its_sound_by_what_may_be_lost(echo_ms: float, moves: int) -> None:
    streams = Streams()
    streams.echo_ms = echo_ms
    streams.run(2_000)
    streams.play(8)
    streams.run(2_000)
    assert (streams.moves, streams.doubts) == (moves, 1 - moves)


def test_what_a_slow_microphone_has_not_recorded_is_made_up_for_in_silence() -> None:
    streams = Streams()
    streams.run(1_000)
    for _ in range(11):  # 100 ppm, in 18 minutes
        streams.play()
        streams.run(1_500)
    assert (streams.moves, streams.doubts, streams.lead) == (0, 0, 0)
    streams.play()
    streams.capture(quiet=True)
    streams.run(100)
    assert (streams.moves, streams.lead) == (1, 11)
