"""Lines that are printed while the live view has the terminal become lines of the view."""

import asyncio
import io
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from voicecli.audio.devices.stderr_guard import quiet_stderr
from voicecli.terminal.output_capture import printed_lines


class Terminal:
    """A stand-in for standard output and standard error."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.out, self.err = io.StringIO(), io.StringIO()
        monkeypatch.setattr(sys, "stdout", self.out)
        monkeypatch.setattr(sys, "stderr", self.err)

    @property
    def text(self) -> str:
        return self.out.getvalue() + self.err.getvalue()


async def told(told: list[str], count: int) -> list[str]:
    async with asyncio.timeout(10):
        while len(told) < count:
            await asyncio.sleep(0)
    return told


async def test_whole_lines_are_told_and_nothing_reaches_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal(monkeypatch)
    lines: list[str] = []
    with printed_lines(lines.extend):
        print("one", "two", end=" ")  # noqa: T201
        assert not lines
        print("three\nfour\n\nfive")  # noqa: T201
        sys.stderr.write("complaint\n")
        logging.lastResort.handle(logging.makeLogRecord({"msg": "warning", "levelno": logging.WARNING}))  # type: ignore[union-attr]
        await told(lines, 6)
    assert lines == ["one two three", "four", "", "five", "complaint", "warning"]
    assert terminal.text == ""


async def test_a_line_without_an_end_is_told_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal(monkeypatch)
    lines: list[str] = []
    with printed_lines(lines.extend):
        sys.stdout.write("no end")
        sys.stdout.flush()
    assert await told(lines, 1) == ["no end"]
    assert (sys.stdout, sys.stderr) == (terminal.out, terminal.err)


async def test_a_line_that_is_written_over_is_told_as_it_was_last(monkeypatch: pytest.MonkeyPatch) -> None:
    Terminal(monkeypatch)
    lines: list[str] = []
    with printed_lines(lines.extend):
        for percent in range(0, 101, 10):
            sys.stdout.write(f"{percent} %\r")
        sys.stdout.write("\nfrom Windows\r\n")
    assert await told(lines, 2) == ["100 %", "from Windows"]


async def test_a_line_that_never_ends_is_told_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    Terminal(monkeypatch)
    lines: list[str] = []
    with printed_lines(lines.extend):
        for _ in range(10):
            sys.stdout.write("x" * 1_000)
        await told(lines, 2)
    assert "".join(await told(lines, 3)) == "x" * 10_000


async def test_threads_do_not_get_into_each_others_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the lines are told on the loop, where the view is."""
    Terminal(monkeypatch)
    here = threading.get_ident()
    lines: list[str] = []
    barrier = threading.Barrier(4)

    def tell(more: list[str]) -> None:
        assert threading.get_ident() == here
        lines.extend(more)

    def tool(name: str) -> None:
        for number in range(50):
            sys.stdout.write(name)
            barrier.wait(10)
            sys.stdout.write(f" {number}\n")
            barrier.wait(10)

    with printed_lines(tell):
        await asyncio.gather(*(asyncio.to_thread(tool, name) for name in "abcd"))
        await told(lines, 200)
    for name in "abcd":
        assert [line for line in lines if line[0] == name] == [f"{name} {number}" for number in range(50)]


async def test_whoever_keeps_the_stream_writes_to_the_terminal_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal(monkeypatch)
    lines: list[str] = []
    with printed_lines(lines.extend):
        kept = sys.stderr
        assert not kept.isatty()
    kept.write("later\n")
    await asyncio.sleep(0)
    assert lines == []
    assert terminal.err.getvalue() == "later\n"


async def test_it_stands_inside_what_keeps_c_libraries_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal(monkeypatch)
    lines: list[str] = []
    with quiet_stderr():
        with printed_lines(lines.extend), quiet_stderr():  # a device is opened again
            sys.stderr.write("seen\n")
            await told(lines, 1)
        sys.stderr.write("after\n")
    assert lines == ["seen"]
    assert sys.stderr is terminal.err


async def test_many_lines_at_once_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    Terminal(monkeypatch)
    calls: list[list[str]] = []
    with printed_lines(calls.append):
        for number in range(1_000):
            sys.stdout.write(f"{number}\n")
        await asyncio.sleep(0.01)
    assert calls == [[str(number) for number in range(1_000)]]


async def test_what_is_written_as_bytes_is_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    Terminal(monkeypatch)
    lines: list[str] = []
    with printed_lines(lines.extend):
        sys.stdout.buffer.write("grüß dich\n".encode())
        sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
        await told(lines, 1)
    assert lines == ["grüß dich"]


async def test_the_stream_can_be_handed_to_another_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with (tmp_path / "out").open("w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        with printed_lines(lambda lines: None):
            child = [sys.executable, "-c", "print('child')"]
            await asyncio.to_thread(subprocess.run, child, stdout=sys.stdout, check=True)
    assert (tmp_path / "out").read_text() == "child\n"


async def test_what_goes_past_python_is_told_too(capfd: pytest.CaptureFixture[str]) -> None:
    """By descriptor 1: from C libraries, and from programs that tools start."""
    lines: list[str] = []
    with printed_lines(lines.extend):
        os.write(1, "grüß dich\n".encode())
        child = [sys.executable, "-c", "print('child')"]
        await asyncio.to_thread(subprocess.run, child, check=True)
        os.write(1, b"no end")
    assert await told(lines, 3) == ["grüß dich", "child", "no end"]
    os.write(1, b"afterwards\n")
    assert capfd.readouterr().out == "afterwards\n"


async def test_a_program_that_goes_on_holds_nothing_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It writes to what there was before, when the view is gone."""
    with (tmp_path / "out").open("w", buffering=1) as out:
        monkeypatch.setattr(sys, "stdout", out)
        lines: list[str] = []
        program = "import sys; print('one', flush=True); sys.stdin.read(); print('two')"
        with printed_lines(lines.extend):
            child = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdin=subprocess.PIPE)
            await told(lines, 1)
        await child.communicate(b"")
        for thread in threading.enumerate():
            if thread.name == "voicecli-printed":
                thread.join(10)
    assert lines == ["one"]
    assert (tmp_path / "out").read_text() == "two\n"
