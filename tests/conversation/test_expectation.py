from voicecli.conversation.expectation import Expectation


def test_a_turn_is_owed_an_answer_until_it_is_complete() -> None:
    expected = Expectation()
    assert not expected.waiting(2.0)
    expected.turn_ended()
    assert expected.waiting(2.0)
    assert expected.hope_left(0) is None
    expected.response_started("r1")
    assert expected.running == "r1"
    expected.response_done("r1", 2.0, awaits_tools=False)
    assert not expected.waiting(2.0)


def test_a_call_of_tools_is_no_answer() -> None:
    expected = Expectation()
    expected.turn_ended()
    expected.response_started("r1")
    expected.response_done("r1", 2.0, awaits_tools=True)
    assert expected.waiting(2.0)


def test_the_end_of_a_cut_reply_answers_no_later_turn() -> None:
    """It is told when the next turn has ended already."""
    expected = Expectation()
    expected.turn_ended()
    expected.response_started("r1")
    expected.turn_ended()
    expected.response_done("r1", 2.0, awaits_tools=False)
    assert expected.waiting(2.0)
    expected.response_started("r2")
    expected.response_done("r2", 2.0, awaits_tools=False)
    assert not expected.waiting(2.0)


def test_hope_ends_and_is_renewed_by_signs() -> None:
    expected = Expectation()
    expected.audio_ended(10.0)
    first = expected.hope_left(10.0)
    assert first is not None
    assert first > 0
    assert expected.hope_left(10.0 + first) == 0
    expected.sign(11.0)
    assert expected.hope_left(11.0) == first
    expected.give_up()
    assert not expected.waiting(2.0)


def test_audio_that_ends_after_the_answer_began_promises_nothing_more() -> None:
    expected = Expectation()
    expected.turn_ended()
    expected.audio_ended(1.0)
    expected.response_started("r1")
    expected.response_done("r1", 2.0, awaits_tools=False)
    assert not expected.waiting(2.0)


def test_speech_that_is_open_at_the_end_is_hoped_for_even_while_a_reply_is_made() -> None:
    expected = Expectation()
    expected.turn_ended()
    expected.speech_started()
    expected.audio_ended(1.0)
    expected.no_speech()
    assert not expected.waiting(2.0)


def test_whoever_asks_is_owed_what_others_hope_for() -> None:
    expected = Expectation()
    expected.audio_ended(1.0)
    expected.insist(answered=False)
    assert expected.hope_left(1.0) is None
    assert expected.waiting(2.0)
    expected = Expectation()
    expected.audio_ended(1.0)
    expected.insist(answered=True)
    assert not expected.waiting(2.0)


def test_an_answer_that_has_not_begun_can_be_refused() -> None:
    expected = Expectation()
    expected.turn_ended()
    expected.refuse()
    assert not expected.waiting(2.0)
    assert expected.response_started("r1") is False
    expected.response_done("r1", 2.0, awaits_tools=False)
    assert not expected.waiting(2.0)


def test_a_refusal_does_not_hit_the_next_turn() -> None:
    expected = Expectation()
    expected.turn_ended()
    expected.refuse()
    expected.turn_ended()
    assert expected.response_started("r2") is True


def test_several_turns_may_be_answered_together_or_one_by_one() -> None:
    expected = Expectation()
    expected.turn_ended()
    expected.turn_ended()
    expected.response_started("r1")
    expected.response_done("r1", 2.0, awaits_tools=False)
    assert expected.waiting(2.0)
    assert expected.hope_left(2.0) is not None
    expected.response_started("r2")
    expected.response_done("r2", 2.0, awaits_tools=False)
    assert not expected.waiting(2.0)


def test_a_turn_without_speech_leaves_the_answer_to_the_one_before_owed() -> None:
    expected = Expectation()
    expected.turn_ended()
    expected.turn_ended()
    expected.no_speech()
    assert expected.waiting(2.0)
    expected.response_started("r1")
    expected.response_done("r1", 2.0, awaits_tools=False)
    assert not expected.waiting(2.0)
