"""Transcription over real sockets, in virtual time: nothing is lost or doubled, and times go on over sockets."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

import pytest

from tests.loopback.openai_transcription_server import KEY, Fault, TranscriptionServer
from tests.loopback.spoken_words import pause, word
from tests.providers.openai.transcribing import RATE, finals, said
from tests.support.virtual_time import virtual_time
from voicecli.commands import AppendAudio, EndTurn
from voicecli.config import RealtimeConfig
from voicecli.errors import AuthenticationError, RealtimeConnectionError
from voicecli.events import Event, Reconnecting, SessionEnded, SessionStarted, UsageUpdated
from voicecli.ports import Connection, Ended, Expiring, Finishing, TranscriberSetup
from voicecli.providers.openai import OPENAI
from voicecli.providers.openai.transcription import OpenAITranscription

LIVE = "gpt-live-transcribe"


class Transcription:
    """A connection, and all that it told."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.events: list[Event] = []
        self.error: Exception | None = None
        self.reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            async for event in self.connection:
                self.events.append(event)
        except RealtimeConnectionError as error:
            self.error = error

    async def say(self, number: int, *, realtime: bool = True, pause_ms: int = 300, ms: int = 200) -> None:
        """A word and a pause, which ends an utterance; in real time as a microphone would send it."""
        audio = word(number, RATE, ms) + pause(RATE, pause_ms)
        for start in range(0, len(audio), 4_800):
            await self.connection.send(AppendAudio(audio[start : start + 4_800], realtime))
            if realtime:
                await asyncio.sleep(0.1)
        await self.connection.send(EndTurn())

    async def finish(self) -> None:
        assert isinstance(self.connection, Finishing)
        await self.connection.finish()
        await self.connection.aclose()
        await self.reading


@contextlib.asynccontextmanager
async def transcribing(
    server: TranscriptionServer, model: str | None = None, **settings: object
) -> AsyncIterator[Transcription]:
    config = RealtimeConfig(api_key=KEY, base_url=server.url, model=model, **settings)  # type: ignore[arg-type]
    assert OPENAI.transcriber is not None
    connection = await OPENAI.transcriber.connect(TranscriberSetup(config=config))
    talk = Transcription(connection)
    try:
        yield talk
    finally:
        await connection.aclose()
        await talk.reading


def words(count: int) -> str:
    return " ".join(f"w{number}" for number in range(count))


def check_times(events: list[Event], each_ms: int = 500) -> None:
    """The utterances are as long as they were said, one after the other, whatever sockets there were."""
    assert [(update.start_ms, update.end_ms) for update in finals(events)] == [
        (number * each_ms, (number + 1) * each_ms) for number in range(len(finals(events)))
    ]


@virtual_time
async def test_words_come_and_the_end_comes_behind_them() -> None:
    async with TranscriptionServer(lag_s=2.0) as server:
        async with transcribing(server) as talk:
            for number in range(3):
                await talk.say(number)
            began = asyncio.get_running_loop().time()
            await talk.finish()
            assert asyncio.get_running_loop().time() - began < 4
        assert said(talk.events) == words(3)
        check_times(talk.events)
        assert isinstance(talk.events[-1], SessionEnded)
        seconds = [event.usage.transcription_seconds for event in talk.events if isinstance(event, UsageUpdated)]
        assert seconds == [0.5, 0.5, 0.5]


STAGES = ["before_updated", "idle", "user_speaking", "committed", "completed"]


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(("model", "code"), [(None, None), (None, 1005), (None, 1011), (LIVE, None)])
def test_a_loss_at_any_stage_loses_and_doubles_no_word(stage: str, code: int | None, model: str | None) -> None:
    @virtual_time
    async def test() -> None:
        after = 1 if stage in {"user_speaking", "committed", "completed"} else 0
        fault = Fault(stage=stage, close=code, after=after)  # type: ignore[arg-type]
        async with TranscriptionServer(faults=[fault], lag_s=0.8) as server:
            async with transcribing(server, model) as talk:
                for number in range(4):
                    await talk.say(number)
                await talk.finish()
            assert said(talk.events) == words(4)
            check_times(talk.events)
            assert len({update.item_id for update in finals(talk.events)}) == 4
            assert len(server.handshakes) == 2

    test()


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("code", [1008, 4000])
def test_a_refusal_at_any_stage_is_one_error(stage: str, code: int) -> None:
    @virtual_time
    async def test() -> None:
        fault = Fault(stage=stage, close=code, reason="for some reason")  # type: ignore[arg-type]
        async with TranscriptionServer(faults=[fault]) as server:
            try:
                async with transcribing(server) as talk:
                    with contextlib.suppress(RealtimeConnectionError):
                        await talk.say(0)
                        await talk.finish()
                error = talk.error
            except RealtimeConnectionError as failed:
                error = failed
            assert isinstance(error, RealtimeConnectionError)
            assert "for some reason" in error.message
            assert error.close_code == code
            assert len(server.handshakes) == 1

    test()


@virtual_time
async def test_a_service_that_falls_silent_is_left_as_often_as_that_happens() -> None:
    faults = [Fault(stage="committed", silent=True, after=2) for _ in range(3)]
    async with TranscriptionServer(faults=faults) as server:
        async with transcribing(server) as talk:
            for number in range(12):
                await talk.say(number)
                await asyncio.sleep(20)
            await talk.finish()
        assert said(talk.events) == words(12)
        assert len(server.handshakes) == 4


