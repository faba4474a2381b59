"""The log: a conversation is kept as it is held, and whatever becomes of the history, it goes on."""

import asyncio
import logging
import random
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conversation.scripted import MANUAL
from tests.history.conftest import NOON, days, keep
from tests.support.virtual_time import virtual_time
from voicecli import RealtimeConfig, RealtimeVoice, VADMode
from voicecli.events import SpeechStarted, SpeechStopped, TranscriptUpdate, Usage
from voicecli.history.log import HistoryLog
from voicecli.history.records import ConversationRecord
from voicecli.history.schema import VERSION
from voicecli.history.store import Store
from voicecli.testing import ScriptedConnection, Step, reply, scripted_provider, tool_call

Notices = list[tuple[str, str]]


def scripted(*script: list[Step]) -> RealtimeVoice:
    return RealtimeVoice(scripted_provider(*script), config=MANUAL)


def hold(log: HistoryLog, *texts: str) -> list[str]:
    """Hold a conversation; the answers."""

    async def held() -> list[str]:
        voice = scripted(*(reply(f"{text}? Paris.", usage=Usage(cost_usd=0.25)) for text in texts))
        async with voice.connect(logs=[log]) as session:
            return [(await session.ask(text)).transcript for text in texts]

    return asyncio.run(held())


def kept(path: Path, id_: str = "latest") -> ConversationRecord:
    with Store(path) as store:
        return store.conversation(id_)


def test_a_conversation_is_kept(path: Path) -> None:
    began = time.time()
    log = HistoryLog("openai", path=path, continues="b2c3d4")
    assert log.id == ""
    hold(log, "Which city", "Sure")
    conversation = kept(path, log.id)
    assert [(turn.role, turn.text, turn.final) for turn in conversation.turns] == [
        ("user", "Which city", True),
        ("assistant", "Which city? Paris.", True),
        ("user", "Sure", True),
        ("assistant", "Sure? Paris.", True),
    ]
    assert conversation.usage.cost_usd == 0.5
    assert [response.status for response in conversation.responses] == ["completed", "completed"]
    assert (conversation.provider, conversation.model, conversation.voice) == ("openai", "scripted", "scripted")
    assert (conversation.continues, conversation.end) == ("b2c3d4", "closed")
    assert conversation.ended_at is not None
    assert began - 1 < conversation.started_at.timestamp() <= conversation.ended_at.timestamp() < time.time() + 1
    assert conversation.started_at.utcoffset() is not None


def test_a_conversation_in_which_nothing_was_said_is_not_kept(path: Path) -> None:
    notices: Notices = []
    hold(HistoryLog("openai", path=path, on_notice=lambda *told: notices.append(told)))
    with Store(path) as store:
        assert list(store.conversations()) == []
    assert notices == []


def test_each_final_is_there_while_the_conversation_goes_on(path: Path) -> None:
    async def held() -> None:
        log = HistoryLog("openai", path=path)
        async with scripted(reply("It is Paris.")).connect(logs=[log]) as session:
            await session.ask("Which city?")
            async with asyncio.timeout(10):
                while not (log.id and len(kept(path, log.id).turns) == 2):
                    await asyncio.sleep(0.01)
            assert kept(path, log.id).ended_at is None

    asyncio.run(held())


def test_a_short_conversation_finishes_what_it_removes(path: Path) -> None:
    words = [f"word{number}" for number in range(50)]
    with Store(path, create=True) as store:
        for word in words:
            keep(store, word)
        long_ago = NOON - days(40)
        store._connection.execute("UPDATE conversations SET updated_at = ?", (round(long_ago.timestamp() * 1000),))
    hold(HistoryLog("openai", path=path, keep_days=30), "Which city")
    with Store(path) as store:
        assert len(list(store.conversations())) == 1
    content = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert not [word for word in words if word.encode() in content]


def test_it_says_that_it_keeps_and_prunes(path: Path) -> None:
    with Store(path, create=True) as store:
        old = keep(store, "Hi", began=NOON - days(400))
        store._connection.execute("UPDATE conversations SET updated_at = 0")
    opened: list[Path] = []
    log = HistoryLog("openai", path=path, keep_days=30, on_kept=opened.append)
    hold(log, "Hi")
    assert opened == [path]
    with Store(path) as store:
        assert [each.id for each in store.conversations()] == [log.id] != [old]


Wreck = Callable[[Path], object]


def damage(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"no database " * 1_000)


def renew(path: Path) -> None:
    with Store(path, create=True) as store:
        store._connection.execute(f"PRAGMA user_version = {VERSION + 1}")


def obstruct(path: Path) -> None:
    path.parent.write_text("a file in place of the folder")


@pytest.mark.parametrize(
    ("wreck", "told"),
    [(damage, "is damaged"), (renew, "newer voicecli"), (obstruct, "cannot be opened"), (Path.mkdir, "cannot be")],
    ids=["damaged", "newer", "no-folder", "a-folder"],
)
def test_whatever_is_wrong_with_the_history_is_told_once(tmp_path: Path, wreck: Wreck, told: str) -> None:
    path = tmp_path / "history" / "history.db"
    if wreck is Path.mkdir:
        path.mkdir(parents=True)
    else:
        wreck(path)
    notices: Notices = []
    answers = hold(HistoryLog("openai", path=path, on_notice=lambda *said: notices.append(said)), "One", "Two")
    assert answers == ["One? Paris.", "Two? Paris."]
    ((code, message),) = notices
    assert code == "history_failed"
    assert message.startswith("This conversation is not kept. ")
    assert told in message


