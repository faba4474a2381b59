"""What profile, environment and file say, in this order, and what is wrong in them."""

import os
from pathlib import Path
from typing import Any

import pytest

from voicecli import ConfigurationError, RealtimeConfig, RealtimeVoice, ServerVAD, VADMode
from voicecli.config import ClientVAD
from voicecli.providers import PROVIDERS, LocalSettings, OpenAISettings
from voicecli.settings.entries import COMMAND_ENTRIES, Entry, entries_of
from voicecli.settings.environment import unknown_variables
from voicecli.settings.file import SettingsFile, UnreadableFileError
from voicecli.settings.layers import chosen_values
from voicecli.settings.loading import TAKEN
from voicecli.settings.options import setting_options

PATH = Path("/home/ada/.config/voicecli/config.toml")
ENTRIES = {entry.name: entry for entry in entries_of(setting_options(PROVIDERS, TAKEN))}


def file(text: str) -> SettingsFile:
    return SettingsFile.of(PATH, text.encode())


def write(text: str) -> Path:
    """The user's settings file, with this content."""
    path = Path(os.environ["VOICECLI_CONFIG"], "config.toml")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_profile_comes_before_environment_before_file() -> None:
    text = "speed = 1.0\nmodel = 'a'\nvoice = 'x'\n[profiles.work]\nspeed = 1.2\n"
    environ = {"VOICE_SPEED": "1.1", "VOICE_MODEL": "b"}
    entries = list(ENTRIES.values())
    chosen = chosen_values(entries, file(text), environ, "work")
    assert {name: (found.value, found.source) for name, found in chosen.items()} == {
        "speed": (1.2, "profile"),
        "model": ("b", "environment"),
        "voice": ("x", "file"),
    }
    assert chosen["speed"].place == f"{PATH}, line 5: speed"
    assert chosen["model"].place == "VOICE_MODEL"
    assert chosen["voice"].place == f"{PATH}, line 3: voice"
    assert chosen_values(entries, file(text), environ)["speed"].value == 1.1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("speed = 'fast'", "line 1: speed: 'fast' is not possible. Give a number from 0.25 to 1.5."),
        ("\n\nspeed = 9", "line 3: speed: 9 is not possible. Give a number from 0.25 to 1.5."),
        ("speed = true", "line 1: speed: true is not possible."),
        ("speed = '1.20'", "line 1: speed: '1.20' is a text. Leave out the quotes: 1.2"),
        ("interrupt = 'no'", "line 1: interrupt: 'no' is a text. Leave out the quotes: false"),
        ("speed = '9'", "line 1: speed: '9' is not possible. Give a number from 0.25 to 1.5."),
        ("silence-ms = 0.5", "line 1: silence-ms: 0.5 is not possible. Give a whole number from 100 to 10000."),
        ("silence_ms = 60", "line 1: silence-ms: 60 is not possible."),
        ("interrupt = 1", "line 1: interrupt: 1 is not possible. Give true or false."),
        ("voice = 7", "line 1: voice: 7 is not possible. Give a text."),
        ("background-tool = [1]", "line 1: background-tool: [1] is not possible. Give a list of texts."),
        ("vad = 'psychic'", "line 1: vad: 'psychic' is not possible. Give one of 'server', 'client', 'none'."),
        ("model = 'x'\nmodle = 'x'", "line 2: modle: there is no such setting. Did you mean model?"),
        ("[profiles.work]\n\nvioce = 'x'", "line 3: vioce: there is no such setting. Did you mean voice?"),
        ("[profiles]\nhome.speed = 'x'", "line 2: speed: 'x' is not possible."),
        ("profiles = 3", "line 1: profiles: this is no table. Write [profiles.NAME]"),
        ("silence-ms = 500\nsilence_ms = 500", "line 1: silence-ms: this is there twice."),
        ("[profile.work]\nvoice = 'x'", "line 1: profile: there is no such setting. A profile is a table"),
        ("header = ['A: sk-secret', 5]", "line 1: header: this is not possible. Give a list of texts."),
        ("api-key = 'sk-secret'", "line 1: api-key: there is no such setting. Keys of providers do not belong here"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, told: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        for _, problem in file(text).problems(list(ENTRIES.values())):
            raise problem
    assert str(caught.value).startswith(str(PATH))
    assert told in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"speed = ", "is not TOML: Invalid value"),
        (b'model = "gpt', "is not TOML: "),
        (b"a = 1\nb = 2\na = 3", "at line 3"),
        (b"model = '\xff'", "is not TOML: it is not UTF-8 text"),
        (b"a=" + b"[" * 5_000, "is not TOML"),
    ],
)
def test_what_is_no_toml_is_told(content: bytes, told: str) -> None:
    with pytest.raises(UnreadableFileError, match=told):
        SettingsFile.of(PATH, content)


