"""A conversation of an hour in virtual time: recording and transcript agree to the sample."""

import asyncio
import threading
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from tests.recording.virtual_devices import VirtualMicrophone, recorded
from tests.support.virtual_time import run_without_io
from voicecli import RealtimeConfig, RealtimeVoice, VADMode
from voicecli.conversation.duplex import converse
from voicecli.events import (
    AudioChunk,
    AudioDone,
    ResponseDone,
    ResponseStarted,
    SpeechStarted,
    SpeechStopped,
    TranscriptUpdate,
)
from voicecli.history.exports.captions import cues
from voicecli.history.folding import Fold
from voicecli.history.records import ConversationRecord, TurnRecord
from voicecli.ports import Capabilities
from voicecli.recording import ConversationRecorder, writer
from voicecli.testing import ScriptedConnection, scripted_provider

RATE, HOUR_MS, CHUNK_MS = 8_000, 3_600_000, 500
BYTES = HOUR_MS * RATE // 1000 * 2  # of one channel
TURN_MS = 20_000
SPOKEN, ANSWERED, WAITED = 3_000, 7_000, 400
"""Each turn: so long the user speaks, so long the assistant, and so long it is waited for."""


def sound(ms: int, number: int) -> bytes:
    return np.full(RATE * ms // 1000, 1_000 + number, "<i2").tobytes()


def heard(until_ms: int) -> bytes:
    """The user, who speaks in every turn from its second second on."""
    number, at = divmod(until_ms - 1, TURN_MS)
    speaks = 1_000 <= at < 1_000 + SPOKEN
    return sound(CHUNK_MS, number) if speaks else bytes(2 * RATE * CHUNK_MS // 1000)


async def talk(folder: Path, fold: Fold) -> ConversationRecorder:
    connection = ScriptedConnection(capabilities=Capabilities(input_rate=RATE, output_rate=RATE))
    voice = RealtimeVoice(scripted_provider(connection=connection), config=RealtimeConfig(vad_mode=VADMode.SERVER))

    async def provider() -> None:
        loop = asyncio.get_running_loop()
        for number in range(HOUR_MS // TURN_MS):
            begin = number * TURN_MS / 1000 + 1
            await asyncio.sleep(begin - loop.time())
            connection.play([SpeechStarted()])
            await asyncio.sleep(SPOKEN / 1000)
            said = TranscriptUpdate("user", f"u{number}", f"Question {number}", final=True)
            connection.play([SpeechStopped(), said])
            await asyncio.sleep(WAITED / 1000)
            name, item = f"r{number}", f"a{number}"
            audio = AudioChunk(sound(ANSWERED, number), name, item)
            words = TranscriptUpdate("assistant", item, f"Answer {number}", final=True)
            connection.play([ResponseStarted(name), audio, AudioDone(name), words, ResponseDone(name)])

    class Told:
        event, command = fold.event, fold.command

    recorder = ConversationRecorder(folder, name="hour")
    async with voice.connect(logs=[recorder, Told()]) as session:
        script = asyncio.create_task(provider())
        await converse(session, VirtualMicrophone(heard, HOUR_MS, sample_rate=RATE, chunk_ms=CHUNK_MS))
        await script
    return recorder


def test_an_hour_of_talk_is_where_its_transcript_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_MOST_WAITING", 2 * BYTES)  # an hour that takes a second is too fast for any disk
    fold = Fold()
    recorder = run_without_io(talk(tmp_path, fold))
    for thread in threading.enumerate():  # virtual time has not waited for it
        if thread.name == "voicecli-recording":
            thread.join(60)
    assert recorder.failure is None
    assert recorder.path is not None
    rate, user, assistant = recorded(recorder.path)
    assert (rate, len(user)) == (RATE, HOUR_MS * RATE // 1000)
    record = ConversationRecord(
        id="x",
        started_at=datetime.now().astimezone(),
        provider="scripted",
        model="",
        recording=recorder.path,
        recording_times=recorder.times,
        turns=tuple(row for _, row in fold.take() if isinstance(row, TurnRecord)),
    )
    shown = cues(record)
    assert len(shown) == 2 * (HOUR_MS // TURN_MS)
    for channel, name in ((user, "You"), (assistant, "Assistant")):
        expected = np.zeros(len(channel), np.int16)
        for number, cue in enumerate(cue for cue in shown if cue.speaker == name):
            expected[cue.start_ms * RATE // 1000 : cue.end_ms * RATE // 1000] = 1_000 + number
        assert np.array_equal(channel, expected)
