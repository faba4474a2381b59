"""`voice doctor --bundle`: nothing that is the user's own gets into the report."""

import json
import sqlite3
import stat
from pathlib import Path

import pytest

from tests.audio.devices.fake_portaudio import FakeDevice, FakePortAudio
from tests.cli.conftest import Voice
from tests.cli.doctor.conftest import Look, write_settings
from voicecli.cli import ExitStatus, execute
from voicecli.cli.doctor.bundle import report
from voicecli.cli.doctor.redaction import Redactor
from voicecli.finding import Finding
from voicecli.settings.keys import store_key
from voicecli.user_folders import cache_dir, history_dir, models_dir, state_dir

USER, HOST = "rosalind.franklin", "helix-laptop"
PLANTED = {
    "user": USER,
    "host": HOST,
    "key": "sk-proj-Zq7Zq7Zq7Zq7Zq7Zq7Zq7Zq7",
    "stored key": "AIzaSyStored0Stored0Stored0Stored0Store",
    "endpoint key": "llm-key-5e5e5e5e",
    "proxy password": "proxypass99",
    "prompt": "You are the confidant of a chemist",
    "second line": "never mention photograph fifty-one",
    "words": "what did watson take from my drawer",
    "header": "team-header-secret",
    "address": "gateway.kings-college.example",
    "path of tools": "diffraction_tools",
    "profile": "photograph-work",
    "device": "Rosalinds AirPods",
    "unknown setting": "private_note_in_settings",
    "its value": "meet at the eagle pub",
    "unknown variable": "eagle-variable-value",
    "file name": "dna-paper-draft",
    "model name": "crystal-finetune-v2",
    "mistake": "notapossiblespeed",
}


@pytest.fixture
def planted(home: Path, portaudio: FakePortAudio, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Secrets and words wherever voicecli looks."""
    own_home = tmp_path / USER
    own_home.mkdir()
    plants = PLANTED
    for name, value in {
        "HOME": str(own_home),
        "USER": USER,
        "LOGNAME": USER,
        "HOSTNAME": HOST,
        "OPENAI_API_KEY": plants["key"],
        "VOICE_LLM_API_KEY": plants["endpoint key"],
        "HTTPS_PROXY": f"http://{USER}:{plants['proxy password']}@{plants['address']}:3128",
        "OPENAI_BASE_URL": f"https://{plants['address']}/v1?key={plants['key']}",
        "VOICE_SYSTEM": plants["prompt"],
        "VOICE_EAGLE": plants["unknown variable"],
        "VOICE_LLM": "qwen3-1.7b",
        "VOICECLI_CONFIG": str(own_home / ".config"),
        "VOICECLI_CACHE": str(own_home / plants["file name"]),
        "VOICECLI_MODELS": str(own_home / "models"),
        "VOICECLI_HISTORY": str(own_home / "history"),
        "VOICECLI_STATE": str(own_home / "state"),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("platform.node", lambda: f"{HOST}.kings.example")
    monkeypatch.setattr("socket.gethostname", lambda: HOST)
    portaudio.plugged[:] = [FakeDevice(plants["device"])]
    store_key("gemini", plants["stored key"])
    write_settings(
        f'system = """{plants["prompt"]}\n{plants["second line"]}"""\nheader = ["X-Team: {plants["header"]}"]\n'
        f'base-url = "https://{plants["address"]}/{plants["key"]}"\ntools = "{plants["path of tools"]}.py"\n'
        f'{plants["unknown setting"]} = "{plants["its value"]}"\ninput-device = "{plants["device"]}"\n'
        f'model = "{plants["model name"]}"\nspeed = "{plants["mistake"]}"\nvad = "client"\nsilence-ms = 700\n'
        f"[profiles.{plants['profile']}]\nvoice = \"marin\"\ninput = '/mnt/{plants['file name']}.wav'\n"
    )
    for folder in (cache_dir(), history_dir(), models_dir(), state_dir(), own_home):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{plants['file name']}.txt").write_text(plants["words"])
        (folder / "debug.jsonl").write_text(json.dumps({"text": plants["words"], "key": plants["key"]}))
        with sqlite3.connect(folder / "history.db") as database:
            database.execute("CREATE TABLE turns (text TEXT)")
            database.execute("INSERT INTO turns VALUES (?)", [plants["words"]])
        database.close()


@pytest.mark.usefixtures("planted")
def test_nothing_of_what_is_planted_is_in_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = tmp_path / "report.txt"
    assert execute(["doctor", "--bundle", str(bundle)]) == ExitStatus.CONFIGURATION
    told, text = capsys.readouterr(), bundle.read_text()
    assert PLANTED["device"] in told.out, "it is there to be found"
    assert PLANTED["mistake"] in told.out
    for what, plant in PLANTED.items():
        assert plant.casefold() not in text.casefold(), what
    assert f"{bundle}: what this command found" in told.err
    assert "Not inside: keys, anything that was said" in told.err
    assert "Traceback" not in told.err
    for useful in ("vad = client", "silence-ms = 700", "profile 1: voice = marin", "system = (hidden)", "1 unknown"):
        assert useful in text
    assert "there is a key, from OPENAI_API_KEY" in text
    assert "line 9 is wrong" in text
    assert "numpy " in text
    assert "OPENAI_BASE_URL" not in text or PLANTED["address"] not in text
    assert stat.S_IMODE(bundle.stat().st_mode) == 0o600


@pytest.mark.usefixtures("planted")
def test_a_settings_file_that_cannot_be_read_stays_out(tmp_path: Path) -> None:
    write_settings(f'system = "{PLANTED["prompt"]}\n{PLANTED["words"]} = {PLANTED["key"]}')
    bundle = tmp_path / "report.txt"
    execute(["doctor", "--bundle", str(bundle)])
    text = bundle.read_text().casefold()
    for what, plant in PLANTED.items():
        assert plant.casefold() not in text, what
    assert "it cannot be read, or is not toml" in text


def test_whatever_a_finding_repeats_is_taken_out(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", PLANTED["key"])
    monkeypatch.setenv("USER", USER)
    told = f"{home}/x of {USER.upper()} with {PLANTED['key']}"
    text = report(
        [("Sound", [Finding("Driver", told, "fail", told), Finding("Own", told, "fail", told, shared="bad")])]
    )
    assert "  fail  Driver: ~/x of <user> with <hidden>\n        ~/x of <user> with <hidden>\n" in text
    assert "  fail  Own: bad\n\n" in text


def test_short_names_are_no_parts_of_words() -> None:
    assert Redactor({"ok": "<user>"})("ok, a token of ok") == "<user>, a token of <user>"
    assert Redactor({})("as it is") == "as it is"


def test_a_place_that_cannot_be_written(look: Look, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert execute(["doctor", "--bundle", str(tmp_path / "file" / "report.txt")]) == ExitStatus.CONFIGURATION
    assert "cannot be written" in capsys.readouterr().err


def test_the_command_writes_it(voice: Voice, tmp_path: Path) -> None:
    """In a clean home; standard output holds the JSON alone."""
    done = voice("doctor", "--json", "--bundle", "report.txt", HOME=str(tmp_path / "home"))
    assert done.code in (0, ExitStatus.AUDIO), done.stderr
    assert {row["area"] for row in json.loads(done.stdout)} >= {"Installation", "Terminal"}
    assert str(tmp_path) not in (tmp_path / "report.txt").read_text()
    assert not list((tmp_path / "home").rglob("voicecli")), "nothing else is written, but by the sound library"
