import pytest

from voicecli.providers.local.speech_output import HeldOutput, Spoken


def test_a_gate_holds_back_and_lets_out_in_order() -> None:
    gate, done = HeldOutput(), list[int]()
    gate.do(lambda: done.append(1))
    gate.do(lambda: done.append(2))
    assert done == []
    gate.open()
    gate.do(lambda: done.append(3))
    assert done == [1, 2, 3]


def test_nothing_passes_a_gate_that_was_shut() -> None:
    gate, done = HeldOutput(), list[int]()
    gate.do(lambda: done.append(1))
    gate.shut()
    gate.open()
    gate.do(lambda: done.append(2))
    assert done == []


def test_a_gate_can_be_shut_by_what_passes_it() -> None:
    gate, done = HeldOutput(), list[int]()
    gate.do(gate.shut)
    gate.do(lambda: done.append(1))
    gate.open()
    assert done == []


@pytest.mark.parametrize(
    ("played_ms", "heard"),
    [(0, ""), (500, "One"), (700, "One"), (1000, "One two."), (1500, "One two. Three"), (2000, "One two. Three four.")],
)
def test_what_was_heard_is_cut_at_a_word_of_the_piece_that_was_playing(played_ms: int, heard: str) -> None:
    spoken = Spoken(rate=1000)
    spoken.add("One two. ", bytes(2000))
    spoken.add("Three four.", bytes(2000))
    assert spoken.heard(played_ms) == heard
