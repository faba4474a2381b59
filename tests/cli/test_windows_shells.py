"""Shells and pipes as Windows has them, simulated: regional letters, closed pipes, and mintty."""

import errno
import io
import os
import sys
from collections.abc import Iterator
from ctypes import memmove, sizeof
from typing import Any

import pytest

from voicecli.audio.files.sink import WavSink
from voicecli.cli import execute, standard_input
from voicecli.cli.inputs import written_text
from voicecli.terminal import windows_console
from voicecli.terminal.windows_console import FileName, is_mintty_pipe, pipe_name


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")


class Stream(io.TextIOWrapper):
    def __init__(self, is_console: bool = False) -> None:
        self.bytes = io.BytesIO()
        super().__init__(self.bytes, encoding="cp1252", newline="\n")
        self._is_console = is_console

    def isatty(self) -> bool:
        return self._is_console


def version_through(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> str:
    """The encoding of a stream after the command wrote to it."""
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr("voicecli.cli.app.__version__", "1 — 春")
    assert execute(["--version"]) == 0
    return stream.encoding


@pytest.mark.usefixtures("windows")
def test_words_into_a_pipe_are_utf8(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Stream()
    version_through(stream, monkeypatch)
    assert stream.bytes.getvalue().decode("utf-8") == "voicecli 1 — 春\n"


@pytest.mark.usefixtures("windows")
def test_whoever_names_an_encoding_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "cp1252")
    assert version_through(Stream(), monkeypatch) == "cp1252"


@pytest.mark.usefixtures("windows")
def test_a_console_keeps_its_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    assert version_through(Stream(is_console=True), monkeypatch) == "cp1252"


class Closed(io.RawIOBase):
    """A pipe whose reader has gone, as the C runtime of Windows tells it."""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        raise OSError(errno.EINVAL, "Invalid argument")


@pytest.mark.usefixtures("windows")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_pipe_whose_reader_has_gone_ends_quietly(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stream = io.TextIOWrapper(io.BufferedWriter(Closed()), encoding="utf-8")
    monkeypatch.setattr(sys, "stdout", stream)
    assert execute(["list-voices"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("windows")
def test_an_argument_that_is_wrong_is_still_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(args: object, **options: object) -> None:
        raise OSError(errno.EINVAL, "Invalid argument", "what?.wav")

    monkeypatch.setattr("voicecli.cli.app.app", refused)
    assert execute(["list-voices"]) == 1


async def test_sound_into_a_pipe_whose_reader_has_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voicecli.pipes.sys.platform", "win32")

    def refused(*arguments: object) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr("voicecli.audio.files.sink._write_all", refused)
    reading, writing = os.pipe()
    sink = WavSink("-", 16_000, stdout=writing)
    sink.write(bytes(640), "item")
    with pytest.raises(BrokenPipeError):
        await sink.drain()
    await sink.aclose()
    os.close(reading)
    os.close(writing)


KEYBOARD = r"\msys-dd50a72ab4668b33-pty0-from-master"


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        (KEYBOARD, True),
        (r"\cygwin-c5e39b7a9d22bafb-pty12-to-master", True),
        (r"\msys-dd50a72ab4668b33-pty0-from-master-nat", True),
        (r"\msys-dd50a72ab4668b33-1234-pipe-0x1", False),  # `cat question.wav | voice chat` in Git Bash
        (r"\Users\me\msys-1-pty0-from-master.wav", False),
        ("", False),
    ],
)
def test_the_pipes_of_mintty(name: str, is_one: bool) -> None:
    class Kernel32:
        def GetFileInformationByHandleEx(self, handle: Any, kind: int, found: Any, size: Any) -> int:  # noqa: N802
            assert (kind, size.value) == (2, sizeof(FileName))
            content = name.encode("utf-16-le")
            found._obj.size = len(content)
            memmove(found._obj.name, content, len(content))
            return int(bool(name))

    assert pipe_name(0, Kernel32()) == name
    assert is_mintty_pipe(name) is is_one


@pytest.fixture
def mintty(monkeypatch: pytest.MonkeyPatch, windows: None) -> Iterator[None]:
    monkeypatch.setattr(windows_console, "pipe_name", lambda descriptor: KEYBOARD)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    with open(os.devnull, encoding="utf-8") as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        yield


@pytest.mark.usefixtures("mintty")
@pytest.mark.parametrize(
    "arguments",
    [["chat"], ["send-text"], ["transcribe"], ["translate", "--to", "es"], ["keys", "set", "openai"], ["setup"]],
)
def test_mintty_is_named(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(arguments) == 3
    told = capsys.readouterr().err
    assert "mintty" in told
    assert "winpty voice chat" in told
    assert "Windows Terminal" in told


@pytest.mark.usefixtures("mintty")
def test_words_on_the_command_line_need_no_terminal() -> None:
    assert written_text("Hello!") == "Hello!"


@pytest.mark.usefixtures("windows")
@pytest.mark.parametrize("error", [OSError, ValueError])
def test_a_standin_for_standard_input_is_no_mintty(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    def none(descriptor: int) -> str:
        raise error

    monkeypatch.setattr(windows_console, "pipe_name", none)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert not standard_input.is_terminal()
