"""Logs of a conversation: told of everything, by its clock, and never in its way."""

import asyncio

import pytest

from tests.conversation.scripted import MANUAL, conversation
from tests.support.virtual_time import virtual_time
from voicecli import RealtimeVoice
from voicecli.commands import Command, SendText
from voicecli.errors import RealtimeConnectionError
from voicecli.events import Event, ResponseDone, SessionEnded, SessionStarted, TranscriptUpdate
from voicecli.testing import ScriptedConnection, reply, scripted_provider


class Log:
    def __init__(self) -> None:
        self.told: list[tuple[Event | Command, float]] = []

    def event(self, event: Event, at_ms: float) -> None:
        self.told.append((event, at_ms))

    def command(self, command: Command, at_ms: float) -> None:
        self.told.append((command, at_ms))

    def of(self, kind: type[Event | Command]) -> list[float]:
        return [round(at_ms) for what, at_ms in self.told if isinstance(what, kind)]


class Failing(Log):
    def event(self, event: Event, at_ms: float) -> None:
        super().event(event, at_ms)
        raise OSError("disk full")


class Closing(Log):
    async def aclose(self) -> None:
        await asyncio.sleep(1)
        self.closed_after = type(self.told[-1][0])
        raise OSError("disk full")


@virtual_time
async def test_a_log_is_told_of_all_at_the_time_of_the_conversation() -> None:
    voice, _ = conversation(reply("It is Paris."))
    log = Log()
    async with voice.connect(logs=[log]) as session:
        await asyncio.sleep(2)
        await session.ask("Which city?")
        await asyncio.sleep(3)
    assert log.of(SessionStarted) == [0]
    assert log.of(SendText) == [2_000]
    assert log.of(ResponseDone) == [2_000]
    assert log.of(SessionEnded) == [5_000]
    kinds = [type(what) for what, _ in log.told]
    assert kinds.index(SendText) < kinds.index(TranscriptUpdate) < kinds.index(ResponseDone)
    assert kinds[-1] is SessionEnded


@virtual_time
async def test_a_log_that_fails_is_left_out() -> None:
    voice = RealtimeVoice(scripted_provider(connection=ScriptedConnection([reply("It is Paris.")])), config=MANUAL)
    failing, log = Failing(), Log()
    async with voice.connect(logs=[failing, log]) as session:
        assert (await session.ask("Which city?")).transcript == "It is Paris."
    assert len(failing.told) == 1
    assert log.of(SessionEnded)


@virtual_time
async def test_logs_finish_before_the_conversation_is_left(caplog: pytest.LogCaptureFixture) -> None:
    voice, _ = conversation(reply("It is Paris."))
    one, other = Closing(), Closing()
    async with voice.connect(logs=[one, Log(), other]) as session:
        await session.ask("Which city?")
    assert one.closed_after is other.closed_after is SessionEnded
    assert len([record for record in caplog.records if "could not be finished" in record.message]) == 2


@virtual_time
async def test_whoever_ends_the_conversation_too_waits_for_the_logs() -> None:
    """A key ends it, and its view is left at once, which cancels what the key began."""
    voice, _ = conversation()
    log = Closing()
    async with voice.connect(logs=[log]) as session:
        first = asyncio.create_task(session.aclose())
        await asyncio.sleep(0.5)  # it waits for the log
        second = asyncio.create_task(session.aclose())
        await asyncio.sleep(0.1)
        first.cancel()
        await second
        assert log.closed_after is SessionEnded


@virtual_time
async def test_what_is_said_after_the_end_is_told_to_no_log() -> None:
    voice, _ = conversation(reply("It is Paris."))
    log = Log()
    async with voice.connect(logs=[log]) as session:
        await session.ask("Which city?")
    told = len(log.told)
    with pytest.raises(RealtimeConnectionError):
        await session.ask("And which river?")
    assert len(log.told) == told
