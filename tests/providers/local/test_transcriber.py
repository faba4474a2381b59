"""The offline transcriber: utterances are recognised in order, with their times; nobody waits for ever."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.audio.test_utterances import LoudIsVoice, ms, sound
from tests.providers.local.fakes import Events
from tests.support.virtual_time import virtual_time
from voicecli.audio.speech_to_text import Moonshine
from voicecli.audio.utterances import UtteranceDetector
from voicecli.commands import AppendAudio, EndTurn
from voicecli.config import RealtimeConfig
from voicecli.errors import ConfigurationError, RealtimeConnectionError, RealtimeError
from voicecli.events import Notice, SessionEnded, SessionStarted, TranscriptUpdate
from voicecli.pcm16 import PcmFormat
from voicecli.ports import Finishing, TranscriberSetup
from voicecli.providers.local import LOCAL
from voicecli.providers.local.shared_hearing import SharedHearing
from voicecli.providers.local.transcriber import LocalTranscriber

assert LOCAL.transcriber is not None
SERVICE = LOCAL.transcriber
UTTERANCE = sound((20, 0), (40, 3000), (20, 0))


class Ears:
    """A recogniser that says how long the sound is, in ms, and waits while it is held."""

    def __init__(self) -> None:
        self.free = asyncio.Event()
        self.free.set()
        self.heard: list[int] = []
        self.partials: list[int] = []
        self.closed = False
        self.error: RealtimeError | None = None

    async def transcribe(self, audio: bytes) -> str:
        await self.free.wait()
        if self.error is not None:
            raise self.error
        length = int(PcmFormat(16_000).duration_ms(len(audio)))
        self.heard.append(length)
        return f"{length} ms"

    async def partial(self, utterance: str, audio: bytes) -> str:
        self.partials.append(int(PcmFormat(16_000).duration_ms(len(audio))))
        return f"so far {sum(self.partials)}"

    async def aclose(self) -> None:
        self.closed = True


@asynccontextmanager
async def transcribing(ears: Ears) -> AsyncIterator[tuple[LocalTranscriber, Events]]:
    connection = LocalTranscriber(ears, UtteranceDetector(LoudIsVoice(), 16_000, pause_ms=608), SERVICE.capabilities)
    events = Events(connection)
    try:
        yield connection, events
    finally:
        await connection.aclose()
        assert ears.closed


def updates(events: Events) -> list[TranscriptUpdate]:
    return [event for event in events.seen if isinstance(event, TranscriptUpdate)]


def finals(events: Events) -> list[TranscriptUpdate]:
    return [event for event in updates(events) if event.final]


async def test_each_utterance_has_its_words_and_the_times_of_its_voice() -> None:
    ears = Ears()
    async with transcribing(ears) as (connection, events):
        assert isinstance(connection, Finishing)
        for _ in range(3):
            await connection.send(AppendAudio(UTTERANCE))
        await connection.finish()
        await events.until_seen(TranscriptUpdate, 6)
    assert isinstance(events.seen[0], SessionStarted)
    assert isinstance(events.seen[-1], SessionEnded)
    assert [(each.start_ms, each.end_ms) for each in finals(events)] == [(ms(at), ms(at + 40)) for at in (20, 100, 180)]
    # With 480 ms of what is before the voice, and 320 of what is behind it.
    assert ears.heard == [480 + ms(40) + 320] * 3
    reserved = [event for event in updates(events) if not event.final]
    assert [(each.text, each.start_ms) for each in reserved] == [("", ms(20)), ("", ms(100)), ("", ms(180))]


async def test_a_recording_has_no_partial_words_and_a_microphone_has() -> None:
    ears = Ears()
    async with transcribing(ears) as (connection, events):
        for realtime in (False, True):
            assert ears.partials == []
            for at in range(0, len(UTTERANCE), 640):
                await connection.send(AppendAudio(UTTERANCE[at : at + 640], realtime))
                await connection.drain()
                await asyncio.sleep(0)
        await connection.finish()
        await events.until_seen(TranscriptUpdate, 5)
    partial = [event for event in updates(events) if event.text.startswith("so far")]
    assert len(partial) >= 2
    assert {each.start_ms for each in partial} == {ms(100)}
    assert {each.item_id for each in partial} == {finals(events)[-1].item_id}
    assert sum(ears.partials) < ears.heard[-1] + 608, "each piece once, the pause too"


async def test_an_end_that_is_told_ends_the_utterance() -> None:
    async with transcribing(Ears()) as (connection, events):
        await connection.send(AppendAudio(sound((40, 3000))))
        await connection.send(EndTurn())
        await connection.send(EndTurn())
        await events.until_seen(TranscriptUpdate, 2)
    assert [(each.start_ms, each.end_ms) for each in finals(events)] == [(0, ms(40))]


async def test_a_long_utterance_is_cut_and_nothing_is_lost_or_heard_twice() -> None:
    ears = Ears()
    async with transcribing(ears) as (connection, events):
        for _ in range(40):
            await connection.send(AppendAudio(sound((31, 3000))))
        await connection.finish()
    assert sum(ears.heard) == 40 * ms(31)
    assert max(ears.heard) <= 15_000 + 32
    assert len(finals(events)) == len(ears.heard) >= 3


async def test_whoever_is_faster_than_the_recogniser_waits() -> None:
    ears = Ears()
    ears.free.clear()
    async with transcribing(ears) as (connection, events):

        async def send() -> None:
            for _ in range(20):
                await connection.send(AppendAudio(UTTERANCE))

        sending = asyncio.create_task(send())
        for _ in range(200):
            await asyncio.sleep(0.001)
        assert not sending.done()
        ears.free.set()
        await sending
        await connection.finish()
    assert len(finals(events)) == 20


async def test_closing_lets_nobody_wait() -> None:
    ears = Ears()
    ears.free.clear()
    async with transcribing(ears) as (connection, _):
        sending = asyncio.gather(*(connection.send(AppendAudio(UTTERANCE)) for _ in range(20)), return_exceptions=True)
        finishing = asyncio.create_task(connection.finish())
        await asyncio.sleep(0.05)
        await connection.aclose()
        await asyncio.wait_for(finishing, 5)
        await asyncio.wait_for(sending, 5)
        with pytest.raises(RealtimeConnectionError, match="over"):
            await connection.send(EndTurn())


async def test_a_recogniser_that_fails_ends_it() -> None:
    ears = Ears()
    ears.error = RealtimeError("The speech recognition failed: no.")
    connection = LocalTranscriber(ears, UtteranceDetector(LoudIsVoice(), 16_000, pause_ms=608), SERVICE.capabilities)
    with pytest.raises(RealtimeError, match="recognition failed"):
        await connection.send(AppendAudio(UTTERANCE))
        async for _ in connection:
            pass
    await asyncio.wait_for(connection.finish(), 5)
    await connection.aclose()


async def test_a_recogniser_that_hangs_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voicecli.providers.local.transcriber._STUCK_S", 0.01)
    ears = Ears()
    ears.free.clear()
    connection = LocalTranscriber(ears, UtteranceDetector(LoudIsVoice(), 16_000, pause_ms=608), SERVICE.capabilities)
    await connection.send(AppendAudio(UTTERANCE))
    await connection.finish()
    with pytest.raises(RealtimeError, match="said nothing for"):
        async for _ in connection:
            pass
    await connection.aclose()


@virtual_time
async def test_a_slow_recogniser_is_waited_for() -> None:
    class Slow(Ears):
        async def transcribe(self, audio: bytes) -> str:
            await asyncio.sleep(100)
            return await super().transcribe(audio)

    async with transcribing(Slow()) as (connection, events):
        for _ in range(3):
            await connection.send(AppendAudio(UTTERANCE))
        await connection.finish()
    assert len(finals(events)) == 3


@pytest.mark.parametrize("languages", [("de",), ("en", "pt-BR")])
async def test_other_languages_are_refused_with_a_reason(languages: tuple[str, ...]) -> None:
    with pytest.raises(ConfigurationError, match="English only") as caught:
        await SERVICE.connect(TranscriberSetup(config=RealtimeConfig(), languages=languages))
    assert languages[-1] in caught.value.message
    assert "provider" in caught.value.advice


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[Ears]:
    """The recognisers that were loaded."""
    loaded: list[Ears] = []

    async def load() -> Ears:
        await asyncio.sleep(0)
        loaded.append(Ears())
        return loaded[-1]

    monkeypatch.setattr(Moonshine, "load", load)
    return loaded


async def test_transcriptions_at_the_same_time_share_a_model(loads: list[Ears]) -> None:
    first, second = await asyncio.gather(SharedHearing.load(), SharedHearing.load())
    assert len(loads) == 1
    await first.aclose()
    await first.aclose()
    assert not loads[0].closed
    await second.aclose()
    assert loads[0].closed
    third = await SharedHearing.load()
    assert len(loads) == 2
    await third.aclose()


async def test_a_load_that_is_given_up_leaves_nothing_open(loads: list[Ears]) -> None:
    loading = asyncio.create_task(SharedHearing.load())
    while not loads:
        await asyncio.sleep(0)
    loading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loading
    assert [each.closed for each in loads] == [True]


async def test_a_load_that_takes_long_is_not_waited_for_when_nobody_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []

    async def fetch() -> Ears:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("stopped")
        raise AssertionError

    monkeypatch.setattr(Moonshine, "load", fetch)
    loading = [asyncio.create_task(SharedHearing.load()) for _ in range(2)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    loading[0].cancel()
    await asyncio.wait(loading[:1])
    assert not ended, "somebody else waits for it"
    loading[1].cancel()
    await asyncio.wait(loading)
    assert ended == ["stopped"]


@pytest.mark.parametrize("model", ["gpt-transcribe", "moonshine-base"])
async def test_another_model_is_an_error(loads: list[Ears], model: str) -> None:
    setup = TranscriberSetup(config=RealtimeConfig(model=model))
    with pytest.raises(ConfigurationError, match=f"model: the offline engine .* not with '{model}'"):
        await SERVICE.connect(setup)
    assert not loads


async def test_hints_that_have_no_effect_are_told(loads: list[Ears]) -> None:
    setup = TranscriberSetup(config=RealtimeConfig(), languages=("en-GB",), keywords=("voicecli",), prompt="A talk.")
    connection = await SERVICE.connect(setup)
    events = Events(connection)
    await connection.aclose()
    await events.until_over()
    assert [event.code for event in events.seen if isinstance(event, Notice)] == ["setting_ignored", "setting_ignored"]
