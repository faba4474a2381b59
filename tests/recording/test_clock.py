"""The clock of a recording beside that of its conversation."""

from voicecli.recording.clock import RecordingClock


def test_times_are_made_anew_only_when_they_change() -> None:
    """They are asked for with each chunk, of which an hour has 180,000, and a long file has many points."""
    clock = RecordingClock(24_000)
    assert not clock.times
    clock.begin(2_400)
    clock.jump(0, 24_000, 48_000)
    told = clock.times
    assert told == ((0, 100), (1_000, 2_000))
    clock.jump(0, 24_000, 40_000)  # it is later already
    assert clock.times is told
    clock.jump(30_000, 48_000, 96_000)
    assert [*clock.times] == [(0, 100), (1_000, 2_000), (1_250, 2_250), (2_000, 4_000)]
