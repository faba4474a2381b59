"""docs/library.md: its programs run as they stand there, and each public name is in one of them."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.audio.devices.fake_portaudio import FakePortAudio
from tests.cli.conftest import ROOT
from tests.test_public_names import PUBLIC
from tests.test_readme import flowing
from voicecli.audio import WakeWord
from voicecli.commands import Command
from voicecli.events import SessionEnded
from voicecli.ports import Connection, ConversationSetup, Provider
from voicecli.testing import ScriptedConnection, reply, scripted_provider

GUIDE = (ROOT / "docs" / "library.md").read_text()
PROGRAMS = re.findall(r"^```python\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
ANSWER = reply("It is Paris.", audio=bytes(48_000))


def run(program: str, monkeypatch: pytest.MonkeyPatch, folder: Path, connection: Connection | None = None) -> None:
    """Run a program in this folder; a script answers, or this connection."""
    monkeypatch.chdir(folder)
    monkeypatch.delenv("VOICE_PROVIDER", raising=False)
    provider = scripted_provider(ANSWER) if connection is None else _provider(connection)
    monkeypatch.setattr("voicecli.voice.choose_provider", lambda: provider)
    exec(compile(program, "library_guide.py", "exec"), {"__name__": "library_guide"})


def _provider(connection: Connection) -> Provider:
    async def connect(setup: ConversationSetup) -> Connection:
        return connection

    return replace(scripted_provider(), connect=connect)


def titled(title: str) -> str:
    """The first program under this heading."""
    return str(re.findall(r"^```python\n(.*?)^```$", GUIDE.partition(f"## {title}\n")[2], re.DOTALL | re.MULTILINE)[0])


OF_SOUND = [program for program in PROGRAMS if "open_devices" in program or "WakeWord" in program]


@pytest.mark.parametrize("program", [program for program in PROGRAMS if program not in OF_SOUND])
def test_a_program_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], program: str
) -> None:
    run(program, monkeypatch, tmp_path)
    assert capsys.readouterr().out


@pytest.mark.parametrize(
    ("title", "told"),
    [
        ("One question", r"It is Paris\.\n0\.0 \d+ 48000\n"),
        ("A conversation", r"user What is the capital of France\?\nassistant It is Paris\.\n2 It is\nTrue"),
        ("Events", r"scripted speaks at 24000 Hz(.*\n)+assistant: It is Paris\.\n(.*\n)*completed"),
        ("Commands", r" -> What is the capital of France\?\n"),
        ("Errors", r"It is Paris\.\n"),
        ("Tools", r"get_weather Tell the weather\.\s+\['city', 'unit'\]\n\{\"city\":\"Oslo\""),
    ],
)
def test_what_it_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], title: str, told: str
) -> None:
    run(titled(title), monkeypatch, tmp_path)
    assert re.search(told, out := capsys.readouterr().out), out


def test_a_conversation_out_loud(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Ending(ScriptedConnection):
        async def send(self, command: Command) -> None:
            if not self.commands:
                self.play([SessionEnded("bye")])
            await super().send(command)

    portaudio = FakePortAudio()
    portaudio.use(monkeypatch, inline=False)
    with flowing(portaudio):
        run(titled("Sound"), monkeypatch, tmp_path, Ending())
    assert capsys.readouterr().out.startswith("built-in built-in ")
    assert not portaudio.running


def test_a_wake_word(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Never:
        async def hear(self, audio: bytes) -> int | None:
            return None

        def reset(self) -> None: ...
        async def aclose(self) -> None: ...

    async def load(phrase: str, sample_rate: int) -> WakeWord:
        return WakeWord(phrase, sample_rate, Never())

    monkeypatch.setattr(WakeWord, "load", load)
    run(next(program for program in PROGRAMS if "WakeWord" in program), monkeypatch, tmp_path)
    assert capsys.readouterr().out == "False\n"


@pytest.mark.parametrize("module", PUBLIC)
def test_each_public_name_is_used(module: str) -> None:
    """In a program of the guide, or of the page that its part has."""
    pages = "".join(page.read_text() for page in (ROOT / "docs").glob("*.md"))
    programs = re.findall(r"^```python\n(.*?)^```$", pages, re.DOTALL | re.MULTILINE)
    used = set(re.findall(r"\w+", "\n".join(programs)))
    assert not set(PUBLIC[module].split()) - used
