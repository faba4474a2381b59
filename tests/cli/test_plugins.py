"""Providers that packages bring, on the command line."""

import json
import shlex
import shutil
import subprocess
import sys
import tomllib
import wave
from pathlib import Path

import pytest

from tests.cli.conftest import DATA, ROOT, Voice, clean_environment
from tests.support.plugins import CHECK, COMMANDS, PARROT, PROJECT, install

QUESTION = str(DATA / "question.wav")


@pytest.fixture
def site(tmp_path: Path) -> dict[str, str]:
    """The environment in which the parrot is installed, and a provider that is broken."""
    folder = tmp_path / "site"
    folder.mkdir()
    install(folder, "voicecli-parrot", {"voicecli_parrot": PARROT}, parrot="voicecli_parrot:PARROT")
    install(folder, "voicecli-broken", {"broken_provider": "import missing_library"}, broken="broken_provider:X")
    return {"PYTHONPATH": f"{ROOT}:{folder}"}


def test_lists_show_it_and_tell_what_is_broken(voice: Voice, site: dict[str, str]) -> None:
    listed = voice("list-providers", "--json", **site)
    assert listed.code == 0
    assert [row["provider"] for row in json.loads(listed.stdout)][-1] == "parrot"
    assert "voice: The provider 'broken' of the package voicecli-broken cannot be used: ModuleNotFound" in listed.stderr
    models = voice("list-models", "parrot", **site)
    assert (models.code, models.lines, models.stderr) == (
        0,
        ["parrot\tparrot\tdefault\tsays everything back\t-\t-\tconversation"],
        "",
    )


def test_its_settings_are_options_when_it_is_named(voice: Voice, site: dict[str, str]) -> None:
    shown = voice("chat", "--help", "-p", "parrot", COLUMNS="80", **site).stdout.decode()
    assert "\nParrot\n" in shown
    assert "How often it says it, 1 to 5." in shown
    assert "--times" not in voice("chat", "--help", COLUMNS="80", **site).stdout.decode()
    said = voice("send-text", "Hello!", "--provider", "parrot", "--times", "3", "--json", **site)
    assert said.code == 0, said.stderr
    finals = [line["text"] for line in map(json.loads, said.lines) if line["type"] == "transcript"]
    assert finals[-1] == "Hello! Hello! Hello!"


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["-p", "parrot", "--times", "9"], 2, "Invalid value for --times: 9 is not possible."),
        (["-p", "parrot", "--times"], 2, "--times needs a value: --times"),
        (["-p", "openai", "--times", "2"], 2, "No such option"),
        (["-p", "broken"], 3, "The provider 'broken' of the package voicecli-broken cannot be used"),
        (["-p", "nobody"], 2, "There is no provider 'nobody'. Choose one of openai, gemini, local, "),
    ],
)
def test_what_is_wrong_is_told(voice: Voice, site: dict[str, str], arguments: list[str], code: int, told: str) -> None:
    result = voice("chat", "-i", QUESTION, *arguments, **site)
    assert result.code == code
    assert told in result.stderr
    assert "Traceback" not in result.stderr


def test_a_provider_of_the_environment_has_its_options(voice: Voice, site: dict[str, str], tmp_path: Path) -> None:
    arguments = ["chat", "-i", QUESTION, "-o", "reply.wav", "--times", "2", "--temperature", "1", "--google-search"]
    result = voice(*arguments, VOICE_PROVIDER="parrot", **site)
    assert result.code == 0, result.stderr
    assert "Note: temperature is left out: a parrot stays cool." in result.stderr
    assert "Note: --google-search has no effect with parrot, only with gemini." in result.stderr
    with wave.open(str(tmp_path / "reply.wav")) as reply, wave.open(QUESTION) as question:
        said, heard = (each.getnframes() / each.getframerate() for each in (reply, question))
        assert said > heard


@pytest.mark.parametrize("line", COMMANDS)
def test_the_commands_of_the_recipe(voice: Voice, site: dict[str, str], tmp_path: Path, line: str) -> None:
    shutil.copy(QUESTION, tmp_path)
    program, *arguments = shlex.split(line)
    assert program == "voice"
    result = voice(*arguments, **site)
    assert result.code == 0, result.stderr


def test_the_entry_point_of_the_recipe_is_the_one_that_is_installed() -> None:
    project = tomllib.loads(PROJECT)["project"]
    assert project["entry-points"]["voicecli.providers"] == {"parrot": "voicecli_parrot:PARROT"}


def test_the_check_of_the_recipe(site: dict[str, str]) -> None:
    done = subprocess.run([sys.executable, "-c", CHECK], capture_output=True, env=clean_environment(**site))
    assert done.returncode == 0, done.stderr.decode()


def test_what_a_broken_one_says_does_not_steer_the_terminal(voice: Voice, tmp_path: Path) -> None:
    install(tmp_path, "voicecli-rude", {"rude": "raise OSError('\\x1b[2J\\nbye')"}, rude="rude:X")
    for command in (["list-providers"], ["list-models", "rude"]):
        told = voice(*command, PYTHONPATH=f"{ROOT}:{tmp_path}").stderr
        assert "\x1b" not in told
        assert "OSError: \\x1b[2J" in told
