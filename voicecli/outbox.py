"""Commands on their way to the provider: in order, never lost, and of audio only the newest."""

from collections import deque

from voicecli.commands import AppendAudio, Command, SendImage, SendText, ToolResult

__all__ = ["Outbox"]


class Outbox:
    """Commands that wait for the network, in the order in which they were given.

    When more audio than the limit waits, the oldest is dropped: a model that hears everything ten seconds late is
    worse than one that misses a word. Other commands are never dropped.

    Args:
        bytes_per_s: of the audio, in bytes per second.
        limit_s: how much audio may wait, in seconds; may be changed at any time.

    Attributes:
        dropped_bytes: of audio, since it was last set to 0.
        other_bytes: what the waiting commands other than audio hold, roughly.
    """

    def __init__(self, bytes_per_s: int, limit_s: float) -> None:
        self.limit_s = limit_s
        self.dropped_bytes = 0
        self.other_bytes = 0
        self._bytes_per_s = bytes_per_s
        self._commands: deque[Command] = deque()
        self._audio_bytes = 0

    def __len__(self) -> int:
        return len(self._commands)

    def put(self, command: Command) -> None:
        self._commands.append(command)
        if not isinstance(command, AppendAudio):
            self.other_bytes += _size(command)
            return
        self._audio_bytes += len(command.audio)
        while self._audio_bytes > self.limit_s * self._bytes_per_s:
            self._drop_oldest_audio()

    def pop(self) -> Command | None:
        """The command whose turn it is; None when none waits."""
        if not self._commands:
            return None
        command = self._commands.popleft()
        if isinstance(command, AppendAudio):
            self._audio_bytes -= len(command.audio)
        else:
            self.other_bytes -= _size(command)
        return command

    def _drop_oldest_audio(self) -> None:
        # Few commands stand before the first audio, so that this search is short.
        for index, command in enumerate(self._commands):
            if isinstance(command, AppendAudio):
                del self._commands[index]
                self._audio_bytes -= len(command.audio)
                self.dropped_bytes += len(command.audio)
                return


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
