"""Commands that wait while the model can hear nothing: it has called a function that it waits for."""

from voicecli.commands import AppendAudio, Command
from voicecli.providers.gemini.input import WIRE_AUDIO

__all__ = ["HeldCommands"]

# How much of the user's voice is kept, in bytes: 30 s.
_KEPT_BYTES = WIRE_AUDIO.size(30_000)


class HeldCommands:
    """A queue that drops the oldest audio beyond 30 s."""

    def __init__(self) -> None:
        self._commands: list[Command] = []
        self._bytes = self._dropped_bytes = 0

    def __bool__(self) -> bool:
        return bool(self._commands)

    def put(self, command: Command) -> None:
        """Keep a command."""
        self._commands.append(command)
        if isinstance(command, AppendAudio):
            self._bytes += len(command.audio)
        while self._bytes > _KEPT_BYTES:
            oldest = next(index for index, held in enumerate(self._commands) if isinstance(held, AppendAudio))
            dropped = self._commands.pop(oldest)
            assert isinstance(dropped, AppendAudio)
            self._bytes -= len(dropped.audio)
            self._dropped_bytes += len(dropped.audio)

    def pop(self) -> Command:
        """Take the oldest command."""
        command = self._commands.pop(0)
        if isinstance(command, AppendAudio):
            self._bytes -= len(command.audio)
        return command

    def take_dropped_s(self) -> float:
        """The audio that was dropped since this was last asked, in seconds."""
        dropped, self._dropped_bytes = self._dropped_bytes, 0
        return WIRE_AUDIO.duration_ms(dropped) / 1000
