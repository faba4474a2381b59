"""Settings of the user, in a clean home: options come before the profile, the environment and the file."""

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest

from tests.cli.conftest import Result, Voice
from tests.cli.test_options import config_of_line
from tests.loopback.openai_server import KEY, OpenAIServer
from voicecli.cli import ExitStatus, execute
from voicecli.cli.app import load_command
from voicecli.cli.chat import chat
from voicecli.cli.layers import own_entries
from voicecli.cli.options import conversation_parameters
from voicecli.config import RealtimeConfig, VADMode
from voicecli.errors import AudioDeviceError
from voicecli.providers import PROVIDERS
from voicecli.settings.entries import COMMAND_ENTRIES, entries_of
from voicecli.settings.loading import TAKEN
from voicecli.settings.options import setting_options


def write(text: str) -> Path:
    """The settings file of this process, with this content."""
    path = Path(os.environ["VOICECLI_CONFIG"], "config.toml")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_each_option_of_chat_can_be_set() -> None:
    parameters = conversation_parameters(chat)
    own = {entry.name for entry in own_entries(parameters).values()}
    assert own == COMMAND_ENTRIES, "the names that the library knows"
    offered = {
        parameter.opts[0][2:]
        for parameter in load_command("chat").params
        if not parameter.hidden and parameter.name not in ("help", "profile", "continue_")
    }
    assert own | {entry.name for entry in entries_of(setting_options(PROVIDERS, TAKEN))} == offered


def test_options_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    write(
        "speed = 1.0\nlanguage = 'en'\nsystem = 'file'\ntext-only = true\nvad = 'none'\n[profiles.work]\nspeed = 1.1\n"
    )
    monkeypatch.setenv("VOICE_SPEED", "1.2")
    monkeypatch.setenv("VOICE_LANGUAGE", "de")
    made = RealtimeConfig(speed=1.2, language="de", system_prompt="file", output="text", vad_mode=VADMode.NONE)
    assert config_of_line(monkeypatch) == made
    assert config_of_line(monkeypatch, "--profile", "work") == replace(made, speed=1.1)
    given = ["--profile", "work", "--speed", "1.3", "--language", "fr", "--no-text-only", "--vad", "client"]
    assert config_of_line(monkeypatch, *given) == RealtimeConfig(
        speed=1.3, language="fr", system_prompt="file", vad_mode=VADMode.CLIENT
    )
    monkeypatch.setenv("VOICE_PROFILE", "work")
    assert config_of_line(monkeypatch).speed == 1.1


def test_a_system_prompt_comes_from_the_first_place_that_has_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "long.txt").write_text("from a file")
    write(f"system-file = '{tmp_path / 'long.txt'}'\n[profiles.short]\nsystem = 'short'\n")
    assert config_of_line(monkeypatch).system_prompt == "from a file"
    assert config_of_line(monkeypatch, "--system", "given").system_prompt == "given"
    assert config_of_line(monkeypatch, "--profile", "short").system_prompt == "short"
    given = ["--profile", "short", "--system-file", str(tmp_path / "long.txt")]
    assert config_of_line(monkeypatch, *given).system_prompt == "from a file"


def test_what_the_file_says_wrong_is_told_by_its_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for text, told in (
        ("base-url = 'nowhere'", ", line 1: base-url: not a URL."),
        ("\nspeed = 'fast'", ", line 2: speed: 'fast' is not possible."),
        ("provider = 'alexa'", ", line 1: provider: There is no provider 'alexa'."),
        ("provder = 'openai'", ", line 1: provder: there is no such setting.\n  Did you mean provider?\n"),
        ("\nsystem-file = 'gone.txt'", ", line 2: system-file: Cannot read "),
        ("echo = 'loud'", ", line 1: echo: 'loud' is not possible.\n  Give one of 'auto', 'aec'"),
    ):
        path = write(text)
        assert execute(["chat", "-i", "x.wav"]) == ExitStatus.CONFIGURATION
        assert f"voice: {path}{told}" in capsys.readouterr().err
    write("")
    assert execute(["chat", "-i", "x.wav", "--profile", "work"]) == ExitStatus.USAGE
    assert "Invalid value for --profile: there is no profile 'work'" in capsys.readouterr().err


