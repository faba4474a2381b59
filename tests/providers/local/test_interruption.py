"""Replies that are cut: at once, by name, to what was heard."""

import asyncio

from tests.providers.local.fakes import (
    QUESTION,
    WEATHER,
    FakeHearing,
    FakeModel,
    FakeSpeech,
    conversation,
    cut,
    finals,
    offline,
    shape,
    silence,
    speech,
    statuses,
)
from tests.support.player import Player
from voicecli.audio import Playhead
from voicecli.commands import (
    AppendAudio,
    CancelResponse,
    SendText,
    ToolResult,
)
from voicecli.config import RealtimeConfig, ServerVAD
from voicecli.conversation.session import VoiceSession
from voicecli.events import (
    AudioChunk,
    Interrupted,
    Notice,
    ResponseDone,
    ResponseStarted,
    SpeechStopped,
    ToolCallCancelled,
    TranscriptUpdate,
)
from voicecli.providers.local.chat_model import ToolCall


async def test_interrupting_stops_the_generation_and_every_event_at_once() -> None:
    never = asyncio.Event()
    model = FakeModel([["One two three. ", "Four five six. ", never], ["Ok."]])
    async with conversation(model, voice=FakeSpeech()) as (connection, events):
        await connection.send(SendText("Count."))
        await events.until_seen(AudioChunk, 2)
        item = next(event.item_id for event in events.seen if isinstance(event, AudioChunk))
        # 1.4 s of sound for the first sentence, then 0.6 of the 1.5 s of the second.
        started = asyncio.get_running_loop().time()
        await connection.send(cut(events, item, 2000))
        await events.until_seen(ResponseDone)
        while model.streaming:
            await asyncio.sleep(0)
        assert asyncio.get_running_loop().time() - started < 0.05
        assert shape(events.seen)[-2:] == ["assistant final", "ResponseDone"]
        final = events.seen[-2]
        assert isinstance(final, TranscriptUpdate)
        assert (final.text, final.interrupted) == ("One two three. Four", True)
        assert statuses(events) == ["cancelled"]
        assert not events.of(Interrupted)  # who asks for it needs not be told
        await connection.send(SendText("Go on."))
        await events.until_seen(ResponseDone, 2)
    assert model.asked[1] == [("user", "Count."), ("assistant", "One two three. Four"), ("user", "Go on.")]


async def test_speech_under_synthesis_is_dropped_by_an_interruption() -> None:
    voice = FakeSpeech()
    voice.may_speak.clear()
    async with conversation(FakeModel([["One. ", "Two."]]), voice=voice) as (connection, events):
        await connection.send(SendText("Count."))
        while not voice.spoken:
            await asyncio.sleep(0.001)
        await connection.send(cut(events))
        await events.until_seen(ResponseDone)
        count = len(events.seen)
        voice.may_speak.set()
        await asyncio.sleep(0.02)
        assert len(events.seen) == count
        assert not events.of(AudioChunk)


async def test_a_reply_that_is_made_but_not_heard_is_cut_too() -> None:
    model = FakeModel([["One two three. ", "Four."], ["Ok."], ["Ok."]])
    async with conversation(model, voice=FakeSpeech()) as (connection, events):
        await connection.send(SendText("Count."))
        await events.until_seen(ResponseDone)
        item = next(event.item_id for event in events.seen if isinstance(event, AudioChunk))
        await connection.send(cut(events, item, 800))
        await events.until(lambda: finals(events.seen)[-1] == "One two")
        assert statuses(events) == ["completed"]  # once only
        await connection.send(SendText("Go on."))
        await events.until_seen(ResponseDone, 2)
        await connection.send(cut(events))  # nothing unheard was dropped: nothing is cut
        await connection.send(SendText("More."))
        await events.until_seen(ResponseDone, 3)
    assert model.asked[2][1:4] == [("assistant", "One two"), ("user", "Go on."), ("assistant", "Ok.")]


async def test_an_unheard_reply_is_forgotten_altogether() -> None:
    model = FakeModel([["One."], ["Ok."]])
    async with conversation(model, voice=FakeSpeech()) as (connection, events):
        await connection.send(SendText("Count."))
        await events.until_seen(ResponseDone)
        item = next(event.item_id for event in events.seen if isinstance(event, AudioChunk))
        await connection.send(cut(events, item, 0))
        await connection.send(SendText("Stop."))
        await events.until_seen(ResponseDone, 2)
    assert model.asked[1] == [("user", "Count. Stop.")]


async def test_what_was_not_heard_is_forgotten_before_the_interruption_is_answered() -> None:
    """The whole reply was made when the user speaks into it. How far it was heard, its player knows."""
    model = FakeModel([["One two."], ["Ok."]])
    session = VoiceSession(offline(model, FakeHearing(["Stop."]), FakeSpeech()), RealtimeConfig())
    await session.start()
    session.player = player = Player()
    await session.send_text("Count.", wait=False)
    await session.wait_for_reply()
    player.playhead = Playhead("reply_2", 400)
    await session.send_audio(speech(200) + silence(600), wait=False)
    await session.wait_for_reply()
    await session.aclose()
    assert model.asked[1] == [("user", "Count."), ("assistant", "One"), ("user", "Stop.")]
    assert [(turn.role, turn.text) for turn in session.history[-3:]] == [
        ("assistant", "One"),
        ("user", "Stop."),
        ("assistant", "Ok."),
    ]


