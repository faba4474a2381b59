"""Signals while a terminal is in use: it is given back before the process stops or dies."""

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

__all__ = ["TerminalSignals"]

# SIGBREAK: Ctrl-Break on Windows, and the closing of the console's window.
_DEADLY = ("SIGTERM", "SIGHUP", "SIGQUIT", "SIGBREAK")


class TerminalSignals:
    """Handlers of the signals that end, stop or interrupt the process.

    They run between two steps of the main thread, even when the event loop hangs. On an end by signal the process
    dies of that very signal, as its parent expects.

    Args:
        restore: gives the terminal back.
        finish: shows what is open as it is, before that, on an end by signal; must not wait.
        retake: takes the terminal again, after Ctrl-Z and `fg`.
        end: asks for the end of the conversation; called in the event loop at the first Ctrl-C. The second one
            raises KeyboardInterrupt.
        types: tells whether a line is being typed, to which Ctrl-C belongs: then `clear` is called in the event loop.
            Where the loop does not get to that before the next Ctrl-C, it hangs, and is ended as always.

    Attributes:
        interrupted: whether Ctrl-C was pressed to end.
    """

    def __init__(
        self,
        *,
        restore: Callable[[], None],
        finish: Callable[[], None],
        retake: Callable[[], None],
        end: Callable[[], None],
        types: Callable[[], bool],
        clear: Callable[[], None],
    ) -> None:
        self._restore = restore
        self._finish = finish
        self._retake = retake
        self._end = end
        self._types = types
        self._clear = clear
        self._clearing = False  # asked for, and not done yet
        self._loop: asyncio.AbstractEventLoop | None = None
        self._before: dict[signal.Signals, object] = {}
        self.interrupted = False

    def install(self) -> None:
        """Take the signals over; called in the event loop, in the main thread."""
        self._loop = asyncio.get_running_loop()
        self._take(signal.SIGINT, self._interrupt)
        for name in _DEADLY:
            if hasattr(signal, name):
                self._take(getattr(signal, name), self._die)
        if hasattr(signal, "SIGTSTP"):
            self._take(signal.SIGTSTP, self._stop)

    def remove(self) -> None:
        """Put the handlers from before back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._before.clear()

    def _take(self, number: signal.Signals, handler: Callable[[int, FrameType | None], None]) -> None:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            self._before[number] = signal.signal(number, handler)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self._loop is not None and not (self.interrupted or self._clearing) and self._types():
            self._clearing = True
            self._loop.call_soon_threadsafe(self._clear_line)
            return
        if self.interrupted or self._loop is None:
            signal.default_int_handler(number, frame)
        self.interrupted = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._end)

    def _clear_line(self) -> None:
        self._clearing = False
        self._clear()

    def _die(self, number: int, frame: FrameType | None) -> None:
        try:
            # It may fail, as whatever is under way here was interrupted.
            with suppress(Exception):
                self._finish()
        finally:
            self._restore()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._restore()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        # Here it goes on after SIGCONT.
        signal.signal(number, self._stop)
        self._retake()
