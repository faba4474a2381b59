"""The store: what is kept, and how it is found again."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from tests.history.conftest import ANSWER, CALL, NOON, QUESTION, RESPONSE, ROWS, conversation, days, keep, said
from voicecli import ConfigurationError
from voicecli.events import Usage
from voicecli.history.ids import LATEST, POSSIBLE, id_of, may_be_id
from voicecli.history.store import Store


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with Store(path, create=True) as opened:
        yield opened


def test_a_conversation_comes_back_as_it_was_kept(store: Store) -> None:
    began = datetime(2026, 5, 4, 23, 59, 59, 999_000, tzinfo=timezone(timedelta(hours=-7)))
    ended = began + timedelta(seconds=61.5)
    id_ = store.begin(conversation(began, continues="b2c3d4"))
    assert store.save(id_, ROWS, ended_at=ended, end="closed")
    kept = store.conversation(id_)
    usage = Usage() + RESPONSE.usage
    wanted = replace(
        conversation(began, continues="b2c3d4"),
        id=id_,
        ended_at=ended,
        end="closed",
        usage=usage,
        turns=(QUESTION, ANSWER),
        tool_calls=(CALL,),
        responses=(RESPONSE,),
    )
    assert kept == wanted
    assert kept.started_at.utcoffset() == began.utcoffset()


def test_what_is_saved_again_takes_its_place(store: Store) -> None:
    id_ = keep(store, "What is", "And?")
    answered = replace(CALL, ended_ms=2_100, is_error=True, cancelled=True)
    store.save(id_, [(0, said("What is that?", "q0")), (5, CALL), (5, answered), (3, RESPONSE)])
    kept = store.conversation(id_)
    assert [turn.text for turn in kept.turns] == ["What is that?", "And?"]
    assert kept.tool_calls == (answered,)
    assert kept.ended_at is None
    assert kept.usage.session_seconds == 3.6


def test_half_a_surrogate_pair_and_a_null_are_kept_as_far_as_they_are_text(store: Store) -> None:
    id_ = keep(store, "Smile \ud83d, \0 and go")
    store.save(id_, [(1, replace(CALL, arguments='{"of": "\udc00"}'))], ended_at=NOON, end="\ud800")
    store.save(id_, [(0, said("Smile \ud83d, \0 and go", "q0")), (2, said("\ud83d"))])
    kept = store.conversation(id_)
    assert kept.turns[0].text == "Smile \ufffd, \0 and go"
    assert kept.tool_calls[0].arguments == '{"of": "\ufffd"}'
    assert [each.turn.text for each in store.search(["smile"])] == [kept.turns[0].text]
    assert store.search(["\ud83d"]) == store.search(["\ufffd"])
    with pytest.raises(ConfigurationError, match="There is no conversation"):
        store.find("\ud83d")


def test_seconds_are_replaced_and_costs_that_are_not_known_stay_so(store: Store) -> None:
    id_ = keep(store, "Hi")
    later = replace(RESPONSE, usage=Usage(session_seconds=9.5, cost_usd=None, approximate=True))
    store.save(id_, [(0, RESPONSE), (1, later)])
    assert store.conversation(id_).usage == RESPONSE.usage + later.usage
    assert store.conversation(id_).usage.session_seconds == 9.5
    assert store.conversation(id_).usage.cost_usd is None


def test_the_last_conversations_come_first(store: Store) -> None:
    ids = [keep(store, "Hi", began=NOON + days(day)) for day in range(5)]
    store.save(ids[3], [(0, RESPONSE)])
    found = list(store.conversations())
    assert [each.id for each in found] == ids[::-1]
    assert found[1].responses == (RESPONSE,)
    assert found[1].usage.cost_usd == 0.25
    assert [each.id for each in store.conversations(limit=2)] == ids[:2:-1]
    between = store.conversations(since=NOON + days(1), until=NOON + days(3))
    assert [each.id for each in between] == [ids[2], ids[1]]


def test_a_beginning_of_an_id_is_enough(store: Store) -> None:
    ids = [keep(store, "Hi") for _ in range(40)]
    assert all(re.fullmatch(r"([a-z]\d){3}", id_) for id_ in ids)
    shortest = {id_: min(length for length in range(1, 7) if _alone(id_[:length], ids)) for id_ in ids}
    assert max(shortest.values()) <= 3
    for id_, length in shortest.items():
        assert store.find(f" {id_[:length].upper()} ") == id_
    with pytest.raises(ConfigurationError, match=rf"Several conversations begin with '{ids[0][0]}': .*{ids[0]}"):
        store.find(ids[0][0])
    for wrong in ("zzz", "", "*", "b%"):
        with pytest.raises(ConfigurationError, match=r"There is no conversation .*voice logs"):
            store.find(wrong)


def _alone(beginning: str, ids: list[str]) -> bool:
    return sum(id_.startswith(beginning) for id_ in ids) == 1


def test_latest_is_the_one_that_began_last(store: Store) -> None:
    with pytest.raises(ConfigurationError, match="No conversation is kept yet"):
        store.find(LATEST)
    keep(store, "Hi", began=NOON + days(1))
    last = keep(store, "Hi", began=NOON + days(2))
    keep(store, "Hi", began=NOON)
    assert store.find(LATEST) == last == store.conversation("Latest").id


def test_each_number_has_an_id_of_its_own() -> None:
    assert len({id_of(number, 17) for number in range(100_000)}) == 100_000
    assert id_of(1, 5) != id_of(1, 6)
    assert id_of(POSSIBLE, 0) == id_of(0, 0)
    near = {id_of(number)[:2] for number in range(100)}
    assert len(near) > 85  # they are spread


def test_a_text_is_told_from_an_id() -> None:
    assert all(may_be_id(id_of(number)[:length]) for number in range(1_000) for length in (1, 4, 6))
    assert may_be_id("Latest")
    assert not any(map(may_be_id, ("", "hello", "What is it?", "k7m2q9x", "77", "k7-")))


def test_another_database_begins_with_other_ids(tmp_path: Path) -> None:
    firsts = set()
    for name in "abc":
        with Store(tmp_path / name / "history.db", create=True) as store:
            firsts.add(keep(store, "Hi"))
    assert len(firsts) == 3


def test_what_a_new_conversation_is_to_know(store: Store) -> None:
    first = store.begin(conversation())
    unanswered = replace(CALL, call_id="d", output=None)
    store.save(first, [*ROWS, (3, unanswered), (4, replace(CALL, call_id="e", cancelled=True))])
    cut = replace(ANSWER, text="Of Italy it", interrupted=True)
    second = keep(store, "And of Italy?", continues=first)
    store.save(second, [(1, cut), (2, replace(ANSWER, text="", interrupted=True))])
    turns = store.turns_before(second[:4])
    assert [(turn.role, turn.text, turn.interrupted) for turn in turns] == [
        ("user", "What is the capital of France?", False),
        ("tool", "Paris", False),
        ("assistant", "It is Paris.", False),
        ("user", "And of Italy?", False),
        ("assistant", "Of Italy it", True),
    ]
    assert (turns[1].name, turns[1].arguments) == ("look_up", '{"of": "France"}')
    assert all(turn.final for turn in turns)
    assert len({turn.item_id for turn in turns}) == 5


def test_a_conversation_that_was_continued_may_be_gone(store: Store) -> None:
    id_ = keep(store, "And of Italy?", continues="b2c3d4")
    assert [turn.text for turn in store.turns_before(id_)] == ["And of Italy?"]


def test_without_a_database_the_store_is_empty(path: Path) -> None:
    with Store(path) as store:
        assert list(store.conversations()) == []
        with pytest.raises(ConfigurationError, match="No conversation is kept yet"):
            store.conversation(LATEST)
    assert not path.parent.exists()


def test_where_a_recording_is(store: Store) -> None:
    id_ = keep(store, "Hi")
    assert store.conversation(id_).recording_times == ()
    store.set_recording(id_, Path("/tmp/talk.wav"), [(0, 350), (900, 1_300)])
    assert store.conversation(id_).recording == Path("/tmp/talk.wav")
    assert store.conversation(id_).recording_times == ((0, 350), (900, 1_300))
