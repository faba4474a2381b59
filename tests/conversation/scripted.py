"""Sessions over a scripted provider."""

import asyncio
from typing import Any

from voicecli import RealtimeConfig, RealtimeVoice, VADMode
from voicecli.conversation.session import VoiceSession
from voicecli.events import AudioChunk, Event, ResponseDone, ResponseStarted, StateChanged
from voicecli.ports import Capabilities
from voicecli.testing import ScriptedConnection, Step, scripted_provider

__all__ = [
    "MANUAL",
    "REPLY_HEARD",
    "SECOND",
    "SERVER",
    "collect",
    "conversation",
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


async def until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


async def collect(session: VoiceSession) -> list[Event]:
    """The events to the end, without the states, which have tests of their own."""
    return [event async for event in session if not isinstance(event, StateChanged)]
