"""The loopback server, by those who talk to it: the official SDK, and our own connection."""

import asyncio
import base64
import json
from typing import Any

import openai
import pytest
from websockets.asyncio.client import connect as dial
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect as dial_sync

from tests.loopback.openai_server import KEY, Fault, OpenAIServer, Refuse, Reply, tone
from voicecli import RealtimeVoice
from voicecli.commands import AppendAudio, SendText
from voicecli.config import RealtimeConfig, Reconnect, VADMode
from voicecli.errors import AuthenticationError, QuotaExceededError, RealtimeConnectionError, RealtimeError
from voicecli.events import AudioChunk, Event, Reconnecting, ResponseDone, SessionStarted, TranscriptUpdate
from voicecli.ports import Connection, ConversationSetup
from voicecli.providers.openai import OPENAI

QUICK = Reconnect(first_delay_s=0.01, max_delay_s=0.02)


async def connect(server: OpenAIServer, **settings: Any) -> Connection:
    config = RealtimeConfig(api_key=KEY, base_url=server.url, reconnect=QUICK, **settings)
    return await OPENAI.connect(ConversationSetup(config))


async def ask(server: OpenAIServer, text: str = "Hi") -> list[Event]:
    """One question, to the end of its answer."""
    connection = await connect(server)
    events: list[Event] = []
    try:
        await connection.send(SendText(text))
        async for event in connection:
            events.append(event)
            if isinstance(event, ResponseDone):
                break
    finally:
        await connection.aclose()
    return events


def of(events: list[Event], kind: type[Any]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


async def test_the_official_client_talks_to_it() -> None:
    async with OpenAIServer(replies=[Reply(text="Hello, client.")], hears=["Hello, server."]) as server:
        client = openai.AsyncOpenAI(api_key=KEY, base_url=server.url)
        async with client.realtime.connect(model="gpt-realtime-2.1") as connection:
            await connection.session.update(
                session={
                    "type": "realtime",
                    "audio": {
                        "input": {
                            "transcription": {"model": "gpt-transcribe"},
                            "turn_detection": {"type": "server_vad", "silence_duration_ms": 300},
                        }
                    },
                }
            )
            for sound in (tone(400), bytes(48 * 500)):
                await connection.input_audio_buffer.append(audio=base64.b64encode(sound).decode())
            kinds, sound, heard, said = [], b"", "", ""
            async for event in connection:
                kinds.append(event.type)
                if event.type == "response.output_audio.delta":
                    sound += base64.b64decode(event.delta)
                elif event.type == "response.output_audio_transcript.done":
                    said = event.transcript
                elif event.type == "conversation.item.input_audio_transcription.completed":
                    heard = event.transcript
                elif event.type == "response.done":
                    assert event.response.usage is not None
                    break
            assert kinds[:2] == ["session.created", "session.updated"]
            assert (heard, said, sound) == ("Hello, server.", "Hello, client.", Reply().sound("Hello, client."))
            assert kinds.index("input_audio_buffer.committed") < kinds.index("response.created")


async def test_the_official_client_is_told_of_its_mistakes() -> None:
    async with OpenAIServer(forgiving=True) as server:
        client = openai.AsyncOpenAI(api_key=KEY, base_url=server.url)
        async with client.realtime.connect(model="gpt-realtime-2.1") as connection:
            await connection.send_raw('{"type":"session.update","session":{"type":"realtime","temperature":1}}')
            await connection.input_audio_buffer.commit()
            await connection.response.cancel()
            codes = []
            async for event in connection:
                if event.type == "error":
                    codes.append(event.error.code)
                if len(codes) == 3:
                    break
    assert codes == ["unknown_parameter", "input_audio_buffer_commit_empty", "response_cancel_not_active"]


async def test_a_question_through_our_connection() -> None:
    async with OpenAIServer(replies=[Reply(text="Here.")]) as server:
        events = await ask(server)
    assert isinstance(events[0], SessionStarted)
    assert b"".join(chunk.audio for chunk in of(events, AudioChunk)) == Reply().sound("Here.")
    assert server.handshakes[0]["Authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("close", [None, 1001, 1005, 1006, 1011, 1012, 1013])
@pytest.mark.parametrize("stage", ["before_updated", "idle", "mid_response"])
async def test_a_lost_connection_is_made_again(stage: Any, close: int | None) -> None:
    faults = [Fault(stage=stage, close=close)]
    if stage == "before_updated":  # of the second socket: a first one that fails is not dialled again
        faults.insert(0, Fault(stage="mid_response", close=1011))
    async with OpenAIServer(replies=[Reply(text="one two three")] * 3, faults=faults) as server:
        connection = await connect(server)
        events: list[Event] = []
        try:
            await connection.send(SendText("Count"))
            async for event in connection:
                events.append(event)
                if isinstance(event, ResponseDone):
                    if event.status == "completed":
                        break
                    await connection.send(SendText("Go on"))
        finally:
            await connection.aclose()
    assert of(events, Reconnecting)
    assert [event.resumed for event in of(events, SessionStarted)] == [False, True]
    finals = [event.text for event in of(events, TranscriptUpdate) if event.final]
    assert finals[-1] == "one two three"


async def test_a_turn_by_voice_survives_a_lost_connection() -> None:
    fault = Fault(stage="user_speaking", close=1011)
    async with OpenAIServer(replies=[Reply(text="I heard.")], hears=["All of it."], faults=[fault]) as server:
        connection = await connect(server)
        events: list[Event] = []
        try:
            for _ in range(30):
                await connection.send(AppendAudio(tone(20)))
            async for event in connection:
                events.append(event)
                if isinstance(event, SessionStarted) and event.resumed:
                    await connection.send(AppendAudio(bytes(48 * 900)))
                if isinstance(event, ResponseDone):
                    break
        finally:
            await connection.aclose()
    (heard,) = (
        audio for item, audio in server.sessions[1].audio.items() if server.sessions[1].items[item]["role"] == "user"
    )
    assert tone(20) * 30 in heard
    assert [event.text for event in of(events, TranscriptUpdate) if event.final] == ["All of it.", "I heard."]


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"keys": ()}, AuthenticationError, "refused the key"),
        ({"models": lambda name: False}, RealtimeConnectionError, "list-models"),
        ({"refuse": [Refuse(status=401, code="invalid_api_key")]}, AuthenticationError, "OPENAI_API_KEY"),
        ({"refuse": [Refuse(status=404)]}, RealtimeConnectionError, "base URL"),
        ({"refuse": [Refuse(status=429, code="insufficient_quota")]}, QuotaExceededError, "credit"),
        (
            {"faults": [Fault(stage="before_created", close=4000, error="beta_api_shape_disabled")]},
            RealtimeConnectionError,
            "OpenAI-Beta",
        ),
        (
            {"faults": [Fault(stage="before_updated", close=1008, reason="not here")]},
            RealtimeConnectionError,
            "not here",
        ),
    ],
)
async def test_a_start_that_fails_says_why(options: dict[str, Any], kind: type[RealtimeError], words: str) -> None:
    async with OpenAIServer(**options) as server:
        with pytest.raises(kind, match=words) as caught:
            await connect(server)
    assert KEY not in str(caught.value)


