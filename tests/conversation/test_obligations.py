"""Which inputs are owed an answer: by id where the program asked, by order where the provider found the turn."""

from voicecli.conversation.obligations import SIGN_OF_SPEECH_S, Obligations


def done(owed: Obligations, response_id: str, *, tools: bool = False, cancelled: bool = False) -> None:
    owed.response_done(response_id, 2.0, awaits_tools=tools, cancelled=cancelled)


def test_a_turn_is_owed_an_answer_until_it_is_complete() -> None:
    owed = Obligations()
    assert not owed.certain
    owed.owe("a")
    assert owed.pending
    assert owed.response_started("r1", ("a",))
    assert not owed.pending
    assert owed.responding == "r1"
    done(owed, "r1")
    assert not owed.certain
    assert owed.answered == 1


def test_each_input_waits_for_the_response_that_names_it() -> None:
    owed = Obligations()
    owed.owe("a")
    owed.owe("b")
    owed.response_started("r1", ("a",))
    done(owed, "r1")
    assert owed.pending
    assert owed.possible_until is None
    owed.response_started("r2", ("b",))
    done(owed, "r2")
    assert not owed.certain


def test_a_turn_that_the_provider_found_may_be_called_no_speech_by_the_input_that_ended_it() -> None:
    owed = Obligations()
    owed.owe()
    owed.no_speech("input_1")
    assert not owed.certain
    owed.owe("a")
    owed.no_speech("b")
    assert owed.certain


def test_the_end_of_a_cut_reply_answers_no_later_turn() -> None:
    """It is told when the next turn has ended already."""
    owed = Obligations()
    owed.owe("a")
    owed.response_started("r1", ("a",))
    owed.owe("b")
    done(owed, "r1", cancelled=True)
    assert owed.pending


def test_a_response_answers_the_turns_that_the_provider_found_before_it() -> None:
    owed = Obligations()
    owed.owe()
    owed.owe()
    owed.response_started("r1", ())
    done(owed, "r1")
    assert not owed.certain
    assert owed.possible_until == 2.0 + SIGN_OF_SPEECH_S, "the other may get one of its own"


def test_a_provider_that_names_no_inputs_answers_all_with_each_response() -> None:
    owed = Obligations()
    owed.owe("a")
    owed.owe("b")
    owed.response_started("r1", ())
    done(owed, "r1")
    assert not owed.certain


def test_what_is_possible_is_renewed_by_signs_and_ends_with_an_answer() -> None:
    owed = Obligations()
    owed.may_owe(10.0)
    owed.sign(11.0)
    assert owed.possible_until == 11.0 + SIGN_OF_SPEECH_S
    owed.response_started("r1", ())
    assert owed.possible_until is None


def test_whoever_asks_is_owed_what_others_think_possible() -> None:
    owed = Obligations()
    owed.may_owe(1.0)
    owed.expect(since=0)
    assert owed.pending
    owed = Obligations()
    owed.response_started("r1", ())
    done(owed, "r1")
    owed.may_owe(1.0)
    owed.expect(since=0)
    assert not owed.certain, "the answer has come already"
    assert owed.possible_until is None


def test_an_answer_that_has_not_begun_can_be_given_up() -> None:
    owed = Obligations()
    owed.owe("a")
    assert owed.cancel_pending()
    assert not owed.certain
    assert not owed.response_started("r1", ("a",))
    done(owed, "r1", cancelled=True)
    owed.owe("b")
    assert owed.response_started("r2", ("b",))


def test_what_is_given_up_does_not_make_another_answer_unwanted() -> None:
    owed = Obligations()
    owed.owe("a")
    owed.cancel_pending()
    owed.owe("b")
    assert owed.response_started("r1", ("a", "b"))


def test_an_unasked_response_is_wanted() -> None:
    owed = Obligations()
    owed.owe("a")
    owed.response_started("r1", ("a",))
    done(owed, "r1")
    assert owed.response_started("greeting", ())


def test_a_turn_without_speech_leaves_the_other_owed() -> None:
    owed = Obligations()
    owed.owe("a")
    owed.owe("b")
    owed.no_speech("b")
    owed.response_started("r1", ("a",))
    done(owed, "r1")
    assert not owed.certain


def test_a_call_of_tools_is_no_answer_but_what_follows_its_results_is() -> None:
    owed = Obligations()
    owed.owe("a")
    owed.response_started("r1", ("a",))
    owed.call_started("c")
    done(owed, "r1", tools=True)
    assert owed.pending
    owed.call_answered("c", "result")
    owed.response_started("r2", ("result",))
    done(owed, "r2")
    assert not owed.certain


def test_a_response_may_go_on_after_the_result_of_its_own_call() -> None:
    owed = Obligations()
    owed.owe("a")
    owed.response_started("r1", ("a",))
    owed.call_started("c")
    owed.call_answered("c", "result")
    done(owed, "r1")
    assert not owed.certain


def test_a_result_that_came_while_the_response_was_made_is_answered_by_the_next() -> None:
    owed = Obligations()
    owed.response_started("r1", ())
    owed.call_started("c")
    owed.call_answered("c", "result")
    done(owed, "r1", tools=True)
    assert owed.pending
    assert owed.response_started("r2", ("result",))


def test_calls_that_are_all_taken_back_leave_nothing_owed() -> None:
    for early in (True, False):
        owed = Obligations()
        owed.owe("a")
        owed.response_started("r1", ("a",))
        owed.call_started("c")
        owed.call_started("d")
        owed.call_cancelled("c")
        if early:
            owed.call_cancelled("d")
        done(owed, "r1", tools=True)
        owed.call_cancelled("d")
        assert not owed.certain
        assert not owed.tools_running


def test_a_call_in_the_background_keeps_no_answer_waiting() -> None:
    owed = Obligations()
    owed.owe("a")
    owed.response_started("r1", ("a",))
    owed.call_started("c", background=True)
    done(owed, "r1", tools=True)
    assert not owed.certain
    assert not owed.tools_running
    assert owed.answered == 1
    assert not owed.cancel_pending(), "there is nothing to be given up"
    owed.call_answered("c", "result")
    assert owed.pending
    assert owed.response_started("r2", ("result",))
    done(owed, "r2")
    assert not owed.certain


def test_a_call_beside_it_is_waited_for() -> None:
    for order in ((True, False), (False, True)):
        owed = Obligations()
        owed.owe("a")
        owed.response_started("r1", ("a",))
        for number, background in enumerate(order):
            owed.call_started(f"c{number}", background=background)
        done(owed, "r1", tools=True)
        assert owed.pending
        assert owed.tools_running
        owed.call_cancelled(f"c{order.index(True)}")
        assert owed.tools_running
        owed.call_answered(f"c{order.index(False)}", "result")
        owed.response_started("r2", ("result",))
        done(owed, "r2")
        assert not owed.certain
