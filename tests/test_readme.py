"""The README's commands and programs work as they stand there."""

import asyncio
import contextlib
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import threading
import wave
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from websockets.asyncio.client import connect

from tests.audio.devices.fake_portaudio import FakePortAudio
from tests.cli.conftest import DATA, ROOT, clean_environment
from tests.loopback.openai_server import KEY, OpenAIServer, Reply
from tests.support.web import Server
from voicecli.audio import WakeWord
from voicecli.commands import AppendAudio, Command
from voicecli.events import AudioChunk, ResponseStarted, SessionEnded, SpeechStarted, SpeechStopped, TranscriptUpdate
from voicecli.testing import ScriptedConnection, reply, scripted_provider

README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


PYTHON = blocks("python")
UTTERANCE, SCRIPT, MICROPHONE, WAKE, HANDLERS, EVENTS, FASTAPI, TESTING, SETTINGS = PYTHON
INSTALL, COMMANDS, DEVELOP = blocks("sh")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(DATA / "question.wav", tmp_path)
    (tmp_path / "notes.txt").write_text("Buy milk.")
    return tmp_path


def run(command: list[str], folder: Path) -> str:
    # The `voice` of the interpreter that runs the tests.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    replies, hears = [Reply(text="The capital of France is Paris.")], ["What is the capital of France?"]
    with OpenAIServer.in_thread(replies=replies, hears=hears) as server:
        environment = clean_environment(OPENAI_API_KEY=KEY, OPENAI_BASE_URL=server.url, PATH=path)
        done = subprocess.run(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=90
        )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode(errors="replace")


@pytest.mark.parametrize("line", COMMANDS.splitlines())
def test_commands(folder: Path, line: str) -> None:
    run(["bash", "-o", "pipefail", "-c", line], folder)
    for output in re.findall(r"reply\.wav|events\.jsonl", line):
        assert (folder / output).stat().st_size > 500


@pytest.mark.parametrize(
    ("code", "printed"),
    [
        (UTTERANCE, r"You: What is the capital of France\?\nAssistant: .*Paris"),
        (HANDLERS, r"user: What is the capital of France\?\nassistant: .*Paris"),
        (EVENTS, r"\w"),
        (TESTING, r""),
        (SETTINGS, r""),
    ],
    ids=["utterance", "handlers", "events", "testing", "settings"],
)
def test_snippets(folder: Path, code: str, printed: str) -> None:
    assert re.search(printed, run([sys.executable, "-c", code], folder))
    if "reply.wav" in code:
        assert (folder / "reply.wav").stat().st_size > 10_000


