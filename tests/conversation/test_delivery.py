"""Events on their way to handlers and iterations: all of them, in order."""

import asyncio
import threading

import pytest

from tests.conversation.scripted import MANUAL, SECOND, collect, conversation, until
from tests.support.player import Player
from tests.support.virtual_time import virtual_time
from voicecli import RealtimeVoice
from voicecli.audio import Playhead
from voicecli.conversation.transcript_order import TRANSCRIPT_WAIT_S
from voicecli.errors import RealtimeError
from voicecli.events import (
    AudioChunk,
    AudioDone,
    Event,
    Interrupted,
    ResponseDone,
    ResponseStarted,
    SessionEnded,
    SessionStarted,
    StateChanged,
    TranscriptUpdate,
)
from voicecli.testing import reply, scripted_provider


async def test_handlers_get_everything_in_order_and_plain_ones_may_block() -> None:
    voice, _ = conversation(reply("It is Paris.", user="Which city?"))
    transcripts: list[tuple[str, bool, str]] = []
    calls: list[str] = []
    release = threading.Event()

    @voice.on_transcript
    async def with_role(text: str, final: bool, role: str) -> None:
        transcripts.append((text, final, role))

    @voice.on_transcript
    def blocking(text: str, final: bool) -> None:
        release.wait(10)
        calls.append(text)

    @voice.on_audio
    async def audio(data: bytes) -> None:
        calls.append("audio")
        release.set()  # only reached when the blocking one holds nobody up

    voice.on_connect(lambda: calls.append("connect"))
    voice.on_disconnect(lambda: calls.append("disconnect"))
    async with voice.connect() as session:
        await session.send_text("Hello")
        await session.wait_for_reply()
    assert transcripts == [
        ("Hello", True, "user"),
        ("Which city?", True, "user"),
        ("It is", False, "assistant"),
        ("It is Paris.", True, "assistant"),
    ]
    assert calls.index("audio") < calls.index("Hello")
    assert [call for call in calls if call not in {"audio", "connect", "disconnect"}] == [
        "Hello",
        "Which city?",
        "It is",
        "It is Paris.",
    ]
    assert {"connect", "disconnect"} < set(calls)


async def test_a_raising_handler_is_named_to_on_error_and_stops_nothing() -> None:
    voice, _ = conversation(reply("It is Paris."))
    errors: list[Exception] = []
    chunks: list[bytes] = []

    @voice.on_transcript
    def clumsy(text: str, final: bool) -> None:
        raise LookupError("oops")

    voice.on_error(errors.append)
    voice.on_audio(chunks.append)
    async with voice.connect() as session:
        response = await session.send_text("Hello", wait=True)
    assert response is not None
    assert len(chunks) == 1
    assert len(errors) == 3
    assert "on_transcript handler clumsy failed: LookupError: oops" in str(errors[0])


async def test_a_voice_can_connect_again_and_delivers_once() -> None:
    voice = RealtimeVoice(scripted_provider(reply("Yes.", audio=b"\1\0")), config=MANUAL)
    heard: list[bytes] = []
    voice.on_audio(heard.append)
    for round_number in (1, 2, 3):
        async with voice.connect() as session:
            await session.send_text("Hello", wait=True)
        assert len(heard) == round_number


async def test_iterating_yields_events_from_the_beginning_to_the_end() -> None:
    voice, _ = conversation(reply("Yes."))
    async with voice.connect() as session:
        await session.send_text("Hello", wait=False)
        seen = []
        async for event in session:
            seen.append(event)
            if isinstance(event, ResponseDone):
                await session.aclose()
    assert isinstance(seen[0], SessionStarted)
    assert isinstance(seen[-1], SessionEnded)
    assert any(isinstance(event, AudioChunk) for event in seen)


@virtual_time
async def test_a_reply_waits_for_the_users_words_and_not_for_ever() -> None:
    voice, connection = conversation()
    async with voice.connect() as session:
        events = asyncio.create_task(collect(session))
        slot = TranscriptUpdate("user", "u", "", False)
        word = TranscriptUpdate("assistant", "a", "It is.", True)
        late = TranscriptUpdate("user", "u", "Is it?", True)
        connection.play([slot, word])
        await asyncio.sleep(TRANSCRIPT_WAIT_S - 0.5)
        assert not any(turn.text for turn in session.history)
        await asyncio.sleep(0.6)
        assert any(turn.text for turn in session.history)
        connection.play([late, SessionEnded("bye")])
        seen = await events
    assert [event for event in seen if isinstance(event, TranscriptUpdate)] == [slot, word, late]
    assert [turn.text for turn in session.history] == ["Is it?", "It is."]


