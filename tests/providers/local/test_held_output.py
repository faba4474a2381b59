from voicecli.providers.local.held_output import HeldOutput


def test_output_is_held_and_released_in_order() -> None:
    output, done = HeldOutput(), list[int]()
    output.do(lambda: done.append(1))
    output.do(lambda: done.append(2))
    assert done == []
    output.release()
    output.do(lambda: done.append(3))
    assert done == [1, 2, 3]


def test_nothing_is_done_after_output_was_discarded() -> None:
    output, done = HeldOutput(), list[int]()
    output.do(lambda: done.append(1))
    output.discard()
    output.release()
    output.do(lambda: done.append(2))
    assert done == []


def test_output_can_be_discarded_by_what_is_released() -> None:
    output, done = HeldOutput(), list[int]()
    output.do(output.discard)
    output.do(lambda: done.append(1))
    output.release()
    assert done == []
