"""Sessions over a scripted provider."""

import asyncio
from collections.abc import Sequence
from typing import Any

from voicecli import Prices, RealtimeConfig, RealtimeVoice, VADMode
from voicecli.commands import AppendAudio, Command
from voicecli.conversation.session import VoiceSession
from voicecli.events import AudioChunk, Event, ResponseDone, ResponseStarted, StateChanged
from voicecli.ports import Capabilities
from voicecli.testing import ScriptedConnection, Step, scripted_provider

__all__ = [
    "MANUAL",
    "REPLY_HEARD",
    "SECOND",
    "SERVER",
    "RealTime",
    "collect",
    "conversation",
    "full_duplex",
    "overhearing",
    "until",
    "words_first",
]

SECOND = bytes(48_000)
MANUAL = RealtimeConfig(vad_mode=VADMode.NONE, response_timeout_s=5)
SERVER = RealtimeConfig(vad_mode=VADMode.SERVER, response_timeout_s=5)
REPLY_HEARD: list[Step] = [ResponseStarted("r"), AudioChunk(SECOND, "r", "item"), ResponseDone("r")]


def conversation(
    *script: list[Step], config: RealtimeConfig = MANUAL, tools: Any = ()
) -> tuple[RealtimeVoice, ScriptedConnection]:
    connection = ScriptedConnection(script)
    return RealtimeVoice(scripted_provider(connection=connection), config=config, tools=tools), connection


def words_first(vad_mode: VADMode) -> tuple[RealtimeVoice, ScriptedConnection]:
    """A conversation with a provider that tells what was said before it does anything about it."""
    connection = ScriptedConnection(capabilities=Capabilities(input_rate=16_000, output_rate=24_000, words_first=True))
    return RealtimeVoice(scripted_provider(connection=connection), config=RealtimeConfig(vad_mode=vad_mode)), connection


def overhearing(**settings: Any) -> tuple[RealtimeVoice, ScriptedConnection]:
    """A conversation with a provider that finds the turns, and tells of no voice."""
    capabilities = Capabilities(input_rate=16_000, output_rate=24_000, reports_speech=False)
    connection = ScriptedConnection(capabilities=capabilities)
    config = RealtimeConfig(vad_mode=VADMode.SERVER, response_timeout_s=5, **settings)
    return RealtimeVoice(scripted_provider(connection=connection), config=config), connection


class RealTime(ScriptedConnection):
    """One that takes audio as fast as it is spoken.

    Attributes:
        last_words: what it tells when it is closed.
    """

    last_words: Sequence[Step] = ()

    async def aclose(self) -> None:
        self.play(self.last_words)
        self.last_words = ()
        await super().aclose()

    async def send(self, command: Command) -> None:
        await super().send(command)
        if isinstance(command, AppendAudio):
            await asyncio.sleep(len(command.audio) / 2 / self.input_rate)


def full_duplex(**settings: Any) -> tuple[RealtimeVoice, RealTime]:
    """A conversation with a model that hears and speaks at once, billed by the minute."""
    capabilities = Capabilities(
        input_rate=16_000, output_rate=24_000, reports_speech=False, full_duplex=True, input_must_flow=True
    )
    connection = RealTime(capabilities=capabilities)
    provider = scripted_provider(connection=connection, prices=Prices(session_minute=0.05))
    return RealtimeVoice(provider, config=RealtimeConfig(**{"response_timeout_s": 20.0, **settings})), connection


async def until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


async def collect(session: VoiceSession) -> list[Event]:
    """The events to the end, without the states, which have tests of their own."""
    return [event async for event in session if not isinstance(event, StateChanged)]
