"""A transcription: utterances are ended for services that want that, and captions come with the times of the voice."""

import asyncio
import tracemalloc
from collections.abc import AsyncIterator

import pytest

from tests.conftest import DATA
from tests.support.virtual_time import virtual_time
from tests.transcribing.fakes import RATE, CommittingService
from voicecli.audio.files.source import WavSource
from voicecli.captions import Caption
from voicecli.config import ClientVAD, RealtimeConfig
from voicecli.conversation.limits import Limits
from voicecli.errors import (
    AudioFormatError,
    ConfigurationError,
    LimitReachedError,
    RealtimeConnectionError,
    RealtimeError,
)
from voicecli.events import Event, Notice, SessionStarted, TranscriptUpdate, Usage, UsageUpdated
from voicecli.pcm16 import PcmFormat
from voicecli.transcribing.feeding import feed
from voicecli.transcribing.session import TranscriptionSession

SILENCE = PcmFormat(RATE).silence(1_000)
WEBRTC = ClientVAD(engine="webrtc")


def session_with(*services: CommittingService, channels: bool = False, **more: object) -> TranscriptionSession:
    return TranscriptionSession(services, tells_channels=channels, vad=WEBRTC, **more)  # type: ignore[arg-type]


async def captions_of(session: TranscriptionSession, *, final: bool = True) -> list[Caption]:
    return [caption async for caption in session if caption.final or not final]


async def test_an_utterance_is_ended_at_a_pause_and_its_times_are_those_of_the_voice(speech: bytes) -> None:
    service = CommittingService()
    session = session_with(service)
    await session.send_audio(SILENCE + speech + SILENCE + SILENCE + speech)
    await session.finish()
    first, second = await captions_of(session)
    length = int(PcmFormat(RATE).duration_ms(len(speech)))
    assert len(service.commits) == 2, "the last one by the end of the input"
    assert 1_000 + length < service.commits[0] < 3_000 + length, "within the pause"
    assert first.text == f"said 0-{service.commits[0]}"
    assert 1_000 <= first.start_ms < 1_000 + length / 2
    assert 1_000 + length / 2 < first.end_ms <= 1_000 + length + 300
    assert second.start_ms >= 3_000 + length
    assert second.end_ms <= service.sent_ms
    assert first.channel is None


async def test_the_end_of_an_utterance_does_not_depend_on_how_it_is_sent(speech: bytes) -> None:
    sound = SILENCE + speech + SILENCE + SILENCE + speech + SILENCE
    commits = []
    for step in (640, 12_800, len(sound)):
        service = CommittingService()
        session = session_with(service)
        for at in range(0, len(sound), step):
            await session.send_audio(sound[at : at + step])
        await session.finish()
        commits.append(service.commits)
    assert commits[0] == pytest.approx(commits[1], abs=100)
    assert commits[1] == pytest.approx(commits[2], abs=100)


async def test_a_service_that_finds_utterances_is_left_to_it(speech: bytes) -> None:
    service = CommittingService(reports_speech=True)
    session = session_with(service)
    await session.send_audio(speech + SILENCE + SILENCE)
    assert service.commits == []
    service.said("Hello.", 200, 900)
    await session.finish()
    (hello, rest) = await captions_of(session)
    assert (hello.start_ms, hello.end_ms, hello.text) == (200, 900, "Hello.")
    assert rest.text.startswith("said 0-"), "what is left is asked for at the end"


async def test_a_microphone_with_another_rate_keeps_the_time(speech: bytes) -> None:
    service = CommittingService()
    session = session_with(service)
    await session.send_audio(bytes(2 * 48_000 * 3), sample_rate=48_000)
    await session.finish()
    assert service.sent_ms == pytest.approx(3_000, abs=5)
    assert session.heard_ms == service.sent_ms


async def test_partial_words_come_at_once_and_final_ones_in_order() -> None:
    service = CommittingService(reports_speech=True)
    session = session_with(service)
    service.said("", 0, None, final=False, name="a")
    service.said("One", 0, None, final=False, name="a")
    service.said("Two.", 5_000, 6_000, name="b")
    service.said("One.", 0, 1_000, name="a")
    await session.finish()
    told = [(each.text, each.final) for each in await captions_of(session, final=False)]
    assert told == [("One", False), ("One.", True), ("Two.", True)]


async def test_words_that_never_come_do_not_hold_up_the_others_for_long() -> None:
    service = CommittingService(reports_speech=True)
    session = session_with(service)
    service.said("", 0, None, final=False, name="lost")
    service.said("Two.", 5_000, 6_000, name="b")
    for _ in range(59):
        await session.send_audio(SILENCE)
    reading = asyncio.ensure_future(anext(aiter(session)))
    await asyncio.sleep(0)
    assert not reading.done()
    for _ in range(3):
        await session.send_audio(SILENCE)
    assert (await reading).text == "Two."
    await session.aclose()


async def test_channels_are_told_apart_and_merged() -> None:
    left, right = CommittingService(reports_speech=True), CommittingService(reports_speech=True)
    session = session_with(left, right, channels=True)
    left.said("", 500, None, final=False, name="long")
    right.said("Second.", 3_000, 4_000)
    right.said("Fourth.", 9_000, 9_500)
    for _ in range(10):
        await asyncio.gather(*(session.send_audio(SILENCE, channel=channel) for channel in (1, 2)))
    left.said("First.", 500, 7_000, name="long")
    left.said("Third.", 8_000, 8_900)
    assert await _next(session, 2) == [(1, "First."), (2, "Second.")]
    await asyncio.gather(*(session.send_audio(SILENCE, channel=channel) for channel in (1, 2)))
    assert await _next(session, 2) == [(1, "Third."), (2, "Fourth.")]
    await session.aclose()


