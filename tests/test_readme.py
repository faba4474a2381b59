"""What the README shows works as it stands there."""

import asyncio
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
import uvicorn
from websockets.asyncio.client import connect

from tests.cli.conftest import DATA, ROOT, clean_environment
from tests.loopback.openai_server import KEY, OpenAIServer, Reply
from voicecli.commands import Command
from voicecli.events import AudioChunk, ResponseStarted, TranscriptUpdate
from voicecli.testing import ScriptedConnection, scripted_provider

README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


PYTHON = blocks("python")
INSTALL, COMMANDS, DEVELOP = blocks("sh")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(DATA / "question.wav", tmp_path)
    return tmp_path


def run(command: list[str], folder: Path) -> str:
    # The `voice` of the interpreter that runs the tests.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    replies, hears = [Reply(text="It is Paris.")], ["What is the capital of France?"]
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
        (PYTHON[0], r"You: What is the capital of France\?\nAssistant: .*Paris"),
        (PYTHON[1], r"user: What is the capital of France\?\nassistant: .*Paris"),
        (PYTHON[2], r"\w"),
        (PYTHON[4], r""),
    ],
    ids=["simple", "handlers", "events", "testing"],
)
def test_snippets(folder: Path, code: str, printed: str) -> None:
    assert re.search(printed, run([sys.executable, "-c", code], folder))


def test_the_continuous_integration_runs_the_same() -> None:
    assert DEVELOP.strip() in (ROOT / ".ci" / "run").read_text().splitlines()
    assert "voice chat --provider local --input tests/data/question.wav --output reply.wav" in INSTALL
    assert len(PYTHON) == 5


# -- the FastAPI example, behind a real server


class Server:
    def __init__(self, app: object) -> None:
        self._server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="info", ws="websockets-sansio"))  # type: ignore[arg-type]
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def __enter__(self) -> str:
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive()
            threading.Event().wait(0.01)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        return f"ws://127.0.0.1:{port}/voice"

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(20)
        assert not self._thread.is_alive()


@pytest.fixture
def app() -> Iterator[object]:
    module = ModuleType("readme_app")
    sys.modules["readme_app"] = module
    exec(compile(PYTHON[3], "readme_app.py", "exec"), module.__dict__)
    yield module.app
    del sys.modules["readme_app"]


@pytest.mark.usefixtures("shared_models")
async def test_a_browser_holds_a_conversation(app: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOICE_PROVIDER", "local")
    with wave.open(str(DATA / "question.wav")) as file:
        audio = file.readframes(file.getnframes()) + bytes(32_000)
    said: list[str] = []
    sound = b""
    with Server(app) as url:
        async with connect(url) as browser:
            for start in range(0, len(audio), 640):
                await browser.send(audio[start : start + 640])
            async with asyncio.timeout(60):
                while len(said) < 2 or not sound:
                    message = await browser.recv()
                    if isinstance(message, bytes):
                        sound += message
                    elif (line := json.loads(message))["final"]:
                        said.append(line["text"])
    assert said[0] == "What is the capital of France?"
    assert "Paris" in said[1]


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
    with caplog.at_level(logging.INFO), Server(app) as url:
        async with connect(url) as browser:
            await browser.send(bytes(960))
            await browser.recv()
            browser.transport.abort()
        assert await asyncio.to_thread(connection.closed.wait, 20)
    assert "Traceback" not in caplog.text
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR or record.exc_info]
