"""The file of a recording: written from both sides, on disks that are full, and by programs that are killed."""

import asyncio
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.conversation.scripted import MANUAL
from tests.recording.virtual_devices import recorded, stretches, tone
from tests.support.full_disk import files_of_at_most
from tests.support.systems import may_everything
from tests.support.virtual_time import virtual_time
from voicecli import ConfigurationError, RealtimeVoice
from voicecli.errors import AudioFormatError
from voicecli.events import AudioChunk, AudioDone, ResponseDone, ResponseStarted
from voicecli.recording import ConversationRecorder
from voicecli.recording.reading import mp3, peaks
from voicecli.recording.stereo_wav import ASSISTANT, USER, StereoWav
from voicecli.testing import ScriptedConnection, scripted_provider

RATE = 24_000


def numbers(begin: int, count: int) -> bytes:
    return (np.arange(begin, begin + count) % 30_000).astype("<i2").tobytes()


def test_each_side_is_written_wherever_the_other_is(tmp_path: Path) -> None:
    file = StereoWav(tmp_path / "a.wav", RATE)
    file.write(ASSISTANT, 200_000, numbers(1, 100_000))  # far ahead
    file.write(USER, 0, numbers(1, 70_000))
    file.write(USER, 250_000, numbers(5, 10))
    file.erase(ASSISTANT, 290_000, 10_000)
    file.extend(300_500)
    file.close()
    rate, user, assistant = recorded(tmp_path / "a.wav")
    assert (rate, len(user)) == (RATE, 300_500)
    expected_user, expected_assistant = np.zeros(300_500, np.int16), np.zeros(300_500, np.int16)
    expected_user[:70_000] = np.frombuffer(numbers(1, 70_000), "<i2")
    expected_user[250_000:250_010] = range(5, 15)
    expected_assistant[200_000:290_000] = np.frombuffer(numbers(1, 90_000), "<i2")
    assert np.array_equal(user, expected_user)
    assert np.array_equal(assistant, expected_assistant)


def test_a_file_ends_where_it_is_told_to(tmp_path: Path) -> None:
    file = StereoWav(tmp_path / "a.wav", RATE)
    file.write(USER, 0, numbers(1, 1_000))
    file.extend(400)
    file.close()
    assert len(recorded(tmp_path / "a.wav")[1]) == 400


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        StereoWav(tmp_path / "a.wav", RATE)
    assert (tmp_path / "a.wav").read_bytes() == b"mine"


def test_a_program_that_is_killed_leaves_a_file_that_plays(tmp_path: Path) -> None:
    script = f"""
import sys, time
from voicecli.recording.stereo_wav import USER, StereoWav
file = StereoWav(__import__("pathlib").Path({str(tmp_path / "a.wav")!r}), {RATE})
for at in range(1000):
    file.write(USER, at * 2400, b"\\x01\\x10" * 2400)
    if at % 10 == 9:
        file.extend((at + 1) * 2400)
    if at == 34:
        print("written", flush=True)
        time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == b"written"
        process.kill()
    # Whoever believes the header hears what was there when it was written last.
    _, user, _ = recorded(tmp_path / "a.wav")
    assert stretches(user, RATE) == [(0, 3_000)]


def answer(audio: bytes) -> list[ResponseStarted | AudioChunk | AudioDone | ResponseDone]:
    return [ResponseStarted("r"), AudioChunk(audio, "r", "item"), AudioDone("r"), ResponseDone("r")]


def asked(*answers: bytes) -> RealtimeVoice:
    connection = ScriptedConnection([answer(each) for each in answers])
    return RealtimeVoice(scripted_provider(connection=connection), config=MANUAL)


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file may become larger than 100 kB, as on a disk that is full by then."""
    with files_of_at_most(100_000):
        yield


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on files")
@pytest.mark.usefixtures("small_files")
@virtual_time
async def test_a_full_disk_ends_the_recording_and_not_the_conversation(tmp_path: Path) -> None:
    told: list[AudioFormatError] = []
    recorder = ConversationRecorder(tmp_path, name="talk", on_failure=told.append)
    voice = asked(tone(500), tone(5_000), tone(5_000))
    async with recorder, voice.connect(logs=[recorder]) as session:
        assert (await session.ask("One?")).audio == tone(500)
        await asyncio.sleep(1)
        assert (await session.ask("Two?")).audio == tone(5_000)
        await asyncio.sleep(6)
        assert (await session.ask("Three?")).audio == tone(5_000)
    assert [str(recorder.failure)] == [str(error) for error in told]
    assert "talk.wav" in told[0].message
    rate, _, assistant = recorded(tmp_path / "talk.wav")  # what was there before can be heard
    assert stretches(assistant, rate)[0] == (0, 500)


