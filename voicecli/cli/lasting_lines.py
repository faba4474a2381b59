"""Lines that may be lost without the conversation: what fails to be written is told at the end."""

from voicecli.conversation.duplex import Observer
from voicecli.events import Event

__all__ = ["LastingLines"]


class LastingLines:
    """Observer that hands events on to lines, until these cannot be written any more.

    Args:
        lines: write what happens.
        alone: whether nothing else takes the answer, so that there is no use in going on without them.

    Attributes:
        failure: why they could not be written; BrokenPipeError where the reader had enough.
    """

    def __init__(self, lines: Observer, *, alone: bool) -> None:
        self.failure: OSError | None = None
        self._lines = lines
        self._alone = alone

    def __call__(self, event: Event) -> None:
        if self.failure is not None:
            return
        try:
            self._lines(event)
        except OSError as error:
            if self._alone:
                raise
            self.failure = error
