"""Played and recorded frames, brought together: each frame is known by its number."""

import pytest

from voicecli.audio.echo.alignment import FramePairs
from voicecli.audio.echo.framing import FRAME_MS

SILENCE = b""


class Streams:
    """Two devices, and the pairs that come of them: numbers of what was played and recorded, None for silence."""

    def __init__(self) -> None:
        self.pairs = FramePairs(SILENCE)
        self.played = self.captured = 0
        self.paired: list[tuple[int | None, int]] = []
        self.moves = 0

    def play(self, frames: int = 1) -> None:
        for _ in range(frames):
            self.pairs.rendered(str(self.played).encode())
            self.played += 1

    def capture(self, frames: int = 1, *, quiet: bool = False) -> None:
        for _ in range(frames):
            self.moves += self.pairs.captured(str(self.captured).encode(), quiet=quiet)
            self.captured += 1
            for played, captured in self.pairs.take():
                self.paired.append((int(played) if played != SILENCE else None, int(captured)))

    def run(self, ms: int) -> None:
        for _ in range(ms // FRAME_MS):
            self.play()
            self.capture()

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


@pytest.mark.parametrize("skipped_ms", [50, 400, 3_000])
def test_a_recording_that_skipped_is_paired_with_what_is_played_now(skipped_ms: int) -> None:
    streams = Streams()
    streams.run(2_000)
    streams.play(skipped_ms // FRAME_MS)
    streams.run(1_000)
    assert streams.moves == 1
    assert streams.lead == skipped_ms // FRAME_MS
    streams.run(1_000)
    assert streams.moves == 1


@pytest.mark.parametrize("skipped_ms", [50, 400, 3_000])
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
    streams.play(2)
    for _ in range(300):
        streams.play()
        streams.capture(quiet=True)
    assert streams.lead == -28


@pytest.mark.parametrize("early_ms", [100, 500, 3_000])
def test_a_loudspeaker_that_was_there_first_is_not_ahead_of_what_it_is_paired_with(early_ms: int) -> None:
    streams = Streams()
    streams.play(early_ms // FRAME_MS)
    streams.run(1_000)
    assert streams.lead == early_ms // FRAME_MS
    assert streams.moves == 1
