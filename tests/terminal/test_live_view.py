"""The live view on a pseudo-terminal."""

import asyncio
import io
import os
import re
import sys
from typing import TextIO

import pytest

from tests.support.virtual_time import run_without_io
from tests.terminal.stage import Stage, read, user
from voicecli.events import Asleep, Awake
from voicecli.terminal.live_view import LiveView, can_show
from voicecli.terminal.view_model import AudioStatus, ViewModel


def test_no_live_view_where_there_is_no_terminal(terminal: tuple[int, TextIO], monkeypatch: pytest.MonkeyPatch) -> None:
    _, stream = terminal
    monkeypatch.setenv("TERM", "xterm")
    assert can_show(stream, stream)
    assert not can_show(io.StringIO(), stream)
    assert not can_show(stream, io.StringIO())
    monkeypatch.setenv("TERM", "dumb")
    assert not can_show(stream, stream)


class NoControls:
    """`Controls` of nothing."""

    def mute_microphone(self, muted: bool) -> None: ...
    def mute_speaker(self, muted: bool) -> None: ...
    def wake(self) -> None: ...
    def talk(self, talking: bool) -> None: ...
    def interrupt(self) -> None: ...
    def say(self, text: str) -> None: ...
    def approve(self, approval_id: str, allowed: bool, *, always: bool = False) -> None: ...
    def end(self) -> None: ...


async def test_keys_that_are_read_together_make_one_picture(terminal: tuple[int, TextIO]) -> None:
    user_end, stream = terminal
    pictures = 0

    def audio() -> AudioStatus:
        nonlocal pictures
        pictures += 1
        return AudioStatus()

    view = ViewModel()
    async with LiveView(view, NoControls(), audio=audio, stdin=stream, stdout=stream):
        await asyncio.sleep(0)
        os.write(user_end, b"t" + b"x" * 3_000)
        while view.editor is None or len(view.editor.text) < 3_000:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert pictures < 100
        assert "…xxx" in read(user_end), "and it is drawn at once"


def test_asleep_it_is_drawn_once_a_second(terminal: tuple[int, TextIO]) -> None:
    pictures = 0

    def audio() -> AudioStatus:
        nonlocal pictures
        pictures += 1
        return AudioStatus()

    async def watch() -> list[int]:
        nonlocal pictures
        view = ViewModel(wake_word="computer")
        counts = []
        async with LiveView(view, NoControls(), audio=audio, stdin=terminal[1], stdout=terminal[1]):
            for event in (Asleep("computer"), Awake("word")):
                view.apply(event)
                pictures = 0
                await asyncio.sleep(10)
                counts.append(pictures)
        return counts

    asleep, awake = run_without_io(watch())
    assert 9 <= asleep <= 11
    assert 110 <= awake <= 130


def test_while_the_window_changes_the_footer_is_short(terminal: tuple[int, TextIO]) -> None:
    if sys.platform == "win32":
        pytest.skip("Windows has no pseudo-terminals")
    import termios

    user_end, stream = terminal
    stage = Stage(user("word " * 40, final=False))
    termios.tcsetwinsize(user_end, (24, 100))
    live = LiveView(stage.view, NoControls(), stdin=stream, stdout=stream)

    def footer() -> list[str]:
        live.draw()
        lines = re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", read(user_end)).strip("\r").split("\r\n")
        return [line.strip("\r") for line in lines]

    whole = footer()
    assert len(whole) == 7
    assert 80 < max(map(len, whole)) <= 90, "some columns are free, for a window that begins to be made narrower"
    for columns in range(99, 60, -1):
        termios.tcsetwinsize(user_end, (24, columns))
        assert [len(line) <= columns * 2 // 3 for line in footer()] == [True]
        stage.now += 0.12
    stage.now += 0.5
    assert len(footer()) > 7
