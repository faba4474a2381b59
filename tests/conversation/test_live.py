"""Sessions with a GPT-Live that talks at the pace of its input: nothing is said while no audio flows."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from tests.conftest import DATA
from tests.conversation.scripted import collect
from tests.loopback.live_server import KEY, LiveReply, LiveServer
from tests.support.player import Player
from tests.support.virtual_time import virtual_time
from voicecli import RealtimeConfig, RealtimeVoice, VADMode, converse
from voicecli.audio.files.source import WavSource
from voicecli.conversation.session import VoiceSession
from voicecli.events import AudioChunk, Interrupted, Notice, ResponseDone, SpeechStarted, TranscriptUpdate
from voicecli.history import HistoryLog, Store

QUESTION = "What is the capital of France?"
ANSWER = "It is Paris, of course."
CHUNK_S = 0.02


@contextlib.asynccontextmanager
async def live(
    *replies: LiveReply, hears: Sequence[str] = (), logs: Any = (), **settings: Any
) -> AsyncIterator[tuple[VoiceSession, LiveServer]]:
    """A conversation with a server that complains of audio which comes too fast."""
    async with LiveServer(replies=replies, hears=hears) as server:
        chosen: dict[str, Any] = {"model": "gpt-live-1.1", "base_url": server.url, "api_key": KEY} | settings
        voice = RealtimeVoice("openai", config=RealtimeConfig(response_timeout_s=15, **chosen))
        async with voice.connect(logs=logs) as session:
            yield session, server
        assert server.sessions[-1].ended, "it said goodbye"
        assert server.sessions[-1].longest_gap_s < 0.5, "audio never stopped"


async def speaks(session: VoiceSession, audio: bytes) -> None:
    """A microphone's chunks as they are spoken."""
    size = int(16_000 * CHUNK_S) * 2
    due = asyncio.get_running_loop().time()
    for start in range(0, len(audio), size):
        await session.send_audio(audio[start : start + size], sample_rate=16_000, wait=False)
        due += CHUNK_S
        await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))


@virtual_time
async def test_a_file_is_paced_and_answered() -> None:
    async with live(LiveReply(text=ANSWER), hears=[QUESTION]) as (session, _):
        response = await session.ask(DATA / "question.wav")
    assert (response.user_transcript, response.transcript) == (QUESTION, ANSWER)
    assert len(response.audio) > 2 * 24_000
    assert response.metrics.first_audio_ms is not None
    assert 300 < response.metrics.first_audio_ms < 1_500


@virtual_time
async def test_recordings_are_answered_one_after_the_other(tmp_path: Path) -> None:
    """And what all of it has cost is in the history."""
    log = HistoryLog("openai", path=tmp_path / "history.db")
    files = [WavSource(DATA / "question.wav") for _ in range(2)]
    replies = [LiveReply(text=ANSWER), LiveReply(text="Paris, as I said.")]
    async with live(*replies, hears=[QUESTION, "Again, please?"], logs=[log]) as (session, _):
        await converse(session, files)
        for file in files:
            await file.aclose()
    said = [(turn.role, turn.text) for turn in session.history]
    assert said == [
        ("user", QUESTION),
        ("assistant", ANSWER),
        ("user", "Again, please?"),
        ("assistant", "Paris, as I said."),
    ]
    assert session.usage.session_seconds > 10
    with Store(tmp_path / "history.db") as store:
        assert store.conversation("latest").usage == session.usage


@virtual_time
async def test_what_is_written_after_a_long_silence_is_answered_without_a_microphone() -> None:
    async with live(LiveReply(text=ANSWER)) as (session, _):
        await asyncio.sleep(8)
        response = await session.send_text(QUESTION, wait=True)
    assert response.transcript == ANSWER
    assert session.usage.session_seconds > 8
    assert session.usage.cost_usd is not None
    assert response.usage.cost_usd is not None
    assert abs(session.usage.cost_usd - response.usage.cost_usd - session.usage.session_seconds / 60 * 0.05) < 0.001


@virtual_time
async def test_a_question_right_after_the_reply_cuts_nothing_of_it() -> None:
    """That a reply is over is known two seconds after its sound."""
    async with live(LiveReply(text=ANSWER), LiveReply(text="In France.")) as (session, server):
        events = asyncio.create_task(collect(session))
        await session.send_text(QUESTION, wait=False)
        while session.state.assistant != "speaking":
            await asyncio.sleep(0.1)
        while session.state.assistant == "speaking":
            await asyncio.sleep(0.1)
        assert session.awaiting_reply
        await session.send_text("And where is that?", wait=False)
        await session.wait_for_reply()
        await session.aclose()
        told = await events
    assert not any(isinstance(event, Interrupted) for event in told)
    assert [event.status for event in told if isinstance(event, ResponseDone)] == ["completed"] * 2
    assert [turn.text for turn in session.history if turn.role == "assistant"] == [ANSWER, "In France."]
    assert not any("Stop" in frame["content"] for frame in server.received("session.instructions.append"))


@virtual_time
async def test_whoever_else_closes_it_meanwhile_breaks_off_no_goodbye() -> None:
    """As a key does, and then the end of what the key ended."""
    async with live() as (session, _):
        await asyncio.sleep(8)
        first = asyncio.create_task(session.aclose())
        await asyncio.sleep(0.05)
        await session.aclose()
        await first
    assert session.usage.session_seconds == 8


@virtual_time
async def test_with_a_talk_key_the_answer_needs_no_second_press(speech: bytes) -> None:
    async with live(LiveReply(text=ANSWER), hears=[QUESTION], vad_mode=VADMode.NONE) as (session, _):
        session.realtime = True
        events = asyncio.create_task(collect(session))
        await speaks(session, speech)
        await session.end_turn()
        await asyncio.sleep(8)  # the key is not pressed, and nothing is sent
        await session.aclose()
        told = await events
    finals = [event.text for event in told if isinstance(event, TranscriptUpdate) and event.final]
    assert finals == [QUESTION, ANSWER]
    assert not any(isinstance(event, Notice) and event.code == "no_answer" for event in told)


@virtual_time
async def test_a_word_into_the_reply_costs_nothing_of_it(speech: bytes) -> None:
    long = " ".join(["word"] * 40)
    async with live(LiveReply(text=long), hears=[QUESTION, "mm-hmm"]) as (session, _):
        session.realtime, session.player = True, Player()
        events = asyncio.create_task(collect(session))
        await speaks(session, speech)
        await session.pause_audio()
        await asyncio.sleep(3)
        await speaks(session, speech)
        await session.pause_audio()
        await asyncio.sleep(12)
        await session.aclose()
        told = await events
    assert sum(isinstance(event, SpeechStarted) for event in told) >= 2
    assert not any(isinstance(event, Interrupted) for event in told)
    sound = b"".join(event.audio for event in told if isinstance(event, AudioChunk))
    assert len(sound) / 48_000 >= 40 * 0.2, "all of it is played"
    assert [event.status for event in told if isinstance(event, ResponseDone)] == ["completed"]
    assert isinstance(session.player, Player)
    assert session.player.told == []