async def test_a_mute_server_is_given_up() -> None:
    async with OpenAIServer(faults=[Fault(stage="before_created", silent=True)]) as server:
        with pytest.raises(RealtimeConnectionError):
            await connect(server, connect_timeout_s=0.3)


async def test_frames_that_are_no_events_leave_the_socket_open() -> None:
    async with OpenAIServer(forgiving=True) as server:
        url = server.url.replace("http", "ws") + "/realtime?model=gpt-realtime-2.1"
        async with dial(url, additional_headers={"Authorization": f"Bearer {KEY}"}) as socket:
            await socket.recv()
            codes = []
            for message in (b"\x00", "{", '{"type":"made-up"}'):
                await socket.send(message)
                codes.append(json.loads(await socket.recv())["error"]["code"])
    assert codes == ["invalid_event", "invalid_json", "invalid_value"]


async def test_a_client_that_breaks_rules_fails_the_test_around_it() -> None:
    with pytest.raises(AssertionError, match="made-up"):
        async with OpenAIServer() as server:
            url = server.url.replace("http", "ws") + "/realtime?model=gpt-realtime-2.1"
            async with dial(url, additional_headers={"Authorization": f"Bearer {KEY}"}) as socket:
                await socket.recv()
                await socket.send('{"type":"made-up"}')
                await socket.recv()


async def test_a_header_of_the_beta_is_the_end() -> None:
    async with OpenAIServer() as server:
        url = server.url.replace("http", "ws") + "/realtime?model=gpt-realtime-2.1"
        headers = {"Authorization": f"Bearer {KEY}", "OpenAI-Beta": "realtime=v1"}
        async with dial(url, additional_headers=headers) as socket:
            assert json.loads(await socket.recv())["error"]["code"] == "beta_api_shape_disabled"
            with pytest.raises(ConnectionClosed):
                await socket.recv()
            assert socket.close_code == 4000


def test_in_a_thread_of_its_own() -> None:
    with OpenAIServer.in_thread() as server:
        url = server.url.replace("http", "ws") + "/realtime?model=gpt-realtime-2.1"
        with dial_sync(url, additional_headers={"Authorization": f"Bearer {KEY}"}) as socket:
            assert json.loads(socket.recv())["type"] == "session.created"
            socket.send('{"type":"session.update","session":{"type":"realtime"}}')
            assert json.loads(socket.recv())["type"] == "session.updated"


async def test_the_models_that_the_service_has() -> None:
    assert OPENAI.fetch_models is not None
    async with OpenAIServer() as server:
        config = RealtimeConfig(api_key=KEY, base_url=server.url)
        models = await OPENAI.fetch_models(config)
        assert [model.name for model in models] == ["gpt-realtime-2.1", "gpt-realtime-9"]
        assert models[0].prices is not None
        with pytest.raises(AuthenticationError):
            await OPENAI.fetch_models(RealtimeConfig(api_key="sk-other", base_url=server.url))
    with pytest.raises(RealtimeConnectionError, match="cannot be reached"):
        await OPENAI.fetch_models(config)


async def test_a_turn_too_short_to_be_understood_is_not_waited_for() -> None:
    async with OpenAIServer() as server:
        config = RealtimeConfig(api_key=KEY, base_url=server.url, vad_mode=VADMode.NONE)
        async with asyncio.timeout(10), RealtimeVoice("openai", config=config).connect() as session:
            response = await session.send_audio(bytes(2_400))
    assert response is not None
    assert response.status == "no_speech"
