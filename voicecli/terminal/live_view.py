"""The live view: joins a page, such as that of a conversation, to terminal and keyboard."""

import asyncio
import atexit
import itertools
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Self, TextIO

from rich.console import Console, RenderableType
from rich.text import Text

from voicecli.terminal.fit import glyphs_for
from voicecli.terminal.key_bindings import Controls
from voicecli.terminal.key_decoder import Key
from voicecli.terminal.keyboard import Keyboard, open_keyboard
from voicecli.terminal.page import ConversationPage, Page
from voicecli.terminal.screen import Screen
from voicecli.terminal.signals import TerminalSignals
from voicecli.terminal.view_model import AudioStatus, ViewModel

__all__ = ["LiveView", "can_show"]

_FRAME_S = 1 / 12  # smooth to the eye, and far below 1% of a core
_FRAMES_ASLEEP = 12  # of which one is drawn: nothing is to be seen but that the microphone lives
_LAST_FRAMES = 24  # how long a slow terminal may take for the last picture: 2 s
_WIDEST = 1_000  # columns: lines longer than this are hard to read anyway
_RESIZING_S = 0.5  # a window that is dragged changes its size many times a second


def can_show(stdin: TextIO, stdout: TextIO) -> bool:
    """True where a live view is possible: on a terminal both ways, and one that obeys escape codes."""
    if not (stdin.isatty() and stdout.isatty()) or os.environ.get("TERM") == "dumb":
        return False
    if sys.platform == "win32":
        from voicecli.terminal.windows_console import enable_escape_codes

        return enable_escape_codes(stdout.fileno())
    return True


class LiveView:
    """Shows a conversation, or another page, in the terminal, and takes its keys, while its context is open.

        view = ViewModel()
        async with LiveView(view, controls, audio=read_devices):
            await converse(session, microphone, speaker, [view.apply])
        print(view.summary())

    The terminal is given back on leaving, on Ctrl-Z, and when the process is told to end (SIGTERM, SIGHUP).
    Ctrl-C calls `controls.end()`; the second one raises KeyboardInterrupt where the program is. While a line is being
    typed Ctrl-C clears it, or leaves an empty one.

    Args:
        view: the model of a conversation, or a page of another kind, which has its own keys.
        controls: what the keys of a conversation act on.
        audio: tells for every picture what the sound devices do; must not wait.
        stdin, stdout: the terminal; see `can_show`.
    """

    def __init__(
        self,
        view: ViewModel | Page,
        controls: Controls | None = None,
        *,
        audio: Callable[[], AudioStatus] | None = None,
        stdin: TextIO = sys.stdin,
        stdout: TextIO = sys.stdout,
    ) -> None:
        if isinstance(view, ViewModel):
            assert controls is not None
            view = ConversationPage(view, controls)
        self._page: Page = view
        self._audio = audio
        self._keyboard: Keyboard = open_keyboard(stdin, stdout, self._press)
        self._screen = Screen(stdout)
        # Only renders: what is written passes through the screen.
        self._console = Console(file=stdout, width=_WIDEST, force_terminal=True, legacy_windows=False)
        self._glyphs = glyphs_for(stdout.encoding)
        self._signals = TerminalSignals(
            restore=self._leave,
            finish=self._show_finished,
            retake=self._keyboard.open,
            end=self._page.end,
            types=lambda: self._page.types,
            clear=self._clear_line,
        )
        self._drawing: asyncio.Task[None] | None = None
        self._pressed: asyncio.Handle | None = None  # a picture is due
        self._drawn: list[tuple[Text, str]] = []  # the footer, and what is written for each of its lines
        self._size = self._screen.size
        self._resized_at: float | None = None

    async def __aenter__(self) -> Self:
        atexit.register(self._leave)  # for ends that pass by __aexit__
        self._signals.install()
        try:
            self._keyboard.open()
        except BaseException:
            self._signals.remove()
            raise
        self._drawing = asyncio.create_task(self._draw_on(), name="voicecli-view")
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        try:
            if self._drawing is not None:
                self._drawing.cancel()
                with suppress(asyncio.CancelledError):
                    await self._drawing
            self._page.finish()
            self.draw()
            for _ in range(_LAST_FRAMES):
                if self._screen.flush():
                    break
                await asyncio.sleep(_FRAME_S)
        finally:
            self._leave()
            self._signals.remove()
            atexit.unregister(self._leave)

    @property
    def interrupted(self) -> bool:
        """True once Ctrl-C was pressed."""
        return self._signals.interrupted

    def draw(self) -> None:
        """Show the conversation as it is now."""
        if self._audio is not None:
            self._page.heard(self._audio())
        self._show()

    def _show(self) -> None:
        width, height = self._screen.size
        text = "".join(self._ansi(drawn, width) for drawn in self._page.scrolled(width, self._glyphs))
        lines = self._page.footer(*self._room(width, height), self._glyphs)
        # Most of them are as they were in the picture before.
        before, self._drawn = self._drawn, []
        for place, line in enumerate(lines):
            same = place < len(before) and before[place][0] == line and before[place][0].style == line.style
            self._drawn.append((line, before[place][1] if same else self._ansi(line, width).rstrip("\n")))
        self._screen.draw(text, [ansi for _, ansi in self._drawn])

    def _room(self, width: int, height: int) -> tuple[int, int]:
        """Columns and rows for the footer.

        A terminal that is made narrower wraps the lines on it, and shows them further up; tmux loses count of where
        they are when that has happened often. While the size changes the footer is one line that will not be wrapped.
        """
        now = self._page.clock()
        if (width, height) != self._size:
            self._size, self._resized_at = (width, height), now
        if self._resized_at is None or now - self._resized_at >= _RESIZING_S:
            return width, height
        return max(width * 2 // 3, 1), 1

    async def _draw_on(self) -> None:
        for frame in itertools.count():
            self._page.tick()
            if frame % _FRAMES_ASLEEP == 0 or not self._page.asleep:
                self.draw()
            await asyncio.sleep(_FRAME_S)

    def _press(self, key: Key) -> None:
        self._page.press(key)
        if self._pressed is None:  # once for all that was read together
            self._pressed = asyncio.get_running_loop().call_soon(self._show_pressed)

    def _clear_line(self) -> None:
        self._page.clear_line()
        self.draw()

    def _show_pressed(self) -> None:
        self._pressed = None
        self.draw()

    def _show_finished(self) -> None:
        self._page.finish()
        self._show()  # without asking the devices, which may be in use at this very moment

    def _leave(self) -> None:
        if self._pressed is not None:
            self._pressed.cancel()
            self._pressed = None
        self._screen.close()
        self._keyboard.close()

    def _ansi(self, renderable: RenderableType, width: int) -> str:
        with self._console.capture() as capture:
            self._console.print(renderable, width=width, highlight=False)
        # Rich fills indented lines up with spaces, which whoever copies the text does not want.
        return "".join(f"{line.rstrip()}\n" for line in capture.get().splitlines())
