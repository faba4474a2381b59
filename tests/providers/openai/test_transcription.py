"""The transcription codec and OpenAI's strict session: words, order, times, failures, and one socket after another."""

from typing import Any

import pytest

from tests.loopback.spoken_words import pause, word
from tests.providers.openai.transcribing import RATE, Transcribing
from voicecli.commands import AppendAudio, ClearAudio, EndTurn, SendText
from voicecli.config import RealtimeConfig
from voicecli.errors import ProtocolError, RealtimeConnectionError
from voicecli.events import ErrorOccurred, Notice, SessionStarted, TranscriptUpdate, Usage, UsageUpdated
from voicecli.ports import Ended
from voicecli.pricing import Prices

LIVE = RealtimeConfig(api_key="sk-test", model="gpt-live-transcribe")


def test_words_with_the_times_of_their_audio() -> None:
    talk = Transcribing()
    talk.speak(0, 1)
    talk.speak(2)
    talk.settle()
    first, second = talk.finals()
    assert (first.text, first.start_ms, first.end_ms) == ("w0 w1", 0, 800)
    assert (second.text, second.start_ms, second.end_ms) == ("w2", 800, 1_200)
    assert first.role == "user"
    assert first.item_id != second.item_id
    assert not talk.codec.awaiting_reply


def test_a_commit_reserves_its_place_and_deltas_replace_each_other() -> None:
    talk = Transcribing()
    talk.speak(0, 1)
    talk.settle()
    texts = [(update.text, update.final) for update in talk.all(TranscriptUpdate)]
    assert texts == [("", False), ("w0 w?", False), ("w0 w1", True)]
    assert len({update.item_id for update in talk.all(TranscriptUpdate)}) == 1


def test_a_live_model_tells_words_while_they_are_said() -> None:
    talk = Transcribing(LIVE)
    talk.speak(0, 1, end=False)
    talk.deliver()
    early = talk.all(TranscriptUpdate)
    assert [update.text for update in early] == ["w0 "]
    assert not early[0].final
    talk.send(EndTurn())
    talk.speak(2, 3)
    talk.settle()
    assert talk.said() == "w0 w1 w2 w3"
    assert talk.finals()[0].item_id == early[0].item_id


def test_completions_that_overtake_are_told_in_order() -> None:
    talk = Transcribing(next_of=lambda waiting: waiting - 1)
    for number in range(5):
        talk.speak(number)
    talk.deliver()
    assert talk.step()
    assert talk.step()
    talk.deliver()
    assert not talk.finals()
    talk.settle()
    assert talk.said() == "w0 w1 w2 w3 w4"


def test_commits_that_are_named_in_another_order_keep_their_words() -> None:
    """By `previous_item_id`: the order in which they are told is not that of the commits."""
    talk = Transcribing()
    for number in range(3):
        talk.speak(number)
    for name, before in (("a", None), ("c", "b"), ("b", "a")):
        talk.give({"type": "input_audio_buffer.committed", "item_id": name, "previous_item_id": before})
    for name, words in (("c", "third"), ("b", "second"), ("a", "first")):
        kind = "conversation.item.input_audio_transcription.completed"
        talk.give({"type": kind, "item_id": name, "content_index": 0, "transcript": words})
    assert talk.said() == "first second third"


def test_what_fails_is_told_and_holds_nothing_up() -> None:
    talk = Transcribing(hears=lambda audio: "!audio_unintelligible" if len(audio) < 48 * 500 else "All is well.")
    talk.speak(0)
    talk.speak(1, 2)
    talk.settle()
    (notice,) = talk.all(Notice)
    assert notice.code == "transcription_failed"
    assert "0.0 s to 0.4 s" in notice.message
    assert [(update.text, update.start_ms) for update in talk.finals()] == [("", 0), ("All is well.", 400)]
    assert not talk.codec.awaiting_reply


