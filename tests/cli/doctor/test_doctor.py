"""`voice doctor`: what it finds, and that nothing broken stops it."""

import os
import sys
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.audio.devices.fake_portaudio import FakeDevice, FakePortAudio
from tests.cli.conftest import ROOT, Voice
from tests.cli.doctor.conftest import Look, write_settings
from tests.cli.screen import screen_of
from tests.support.plugins import PARROT, install
from voicecli.cli import ExitStatus, execute
from voicecli.cli.doctor.area import Area, Scope, findings_in
from voicecli.errors import ConfigurationError
from voicecli.finding import Finding
from voicecli.install import EXTRAS, REQUIRED
from voicecli.settings.keys import keys_path, store_key

OPENAI = f"sk-proj-{'a1B2' * 12}"
GEMINI = f"AIza{'x' * 35}"


def test_all_is_well(look: Look) -> None:
    found = look()
    assert found.code == 0
    assert {row["verdict"] for row in found.rows} <= {"ok"}, found.rows
    assert found.one("PortAudio")[1].startswith("V19")
    assert found.one("Microphone")[1] == "built-in; ALSA, 24000 Hz, 1 channel"
    assert found.one("Answers")[1] == "Offline engine, the first that is set up"
    assert found.one("openai") == ("ok", "not set up")
    areas = list(dict.fromkeys(row["area"] for row in found.rows))
    assert areas == ["Installation", "Sound", "Providers", "Settings", "Folders", "Terminal"], "and no network"


def test_nothing_is_opened_or_written(look: Look, home: Path, portaudio: FakePortAudio) -> None:
    look()
    assert not portaudio.streams
    assert not list(home.rglob("*"))


def test_with_listen_both_devices_are_opened(look: Look, portaudio: FakePortAudio) -> None:
    over = threading.Event()

    def flow() -> None:
        while not over.wait(0.002):
            portaudio.deliver()

    sound = threading.Thread(target=flow)
    sound.start()
    try:
        found = look("--listen")
    finally:
        over.set()
        sound.join()
    assert found.code == 0
    assert found.one("Opened") == ("ok", "the loudspeaker")
    assert "dB of full scale, over a second" in found.one("Level")[1]
    assert {stream.kind for stream in portaudio.streams} == {"input", "output"}
    assert not portaudio.running


# -- sound


def test_no_devices_may_be_as_it_should_be(look: Look, portaudio: FakePortAudio) -> None:
    portaudio.plugged.clear()
    found = look()
    assert found.code == 0
    assert found.one("Microphone") == ("warn", "No microphone was found.")
    assert found.one("Loudspeaker")[0] == "warn"


def test_a_device_that_is_set_should_be_there(look: Look, portaudio: FakePortAudio) -> None:
    write_settings('input-device = "Headset"\noutput-device = "speak"')
    portaudio.plugged[:] = [FakeDevice("Desk"), FakeDevice("Speakers")]
    found = look()
    assert found.code == ExitStatus.AUDIO
    assert found.one("Microphone") == ("fail", "There is no microphone 'Headset'.")
    assert found.one("Loudspeaker")[1].startswith("Speakers; ")


