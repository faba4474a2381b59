"""Replies that last longer than `response_timeout_s`: some providers tell their end only when they would be over."""

import asyncio
import wave
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.conversation.scripted import MANUAL, SECOND, conversation
from tests.loopback.gemini_server import KEY, GeminiServer, Google, Reply, tone
from tests.support.settings import config_of
from tests.support.virtual_time import virtual_time
from voicecli import RealtimeVoice
from voicecli.config import VADMode
from voicecli.conversation.duplex import converse
from voicecli.errors import RealtimeError
from voicecli.events import (
    AudioChunk,
    AudioDone,
    Event,
    Reconnecting,
    ResponseDone,
    ResponseStarted,
    TranscriptUpdate,
)
from voicecli.providers.gemini import GEMINI
from voicecli.providers.gemini.settings import GeminiSettings

QUESTIONS = Path(__file__).parent.parent / "data" / "three_questions.wav"
LONG = Reply(text="That is a long story.", audio=tone(45_000))


class Recording:
    """The sound of a WAV file, in chunks of 100 ms."""

    realtime = False

    def __init__(self, path: Path) -> None:
        with wave.open(str(path)) as file:
            self.sample_rate = file.getframerate()
            self._audio = file.readframes(file.getnframes())

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = self.sample_rate // 10 * 2
        for start in range(0, len(self._audio), size):
            yield self._audio[start : start + size]

    async def aclose(self) -> None:
        return


async def hold(server: GeminiServer, source: Any, **settings: Any) -> list[Event]:
    """The events of a conversation with the loopback server."""
    seen: list[Event] = []
    config = config_of(GeminiSettings, **{"api_key": KEY, "base_url": server.url, "response_timeout_s": 10, **settings})
    async with RealtimeVoice(GEMINI, config=config).connect() as session:
        await converse(session, source, observers=[seen.append])
    return seen


@virtual_time
async def test_each_question_of_a_recording_is_answered_where_the_end_of_a_reply_is_held_back() -> None:
    google = Google(holds_end=True)
    hears = ["One?", "Two?", "Three?"]
    async with GeminiServer(google=google, replies=[LONG] * 3, hears=hears) as server:
        seen = await hold(server, Recording(QUESTIONS), vad_mode=VADMode.CLIENT)
        assert len(server.sessions) == 1
    finals = [event.text for event in seen if isinstance(event, TranscriptUpdate) and event.final]
    assert finals == [text for question in hears for text in (question, LONG.text)]
    ends = [event for event in seen if isinstance(event, ResponseDone)]
    assert [(end.status, end.usage.output_audio_tokens) for end in ends] == [("completed", 50)] * 3
    assert not any(isinstance(event, Reconnecting) for event in seen)


@pytest.mark.parametrize("output", ["audio", "text"])
def test_the_end_of_the_sound_is_told_before_the_end_of_the_turn(output: str) -> None:
    """And nobody who wants words only is given sound, though its length counts."""

    @virtual_time
    async def run() -> None:
        time, told = asyncio.get_running_loop().time, dict[type[Event], float]()

        def note(event: Event) -> None:
            told.setdefault(type(event), time())

        async with GeminiServer(google=Google(holds_end=True), replies=[LONG]) as server:
            config = config_of(GeminiSettings, api_key=KEY, base_url=server.url, response_timeout_s=10, output=output)
            async with RealtimeVoice(GEMINI, config=config).connect() as session:
                await converse(session, "Tell me.", observers=[note])
        if output == "text":
            assert AudioChunk not in told
            assert AudioDone not in told
        else:
            assert told[AudioDone] - told[ResponseStarted] < 2
        assert told[ResponseDone] - told[ResponseStarted] > 44

    run()


@virtual_time
async def test_the_time_begins_anew_when_what_came_would_have_been_played() -> None:
    time = asyncio.get_running_loop().time
    voice, connection = conversation(config=MANUAL)  # nothing may happen for 5 s
    async with voice.connect() as session:
        asking = asyncio.create_task(session.send_text("Tell me.", wait=True))
        await asyncio.sleep(1)
        began = time()
        connection.play([ResponseStarted("r"), *[AudioChunk(SECOND, "r", "i")] * 20])
        with pytest.raises(RealtimeError, match="within 5 s"):
            await asking
        assert 25 <= time() - began <= 25.5


@virtual_time
async def test_a_reply_that_was_cut_holds_no_time_back() -> None:
    time = asyncio.get_running_loop().time
    voice, connection = conversation(config=MANUAL)
    async with voice.connect() as session:
        first = asyncio.create_task(session.send_text("Tell me.", wait=False))
        connection.play([ResponseStarted("r"), *[AudioChunk(SECOND, "r", "i")] * 20])
        await asyncio.sleep(1)
        await first
        began = time()
        with pytest.raises(RealtimeError, match="within 5 s"):
            await session.send_text("No, wait.", wait=True)
        assert 5 <= time() - began <= 5.5
