"""A program under test, and a recorded conversation."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import ROOT
from tests.loopback.openai_server import KEY, Call, OpenAIServer, Reply
from tests.support.virtual_time import virtual_time
from voicecli import RealtimeConfig, RealtimeVoice, VADMode
from voicecli.commands import Command, EndTurn, SendText, ToolResult
from voicecli.errors import ConfigurationError, RealtimeConnectionError, RealtimeError
from voicecli.events import Event, ResponseDone, SessionEnded, ToolCallFinished
from voicecli.ports import ConversationSetup
from voicecli.replay.replayed_connection import ReplayedConnection
from voicecli.testing import recorded_audio, replayed

DOCUMENTATION = ROOT / "docs" / "replay.md"
PAUSE_S = 1.5
SPEECH = b"\0\40\0\300" * 12_000  # a second, loud


def weather(city: str) -> str:
    """Tell the weather."""
    return f"It is sunny in {city}."


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    """A conversation of three turns, the first with a tool and the last spoken."""
    path = tmp_path / "talk.jsonl"

    @virtual_time
    async def record() -> None:
        replies = [
            Reply(text="", calls=(Call(name="weather", arguments='{"city": "Rome"}'),)),
            Reply(text="It is sunny."),
            Reply(text="You are welcome."),
            Reply(text="Goodbye."),
        ]
        async with OpenAIServer(replies=replies, hears=["Bye."]) as server:
            config = RealtimeConfig(session_file=str(path), base_url=server.url, api_key=KEY, vad_mode=VADMode.NONE)
            async with RealtimeVoice("openai", config=config, tools=[weather]).connect() as session:
                await session.send_text("The weather?", wait=True)
                await asyncio.sleep(PAUSE_S)
                await session.send_text("Thanks.", wait=True)
                await session.send_audio(SPEECH, wait=True)

    record()
    return path


@virtual_time
async def test_a_program_has_the_conversation_again(talk: Path) -> None:
    cities: list[str] = []

    def weather(city: str) -> str:
        """Tell the weather, in another way."""
        cities.append(city)
        return "Rain."

    seen: list[Event] = []
    voice = RealtimeVoice(replayed(talk), config=RealtimeConfig(vad_mode=VADMode.NONE), tools=[weather])
    async with voice.connect() as session:

        async def listen() -> None:
            seen.extend([event async for event in session])

        listening = asyncio.create_task(listen())
        await asyncio.sleep(0)
        first = await session.send_text("Will it rain?", wait=True)
        second = await session.send_text("Thank you.", wait=True)
        third = await session.send_audio(recorded_audio(talk), wait=True)
        words = [(turn.role, turn.text) for turn in session.history]
    await listening
    assert [each.transcript for each in (first, second, third)] == ["It is sunny.", "You are welcome.", "Goodbye."]
    assert cities == ["Rome"]
    assert words == [
        ("user", "Will it rain?"),
        ("tool", "Rain."),
        ("assistant", "It is sunny."),
        ("user", "Thank you."),
        ("assistant", "You are welcome."),
        ("user", "Bye."),
        ("assistant", "Goodbye."),
    ]
    assert first.audio
    assert any(isinstance(event, ToolCallFinished) for event in seen)
    assert isinstance(seen[-1], SessionEnded)
    assert session.usage.cost_usd


def test_the_users_voice_is_there_to_speak_with(talk: Path) -> None:
    assert recorded_audio(talk) == SPEECH


@virtual_time
async def test_it_needs_no_more_than_the_file_and_can_be_had_again(talk: Path) -> None:
    provider = replayed(str(talk))
    assert (provider.name, provider.capabilities.output_rate) == ("openai", 24_000)
    for _ in range(2):
        async with RealtimeVoice(provider, tools=[weather]).connect() as session:
            answer = await session.send_text("The weather?", wait=True)
            assert answer.transcript == "It is sunny."


@pytest.mark.parametrize("real_time", [False, True])
@virtual_time
async def test_it_takes_its_time_where_that_is_wanted(talk: Path, real_time: bool) -> None:
    loop = asyncio.get_running_loop()
    async with RealtimeVoice(replayed(talk, real_time=real_time), tools=[weather]).connect() as session:
        await session.send_text("The weather?", wait=True)
        began = loop.time()
        await session.send_text("Thanks.", wait=True)
        took_s = loop.time() - began
    assert (took_s > PAUSE_S) == real_time


@virtual_time
async def test_a_turn_that_was_not_recorded_is_named_at_once(talk: Path) -> None:
    began = asyncio.get_running_loop().time()
    with pytest.raises(RealtimeError, match="has no turn 4 of the user's"):
        async with RealtimeVoice(replayed(talk), tools=[weather]).connect() as session:
            for _ in range(4):
                await session.send_text("The weather?", wait=True)
    assert asyncio.get_running_loop().time() - began < 5


@virtual_time
async def test_a_turn_that_does_not_come_is_named(talk: Path) -> None:
    config = RealtimeConfig(response_timeout_s=5)
    with pytest.raises(RealtimeError, match="goes on after turn 2 of the user's, which did not come within 5 s"):
        async with RealtimeVoice(replayed(talk), config=config, tools=[weather]).connect() as session:
            await session.send_text("The weather?", wait=True)
            await asyncio.sleep(10)


@virtual_time
async def test_a_tools_result_is_waited_for(talk: Path) -> None:
    provider = replayed(talk)
    voice = RealtimeVoice(provider, config=RealtimeConfig(tool_timeout_s=0.05))
    called = asyncio.Event()

    @voice.on_tool_call
    async def answer(name: str, arguments: object) -> str:
        called.set()
        await asyncio.sleep(3)
        return "too late"

    async with voice.connect() as session:
        loop = asyncio.get_running_loop()
        began = loop.time()
        asked = asyncio.create_task(session.send_text("The weather?", wait=True))
        await called.wait()
        answered = await asked
        assert answered.transcript == "It is sunny."
        assert loop.time() - began >= 0.05


@virtual_time
async def test_a_program_that_ends_it_early_is_let_go_at_once(talk: Path) -> None:
    loop = asyncio.get_running_loop()
    async with RealtimeVoice(replayed(talk, real_time=True), tools=[weather]).connect() as session:
        began = loop.time()
        await session.aclose()
        assert loop.time() - began < 0.5
        with pytest.raises(RealtimeConnectionError):
            await session.send_text("Too late.")


def test_a_failure_comes_again(tmp_path: Path) -> None:
    path = tmp_path / "talk.jsonl"

    @virtual_time
    async def record() -> None:
        async with OpenAIServer() as server:
            config = RealtimeConfig(session_file=str(path), base_url=server.url, api_key="wrong-key-0123456789")
            async with RealtimeVoice("openai", config=config).connect():
                raise AssertionError("it connected")

    @virtual_time
    async def again() -> None:
        async with RealtimeVoice(replayed(path)).connect():
            await asyncio.sleep(1)

    with pytest.raises(RealtimeConnectionError) as first:
        record()
    with pytest.raises(RealtimeConnectionError) as second:
        again()
    assert (type(first.value), str(first.value)) == (type(second.value), str(second.value))


def test_what_is_no_recording_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        replayed(tmp_path / "none.jsonl")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        recorded_audio(tmp_path / "none.jsonl")


@virtual_time
async def test_the_connection_keeps_what_was_sent(talk: Path) -> None:
    connection = await replayed(talk).connect(ConversationSetup(RealtimeConfig()))
    assert isinstance(connection, ReplayedConnection)
    sent: list[Command] = [SendText("One", "", "mine_1"), ToolResult("call", "4", input_id="mine_2"), EndTurn("mine_3")]
    for command in sent:
        await connection.send(command)
    done = 0
    answers: list[tuple[str, ...]] = []
    async for event in connection:
        answers += [event.answers] if hasattr(event, "answers") else []
        done += isinstance(event, ResponseDone)
        if done == 3:
            await connection.aclose()
    assert connection.commands == sent
    assert answers[:2] == [("mine_1",), ("mine_2",)]


def test_the_example_of_the_documentation(talk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```$", DOCUMENTATION.read_text(), re.DOTALL | re.MULTILINE)
    monkeypatch.chdir(talk.parent)
    names: dict[str, Any] = {}
    # A fixture is not to be called: what it is made of is.
    exec(example.replace("@pytest.fixture\n", ""), names)
    names["test_the_weather_is_told"](names["voice"]())