def test_no_words_are_an_empty_final_update() -> None:
    talk = Transcribing(hears=lambda audio: "")
    talk.speak(0)
    talk.settle()
    assert [update.text for update in talk.finals()] == [""]


def test_a_completion_that_is_told_twice_is_no_words_of_the_next_utterance() -> None:
    talk = Transcribing()
    talk.speak(0)
    talk.settle()
    done = next(frame for frame in talk.session.sent if frame["type"].endswith(".completed"))
    talk.speak(1)
    talk.give(done)
    assert talk.codec.awaiting_reply
    talk.settle()
    assert talk.said() == "w0 w1"


@pytest.mark.parametrize(("model", "cost"), [(None, 0.6 * 0.0045 / 60), ("gpt-live-transcribe", 0.6 * 0.017 / 60)])
def test_seconds_are_counted_and_cost(model: str | None, cost: float) -> None:
    talk = Transcribing(RealtimeConfig(api_key="sk-test", model=model))
    talk.send(AppendAudio(word(0, RATE, 600)), EndTurn())
    talk.settle()
    (told,) = talk.all(UsageUpdated)
    assert told.usage.cost_usd == pytest.approx(cost)
    assert told.usage == Usage(transcription_seconds=0.6, cost_usd=told.usage.cost_usd)


def test_prices_of_the_user_come_first_and_missing_seconds_are_counted_here() -> None:
    config = RealtimeConfig(api_key="sk-test", prices={"gpt-transcribe": Prices(transcription_minute=6.0)})
    talk = Transcribing(config)
    talk.send(AppendAudio(word(0, RATE, 500)), EndTurn())
    talk.deliver()
    kind = "conversation.item.input_audio_transcription.completed"
    talk.give({"type": kind, "item_id": talk.session.items[0].id, "transcript": "w0"})
    (told,) = talk.all(UsageUpdated)
    assert told.usage.cost_usd == pytest.approx(0.05)
    assert told.usage == Usage(transcription_seconds=0.5, cost_usd=told.usage.cost_usd, approximate=True)


def test_what_is_too_short_or_silent_is_not_sent_to_be_transcribed() -> None:
    talk = Transcribing()
    talk.send(EndTurn("nothing"), AppendAudio(pause(RATE, 500)), EndTurn("silent"))
    talk.send(AppendAudio(word(0, RATE, 60)), EndTurn("short"))
    assert talk.session.items == []
    talk.send(AppendAudio(word(0, RATE, 60)), EndTurn("enough"))
    talk.settle()
    assert [(notice.code, notice.input_id) for notice in talk.all(Notice)] == [
        ("no_speech", "nothing"),
        ("no_speech", "silent"),
        ("no_speech", "short"),
    ]
    (told,) = talk.finals()
    assert (told.text, told.start_ms, told.end_ms) == ("w0", 500, 620)


def test_an_utterance_without_an_end_is_ended_after_a_minute() -> None:
    talk = Transcribing()
    for number in range(65):
        talk.send(AppendAudio(word(number, RATE, 1_000)))
    talk.send(EndTurn())
    talk.settle()
    assert talk.said() == " ".join(f"w{number}" for number in range(65))
    assert [update.end_ms for update in talk.finals()] == [60_000, 65_000]


def test_long_silence_costs_and_keeps_nothing() -> None:
    talk = Transcribing()
    for _ in range(180):
        talk.send(AppendAudio(pause(RATE, 1_000)))
    talk.speak(0)
    talk.settle()
    assert len(talk.session.items) == 1
    (told,) = talk.finals()
    assert told.start_ms == 174_000  # somebody might have begun 2 s before the end of each minute
    assert not talk.all(Notice)


def test_the_noise_of_a_room_is_not_made_words_of() -> None:
    talk = Transcribing()
    for _ in range(130):
        talk.send(AppendAudio(b"\xc8\x00" * RATE))  # a second at -44 dB
    talk.speak(0)
    talk.settle()
    assert talk.said() == "w0"
    (told,) = talk.finals()
    assert (told.start_ms, told.end_ms) == (116_000, 130_400)
    (item,) = talk.session.items
    assert len(item.audio) == 14.4 * 2 * RATE


