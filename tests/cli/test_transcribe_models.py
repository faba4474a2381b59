"""`voice transcribe` as a program of its own, with the real recogniser: a pipe that is broken off in several ways."""

import json
import signal
import sys
import time
from pathlib import Path

import pysubs2
import pytest

from tests.cli.conftest import DATA, Voice
from tests.support.commands import Commands
from tests.test_imports import loaded_after

QUESTIONS = ["My dog is called Rex.", "What is my dog called?", "What is the capital of France?"]
UNTIL_THE_LAST_WORD = 44 + 2 * 16_000 * 9  # bytes: of the third question all but its last words


def test_a_pipe_is_written_down(voice: Voice) -> None:
    result = voice("transcribe", stdin=(DATA / "three_questions.wav").read_bytes())
    assert (result.code, result.lines, result.stderr) == (0, QUESTIONS, "")


@pytest.mark.parametrize(
    "ended",
    [
        pytest.param("interrupted", marks=pytest.mark.skipif(sys.platform == "win32", reason="nothing sends SIGINT")),
        "killed",
    ],
)
def test_whatever_ends_it_the_file_is_valid(commands: Commands, tmp_path: Path, ended: str) -> None:
    captions = tmp_path / "said.srt"
    with commands.start("transcribe", "--json", "--srt", str(captions), folder=tmp_path) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write((DATA / "three_questions.wav").read_bytes()[:UNTIL_THE_LAST_WORD])
        process.stdin.flush()  # and the pipe stays open
        told = [json.loads(process.stdout.readline()) for _ in range(2)]
        begun = time.monotonic()
        if ended == "interrupted":
            process.send_signal(signal.SIGINT)
        else:
            process.kill()
        process.wait(30)
        rest = process.stdout.read()
    assert [line["text"] for line in told] == QUESTIONS[:2]
    events = pysubs2.load(str(captions))
    assert [event.plaintext for event in events][:2] == QUESTIONS[:2]
    assert captions.read_text().endswith("\n")
    if ended == "interrupted":
        assert process.returncode == 130
        assert time.monotonic() - begun < 20
        # Of the last question so much as had come out of the pipe.
        assert [event.plaintext for event in events][2:] == [json.loads(line)["text"] for line in rest.splitlines()]


def test_only_ears_are_loaded() -> None:
    code = (
        "import asyncio\nfrom voicecli import Transcriber\n"
        "async def main():\n    async with Transcriber('local').connect() as session:\n        await session.finish()\n"
        "asyncio.run(main())"
    )
    loaded = loaded_after(code)
    assert "onnxruntime" in loaded
    assert not loaded & {"xllamacpp", "piper", "httpx", "markdown_it", "websockets", "sounddevice"}
