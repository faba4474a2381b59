"""Standard output is a protocol: nothing but the command's own lines, or sound, gets there, whoever writes to it."""

import json
import os
import subprocess
import sys
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import DATA, Voice, clean_environment
from tests.loopback import openai_server
from tests.loopback.openai_server import OpenAIServer
from tests.support.plugins import PARROT, install
from voicecli.cli import standard_output

QUESTION = str(DATA / "question.wav")

NOISY = '''
import atexit, ctypes, logging, os, subprocess, sys, threading

libc = ctypes.CDLL(None)
kept = sys.stdout
logging.basicConfig(stream=sys.stdout, level=logging.INFO)
print("noise: import")
os.write(1, b"noise: import, by its number\\n")


def noisy() -> str:
    """Do something, and tell of it everywhere."""
    print("noise: print")
    print("noise: no line", end="")
    kept.write("noise: kept\\n")
    sys.__stdout__.write("noise: the first\\n")
    sys.stdout.buffer.write(b"noise: bytes\\n")
    os.write(1, b"noise: by its number\\n")
    logging.info("noise: log")
    libc.puts(b"noise: a C library, which writes at the end")
    subprocess.run([sys.executable, "-c", "print('noise: a child')"], check=True)
    thread = threading.Thread(target=print, args=("noise: a thread",))
    thread.start()
    thread.join()
    return "done"


@atexit.register
def _last() -> None:
    print("noise: at exit")
    os.write(1, b"noise: at exit, by its number\\n")
'''

NOISES = {
    *("import", "import, by its number", "print", "no line", "kept", "the first", "bytes", "by its number", "log"),
    *("a C library, which writes at the end", "a child", "a thread", "at exit", "at exit, by its number"),
}


