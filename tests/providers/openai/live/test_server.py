"""The loopback GPT-Live, by those who talk to it: the official SDK, and our own connection."""

import asyncio
import base64
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.loopback.live_server import KEY, Call, Fault, LiveReply, LiveServer, Loose, Work, tone
from tests.providers.openai.live.talk import MODEL, WEATHER
from tests.replay.checks import events_of, replay_alike
from tests.support.virtual_time import virtual_time
from voicecli.commands import AppendAudio, SendText, ToolResult
from voicecli.config import RealtimeConfig, Reconnect
from voicecli.errors import AuthenticationError, QuotaExceededError, RealtimeConnectionError
from voicecli.events import (
    AudioChunk,
    Event,
    Reconnecting,
    ResponseDone,
    SessionEnded,
    SessionStarted,
    ToolCallRequest,
    TranscriptUpdate,
    UsageUpdated,
)
from voicecli.ports import Connection, ConversationSetup
from voicecli.providers.openai import OPENAI
from voicecli.replay.encoding import encoded
from voicecli.replay.recorder import SessionRecorder
from voicecli.testing import check_provider

QUICK = Reconnect(first_delay_s=0.01, max_delay_s=0.02)


def config(server: LiveServer, **settings: Any) -> RealtimeConfig:
    return RealtimeConfig(api_key=KEY, base_url=server.url, reconnect=QUICK, model=MODEL, **settings)


async def connect(server: LiveServer, **settings: Any) -> Connection:
    return await OPENAI.connect(ConversationSetup(config(server, **settings), [WEATHER]))


async def events_until(connection: Connection, kind: type[Any]) -> list[Event]:
    events: list[Event] = []
    async for event in connection:
        events.append(event)
        if isinstance(event, kind):
            break
    return events


