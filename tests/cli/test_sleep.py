"""Asleep nothing is connected and nothing sent, with every provider; awake it is one conversation that goes on.

The microphone's device and the wake word's detector are the test's, the servers are real.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.conversation.test_parity import QUESTION, Backend, Say, every
from tests.conversation.test_parity import question as question
from tests.live.test_live_keys import Sink, Stream
from voicecli.audio import WakeWord, chunk_audio, resample_pcm16
from voicecli.audio.devices.opening import DeviceFormat
from voicecli.cli.keeping import Keeping
from voicecli.cli.live import LiveConversation
from voicecli.cli.options import Devices, Sleep
from voicecli.config import RealtimeConfig, VADMode
from voicecli.events import Asleep, Awake, ErrorOccurred, Event, ResponseDone, TranscriptUpdate
from voicecli.history.store import Store
from voicecli.providers import find_provider
from voicecli.providers.local.settings import LocalSettings
from voicecli.voice import RealtimeVoice


@pytest.fixture(autouse=True)
def models_are_loaded_once(request: pytest.FixtureRequest) -> None:
    """For the tests with the offline engine."""
    if request.node.callspec.id == "local":
        request.getfixturevalue("shared_models")


class ToldDetector:
    """Hears the wake word when the test says so; the utterance began just now."""

    said = False

    async def hear(self, audio: bytes) -> int | None:
        said, self.said = self.said, False
        return 20 if said else None

    def reset(self) -> None: ...
    async def aclose(self) -> None: ...


@pytest.fixture
def detector(monkeypatch: pytest.MonkeyPatch) -> ToldDetector:
    for module in ("microphone", "speaker"):
        monkeypatch.setattr(f"voicecli.audio.devices.{module}.DeviceStream", Stream)
    detector = ToldDetector()

    async def load(phrase: str, sample_rate: int) -> WakeWord:
        return WakeWord(phrase, sample_rate, detector)

    monkeypatch.setattr(WakeWord, "load", load)
    return detector


@dataclass
class Bed:
    live: LiveConversation
    events: list[Event]
    format: DeviceFormat

    def hear(self, audio: bytes) -> None:
        """Let the microphone hear PCM16 at 16000 Hz, at once."""
        rate = self.format.sample_rate
        for chunk in chunk_audio(resample_pcm16(audio, 16_000, rate), chunk_ms=20, sample_rate=rate):
            self.live._microphone._record(chunk, self.format, 0.0)

    async def until(self, kind: type[Event], count: int) -> None:
        await eventually(lambda: sum(isinstance(event, kind) for event in self.events) >= count)


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def sleeping(name: str, where: dict[str, Any]) -> AsyncIterator[Bed]:
    provider = find_provider(name)
    config = RealtimeConfig(vad_mode=VADMode.CLIENT, **where)
    rate = provider.capabilities.input_rate
    live = LiveConversation(
        config,
        provider.capabilities,
        Devices(echo="off"),
        sink=Sink(),
        sleep=Sleep("computer", 0.5),
        keeping=Keeping(on=True),
    )
    events: list[Event] = []
    await live.open()
    holding = asyncio.create_task(live.hold(RealtimeVoice(provider, config=config), [events.append]))
    try:
        await eventually(lambda: bool(events))
        yield Bed(live, events, DeviceFormat("Microphone", rate, 1))
        live.end()
        async with asyncio.timeout(10):
            await holding
    finally:
        holding.cancel()
        await asyncio.wait([holding])
        await live.aclose()


@every
async def test_it_talks_when_it_is_woken_and_sleeps_again(
    kind: type[Backend], question: bytes, detector: ToldDetector
) -> None:
    backend = kind([Say("It is Paris."), Say("It was Bonn.")])
    async with backend.serve() as where, sleeping(backend.name, where) as bed:
        bed.hear(question)
        await asyncio.sleep(0.2)
        assert backend.seen == "[]"
        detector.said = True
        bed.hear(question)
        await bed.until(ResponseDone, 1)
        spoken = [event.text for event in bed.events if isinstance(event, TranscriptUpdate) and event.final]
        assert spoken == [QUESTION, "It is Paris."]
        assert "It is Paris." not in backend.seen
        await bed.until(Asleep, 2)
        seen = backend.seen
        bed.hear(question)
        await asyncio.sleep(0.2)
        assert backend.seen == seen
        bed.live.say("And before?")
        await bed.until(ResponseDone, 2)
        assert "It is Paris." in backend.seen, "the second conversation knows of the first"
        await bed.until(Asleep, 3)
    assert [event.by for event in bed.events if isinstance(event, Awake)] == ["word", "key"]
    with Store() as store:
        second, first = store.conversations()
        assert (second.continues, first.continues) == (first.id, "")
        texts = [turn.text for turn in store.turns_before(second.id)]
    assert texts == [QUESTION, "It is Paris.", "And before?", "It was Bonn."]


@pytest.mark.parametrize("name", ["openai", "gemini", "local"])
async def test_asleep_no_connection_is_open(name: str, question: bytes, detector: ToldDetector) -> None:
    """Not even one on which nothing is said; awake there is one."""
    connections = received = 0

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections, received
        connections += 1
        received += len(await reader.read(1))
        writer.close()

    async with await asyncio.start_server(connected, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        where = (
            {"provider_settings": LocalSettings(llm=url)} if name == "local" else {"base_url": url, "api_key": "k" * 20}
        )
        async with sleeping(name, where) as bed:
            for _ in range(5):
                bed.hear(question)
            await asyncio.sleep(0.3)
            assert (connections, received) == (0, 0)
            detector.said = True
            bed.hear(question)
            await bed.until(ErrorOccurred, 1)
            assert connections > 0
            assert received > 0
            await bed.until(Asleep, 2)
