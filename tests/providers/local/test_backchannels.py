"""Signs of listening, which are no turns: what they are, and what becomes of them and of the reply."""

import asyncio

import pytest

from tests.providers.local.fakes import (
    FakeHearing,
    FakeModel,
    FakeSpeech,
    conversation,
    finals,
    offline,
    silence,
    speech,
)
from tests.support.player import Player
from voicecli.commands import AppendAudio, EndTurn, SendText, StartTurn
from voicecli.config import RealtimeConfig, VADMode
from voicecli.conversation.session import VoiceSession
from voicecli.events import AudioChunk, Event, Notice, ResponseDone, TranscriptUpdate
from voicecli.ports import Connection
from voicecli.providers.local.backchannels import is_backchannel, may_become_backchannel
from voicecli.providers.local.heard_reply import HeardReply
from voicecli.providers.local.settings import Backchannels, LocalSettings
from voicecli.providers.local.turn_model import WordModel

LONG = f"This is a reply{' that goes on' * 20}."  # 27 s of the fake voice


@pytest.mark.parametrize("text", ["Mm-hmm.", "Okay.", "Yeah, yeah.", "I see.", "Uh-huh", "Oh, really?", "Right. Okay."])
def test_the_usual_signs_of_listening(text: str) -> None:
    assert is_backchannel(text, 900, "words")
    assert may_become_backchannel(text, "words")
    assert not is_backchannel(text, 900, "off")
    assert not may_become_backchannel(text, "off")


def test_of_two_words_it_is_not_known_yet() -> None:
    assert may_become_backchannel("Up", "words")
    assert may_become_backchannel("", "words")
    assert not may_become_backchannel("Up and down", "words")


@pytest.mark.parametrize(
    "text", ["Stop.", "No.", "Wait.", "Okay, stop.", "What?", "Right, but why?", "Tell me more.", ""]
)
@pytest.mark.parametrize("rule", ["words", "wide"])
def test_what_interrupts(text: str, rule: Backchannels) -> None:
    assert not is_backchannel(text, 400, rule)


def test_the_wider_rule_takes_short_remarks_that_neither_command_nor_ask() -> None:
    assert is_backchannel("Lovely day.", 600, "wide")
    assert not is_backchannel("Lovely day.", 900, "wide")
    assert not is_backchannel("A lovely day.", 600, "wide")
    assert is_backchannel("A lovely day.", 400, "wide")
    assert not is_backchannel("Lovely day.", 400, "words")


def test_a_reply_is_heard_for_as_long_as_it_sounds_and_is_paused() -> None:
    now = 10.0
    heard = HeardReply(lambda: now)
    assert not heard.is_heard
    heard.add("One.", 1000)
    heard.add("One. Two.", 1000)
    now = 12.2
    assert heard.is_heard
    heard.pause()
    now = 20.0
    assert heard.is_heard
    heard.resume()
    now = 20.4
    assert not heard.is_heard
    heard.add("Is it?", 1000)
    assert heard.asks
    heard.stop()
    assert not heard.is_heard


def test_a_question_is_one_while_it_is_heard_and_for_a_moment_after() -> None:
    now = 10.0
    heard = HeardReply(lambda: now)
    for text, sounds in (
        ("Well.", 1000),
        ("Well. Tea?", 400),
        ("Well. Tea?", 600),
        ("Well. Tea? There is more.", 5000),
    ):
        heard.add(text, sounds)
    asks = []
    for passed in (0.5, 1.5, 2.5, 4.0, 5.0):
        now = 10.0 + passed
        asks.append(heard.asks)
    assert asks == [False, True, True, True, False]


@pytest.mark.parametrize(
    "text", ["Do you?", "\u201cDo you?\u201d", "Do you? \N{SMILING FACE WITH SMILING EYES}", "Do you?!"]
)
def test_a_question_is_known_by_its_mark(text: str) -> None:
    heard = HeardReply(lambda: 10.0)
    heard.add(text, 1000)
    assert heard.asks


async def say(connection: Connection, audio: bytes, *, realtime: bool = True) -> None:
    for start in range(0, len(audio), 640):
        await connection.send(AppendAudio(audio[start : start + 640], realtime=realtime))
    await connection.drain()


def codes(events: list[Event]) -> list[str]:
    return [event.code for event in events if isinstance(event, Notice)]


