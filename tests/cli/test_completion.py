"""Completion of command lines: what can stand where the cursor is, and the scripts, in the shells themselves."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import ROOT, Voice
from tests.support.systems import may_everything
from tests.support.terminal import Tmux, needs_tmux
from voicecli.cli import ExitStatus, execute
from voicecli.cli.completion import Candidate, candidates, complete
from voicecli.cli.completion_scripts import SHELLS, install, script
from voicecli.errors import ConfigurationError
from voicecli.providers import find_provider

SHELL_PROGRAMS = ("bash", "zsh", "fish")


@pytest.fixture(autouse=True)
def devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VOICE_PROVIDER", raising=False)
    found = {"input": [(0, "USB Mic"), (1, "Built-in")], "output": [(2, "Headphones: 3.5 mm")]}
    monkeypatch.setattr("voicecli.audio.devices.quick_listing.device_names", found.__getitem__)


def words(line: str) -> list[str] | None:
    """The candidates at the end of a line; None for a path."""
    found = candidates([*line.split(" ")])
    return None if found is None else [candidate.word for candidate in found]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("li", ["list-devices", "list-providers", "list-models", "list-voices", "list-tools"]),
        ("nonsense ", []),
        ("chat --input-d", ["--input-device"]),
        ("chat -p l", ["local"]),
        ("chat --provider ", ["openai", "gemini", "local"]),
        ("chat --provider=g", ["--provider=gemini"]),
        ("chat --provider = g", ["--provider=gemini"]),
        ("chat --model gpt-realtime-2.1", ["gpt-realtime-2.1", "gpt-realtime-2.1-mini"]),
        ("chat --transcription-model gpt-l", ["gpt-live-transcribe"]),
        ("chat -p gemini --voice ZE", ["Zephyr", "Zubenelgenubi"][:1]),
        ("chat --input-device ", ["USB Mic", "Built-in"]),
        ("test-audio --output-device h", ["Headphones: 3.5 mm"]),
        ("chat --echo h", ["half-duplex"]),
        ("chat --vad ", ["server", "client", "none"]),
        ("chat --eagerness m", ["medium"]),
        ("chat --json --noise", ["--noise-reduction", "--noise-reduction-strength"]),
        ("list-models ge", ["gemini"]),
        ("list-voices --json o", ["openai"]),
        ("chat --input ", None),
        ("chat -o re", None),
        ("chat --tools ", None),
        ("send-text --system ", []),
        ("models pull q", ["qwen3-1.7b", "qwen3-4b"]),
        ("models pull qwen3-4b kr", ["kristin"]),
        ("models path jo", ["john"]),
        ("config set input-", ["input-rate", "input-device"]),
        ("config set --profile work spe", ["speed"]),
        ("config set speed s", []),
        ("config unset silence", ["silence-ms"]),
        ("chat --speed ", []),
    ],
)
def test_what_can_stand_at_the_cursor(line: str, expected: list[str] | None) -> None:
    assert words(line) == expected


def test_voices_and_models_are_those_of_the_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    assert words("chat --provider local --voice ") == [voice.name for voice in find_provider("local").voices]
    monkeypatch.setenv("VOICE_PROVIDER", "gemini")
    assert words("chat --model ") == [model.name for model in find_provider("gemini").models]
    assert words("translate --model ") == ["gemini-3.5-live-translate-preview"]
    assert words("translate --provider ") == ["openai", "gemini"]


def test_candidates_tell_what_they_are() -> None:
    found = candidates(["chat", "-p", "gemini", "--voice", "Kore"])
    assert found == [Candidate("Kore", "firm")]
    assert complete(["chat", "-p", "gemini", "--voice", "Kore"], "zsh") == "Kore\tfirm\n"
    assert complete(["chat", "-i", ""], "zsh") == ":files\n"
    assert complete(["chat", "--input-device", "USB\\ M"], "bash") == "USB Mic\tnumber 0\n"
    assert complete(["chat", "--input-device", '"USB M'], "bash") == "USB Mic\tnumber 0\n"
    assert complete(["chat", "--provider", '""'], "powershell").splitlines()[0] == "openai\tOpenAI Realtime"


def test_an_error_while_somebody_types_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(kind: str) -> list[tuple[int, str]]:
        raise OSError("no sound")

    monkeypatch.setattr("voicecli.audio.devices.quick_listing.device_names", fail)
    assert complete(["chat", "--input-device", ""], "bash") == ""


def test_a_completion_loads_nothing_heavy() -> None:
    program = (
        "import sys; from voicecli.cli.completion import complete;"
        "complete(['chat', '--voice', ''], 'bash'); complete(['chat', '--input-device', ''], 'bash');"
        "print(sorted({'numpy', 'rich', 'sounddevice', 'soxr', 'websockets', 'httpx'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == "[]\n"


# -- Installing


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "ZDOTDIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(("shell", "profile"), [("bash", ".bashrc"), ("zsh", ".zshrc")])
def test_what_stands_in_the_shells_file_stays(home: Path, shell: str, profile: str) -> None:
    (home / profile).write_text("alias ll='ls -l'")
    for _ in range(2):
        assert str(home / profile) in install(shell)[0]
    lines = (home / profile).read_text().splitlines()
    assert lines[0] == "alias ll='ls -l'"
    assert len(lines) == 3, "it is added once"
    assert (home / f".local/share/voicecli/completion.{shell}").read_text() == script(shell)


def test_fish_reads_it_by_itself(home: Path) -> None:
    install("fish")
    assert (home / ".config/fish/completions/voice.fish").read_text() == script("fish")


def test_powershell_says_where_its_profile_is(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = home / "bin"
    programs.mkdir()
    (programs / "pwsh").write_text(f"#!/bin/sh\necho '{home}/profile.ps1'\n")
    (programs / "pwsh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/bin")
    install("powershell")
    assert (home / "profile.ps1").read_text().splitlines()[1].startswith(". '")
    (programs / "pwsh").unlink()
    with pytest.raises(ConfigurationError, match="not found"):
        install("powershell")


@pytest.mark.skipif(may_everything(), reason="root may write everywhere")
def test_a_read_only_home_is_told(home: Path) -> None:
    home.chmod(0o500)
    try:
        with pytest.raises(ConfigurationError, match="Permission denied"):
            install("bash")
    finally:
        home.chmod(0o700)


def test_a_file_that_cannot_be_written_is_told_and_nothing_is_lost(home: Path) -> None:
    (home / ".local").write_text("a file")
    (home / ".bashrc").write_text("mine\n")
    with pytest.raises(ConfigurationError, match="cannot be installed"):
        install("bash")
    assert (home / ".bashrc").read_text() == "mine\n"


def test_the_options_of_completion(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    for shell in SHELLS:
        assert execute(["--show-completion", shell]) == 0
        assert capsys.readouterr().out == script(shell)
    assert execute(["--install-completion=fish"]) == 0
    assert capsys.readouterr().out.startswith("Completion for fish is in ")
    assert execute(["--install-completion", "tcsh"]) == ExitStatus.USAGE
    assert "write one of bash, zsh, fish, powershell after it" in capsys.readouterr().err
    assert execute(["--help"]) == 0
    assert "--install-completion [SHELL]" in capsys.readouterr().out


# -- In the shells


@pytest.mark.parametrize("shell", SHELL_PROGRAMS)
def test_the_shell_takes_the_script(shell: str, tmp_path: Path) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    path = tmp_path / "script"
    path.write_text(script(shell))
    subprocess.run([program, "-n", str(path)], check=True, capture_output=True)


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[Tmux]:
    terminal = Tmux(tmp_path / "socket")
    yield terminal
    terminal.close()


STARTS = {"bash": "bash --noprofile -i", "zsh": "zsh -i", "fish": "fish"}


@needs_tmux
@pytest.mark.parametrize("shell", SHELL_PROGRAMS)
def test_a_new_user_installs_it_and_presses_tab(shell: str, tmux: Tmux, tmp_path: Path, voice: Voice) -> None:
    """In a home that is empty but for what the command itself puts there."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    home, programs = tmp_path / "home", tmp_path / "bin"
    home.mkdir()
    programs.mkdir()
    (programs / "voice").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m voicecli "$@"\n')
    (programs / "voice").chmod(0o755)
    installed = voice("--install-completion", shell, HOME=str(home))
    assert installed.code == 0, installed.stderr
    if shell == "zsh":
        (home / ".zshenv").write_text("unsetopt GLOBAL_RCS\n")  # only what is in this home
    own = {"HOME": str(home), "PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "PS1": "$ "}
    own |= {"LC_ALL": "C.UTF-8", "TERM": "screen"}
    environment = shlex.join(f"{name}={value}" for name, value in own.items())
    (home / "question.wav").touch()
    tmux.resize(100, 30)
    tmux.keys(f"clear; cd {shlex.quote(str(home))} && env -i {environment} {STARTS[shell]}", "Enter")
    tmux.keys("echo rea''dy", "Enter")
    tmux.wait_for("\nready")
    for typed, completed in (
        ("voice chat --prov", "voice chat --provider "),
        ("loc", "voice chat --provider local "),
        ("--echo half", "voice chat --provider local --echo half-duplex "),
        ("-i quest", "voice chat --provider local --echo half-duplex -i question.wav"),
    ):
        tmux.keys("-l", "--", typed)
        tmux.wait_for(typed)
        tmux.keys("Tab")
        tmux.wait_for(completed.rstrip())
