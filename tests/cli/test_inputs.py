"""What is said on a command line: words, files and pipes, joined, told apart, and in their order."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import threading
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer

from tests.cli.conftest import DATA, Voice, clean_environment
from tests.cli.screen import Screen
from tests.loopback import openai_server
from tests.loopback.openai_server import OpenAIServer, Reply
from tests.support.named_pipes import make_named_pipe
from voicecli.audio.files.source import WavSource
from voicecli.cli.inputs import open_inputs, written_text
from voicecli.errors import AudioFormatError

QUESTION = DATA / "question.wav"


@contextlib.contextmanager
def stdin_of(content: bytes | None) -> Iterator[None]:
    """Standard input as a pipe with this in it; None for a terminal."""
    read, write = os.pipe()
    os.write(write, content or b"")
    os.close(write)
    with pytest.MonkeyPatch.context() as patch, os.fdopen(read) as stdin:
        patch.setattr("sys.stdin", Screen() if content is None else stdin)
        yield


@pytest.mark.parametrize(
    ("text", "piped", "said"),
    [
        ("Hi", None, "Hi"),
        ("Hi", b"", "Hi"),
        (None, b"Hi\n", "Hi"),
        ("-", b" Hi ", "Hi"),
        ("Summarise this:", b"some\nnotes\n", "Summarise this:\n\nsome\nnotes"),
        ("", b"Hi", "Hi"),
        ("@notes.txt", None, "Buy milk."),
        ("@notes.txt", b"And bread.", "Buy milk.\n\nAnd bread."),
        ("@@alice", b"", "@alice"),
        ("Hi", b"@notes.txt", "Hi\n\n@notes.txt"),
        (None, "caf\xe9".encode(), "caf\xe9"),
        (None, "caf\xe9".encode("utf-16"), "caf\xe9"),
        (None, b"\xef\xbb\xbfHi", "Hi"),
    ],
)
def test_what_send_text_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str | None, piped: bytes | None, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("notes.txt").write_text("Buy milk.\n")
    with stdin_of(piped):
        assert written_text(text) == said


@pytest.mark.parametrize(
    ("text", "piped", "told"),
    [
        (None, None, "pipe it in"),
        (None, b" \n", "nothing to say"),
        (" ", b"", "nothing to say"),
        ("@missing.txt", b"", "Cannot read 'missing.txt': No such file.*written with two: @@missing.txt"),
        ("@binary", b"", "'binary' is not UTF-8 text"),
        ("@", b"", "@ names no file"),
        ("Hi", b"\xff\xff\xff", "standard input is not UTF-8 text"),
        ("Hi", b"RIFF\0\0\0\0WAVEfmt ", "standard input is sound, which `voice chat` takes"),
        (None, b"OggS\0\2\0\0", "standard input is sound"),
    ],
)
def test_what_send_text_does_not_say(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str | None, piped: bytes | None, told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("binary").write_bytes(b"a\0b")
    with stdin_of(piped), pytest.raises(typer.BadParameter, match=told):
        written_text(text)


def test_files_are_told_apart_by_what_they_hold(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    Path("notes.txt").write_text("Buy milk.\n")
    Path("recording").write_bytes(QUESTION.read_bytes())
    inputs = open_inputs(["recording", "notes.txt", str(QUESTION)], None) + open_inputs(["notes.txt"], 16_000)
    assert [each if isinstance(each, str) else "sound" for each in inputs] == ["sound", "Buy milk.", "sound", "sound"]
    for each in inputs:
        if isinstance(each, WavSource):
            asyncio.run(each.aclose())
    Path("diary.wav").write_text("Dear diary")
    with pytest.raises(AudioFormatError, match=r"'diary\.wav' is no sound file"):
        open_inputs(["diary.wav"], None)
    Path("blank.txt").write_text("\n")
    with pytest.raises(typer.BadParameter, match=r"nothing to say in 'blank\.txt'"):
        open_inputs(["blank.txt"], None)
    Path("cafe.txt").write_bytes(b"Un caf\xe9, s'il vous pla\xeet\n")
    with pytest.raises(typer.BadParameter, match=r"'cafe\.txt' is not UTF-8 text\. Save it as UTF-8"):
        open_inputs(["cafe.txt"], None)
    with pytest.raises(typer.BadParameter, match="only once"):
        open_inputs(["-", "-"], None)
    with pytest.raises(typer.BadParameter, match="is the input"):
        open_inputs(["notes.txt"], None, "notes.txt")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("content", [b"Hi", QUESTION.read_bytes()], ids=["text", "sound"])
async def test_a_named_pipe_is_looked_into_and_nothing_of_it_lost(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "pipe"
    make_named_pipe(path)
    writer = threading.Thread(target=path.write_bytes, args=(content,))
    writer.start()
    (given,) = open_inputs([str(path)], None)
    if isinstance(given, str):
        assert given == "Hi"
    else:
        heard = b"".join([chunk async for chunk in given])
        await given.aclose()
        with wave.open(str(QUESTION)) as whole:
            assert heard == whole.readframes(10**6)
    writer.join()


def spoken(server: OpenAIServer) -> list[str]:
    """The texts that the server was told."""
    items = [message["item"] for message in server.received("conversation.item.create")]
    return [part["text"] for item in items for part in item["content"] if part["type"] == "input_text"]


def test_a_shell_script(tmp_path: Path) -> None:
    """What somebody writes who knows other programs."""
    (tmp_path / "notes.txt").write_text("Buy milk.\n")
    (tmp_path / "pirate.txt").write_text("@ships you are a pirate.\n")
    (tmp_path / "q.wav").write_bytes(QUESTION.read_bytes())
    script = """
        set -e
        X=$(voice send-text -q "Which city?")
        test "$X" = "It is Paris."
        echo hi | voice send-text
        cat notes.txt | voice send-text "Summarise this:" --system-file pirate.txt
        voice send-text @notes.txt -s @@me -m gpt-realtime-2.1 </dev/null
        voice chat -i q.wav -i notes.txt -i q.wav -o r.wav --json | grep -c '"role": "assistant".*"final": true'
    """
    voice = f'voice() {{ "{sys.executable}" -m voicecli "$@"; }}\n'
    with OpenAIServer.in_thread(replies=[Reply(text="It is Paris.")] * 7, hears=["One?", "Two?"]) as server:
        environment = clean_environment(
            OPENAI_API_KEY=openai_server.KEY, OPENAI_BASE_URL=server.url, HOME=str(tmp_path / "home")
        )
        done = subprocess.run(
            ["bash", "-c", voice + script],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=environment,
            timeout=100,
        )
        said = spoken(server)
        prompts = [message["session"].get("instructions") for message in server.received("session.update")]
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["It is Paris."] * 3 + ["3"]
    assert said == ["Which city?", "hi", "Summarise this:\n\nBuy milk.", "Buy milk.", "Buy milk."]
    assert "@ships you are a pirate.\n" in prompts
    assert "@me" in prompts
    assert (tmp_path / "r.wav").read_bytes()[44:] == Reply().sound("It is Paris.") * 3


def test_standard_input_that_stays_open_is_told_of(tmp_path: Path) -> None:
    """As of a program that starts this one, and forgets to close it."""
    with OpenAIServer.in_thread(replies=[Reply(text="It is Paris.")]) as server:
        environment = clean_environment(OPENAI_API_KEY=openai_server.KEY, OPENAI_BASE_URL=server.url)
        with subprocess.Popen(
            [sys.executable, "-m", "voicecli", "send-text", "Hi"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            env=environment,
        ) as process:
            assert process.stderr is not None
            assert (
                process.stderr.readline() == b"Note: waiting for the end of standard input, which goes with the text.\n"
            )
            out, _ = process.communicate(b"", timeout=60)
    assert out == b"It is Paris.\n"


def test_a_recording_without_speech_among_others_is_named(voice: Voice, tmp_path: Path) -> None:
    (tmp_path / "silence.wav").write_bytes(QUESTION.read_bytes()[:44] + bytes(64_000))
    with OpenAIServer.in_thread(replies=[Reply(text="It is Paris.")] * 2, hears=["One?", "Two?"]) as server:
        environment = {"OPENAI_API_KEY": openai_server.KEY, "OPENAI_BASE_URL": server.url}
        result = voice(
            "chat", "-i", str(QUESTION), "-i", "silence.wav", "-i", str(QUESTION), "--text-only", **environment
        )
    assert result.code == 6
    assert result.lines == ["It is Paris."] * 2
    assert "There is no speech in 'silence.wav'." in result.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--system", "@no.txt"], "--system: Cannot read 'no.txt'"),
        (["--system-file", "no.txt"], "--system-file: Cannot read 'no.txt'"),
        (["--system-file", "a.txt", "-s", "x"], "--system-file: give either this or --system"),
    ],
)
def test_system_prompts_that_cannot_be(voice: Voice, arguments: list[str], told: str) -> None:
    result = voice("send-text", "Hi", *arguments, OPENAI_API_KEY="sk-x")
    assert result.code == 2
    assert told in result.stderr


Check = Callable[[subprocess.CompletedProcess[bytes], Path], None]


def is_whole(done: subprocess.CompletedProcess[bytes], folder: Path) -> None:
    assert (folder / "r.wav").read_bytes()[44:] == Reply().sound("It is Paris.")


def has_words(done: subprocess.CompletedProcess[bytes], folder: Path) -> None:
    assert done.stdout == b"It is Paris.\n"


def has_sound(done: subprocess.CompletedProcess[bytes], folder: Path) -> None:
    assert done.stdout[44:] == Reply().sound("It is Paris.")


def has_lines(done: subprocess.CompletedProcess[bytes], folder: Path) -> None:
    *lines, last = map(json.loads, done.stdout.splitlines())
    assert "session_ended" in [line["type"] for line in lines]
    assert (last["error"], last["fatal"], last["exit_code"]) == ("AudioFormatError", True, 2)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize(
    ("command", "code", "told", "check"),
    [
        ("send-text Hi -o /dev/full", 2, "Cannot write '/dev/full': No space left", has_words),
        ("send-text Hi -o /dev/full --json", 2, "Cannot write '/dev/full': No space left", has_lines),
        ("send-text Hi -o r.wav > /dev/full", 2, "Cannot write the output: No space left", is_whole),
        ("send-text Hi -o r.wav --json > /dev/full", 2, "Cannot write the output: No space left", is_whole),
        ("send-text Hi -o r.wav | true; exit ${PIPESTATUS[0]}", 0, "", is_whole),
        ("chat -i q.wav > /dev/full", 2, "Cannot write standard output: No space left", None),
        ("chat -i q.wav 2> /dev/full", 0, "", has_sound),
        ("send-text Hi --echo off 2> /dev/full", 2, "", None),
        ("send-text Hi -o /proc/r.wav", 2, "Cannot write '/proc/r.wav'", None),
        ("chat 0> nothing.txt", 2, "Cannot read Standard input", None),
        ("send-text Hi", 0, "", has_words),
    ],
)
def test_what_fails_is_left_out(tmp_path: Path, command: str, code: int, told: str, check: Check | None) -> None:
    """And told by the exit code; without a home, too."""
    (tmp_path / "q.wav").write_bytes(QUESTION.read_bytes())
    with OpenAIServer.in_thread(replies=[Reply(text="It is Paris.")], hears=["Which city?"]) as server:
        environment = clean_environment(OPENAI_API_KEY=openai_server.KEY, OPENAI_BASE_URL=server.url)
        del environment["HOME"]
        done = subprocess.run(
            ["bash", "-c", f'"{sys.executable}" -m voicecli {command}'],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd=tmp_path,
            env=environment,
            timeout=60,
        )
    assert done.returncode == code, done.stderr
    assert told in done.stderr.decode()
    for defect in (b"Traceback", b"defect", b"ignored"):
        assert defect not in done.stderr
    if check is not None:
        check(done, tmp_path)