async def test_a_sign_of_listening_is_remembered_and_not_answered() -> None:
    model = FakeModel([[LONG], ["Fine."]])
    hearing = FakeHearing(["Mm-hm.", "And now?"])
    async with conversation(model, hearing, FakeSpeech()) as (connection, events):
        await connection.send(SendText("Go on."))
        await events.until_seen(ResponseDone)
        await say(connection, speech(300) + silence(160))
        while not hearing.heard:
            await asyncio.sleep(0.001)
        await say(connection, silence(160))  # less than the usual silence
        await events.until_seen(Notice)
        await events.until(lambda: finals(events.seen, "user") == ["Mm-hm."])
        assert codes(events.seen) == ["backchannel"]
        said = [event for event in events.seen if isinstance(event, TranscriptUpdate) and event.role == "user"]
        assert len(said) == 1, "words told before it is known what they are would stop the reply"
        await connection.send(SendText("Next."))
        await events.until_seen(ResponseDone, 2)
    assert model.asked[1] == [("user", "Go on."), ("assistant", LONG), ("user", "Mm-hm. Next.")]


class Murmurs(FakeHearing):
    """Hears "Okay" first, and what comes after it later."""

    async def partial(self, utterance: str, audio: bytes) -> str:
        self.partials.append((utterance, audio))
        return "Okay" if len(self.partials) == 1 else "Okay but why"


async def test_words_that_may_be_one_are_told_when_more_have_come() -> None:
    hearing = Murmurs(["Okay, but why?"])
    async with conversation(FakeModel([[LONG], ["So."]]), hearing, FakeSpeech()) as (connection, events):
        await connection.send(SendText("Go on."))
        await events.until_seen(ResponseDone)
        await say(connection, silence(480) + speech(300))
        while not hearing.partials:
            await asyncio.sleep(0.001)
        await say(connection, speech(100))
        assert not any(isinstance(event, TranscriptUpdate) and event.role == "user" for event in events.seen)
        await say(connection, speech(600))
        await events.until(
            lambda: any(isinstance(event, TranscriptUpdate) and event.text == "Okay but why" for event in events.seen)
        )
        await say(connection, silence(600))
        await events.until_seen(ResponseDone, 2)
    assert finals(events.seen, "user") == ["Okay, but why?"]


async def test_what_has_cut_the_reply_is_answered_whatever_it_becomes() -> None:
    hearing = Murmurs(["Okay."])
    async with conversation(FakeModel([[LONG], ["So."]]), hearing, FakeSpeech()) as (connection, events):
        await connection.send(SendText("Go on."))
        await events.until_seen(ResponseDone)
        await say(connection, silence(480) + speech(1200))
        await events.until(
            lambda: any(isinstance(event, TranscriptUpdate) and event.text == "Okay but why" for event in events.seen)
        )
        await say(connection, silence(600))
        await events.until(lambda: events.of(Notice) or len(events.of(ResponseDone)) == 2)
    assert codes(events.seen) == []
    assert finals(events.seen) == [LONG, "So."]


@pytest.mark.parametrize(
    ("reply", "rule", "realtime"), [("Do you like tea?", "words", True), (LONG, "off", True), (LONG, "words", False)]
)
async def test_it_is_answered_after_a_question_in_a_recording_and_where_that_is_wanted(
    reply: str, rule: Backchannels, realtime: bool
) -> None:
    config = RealtimeConfig(provider_settings=LocalSettings(backchannels=rule))
    hearing = FakeHearing(["Yes.", "Yes."])
    async with conversation(FakeModel([[reply], ["Fine."]]), hearing, FakeSpeech(), config=config) as (
        connection,
        events,
    ):
        await connection.send(SendText("Go on."))
        await events.until_seen(ResponseDone)
        await say(connection, speech(300) + silence(600), realtime=realtime)
        await events.until_seen(ResponseDone, 2)
    assert finals(events.seen) == [reply, "Fine."]


async def test_it_is_answered_when_no_reply_is_heard() -> None:
    async with conversation(FakeModel([["Fine."]]), FakeHearing(["Okay."]), FakeSpeech()) as (connection, events):
        await say(connection, speech(300) + silence(600))
        await events.until_seen(ResponseDone)
    assert finals(events.seen) == ["Fine."]


