"""The file that a session is recorded in."""

import asyncio
import json
import os
import stat
from pathlib import Path

import pytest

from tests.loopback.openai_server import KEY, OpenAIServer, Reply
from tests.replay.checks import events_of, replay_alike
from tests.support.virtual_time import run_without_io, virtual_time
from voicecli import ConfigurationError, RealtimeConfig, RealtimeVoice
from voicecli.events import AudioChunk, Event, Notice, ResponseDone, SessionEnded
from voicecli.ports import ConversationSetup, Finishing
from voicecli.providers import find_provider
from voicecli.replay.recorder import SessionRecorder
from voicecli.replay.recording import SessionRecording
from voicecli.replay.replaying import replay_of
from voicecli.testing import ScriptedConnection, reply, scripted_provider


def scripted(path: Path | str, *answers: str) -> RealtimeVoice:
    script = [reply(text, user="What?", response_id=f"response_{n}") for n, text in enumerate(answers, 1)]
    return RealtimeVoice(scripted_provider(*script), config=RealtimeConfig(session_file=str(path)))


def test_it_is_the_owners_alone_and_its_lines_are_json(tmp_path: Path) -> None:
    path = tmp_path / "talk.jsonl"

    async def talk() -> None:
        async with scripted(path, "It is sunny.").connect() as session:
            await session.send_text("The weather?", wait=True)

    before = os.umask(0)
    try:
        run_without_io(talk())
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    kinds = [json.loads(line)["kind"] for line in path.read_text().splitlines()]
    assert kinds[:3] == ["header", "connection", "event"]
    assert kinds[-1] == "ended"


def test_a_provider_without_a_wire_comes_again_from_what_it_told(tmp_path: Path) -> None:
    path = tmp_path / "talk.jsonl"

    async def talk() -> None:
        async with scripted(path, "It is sunny.").connect() as session:
            await session.send_text("The weather?", wait=True)

    run_without_io(talk())
    replay, happened = replay_alike(path)
    assert not replay.compares
    assert [event.audio for event in events_of(happened) if isinstance(event, AudioChunk)] == [bytes(4_800)]
    assert isinstance(events_of(happened)[-1], SessionEnded)


def test_no_file_is_written_over(tmp_path: Path) -> None:
    path = tmp_path / "talk.jsonl"
    path.write_text("something else")
    voice = scripted(path, "It is sunny.")

    async def talk() -> None:
        async with voice.connect() as session:
            await session.send_text("The weather?", wait=True)

    async def twice() -> None:
        await asyncio.gather(talk(), talk())

    run_without_io(twice())
    assert path.read_text() == "something else"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["talk-2.jsonl", "talk-3.jsonl", "talk.jsonl"]
    assert sorted(recorder.path.name for recorder in voice.recorders) == ["talk-2.jsonl", "talk-3.jsonl"]
    for name in ("talk-2.jsonl", "talk-3.jsonl"):
        replay_alike(tmp_path / name)


@pytest.mark.parametrize("path", ["no-such-folder/talk.jsonl", "/proc/talk.jsonl", "talk\0.jsonl"])
def test_a_file_that_cannot_be_written_is_told_before_anything_is_dialled(path: str, tmp_path: Path) -> None:
    path = path if path.startswith("/") else f"{tmp_path}/{path}"

    async def talk() -> None:
        async with scripted(path).connect():
            raise AssertionError("it connected")

    with pytest.raises(ConfigurationError, match="session_file: cannot write"):
        run_without_io(talk())


def test_where_no_conversation_began_there_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    voice = RealtimeVoice("openai", config=RealtimeConfig(session_file=f"{tmp_path}/talk.jsonl"))

    async def talk() -> None:
        async with voice.connect():
            raise AssertionError("it connected")

    with pytest.raises(ConfigurationError, match="No key"):
        asyncio.run(talk())
    assert list(tmp_path.iterdir()) == []
    assert voice.recorders == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full disk to be had")
@pytest.mark.parametrize("wire", [False, True], ids=["without a wire", "over a wire"])
@virtual_time
async def test_a_full_disk_ends_the_recording_and_not_the_conversation(wire: bool) -> None:
    heard: list[Event] = []
    async with OpenAIServer(replies=[Reply(text="It is sunny.")]) as server:
        voice = scripted("/dev/full", "It is sunny.")
        if wire:
            config = RealtimeConfig(session_file="/dev/full", base_url=server.url, api_key=KEY)
            voice = RealtimeVoice("openai", config=config)
        async with voice.connect() as session:

            async def listen() -> None:
                heard.extend([event async for event in session])

            listening = asyncio.create_task(listen())
            await asyncio.sleep(0)
            answer = await session.send_text("The weather?", wait=True)
        await listening
    assert answer.transcript == "It is sunny."
    notices = [event for event in heard if isinstance(event, Notice) and event.code == "recording_stopped"]
    assert [notice.message for notice in notices] == ["The recording /dev/full stops here: No space left on device."]
    assert any(isinstance(event, ResponseDone) for event in heard)


@virtual_time
async def test_wherever_a_program_is_killed_the_lines_before_come_again(tmp_path: Path) -> None:
    path, part = tmp_path / "talk.jsonl", tmp_path / "part.jsonl"
    async with OpenAIServer(replies=[Reply(text="It is sunny.")]) as server:
        config = RealtimeConfig(session_file=str(path), base_url=server.url, api_key=KEY)
        async with RealtimeVoice("openai", config=config).connect() as session:
            await session.send_text("The weather?", wait=True)
            assert path.read_bytes().endswith(b"}\n"), "each line is written at once"
            assert b"It is sunny." in path.read_bytes()
    whole = path.read_bytes()
    _, happened = replay_alike(path)
    begins = len(whole) - len(whole.split(b"\n", 2)[2])
    counts: set[int] = set()
    for end in range(begins, len(whole), 499):
        part.write_bytes(whole[:end])
        recording = SessionRecording(part)
        replay = replay_of(recording, find_provider)
        came = list(replay.run())
        assert came == happened[: len(came)]
        assert replay.differences == []
        assert replay.sent == []
        assert recording.cut_short == (not whole[:end].endswith(b"\n"))
        assert not recording.finished
        counts.add(len(came))
    assert len(counts) > 5


def test_what_it_holds_is_told(tmp_path: Path) -> None:
    voice = scripted(tmp_path / "talk.jsonl", "It is sunny today.")

    async def talk() -> None:
        async with voice.connect() as session:
            await session.send_text("What is the weather like?", wait=True)

    run_without_io(talk())
    (recorder,) = voice.recorders
    told = "0.1 s of the model's, 5 spoken words, 5 words that you wrote and no keys"
    assert recorder.contents.sentence() == told
    assert SessionRecording(recorder.path).contents() == recorder.contents


class _Finishing(ScriptedConnection):
    """Its output lags behind its input."""

    finished = False

    async def finish(self) -> None:
        self.finished = True


def test_a_connection_is_recorded_as_what_it_is(tmp_path: Path) -> None:
    async def talk() -> None:
        setup = ConversationSetup(RealtimeConfig())
        recorder = SessionRecorder(str(tmp_path / "talk.jsonl"), "scripted", "", setup)
        plain, finishing = ScriptedConnection([]), _Finishing([])
        assert not isinstance(recorder.recorded(plain), Finishing)
        recorded = recorder.recorded(finishing)
        assert isinstance(recorded, Finishing)
        await recorded.finish()
        assert finishing.finished
        recorder.close()

    run_without_io(talk())
