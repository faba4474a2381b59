"""The live view of captions: joins a `CaptionModel` and its drawing to terminal and keyboard."""

import asyncio
import atexit
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol, Self, TextIO

from rich.console import Console
from rich.text import Text

from voicecli.terminal.caption_model import CaptionModel, draw_caption, draw_caption_footer, draw_note
from voicecli.terminal.fit import glyphs_for
from voicecli.terminal.key_decoder import Key
from voicecli.terminal.keyboard import open_keyboard
from voicecli.terminal.screen import Screen
from voicecli.terminal.signals import TerminalSignals

__all__ = ["CaptionControls", "CaptionView"]

_FRAME_S = 1 / 12  # as the view of a conversation
_LAST_FRAMES = 24  # how long a slow terminal may take for the last picture: 2 s
_WIDEST = 1_000


class CaptionControls(Protocol):
    """What the keys do."""

    def mute(self, muted: bool) -> None: ...
    def end(self) -> None: ...


class CaptionView:
    """Shows captions in the terminal, and takes its keys, while its context is open.

    The terminal is given back on leaving, on Ctrl-Z, and when the process is told to end. Ctrl-C calls
    `controls.end()`; the second one raises KeyboardInterrupt where the program is.

    Args:
        look: brings the model up to date before each picture; must not wait.
        stdin, stdout: the terminal; see `live_view.can_show`.
    """

    def __init__(
        self,
        model: CaptionModel,
        controls: CaptionControls,
        *,
        look: Callable[[], None] = lambda: None,
        stdin: TextIO = sys.stdin,
        stdout: TextIO = sys.stdout,
    ) -> None:
        self._model = model
        self._controls = controls
        self._look = look
        self._keyboard = open_keyboard(stdin, stdout, self._press)
        self._screen = Screen(stdout)
        # Only renders: what is written passes through the screen.
        self._console = Console(file=stdout, width=_WIDEST, force_terminal=True, legacy_windows=False)
        self._glyphs = glyphs_for(stdout.encoding)
        self._signals = TerminalSignals(
            restore=self._leave,
            finish=self._show_finished,
            retake=self._keyboard.open,
            end=self._end,
            types=lambda: False,
            clear=lambda: None,
        )
        self._drawing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        atexit.register(self._leave)  # for ends that pass by __aexit__
        self._signals.install()
        try:
            self._keyboard.open()
        except BaseException:
            self._signals.remove()
            raise
        self._drawing = asyncio.create_task(self._draw_on(), name="voicecli-caption-view")
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        try:
            if self._drawing is not None:
                self._drawing.cancel()
                with suppress(asyncio.CancelledError):
                    await self._drawing
            self._show_finished()
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
        """Show the captions as they are now."""
        width, height = self._screen.size
        text = "".join(
            self._ansi(draw_note(line, width) if isinstance(line, str) else draw_caption(line, width))
            for line in self._model.take_lines()
        )
        footer = draw_caption_footer(self._model, width, height, self._glyphs)
        self._screen.draw(text, [self._ansi(line).rstrip("\n") for line in footer])

    async def _draw_on(self) -> None:
        while True:
            self._look()
            self.draw()
            await asyncio.sleep(_FRAME_S)

    def _press(self, key: Key) -> None:
        if key.action != "press":
            return
        if key.name == "m":
            self._model.muted = not self._model.muted
            self._controls.mute(self._model.muted)
        elif key.name in ("q", "ctrl+d"):
            self._end()
        self.draw()

    def _end(self) -> None:
        if self._model.state != "ended":
            self._model.state = "ending"
        self._controls.end()

    def _show_finished(self) -> None:
        self._model.finish()
        self.draw()

    def _leave(self) -> None:
        self._screen.close()
        self._keyboard.close()

    def _ansi(self, line: Text) -> str:
        with self._console.capture() as capture:
            self._console.print(line, width=_WIDEST, highlight=False, no_wrap=True)
        return "".join(f"{each.rstrip()}\n" for each in capture.get().splitlines()) or "\n"