async def test_it_is_told_at_once_and_remembered_behind_the_reply_that_is_still_made() -> None:
    made = asyncio.Event()
    model = FakeModel([[LONG, made], ["Fine."]])
    async with conversation(model, FakeHearing(["Okay."]), FakeSpeech()) as (connection, events):
        await connection.send(SendText("Go on."))
        await events.until_seen(AudioChunk)
        await say(connection, speech(300) + silence(600))
        await events.until(lambda: finals(events.seen, "user") == ["Okay."])
        assert not events.of(ResponseDone)
        made.set()
        await events.until_seen(ResponseDone)
        await connection.send(SendText("Next."))
        await events.until_seen(ResponseDone, 2)
    assert model.asked[1] == [("user", "Go on."), ("assistant", LONG), ("user", "Okay. Next.")]


async def test_a_reply_that_is_still_made_waits_no_longer_for_one_though_sentences_go_on_after_it() -> None:
    never = asyncio.Event()
    hearing = FakeHearing(["Oh, really?", "Oh, really?"])
    async with conversation(FakeModel([[LONG, never]]), hearing, FakeSpeech(), turn_model=WordModel()) as (
        connection,
        events,
    ):
        await connection.send(SendText("Go on."))
        await events.until_seen(AudioChunk)
        await say(connection, speech(300) + silence(160))
        while not hearing.heard:
            await asyncio.sleep(0.001)
        await say(connection, silence(160))
        await events.until_seen(Notice)
    assert codes(events.seen) == ["backchannel"]


async def test_a_reply_whose_next_words_are_still_being_made_goes_on() -> None:
    never = asyncio.Event()
    model = FakeModel([["So. ", never]])
    async with conversation(model, FakeHearing(["Okay."])) as (connection, events):  # in writing: nothing is heard
        await connection.send(SendText("Go on."))
        await events.until(lambda: any(isinstance(event, TranscriptUpdate) and event.text for event in events.seen))
        await say(connection, speech(300) + silence(600))
        await events.until(lambda: finals(events.seen, "user") == ["Okay."])
        assert codes(events.seen) == ["backchannel"]
    assert not model.answers


@pytest.mark.parametrize("mode", [VADMode.CLIENT, VADMode.NONE])
async def test_whoever_ends_a_turn_by_a_key_is_answered(mode: VADMode) -> None:
    config = RealtimeConfig(vad_mode=mode)
    model = FakeModel([[LONG], ["Fine."]])
    async with conversation(model, FakeHearing(["Okay."]), FakeSpeech(), config=config) as (connection, events):
        await connection.send(SendText("Go on."))
        await events.until_seen(ResponseDone)
        await connection.send(StartTurn())
        await say(connection, speech(300))
        await connection.send(EndTurn("input"))
        await events.until(lambda: finals(events.seen, "user") == ["Okay."])
        if mode is VADMode.CLIENT:
            assert [notice.input_id for notice in events.of(Notice) if isinstance(notice, Notice)] == ["input"]
        else:
            await events.until_seen(ResponseDone, 2)


async def test_the_reply_is_paused_meanwhile_and_goes_on() -> None:
    model = FakeModel([[LONG]])
    session = VoiceSession(offline(model, FakeHearing(["Mm-hm."]), FakeSpeech()), RealtimeConfig())
    session.realtime = True
    await session.start()
    session.player = player = Player()
    await session.send_text("Go on.", wait=False)
    await session.wait_for_reply()
    for start in range(0, 32 * 900, 640):
        await session.send_audio((speech(300) + silence(600))[start : start + 640], wait=False)
    async with asyncio.timeout(10):
        while player.told != ["pause", "resume"]:
            await asyncio.sleep(0.001)
    assert not session.awaiting_reply
    assert [turn.text for turn in session.history] == ["Go on.", LONG, "Mm-hm."]
    await session.aclose()


async def test_it_is_answered_when_the_reply_is_over_that_an_earlier_turn_paused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever plays it found nothing to cut any more: it was heard to its end."""
    later, loop = 0.0, asyncio.get_running_loop()
    time = loop.time
    monkeypatch.setattr(loop, "time", lambda: time() + later)
    model = FakeModel([["One."], ["Two."], ["Three."]])
    hearing = FakeHearing(["And now?", "Okay."])
    async with conversation(model, hearing, FakeSpeech()) as (connection, events):
        await connection.send(SendText("Go on."))
        await events.until_seen(ResponseDone)
        await say(connection, speech(300) + silence(600))  # it is thought to be heard still
        await events.until_seen(ResponseDone, 2)
        later = 60.0
        await say(connection, speech(300) + silence(600))
        await events.until(lambda: events.of(Notice) or len(events.of(ResponseDone)) == 3)
    assert finals(events.seen) == ["One.", "Two.", "Three."]
