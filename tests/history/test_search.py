"""Search in what was said."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.history.conftest import NOON, days, keep
from voicecli.history.search import excerpt, words_of
from voicecli.history.store import Store


@pytest.fixture(params=[True, False], ids=["fts5", "without"])
def store(request: pytest.FixtureRequest, path: Path) -> Iterator[Store]:
    with Store(path, create=True, full_text=request.param) as opened:
        yield opened


def found(store: Store, *texts: str, limit: int = 50) -> list[str]:
    return [each.turn.text for each in store.search(texts, limit=limit)]


def test_all_words_must_be_there_in_any_order(store: Store) -> None:
    old = keep(store, "The capital of France is Paris.", "The capital of Italy is Rome.", began=NOON)
    new = keep(store, "Paris Hilton has no capital.", began=NOON + days(1))
    assert found(store, "paris", "CAPITAL") == ["Paris Hilton has no capital.", "The capital of France is Paris."]
    assert found(store, "paris capital") == found(store, "paris", "CAPITAL")
    assert [each.conversation.id for each in store.search(["capital"])] == [new, old, old]
    assert found(store, "capi") == found(store, "capital")
    assert found(store, "capital", limit=1) == ["Paris Hilton has no capital."]
    assert found(store, "capital", "Berlin") == found(store, " ") == []


@pytest.mark.parametrize("text", ['say "hi" AND (now)', "50% of it_all", "C++ or C#", "it's -1 NOT* ^x:y", "a\\b"])
def test_nothing_in_the_words_has_a_meaning_of_its_own(store: Store, text: str) -> None:
    keep(store, text, "plain texts")
    assert found(store, text) == [text]
    for word in text.split():
        assert found(store, word) == [text]


@pytest.mark.parametrize("wrong", ['"', "''", "*", "(", "NEAR(", "text:", "-", "%"])
def test_what_is_not_there_is_not_found(store: Store, wrong: str) -> None:
    keep(store, "plain words")
    assert found(store, wrong) == []


def test_accents_and_scripts(store: Store) -> None:
    keep(store, "Guten Tag, Frau Müller", "今日は天気がいいですね", "Привет, мир")
    assert found(store, "MULLER") == found(store, "müller") == ["Guten Tag, Frau Müller"]
    assert found(store, "天気") == ["今日は天気がいいですね"]
    assert found(store, "mu\u0308ller") == ["Guten Tag, Frau Müller"]  # as some keyboards and file names have it
    assert found(store, "привет") == ["Привет, мир"]


def test_marks_that_make_another_letter_are_no_accents(store: Store) -> None:
    texts = ["мой дом", "мои дома", "한국 음식", "하고 싶다", "ガード", "カード"]
    keep(store, *texts)
    for text in texts:
        assert found(store, text.split()[0]) == [text]


def test_signs_belong_to_what_is_looked_for(store: Store) -> None:
    keep(store, "C++ is fast", "cats are faster", "$5 only", "500 dollars", "🙂 hello", "hello", "it\u2019s fine")
    assert found(store, "c++") == ["C++ is fast"]
    assert found(store, "$5") == ["$5 only"]
    assert found(store, "hello", "🙂") == ["🙂 hello"]
    assert found(store, "it's") == found(store, "it\u2019s") == ["it\u2019s fine"]


def test_a_whole_text_may_be_looked_for(store: Store) -> None:
    text = " ".join(map(str, range(3_000)))
    keep(store, text)
    assert found(store, text) == [text]
    assert found(store, f"{text} not there") == []


def test_words_that_were_replaced_are_not_found(store: Store) -> None:
    from tests.history.conftest import said

    id_ = keep(store, "The capitol")
    store.save(id_, [(0, said("The capital", "q0"))])
    assert found(store, "capitol") == []
    assert found(store, "capital") == ["The capital"]


def shown(text: str, *words: str) -> str:
    return "".join(f"[{piece}]" if is_word else piece for piece, is_word in excerpt(text, words_of(words)))


def test_an_excerpt_shows_where_the_words_are() -> None:
    assert shown("The Capital of\nFrance", "capital", "fran") == "The [Capital] of [Fran]ce"
    long = f"{'before ' * 20}the Müller family {'after ' * 20}"
    cut = shown(long, "muller")
    assert cut.startswith("… before ")
    assert "the [Müller] family after" in cut
    assert cut.endswith("after …")
    assert len(cut) < 110
    assert shown("nothing of it", "else") == "nothing of it"
    assert shown("", "x") == ""
