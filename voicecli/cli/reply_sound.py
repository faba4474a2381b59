"""The sound of replies on its way to files and a loudspeaker. One that fails is left out, and told at the end."""

from collections.abc import Callable

from voicecli.audio import AudioSink, Playhead
from voicecli.errors import AudioFormatError, RealtimeError

__all__ = ["ReplySound"]


class ReplySound:
    """Hands sound on to any number of sinks: an AudioSink whose listener hears everything.

    A recording that is answered does not interrupt its answers: none is paused, or cut.

    Args:
        sample_rate: of the sound, in Hz.

    Attributes:
        failure: what the first of them failed by, or None.
        on_failure: hears at once why a sink is left out from now on.
    """

    def __init__(self, sample_rate: int) -> None:
        self.failure: RealtimeError | None = None
        self.on_failure: Callable[[RealtimeError], None] = lambda error: None
        self._sample_rate = sample_rate
        self._sinks: list[AudioSink] = []
        self._failed: list[AudioSink] = []

    @property
    def sample_rate(self) -> int:
        """The rate of what it takes, in Hz."""
        return self._sample_rate

    def add(self, sink: AudioSink) -> None:
        """Hand sound on to this one, too."""
        self._sinks.append(sink)

    def write(self, audio: bytes, item_id: str) -> None:
        """Take a chunk of the item's audio; never blocks. Raises BrokenPipeError when nobody reads a pipe any more."""
        for sink in tuple(self._sinks):
            try:
                sink.write(audio, item_id)
            except AudioFormatError as error:
                self._leave_out(sink, error)

    def end(self) -> None:
        """Know that the reply is complete."""
        for sink in self._sinks:
            sink.end()

    def clear(self) -> Playhead | None:
        """Do nothing; None, as the listener hears all of it."""
        return None

    def pause(self) -> None:
        """Do nothing."""

    def resume(self) -> None:
        """Do nothing."""

    async def drain(self) -> None:
        """Return when everything is written, and heard. Raises BrokenPipeError as `write` does."""
        for sink in tuple(self._sinks):
            try:
                await sink.drain()
            except AudioFormatError as error:
                self._leave_out(sink, error)

    async def aclose(self) -> None:
        """Close them all; idempotent. Raises BrokenPipeError as `write` does."""
        for sink in (*self._sinks, *self._failed):
            try:
                await sink.aclose()
            except AudioFormatError as error:
                if sink in self._sinks:
                    self._leave_out(sink, error)

    def _leave_out(self, sink: AudioSink, error: RealtimeError) -> None:
        self._sinks.remove(sink)
        self._failed.append(sink)
        self.failure = self.failure or error
        self.on_failure(error)