async def test_the_answer_to_an_interruption_is_not_cancelled_with_what_it_interrupts() -> None:
    never = asyncio.Event()
    model = FakeModel([["One two. ", never], ["Ok."]])
    async with conversation(model, FakeHearing(["Stop."]), FakeSpeech()) as (connection, events):
        await connection.send(SendText("Count."))
        await events.until_seen(AudioChunk)
        await connection.send(AppendAudio(speech(200) + silence(600)))
        await events.until(lambda: finals(events.seen, "user"))
        assert events.of(ResponseDone) == events.of(Interrupted) == [], "who plays the reply decides"
        await events.until_seen(AudioChunk, 2)  # all of the first piece
        chunk = events.of(AudioChunk)[0]
        assert isinstance(chunk, AudioChunk)
        await connection.send(cut(events, chunk.item_id, 400))
        await events.until_seen(ResponseDone, 2)
    assert statuses(events) == ["cancelled", "completed"]
    assert finals(events.seen) == ["One", "Ok."]
    assert model.asked[1] == [("user", "Count."), ("assistant", "One"), ("user", "Stop.")]


async def test_a_noise_stops_nothing() -> None:
    go_on = asyncio.Event()
    model = FakeModel([["One two. ", go_on, "Three."]])
    async with conversation(model, FakeHearing([""]), FakeSpeech()) as (connection, events):
        await connection.send(SendText("Count."))
        await events.until_seen(AudioChunk)
        await connection.send(AppendAudio(speech(200) + silence(600)))
        await events.until(lambda: "no_speech" in [notice.code for notice in events.seen if isinstance(notice, Notice)])
        go_on.set()
        await events.until_seen(ResponseDone)
    assert statuses(events) == ["completed"]
    assert finals(events.seen) == ["One two. Three."]


async def test_the_users_speech_interrupts_nothing_when_told_so() -> None:
    go_on = asyncio.Event()
    model = FakeModel([["One", go_on, "."], ["Ok."]])
    config = RealtimeConfig(turn_detection=ServerVAD(interrupt_response=False))
    async with conversation(model, FakeHearing(["Hm."]), config=config) as (connection, events):
        await connection.send(SendText("Count."))
        await events.until_seen(ResponseStarted)
        await connection.send(AppendAudio(QUESTION))
        await events.until_seen(SpeechStopped)
        go_on.set()
        await events.until_seen(ResponseDone, 2)
    assert statuses(events) == ["completed", "completed"]
    assert model.asked[1] == [("user", "Count."), ("assistant", "One."), ("user", "Hm.")]


async def test_an_interruption_before_the_answer_began_is_told() -> None:
    hearing = FakeHearing(["Hello?"])
    hearing.may_hear.clear()
    async with conversation(FakeModel([]), hearing) as (connection, events):
        await connection.send(AppendAudio(QUESTION))
        await events.until_seen(SpeechStopped)
        await connection.send(CancelResponse())
        hearing.may_hear.set()
        await events.until_seen(ResponseDone)
        assert shape(events.seen)[-3:] == ["user final", "ResponseStarted", "ResponseDone"]
        assert statuses(events) == ["cancelled"]


async def test_an_interruption_cancels_the_tools_that_are_awaited() -> None:
    model = FakeModel([[ToolCall("a", "weather", "{}")], ["Fine."]])
    async with conversation(model, tools=[WEATHER]) as (connection, events):
        await connection.send(SendText("Weather?"))
        await events.until_seen(ResponseDone)
        await connection.send(CancelResponse())
        await events.until_seen(ToolCallCancelled)
        await connection.send(ToolResult("a", "sun"))  # too late
        await connection.send(SendText("Never mind."))
        await events.until_seen(ResponseDone, 2)
    assert [role for role, _ in model.asked[1]] == ["user", "assistant", "tool", "user"]
    assert "cancelled" in model.asked[1][2][1]


async def test_a_cut_hits_the_reply_that_it_names_and_no_other() -> None:
    """The engine has begun the next one by the time the command comes."""
    go_on = asyncio.Event()
    model = FakeModel([["One two three. "], ["Two. ", go_on, "Three."]])
    async with conversation(model, voice=FakeSpeech()) as (connection, events):
        await connection.send(SendText("Count."))
        await events.until_seen(ResponseDone)
        command = cut(events, "reply_2", 800)
        await connection.send(SendText("Go on."))
        await events.until_seen(AudioChunk, 2)
        await connection.send(command)
        go_on.set()
        await events.until_seen(ResponseDone, 2)
    assert statuses(events) == ["completed", "completed"]
    assert finals(events.seen) == ["One two three.", "One two", "Two. Three."]