def test_a_missing_portaudio_comes_with_the_command_that_installs_it(voice: Voice, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import ctypes.util\nctypes.util.find_library = lambda name: None\n")
    done = voice("doctor", PYTHONPATH=f"{ROOT}:{tmp_path}", HOME=str(tmp_path / "home"))
    assert done.code == ExitStatus.AUDIO
    assert "fail  PortAudio       The library PortAudio is missing" in done.stdout.decode()
    assert "      Install it" in done.stdout.decode()
    assert "All is well" not in done.stdout.decode()
    assert done.stderr == ""


# -- keys


def test_a_key_is_told_by_where_it_comes_from_and_never_shown(
    look: Look, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", OPENAI)
    store_key("openai", OPENAI[::-1])
    store_key("gemini", GEMINI)
    found = look()
    assert found.code == 0
    there = "there is a key, from OPENAI_API_KEY; another is stored in the file, and comes after it"
    assert found.one("openai") == ("ok", there)
    assert found.one("gemini") == ("ok", "there is a key, stored in the file")
    told = str(found.rows)
    for key in (OPENAI, OPENAI[::-1], GEMINI):
        assert not any(key[at : at + 6] in told for at in range(len(key) - 6))


@pytest.mark.parametrize(
    ("variable", "key", "verdict", "told"),
    [
        ("OPENAI_API_KEY", GEMINI, "warn", 'keys of OpenAI begin with "sk-"'),
        ("GEMINI_API_KEY", OPENAI, "warn", 'keys of Gemini begin with "AIza" or "AQ."'),
        ("OPENAI_API_KEY", "sk-cut-off", "warn", "keys of OpenAI are longer"),
        ("GEMINI_API_KEY", "AIzaCutOff", "warn", "keys of Gemini have another length"),
        ("OPENAI_API_KEY", "sk-“quoted”", "fail", "has characters that no key has"),
        ("OPENAI_API_KEY", "ek_68af296e8e408191a1120ab6383263c2", "ok", "from OPENAI_API_KEY"),
        ("GEMINI_API_KEY", "auth_tokens/4f2a", "ok", "from GEMINI_API_KEY"),
    ],
)
def test_a_key_is_looked_at(
    look: Look, monkeypatch: pytest.MonkeyPatch, variable: str, key: str, verdict: str, told: str
) -> None:
    monkeypatch.setenv(variable, key)
    found, name = look(), variable.partition("_")[0].lower()
    assert found.one(name)[0] == verdict
    assert told in found.one(name)[1]
    assert key not in str(found.rows)
    assert found.code == (ExitStatus.CONFIGURATION if verdict == "fail" else 0)


def test_keys_of_other_servers_may_be_anything(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "anything")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    assert look().one("openai")[0] == "ok"


def test_stored_keys_that_others_may_read_and_that_are_damaged(look: Look) -> None:
    store_key("openai", OPENAI)
    keys_path().chmod(0o644)
    assert look().named("Stored keys")[0]["fix"] == f"chmod 600 {keys_path()}"
    keys_path().write_text(f'{{"openai": {{"key": "{OPENAI}"')
    found = look()
    assert found.code == ExitStatus.CONFIGURATION
    assert {row["verdict"] for row in found.named("Stored keys")} == {"warn", "fail"}
    assert OPENAI not in str(found.rows)


def test_a_keyring_that_does_not_answer(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    store_key("openai", OPENAI)
    keys_path().write_text('{"openai": {"keyring": true}}')
    assert look().one("openai")[0] == "fail"


def test_a_provider_that_is_named_must_be_set_up(look: Look) -> None:
    found = look("openai")
    assert found.code == ExitStatus.CONFIGURATION
    assert found.one("openai") == ("fail", "OpenAI Realtime is not set up")
    assert not found.named("gemini")
    assert execute(["doctor", "nobody"]) == ExitStatus.USAGE


def test_a_broken_package_is_told(look: Look, site: Path) -> None:
    install(site, "voicecli-broken", {"voicecli_broken": "print('noise')\n1 / 0"}, broken="voicecli_broken:X")
    found = look()
    assert found.code == 0
    assert "ZeroDivisionError" in found.one("Package")[1]


def test_a_package_that_breaks_when_it_is_asked_hides_nothing(look: Look, site: Path) -> None:
    broken = f"{PARROT}\nimport dataclasses\nPARROT = dataclasses.replace(PARROT, findings=lambda config: 1 / 0)\n"
    install(site, "voicecli-parrot", {"voicecli_parrot": broken}, parrot="voicecli_parrot:PARROT")
    install(site, "voicecli-zebra", {"zebra": PARROT.replace('"parrot"', '"zebra"')}, zebra="zebra:PARROT")
    found = look()
    assert found.one("parrot") == ("fail", "breaks when it is asked: ZeroDivisionError: division by zero")
    assert found.one("zebra") == ("ok", "ready, without a key")


# -- settings


def test_all_that_is_wrong_is_told_with_its_line(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    write_settings(
        'speed = "fast"\nvioce = "cedar"\n\n[profiles.work]\nvad = "psychic"\napi-key = "sk-secret0123456789"\n'
    )
    monkeypatch.setenv("VOICE_SILENCE_MS", "long")
    monkeypatch.setenv("VOICE_VIOCE", "cedar")
    found = look()
    assert found.code == ExitStatus.CONFIGURATION
    assert [row["value"].partition(":")[0] for row in found.named("Setting")] == [
        "config.toml, line 1",
        "config.toml, line 2",
        "config.toml, line 5",
        "config.toml, line 6",
    ]
    assert found.named("Setting")[1]["fix"] == "Did you mean voice?"
    variables = {(row["verdict"], row["value"].partition(" ")[0].rstrip(":")) for row in found.named("Variable")}
    assert variables == {("fail", "VOICE_SILENCE_MS"), ("warn", "The")}
    assert "sk-secret" not in str(found.rows)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("speed = ", "is not TOML"),
        ('provider = "nobody"', "There is no provider 'nobody'."),
        ('tools = "gone.py"', "config.toml, line 1: tools: there is no file"),
        ('system = "@gone.md"', "config.toml, line 1: system: Cannot read"),
        ('[profiles.work]\nprovider = "nobody"', "There is no provider 'nobody'."),
    ],
)
def test_what_is_wrong_with_a_file(look: Look, text: str, told: str) -> None:
    write_settings(text)
    found = look()
    assert found.code == ExitStatus.CONFIGURATION
    assert any(told in row["value"] for row in found.rows if row["verdict"] == "fail"), found.rows


def test_the_built_in_tools_are_no_file(look: Look) -> None:
    write_settings('tools = "builtin"')
    assert "fail" not in {row["verdict"] for row in look().rows if row["area"] == "Settings"}
    write_settings('input = "builtin"')
    assert "there is no file" in look().one("Setting")[1]


def test_a_profile_that_is_not_there(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    write_settings("[profiles.work]\nspeed = 1.2")
    monkeypatch.setenv("VOICE_PROFILE", "home")
    assert look().one("Profile")[0] == "fail"
    monkeypatch.setenv("VOICE_PROFILE", "work")
    found = look()
    assert (found.code, found.named("Profile")) == (0, [])
    assert found.one("File")[1].endswith("config.toml: 0 settings, 1 profile")


# -- folders


def test_folders_with_their_sizes(look: Look, home: Path) -> None:
    cache = home / ".cache" / "voicecli"
    cache.mkdir(parents=True)
    (cache / "smart-turn-1.onnx").write_bytes(bytes(12_345_678))
    (cache / "not-ours").write_bytes(bytes(50_000_000))
    assert look().one("Cache") == ("ok", "~/.cache/voicecli: 12 MB")


def test_folders_that_cannot_be_used(look: Look, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / ".cache").write_text("a file")
    (home / "st" / "voicecli").mkdir(parents=True)
    monkeypatch.setattr(os, "access", lambda path, mode: "st" not in Path(path).parts or not mode & os.W_OK)
    found = look()
    assert found.code == 0, "a conversation works without them"
    assert found.one("Cache") == ("warn", f"{home}/.cache is no folder")
    assert found.one("State") == ("warn", f"{home}/st/voicecli cannot be written")
    assert found.named("State")[0]["fix"].startswith(f"chmod u+w {home}/st/voicecli")


def test_without_a_home(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(uid: int) -> None:
        raise KeyError

    import pwd  # not on Windows

    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "VOICECLI_CONFIG"):
        monkeypatch.delenv(name)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    found = look()
    assert found.code == ExitStatus.CONFIGURATION, "the model that is built in has no place"
    assert [row["verdict"] for row in found.rows if row["area"] == "Folders"] == ["warn"]
    assert found.one("File")[0] == "warn"


# -- what hangs or breaks


def test_what_hangs_is_given_up_and_what_came_before_is_kept() -> None:
    def look(scope: Scope) -> Iterator[Finding]:
        yield Finding("First", "is there")
        threading.Event().wait()

    first, second = findings_in(Area("Slow", look, limit_s=0.05), Scope())
    assert first.value == "is there"
    assert (second.name, second.verdict) == ("Slow", "fail")


@pytest.mark.parametrize("error", [ConfigurationError("no", advice="Do."), ZeroDivisionError("words"), SystemExit(3)])
def test_what_breaks_is_a_finding(error: BaseException) -> None:
    def look(scope: Scope) -> Iterator[Finding]:
        yield Finding("First", "is there")
        sys.stdout.write("noise")
        raise error

    first, second = findings_in(Area("Broken", look), Scope())
    assert (first.name, second.name, second.verdict) == ("First", "Broken", "fail")
    assert "words" not in str(second.shared)


def test_much_that_is_broken_at_once(voice: Voice, tmp_path: Path) -> None:
    """Through the real command: each thing has its line, and none hides another."""
    home = tmp_path / "home"
    settings = home / ".config" / "voicecli"
    (settings / "config.toml").mkdir(parents=True)
    (settings / "keys.json").write_text('{"openai": {"keyring": true}}')
    (home / ".cache").write_text("a file")
    done = voice(
        *("doctor", "--bundle", "report.txt"),
        HOME=str(home),
        VOICECLI_CONFIG=str(settings),
        PYTHON_KEYRING_BACKEND="tests.support.keyrings.HangingKeyring",
        VOICECLI_LLM_PORTS="none",
        VOICE_SPEED="fast",
        HTTPS_PROXY="garbage",
        LC_ALL="C",
        TERM="",
    )
    assert done.code == ExitStatus.CONFIGURATION
    told = done.stdout.decode()
    for line in (
        "fail  openai          The key for openai is in the system's keyring, which cannot be asked",
        "fail  Model servers   VOICECLI_LLM_PORTS: 'none' is no port.",
        "is no file.",
        "fail  Variable        VOICE_SPEED: 'fast' is not possible.",
        ".cache is no folder",
    ):
        assert line in told
    assert "Traceback" not in done.stderr
    assert "fail  openai: the key stored in the keyring cannot be used" in (tmp_path / "report.txt").read_text()


# -- how it looks


@pytest.mark.parametrize("columns", [60, 100, 200])
def test_each_line_has_a_verdict_and_fits(look: Look, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    write_settings('speed = "fast"')
    screen = screen_of(monkeypatch, "stdout", columns)
    assert execute(["doctor"]) == ExitStatus.CONFIGURATION
    assert max(map(len, screen.lines)) <= columns or columns == 60, "a path stays whole for whoever copies it"
    assert screen.lines[0] == "Installation"
    assert screen.lines[-1].startswith("1 failed, ")
    for line in screen.lines:
        assert line[:6].strip() in {"ok", "warn", "fail", ""} or line in {"Installation", "Sound", "Providers"} | {
            *("Settings", "Folders", "Terminal", screen.lines[-1])
        }


def test_the_extras_and_the_packages_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = {name for name, packages in project["optional-dependencies"].items() if packages} - {"dev"}
    assert extras <= EXTRAS.keys()
    everywhere = {text for text in project["dependencies"] if ";" not in text}
    assert {text.partition(">")[0] for text in everywhere} == REQUIRED.keys()