@pytest.fixture
def noisy(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment for `--tools noisy.py`, whose function is called."""
    (tmp_path / "noisy.py").write_text(NOISY)
    call = openai_server.Reply(text="", calls=(openai_server.Call(name="noisy", arguments="{}"),))
    with OpenAIServer.in_thread(replies=[call, openai_server.Reply(text="Done.")]) as server:
        yield {"OPENAI_API_KEY": openai_server.KEY, "OPENAI_BASE_URL": server.url}


def assert_noise(errors: str) -> None:
    """All of it went to standard error."""
    for noise in NOISES:
        assert f"noise: {noise}" in errors


def test_json_lines(voice: Voice, noisy: dict[str, str]) -> None:
    result = voice("send-text", "Go", "--tools", "noisy.py", "--json", **noisy)
    assert result.code == 0, result.stderr
    kinds = [json.loads(line)["type"] for line in result.lines]
    assert kinds[0] == "session_started"
    assert kinds[-1] == "session_ended"
    assert "tool_result" in kinds
    assert_noise(result.stderr)


def test_words(voice: Voice, noisy: dict[str, str]) -> None:
    result = voice("send-text", "Go", "--tools", "noisy.py", "-o", "r.wav", **noisy)
    assert result.code == 0, result.stderr
    assert result.lines == ["Done."]
    assert result.stderr.count("Tool: noisy") == 2
    assert_noise(result.stderr)


def test_sound_through_a_pipe(voice: Voice, noisy: dict[str, str]) -> None:
    result = voice("send-text", "Go", "--tools", "noisy.py", "-o", "-", **noisy)
    assert result.code == 0, result.stderr
    assert result.stdout[:4] == b"RIFF"
    assert result.stdout[44:] == openai_server.Reply().sound("Done.")
    assert "Assistant: Done." in result.stderr
    assert_noise(result.stderr)


def test_sound_into_a_file(tmp_path: Path, noisy: dict[str, str]) -> None:
    """Whose header tells the size afterwards."""
    command = [sys.executable, "-m", "voicecli", "send-text", "Go", "--tools", "noisy.py", "-o", "-"]
    with (tmp_path / "r.wav").open("wb") as stdout:
        environment = clean_environment(**noisy)
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE, cwd=tmp_path, env=environment
        )
    assert done.returncode == 0, done.stderr
    with wave.open(str(tmp_path / "r.wav")) as reply:
        assert reply.readframes(10**9) == openai_server.Reply().sound("Done.")
    assert (tmp_path / "r.wav").stat().st_size == 44 + len(openai_server.Reply().sound("Done."))
    assert_noise(done.stderr.decode())


def test_a_provider_that_prints_when_it_is_loaded(voice: Voice, tmp_path: Path) -> None:
    noise = "import os\nprint('noise: a package')\nos.write(1, b'noise: by its number\\n')\n"
    install(tmp_path, "voicecli-parrot", {"voicecli_parrot": PARROT + noise}, parrot="voicecli_parrot:PARROT")
    paths = os.pathsep.join((clean_environment()["PYTHONPATH"], str(tmp_path)))
    for named in ({"VOICE_PROVIDER": "parrot"}, {}):
        options = [] if named else ["-p", "parrot"]
        result = voice("send-text", "Hello!", "--json", *options, PYTHONPATH=paths, **named)
        assert result.code == 0, result.stderr
        assert [json.loads(line)["type"] for line in result.lines][-1] == "session_ended"
        assert result.stderr.count("noise: ") == 2
    assert "Usage" in voice("chat", "--help", "-p", "parrot", PYTHONPATH=paths).stdout.decode()


def test_whoever_reads_may_leave_though_tools_print(tmp_path: Path, noisy: dict[str, str]) -> None:
    command = f"{sys.executable} -m voicecli send-text Go --tools noisy.py --json | head -c 10; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, cwd=tmp_path, env=clean_environment(**noisy), timeout=60
    )
    assert done.stdout == b'{"type": "0\n'
    assert b"Traceback" not in done.stderr
    assert b"BrokenPipe" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_output_that_has_no_room_is_no_defect(tmp_path: Path, noisy: dict[str, str]) -> None:
    command = [sys.executable, "-m", "voicecli", "send-text", "Go", "--json"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, cwd=tmp_path, env=clean_environment(**noisy)
        )
    assert done.returncode == 2
    assert done.stderr.startswith(b"voice: Cannot write the output: No space left")
    assert b"ignored" not in done.stderr


@pytest.mark.parametrize("closed", ["2>&-", ">&-", ">&- 2>&-"])
def test_a_closed_stream_takes_the_noise_with_it(tmp_path: Path, noisy: dict[str, str], closed: str) -> None:
    command = f"{sys.executable} -m voicecli send-text Go --tools noisy.py --json {closed}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, cwd=tmp_path, env=clean_environment(**noisy))
    assert done.returncode == 0, done.stderr
    for line in done.stdout.decode().splitlines():
        json.loads(line)


class TestInAProgram:
    """Standard output is given back; a stand-in for it, as of a test or a notebook, is kept as the real one is."""

    def test_descriptor_and_streams(self, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        real = open(1, "w", closefd=False)  # noqa: SIM115
        monkeypatch.setattr(sys, "stdout", real)
        before = sys.stdout, sys.__stdout__, os.fstat(1).st_ino
        standard_output.keep()
        standard_output.keep()
        try:
            own = standard_output.own_stdout()
            assert own.fileno() == standard_output.own_descriptor() != 1
            own.write("ours\n")
            print("a print")  # noqa: T201
            os.write(1, b"by its number\n")
            os.write(standard_output.own_descriptor(), b"our sound\n")
        finally:
            standard_output.give_back()
            standard_output.give_back()
        assert (sys.stdout, sys.__stdout__, os.fstat(1).st_ino) == before
        print("afterwards")  # noqa: T201
        sys.stdout.flush()
        captured = capfd.readouterr()
        assert captured.out.split("\n") == ["ours", "our sound", "afterwards", ""]
        assert sorted(captured.err.split("\n")) == ["", "a print", "by its number"]

    def test_a_stand_in(self, capsys: pytest.CaptureFixture[str]) -> None:
        stand_in = sys.stdout
        with standard_output.diverted():
            assert standard_output.own_stdout() is stand_in
            standard_output.own_stdout().write("ours\n")
            print("a print")  # noqa: T201
        assert sys.stdout is stand_in
        assert capsys.readouterr() == ("ours\n", "a print\n")
