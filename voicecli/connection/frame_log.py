"""The file of `debug_file`: every frame both ways as JSON lines, with audio shortened and without secrets."""

import json
import logging
import os
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from voicecli.errors import ConfigurationError
from voicecli.redaction import Redaction

__all__ = ["FrameLog"]

# Base64 longer than this is audio or a picture; ids and the like are shorter.
_LONGEST_SHOWN = 64
_LONGEST_GARBAGE = 1_000
_BASE64 = re.compile(r"(?:data:[\w/+.-]+;base64,)?[A-Za-z0-9+/_-]+={0,2}")

_log = logging.getLogger("voicecli")


class _Shortening(Redaction):
    """Takes sound and pictures out, too."""

    def text(self, text: str) -> str:
        if len(text) > _LONGEST_SHOWN and _BASE64.fullmatch(text):
            return f"({len(text)} characters of base64)"
        return super().text(text)


class FrameLog:
    """Writes frames to a file that only its owner can read.

    Args:
        path: the file; what it held is overwritten.
        secrets: strings that never appear in it, unless they are shorter than a key can be.

    Raises:
        ConfigurationError: the file cannot be written.
    """

    def __init__(self, path: str, secrets: Iterable[str]) -> None:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        except (OSError, ValueError) as error:  # ValueError: a zero byte, or half of a character
            reason = error.strerror if isinstance(error, OSError) else error
            raise ConfigurationError(
                f"debug_file: cannot write {path!r}: {reason}.", advice="Name a file in a folder of yours."
            ) from None
        # Line by line: a trace is read most often after a crash.
        self._file = open(descriptor, "w", encoding="utf-8", buffering=1)  # noqa: SIM115
        self._redaction = _Shortening(secrets)

    def hide(self, secrets: Iterable[str]) -> None:
        """From now on these strings never appear, either."""
        self._redaction.hide(secrets)

    def sent(self, message: bytes) -> None:
        self._write("sent", self._frame(message))

    def received(self, message: bytes) -> None:
        self._write("received", self._frame(message))

    def note(self, what: str, **details: str | int | float | None) -> None:
        """Something that is no frame: a socket was opened, closed ..."""
        self._write(what, {name: self._redaction.value(value) for name, value in details.items()})

    def close(self) -> None:
        self._file.close()

    def _frame(self, message: bytes) -> Any:
        try:
            return self._redaction.value(json.loads(message))
        except (ValueError, RecursionError):
            text = message[:_LONGEST_GARBAGE].decode("utf-8", "backslashreplace")
            return {"not_json": self._redaction.value(text), "bytes": len(message)}

    def _write(self, direction: str, content: Any) -> None:
        if self._file.closed:
            return
        line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), direction: content}
        try:
            self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
        except (OSError, UnicodeEncodeError) as error:
            # The conversation matters more than its trace.
            _log.warning("The debug file is given up: %s", error)
            self._give_up()

    def _give_up(self) -> None:
        try:
            self._file.close()
        except OSError:
            _log.debug("The debug file could not be closed.")
