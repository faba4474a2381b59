"""Writes the recording of a session while it goes on."""

import asyncio
import contextlib
import json
import logging
import os
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from voicecli._version import __version__
from voicecli.commands import Command
from voicecli.config import RealtimeConfig
from voicecli.errors import ConfigurationError
from voicecli.events import AudioChunk, Event, Notice
from voicecli.ports import Capabilities, Codec, Connection, ConversationSetup, Ended, Expiring, Replayable
from voicecli.redaction import Redaction, header_secrets, setting_secrets
from voicecli.replay.contents import Contents
from voicecli.replay.encoding import digest, encoded, encoded_error
from voicecli.replay.format import FORMAT, VERSION, frame
from voicecli.replay.recorded_codec import recorded_codec
from voicecli.replay.recorded_connection import recorded_connection

__all__ = ["SessionRecorder"]

_MOST_FILES = 10_000
# Names of files of this machine say nothing about the conversation.
_LEFT_OUT = ("debug_file", "provider_settings", "session_file")

_log = logging.getLogger(__name__)


class SessionRecorder:
    """Writes all that passes in a conversation to a file that only its owner can read.

    Each line is written at once: a program that is killed loses at most the last one. What cannot be written ends the
    recording and nothing else.

    Args:
        name: of the file. Where there is one already, a number is put behind its stem: "talk-2.jsonl".
        provider: its name.
        model: the provider's default.

    Attributes:
        path: the file.
        contents: what is in it.
        begun: whether anything was recorded.

    Raises:
        ConfigurationError: the file cannot be written.
    """

    def __init__(self, name: str, provider: str, model: str, setup: ConversationSetup) -> None:
        self.contents = Contents()
        self.begun = False
        self._provider = provider
        self._model = setup.config.model or model
        self._setup = setup
        self._clock = asyncio.get_running_loop().time
        self._began = self._clock()
        self._redaction = Redaction(setting_secrets(setup.config))
        self._tell: Callable[[Event], None] | None = None
        self._descriptor: int | None
        self.path, self._descriptor = _open_new(name)

    def around(self, codec: Codec, capabilities: Capabilities, tell: Callable[[Event], None]) -> Codec:
        """Begin, with a conversation over a wire; to be used in the place of the codec, which it records."""
        self.hide(header_secrets(codec.headers))
        url = urlsplit(codec.url)
        place = f"{url.hostname}:{url.port}" if url.port else f"{url.hostname}"
        server = codec.server if isinstance(codec, Replayable) else None
        self.begin(capabilities, tell, host=place, server=None if server is None else dict(server))
        return recorded_codec(codec, self, made_again=server is not None)

    def begin(self, capabilities: Capabilities, tell: Callable[[Event], None], **wire: Any) -> None:
        """Write what the conversation begins with.

        Args:
            tell: passes an event to the program.
            wire: where there is one, its `host`, and what is known of the `server`.
        """
        self.begun = True
        self._tell = tell
        config, setup = self._setup.config, self._setup
        header = {
            "kind": "header",
            "format": FORMAT,
            "version": VERSION,
            "voicecli": __version__,
            "provider": self._provider,
            "model": self._model,
            "began": datetime.now(UTC).isoformat(timespec="seconds"),
            "settings": _settings(config),
            "provider_settings": encoded(config.provider_settings),
            "tools": encoded(setup.tools),
            "history": encoded(setup.history),
        }
        self._put(header)
        self._put({"kind": "connection", "at_ms": self._at_ms, "capabilities": _all_fields(capabilities), **wire})

    def recorded(self, connection: Connection) -> Connection:
        """The connection, which is recorded unless its codec is."""
        if self.begun:
            return connection
        return recorded_connection(connection, self)

    def hide(self, secrets: Iterable[str]) -> None:
        """From now on these strings never appear, either."""
        self._redaction.hide(secrets)

    # -- what passes

    def note(self, kind: str, **details: Any) -> None:
        """A line of this kind."""
        if self._descriptor is not None:
            self._put({"kind": kind, "at_ms": self._at_ms, **details})

    def message(self, kind: str, message: bytes, **details: Any) -> None:
        """A message that was "sent" or "received", or another line about one."""
        if self._descriptor is not None:
            self._put({"kind": kind, "at_ms": self._at_ms, **details}, message)

    def command(self, command: Command) -> None:
        """A command goes to the codec, or to the provider."""
        self.note("command", command=encoded(command))

    def event(self, event: Event | Expiring | Ended, *, made_again: bool = False) -> None:
        """An event comes from the codec, or from the provider.

        Args:
            made_again: whether a replay makes it of what was received, so that its sound need not be kept twice.
        """
        if self._descriptor is None:
            return
        if made_again and isinstance(event, AudioChunk):
            names = {"response_id": event.response_id, "item_id": event.item_id}
            self.note("event", event={"class": "AudioChunk", "audio": digest(event.audio), **names})
        else:
            self.note("event", event=encoded(event))

    def raised(self, error: Exception) -> None:
        """The codec raised this, or said so of a connection that was lost."""
        self.note("raised", error=encoded_error(error))

    def told(self, event: Event) -> None:
        """The connection itself tells the program of an event."""
        self.note("told", event=encoded(event))

    def ended(self, error: Exception | None) -> None:
        """The conversation is over."""
        self.note("ended", error=None if error is None else encoded_error(error))
        self.close()

    def close(self) -> None:
        """End the recording; a file in which nothing came to stand is removed. Idempotent."""
        if self._descriptor is None:
            return
        descriptor, self._descriptor = self._descriptor, None
        with contextlib.suppress(OSError):
            os.close(descriptor)
        if not self.begun:
            with contextlib.suppress(OSError):
                if self.path.is_file():
                    self.path.unlink()

    # -- inside

    @property
    def _at_ms(self) -> float:
        return round((self._clock() - self._began) * 1000, 3)

    def _put(self, line: dict[str, Any], message: bytes | None = None) -> None:
        """Write a line, which may be about a message."""
        if self._descriptor is None:
            return
        try:
            line = self._redaction.value(line, by_name=False)
            if message is not None:
                line |= frame(message, self._redaction)
            self.contents.add(line)
            left = memoryview(json.dumps(line, separators=(",", ":")).encode() + b"\n")
            while left:
                left = left[os.write(self._descriptor, left) :]
        except Exception as error:
            # The conversation matters more than its recording.
            reason = error.strerror if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
            _log.debug("The recording %s is given up: %s", self.path, reason)
            self.close()
            if self._tell is not None:
                self._tell(Notice("recording_stopped", f"The recording {self.path} stops here: {reason}."))


def _settings(config: RealtimeConfig) -> dict[str, Any]:
    settings: dict[str, Any] = encoded(config)
    return {name: value for name, value in settings.items() if name not in _LEFT_OUT}


def _all_fields(capabilities: Capabilities) -> dict[str, Any]:
    """Also those with a default: what a recording is of does not change with it."""
    return {name: encoded(getattr(capabilities, name)) for name in capabilities.__dataclass_fields__}


def _open_new(name: str) -> tuple[Path, int]:
    """A new file of this name, or of the next one that is free."""
    path = Path(name)
    try:
        if path.exists() and not path.is_file():  # a device, or a pipe: where nobody reads it is an error
            return path, os.open(path, os.O_WRONLY | getattr(os, "O_NONBLOCK", 0))
        for number in range(1, _MOST_FILES):
            tried = path if number == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}")
            with contextlib.suppress(FileExistsError):
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
                return tried, os.open(tried, flags, 0o600)
        reason: object = "there are too many of that name"
    except (OSError, ValueError) as error:  # ValueError: a zero byte, or half of a character
        reason = error.strerror if isinstance(error, OSError) else error
    raise ConfigurationError(
        f"session_file: cannot write {name!r}: {reason}.", advice="Name a file in a folder of yours."
    )
