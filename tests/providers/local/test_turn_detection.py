from tests.providers.local.fakes import is_loud, silence, speech
from voicecli.providers.local.turn_detection import (
    EndOfTurn,
    PossibleEndOfTurn,
    StartOfTurn,
    TurnAudio,
    TurnChange,
    TurnDetector,
)


def detector(*, automatic: bool = True) -> TurnDetector:
    return TurnDetector(is_loud, automatic=automatic, silence_ms=500, pre_roll_ms=480)


def names(changes: list[TurnChange]) -> list[str]:
    return [type(change).__name__ for change in changes if not isinstance(change, TurnAudio)]


def feed(turns: TurnDetector, audio: bytes, size: int = 640) -> list[TurnChange]:
    return [change for start in range(0, len(audio), size) for change in turns.process(audio[start : start + size])]


def test_a_turn_begins_with_speech_and_ends_after_the_silence() -> None:
    changes = feed(detector(), silence(1000) + speech(800) + silence(600))
    assert names(changes) == ["StartOfTurn", "PossibleEndOfTurn", "EndOfTurn"]
    ended = changes[-1]
    assert isinstance(ended, EndOfTurn)
    # The pre-roll, the speech, half of the silence; turns are told in steps of 32 ms.
    assert abs(len(ended.audio) / 32 - (480 + 800 + 250)) <= 64
    assert ended.audio[: 32 * 480] == silence(480)


def test_the_speed_at_which_the_audio_comes_changes_nothing() -> None:
    audio = silence(500) + speech(700) + silence(300) + speech(400) + silence(900) + speech(300) + silence(700)
    slowly = feed(detector(), audio, 64)
    at_once = detector().process(audio)
    assert slowly == at_once
    assert names(at_once).count("EndOfTurn") == 2


def test_a_pause_is_told_after_a_tenth_of_a_second_and_taken_back_when_speech_resumes() -> None:
    turns = detector()
    assert names(feed(turns, speech(500) + silence(80))) == ["StartOfTurn"]
    assert names(feed(turns, silence(60))) == ["PossibleEndOfTurn"]
    assert names(feed(turns, speech(100))) == ["TurnResumed"]
    assert names(feed(turns, silence(600))) == ["PossibleEndOfTurn", "EndOfTurn"]


def test_a_turn_that_ends_after_little_silence_is_guessed_at_half_of_it() -> None:
    turns = TurnDetector(is_loud, automatic=True, silence_ms=100, pre_roll_ms=480)
    changes = feed(turns, speech(480) + silence(64))
    assert names(changes) == ["StartOfTurn", "PossibleEndOfTurn"]
    assert names(feed(turns, silence(64))) == ["EndOfTurn"]


def test_a_guess_hears_what_was_said_and_the_silence_so_far() -> None:
    guess = next(
        change for change in feed(detector(), speech(480) + silence(600)) if isinstance(change, PossibleEndOfTurn)
    )
    assert guess.audio == speech(480) + silence(96)


def test_a_recording_is_guessed_with_the_silence_that_its_turn_is_transcribed_with() -> None:
    turns = detector()
    audio = speech(480) + silence(600)
    changes = [
        change
        for start in range(0, len(audio), 640)
        for change in turns.process(audio[start : start + 640], realtime=False)
    ]
    (guess,) = (change for change in changes if isinstance(change, PossibleEndOfTurn))
    (ended,) = (change for change in changes if isinstance(change, EndOfTurn))
    assert guess.audio == ended.audio == speech(480) + silence(250)


def test_a_short_sound_early_in_a_pause_is_speech_and_later_a_click() -> None:
    """As before guesses came so early: turns do not depend on them."""
    turns = detector()
    feed(turns, speech(480) + silence(160))
    assert names(feed(turns, speech(32))) == ["TurnResumed"]
    changes = feed(turns, silence(320) + speech(32) + silence(192))
    assert names(changes) == ["PossibleEndOfTurn", "EndOfTurn"]
    ended = changes[-1]
    assert isinstance(ended, EndOfTurn)
    assert ended.audio == speech(480) + silence(160) + speech(32) + silence(250)