def test_a_line_is_found_however_the_entry_is_written() -> None:
    text = 'system = """\nspeed = 1\n"""\r\n"speed" = 1 # yes\nheader = [\n  "A: b",\n]\n[profiles]\nnear.voice = "x"\n'
    found = file(text)
    assert [found.line("", name) for name in ("system", "speed", "header", "nothing")] == [1, 4, 5, 0]
    assert found.line("near", "voice") == 9


@pytest.mark.parametrize(
    "text",
    [
        "logs-keep-days = 30",
        "logs_keep_days = 30",
        "logs.keep_days = 30",
        "[logs]\nkeep-days = 30",
        "logs = {keep_days = 30}",
    ],
)
@pytest.mark.parametrize("profile", ["", "work"])
def test_a_group_of_entries_may_be_a_table(text: str, profile: str) -> None:
    entry = Entry("logs-keep-days", int, between=(0, 36_500))
    if profile:
        text = f"[profiles.work]\n{text.replace('[logs]', '[profiles.work.logs]')}"
    settings = file(f"speed = 1.1\n{text}")
    (chosen,) = chosen_values([entry], settings, {}, profile or None).values()
    assert chosen.value == 30
    line = len(settings.text.splitlines())
    assert chosen.place == f"{PATH}, line {line}: logs-keep-days"
    wrong = file(text.replace("30", "-1"))
    with pytest.raises(ConfigurationError, match=r"logs-keep-days: -1 is not possible\. Give a whole number from 0 to"):
        wrong.value(entry, profile)


def test_in_a_table_of_entries_is_nothing_else() -> None:
    ((line, problem),) = file("[logs]\nkeep-day = 3").problems([Entry("logs-keep-days", int)])
    assert line == 2
    assert "line 2: logs-keep-day: there is no such setting. Did you mean" in str(problem)
    with pytest.raises(ConfigurationError, match=r"logs-keep-days: this is there twice"):
        file("logs-keep-days = 3\n[logs]\nkeep-days = 3")


def test_windows_editors_may_write_it() -> None:
    written = SettingsFile.of(PATH, b"\xef\xbb\xbfspeed = 1.0\r\nvoice = 'x'\r\n")
    assert written.tables[""] == {"speed": 1.0, "voice": "x"}


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("interrupt", "0", False),
        ("interrupt", "TRUE", True),
        ("text-only", "false", False),
        ("speed", " 1.25 ", 1.25),
        ("silence-ms", "700", 700),
        ("background-tool", "a, b,", ["a", "b"]),
        ("vad", "client", "client"),
        ("model", "a,b", "a,b"),
    ],
)
def test_the_environment_gives_values(name: str, text: str, value: object) -> None:
    entry = ENTRIES[name]
    assert chosen_values([entry], SettingsFile(), {entry.variable: text})[name].value == value


