"""What is told of captions: text, JSON lines, files; notes on standard error."""

import contextlib
import json
import sys
from collections.abc import Sequence
from typing import TextIO

from voicecli.captions import Caption
from voicecli.cli.caption_files import CaptionFile
from voicecli.events import ErrorOccurred, Event, Notice, Reconnecting
from voicecli.terminal.printable import printable
from voicecli.text import valid_text

__all__ = ["CaptionOutput", "event_line", "tell"]


class CaptionOutput:
    """Takes the captions of one input.

    Args:
        words: takes bare text, a line for each utterance; None for nowhere.
        json_lines: takes JSON, an object a line, partial captions too.
        name: of the input, that JSON tells; "" where there is only one.
        files: get the final ones.

    Attributes:
        count: how many were final.
    """

    def __init__(
        self,
        *,
        words: TextIO | None = None,
        json_lines: TextIO | None = None,
        name: str = "",
        files: Sequence[CaptionFile] = (),
    ) -> None:
        self.count = 0
        self._words = words
        self._json_lines = json_lines
        self._name = name
        self._files = files
        self._speaker = ""

    def __call__(self, caption: Caption) -> None:
        """Tell a caption. Raises OSError, AudioFormatError where it cannot be written."""
        if caption.final:
            self.count += 1
            for file in self._files:  # before anybody is told
                file.write(caption.cue())
        if self._json_lines is not None:
            self._json_lines.write(json.dumps(self._line(caption)) + "\n")
            self._json_lines.flush()
        if caption.final and self._words is not None:
            name = f"{caption.speaker}: " if caption.speaker else ""
            self._words.write(f"{name}{printable(caption.text)}\n")
            self._words.flush()

    def close(self) -> None:
        """Close the files; idempotent."""
        for file in self._files:
            file.close()

    def _line(self, caption: Caption) -> dict[str, object]:
        line: dict[str, object] = {"file": valid_text(self._name)} if self._name else {}
        line |= {"start_ms": caption.start_ms, "end_ms": caption.end_ms, "text": valid_text(caption.text)}
        if caption.channel is not None:
            line["channel"] = caption.channel
        return line | {"final": caption.final}


def event_line(event: Event) -> str:
    """What people are told of an event; "" for nothing."""
    match event:
        case Notice(_, message):
            return f"Note: {message}"
        case ErrorOccurred(error):
            return f"Error: {error}"
        case Reconnecting(attempt, delay_s, reason, attempts):
            number = f"{attempt}/{attempts}" if attempts else f"{attempt}"
            return f"Reconnecting {number} in {delay_s:.1f} s: {reason}"
        case _:
            return ""


def tell(line: str) -> None:
    """Write a line to standard error, for people."""
    if line:
        with contextlib.suppress(OSError):  # what nobody can read there keeps nothing else from going on
            sys.stderr.write(f"{printable(line)}\n")
            sys.stderr.flush()