def test_a_script(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    answer = reply("It is Paris.", audio=bytes(48_000))
    monkeypatch.setattr("voicecli.voice.choose_provider", lambda: scripted_provider(answer))
    monkeypatch.delenv("VOICE_PROVIDER", raising=False)
    exec(compile(SCRIPT, "readme_script.py", "exec"), {"__name__": "readme_script"})
    assert (folder / "reply.wav").stat().st_size == 48_044


def test_microphone_and_loudspeaker(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    class Answering(ScriptedConnection):
        async def send(self, command: Command) -> None:
            if isinstance(command, AppendAudio) and not self.audio:
                self.play([SpeechStarted(), SpeechStopped(), *reply("Hello you.", user="Hello"), SessionEnded("bye")])
            await super().send(command)

    portaudio = FakePortAudio()
    portaudio.use(monkeypatch, inline=False)
    monkeypatch.setattr("voicecli.voice.choose_provider", lambda: scripted_provider(connection=Answering()))
    monkeypatch.delenv("VOICE_PROVIDER", raising=False)
    with flowing(portaudio):
        exec(compile(MICROPHONE, "readme_microphone.py", "exec"), {"__name__": "readme_microphone"})
    assert capsys.readouterr().out == "user: Hello\nassistant: Hello you.\n"
    assert not portaudio.running


def test_a_wake_word(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    class Always:
        async def hear(self, audio: bytes) -> int | None:
            return 500

        def reset(self) -> None: ...
        async def aclose(self) -> None: ...

    async def load(phrase: str, sample_rate: int) -> WakeWord:
        return WakeWord(phrase, sample_rate, Always())

    portaudio = FakePortAudio()
    portaudio.use(monkeypatch, inline=False)
    monkeypatch.setattr(WakeWord, "load", load)
    with flowing(portaudio):
        exec(compile(WAKE, "readme_wake.py", "exec"), {"__name__": "readme_wake"})
    assert capsys.readouterr().out == "960\n", "the first chunk of the microphone"
    assert not portaudio.running


@contextlib.contextmanager
def flowing(portaudio: FakePortAudio) -> Iterator[None]:
    """With sound that flows."""
    over = threading.Event()
    sound = threading.Thread(target=portaudio.flow_until, args=(over,))
    sound.start()
    try:
        yield
    finally:
        over.set()
        sound.join()


def test_the_continuous_integration_runs_the_same() -> None:
    assert DEVELOP.strip() in (ROOT / ".ci" / "run").read_text().splitlines()
    assert "voice chat --provider local --input tests/data/question.wav --output reply.wav" in INSTALL


# -- types

WRONG = """
from voicecli import RealtimeVoice, VoiceSession

voice = RealtimeVoice()

@voice.on_transcript  # refused
async def show(text: str, is_final: bool, role: str, colour: int) -> None: ...

@voice.on_audio  # refused
def play(audio: str) -> None: ...

@voice.on_connect  # refused
def greet(name: str) -> None: ...

@voice.on_error  # refused
def complain(error: Exception, hook: str) -> None: ...

@voice.on_tool_call  # refused
def call(tool_name: str) -> None: ...

@voice.on_transcript
def brief(text: str) -> int:
    return len(text)

brief(3)  # refused

async def main(session: VoiceSession) -> None:
    (await session.send_text("Hello")).transcript  # refused
    (await session.send_text("Hello", wait=True)).transcript
    (await session.send_audio(bytes(2), wait=True)).transcript
    (await session.ask("Hello")).transcript
    await session.send_audio("question.wav")  # refused
    await session.send_text(3)  # refused
"""


# With what the test command's own run has found out about the package already.
_MYPY = (sys.executable, "-m", "mypy", "--platform", sys.platform, "--cache-dir", f".mypy_cache/{sys.platform}")


def test_what_is_shown_has_the_right_types(tmp_path: Path) -> None:
    """All of it passes strict type checking, and that finds what is wrong."""
    guide = re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs" / "library.md").read_text(), re.DOTALL | re.MULTILINE)
    for number, code in enumerate([*PYTHON, *guide]):
        (tmp_path / f"shown_{number}.py").write_text(code)
    (tmp_path / "wrong.py").write_text(WRONG)
    files = [*tmp_path.glob("*.py"), *(ROOT / "examples").rglob("*.py")]
    done = subprocess.run(
        [*_MYPY, "--no-error-summary", "--no-pretty", *map(str, files)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    found = [line.split(": error: ") for line in done.stdout.splitlines() if ": error: " in line]
    refused = [number for number, line in enumerate(WRONG.splitlines(), 1) if line.endswith("# refused")]
    assert [where.rpartition("/")[2] for where, _ in found] == [f"wrong.py:{number}" for number in refused], done.stdout
    assert done.returncode == 1


# -- the FastAPI example, behind a real server


@pytest.fixture
def app() -> Iterator[object]:
    module = ModuleType("readme_app")
    sys.modules["readme_app"] = module
    exec(compile(FASTAPI, "readme_app.py", "exec"), module.__dict__)
    yield module.app
    del sys.modules["readme_app"]


@pytest.mark.usefixtures("shared_models")
async def test_a_browser_holds_a_conversation(app: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOICE_PROVIDER", "local")
    with wave.open(str(DATA / "question.wav")) as file:
        rate = file.getframerate()
        audio = file.readframes(file.getnframes()) + bytes(2 * rate)
    said: list[tuple[str, str]] = []
    sound = b""
    with Server(app) as server:
        async with connect(f"ws://{server.address}/voice?rate={rate}") as browser, asyncio.timeout(60):
            assert json.loads(await browser.recv())["type"] == "ready"
            for start in range(0, len(audio), 640):
                await browser.send(audio[start : start + 640])
            while len(said) < 2 or not sound:
                message = await browser.recv()
                if isinstance(message, bytes):
                    sound += message
                elif (line := json.loads(message))["final"]:
                    said.append((line["role"], line["text"]))
    assert said[0] == ("user", "What is the capital of France?")
    assert said[1][0] == "assistant"
    assert "Paris" in said[1][1]


class EndlessReply(ScriptedConnection):
    """Begins to answer at the first sound, and says more while it is being closed."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = threading.Event()

    async def send(self, command: Command) -> None:
        if not self.commands:
            self.play([ResponseStarted("r"), *(AudioChunk(bytes(48_000), "r", "i") for _ in range(50))])
        await super().send(command)

    async def aclose(self) -> None:
        self.play([AudioChunk(bytes(48_000), "r", "i"), TranscriptUpdate("assistant", "i", "And so on", False)])
        await super().aclose()
        self.closed.set()


async def test_a_browser_that_vanishes_ends_its_session(
    app: object, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is cut off amid the reply, without a goodbye; the reply goes on arriving."""
    connection = EndlessReply()
    monkeypatch.setattr("voicecli.voice.choose_provider", lambda: scripted_provider(connection=connection))
    monkeypatch.delenv("VOICE_PROVIDER", raising=False)
    with caplog.at_level(logging.INFO), Server(app) as server:
        async with connect(f"ws://{server.address}/voice") as browser:
            await browser.recv()
            await browser.send(bytes(960))
            await browser.recv()
            browser.transport.abort()
        assert await asyncio.to_thread(connection.closed.wait, 20)
    assert "Traceback" not in caplog.text
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR or record.exc_info]
