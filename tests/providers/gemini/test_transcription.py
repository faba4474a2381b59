"""The transcription codec and Gemini's strict session: words, times, and one socket after another."""

from typing import Any

import pytest

from tests.loopback.spoken_words import pause, word
from tests.providers.gemini.transcribing import RATE, Transcribing
from voicecli.commands import AppendAudio, EndTurn, SendText
from voicecli.config import RealtimeConfig
from voicecli.errors import ConfigurationError, ProtocolError
from voicecli.events import (
    ErrorOccurred,
    Notice,
    SessionStarted,
    SpeechStarted,
    SpeechStopped,
    TranscriptUpdate,
    UsageUpdated,
)
from voicecli.ports import Ended, Expiring
from voicecli.pricing import Prices


@pytest.mark.parametrize("offsets", [True, False])
@pytest.mark.parametrize("activity", [True, False])
def test_words_with_the_times_of_their_audio(offsets: bool, activity: bool) -> None:
    """As they say, or as the speech that is told, or as the sound that was sent."""
    talk = Transcribing(offsets=offsets, activity=activity)
    talk.speak(0, 1)
    talk.deliver()
    talk.speak(2)
    talk.deliver()
    assert talk.said() == "w0 w1 w2"
    assert talk.times() == [(0, 400), (1_000, 1_200)]
    first, second = talk.finals()
    assert first.item_id != second.item_id
    assert len(talk.all(SpeechStarted)) == len(talk.all(SpeechStopped)) == 2
    assert not talk.codec.awaiting_reply


def test_what_goes_on_replaces_itself() -> None:
    talk = Transcribing()
    talk.speak(0, 1)
    talk.deliver()
    told = [(update.text, update.final) for update in talk.all(TranscriptUpdate)]
    assert told == [("w0?", False), ("w0 w1?", False), ("w0 w1", True)]
    assert len({update.item_id for update in talk.all(TranscriptUpdate)}) == 1


@pytest.mark.parametrize(
    "pieces", [["Good", " morning", " all."], ["Good", "Good morning", "Good morning all."], ["Good morning all.", ""]]
)
def test_unfinished_words_add_up_or_come_whole(pieces: list[str]) -> None:
    talk = Transcribing()
    for piece in pieces[:-1]:
        talk.give({"serverContent": {"inputTranscription": {"text": piece, "finished": False}}})
    talk.give({"serverContent": {"inputTranscription": {"text": pieces[-1], "finished": True}}})
    assert talk.said() == "Good morning all."


def test_an_end_of_the_stream_brings_the_words_and_later_audio_goes_on() -> None:
    talk = Transcribing()
    talk.speak(0, pause_ms=100)
    talk.send(EndTurn(), EndTurn())
    assert talk.session.stream_ends == 1
    talk.deliver()
    assert talk.said() == "w0"
    talk.speak(1)
    talk.deliver()
    assert talk.said() == "w0 w1"
    assert talk.times() == [(0, 200), (300, 500)]


def test_no_words_of_an_utterance_are_an_empty_final_update() -> None:
    talk = Transcribing()
    talk.give({"serverContent": {"interimInputTranscription": {"text": "hm"}}})
    talk.give({"serverContent": {"inputTranscription": {"text": "", "finished": True}}})
    assert [update.text for update in talk.finals()] == [""]
    talk.give({"serverContent": {"inputTranscription": {"text": "", "finished": True}}})
    assert len(talk.finals()) == 1


@pytest.mark.parametrize("offset", ["9999s", "-1s", "soon", None, True, "1e400s", 0.5])
def test_times_are_never_beyond_the_audio_nor_before_the_last_words(offset: object) -> None:
    talk = Transcribing(activity=False)
    talk.speak(0)
    talk.deliver()
    talk.send(AppendAudio(word(1, RATE, 1_000)))
    talk.give({"serverContent": {"inputTranscription": {"text": "w1", "startOffset": offset, "endOffset": offset}}})
    (_, end), (start, last) = talk.times()
    assert end is not None
    assert start is not None
    assert last is not None
    assert end <= start <= last <= 1_800


def test_usage_is_told_and_costs_by_the_users_prices() -> None:
    config = RealtimeConfig(prices={"gemini-3.5-transcribe-live": Prices(text_in=0.0, text_out=10.0, audio_in=1.0)})
    details = [{"modality": "AUDIO", "tokenCount": 1_000_000}]
    usage = {"promptTokenCount": 1_000_000, "promptTokensDetails": details}
    for given, cost in ((config, 1.0), (None, None)):
        talk = Transcribing(given)
        talk.give({"usageMetadata": usage})
        (told,) = talk.all(UsageUpdated)
        assert told.usage.input_audio_tokens == 1_000_000
        assert told.usage.cost_usd == cost


# One socket after another