def of(events: list[Event], kind: type[Any]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


@virtual_time
async def test_the_official_client_talks_to_it() -> None:
    work = Work(calls=(Call(name="weather"),))
    async with LiveServer(replies=[LiveReply(text="It rains.", work=work)], hears=["How is the weather?"]) as server:
        client = openai.AsyncOpenAI(api_key=KEY, base_url=server.url)
        async with client.live.connect() as connection:
            await connection.session.start(
                session={
                    "model": MODEL,
                    "audio": {"format": {"type": "audio/pcm", "rate": 24_000}},
                    "delegation": {"type": "responses", "responses": {"model": "gpt-5.6-luna"}},
                }
            )
            assert (await connection.recv()).type == "session.started"

            async def speak() -> None:
                for number in range(120):
                    sound = tone(100) if number < 8 else bytes(4_800)
                    await connection.session.input_audio.append(audio=base64.b64encode(sound).decode())
                    await asyncio.sleep(0.1)
                await connection.session.close()
                await connection.session.input_audio.append(audio=base64.b64encode(bytes(48 * 300)).decode())

            speaking = asyncio.create_task(speak())
            heard = said = reason = ""
            called = asked = False
            async for event in connection:
                if event.type == "session.input_transcript.delta":
                    heard += event.delta
                elif event.type == "session.output_transcript.delta":
                    said += event.delta
                elif event.type == "response.event":
                    item: Any = event.event.get("item", {})
                    if item and item["type"] == "function_call":
                        called = True
                        output: Any = {"type": "function_call_output", "call_id": item["call_id"], "output": "rain"}
                        await connection.response.item.create(item=output)
                    elif event.event["type"] == "response.completed" and called and not asked:
                        asked = True
                        await connection.response.create()
                elif event.type == "session.closed":
                    reason = event.reason
                    break
            await speaking
            assert (heard, said, reason) == ("How is the weather?", "It rains.", "close_requested")
        await client.close()


@virtual_time
async def test_it_passes_the_checks_for_providers() -> None:
    replies = [LiveReply(text="Good day to you.")] * 9
    async with LiveServer(replies=replies, hears=["Hi."] * 9) as server:
        await check_provider(OPENAI, config(server), question=tone(1_000), within_s=30)


@virtual_time
async def test_a_text_is_answered_though_nobody_sends_audio() -> None:
    async with LiveServer(replies=[LiveReply(text="Yes, I do.")]) as server:
        connection = await connect(server)
        await connection.send(SendText("Do you?"))
        events = await events_until(connection, ResponseDone)
        await connection.aclose()
    assert of(events, TranscriptUpdate)[-1].text == "Yes, I do."
    assert b"".join(chunk.audio for chunk in of(events, AudioChunk))
    assert server.sessions[0].ended
    assert server.sessions[0].longest_gap_s < 0.5


@virtual_time
async def test_a_recording_is_sent_no_faster_than_it_is_spoken() -> None:
    async with LiveServer(replies=[LiveReply(text="Yes.")], hears=["Do you?"]) as server:
        connection = await connect(server)
        sending = asyncio.create_task(connection.send(AppendAudio(tone(3_000) + bytes(48 * 1_000))))
        events = await events_until(connection, ResponseDone)
        await sending
        await connection.aclose()
    assert of(events, TranscriptUpdate)[-1].text == "Yes."


@virtual_time
async def test_the_end_is_told_with_the_time_that_is_billed() -> None:
    async with LiveServer() as server:
        connection = await connect(server)
        await asyncio.sleep(16.4)
        await connection.aclose()
        events = await events_until(connection, SessionEnded)
    used = [event.usage for event in of(events, UsageUpdated)]
    assert used[-1].session_seconds == pytest.approx(16.4, abs=1)
    assert sum(usage.cost_usd or 0 for usage in used) == pytest.approx(16.4 / 60 * 0.05, abs=0.05 / 60)


@virtual_time
async def test_a_goodbye_that_nobody_answers() -> None:
    async with LiveServer(loose=Loose(never_closed=True)) as server:
        connection = await connect(server)
        began = asyncio.get_running_loop().time()
        await connection.aclose()
        assert asyncio.get_running_loop().time() - began < 8


@pytest.mark.parametrize(
    ("loose", "words"),
    [(Loose(refuses="forbidden"), "refused"), (Loose(refuses="unknown_parameter", null_codes=True), "refused")],
)
@virtual_time
async def test_a_start_that_is_refused(loose: Loose, words: str) -> None:
    async with LiveServer(loose=loose) as server:
        with pytest.raises(RealtimeConnectionError, match=words) as caught:
            await connect(server)
        assert not caught.value.retryable
        assert len(server.sessions) == 1


@virtual_time
async def test_a_start_that_takes_too_long() -> None:
    async with LiveServer(loose=Loose(start_ms=20_000)) as server:
        with pytest.raises(RealtimeConnectionError, match="did not begin"):
            await connect(server, connect_timeout_s=10)


@virtual_time
async def test_a_wrong_key() -> None:
    async with LiveServer(keys=["another"]) as server:
        with pytest.raises(AuthenticationError):
            await connect(server)


@pytest.mark.parametrize("null_codes", [False, True])
@virtual_time
async def test_credit_that_is_used_up_ends_it(null_codes: bool) -> None:
    async with LiveServer(loose=Loose(quota_ms=2_000, null_codes=null_codes)) as server:
        connection = await connect(server)
        with pytest.raises(QuotaExceededError):
            await events_until(connection, SessionEnded)
        await connection.aclose()
    assert len(server.sessions) == 1


@pytest.mark.parametrize(
    "fault",
    [
        Fault(at_ms=5_000),
        Fault(at_ms=5_000, close=1_011),
        Fault(at_ms=5_000, ends="expired", close=1_000),
        Fault(at_ms=5_000, ends="connection_lost", close=1_000),
    ],
)
@virtual_time
async def test_a_lost_session_is_gone_on_with_in_a_new_one(fault: Fault) -> None:
    replies = [LiveReply(text="I am well."), LiveReply(text="Yes, I am.")]
    async with LiveServer(replies=replies, faults=[fault]) as server:
        connection = await connect(server)
        await connection.send(SendText("How are you?"))
        events = await events_until(connection, Reconnecting)
        events += await events_until_resumed(connection)
        await connection.send(SendText("Sure?"))
        events += await events_until(connection, ResponseDone)
        await connection.aclose()
    assert of(events, TranscriptUpdate)[-1].text == "Yes, I am."
    second = server.received("session.start")[1]["session"]
    said = [(item["role"], item["content"][0]["text"]) for item in second["input"]]
    assert said == [("user", "How are you?"), ("assistant", "I am well.")]


async def events_until_resumed(connection: Connection) -> list[Event]:
    events: list[Event] = []
    async for event in connection:
        events.append(event)
        if isinstance(event, SessionStarted) and event.resumed:
            break
    return events


@virtual_time
async def test_a_session_that_says_nothing_any_more_is_left() -> None:
    async with LiveServer(replies=[LiveReply(text="Yes.")], faults=[Fault(at_ms=3_000, silent=True)]) as server:
        connection = await connect(server, response_timeout_s=10)
        events = await events_until_resumed(connection)
        await connection.send(SendText("Are you there?"))
        events += await events_until(connection, ResponseDone)
        await connection.aclose()
    assert of(events, Reconnecting)
    assert of(events, TranscriptUpdate)[-1].text == "Yes."


@virtual_time
async def test_a_session_that_is_ended_for_its_content() -> None:
    async with LiveServer(faults=[Fault(at_ms=2_000, ends="content", close=1_000)]) as server:
        connection = await connect(server)
        with pytest.raises(RealtimeConnectionError, match="for what is said"):
            await events_until(connection, SessionEnded)
        await connection.aclose()
    assert len(server.sessions) == 1


@virtual_time
async def test_a_base_may_be_the_whole_address() -> None:
    async with LiveServer() as server:
        gateway = RealtimeConfig(api_key=KEY, base_url=f"{server.url}/live/sessions", model=MODEL)
        for settings in (config(server), gateway):
            connection = await OPENAI.connect(ConversationSetup(settings))
            await connection.aclose()
    assert server.paths == ["/v1/live/sessions"] * 2


async def test_the_models_of_a_key() -> None:
    async with LiveServer() as server:
        assert OPENAI.fetch_models is not None
        models = await OPENAI.fetch_models(config(server))
    assert [model.name for model in models] == ["gpt-live-1.1", "gpt-live-9", "gpt-realtime-2.1"]


@virtual_time
async def test_a_recorded_conversation_is_replayed(tmp_path: Path) -> None:
    path = tmp_path / "talk.jsonl"
    work = Work(calls=(Call(name="weather"),))
    replies = [LiveReply(text="It rains.", first="Let me see.", work=work), LiveReply(text="Yes.")]
    async with LiveServer(replies=replies, faults=[Fault(at_ms=8_000)]) as server:
        settings = config(server)
        recorder = SessionRecorder(str(path), "openai", MODEL, ConversationSetup(settings, [WEATHER]))
        connection = await OPENAI.connect(ConversationSetup(settings, [WEATHER], recorder=recorder))
        await connection.send(SendText("The weather?", "text_1", "input_1"))
        events = await events_until(connection, ToolCallRequest)
        await connection.send(ToolResult(events[-1].call_id, "rain"))  # type: ignore[union-attr]
        events += await events_until(connection, ResponseDone)
        await asyncio.sleep(9)
        await connection.send(SendText("Sure?", "text_2", "input_2"))
        events += await events_until(connection, ResponseDone)
        await connection.aclose()
        events += await events_until(connection, SessionEnded)
    assert len(server.sessions) == 2
    _, happened = replay_alike(path)
    assert [encoded(event) for event in events_of(happened)] == [encoded(event) for event in events]
