"""Recorded conversations with the loopback servers, replayed: events as the program was told them."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.loopback import gemini_server, openai_server
from tests.loopback.faulty import FaultyServer, Peer
from tests.loopback.plain import CAPABILITIES, PLAIN, PlainCodec
from tests.replay.checks import events_of, replay_alike
from tests.support.virtual_time import virtual_time
from voicecli import OpenAIMCPServer, OpenAISettings, RealtimeConfig, RealtimeVoice, Reconnect
from voicecli.commands import AnswerApproval, AppendAudio, EndTurn, PauseAudio, SendText
from voicecli.connection.websocket import WebSocketConnection
from voicecli.events import (
    ApprovalRequest,
    AudioChunk,
    Event,
    Interrupted,
    Reconnecting,
    ResponseDone,
    SessionEnded,
    SessionStarted,
)
from voicecli.ports import Connection, ConversationSetup, Provider
from voicecli.providers import find_provider
from voicecli.providers.gemini.codec import GeminiCodec
from voicecli.providers.gemini.endpoint import find_endpoint
from voicecli.replay.encoding import encoded
from voicecli.replay.recorder import SessionRecorder
from voicecli.transcript import Turn

LONG = "One two three four five six seven eight nine ten. " * 4


def servers(lost: int = 0, replies: Sequence[str] = (LONG, "Yes."), delay_s: float = 0.002) -> dict[str, Any]:
    """A server of each provider, by its name; it breaks so many connections off amid a reply."""
    openai, gemini = openai_server, gemini_server
    return {
        "openai": openai.OpenAIServer(
            replies=[openai.Reply(text=text) for text in replies],
            hears=["Count.", "Stop!"],
            faults=[openai.Fault(stage="mid_response")] * lost,
            delay_s=delay_s,
        ),
        "gemini": gemini.GeminiServer(
            replies=[gemini.Reply(text=text) for text in replies],
            hears=["Count.", "Stop!"],
            faults=[gemini.Fault(stage="mid_response")] * lost,
            delay_s=delay_s,
        ),
    }


KEYS = {"openai": openai_server.KEY, "gemini": gemini_server.KEY}


async def recorded(path: Path, provider: Provider, config: RealtimeConfig, **setup: Any) -> tuple[Connection, Any]:
    """A connection that is recorded, and the recorder."""
    made = ConversationSetup(config, **setup)
    recorder = SessionRecorder(str(path), provider.name, provider.default_model, made)
    connection = await provider.connect(ConversationSetup(config, recorder=recorder, **setup))
    return connection, recorder


def as_json(events: Sequence[Event]) -> list[Any]:
    return [encoded(event) for event in events]


@pytest.mark.parametrize("name", KEYS)
@virtual_time
async def test_a_reply_that_speech_cut_comes_again_to_the_sample(name: str, tmp_path: Path) -> None:
    path = tmp_path / "talk.jsonl"
    provider = find_provider(name)
    rate = provider.capabilities.input_rate
    voice = openai_server.tone(400)[: 2 * rate * 400 // 1000]
    told: list[Event] = []
    async with servers(delay_s=0.1)[name] as server:
        config = RealtimeConfig(base_url=server.url, api_key=KEYS[name])
        connection, _ = await recorded(path, provider, config, history=[Turn("user", "before", "Hello.", final=True)])

        async def speak() -> None:
            for start in range(0, len(voice), rate // 25):
                await connection.send(AppendAudio(voice[start : start + rate // 25], realtime=True))
                await asyncio.sleep(0.02)
            for _ in range(50):
                await connection.send(AppendAudio(bytes(rate // 25), realtime=True))
                await asyncio.sleep(0.02)

        speaking: list[asyncio.Task[None]] = []
        async for event in connection:
            told.append(event)
            chunks = sum(isinstance(each, AudioChunk) for each in told)
            if isinstance(event, SessionStarted) or (isinstance(event, AudioChunk) and chunks == 2):
                speaking.append(asyncio.create_task(speak()))
            if [each for each in told if isinstance(each, ResponseDone) and each.status == "completed"]:
                await connection.aclose()
        await asyncio.gather(*speaking, return_exceptions=True)
    assert any(isinstance(event, Interrupted) for event in told)
    assert isinstance(told[-1], SessionEnded)
    _, happened = replay_alike(path)
    assert as_json(events_of(happened)) == as_json(told)


@pytest.mark.parametrize("name", KEYS)
@virtual_time
async def test_lost_and_refused_sockets_come_again(name: str, tmp_path: Path) -> None:
    path = tmp_path / "talk.jsonl"
    provider = find_provider(name)
    told: list[Event] = []
    async with servers(2, ["First.", "Second.", "Third."])[name] as server:
        quick = Reconnect(first_delay_s=0.01, max_delay_s=0.01)
        config = RealtimeConfig(base_url=server.url, api_key=KEYS[name], reconnect=quick)
        connection, _ = await recorded(path, provider, config)
        await connection.send(SendText("One?", "text_1", "input_1"))
        async for event in connection:
            told.append(event)
            done = sum(isinstance(each, ResponseDone) for each in told)
            if isinstance(event, ResponseDone) and done < 3:
                await connection.send(SendText("More?", f"text_{done + 1}", f"input_{done + 1}"))
            elif done == 3:
                await connection.aclose()
    assert sum(isinstance(event, Reconnecting) for event in told) >= 1
    _, happened = replay_alike(path)
    assert as_json(events_of(happened)) == as_json(told)


@virtual_time
async def test_secrets_are_in_no_line_and_the_replay_needs_none(tmp_path: Path) -> None:
    path = tmp_path / "talk.jsonl"
    call = openai_server.McpCall(name="search", arguments='{"q": "Paris"}', needs_approval=True)
    server = openai_server.OpenAIServer(replies=[openai_server.Reply(text="It is Paris.", mcp=call)])
    mcp = OpenAIMCPServer(
        label="files",
        url="https://files.example/t0ken-in-path",
        authorization="mcp-authorization",
        headers={"X": "mcp-x-1"},
    )
    told: list[Event] = []
    async with server:
        config = RealtimeConfig(
            base_url=f"{server.url}?token=query-token-1",
            api_key=openai_server.KEY,
            headers={"X-Mine": "a secret header"},
            provider_settings=OpenAISettings(mcp_servers=(mcp,), transcription_model="gpt-4o-transcribe"),
        )
        connection, _ = await recorded(path, find_provider("openai"), config)
        await connection.send(SendText("My key is sk-proj-0123456789abcdef.", "text_1", "input_1"))
        async for event in connection:
            told.append(event)
            if isinstance(event, ApprovalRequest):
                await connection.send(AnswerApproval(event.approval_id, True))
            elif isinstance(event, ResponseDone) and not event.awaits_tools:
                await connection.aclose()
    text = path.read_text()
    secrets = [openai_server.KEY, "t0ken", "mcp-authorization", "mcp-x-1", "query-token-1", "a secret header"]
    for secret in [*secrets, "sk-proj-0123456789abcdef"]:
        assert secret not in text, secret
    assert any(isinstance(event, ApprovalRequest) for event in told)
    _, happened = replay_alike(path)
    assert as_json(events_of(happened)) == as_json(told)


@virtual_time
async def test_a_conversation_that_never_began_says_why(tmp_path: Path) -> None:
    path = tmp_path / "talk.jsonl"
    async with openai_server.OpenAIServer() as server:
        config = RealtimeConfig(base_url=server.url, api_key="wrong-key-0123456789", session_file=str(path))
        with pytest.raises(Exception, match="key"):
            async with RealtimeVoice("openai", config=config).connect():
                pass
    replay, happened = replay_alike(path)
    assert happened == []
    assert type(replay.failure).__name__ == "AuthenticationError"
    assert "wrong-key-0123456789" not in path.read_text()


@virtual_time
async def test_keys_that_no_setting_holds_are_in_no_line_either(tmp_path: Path) -> None:
    path = tmp_path / "talk.jsonl"
    known, fetched = "4f8b6c2e-from-the-environment", "ya29-fetched-for-each-dial"

    async def credentials() -> dict[str, str]:
        return {"Authorization": f"Bearer {fetched}"}

    async def blurt(peer: Peer) -> None:
        await peer.begin()
        await peer.send(type="heard", id="user_1", text=f"Your keys are {known} and {fetched}.")
        await peer.reply("r")
        await peer.close(1000, f"bye, {known}")

    recorder = SessionRecorder(str(path), "plain", "plain", ConversationSetup(RealtimeConfig()))
    async with FaultyServer(blurt) as server:
        connection = await WebSocketConnection.open(
            PlainCodec(server.url, {"api-key": known}),
            CAPABILITIES,
            RealtimeConfig(),
            credentials=credentials,
            recorder=recorder,
        )
        told = [event async for event in connection]
    assert f"Your keys are {known} and {fetched}." in repr(told), "the program is told as it was said"
    text = path.read_text()
    assert "Your keys are (hidden) and (hidden)." in text
    assert known not in text
    assert fetched not in text
    replay_alike(path, lambda name: PLAIN)


@virtual_time
async def test_what_the_environment_chose_is_in_the_recording(tmp_path: Path) -> None:
    """Vertex AI, and a project that no setting names."""
    path = tmp_path / "talk.jsonl"
    setup = ConversationSetup(RealtimeConfig(base_url="https://vertex.example"))
    environment = {"GOOGLE_GENAI_USE_VERTEXAI": "1", "GOOGLE_CLOUD_PROJECT": "my-project"}
    gemini = find_provider("gemini")
    recorder = SessionRecorder(str(path), "gemini", gemini.default_model, setup)
    codec = recorder.around(
        GeminiCodec(setup, find_endpoint(setup.config, environment)), gemini.capabilities, lambda event: None
    )
    codec.open()
    sent = codec.data_to_send()
    codec.receive(b'{"setupComplete": {}}')
    for command in (AppendAudio(b"\1\2" * 800), EndTurn(), PauseAudio(), SendText("Hello?")):
        codec.send(command)
        sent += codec.data_to_send()
    recorder.ended(None)
    assert b"projects/my-project/locations/global" in sent[0]
    replay_alike(path)
