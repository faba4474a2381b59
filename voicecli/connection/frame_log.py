"""The file of `debug_file`: every frame both ways as JSON lines, with audio shortened and without secrets."""

import json
import logging
import os
import re
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from voicecli.errors import ConfigurationError

__all__ = ["FrameLog"]

# Base64 longer than this is audio or a picture; ids and the like are shorter.
_LONGEST_SHOWN = 64
# A shorter "key" is a placeholder for a server that wants none; hiding it would garble ordinary words.
_SHORTEST_SECRET = 6
_LONGEST_GARBAGE = 1_000
_BASE64 = re.compile(r"(?:data:[\w/+.-]+;base64,)?[A-Za-z0-9+/_-]+={0,2}")
# Keys of OpenAI and Google, ephemeral ones, and what stands behind "Bearer".
_KEY_LIKE = re.compile(r"\b(?:sk-|ek_)[A-Za-z0-9_-]{8,}|\bAIza[A-Za-z0-9_-]{20,}|auth_tokens/\S+|(?<=Bearer )\S+")
_SECRET_FIELDS = frozenset(
    # The address of an MCP server may hold its token.
    {"authorization", "api_key", "api-key", "x-goog-api-key", "token", "access_token", "server_url"}
)
_HIDDEN = "(hidden)"

_log = logging.getLogger("voicecli")


class FrameLog:
    """Writes frames to a file that only its owner can read.

    Args:
        path: the file; what it held is overwritten.
        secrets: strings that never appear in it.

    Raises:
        ConfigurationError: the file cannot be written.
    """

    def __init__(self, path: str, secrets: Collection[str]) -> None:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        except OSError as error:
            raise ConfigurationError(
                f"debug_file: cannot write {path!r}: {error.strerror}.", advice="Name a file in a folder of yours."
            ) from None
        # Line by line: a trace is read most often after a crash.
        self._file = open(descriptor, "w", encoding="utf-8", buffering=1)  # noqa: SIM115
        # The longest first, so that no secret is left half hidden because it contains another one.
        self._secrets = sorted({secret for secret in secrets if len(secret) >= _SHORTEST_SECRET}, key=len, reverse=True)

    def sent(self, message: bytes) -> None:
        self._write("sent", self._frame(message))

    def received(self, message: bytes) -> None:
        self._write("received", self._frame(message))

    def note(self, what: str, **details: str | int | float | None) -> None:
        """Something that is no frame: a socket was opened, closed ..."""
        self._write(what, {name: self._shown(value) for name, value in details.items()})

    def close(self) -> None:
        self._file.close()

    def _frame(self, message: bytes) -> Any:
        try:
            return self._shown(json.loads(message))
        except (ValueError, RecursionError):
            text = message[:_LONGEST_GARBAGE].decode("utf-8", "backslashreplace")
            return {"not_json": self._shown(text), "bytes": len(message)}

    def _shown(self, value: Any) -> Any:
        match value:
            case str():
                return self._shown_text(value)
            case list():
                return [self._shown(item) for item in value]
            case dict():
                return {
                    name: _hidden(item) if name.lower() in _SECRET_FIELDS or name == "headers" else self._shown(item)
                    for name, item in value.items()
                }
        return value

    def _shown_text(self, text: str) -> str:
        if len(text) > _LONGEST_SHOWN and _BASE64.fullmatch(text):
            return f"({len(text)} characters of base64)"
        for secret in self._secrets:
            text = text.replace(secret, _HIDDEN)
        return _KEY_LIKE.sub(_HIDDEN, text)

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


def _hidden(value: Any) -> Any:
    """The same shape with every string hidden."""
    match value:
        case dict():
            return {name: _hidden(item) for name, item in value.items()}
        case list():
            return [_hidden(item) for item in value]
        case str():
            return _HIDDEN
    return value