def test_a_program_that_asks_for_no_notices_finds_it_in_its_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    obstruct(tmp_path / "history" / "history.db")
    with caplog.at_level(logging.WARNING):
        hold(HistoryLog("openai", path=tmp_path / "history" / "history.db"), "One")
    assert [record.message for record in caplog.records if "not kept" in record.message]


def test_what_could_not_be_written_is_written_later(path: Path) -> None:
    """Another process holds the database for longer than is waited."""
    with Store(path, create=True):
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
    told = asyncio.Event()
    notices: Notices = []

    def note(code: str, message: str) -> None:
        notices.append((code, message))
        told.set()

    async def held() -> None:
        async with scripted(reply("One."), reply("Two.")).connect(
            logs=[HistoryLog("openai", path=path, on_notice=note)]
        ) as session:
            assert (await session.ask("First")).transcript == "One."
            await asyncio.wait_for(told.wait(), 30)
            other.execute("ROLLBACK")
            assert (await session.ask("Second")).transcript == "Two."

    asyncio.run(held())
    other.close()
    assert len(notices) == 1
    assert [turn.text for turn in kept(path).turns] == ["First", "One.", "Second", "Two."]


def test_one_that_the_user_deletes_meanwhile_is_not_kept_any_more(path: Path) -> None:
    notices: Notices = []
    log = HistoryLog("openai", path=path, on_notice=lambda *told: notices.append(told))

    async def held() -> None:
        async with scripted(reply("One."), reply("Two.")).connect(logs=[log]) as session:
            await session.ask("First")
            async with asyncio.timeout(10):
                while not log.id:
                    await asyncio.sleep(0.01)
            with Store(path) as store:
                assert store.delete([log.id]) == 1
            await session.ask("Second")

    asyncio.run(held())
    with Store(path) as store:
        assert list(store.conversations()) == []
    assert notices == []


HOUR_S = 3_600
LIVE = RealtimeConfig(vad_mode=VADMode.SERVER)


def look_up(of: str) -> str:
    """Look something up."""
    return f"All of {of}."


@virtual_time
async def test_a_conversation_of_an_hour_is_kept_as_it_was(path: Path) -> None:
    """Some hundred turns: with tools, cut short, and in writing."""
    random_ = random.Random(14)
    connection = ScriptedConnection()
    voice = RealtimeVoice(scripted_provider(connection=connection), config=LIVE, tools=[look_up])
    log = HistoryLog("openai", path=path)
    spans: list[tuple[int, int]] = []
    loop = asyncio.get_running_loop()
    async with voice.connect(logs=[log]) as session:
        began = loop.time()

        def now_ms() -> int:
            return round((loop.time() - began) * 1000)

        for number in range(150):
            await asyncio.sleep(random_.uniform(0.2, 24))
            started = now_ms()
            connection.play([SpeechStarted(f"q{number}")])
            await asyncio.sleep(random_.uniform(0.5, 4))
            spans.append((started, now_ms()))
            usage = Usage(output_audio_tokens=number, session_seconds=now_ms() / 1000, cost_usd=0.000_123)
            heard = TranscriptUpdate("user", f"q{number}", f"Question {number}", final=True)
            answer = reply(f"Answer {number}.", audio=bytes(48 * 2_500), response_id=f"r{number}", usage=usage)
            if number % 5 == 0:
                calling = tool_call("look_up", {"of": str(number)}, call_id=f"c{number}", response_id=f"t{number}")
                connection.play([SpeechStopped(f"q{number}"), heard, *calling])
                await asyncio.sleep(0.05)
            else:
                connection.play([SpeechStopped(f"q{number}"), heard])
            connection.play(answer)
            if number % 7 == 3:
                await asyncio.sleep(1)
                await session.interrupt()
            else:
                await asyncio.sleep(2.6)
        await asyncio.sleep(max(0.0, HOUR_S - (loop.time() - began)))
        history, total = session.history, session.usage
    conversation = kept(path)
    assert conversation.ended_at is not None
    assert (conversation.ended_at - conversation.started_at).total_seconds() == pytest.approx(HOUR_S, abs=1)
    assert conversation.usage == total
    assert conversation.usage.cost_usd == pytest.approx(150 * 0.000_123)
    said = [turn for turn in history if turn.role != "tool"]
    assert [(turn.role, turn.text, turn.interrupted) for turn in conversation.turns] == [
        (turn.role, turn.text, turn.interrupted) for turn in said
    ]
    spoken = [(turn.started_ms, turn.ended_ms or 0) for turn in conversation.turns if turn.role == "user"]
    assert len(spoken) == len(spans)
    assert (
        max(abs(one - other) for pair in zip(spoken, spans, strict=True) for one, other in zip(*pair, strict=True)) <= 1
    )
    assert [(call.call_id, call.output) for call in conversation.tool_calls] == [
        (f"c{number}", f"All of {number}.") for number in range(0, 150, 5)
    ]
    lengths = [(turn.ended_ms or 0) - turn.started_ms for turn in conversation.turns if turn.role == "assistant"]
    assert all(length == pytest.approx(1_000 if at % 7 == 3 else 2_500, abs=60) for at, length in enumerate(lengths))
