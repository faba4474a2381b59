"""`voice transcribe` with a microphone: the view in a terminal, lines in a pipe, and dictation."""

import re
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import DATA
from tests.live.test_live import environment
from tests.support.terminal import Tmux, needs_tmux
from tests.virtual_audio import SoundServer
from voicecli.captions import Cue, srt

pytest_plugins = ["tests.virtual_audio.fixture"]
pytestmark = needs_tmux

QUESTION = "What is the capital of France?"


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[Tmux]:
    terminal = Tmux(tmp_path / "socket")
    yield terminal
    terminal.close()


def ask(sound: SoundServer) -> None:
    with wave.open(str(DATA / "question.wav")) as file:
        sound.say(file.readframes(file.getnframes()), file.getframerate())


def test_captions_are_shown_and_kept_in_a_file(tmux: Tmux, sound_server: SoundServer, tmp_path: Path) -> None:
    file = tmp_path / "said.srt"
    tmux.resize(100, 30)
    variables = environment(sound_server, HOME=str(tmp_path))
    tmux.run("voicecli", "transcribe", "--srt", str(file), environment=variables)
    screen = tmux.wait_for("● Listening")
    assert "m mute  q end" in screen
    assert "mic ▁▁▁▁▁ Remapped" in screen, "by its own name"
    ask(sound_server)
    screen = tmux.wait(lambda screen: f"  {QUESTION}\n" in screen and "● Listening" in screen)
    (line,) = [line for line in screen.splitlines() if QUESTION in line]
    assert re.match(r"\d\d:\d\d  ", line)
    assert QUESTION in file.read_text(), "while it goes on"
    tmux.keys("q")
    tmux.wait_for("status 0")
    tmux.check_given_back()
    text = file.read_text()
    start, end = text.splitlines()[1].split(" --> ")
    assert start < end
    assert text.startswith("1\n")
    assert text.endswith(srt([Cue(start_ms=0, end_ms=0, text=QUESTION)]).splitlines()[-1] + "\n")


def test_ctrl_c_leaves_what_was_said_a_moment_ago(tmux: Tmux, sound_server: SoundServer, tmp_path: Path) -> None:
    tmux.resize(100, 30)
    variables = environment(sound_server, HOME=str(tmp_path))
    tmux.run("voicecli", "transcribe", "--json", environment=variables)
    tmux.wait_for("Listening. Ctrl-C ends.")
    ask(sound_server)
    tmux.wait_for('"final"')
    tmux.keys("C-c")
    screen = tmux.wait_for("status 130")
    assert '"final": true' in screen
    assert "France" in screen


def test_one_utterance_is_dictated(tmux: Tmux, sound_server: SoundServer, tmp_path: Path) -> None:
    words = tmp_path / "words"
    tmux.resize(100, 30)
    variables = environment(sound_server, HOME=str(tmp_path))
    script = tmp_path / "dictate.py"
    script.write_text(
        "import subprocess, sys\n"
        f"with open({str(words)!r}, 'wb') as file:\n"
        "    sys.exit(subprocess.run([sys.executable, '-m', 'voicecli', 'transcribe', '--once'], stdout=file,\n"
        "        stdin=subprocess.DEVNULL).returncode)\n"
    )
    variables["PYTHONPATH"] = str(tmp_path)
    tmux.run("dictate", environment=variables)
    tmux.wait_for("Listening.")
    ask(sound_server)
    tmux.wait_for("status 0")
    assert words.read_text() == f"{QUESTION}\n"
