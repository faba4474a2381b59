"""The estimate of where the listener is, by the clock."""

from voicecli.audio import Playhead
from voicecli.conversation.playback_estimate import PlaybackEstimate

SECOND = bytes(48_000)


def test_audio_is_heard_as_it_comes_item_by_item() -> None:
    estimate = PlaybackEstimate(24_000)
    estimate.add(SECOND, "a", 10.0)
    estimate.add(SECOND, "b", 10.1)
    assert estimate.playhead(10.4) == Playhead("a", 400)
    assert estimate.playhead(11.5) == Playhead("b", 500)
    assert estimate.ends_at(11.5) == 12.0
    assert estimate.is_heard(12.0)
    assert estimate.playhead(12.0) is None


def test_a_gap_is_no_sound() -> None:
    estimate = PlaybackEstimate(24_000)
    estimate.add(SECOND, "a", 10.0)
    estimate.add(SECOND, "a", 15.0)
    assert estimate.playhead(15.5) == Playhead("a", 1_500)


def test_nothing_is_heard_while_the_sound_is_held_up() -> None:
    estimate = PlaybackEstimate(24_000)
    estimate.add(SECOND, "a", 10.0)
    estimate.pause(10.4)
    estimate.add(SECOND, "a", 12.0)
    assert estimate.playhead(13.0) == Playhead("a", 400)
    assert not estimate.is_heard(100.0)
    assert estimate.ends_at(13.0) is None
    estimate.resume(13.0)
    assert estimate.playhead(13.3) == Playhead("a", 700)
    assert estimate.ends_at(13.3) == 14.6


def test_a_player_may_begin_later() -> None:
    estimate = PlaybackEstimate(24_000)
    estimate.add(SECOND, "before", 1.0)
    estimate.add(SECOND, "a", 10.0)
    estimate.add(SECOND, "a", 10.1)
    estimate.sounds(10.3)
    assert estimate.playhead(10.8) == Playhead("a", 500)
    assert estimate.ends_at(10.8) == 12.3


def test_a_cut_says_where_the_listener_was_and_forgets_the_rest() -> None:
    estimate = PlaybackEstimate(24_000)
    estimate.add(SECOND, "a", 10.0)
    estimate.pause(10.25)
    assert estimate.clear(12.0) == Playhead("a", 250)
    assert estimate.is_heard(12.0)
    estimate.add(SECOND, "b", 12.0)
    assert estimate.playhead(12.5) == Playhead("b", 500)
