"""Audio that is held back while the provider could take an echo in it for a voice."""

import numpy as np

from voicecli.conversation.withheld import Withheld

RATE = 16_000
MS = RATE * 2 // 1000  # bytes


def sound(ms: int) -> bytes:
    return b"\x00\x20" * (ms * RATE // 1000)


def is_loud(audio: bytes) -> bool:
    return bool(np.abs(np.frombuffer(audio, "<i2")).max() > 100)


def test_nothing_waits_unless_an_echo_is_to_be_expected() -> None:
    withheld = Withheld(RATE)
    assert withheld.take(sound(20), doubtful=False) == sound(20)
    assert withheld.take(sound(20), doubtful=True) == b""
    assert withheld.take(b"", doubtful=False) == sound(20)


def test_what_may_be_an_echo_goes_late_and_whole() -> None:
    withheld = Withheld(RATE)
    assert [len(withheld.take(sound(50), doubtful=True)) // MS for _ in range(8)] == [0, 0, 0, 0, 50, 50, 50, 50]
    assert withheld.held_ms == 200


def test_a_suspicion_holds_all_of_it_until_it_is_a_voice() -> None:
    withheld = Withheld(RATE)
    withheld.take(sound(200), doubtful=True)
    withheld.suspect()
    assert withheld.take(sound(500), doubtful=True) == b""
    withheld.decide(is_voice=True)
    assert withheld.take(sound(20), doubtful=False) == sound(720)


def test_what_was_no_voice_goes_as_noise_of_the_same_length() -> None:
    withheld = Withheld(RATE)
    withheld.take(sound(200), doubtful=True)
    withheld.suspect()
    withheld.take(sound(1_250), doubtful=True)  # more than noise is made of at once
    withheld.decide(is_voice=False)
    gone = withheld.take(b"", doubtful=False)
    assert len(gone) == 1_450 * MS
    assert not is_loud(gone)
    assert any(gone)  # digital silence would look like a microphone that is off


def test_what_is_not_decided_goes_after_all() -> None:
    withheld = Withheld(RATE)
    withheld.suspect()
    gone = [len(withheld.take(sound(100), doubtful=True)) // MS for _ in range(20)]
    assert gone == [0] * 15 + [1_400] + [100] * 4
    withheld.decide(is_voice=False)
    assert is_loud(withheld.take(b"", doubtful=False))


def test_a_decision_without_a_suspicion_changes_nothing() -> None:
    withheld = Withheld(RATE)
    withheld.take(sound(100), doubtful=True)
    withheld.decide(is_voice=False)
    assert withheld.take(b"", doubtful=False) == sound(100)


def test_what_is_forgotten_never_goes() -> None:
    withheld = Withheld(RATE)
    withheld.take(sound(100), doubtful=True)
    withheld.suspect()
    withheld.clear()
    assert withheld.take(sound(20), doubtful=False) == sound(20)
