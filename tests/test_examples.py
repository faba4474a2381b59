"""Each example runs as it stands, without network, key or sound."""

import asyncio
import importlib.util
import json
import math
import shutil
import subprocess
import sys
import threading
import wave
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.audio.devices.fake_portaudio import FakePortAudio
from tests.cli.conftest import DATA, ROOT, clean_environment
from tests.support.chromium import CHROMIUM, open_page
from tests.support.virtual_time import virtual_time
from tests.support.web import Server
from voicecli import RealtimeVoice
from voicecli.commands import AppendAudio, CancelResponse, Command
from voicecli.errors import RealtimeConnectionError
from voicecli.events import ResponseStarted, SessionEnded, SpeechStarted, SpeechStopped
from voicecli.testing import ScriptedConnection, Step, check_provider, reply, scripted_provider, tool_call

EXAMPLES = ROOT / "examples"
FILES = sorted(path.relative_to(EXAMPLES).as_posix() for path in EXAMPLES.rglob("*.py"))
RATE = 24_000


def load(name: str) -> ModuleType:
    """An example, not as the main program."""
    path = EXAMPLES / name
    spec = importlib.util.spec_from_file_location(f"example_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(*command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=clean_environment(**environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
    )


@pytest.mark.parametrize("name", FILES)
def test_an_example_is_short_and_says_what_it_is(name: str) -> None:
    lines = (EXAMPLES / name).read_text().splitlines()
    assert lines[0].startswith('"""')
    assert len([line for line in lines if line.strip()]) <= 60


def test_every_example_is_run_here() -> None:
    source = Path(__file__).read_text()
    for name in FILES:
        assert f'"{name}"' in source


def test_one_utterance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(DATA / "question.wav", tmp_path)
    example = load("one_utterance.py")
    provider = scripted_provider(reply("It is Paris.", user="Which city?", audio=bytes(48_000)))
    example.main("question.wav", provider)
    assert capsys.readouterr().out == "You: Which city?\nAssistant: It is Paris.\n"
    with wave.open("reply.wav") as file:
        assert (file.getnframes(), file.getframerate()) == (24_000, RATE)
    example.main("Which city is it?", provider)
    assert capsys.readouterr().out.startswith("You: Which city is it?")


@virtual_time
async def test_handlers(capsys: pytest.CaptureFixture[str]) -> None:
    await load("handlers.py").main(scripted_provider(reply("It is Paris."), reply("Rome.")))
    out = capsys.readouterr().out
    assert out.startswith("Connected.\n")
    for line in ("user: And of Italy?\n", "assistant: It is\r", "assistant: It is Paris.\n", "assistant: Rome.\n"):
        assert line in out
    assert out.endswith("Disconnected, with 9600 bytes of sound.\n")