@pytest.mark.parametrize("offsets", [True, False])
def test_what_a_lost_socket_had_not_told_is_sent_again(offsets: bool) -> None:
    talk = Transcribing(offsets=offsets)
    talk.speak(0)
    talk.deliver()
    talk.speak(1, 2, pause_ms=0)
    talk.deliver()
    talk.dial()  # in the middle of a sentence
    talk.speak(3)
    talk.deliver()
    assert talk.said() == "w0 w1 w2 w3"
    assert [event.resumed for event in talk.all(SessionStarted)] == [False, True]
    assert talk.times() == [(0, 200), (800, 1_400)]
    assert len({update.item_id for update in talk.all(TranscriptUpdate)}) == 2


def test_words_that_were_told_are_not_sent_again() -> None:
    talk = Transcribing()
    talk.speak(0)
    talk.deliver()
    talk.dial()
    assert len(talk.session.audio) <= 0.6 * 32_000
    assert not any(talk.session.audio)
    talk.speak(1)
    talk.deliver()
    assert talk.said() == "w0 w1"
    assert talk.times() == [(0, 200), (800, 1_000)]


def test_words_that_were_on_their_way_are_asked_for_again() -> None:
    talk = Transcribing()
    talk.speak(0, pause_ms=0)
    talk.send(EndTurn())
    talk.dial()  # the words are lost with the socket
    talk.deliver()
    assert talk.said() == "w0"
    assert talk.times() == [(0, 200)]


def test_a_socket_that_breaks_before_it_is_ready_loses_nothing() -> None:
    talk = Transcribing()
    talk.speak(0, pause_ms=0)
    talk.codec.open()
    talk.codec.data_to_send()
    talk.dial()
    talk.send(EndTurn())
    talk.deliver()
    assert talk.said() == "w0"


def test_two_hours_over_sockets_of_ten_minutes_keep_no_audio_and_their_times() -> None:
    talk = Transcribing()
    for minute in range(120):
        if minute % 9 == 8:
            talk.dial()
        talk.codec.send(AppendAudio(pause(RATE, 58_000)))
        talk.codec.data_to_send()
        talk.session.audio += bytes(2 * 58 * RATE)  # as if it had looked at it
        talk.session._seen += 2 * 58 * RATE
        talk.send(AppendAudio(word(minute, RATE, 1_000)), AppendAudio(pause(RATE, 1_000)))
        talk.deliver()
    assert talk.said() == " ".join(f"w{minute}" for minute in range(120))
    assert [start for start, _ in talk.times()] == [minute * 60_000 + 58_000 for minute in range(120)]
    assert sum(map(len, talk.codec._audio._kept)) < 2 * 32_000


def test_it_is_busy_while_somebody_speaks_or_words_are_awaited() -> None:
    talk = Transcribing()
    assert not talk.codec.busy
    talk.speak(0, pause_ms=0)
    assert talk.codec.busy
    talk.deliver()
    assert talk.codec.awaiting_reply
    talk.speak(pause_ms=600)
    talk.deliver()
    assert not talk.codec.busy
    assert not talk.codec.awaiting_reply


def test_a_going_away_is_told() -> None:
    talk = Transcribing()
    talk.give({"goAway": {"timeLeft": "50s"}})
    assert [event.left_s for event in talk.all(Expiring)] == [50.0]


# The end


def test_the_end_comes_behind_the_last_words() -> None:
    talk = Transcribing()
    talk.speak(0, pause_ms=0)
    talk.codec.close()
    talk.flush()
    talk.deliver()
    assert talk.said() == "w0"
    assert isinstance(talk.events[-1], Ended)


def test_where_nothing_can_come_any_more_nothing_is_said_at_the_end() -> None:
    talk = Transcribing()
    talk.speak(0)
    talk.deliver()
    talk.codec.close()
    assert talk.codec.data_to_send() == []


# Settings and errors


def test_hints_are_sent_where_there_are_any() -> None:
    assert Transcribing().session.setup == {
        "model": "models/gemini-3.5-transcribe-live",
        "generationConfig": {"responseModalities": ["TEXT"]},
        "inputAudioTranscription": {},
    }
    hints: dict[str, Any] = {"languages": ("de", "pt-BR", "de"), "keywords": ("voicecli", "Zugspitze")}
    talk = Transcribing(setup=hints | {"prompt": "Mountains."})
    assert talk.session.setup is not None
    assert talk.session.setup["inputAudioTranscription"] == {
        "languageCodes": ["de", "pt-BR"],
        "customVocabulary": ["voicecli", "Zugspitze"],
    }
    assert [notice.code for notice in talk.all(Notice)] == ["setting_ignored"]
    talk.dial()
    assert len(talk.all(Notice)) == 1


@pytest.mark.parametrize("hints", [{"languages": ("German",)}, {"languages": ("",)}, {"keywords": ("a\nb",)}])
def test_hints_that_cannot_be_are_refused(hints: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(hints))):
        Transcribing(setup=hints)


def test_other_commands_are_refused_and_errors_told() -> None:
    talk = Transcribing()
    with pytest.raises(ProtocolError, match="SendText"):
        talk.codec.send(SendText("Hello"))
    talk.give({"error": {"message": "Too bad for AIza."}})
    (told,) = talk.all(ErrorOccurred)
    assert "AIza" not in told.error.message