def test_cleared_audio_is_no_part_of_an_utterance_and_counts() -> None:
    talk = Transcribing()
    talk.speak(0, end=False)
    talk.send(ClearAudio())
    talk.speak(1)
    talk.settle()
    assert [(update.text, update.start_ms) for update in talk.finals()] == [("w1", 400)]


def test_other_commands_are_refused() -> None:
    talk = Transcribing()
    with pytest.raises(ProtocolError, match="SendText"):
        talk.codec.send(SendText("Hello"))


# One socket after another


def test_what_a_lost_socket_had_not_answered_is_sent_again() -> None:
    talk = Transcribing(next_of=lambda waiting: waiting - 1)
    for number in range(3):
        talk.speak(number)
    talk.deliver()
    talk.step()  # the last one overtakes; its words need not come again
    talk.deliver()
    talk.speak(3, end=False)
    talk.dial()
    assert [event.resumed for event in talk.all(SessionStarted)] == [False, True]
    talk.speak(4)
    talk.settle()
    assert talk.said() == "w0 w1 w2 w3 w4"
    assert [item.heard for item in talk.session.items] == ["w0", "w1", "w3 w4"]
    assert [(update.start_ms, update.end_ms) for update in talk.finals()] == [
        (0, 400),
        (400, 800),
        (800, 1_200),
        (1_200, 2_000),
    ]
    assert len({update.item_id for update in talk.finals()}) == 4


def test_words_that_came_are_not_asked_for_again() -> None:
    talk = Transcribing()
    talk.speak(0)
    talk.settle()
    talk.dial()
    talk.speak(1)
    talk.settle()
    assert [item.heard for item in talk.session.items] == ["w1"]
    assert talk.said() == "w0 w1"


def test_early_words_of_a_lost_socket_are_said_anew() -> None:
    talk = Transcribing(LIVE)
    talk.speak(0, 1, end=False)
    talk.deliver()
    talk.dial()
    talk.speak(2)
    talk.settle()
    assert talk.said() == "w0 w1 w2"
    told = [update.text for update in talk.all(TranscriptUpdate)]
    assert not any(text.count("w0") > 1 for text in told)


def test_a_socket_that_breaks_before_it_is_ready_loses_nothing() -> None:
    talk = Transcribing()
    talk.speak(0)
    talk.codec.open()
    talk.dial()
    talk.settle()
    assert talk.said() == "w0"


def test_it_is_busy_while_somebody_speaks_or_words_are_awaited() -> None:
    talk = Transcribing()
    assert not talk.codec.busy
    talk.speak(0, end=False)
    assert talk.codec.busy
    talk.send(AppendAudio(pause(RATE, 500)))
    assert not talk.codec.busy  # a pause: a good moment for another socket
    talk.send(EndTurn())
    assert talk.codec.busy
    assert talk.codec.awaiting_reply
    talk.settle()
    assert not talk.codec.busy


def test_it_is_full_when_a_minute_of_audio_is_unanswered() -> None:
    talk = Transcribing()
    for number in range(60):
        assert not talk.codec.full
        talk.send(AppendAudio(word(number, RATE, 1_000)), EndTurn())
    assert talk.codec.full
    talk.deliver()
    talk.step()
    talk.deliver()
    assert not talk.codec.full


def test_words_that_never_come_are_given_up_when_many_have_overtaken_them() -> None:
    talk = Transcribing()
    for number in range(17):
        talk.speak(number)
    talk.deliver()
    talk.session._waiting.popleft()
    talk.settle()
    assert talk.said() == " ".join(f"w{number}" for number in range(1, 17))
    assert [notice.code for notice in talk.all(Notice)] == ["transcription_failed"]


