"""The recording of one conversation, as its two sides were heard."""

import asyncio
import uuid
from collections import deque
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from voicecli.commands import AppendAudio, Command, EndTurn, SendText, StartTurn
from voicecli.errors import AudioFormatError
from voicecli.events import AudioChunk, Event, Interrupted, SessionEnded, SessionStarted
from voicecli.recording.folder import check_folder, free_path

if TYPE_CHECKING:
    from voicecli.recording.sides import Sides

__all__ = ["ConversationRecorder"]

_TICK_S = 0.25  # what `kill -9` may cost, beside the second in which a piece may prove to be late
_MOST_RENDERED = 6_000  # blocks of 10 ms that wait for the event loop; it has then been held up for a minute


class ConversationRecorder:
    """Records one conversation: a ConversationLog, to be passed to `RealtimeVoice.connect(logs=[...])`.

        async with ConversationRecorder("recordings") as recorder:
            async with voice.connect(logs=[recorder]) as session:
                ...
        print(recorder.path)

    The file is PCM16 WAV at the provider's output rate, for this user alone: the user on the left as they were sent
    (after echo control), the assistant on the right as it was played. Whoever plays the replies through a `Speaker`
    passes it `on_rendered=recorder.rendered`, and what left the loudspeaker is recorded, gaps and cuts included; else
    it is taken to be played as it comes, and cut where it was interrupted. Both stand where they belong in time; for
    what is sent faster than it sounds, as a file is, see `times`.

    Nothing it does blocks, and no failure touches the conversation. Memory stays the same whatever the length. The file
    plays whatever ends the program; killed, all but about the last second is in it.

    Args:
        folder: a directory; it is made if it is not there.
        name: of the file, without ".wav"; by default date, time and a random id.
        on_change: is called when `path` or `times` have changed: when the first sound comes, and later.
        on_failure: is told why nothing more is recorded, such as of a full disk.
        input_latency_ms: tells how long ago what is just sent was spoken, beyond its own length and what it was held
            back for: the microphone's latency.

    Raises:
        ConfigurationError: nothing can be written in the folder.

    Attributes:
        path: of the file; None before there is sound, without which none is made.
        failure: why the recording is not complete, or None.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        name: str = "",
        on_change: Callable[[], None] = lambda: None,
        on_failure: Callable[[AudioFormatError], None] = lambda error: None,
        input_latency_ms: Callable[[], float] = lambda: 0.0,
    ) -> None:
        name = name or f"{datetime.now().astimezone():%Y-%m-%d-%H%M%S}-{uuid.uuid4().hex[:6]}"
        self._path = free_path(check_folder(Path(folder)), name)
        self.path: Path | None = None
        self.failure: AudioFormatError | None = None
        self._on_change = on_change
        self._told: tuple[Path | None, object] = (None, ())
        self._on_failure = on_failure
        self._input_latency_ms = input_latency_ms
        self._rendered: deque[tuple[bytes, float]] = deque(maxlen=_MOST_RENDERED)
        self._has_device = False
        self._began: float | None = None  # when the conversation did, by the loop's clock
        self._sides: Sides | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def times(self) -> tuple[tuple[int, int], ...]:
        """Points (ms of the conversation, ms of the recording), in order; () while both are the same.

        Between two points both run evenly, and after the last at the same pace.
        """
        return self._sides.times if self._sides is not None else ()

    def rendered(self, audio: bytes, at: float) -> None:
        """Take what a loudspeaker is given, silence included; on any thread.

        Args:
            audio: PCM16 mono at the provider's output rate; b"" just says that there is a loudspeaker.
            at: when its first sample is heard, by the clock `time.monotonic`, which is the event loop's.
        """
        self._has_device = True
        if audio:
            self._rendered.append((audio, at))

    def event(self, event: Event, at_ms: float) -> None:
        """As a ConversationLog."""
        self._begin(at_ms)
        if isinstance(event, SessionStarted) and self._sides is None:
            self._start(event)
        sides = self._sides
        if sides is None:
            return
        match event:
            case AudioChunk(audio) if not self._has_device:
                sides.would_play(audio, at_ms)
            case Interrupted() if not self._has_device:
                sides.cut(at_ms)
            case SessionEnded():
                self._end(at_ms)
        self._tell_changes()

    def command(self, command: Command, at_ms: float) -> None:
        """As a ConversationLog."""
        self._begin(at_ms)
        sides = self._sides
        if sides is None:
            return
        match command:
            case AppendAudio(audio, realtime=True, late_ms=late_ms):
                sides.spoken(audio, at_ms - self._input_latency_ms() - late_ms)
            case AppendAudio(audio):
                self._hand_on_rendered()
                sides.sent(audio, at_ms)
            case StartTurn() | SendText():
                self._hand_on_rendered()
                sides.user_goes_on(at_ms)
            case EndTurn():
                sides.turn_ends(at_ms)
        self._tell_changes()

    async def aclose(self) -> None:
        """Complete the file; idempotent. Called after the conversation is over."""
        if self._began is not None and self._timer is not None:
            self._end((asyncio.get_running_loop().time() - self._began) * 1000)
            self._tell_changes()
        if self._sides is not None:
            await self._sides.file.aclose()

    async def __aenter__(self) -> "ConversationRecorder":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def _begin(self, at_ms: float) -> None:
        if self._began is None:
            self._began = asyncio.get_running_loop().time() - at_ms / 1000

    def _start(self, started: SessionStarted) -> None:
        # With numpy, which `import voicecli.recording` does without.
        from voicecli.recording.sides import Sides
        from voicecli.recording.writer import RecordingWriter

        file = RecordingWriter(self._path, started.output_rate, self._failed)
        self._sides = Sides(file, started.input_rate, started.output_rate)
        self._timer = asyncio.get_running_loop().call_later(_TICK_S, self._tick)

    def _tick(self) -> None:
        assert self._began is not None
        assert self._sides is not None
        loop = asyncio.get_running_loop()
        now_ms = (loop.time() - self._began) * 1000
        self._hand_on_rendered()
        self._sides.advance(now_ms)
        self._tell_changes()
        self._timer = loop.call_later(_TICK_S, self._tick)

    def _hand_on_rendered(self) -> None:
        """Hand on what the loudspeaker was given so far."""
        assert self._began is not None
        assert self._sides is not None
        while self._rendered:
            audio, at = self._rendered.popleft()
            self._sides.played(audio, (at - self._began) * 1000)

    def _end(self, at_ms: float) -> None:
        if self._timer is not None and self._sides is not None:
            self._timer.cancel()
            self._timer = None
            self._hand_on_rendered()
            self._sides.end(at_ms)

    def _tell_changes(self) -> None:
        if self._sides is not None and self._sides.file.has_sound:
            self.path = self._path
        if self._told != (state := (self.path, self.times)):
            self._told = state
            self._on_change()

    def _failed(self, error: AudioFormatError) -> None:
        self.failure = error
        self._on_failure(error)
