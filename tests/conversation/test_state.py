"""The state of a session, told whenever it changes."""

import asyncio

import pytest

from tests.conversation.scripted import MANUAL, SECOND, SERVER, conversation, overhearing
from tests.support.player import Player
from tests.support.virtual_time import virtual_time
from voicecli.conversation.session import VoiceSession
from voicecli.events import (
    AudioChunk,
    Event,
    Notice,
    Reconnecting,
    ResponseDone,
    ResponseStarted,
    SessionEnded,
    SessionStarted,
    SpeechStarted,
    SpeechStopped,
    StateChanged,
)
from voicecli.testing import ScriptedConnection, Step

BACK = SessionStarted("s", "m", "v", 24_000, 24_000, resumed=True)


async def states(session: VoiceSession) -> list[tuple[str, str]]:
    return [(event.user, event.assistant) async for event in session if isinstance(event, StateChanged)]


async def play(connection: ScriptedConnection, *steps: Step) -> None:
    """Each step by itself."""
    for step in steps:
        connection.play([step])
        await asyncio.sleep(0.01)


@virtual_time
async def test_each_change_is_told_once_and_the_first_after_the_start() -> None:
    voice, connection = conversation(config=SERVER)
    async with voice.connect() as session:
        assert session.state == StateChanged("silent", "listening")
        told = asyncio.create_task(states(session))
        await play(connection, SpeechStarted(), SpeechStopped(), ResponseStarted("r"), AudioChunk(SECOND, "r", "i"))
        assert session.state == StateChanged("silent", "speaking")
        await play(connection, AudioChunk(SECOND, "r", "i"), ResponseDone("r"))
        await asyncio.sleep(1.5)
        assert session.state.assistant == "speaking", "what was made is not yet heard"
        await asyncio.sleep(1)
        await play(connection, Reconnecting(1, 0.1, "gone"), BACK, SessionEnded("bye"))
        assert await told == [
            ("silent", "listening"),
            ("speaking", "listening"),
            ("silent", "thinking"),
            ("silent", "speaking"),
            ("silent", "listening"),
            ("silent", "reconnecting"),
            ("silent", "listening"),
        ]


@virtual_time
async def test_after_an_interruption_it_listens_although_the_provider_goes_on() -> None:
    """As Gemini does, until its turn is over."""
    voice, connection = conversation()
    async with voice.connect() as session:
        await play(connection, ResponseStarted("r"), AudioChunk(SECOND * 9, "r", "i"))
        await session.interrupt()
        assert session.state == StateChanged("silent", "listening")
        await play(connection, AudioChunk(SECOND, "r", "i"))
        assert session.state == StateChanged("silent", "listening")


@virtual_time
async def test_a_turn_that_only_the_provider_can_judge_is_thought_about_for_a_while(speech: bytes) -> None:
    voice, _ = overhearing()
    async with voice.connect() as session:
        await session.send_audio(bytes(32_000) + speech, wait=False)
        assert session.state.user == "speaking"
        await session.send_audio(bytes(64_000), wait=False)
        assert session.state == StateChanged("silent", "thinking")
        await asyncio.sleep(4)
        assert session.state == StateChanged("silent", "listening")


@virtual_time
async def test_an_answer_that_does_not_come_is_told_where_nobody_waits_for_it() -> None:
    voice, connection = conversation(config=MANUAL)
    async with voice.connect() as session:
        events: list[Event] = []

        async def listen() -> None:
            events.extend([event async for event in session])

        listening = asyncio.create_task(listen())
        await asyncio.sleep(0)
        await session.send_text("Hello", wait=False)
        assert session.state == StateChanged("silent", "thinking")
        await asyncio.sleep(MANUAL.response_timeout_s + 1)
        assert session.state == StateChanged("silent", "listening")
        assert not session.awaiting_reply
        connection.play([SessionEnded("bye")])
        await listening
    assert [event.code for event in events if isinstance(event, Notice)] == ["no_answer"]


@virtual_time
async def test_a_player_that_begins_late_is_heard_later() -> None:
    voice, connection = conversation()
    async with voice.connect() as session:
        session.player = Player()
        await play(connection, ResponseStarted("r"), AudioChunk(SECOND, "r", "i"), ResponseDone("r"))
        await asyncio.sleep(0.4)
        session.sound_heard()
        await asyncio.sleep(0.8)
        assert session.state == StateChanged("silent", "speaking")
        await asyncio.sleep(0.4)
        assert session.state == StateChanged("silent", "listening")


@pytest.mark.parametrize("asks", [True, False])
@virtual_time
async def test_whoever_waits_for_an_answer_is_told_by_an_error_alone(asks: bool) -> None:
    voice, connection = conversation(config=MANUAL)
    async with voice.connect() as session:
        events = aiter(session)
        if asks:
            asking = asyncio.create_task(session.send_text("Hello", wait=True))
        else:
            await session.send_text("Hello", wait=False)
            asking = asyncio.create_task(session.wait_for_reply())  # type: ignore[arg-type]
        await asyncio.wait([asking], timeout=60)
        assert "No answer came" in str(asking.exception())
        connection.play([SessionEnded("bye")])
        assert not [event async for event in events if isinstance(event, Notice)]
