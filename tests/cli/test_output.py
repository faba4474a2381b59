"""Where words and sound go: each cell of the table in docs/output.md, by the command in a process of its own."""

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import DATA, ROOT, clean_environment
from tests.loopback import openai_server
from tests.loopback.openai_server import OpenAIServer, Reply
from tests.support.systems import lacks
from voicecli.audio import resample_pcm16

pytestmark = [
    pytest.mark.skipif(lacks("pty") or not hasattr(os, "fork"), reason="there is no fork"),
    pytest.mark.timeout(300),  # the first of them waits for all cells; it takes 6 s of processor time
]

ANSWER, QUESTION, TYPED = "It is Paris.", "Which city?", "Which city is it?"
SOUND = Reply().sound(ANSWER)
PLACES = ("terminal", "pipe", "file")
TABLE = re.findall(r"^\| `(.+?)`( with \w+)? \| (.+) \| (.+) \| (.+) \|$", (ROOT / "docs/output.md").read_text(), re.M)


@dataclass(frozen=True)
class Cell:
    """A cell of the table, and others beside it.

    Attributes:
        expected: what the table says.
    """

    command: str
    given: str
    to: str
    expected: str
    loudspeaker: bool = True

    def __str__(self) -> str:
        return f"{self.command}{self.given} to {self.to}{'' if self.loudspeaker else ', silent'}"


CELLS = [
    *(
        Cell(command, given, to, expected)
        for command, given, *row in TABLE
        for to, expected in zip(PLACES, row, strict=True)
    ),
    Cell("send-text", "", "terminal", "names and words; note", loudspeaker=False),
    Cell("chat", " with sound", "terminal", "names and words; note", loudspeaker=False),
    Cell("send-text --play", "", "pipe", "words; note", loudspeaker=False),
    Cell("send-text --no-play", "", "terminal", "names and words"),
    Cell("chat --no-play", " with sound", "terminal", "names and words"),
    Cell("send-text --play", "", "pipe", "words, aloud"),
    Cell("send-text --play --output FILE", "", "terminal", "names and words, FILE, aloud"),
    Cell("chat --play", " with sound", "file", "sound, aloud; stderr: names and words"),
    Cell("send-text --output -", "", "pipe", "sound; stderr: names and words"),
    Cell("send-text --output -", "", "file", "sound; stderr: names and words"),
    Cell("chat --output - --quiet", " with text", "pipe", "sound; stderr: words"),
]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> dict[Cell, dict[str, Any]]:
    """What came of each cell."""
    site = tmp_path_factory.mktemp("site")
    shutil.copy(ROOT / "tests/support/fake_sounddevice.py", site / "sounddevice.py")
    inputs = tmp_path_factory.mktemp("inputs")
    (inputs / "nothing").write_bytes(b"")
    (inputs / "text").write_text(TYPED)
    with wave.open(str(DATA / "question.wav")) as question, wave.open(str(inputs / "sound"), "wb") as file:
        file.setparams((1, 2, 8_000, 0, "NONE", ""))  # which a pipe holds
        rate = question.getframerate()
        file.writeframes(resample_pcm16(question.readframes(rate), rate, 8_000))  # a second is a question, too
    cells = []
    for cell in CELLS:
        folder = tmp_path_factory.mktemp("cell")
        command, *options = cell.command.split()
        text = [TYPED] if command == "send-text" else []
        environment = {"XDG_STATE_HOME": str(folder), "COLUMNS": "80"}
        cells.append(
            {
                "folder": str(folder),
                "arguments": [command, *text, *options],
                "stdin": str(inputs / (cell.given.removeprefix(" with ") or "nothing")),
                "to": cell.to,
                "environment": environment if cell.loudspeaker else environment | {"NO_SOUND": "1"},
            }
        )
    count = len(cells)
    with OpenAIServer.in_thread(replies=[Reply(text=ANSWER)] * count, hears=[QUESTION] * count) as server:
        environment = clean_environment(OPENAI_API_KEY=openai_server.KEY, OPENAI_BASE_URL=server.url)
        environment["PYTHONPATH"] = f"{site}:{environment['PYTHONPATH']}"
        done = subprocess.run(
            [sys.executable, "-m", "tests.cli.output_cells"],
            input=json.dumps(cells).encode(),
            capture_output=True,
            cwd=ROOT,
            env=environment,
            timeout=280,
        )
    assert done.returncode == 0, done.stderr.decode()
    return dict(zip(CELLS, json.loads(done.stdout), strict=True))


def test_the_table_is_whole() -> None:
    options = ("", " --output FILE", " --json", " --text-only", " --quiet")
    rows = [("send-text", ""), ("chat", " with text"), ("chat", " with sound")]
    expected = [(f"{command}{option}", given) for (command, given), option in itertools.product(rows, options)]
    assert [(command, given) for command, given, *_ in TABLE] == expected


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_words_and_sound_go_where_the_table_says(ran: dict[Cell, dict[str, Any]], cell: Cell) -> None:
    result = ran[cell]
    assert result["code"] == 0, result["stderr"]
    places = cell.expected.split("; ")
    stdout, *besides = places[0].split(", ")
    spoken = cell.given == " with sound"
    assert_stream(result["stdout"], stdout, spoken=spoken)
    notes = [line for line in result["stderr"].splitlines() if line.startswith("Note: ")]
    words = "".join(f"{line}\n" for line in result["stderr"].splitlines() if line not in notes)
    on_stderr = next((place.removeprefix("stderr: ") for place in places if place.startswith("stderr: ")), "")
    assert_stream(words, on_stderr, spoken=spoken)
    assert [line for line in notes if "not played" in line] == notes
    assert len(notes) == ("note" in places)
    folder = Path(result["folder"])
    assert (folder / "FILE").exists() == ("FILE" in besides)
    if "FILE" in besides:
        assert (folder / "FILE").read_bytes()[44:] == SOUND
    played = (folder / "played").read_bytes() if (folder / "played").exists() else b""
    # A millisecond at either end is faded.
    assert (SOUND[480:-480] in played) == ("aloud" in besides)


def assert_stream(text: str, expected: str, *, spoken: bool) -> None:
    match expected:
        case "":
            assert text == ""
        case "words":
            assert text == f"{ANSWER}\n"
        case "names and words":
            assert text == (f"You: {QUESTION}\n" if spoken else "") + f"Assistant: {ANSWER}\n"
        case "sound":
            assert text[:4] == "RIFF"
            assert text[44:].encode("latin-1") == SOUND
        case "JSON lines":
            kinds = [json.loads(line)["type"] for line in text.splitlines()]
            assert kinds[0] == "session_started"
            assert kinds[-1] == "session_ended"
        case _:
            raise AssertionError(f"the table says {expected!r}")