@virtual_time
async def test_microphone(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    portaudio = FakePortAudio()
    portaudio.use(monkeypatch, inline=True)
    connection = ScriptedConnection()
    out = ""
    async with portaudio.flowing():
        talking = asyncio.create_task(load("microphone.py").main(scripted_provider(connection=connection)))
        async with asyncio.timeout(60):
            while not portaudio.running:
                await asyncio.sleep(0.1)
            connection.play([SpeechStarted(), SpeechStopped(), *reply("Yes.", user="Hello?")])
            portaudio.stall()
            while "(The microphone" not in out:
                out += capsys.readouterr().out
                await asyncio.sleep(0.1)
        connection.play([SessionEnded("bye")])
        await talking
    assert out.startswith("Speak. Ctrl-C ends.\nuser: Hello?\nassistant: Yes.\n(The microphone")


@virtual_time
async def test_tools(capsys: pytest.CaptureFixture[str]) -> None:
    apples = tool_call("add_item", {"name": "apples", "aisle": "fruit"})
    milk = tool_call("add_item", {"name": "milk"})
    script = [apples, milk, tool_call("read_list"), reply("Both are on it.")]
    await load("tools.py").main(scripted_provider(*script))
    assert capsys.readouterr().out == "Both are on it.\n{'apples': 'fruit', 'milk': 'other'}\n"


def test_tests_of_tools(tmp_path: Path) -> None:
    for name in ("tools.py", "test_tools.py"):
        shutil.copy(EXAMPLES / name, tmp_path)
    done = run("-m", "pytest", "-q", "-p", "no:cacheprovider", folder=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


async def test_custom_provider() -> None:
    assert run(str(EXAMPLES / "custom_provider.py"), folder=ROOT).stdout == "Hello, Polly!\n"
    parrot = load("custom_provider.py").PARROT
    await check_provider(parrot)
    async with RealtimeVoice(parrot).connect() as session:
        response = await session.ask(DATA / "question.wav")
        assert len(response.audio) > RATE * 2
        assert response.transcript == "Kraa!"
        assert (await session.ask("Hello")).transcript == "Hello"
    with pytest.raises(RealtimeConnectionError):
        await session.send_text("Still there?")


@pytest.mark.parametrize("name", ["one_utterance.py", "handlers.py", "microphone.py", "tools.py"])
def test_without_a_provider_an_example_says_what_is_missing(name: str, tmp_path: Path) -> None:
    done = run(str(EXAMPLES / name), folder=tmp_path, VOICE_PROVIDER="openai", OPENAI_API_KEY="")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "OPENAI_API_KEY" in done.stderr


# -- the browser


class Dialogue(ScriptedConnection):
    """Answers what it hears: shortly after half a second, and then without end, until it is spoken into.

    Attributes:
        interrupting: set by the test: the user speaks now.
    """

    def __init__(self) -> None:
        super().__init__()
        self.interrupting = threading.Event()
        self.loud = 0.0  # the loudest sample so far
        self._heard = 0
        self._answers = self._answer()

    async def send(self, command: Command) -> None:
        await super().send(command)
        if isinstance(command, AppendAudio):
            samples = memoryview(command.audio).cast("h")
            self.loud = max(self.loud, *map(abs, samples)) if len(samples) else self.loud
            self._heard += len(samples)
            self.play(next(self._answers))

    def _answer(self) -> Any:
        while self._heard < RATE // 2:
            yield []
        turn: list[Step] = [SpeechStarted(), SpeechStopped()]
        yield [*turn, *reply("It is Paris.", user="Which city?", audio=tone(1.0), response_id="first")]
        while self._heard < 4 * RATE:
            yield []
        yield [*turn, *reply("It is a long story.", user="Why?", audio=tone(60.0), response_id="second")]
        while not self.interrupting.is_set():
            yield []
        yield [SpeechStarted()]
        while True:
            yield []


def tone(seconds: float) -> bytes:
    wave_ = (int(8_000 * math.sin(2 * math.pi * 440 * n / RATE)) for n in range(RATE))
    second = b"".join(sample.to_bytes(2, "little", signed=True) for sample in wave_)
    return second * int(seconds)


def app(provider: Any) -> object:
    return load("browser/app.py").make_app(provider)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
async def test_browser_page(tmp_path: Path) -> None:
    connection = Dialogue()
    state = "document.querySelector('#state').textContent"
    with Server(app(scripted_provider(connection=connection))) as server:
        async with open_page(f"http://{server.address}/", tmp_path) as page:
            await page.until("document.querySelector('#talk') !== null")
            await page.evaluate("document.querySelector('#talk').click()")
            await page.until(f"{state} === 'Listening'")
            # The first reply is heard to its end.
            await page.until(f"{state} === 'Speaking'")
            await page.until("document.body.innerText.includes('Assistant: It is Paris.')")
            await page.until(f"{state} === 'Listening'")
            # The second is cut off by the voice of the user.
            await page.until("document.body.innerText.includes('Assistant: It is a long story.')")
            await page.until(f"{state} === 'Speaking'")
            connection.interrupting.set()
            await page.until(f"{state} === 'Listening'", timeout_s=5)
            words = await page.evaluate("[...document.querySelectorAll('#words p')].map((line) => line.textContent)")
            await page.evaluate("document.querySelector('#talk').click()")
            await page.until("document.querySelector('#talk').textContent === 'Talk'")
    assert words == ["You: Which city?", "Assistant: It is Paris.", "You: Why?", "Assistant: It is a long story."]
    assert connection.loud > 1_000, "the beeps of the browser's microphone arrive"
    assert [type(command) for command in connection.commands if isinstance(command, CancelResponse)] == [CancelResponse]
    assert connection.cancelled[0].item_id == "second_item"


async def until_type(browser: ClientConnection, kind: str) -> dict[str, Any]:
    async with asyncio.timeout(20):
        while True:
            message = await browser.recv()
            if isinstance(message, str) and (told := json.loads(message))["type"] == kind:
                return dict(told)


async def test_browser_app_at_another_rate() -> None:
    connection = Dialogue()
    with Server(app(scripted_provider(connection=connection))) as server:
        async with connect(f"ws://{server.address}/voice?rate=48000") as browser:
            assert await until_type(browser, "ready") == {"type": "ready", "rate": RATE}
            for _ in range(60):
                await browser.send(bytes(960 * 2))  # 20 ms
            sound = await browser.recv()
            while isinstance(sound, str):
                sound = await browser.recv()
            assert sound == tone(1.0)
    assert len(connection.audio) == pytest.approx(1.2 * RATE * 2, abs=RATE // 10)


async def test_browser_app_says_what_went_wrong() -> None:
    failing = ScriptedConnection()
    failing.play([ResponseStarted("r"), RealtimeConnectionError("The model fell asleep.")])
    with Server(app(scripted_provider(connection=failing))) as server:
        async with connect(f"ws://{server.address}/voice") as browser:
            await until_type(browser, "ready")
            await browser.send(bytes(960))
            assert (await until_type(browser, "error"))["message"] == "The model fell asleep."
    with Server(app(scripted_provider())) as server:
        async with connect(f"ws://{server.address}/voice?rate=0") as browser:
            await until_type(browser, "ready")
            await browser.send(bytes(960))
            assert "sample_rate: 0 is not possible" in (await until_type(browser, "error"))["message"]


async def test_browser_app_survives_a_browser_that_vanishes(caplog: pytest.LogCaptureFixture) -> None:
    connection = Dialogue()
    with Server(app(scripted_provider(connection=connection))) as server:
        async with connect(f"ws://{server.address}/voice") as browser:
            await until_type(browser, "ready")
            for _ in range(30):
                await browser.send(bytes(960))
            await browser.recv()
            browser.transport.abort()
    assert "Traceback" not in caplog.text
    assert not [record for record in caplog.records if record.exc_info]
