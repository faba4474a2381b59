"""`voice setup` and `voice` alone, in a real terminal and a clean home."""

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import ROOT, Voice
from tests.loopback.gemini_server import KEY, GeminiServer
from tests.support.terminal import Tmux
from voicecli.cli import ExitStatus, execute

VOICE = "tests.support.without_local"
"""The offline engine is not there, so that nothing is set up."""


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Tmux]:
    shell = Tmux(tmp_path / "tmux")
    yield shell
    shell.close()


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """The environment of a new user."""
    (tmp_path / "home").mkdir()
    unset = ("VOICECLI_CONFIG", "XDG_CONFIG_HOME", "OPENAI_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY")
    settings = {"HOME": str(tmp_path / "home"), "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}
    return dict.fromkeys((*unset, "AZURE_OPENAI_ENDPOINT", "GOOGLE_CLOUD_PROJECT"), "") | settings


def files(home: dict[str, str]) -> dict[str, Path]:
    return {file.name: file for file in Path(home["HOME"]).rglob("*") if file.is_file()}


def test_a_new_user_is_asked_three_questions(terminal: Tmux, home: dict[str, str]) -> None:
    with GeminiServer.in_thread() as server:
        home["GOOGLE_GEMINI_BASE_URL"] = server.url
        terminal.run(VOICE, "setup", environment=home)
        terminal.wait_for("Number [1]:")
        terminal.keys("9", "Enter")
        terminal.wait_for("Type a number from 1 to ")
        terminal.keys("gemini", "Enter")
        terminal.wait_for("(it is not shown)")
        terminal.keys("wrong-key-0123456789", "Enter")
        terminal.wait(lambda screen: "refused." in screen and screen.count("(it is not shown)") == 2)
        terminal.keys(KEY, "Enter")
        asked = terminal.wait_for("Try it now?")
        assert "Checking it ... it works." in asked
        terminal.keys("n", "Enter")
        told = terminal.wait_for("status 0")
    assert "Now talk: voice" in told
    assert KEY not in terminal.screen("-S", "-")
    assert "wrong-key" not in terminal.screen("-S", "-")
    saved = files(home)
    assert saved["config.toml"].read_text() == 'provider = "gemini"\n'
    assert KEY in saved["keys.json"].read_text()
    assert stat.S_IMODE(saved["keys.json"].stat().st_mode) == 0o600


@pytest.mark.parametrize("at", ["provider", "key", "microphone"])
def test_ctrl_c_leaves_everything_as_it_was(terminal: Tmux, home: dict[str, str], at: str) -> None:
    with GeminiServer.in_thread() as server:
        home["GOOGLE_GEMINI_BASE_URL"] = server.url
        terminal.run(VOICE, "setup", environment=home)
        terminal.wait_for("Number [1]:")
        if at != "provider":
            terminal.keys("gemini", "Enter")
            terminal.wait_for("(it is not shown)")
        if at == "microphone":
            terminal.keys(KEY, "Enter")
            terminal.wait_for("Try it now?")
        terminal.keys("C-c")
        assert "Nothing was changed." in terminal.wait_for("status 130")
    assert files(home).keys() <= {".lock"}
    terminal.check_given_back()


def test_what_cannot_be_saved_is_told_before_anything_is_asked(terminal: Tmux, home: dict[str, str]) -> None:
    home["VOICECLI_CONFIG"] = "/dev/null/settings"
    terminal.run(VOICE, "setup", environment=home)
    assert "/dev/null/settings cannot be written" in " ".join(terminal.wait_for("status 3").split())


def test_alone_it_leads_to_a_conversation(terminal: Tmux, home: dict[str, str], tmp_path: Path) -> None:
    terminal.run(VOICE, environment=home)
    told = terminal.wait_for("status 0")
    bullets = [line.strip(" •") for line in told.splitlines() if "•" in line]
    assert bullets == [
        "voice setup",
        'pip install "voicecli[local]"',
        "voice keys set openai  or  voice keys set gemini",
    ]
    home["VOICE_INPUT"] = str(tmp_path / "none.wav")  # which ends it at once
    terminal.run(VOICE, environment=home | {"OPENAI_API_KEY": "sk-0123456789"})
    told = terminal.wait_for("status 2")
    assert "none.wav" in told.replace("\n", ""), "it is `voice chat`"
    terminal.run(VOICE, environment=home | {"VOICE_PROVIDER": "alexa"})
    assert "There is no provider 'alexa'" in terminal.wait_for("status 3")


def test_without_a_terminal_nothing_is_asked(capsys: pytest.CaptureFixture[str], voice: Voice) -> None:
    assert execute(["setup"]) == ExitStatus.CONFIGURATION
    assert "asks questions, which needs a terminal" in capsys.readouterr().err
    alone = voice()
    assert alone.code == 2
    assert "Commands:" in (alone.stdout.decode() + alone.stderr)


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (
            "AudioDeviceError('No microphone was found.', advice='Connect one.')",
            "No microphone was found. Connect one.",
        ),
        ("typer.Exit(5)", "Another one: voice config set input-device NAME"),
    ],
)
def test_a_microphone_that_fails_keeps_nobody_from_going_on(
    terminal: Tmux, home: dict[str, str], tmp_path: Path, failure: str, told: str
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import typer\n"
        "import voicecli.cli.devices as devices\n"
        "from voicecli.errors import AudioDeviceError\n"
        f"def fail(*_, **__): raise {failure}\n"
        "devices.test_audio = fail\n"
    )
    home["PYTHONPATH"] = f"{ROOT}:{tmp_path}"
    terminal.run(VOICE, "setup", environment=home)
    terminal.wait_for("Number [1]:")
    terminal.keys("openai", "Enter")
    terminal.wait_for("(it is not shown)")
    terminal.keys("Enter")
    terminal.wait_for("Try it now?")
    terminal.keys("Enter")
    screen = terminal.wait_for("status 0")
    assert told in screen
    assert "What is missing is the key: voice keys set openai" in screen
    assert files(home)["config.toml"].read_text() == 'provider = "openai"\n'