async def test_a_channel_that_is_behind_is_waited_for() -> None:
    left, right = CommittingService(reports_speech=True), CommittingService(reports_speech=True)
    session = session_with(left, right, channels=True)
    right.said("Second.", 3_000, 4_000)
    for _ in range(5):
        await session.send_audio(SILENCE, channel=2)
    left.said("First.", 2_000, 2_500)
    for _ in range(5):
        await session.send_audio(SILENCE, channel=1)
    assert await _next(session, 2) == [(1, "First."), (2, "Second.")]
    await session.aclose()


async def _next(session: TranscriptionSession, count: int) -> list[tuple[int | None, str]]:
    captions = aiter(session)
    return [(each.channel, each.text) for each in [await anext(captions) for _ in range(count)]]


async def test_a_failure_is_told_behind_what_was_known(speech: bytes) -> None:
    service = CommittingService(reports_speech=True)
    session = session_with(service)
    service.said("Known.", 0, 500)
    service.tell(RealtimeError("The line is cut."))
    reading = asyncio.create_task(captions_of(session))
    with pytest.raises(RealtimeError, match="The line is cut"):
        await reading
    with pytest.raises(RealtimeError, match="The line is cut"):
        await session.send_audio(speech)
    with pytest.raises(RealtimeError, match="The line is cut"):
        await session.finish()


async def test_other_events_are_handed_on_and_usage_is_counted() -> None:
    events: list[Event] = []
    service = CommittingService(reports_speech=True)
    session = session_with(service, on_event=events.append)
    service.tell(Notice("a", "b"))
    service.tell(UsageUpdated(Usage(session_seconds=3, cost_usd=0.1)))
    service.tell(UsageUpdated(Usage(session_seconds=5, cost_usd=0.2)))
    service.tell(TranscriptUpdate("assistant", "x", "not the user's", final=True))
    await session.finish()
    assert [type(event) for event in events[:2]] == [SessionStarted, Notice]
    assert (session.usage.session_seconds, session.usage.cost_usd) == (5, 0.2)
    assert await captions_of(session) == []


async def test_what_cannot_be_sent_is_told() -> None:
    session = session_with(CommittingService())
    with pytest.raises(ConfigurationError, match="channel: there is none of number 2"):
        await session.send_audio(SILENCE, channel=2)
    await session.aclose()
    with pytest.raises(RealtimeConnectionError, match="over"):
        await session.send_audio(SILENCE)
    await session.aclose()


async def test_a_recording_is_fed_and_its_words_told() -> None:
    service = CommittingService()
    session = session_with(service)
    source = WavSource(DATA / "three_questions.wav")
    await asyncio.gather(feed(session, source), read := asyncio.ensure_future(captions_of(session)))
    await source.aclose()
    assert len(read.result()) == 3


class Breaking:
    """A recording that breaks off."""

    sample_rate = RATE
    realtime = False

    def __init__(self, audio: bytes) -> None:
        self._audio = audio

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._audio
        raise AudioFormatError("It is damaged.")

    async def aclose(self) -> None: ...


async def test_of_a_recording_that_breaks_off_what_there_is_is_told(speech: bytes) -> None:
    service = CommittingService()
    session = session_with(service)
    reading = asyncio.create_task(captions_of(session))
    with pytest.raises(AudioFormatError, match="damaged"):
        await feed(session, Breaking(speech))
    assert len(await reading) == 1


async def test_memory_does_not_grow_with_the_length(speech: bytes) -> None:
    service = CommittingService()
    session = session_with(service)
    reading = asyncio.create_task(_count(session))
    minute = (speech + SILENCE * 2) * max(1, 60_000 // (int(PcmFormat(RATE).duration_ms(len(speech))) + 2_000))
    tracemalloc.start()
    try:
        sizes = []
        for _ in range(4):
            await session.send_audio(minute)
            service.commits.clear()
            sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    await session.finish()
    assert await reading > 15
    assert sizes[-1] - sizes[0] < 100_000, sizes


async def _count(session: TranscriptionSession) -> int:
    return len([None async for caption in session if caption.final])


@pytest.mark.parametrize(
    ("config", "limit", "minutes"),
    [
        (RealtimeConfig(), "idle_minutes", 12),
        (RealtimeConfig(max_minutes=5), "max_minutes", 5),
        (RealtimeConfig(max_cost=0.51, idle_minutes=0), "max_cost", 3),
    ],
)
@virtual_time
async def test_a_limit_ends_it_behind_what_was_said(
    speech: bytes, config: RealtimeConfig, limit: str, minutes: float
) -> None:
    clock = asyncio.get_running_loop().time
    begun = clock()
    service, told = CommittingService(), list[Event]()
    limits = Limits(config, per_minute=0.17, now=begun)
    session = session_with(service, limits=limits, on_event=told.append)
    await asyncio.sleep(120)
    await session.send_audio(speech + SILENCE)
    captions = []
    with pytest.raises(LimitReachedError) as caught:
        async for caption in session:
            captions.append(caption)
    assert caught.value.limit == limit
    assert clock() - begun == pytest.approx(60 * minutes, abs=3)
    assert [caption.text[:4] for caption in captions if caption.final] == ["said"]
    assert [event.code for event in told if isinstance(event, Notice)] == ["limit_near"]
    with pytest.raises(LimitReachedError):
        await session.send_audio(speech)
    await session.aclose()