@virtual_time
async def test_a_folder_that_goes_away_ends_the_recording_alone(tmp_path: Path) -> None:
    recorder = ConversationRecorder(tmp_path / "gone", name="talk")
    (tmp_path / "gone").rmdir()
    async with recorder, asked(tone(500)).connect(logs=[recorder]) as session:
        assert (await session.ask("One?")).audio == tone(500)
    assert "No such file" in str(recorder.failure)


def test_a_folder_in_which_nothing_can_be_written_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"record: nothing can be written in .*file"):
        ConversationRecorder(tmp_path / "file")
    with pytest.raises(ConfigurationError, match="record: nothing can be written"):
        ConversationRecorder("a\0b")
    if not may_everything():
        (tmp_path / "closed").mkdir(mode=0o500)
        with pytest.raises(ConfigurationError, match="Permission denied"):
            ConversationRecorder(tmp_path / "closed")


def test_a_folder_is_made_for_this_user_alone(tmp_path: Path) -> None:
    ConversationRecorder(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []
    if os.name == "posix":
        assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700


def test_loudness_is_told_of_each_side(tmp_path: Path) -> None:
    file = StereoWav(tmp_path / "a.wav", RATE)
    file.write(USER, RATE, tone(1_000, level=16_384))
    file.write(ASSISTANT, 2 * RATE, tone(1_000, level=-8_192))
    file.extend(4 * RATE)
    file.close()
    left, right, length_ms = peaks(tmp_path / "a.wav")
    assert length_ms == 4_000
    assert left == [0.0] * 20 + [0.5] * 20 + [0.0] * 40
    assert right == [0.0] * 40 + [0.25] * 20 + [0.0] * 20


def test_loudness_of_hours_is_told_in_as_many_pieces(tmp_path: Path) -> None:
    file = StereoWav(tmp_path / "a.wav", 1_000)
    file.extend(3600 * 1_000)
    file.close()
    left, right, _ = peaks(tmp_path / "a.wav")
    assert len(left) == len(right) == 6_000


def test_a_recording_is_made_small(tmp_path: Path) -> None:
    file = StereoWav(tmp_path / "a.wav", RATE)
    t = np.arange(RATE) / RATE
    file.write(USER, RATE, (8_000 * np.sin(2 * np.pi * 300 * t)).astype("<i2").tobytes())
    file.extend(3 * RATE)
    file.close()
    small = mp3(tmp_path / "a.wav")
    assert small is not None
    assert len(small) < 30_000
    samples, rate = soundfile.read(io.BytesIO(small), dtype="int16")
    loud = np.flatnonzero(np.abs(samples[:, 0]) > 4_000)
    assert (loud[0] * 1000 / rate, loud[-1] * 1000 / rate) == pytest.approx((1_000, 2_000), abs=10)
    assert np.abs(samples[:, 1]).max() < 100


@pytest.mark.parametrize("content", [b"", b"no sound at all", b"RIFF\0\0\0\0WAVE"])
def test_what_is_no_recording_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(AudioFormatError, match="is no recording"):
        peaks(tmp_path / "a.wav")
    with pytest.raises(AudioFormatError, match="Cannot read"):
        mp3(tmp_path / "missing.wav")
