"""Transcription by Gemini over real sockets, in virtual time: nothing is lost or doubled, and times go on."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from tests.connection.test_transcriptions import Transcription, words
from tests.loopback.gemini_transcription_server import KEY, Fault, GeminiTranscriptionServer
from tests.loopback.spoken_words import pause, word
from tests.providers.openai.transcribing import finals, said
from tests.support.virtual_time import virtual_time
from voicecli.commands import AppendAudio, EndTurn
from voicecli.config import RealtimeConfig
from voicecli.errors import AuthenticationError, RealtimeConnectionError
from voicecli.events import Event, Reconnecting, SessionStarted
from voicecli.ports import TranscriberSetup
from voicecli.providers.gemini import GEMINI

RATE = 16_000


@pytest.fixture(autouse=True)
def only_what_the_test_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_GEMINI_BASE_URL", "GOOGLE_GENAI_USE_VERTEXAI"):
        monkeypatch.delenv(name, raising=False)


@contextlib.asynccontextmanager
async def transcribing(server: GeminiTranscriptionServer) -> AsyncIterator[Transcription]:
    config = RealtimeConfig(api_key=KEY, base_url=server.url)
    assert GEMINI.transcriber is not None
    connection = await GEMINI.transcriber.connect(TranscriberSetup(config=config))
    talk = Transcription(connection)
    try:
        yield talk
    finally:
        await connection.aclose()
        await talk.reading


async def say(talk: Transcription, number: int, *, realtime: bool = True, ms: int = 300, pause_ms: int = 700) -> None:
    audio = word(number, RATE, ms) + pause(RATE, pause_ms)
    for start in range(0, len(audio), 3_200):
        await talk.connection.send(AppendAudio(audio[start : start + 3_200], realtime))
        if realtime:
            await asyncio.sleep(0.1)


def check_times(events: list[Event], ms: int = 300, each_ms: int = 1_000) -> None:
    assert [(update.start_ms, update.end_ms) for update in finals(events)] == [
        (number * each_ms, number * each_ms + ms) for number in range(len(finals(events)))
    ]


async def end(talk: Transcription) -> None:
    await talk.connection.send(EndTurn())
    await talk.finish()


@virtual_time
async def test_a_recording_is_heard_in_real_time_and_its_last_words_come() -> None:
    async with GeminiTranscriptionServer() as server:
        async with transcribing(server) as talk:
            time, began = asyncio.get_running_loop().time, asyncio.get_running_loop().time()
            for number in range(10):
                await say(talk, number, realtime=False, pause_ms=700 if number < 9 else 0)
            await end(talk)
            assert 9.2 <= time() - began <= 13
        assert said(talk.events) == words(10)
        check_times(talk.events)
        assert len(server.sessions[0].audio) == 9.3 * 2 * RATE, "no silence is added"


@pytest.mark.parametrize(
    "fault",
    [
        *(
            Fault(stage=stage, close=close, after=0 if stage in {"before_setup", "idle"} else 1)
            for stage in ("idle", "speaking", "told")
            for close in (None, 1005, 1011)
        ),
        Fault(stage="speaking", go_away_s=50, after=1),
        Fault(stage="speaking", go_away_s=0.5, after=1),
        Fault(stage="previewed", close=1011, after=1),
        Fault(stage="previewed", silent=True, after=1),
    ],
    ids=str,
)
@pytest.mark.parametrize("offsets", [True, False])
def test_a_loss_at_any_stage_loses_and_doubles_no_word(fault: Fault, offsets: bool) -> None:
    @virtual_time
    async def test() -> None:
        async with GeminiTranscriptionServer(faults=[fault], offsets=offsets) as server:
            async with transcribing(server) as talk:
                for number in range(4):
                    await say(talk, number)
                if fault.silent:
                    await asyncio.sleep(10)  # the service is given 30 s in all
                await end(talk)
            assert said(talk.events) == words(4)
            check_times(talk.events)
            assert len({update.item_id for update in finals(talk.events)}) == 4
            assert len(server.sessions) == 2
            assert server.ignored == (fault.go_away_s == 0.5)

    test()


@virtual_time
async def test_sessions_of_ten_minutes_are_handed_over_at_a_pause() -> None:
    async with GeminiTranscriptionServer(lives_s=70) as server:
        async with transcribing(server) as talk:
            time, began = asyncio.get_running_loop().time, asyncio.get_running_loop().time()
            for number in range(9):
                await say(talk, number, realtime=False, ms=5_000, pause_ms=4_000)
                await asyncio.sleep(max(began + 9 * (number + 1) - time(), 0.0))
            await end(talk)
        assert said(talk.events) == words(9)
        check_times(talk.events, 5_000, 9_000)
        assert len([event for event in talk.events if isinstance(event, SessionStarted)]) >= 3
        assert not any(isinstance(event, Reconnecting) for event in talk.events)
        assert not server.ignored


@pytest.mark.parametrize("close", [1008, 1007])
def test_a_refusal_is_one_error(close: int) -> None:
    @virtual_time
    async def test() -> None:
        fault = Fault(stage="speaking", close=close, reason="for some reason")
        async with GeminiTranscriptionServer(faults=[fault]) as server:
            async with transcribing(server) as talk:
                with contextlib.suppress(RealtimeConnectionError):
                    await say(talk, 0)
                    await end(talk)
            assert isinstance(talk.error, RealtimeConnectionError)
            assert "for some reason" in talk.error.message
            assert len(server.sessions) == 1

    test()


@virtual_time
async def test_a_wrong_key_is_told_with_advice() -> None:
    async with GeminiTranscriptionServer(keys=()) as server:
        with pytest.raises(AuthenticationError, match="refused the key") as raised:
            async with transcribing(server):
                pass
        assert raised.value.advice
        assert KEY not in str(raised.value)