async def test_the_end_of_the_sound_is_told_at_once_and_the_words_wait() -> None:
    voice, connection = conversation()
    async with voice.connect() as session:
        session.player = Player()
        events = aiter(session)
        connection.play([TranscriptUpdate("user", "u", "", False), ResponseStarted("r"), AudioChunk(SECOND, "r", "i")])
        connection.play([TranscriptUpdate("assistant", "i", "Yes.", True), ResponseDone("r")])
        seen: list[Event] = []
        while not isinstance(event := await anext(events), AudioDone):
            seen.append(event)
        assert event == AudioDone("r")
        assert not any(isinstance(event, TranscriptUpdate) and event.text for event in seen)
        assert session.awaiting_reply, "its words are not told"
        await session.interrupt()
        assert connection.cancelled == [], "it is complete"
        connection.play([TranscriptUpdate("user", "u", "Is it?", True)])
        await session.wait_for_reply()
        connection.play([SessionEnded("bye")])
        rest = [event async for event in events if not isinstance(event, StateChanged)]
    assert rest[:2] == [TranscriptUpdate("user", "u", "Is it?", True), TranscriptUpdate("assistant", "i", "Yes.", True)]
    assert isinstance(rest[2], ResponseDone)


async def test_no_end_of_sound_is_told_of_a_reply_without_any_or_that_was_cut() -> None:
    voice, connection = conversation()
    async with voice.connect() as session:
        session.player = Player(Playhead("i", 100))
        events = asyncio.create_task(collect(session))
        connection.play([ResponseStarted("tool"), ResponseDone("tool", awaits_tools=True)])
        connection.play([ResponseStarted("r"), AudioChunk(SECOND, "r", "i"), Interrupted("r", "i"), ResponseDone("r")])
        connection.play([SessionEnded("bye")])
        assert not any(isinstance(event, AudioDone) for event in await events)


async def test_a_reply_without_the_words_before_it_ends_before_the_next_begins() -> None:
    voice, connection = conversation()
    async with voice.connect() as session:
        events = asyncio.create_task(collect(session))
        slot, words = TranscriptUpdate("user", "u", "", False), TranscriptUpdate("assistant", "i", "I look.", True)
        connection.play([slot, ResponseStarted("r"), words, ResponseDone("r", awaits_tools=True)])
        connection.play([ResponseStarted("r2"), AudioChunk(SECOND, "r2", "i2")])
        connection.play([TranscriptUpdate("user", "u", "Weather?", True), SessionEnded("bye")])
        seen = await events
    order = [event for event in seen if not isinstance(event, SessionStarted | AudioChunk | SessionEnded)]
    assert [type(event) for event in order[1:4]] == [ResponseStarted, ResponseDone, ResponseStarted]
    assert [event.text for event in order[4:] if isinstance(event, TranscriptUpdate)] == ["Weather?", "I look."]


async def test_what_nobody_reads_does_not_eat_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voicecli.conversation.delivery.MOST_WAITING", 10)
    monkeypatch.setattr("voicecli.conversation.handlers.MOST_WAITING", 10)
    voice, connection = conversation()
    errors: list[Exception] = []
    heard: list[bytes] = []
    go_on = asyncio.Event()

    @voice.on_audio
    async def hang(audio: bytes) -> None:
        await go_on.wait()
        heard.append(audio)

    voice.on_error(errors.append)
    async with voice.connect() as session:
        idle = aiter(session)
        connection.play([ResponseStarted("r"), *(AudioChunk(bytes([n, 0]), "r", "i") for n in range(50))])
        connection.play([ResponseDone("r")])
        await until(lambda: errors)
        await session.wait_for_reply()
        with pytest.raises(RealtimeError, match="10 events of the conversation were not read"):
            for _ in range(20):
                await anext(idle)
        go_on.set()
    assert "on_audio handler hang failed: RealtimeError: it does not keep up" in str(errors[0])
    assert len(errors) == 1
    assert heard[-1] == bytes([49, 0])
    assert len(heard) <= 12