@pytest.mark.parametrize("model", [None, LIVE])
def test_a_service_that_falls_silent_at_the_end_loses_no_word(model: str | None) -> None:
    @virtual_time
    async def test() -> None:
        async with TranscriptionServer(faults=[Fault(stage="committed", silent=True, after=1)]) as server:
            async with transcribing(server, model) as talk:
                await talk.say(0)
                await talk.say(1)
                await talk.finish()
            assert said(talk.events) == words(2)
            assert len(server.handshakes) == 2

    test()


@pytest.mark.parametrize("response_timeout_s", [30.0, 600.0])
def test_words_that_never_come_are_an_error(response_timeout_s: float) -> None:
    @virtual_time
    async def test() -> None:
        faults = [Fault(stage="committed", silent=True, after=after) for after in (1, 0, 0, 0)]
        async with TranscriptionServer(faults=faults) as server:
            async with transcribing(server, response_timeout_s=response_timeout_s) as talk:
                await talk.say(0)
                await talk.say(1)
                began = asyncio.get_running_loop().time()
                await talk.finish()
                assert asyncio.get_running_loop().time() - began < 140
            assert said(talk.events) == words(1)
            assert isinstance(talk.error, RealtimeConnectionError)

    test()


@virtual_time
async def test_a_loss_after_the_end_of_the_input_loses_no_word() -> None:
    fault = Fault(stage="committed", after=1)
    async with TranscriptionServer(faults=[fault], lag_s=3.0) as server:
        async with transcribing(server) as talk:
            await talk.say(0)
            await talk.say(1)
            await talk.finish()
        assert said(talk.events) == words(2)
        assert len(server.handshakes) == 2


@virtual_time
async def test_a_long_outage_of_a_microphone_loses_no_word() -> None:
    """Where a conversation would keep the newest audio only."""
    async with TranscriptionServer(faults=[Fault(stage="user_speaking", after=3)], lag_s=0.2) as server:
        async with transcribing(server) as talk:
            await talk.say(0)
            server.refuse.extend([503] * 4)
            for number in range(1, 20):
                await talk.say(number)
            await talk.finish()
        assert any(isinstance(event, Reconnecting) for event in talk.events)
        assert said(talk.events) == words(20)
        check_times(talk.events)


class ShortLivedCodec(OpenAITranscription):
    """A session of the API that ends after 5.5 minutes instead of 60."""

    def receive(self, message: bytes) -> Sequence[Event | Expiring | Ended]:
        return [Expiring(330) if event == Expiring(3_600) else event for event in super().receive(message)]


@pytest.mark.parametrize("model", [None, LIVE])
def test_sessions_are_handed_over_at_a_pause(model: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    @virtual_time
    async def test() -> None:
        time = asyncio.get_running_loop().time
        monkeypatch.setattr("voicecli.providers.openai.transcription.OpenAITranscription", ShortLivedCodec)
        async with TranscriptionServer(lag_s=1.0) as server:
            async with transcribing(server, model) as talk:
                began = time()
                for number in range(9):
                    # Nobody pauses in the middle of a word: where the socket is replaced, none is cut.
                    await talk.say(number, realtime=False, ms=5_000, pause_ms=4_000)
                    await asyncio.sleep(max(began + 9 * (number + 1) - time(), 0.0))
                await talk.finish()
            assert said(talk.events) == words(9)
            check_times(talk.events, 9_000)
            assert len([event for event in talk.events if isinstance(event, SessionStarted)]) >= 3
            assert not any(isinstance(event, Reconnecting) for event in talk.events)

    test()


@virtual_time
async def test_a_recording_runs_ahead_by_a_minute_of_what_has_no_words_yet() -> None:
    async with TranscriptionServer(lag_s=5.0) as server:
        async with transcribing(server) as talk:
            time, began = asyncio.get_running_loop().time, asyncio.get_running_loop().time()
            ahead = 0.0
            for number in range(40):
                await talk.say(number, realtime=False, ms=2_000, pause_ms=1_000)
                sent = sum(len(item.audio) for session in server.sessions for item in session.items)
                told = sum(
                    event.usage.transcription_seconds for event in talk.events if isinstance(event, UsageUpdated)
                )
                ahead = max(ahead, sent / 48_000 - told)
            await talk.finish()
            assert time() - began < 30  # two minutes of audio
        assert said(talk.events) == words(40)
        assert 57 <= ahead <= 63


@virtual_time
async def test_a_model_that_writes_while_one_speaks_hears_a_recording_in_real_time() -> None:
    async with TranscriptionServer() as server:
        async with transcribing(server, LIVE) as talk:
            time, began = asyncio.get_running_loop().time, asyncio.get_running_loop().time()
            for number in range(20):
                await talk.say(number, realtime=False)
            await talk.finish()
            assert 9.5 <= time() - began <= 11
        assert said(talk.events) == words(20)
        sent = sum(len(item.audio) for item in server.sessions[0].items)
        assert sent == 20 * 24_000, "no silence is added"


@pytest.mark.parametrize("status", [401, 404])
def test_a_refused_handshake_is_one_error_with_advice(status: int) -> None:
    @virtual_time
    async def test() -> None:
        async with TranscriptionServer(refuse=[status]) as server:
            with pytest.raises(RealtimeConnectionError, match=str(status)) as raised:
                async with transcribing(server):
                    pass
            assert raised.value.advice
            assert isinstance(raised.value, AuthenticationError) == (status == 401)
            assert KEY not in str(raised.value)

    test()


@virtual_time
async def test_closing_in_the_middle_takes_no_longer_than_it_must() -> None:
    async with TranscriptionServer(lag_s=60.0) as server, transcribing(server) as talk:
        await talk.say(0)
        began = asyncio.get_running_loop().time()
        await talk.connection.aclose()
        assert asyncio.get_running_loop().time() - began < 5
