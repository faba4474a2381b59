"""Transcripts of GPT-Live, put together from fragments: late, twice, out of order, both speakers at once."""

from typing import Any

import pytest

from tests.loopback.live_script import LiveReply, Loose
from tests.providers.openai.live.talk import LiveTalk
from voicecli.events import AudioChunk, ResponseDone, ResponseStarted, TranscriptUpdate

TEN = "One two three four five six seven eight nine ten."


def fragment(who: str, text: str, start_ms: int, end_ms: int, event_id: str = "") -> dict[str, Any]:
    kind = f"session.{who}_transcript.delta"
    return {
        "type": kind,
        "event_id": event_id or f"{who}_{start_ms}_{text}",
        "delta": text,
        "start_ms": start_ms,
        "end_ms": end_ms,
    }


@pytest.mark.parametrize(
    "loose", [Loose(shuffled=True), Loose(repeated=True), Loose(lag_ms=0), Loose(unknown=True), Loose(odd_bytes=True)]
)
def test_a_loose_server(loose: Loose) -> None:
    talk = LiveTalk(hears=["What is the matter?"], replies=[LiveReply(text=TEN)], loose=loose)
    talk.speak(1_000)
    talk.run(9_000)
    assert talk.said("user") == ["What is the matter?"]
    assert talk.said("assistant") == [TEN]
    [done] = talk.all(ResponseDone)
    assert done.status == "completed"
    assert all(len(chunk.audio) % 2 == 0 for chunk in talk.all(AudioChunk))


def test_fragments_out_of_order() -> None:
    talk = LiveTalk()
    talk.give(
        fragment("input", " is", 400, 600), fragment("input", "What", 200, 400), fragment("input", " it?", 600, 800)
    )
    assert talk.said("user") == ["What is it?"]


def test_a_fragment_that_comes_twice() -> None:
    talk = LiveTalk()
    twice = fragment("input", "What", 200, 400)
    talk.give(twice, twice)
    assert talk.said("user") == ["What"]


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        (("It's up.", "It's down."), "It's up. It's down."),
        (("It's up.", " It's down."), "It's up. It's down."),
        (("上がる。", "下がる。"), "上がる。下がる。"),
    ],
)
def test_a_space_after_a_pause(parts: tuple[str, str], text: str) -> None:
    talk = LiveTalk()
    talk.give(fragment("input", parts[0], 0, 400), fragment("input", parts[1], 1_200, 1_600))
    assert talk.said("user") == [text]


def test_a_word_in_two_fragments_is_one() -> None:
    talk = LiveTalk()
    talk.give(fragment("input", "Hel", 0, 200), fragment("input", "lo", 200, 400))
    assert talk.said("user") == ["Hello"]


def test_a_pause_ends_an_utterance() -> None:
    talk = LiveTalk()
    talk.give(fragment("input", "One.", 0, 200), fragment("input", "Two.", 1_800, 2_000))
    assert talk.said("user") == ["One.", "Two."]
    [final] = talk.finals("user")
    assert (final.text, final.start_ms, final.end_ms) == ("One.", 0, 200)


def test_a_clock_that_begins_anew_ends_all_utterances() -> None:
    talk = LiveTalk()
    talk.give(fragment("input", "One.", 9_000, 9_200), fragment("output", "Two.", 9_400, 9_600))
    talk.give(fragment("input", "Three.", 200, 400), fragment("output", "Four.", 600, 800))
    assert talk.said("user") == ["One.", "Three."]
    assert talk.said("assistant") == ["Two.", "Four."]


def test_a_server_whose_words_begin_anew() -> None:
    replies = [LiveReply(text="One."), LiveReply(text="Two.")]
    talk = LiveTalk(hears=["First?", "Second?"], replies=replies, loose=Loose(rewinds_ms=9_000))
    for _ in replies:
        talk.speak(500)
        talk.run(9_000)
    assert (talk.said("user"), talk.said("assistant")) == (["First?", "Second?"], ["One.", "Two."])
    # The words of each reply have the name of its sound.
    sounds = list(dict.fromkeys(chunk.item_id for chunk in talk.all(AudioChunk)))
    assert [update.item_id for update in talk.finals("assistant")] == sounds


def test_times_that_cannot_be() -> None:
    talk = LiveTalk(replies=[LiveReply(text="Yes.")])
    talk.give(fragment("input", "Hello.", -5, 10**30), fragment("output", "Hi.", 10**30, 10**30))
    talk.run(6_000)
    assert [update.final for update in talk.finals("user")] == [True]
    assert len(talk.all(ResponseDone)) == 1
    assert all((update.end_ms or 0) < 10_000 for update in talk.all(TranscriptUpdate))


def test_both_speak_at_once() -> None:
    talk = LiveTalk(hears=["I was in the mountains"], replies=[LiveReply(text="Mm-hm.", after_ms=0)])
    talk.session._after(300, talk.session._speak)  # amid the user's speech
    talk.speak(1_000)
    talk.run(8_000)
    assert talk.said("user") == ["I was in the mountains"]
    assert talk.said("assistant") == ["Mm-hm."]


def test_a_short_acknowledgement_does_not_cut_the_user_in_two() -> None:
    talk = LiveTalk()
    talk.run(1_000)
    talk.session.replies.append(LiveReply(text="Mm-hm."))
    talk.session._after(0, talk.session._speak)
    talk.run(1_000)
    talk.give(fragment("input", "I was", 900, 1_000), fragment("input", "away.", 1_800, 2_000))
    assert talk.said("user") == ["I was away."]


def test_an_answer_in_a_pause_cuts_the_user_in_two() -> None:
    talk = LiveTalk()
    talk.run(1_000)
    talk.session.replies.append(LiveReply(text="That is a long answer."))
    talk.session._after(0, talk.session._speak)
    talk.run(1_500)
    talk.give(fragment("input", "I was", 900, 1_000), fragment("input", "away.", 2_200, 2_400))
    assert talk.said("user") == ["I was", "away."]


def test_words_that_come_after_their_reply_are_told() -> None:
    talk = LiveTalk(hears=["Hi."], replies=[LiveReply(text="One two.")], loose=Loose(lag_ms=4_000))
    talk.speak(500)
    talk.run(9_000)
    assert len(talk.all(ResponseDone)) == len(talk.all(ResponseStarted)) == 1
    assert talk.said("assistant") == ["One two."]
    talk.give(fragment("output", ".", 1_000, 1_100))
    assert talk.said("assistant") == ["One two."]


def test_times_go_on_over_sessions() -> None:
    talk = LiveTalk(replies=[LiveReply(text="Yes.")])
    talk.run(10_000)
    talk.dial()
    talk.give(fragment("input", "Hello.", 500, 900))
    [update] = talk.all(TranscriptUpdate)
    assert (update.start_ms, update.end_ms) == (10_500, 10_900)
