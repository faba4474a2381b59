"""Reads the recording of a session."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from voicecli.commands import AppendAudio, Command
from voicecli.config import ProviderSettings, RealtimeConfig
from voicecli.errors import ConfigurationError
from voicecli.ports import Capabilities, ConversationSetup
from voicecli.replay.contents import Contents
from voicecli.replay.encoding import CLASS, decoded
from voicecli.replay.format import FORMAT, KINDS, VERSION
from voicecli.tools import ToolSchema
from voicecli.transcript import Turn

__all__ = ["SessionRecording"]

_ADVICE = "Name a file that `--record-session` made."


class SessionRecording:
    """The recording of a session in a file, of which only one line at a time is kept in memory.

    Attributes:
        path: the file.
        header: its first line.
        cut_short: whether it ends in the middle of a line, as a program leaves it that is killed; known when all lines
            have been read.
        finished: whether the last line says that the conversation was over; known then, too.

    Raises:
        ConfigurationError: the file cannot be read, is no recording, or one of a newer voicecli.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.cut_short = False
        self.finished = False
        with self._opened() as file:
            first = file.readline()
        self.header = self._checked_header(first)

    @property
    def provider(self) -> str:
        """The name of the provider."""
        return str(self.header["provider"])

    def lines(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """The lines after the header, each with its number.

        Raises:
            ConfigurationError: the file cannot be read, or a line is damaged.
        """
        self.cut_short = self.finished = False
        with self._opened() as file:
            file.readline()
            for number, text in enumerate(self._read(file), 2):
                try:
                    line = json.loads(text)
                    if line["kind"] not in KINDS or not isinstance(line["at_ms"], int | float):
                        raise ValueError
                except (ValueError, TypeError, KeyError, RecursionError):
                    if not text.endswith(b"\n"):
                        self.cut_short = True
                        return
                    raise self.damaged(number) from None
                self.finished = line["kind"] == "ended"
                yield number, line

    def contents(self) -> Contents:
        """What is in it. Raises ConfigurationError as `lines` does."""
        contents = Contents()
        contents.add(self.header)
        for number, line in self.lines():
            try:
                contents.add(line)
            except (ValueError, TypeError, KeyError, AttributeError):
                raise self.damaged(number) from None
        return contents

    def user_audio(self) -> Iterator[bytes]:
        """The user's voice, piece by piece: PCM16 mono at the `input_rate`. Raises ConfigurationError as `lines`."""
        for number, line in self.lines():
            if line["kind"] == "command":
                try:
                    command = decoded(line["command"], Command)
                except (ValueError, TypeError, KeyError):
                    raise self.damaged(number) from None
                if isinstance(command, AppendAudio):
                    yield command.audio

    def connection(self) -> dict[str, Any]:
        """What it says of the connection. Raises ConfigurationError."""
        number, line = next(self.lines(), (2, None))
        if line is None:
            raise ConfigurationError(f"{self.path} ends before the conversation began.", advice=_ADVICE)
        if line["kind"] != "connection" or not isinstance(line.get("server"), dict | None):
            raise self.damaged(number)
        return line

    def capabilities(self) -> Capabilities:
        """Abilities and rates of the provider. Raises ConfigurationError."""
        try:
            made = {"class": "Capabilities", **self.connection()["capabilities"]}
            return decoded(made, Capabilities)  # type: ignore[no-any-return]
        except (ValueError, TypeError, KeyError):
            raise self.damaged(2) from None

    def setup(self, own: type[ProviderSettings]) -> ConversationSetup:
        """What the conversation began with; secrets are hidden in it.

        Args:
            own: the provider's own settings. Such of another class are left out.

        Raises:
            ConfigurationError: the header is damaged, or has a setting that is not possible any more.
        """
        header = self.header
        try:
            settings = decoded(header["settings"], RealtimeConfig)
            given = header.get("provider_settings") or {}
            chosen = decoded(given, own) if given.get(CLASS) == own.__name__ else None
            config = _with(settings, provider_settings=chosen)
            tools = decoded(header["tools"], tuple[ToolSchema, ...])
            history = decoded(header["history"], tuple[Turn, ...])
        except ConfigurationError as error:
            raise ConfigurationError(f"{self.path}: {error.message}", advice=error.advice) from error
        except (ValueError, TypeError, KeyError, AttributeError):
            raise self.damaged(1) from None
        return ConversationSetup(config, tools=tools, history=history)

    def damaged(self, number: int) -> ConfigurationError:
        """The error for a line that cannot be understood."""
        return ConfigurationError(f"{self.path}: line {number} is damaged.", advice="Was the file changed?")

    # -- inside

    def _opened(self) -> BinaryIO:
        try:
            if self.path.exists() and not self.path.is_file():
                raise ConfigurationError(f"{self.path} is no file.", advice=_ADVICE)
            return self.path.open("rb")
        except (OSError, ValueError) as error:
            if isinstance(error, ConfigurationError):
                raise
            reason = error.strerror if isinstance(error, OSError) else error
            raise ConfigurationError(f"{self.path} cannot be read: {reason}.", advice=_ADVICE) from None

    def _read(self, file: BinaryIO) -> Iterator[bytes]:
        try:
            yield from file
        except OSError as error:
            raise ConfigurationError(f"{self.path} cannot be read: {error.strerror}.") from None

    def _checked_header(self, text: bytes) -> dict[str, Any]:
        if not text:
            raise ConfigurationError(f"{self.path} is empty: nothing was recorded.", advice=_ADVICE)
        try:
            header = json.loads(text)
        except (ValueError, RecursionError):
            header = None
        if not isinstance(header, dict) or header.get("format") != FORMAT:
            trace = isinstance(header, dict) and "time" in header
            why = " A trace of `--debug` cannot be replayed, as it has no sound." if trace else ""
            raise ConfigurationError(f"{self.path} is no recording of a session.{why}", advice=_ADVICE)
        version, by = header.get("version"), header.get("voicecli")
        if not isinstance(version, int) or version > VERSION:
            raise ConfigurationError(
                f"{self.path} was recorded by voicecli {by}, in the newer format {version}; this one reads {VERSION}.",
                advice="Update voicecli.",
            )
        texts = all(isinstance(header.get(name), str) for name in ("provider", "model", "voicecli", "began"))
        if not texts or not isinstance(header.get("settings"), Mapping):
            raise self.damaged(1)
        return header


def _with(config: RealtimeConfig, **changes: Any) -> RealtimeConfig:
    """The settings with these changed, without another check: what is hidden in them would not pass it."""
    for name, value in changes.items():
        object.__setattr__(config, name, value)
    return config
