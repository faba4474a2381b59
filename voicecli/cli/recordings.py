"""The recordings of the conversations that one command holds: a file for each."""

import contextlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from voicecli.errors import AudioFormatError
from voicecli.events import Event, Notice
from voicecli.ports import ConversationLog
from voicecli.terminal.printable import printable

if TYPE_CHECKING:
    from voicecli.history.log import HistoryLog
    from voicecli.recording import ConversationRecorder

__all__ = ["Recordings"]


class Recordings:
    """Records conversations, one after the other, where that is wanted.

    Args:
        folder: takes the files; None for no recordings. It is made if it is not there.

    Raises:
        ConfigurationError: nothing can be written there.

    Attributes:
        failure: why the first one that is not complete is not, or None.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.failure: AudioFormatError | None = None
        self._folder = folder
        self._recorders: list[ConversationRecorder] = []
        self._has_loudspeaker = False
        if folder is not None:
            from voicecli.recording.folder import check_folder

            check_folder(folder)

    @property
    def on_rendered(self) -> Callable[[bytes, float], None] | None:
        """What a loudspeaker is to tell of all that it is given; None where nothing is recorded."""
        return self._rendered if self._folder is not None else None

    def begin(
        self,
        history: "Sequence[HistoryLog]",
        tell: Callable[[Event], None],
        *,
        input_latency_ms: Callable[[], float] = lambda: 0.0,
    ) -> Sequence[ConversationLog]:
        """The log that records the next conversation, or none.

        Args:
            history: is told where the recording is.
            tell: tells the user why it is not complete.
            input_latency_ms: as for `ConversationRecorder`.

        Raises:
            ConfigurationError: nothing can be written in the folder any more.
        """
        if self._folder is None:
            return []
        from voicecli.recording import ConversationRecorder

        def changed() -> None:
            for log in history:
                if recorder.path is not None:
                    log.recorded(recorder.path, recorder.times)

        def failed(error: AudioFormatError) -> None:
            self.failure = self.failure or error
            tell(Notice("recording_failed", f"The recording ends here. {error.message}"))

        recorder = ConversationRecorder(
            self._folder, on_change=changed, on_failure=failed, input_latency_ms=input_latency_ms
        )
        if self._has_loudspeaker:
            recorder.rendered(b"", 0)
        self._recorders.append(recorder)
        return [recorder]

    @property
    def paths(self) -> list[Path]:
        """The files that were made, in order."""
        return [recorder.path for recorder in self._recorders if recorder.path is not None]

    def tell_files(self) -> None:
        """Say on standard error which files were made."""
        for path in self.paths:
            with contextlib.suppress(OSError):
                sys.stderr.write(f"Recorded in {printable(str(path))}\n")
                sys.stderr.flush()

    def _rendered(self, audio: bytes, at: float) -> None:
        self._has_loudspeaker = True
        for recorder in self._recorders[-1:]:
            recorder.rendered(audio, at)