def test_the_audio_test_takes_the_devices_that_are_set(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tried: list[tuple[str | None, str | None]] = []

    async def measure(*devices: str | None) -> NoReturn:
        tried.append(devices)  # type: ignore[arg-type]
        raise AudioDeviceError("Enough.")

    monkeypatch.setattr("voicecli.cli.devices._measure", measure)
    write("input-device = 3\noutput-device = 'file'\n")
    monkeypatch.setenv("VOICE_OUTPUT_DEVICE", "environment")
    assert execute(["test-audio"]) == execute(["test-audio", "--output-device", "option"]) == ExitStatus.AUDIO
    assert tried == [("3", "environment"), ("3", "option")]
    write("input-device = true")
    assert execute(["test-audio"]) == ExitStatus.CONFIGURATION
    assert "line 1: input-device: true is not possible." in capsys.readouterr().err


def test_json_lines_that_settings_ask_for_tell_failures_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VOICE_JSON", "1")
    arguments = ["chat", "-p", "local", "-i", "none.wav"]
    assert execute(arguments) == ExitStatus.USAGE
    assert json.loads(capsys.readouterr().out)["error"] == "AudioFormatError"
    assert execute([*arguments, "--no-json"]) == ExitStatus.USAGE
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("written", "environment", "arguments", "error"),
    [
        ("json = true\nspeed = 9", {}, [], "ConfigurationError"),
        ("json = true", {}, ["--nothing"], "UsageError"),
        ("speed = ", {"VOICE_JSON": "1"}, [], "UnreadableFileError"),
        ("", {"VOICE_JSON": "1", "VOICE_SPEED": "fast"}, [], "ConfigurationError"),
        ("json = 3", {}, [], None),
    ],
)
def test_they_do_where_the_settings_or_the_command_line_are_wrong(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    written: str,
    environment: dict[str, str],
    arguments: list[str],
    error: str | None,
) -> None:
    write(written)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert execute(["send-text", "Hi", *arguments]) in (ExitStatus.USAGE, ExitStatus.CONFIGURATION)
    out = capsys.readouterr().out
    assert (json.loads(out)["error"] if out else None) == error


class TestInACleanHome:
    @pytest.fixture
    def server(self) -> Iterator[OpenAIServer]:
        with OpenAIServer.in_thread() as server:
            yield server

    @pytest.fixture
    def home(self, tmp_path: Path) -> dict[str, str]:
        """The environment of a new user."""
        (tmp_path / "home").mkdir()
        return {"HOME": str(tmp_path / "home"), "VOICECLI_CONFIG": "", "XDG_CONFIG_HOME": ""}

    @staticmethod
    def say(voice: Voice, server: OpenAIServer, *arguments: str, **environment: str) -> Result:
        return voice(
            "send-text", "Hi", "--json", *arguments, OPENAI_API_KEY=KEY, OPENAI_BASE_URL=server.url, **environment
        )

    @pytest.mark.skipif(sys.platform != "linux", reason="the place is another one on other systems")
    def test_a_model_comes_from_where_it_is_said_first(
        self, voice: Voice, server: OpenAIServer, home: dict[str, str]
    ) -> None:
        folder = Path(home["HOME"], ".config", "voicecli")
        folder.mkdir(parents=True)
        (folder / "config.toml").write_text("provider = 'openai'\nmodel = 'gpt-a'\n[profiles.work]\nmodel = 'gpt-b'\n")
        for arguments, environment, model in (
            ([], {}, "gpt-a"),
            ([], {"VOICE_MODEL": "gpt-c"}, "gpt-c"),
            (["--profile", "work"], {"VOICE_MODEL": "gpt-c"}, "gpt-b"),
            (["--profile", "work", "--model", "gpt-d"], {"VOICE_MODEL": "gpt-c"}, "gpt-d"),
        ):
            said = self.say(voice, server, *arguments, **home, **environment)
            assert said.code == 0, said.stderr
            (started,) = (line for line in map(json.loads, said.lines) if line["type"] == "session_started")
            assert started["model"] == model
        assert os.listdir(folder) == ["config.toml"]

    def test_a_damaged_file_never_changes_who_hears_the_user(
        self, voice: Voice, server: OpenAIServer, home: dict[str, str], tmp_path: Path
    ) -> None:
        (tmp_path / "config.toml").write_text('provider = "local"\nmodel = "gpt')
        home["VOICECLI_CONFIG"] = str(tmp_path)
        said = self.say(voice, server, **home)
        assert said.code == 3
        assert "config.toml is not TOML: " in said.stderr
        assert "line 2" in said.stderr
        chosen = self.say(voice, server, "-p", "openai", **home)
        assert chosen.code == 0, chosen.stderr
        (note,) = (line for line in map(json.loads, chosen.lines) if line["type"] == "notice")
        assert note["message"].startswith("The settings file has no effect: ")

    def test_what_looks_like_a_setting_and_is_none_is_noted(
        self, voice: Voice, server: OpenAIServer, home: dict[str, str]
    ) -> None:
        said = self.say(voice, server, **home, VOICE_MODLE="x", VOICE_TRACEBACK="1", VOICE_LLM_API_KEY="k-1")
        assert said.code == 0, said.stderr
        assert [line["message"] for line in map(json.loads, said.lines) if line["type"] == "notice"] == [
            "The variable VOICE_MODLE is no setting: did you mean VOICE_MODEL?"
        ]
        assert list(Path(home["HOME"]).iterdir()) == []
