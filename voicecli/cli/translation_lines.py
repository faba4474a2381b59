"""Lines for what an interpreter hears and says, where no view is shown."""

import contextlib
import sys
from typing import TextIO

from voicecli.cli.event_lines import PlainLines
from voicecli.events import Event, SessionEnded, SessionStarted, StateChanged, TranscriptUpdate
from voicecli.terminal.printable import printable

__all__ = ["TranslationLines"]


class TranslationLines:
    """A line for each finished sentence, and on standard error one for each thing worth knowing.

    Args:
        words: takes what is said; None for standard error.
        to: the language that is translated to.
        bare: whether only the translation is written, without names.
        quiet: whether only that, and errors, are written.
        live: whether somebody speaks into a microphone, who is told when to begin, and how to end.
    """

    def __init__(
        self, words: TextIO | None, *, to: str, bare: bool = False, quiet: bool = False, live: bool = False
    ) -> None:
        self._words = words
        self._to = to
        self._bare = bare
        self._live = live and not quiet
        self._rest = PlainLines(None, quiet=quiet)

    def __call__(self, event: Event) -> None:
        match event:
            case TranscriptUpdate(role, text=text, final=True) if text.strip():
                said = printable(" ".join(text.split()))
                if role == "assistant":
                    self._write(said if self._bare else f"{self._to}: {said}")
                elif not self._bare:
                    self._write(f"{' ' * len(self._to)}  {said}")
            case SessionStarted() if self._live:
                self._live = False
                with contextlib.suppress(OSError):
                    sys.stderr.write(f"Listening, and translating to {self._to}. Ctrl-C ends.\n")
                    sys.stderr.flush()
            case TranscriptUpdate() | SessionStarted() | SessionEnded() | StateChanged():
                pass
            case _:
                self._rest(event)

    def _write(self, line: str) -> None:
        if self._words is None:
            with contextlib.suppress(OSError):
                sys.stderr.write(f"{line}\n")
                sys.stderr.flush()
            return
        self._words.write(f"{line}\n")
        self._words.flush()