def test_a_pause_can_be_given_another_silence_which_holds_for_it_alone() -> None:
    turns = detector()
    feed(turns, speech(500) + silence(160))
    turns.set_silence(1, 1500)
    assert feed(turns, silence(1300)) == []
    assert names(feed(turns, speech(200) + silence(160))) == ["TurnResumed", "PossibleEndOfTurn"]
    turns.set_silence(1, 1500)  # too late: that pause is over
    assert names(feed(turns, silence(400))) == ["EndOfTurn"]


def test_what_is_decided_late_of_one_pause_leaves_the_next_as_it_is() -> None:
    turns = detector()
    feed(turns, speech(500) + silence(160) + speech(200) + silence(160))
    turns.set_silence(2, 1500)
    turns.set_silence(1, 500)
    assert feed(turns, silence(1200)) == []
    assert names(feed(turns, silence(200))) == ["EndOfTurn"]


def test_a_silence_that_has_passed_already_ends_the_turn_at_once() -> None:
    turns = detector()
    feed(turns, speech(500) + silence(160))
    turns.set_silence(1, 1500)
    feed(turns, silence(700))
    turns.set_silence(1, 500)
    (ended,) = feed(turns, silence(64))
    assert isinstance(ended, EndOfTurn)
    assert ended.silence_ms is not None
    assert 850 <= ended.silence_ms <= 930


def test_it_is_told_how_long_the_user_spoke() -> None:
    *_, ended = feed(detector(), silence(700) + speech(400) + silence(200) + speech(200) + silence(600))
    assert isinstance(ended, EndOfTurn)
    assert abs(ended.speech_ms - 800) <= 64


def test_a_click_neither_starts_a_turn_nor_ends_a_pause() -> None:
    turns = detector()
    assert feed(turns, silence(320) + speech(32) + silence(320)) == []
    assert names(feed(turns, speech(320) + silence(320) + speech(32) + silence(320))) == [
        "StartOfTurn",
        "PossibleEndOfTurn",
        "EndOfTurn",
    ]


def test_what_is_heard_is_told_every_half_second_and_is_the_turn() -> None:
    changes = feed(detector(), silence(480) + speech(2000))
    heard = [change.audio for change in changes if isinstance(change, TurnAudio)]
    assert 4 <= len(heard) <= 5
    assert all(len(audio) >= 500 * 32 for audio in heard)
    assert (silence(480) + speech(2000)).startswith(b"".join(heard))


def test_ending_now_takes_the_last_bytes_too() -> None:
    turns = detector()
    turns.process(speech(400) + b"\x01\x00" * 7)
    (ended,) = turns.end()
    assert isinstance(ended, EndOfTurn)
    assert ended.audio == speech(400) + b"\x01\x00" * 7
    assert turns.end() == []


def test_without_automatic_only_the_caller_begins_and_ends_turns() -> None:
    turns = detector(automatic=False)
    assert turns.begin() == [StartOfTurn()]
    assert turns.begin() == []
    changes = feed(turns, silence(320) + speech(320) + silence(3200))
    assert names(changes) == ["PossibleEndOfTurn"]  # once, for the speculative reply
    assert names(feed(turns, speech(96))) == ["TurnResumed"]
    (ended,) = turns.end()
    assert isinstance(ended, EndOfTurn)
    assert ended.audio == silence(320) + speech(320) + silence(3200) + speech(96)


def test_without_automatic_the_silence_around_what_was_said_is_left_out() -> None:
    turns = detector(automatic=False)
    feed(turns, silence(32 * 100) + speech(320) + silence(32 * 100))
    (ended,) = turns.end()
    assert isinstance(ended, EndOfTurn)
    assert ended.audio == silence(480) + speech(320) + silence(250)
    feed(turns, silence(32 * 100))
    assert turns.end() == [EndOfTurn(b"")]


def test_without_automatic_audio_begins_a_turn_by_itself() -> None:
    turns = detector(automatic=False)
    assert names(turns.process(silence(64))) == ["StartOfTurn"]
    assert names(turns.end()) == ["EndOfTurn"]


def test_silence_alone_is_no_pause() -> None:
    assert names(feed(detector(automatic=False), silence(2000))) == ["StartOfTurn"]


def test_clearing_forgets_the_turn() -> None:
    turns = detector()
    turns.process(speech(400))
    turns.clear()
    assert not turns.open
    assert turns.end() == []
    assert names(feed(turns, speech(400) + silence(600))) == ["StartOfTurn", "PossibleEndOfTurn", "EndOfTurn"]
