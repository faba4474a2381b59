"""Commands on their way to the provider: in order, never lost, and of live audio only the newest."""

from collections import deque

from voicecli.commands import AppendAudio, Command, SendImage, SendText, ToolResult
from voicecli.pcm16 import is_silent

__all__ = ["Pace", "SendQueue"]

# Pictures sent into a dead line are all that ever reaches it.
_MAX_OTHER_BYTES = 32 * 2**20


class SendQueue:
    """Commands that wait for the network, in the order in which they were given.

    When more audio than the limit waits, the oldest is dropped: a model that hears everything ten seconds late is
    worse than one that misses a word. Other commands are never dropped.

    Args:
        bytes_per_s: of the audio, in bytes per second.
        limit_s: how much audio may wait, in seconds; may be changed at any time.
        room_s: how much of it there is room for where the program can wait, in seconds; None for the limit.
    """

    def __init__(self, bytes_per_s: int, limit_s: float, room_s: float | None = None) -> None:
        self.limit_s = limit_s
        self._room_s = room_s
        self._bytes_per_s = bytes_per_s
        self._commands: deque[Command] = deque()
        self._audio_bytes = 0
        self._other_bytes = 0

    def __len__(self) -> int:
        return len(self._commands)

    def has_room(self, command: Command) -> bool:
        """True when the command can wait here without anything being dropped, or memory growing without bound."""
        if isinstance(command, AppendAudio):
            waiting = self._audio_bytes
            most_s = self.limit_s if self._room_s is None else self._room_s
            return not waiting or waiting + len(command.audio) <= most_s * self._bytes_per_s
        return self._other_bytes <= _MAX_OTHER_BYTES

    def put(self, command: Command) -> int:
        """Add a command, dropping the audio that is now too old; never what was just added.

        Returns:
            How many bytes were dropped of audio in which something was to be heard.
        """
        self._commands.append(command)
        if not isinstance(command, AppendAudio):
            self._other_bytes += _size(command)
            return 0
        most = max(self.limit_s * self._bytes_per_s, len(command.audio))
        self._audio_bytes += len(command.audio)
        dropped = 0
        while self._audio_bytes > most:
            dropped += self._drop_oldest_audio()
        return dropped

    @property
    def head(self) -> Command | None:
        """The command whose turn is next."""
        return self._commands[0] if self._commands else None

    def clear(self) -> None:
        """Forget all of them."""
        self._commands.clear()
        self._audio_bytes = self._other_bytes = 0

    def skip_silence(self, most_s: float) -> bool:
        """Drop silence of a microphone at the head while more audio waits than that: so speech catches up that is late.

        Args:
            most_s: in seconds.

        Returns:
            Whether there was any.
        """
        skipped = False
        while self._audio_bytes > most_s * self._bytes_per_s:
            head = self.head
            if not (isinstance(head, AppendAudio) and head.realtime and is_silent(head.audio)):
                break
            self.pop()
            skipped = True
        return skipped

    def pop(self) -> Command | None:
        """The command whose turn it is; None when none waits."""
        if not self._commands:
            return None
        command = self._commands.popleft()
        if isinstance(command, AppendAudio):
            self._audio_bytes -= len(command.audio)
        else:
            self._other_bytes -= _size(command)
        return command

    def _drop_oldest_audio(self) -> int:
        # Few commands stand before the first audio, so that this search is short.
        for index, command in enumerate(self._commands):
            if isinstance(command, AppendAudio):
                del self._commands[index]
                self._audio_bytes -= len(command.audio)
                return 0 if is_silent(command.audio) else len(command.audio)
        raise AssertionError("there is audio as long as its size is counted")


class Pace:
    """Tells live audio, which comes as fast as it is spoken, from audio that was there before (a file).

    Live audio that the network cannot take grows stale; the other can wait.

    Args:
        bytes_per_s: of the audio, in bytes per second.
        most_ahead_s: a microphone whose program was held up delivers what it has in one go; more than this many seconds
            is no microphone.
    """

    def __init__(self, bytes_per_s: int, most_ahead_s: float) -> None:
        self._bytes_per_s = bytes_per_s
        self._most_ahead_s = most_ahead_s
        self._ahead_s = 0.0
        self._at = 0.0

    def is_live(self, size: int, now: float, held_back_s: float = 0.0) -> bool:
        """True when `size` more bytes at the time `now` can be live.

        Args:
            now: in seconds.
            held_back_s: how much of it, in seconds, may have been held back while nothing was sent.
        """
        least_s = min(self._most_ahead_s - held_back_s, 0.0)
        self._ahead_s = max(self._ahead_s - (now - self._at), least_s) + size / self._bytes_per_s
        self._at = now
        return self._ahead_s <= self._most_ahead_s

    def waited(self, now: float) -> None:
        """The sender was made to wait until `now`: that it sent nothing meanwhile does not make it live."""
        self._at = now


def _size(command: Command) -> int:
    match command:
        case SendText(text):
            return len(text)
        case SendImage(data):
            return len(data)
        case ToolResult(output=output):
            return len(output)
        case _:
            return 0
