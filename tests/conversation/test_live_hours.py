"""A long session of GPT-Live in virtual time: it is billed by the second, ends, and goes on in a seeded one."""

import asyncio
import tracemalloc
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from tests.loopback.live_script import LiveReply, tone
from tests.loopback.live_session import LiveSession
from tests.support.codec_connection import CodecConnection
from tests.support.virtual_time import run_without_io
from voicecli import RealtimeConfig, RealtimeVoice
from voicecli.commands import AppendAudio, Command
from voicecli.connection.pacer import PAUSE_S
from voicecli.connection.silence import SilenceFeeder
from voicecli.events import Event, Reconnecting, ResponseDone, SessionStarted, Usage, UsageUpdated
from voicecli.ports import Connection, ConversationSetup
from voicecli.providers import find_provider
from voicecli.providers.openai.live import LiveCodec
from voicecli.providers.openai.settings import OpenAISettings

CONFIG = RealtimeConfig(
    api_key="sk-test",
    model="gpt-live-1.1",
    idle_minutes=0,
    provider_settings=OpenAISettings(live_sample_rate=16_000),
)
CAPABILITIES = replace(find_provider("openai").capabilities_of(CONFIG), input_rate=16_000, output_rate=16_000)
DOLLARS_A_MINUTE = 0.05
# What grows in two hours grows in three minutes: each of them takes a third of a second of real time.
MINUTES = 3


class LiveLine(CodecConnection):
    """A codec and the strict sessions of a server, one after the other, joined without a network.

    Args:
        limit_s: when a session ends, on its clock.
    """

    def __init__(self, setup: ConversationSetup, limit_s: float) -> None:
        super().__init__(LiveCodec(setup), CAPABILITIES)
        self.sessions: list[LiveSession] = []
        self._hears: deque[str] = deque(f"Question {number}?" for number in range(1_000))
        self._replies = deque(LiveReply(text=f"Answer {number}.") for number in range(1_000))
        self._limit_s = limit_s
        self._resumes_at = 0.0
        self._feeder = SilenceFeeder(self._send, CAPABILITIES.input_rate, lambda: self._resumes_at)
        self.connect()
        self._feeder.run_for(1e9)

    def connect(self) -> None:
        number = len(self.sessions) + 1
        self.sessions.append(LiveSession(replies=self._replies, hears=self._hears, number=number))
        self.open()

    async def send(self, command: Command) -> None:
        if isinstance(command, AppendAudio):
            now = asyncio.get_running_loop().time()
            self._resumes_at = now + len(command.audio) / 32_000 + PAUSE_S
        await self._send(command)

    async def _send(self, command: Command) -> None:
        await super().send(command)
        session = self.sessions[-1]
        if not session.ended and session.now_ms >= self._limit_s * 1000:
            self._hear(session.end("expired"))
            self.tell(Reconnecting(1, 0.0, "expired"))
            self.connect()

    def flush(self) -> list[dict[str, object]]:
        for data in self.codec.data_to_send():
            self._hear(self.sessions[-1].receive(data.decode()))
        assert not self.sessions[-1].violations
        return []

    def _hear(self, frames: list[dict[str, object]]) -> None:
        if frames:
            self.read(frames)

    async def aclose(self) -> None:
        assert isinstance(self.codec, LiveCodec)
        self.codec.close()
        self.flush()
        async with asyncio.timeout(5):
            while not self.sessions[-1].ended:
                await asyncio.sleep(0.1)
        self._feeder.stop()
        await super().aclose()


def hold(minutes: float, limit_s: float, *, talks: bool) -> tuple[LiveLine, list[Event], Usage, int]:
    """A conversation of so many minutes, with a turn every 20 s; and, where nothing is said, how many
    bytes it came to hold after the first minute."""
    lines: list[LiveLine] = []
    events: list[Event] = []

    async def connect(setup: ConversationSetup) -> Connection:
        lines.append(LiveLine(setup, limit_s))
        return lines[0]

    async def listen(told: AsyncIterator[Event]) -> None:
        async for event in told:
            if isinstance(event, SessionStarted | ResponseDone | UsageUpdated):
                events.append(event)

    async def talk() -> tuple[Usage, int]:
        voice = RealtimeVoice(replace(find_provider("openai"), connect=connect), config=CONFIG)
        async with voice.connect() as session:
            listening = asyncio.create_task(listen(aiter(session)))
            session.realtime = True
            for turn in range(round(minutes * 3)):
                if turn == 3 and not talks:
                    tracemalloc.start()
                for _ in range(6 if talks else 0):
                    await session.send_audio(tone(100, 16_000), wait=False)
                    await asyncio.sleep(0.1)
                await asyncio.sleep(19.4 if talks else 20)
            grown = tracemalloc.get_traced_memory()[0]
            await session.aclose()
            usage = session.usage
        await listening
        return usage, grown

    try:
        usage, grown = run_without_io(talk())
    finally:
        tracemalloc.stop()
    return lines[0], events, usage, grown


def test_a_long_session_is_billed_to_the_second_and_goes_on_when_it_ends() -> None:
    line, events, usage, _ = hold(MINUTES, MINUTES * 40, talks=True)
    assert len(line.sessions) == 2
    assert [event.resumed for event in events if isinstance(event, SessionStarted)] == [False, True]
    seconds = sum(session.seconds for session in line.sessions)
    assert seconds == pytest.approx(MINUTES * 60, abs=MINUTES)  # each pause of the microphone is a quarter second
    assert usage.session_seconds == pytest.approx(seconds, abs=0.5)  # the server tells whole seconds
    assert usage.cost_usd == pytest.approx(seconds / 60 * DOLLARS_A_MINUTE, abs=DOLLARS_A_MINUTE / 120)
    seeded = line.sessions[1].config
    assert seeded is not None
    told = [item["content"][0]["text"] for item in seeded["input"]]
    assert told[:2] == ["Question 0?", "Answer 0."]
    assert len([event for event in events if isinstance(event, ResponseDone)]) >= MINUTES * 3 - 1


def test_a_session_in_which_nothing_is_said_does_not_grow() -> None:
    _, events, usage, grown = hold(MINUTES, 7_200, talks=False)
    assert usage.session_seconds == pytest.approx(MINUTES * 60, abs=1)
    assert grown < 100_000 + 200 * len(events)