@pytest.mark.parametrize(
    ("variable", "text", "told"),
    [
        ("VOICE_INTERRUPT", "maybe", "VOICE_INTERRUPT: 'maybe' is not possible. Give true or false."),
        ("VOICE_SPEED", "fast", "VOICE_SPEED: 'fast' is not possible. Give a number from 0.25 to 1.5."),
        ("VOICE_SPEED", "9", "VOICE_SPEED: 9.0 is not possible."),
        ("VOICE_SILENCE_MS", "1.5", "VOICE_SILENCE_MS: '1.5' is not possible. Give a whole number"),
        ("VOICE_VAD", "x", "VOICE_VAD: 'x' is not possible. Give one of"),
        ("VOICE_MODEL", "\udcff", "VOICE_MODEL: this is not UTF-8 text."),
    ],
)
def test_what_is_wrong_in_the_environment_is_told(variable: str, text: str, told: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        chosen_values(list(ENTRIES.values()), SettingsFile(), {variable: text})
    assert told in str(caught.value)


def test_an_empty_variable_is_none() -> None:
    assert chosen_values([ENTRIES["speed"]], SettingsFile(), {"VOICE_SPEED": ""}) == {}


def test_an_unknown_variable_is_told_with_the_nearest() -> None:
    environ = {"VOICE_MODLE": "x", "VOICE_TRACEBACK": "1", "VOICE_SPEED": "1", "VOICECLI_CACHE": "x", "VOICE_QQQ": ""}
    environ["VOICE_HELP"] = "1"  # like others only in how it begins
    assert unknown_variables(list(ENTRIES.values()), environ) == [
        "The variable VOICE_HELP is no setting.",
        "The variable VOICE_MODLE is no setting: did you mean VOICE_MODEL?",
    ]


def test_a_profile_that_is_not_there() -> None:
    for text, told in (("[profiles.work]", "Did you mean work?"), ("", r"Write \[profiles.wrok\] there.")):
        with pytest.raises(ConfigurationError, match=told):
            chosen_values([], file(text), {}, "wrok")


def test_a_file_that_the_settings_file_names_lies_beside_it() -> None:
    entry = Entry("tools", str, is_file=True)
    home = Path("~").expanduser()
    for written, meant in (("a.py", str(PATH.parent / "a.py")), ("/b.py", "/b.py"), ("~/c.py", str(home / "c.py"))):
        assert file(f"tools = '{written}'").value(entry) == meant
    assert entry.read("a.py") == "a.py"
    assert file("tools = '-'").value(entry) == "-"
    texts = file("system = '@a.txt'\n[profiles.at]\nsystem = '@@a.txt'\n")
    assert texts.value(ENTRIES["system"]) == f"@{PATH.parent / 'a.txt'}"
    assert texts.value(ENTRIES["system"], "at") == "@@a.txt"


def test_what_may_hold_a_secret_is_not_shown_whole() -> None:
    for name, value, shown in (
        ("base-url", "https://me:pw@host:1/sk-1?key=2", "https://host:1/..."),
        ("llm", "smollm2", "smollm2"),
        ("header", ["A: sk-1", "B: sk-2"], "A: ..., B: ..."),
        ("openai-mcp", ["docs=https://host/sk-1"], "docs=https://host/..."),
        ("model", "gpt", "gpt"),
        ("system", "Be brief: yes, very", "Be brief: yes, very"),
        ("truncation", "0.8", "0.8"),
        ("interrupt", False, "false"),
    ):
        assert ENTRIES[name].presented(value) == shown
    servers = Entry("mcp", str, several=True, shown=False)  # commands or addresses
    for written, shown in (
        ("uvx mcp-server-time", "uvx mcp-server-time"),
        ("uvx server --key sk-1", "uvx server ..."),
        ("KEY=sk-1 server", "..."),
        ("docker run -e KEY=sk-1 mcp/x:latest", "docker run ..."),
        ("npx mcp-remote https://host/?key=sk-1", "npx mcp-remote ..."),
        ("https://host/mcp?key=sk-1", "https://host/..."),
    ):
        assert servers.presented([written]) == shown


class TestFromSettings:
    def test_the_library_reads_them_when_it_is_asked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789")
        write("provider = 'local'\nspeed = 1.2\necho = 'off'\nllm_model = 'x'\n[profiles.work]\nvad = 'client'\n")
        monkeypatch.setenv("VOICE_SILENCE_MS", "700")
        config = RealtimeConfig.from_settings(profile="work")
        assert config == RealtimeConfig(
            provider="local",
            speed=1.2,
            vad_mode=VADMode.CLIENT,
            client_vad=ClientVAD(hangover_ms=700),
            turn_detection=ServerVAD(silence_duration_ms=700),
            provider_settings=LocalSettings(llm_model="x"),
        )
        assert RealtimeVoice(config=config).provider == "local"
        assert RealtimeVoice().config == RealtimeConfig()
        assert RealtimeVoice().provider == "openai"

    def test_another_provider_gets_what_it_has(self) -> None:
        write("provider = 'local'\nllm = 'x.gguf'\norganization = 'o'\n")
        config = RealtimeConfig.from_settings(provider="openai")
        assert config.own(OpenAISettings) == OpenAISettings(organization="o")

    def test_what_is_wrong_is_told_with_its_place(self, monkeypatch: pytest.MonkeyPatch) -> None:
        path = write("provider = 'openai'\nbase_url = 'nowhere'\ntruncation = 7\n")
        with pytest.raises(ConfigurationError, match=f"^{path}, line 3: truncation: "):
            RealtimeConfig.from_settings()
        path.write_text("base_url = 'nowhere'\n")
        with pytest.raises(ConfigurationError, match=f"^{path}, line 1: base-url: not a URL"):
            RealtimeConfig.from_settings(provider="openai")
        monkeypatch.setenv("VOICE_PROFILE", "work")
        with pytest.raises(ConfigurationError, match="no profile 'work'"):
            RealtimeConfig.from_settings()

    @pytest.mark.parametrize("name", ["provider", "profile"])
    def test_what_is_no_name_is_told(self, name: str) -> None:
        given: dict[str, Any] = {name: 3}
        with pytest.raises(ConfigurationError, match=f"^{name}: a name is wanted, not int"):
            RealtimeConfig.from_settings(**given)


def test_names_of_the_command_are_no_settings_of_providers() -> None:
    assert {name.replace("-", "_") for name in COMMAND_ENTRIES} <= TAKEN