def test_two_hours_over_three_sockets_keep_no_audio_and_their_times() -> None:
    """In pieces of a second; the sessions of the server end after an hour."""
    talk = Transcribing()
    heard: list[str] = []
    for minute in range(120):
        if minute in {57, 114}:
            talk.dial()
        talk.codec.send(AppendAudio(pause(RATE, 59_000)))
        talk.codec.data_to_send()  # the server has no use for it
        talk.send(AppendAudio(word(minute, RATE, 1_000)), EndTurn())
        talk.settle()
        heard += [item.heard for item in talk.session.items]
        talk.session.items.clear()
        talk.session.received.clear()
    assert talk.said() == " ".join(heard) == " ".join(f"w{minute}" for minute in range(120))
    assert [update.start_ms for update in talk.finals()] == [minute * 60_000 for minute in range(120)]
    utterances = talk.codec._utterances
    assert not utterances.waiting
    assert not utterances.current.chunks


# The end


def test_the_end_comes_behind_the_last_words() -> None:
    talk = Transcribing()
    talk.speak(0)
    talk.codec.close()
    talk.flush()
    talk.deliver()
    assert not talk.all(Ended)
    talk.settle()
    assert talk.said() == "w0"
    (ended,) = talk.all(Ended)
    assert talk.events[-1] == ended
    assert (ended.error.close_code, ended.error.code, ended.error.retryable) == (1000, "", False)


def test_the_end_comes_where_nothing_was_said_and_for_each_socket_anew() -> None:
    talk = Transcribing()
    talk.codec.close()
    talk.flush()
    talk.settle()
    assert len(talk.all(Ended)) == 1
    talk.dial()
    talk.speak(0)
    talk.settle()
    assert len(talk.all(Ended)) == 1
    assert talk.said() == "w0"


# Errors


def test_errors_about_a_commit_are_told_as_its_failure() -> None:
    talk = Transcribing()
    talk.speak(0)
    talk.deliver()
    commit = next(frame for frame in talk.session.received if frame["type"] == "input_audio_buffer.commit")
    talk.give({"type": "error", "error": {"code": "odd", "message": "Too bad.", "event_id": commit["event_id"]}})
    assert [notice.code for notice in talk.all(Notice)] == ["transcription_failed"]
    assert not talk.codec.awaiting_reply
    talk.give({"type": "error", "error": {"code": "odd", "message": "Something."}})
    assert len(talk.all(ErrorOccurred)) == 1


@pytest.mark.parametrize(
    ("param", "told", "advice"),
    [
        ("session.audio.input.transcription.languages[0]", "'languages'", "Leave 'languages' out"),
        ("session.audio.input.transcription.keywords", "'keywords'", "another value"),
        ("session.audio.input.transcription.model", "'model'", "list-models"),
        ("session.audio.input.transcription", "'model'", "list-models"),
    ],
)
def test_a_refused_setting_is_named_as_users_know_it(param: str, told: str, advice: str) -> None:
    talk = Transcribing()
    talk.codec.open()
    talk.codec.receive(b'{"type":"session.created"}')
    with pytest.raises(RealtimeConnectionError, match=told) as raised:
        talk.give({"type": "error", "error": {"code": "invalid_value", "message": "No.", "param": param}})
    assert advice in raised.value.advice


def test_a_server_that_confirms_nothing_is_believed() -> None:
    talk = Transcribing()
    codec = talk.codec
    codec.open()
    codec.data_to_send()
    assert codec.start_unconfirmed() == []
    assert b"session.update" in codec.data_to_send()[0]
    codec.receive(b'{"type":"session.created"}')
    assert codec.start_unconfirmed() == []
    told: list[Any] = list(codec.start_unconfirmed())
    assert any(isinstance(event, SessionStarted) for event in told)
    assert any(isinstance(event, Notice) and event.code == "settings_unconfirmed" for event in told)
