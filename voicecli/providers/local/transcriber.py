"""Transcription in this process: the offline engine's ears alone, without language model, voice or replies.

audio -> utterances -> recogniser -> transcripts
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from voicecli.audio.speech_to_text import SpeechToText
from voicecli.audio.utterances import UtteranceChange, UtteranceDetector, UtteranceEnded, UtteranceStarted
from voicecli.audio.vad_engines import make_engine
from voicecli.commands import AppendAudio, Command, EndTurn
from voicecli.config import ClientVAD
from voicecli.connection.event_queue import EventQueue
from voicecli.errors import RealtimeConnectionError, RealtimeError
from voicecli.events import Event, Notice, SessionEnded, SessionStarted, TranscriptUpdate
from voicecli.pcm16 import PcmFormat
from voicecli.ports import Capabilities, TranscriberSetup
from voicecli.providers.local.shared_hearing import SharedHearing
from voicecli.threads import Worker

__all__ = ["LocalTranscriber", "connect_with"]

_PRE_ROLL_MS = 480  # less of what came before the first word costs its first sound
_POST_ROLL_MS = 320  # the recogniser makes a little less of words without some silence after them
_PARTIAL_MS = 500
_MOST_DOUBT_MS = 1_500  # how long ago an utterance may have begun when it is noticed
_MOST_WAITING = 2  # utterances, while one is recognised: whoever sends faster waits
_STUCK_S = 120.0  # without words of any utterance: on a slow machine eight channels may wait for each other


async def connect_with(setup: TranscriberSetup, capabilities: Capabilities) -> "LocalTranscriber":
    """Load the recogniser, and begin.

    Raises:
        RealtimeError: it cannot be loaded.
    """
    detector = UtteranceDetector(make_engine(ClientVAD(), capabilities.input_rate), capabilities.input_rate)
    hearing = await SharedHearing.load()
    return LocalTranscriber(hearing, detector, capabilities, notices=_notices(setup))


def _notices(setup: TranscriberSetup) -> list[Notice]:
    ignored = [("keywords", setup.keywords), ("prompt", setup.prompt)]
    told = "{}: the offline engine's recogniser takes no hints about what is said."
    return [Notice("setting_ignored", told.format(name)) for name, value in ignored if value]


@dataclass(eq=False, slots=True)
class _Utterance:
    """An utterance under way, or one that waits to be recognised.

    Attributes:
        audio: its voice, with what is before and behind it.
        unseen: what no partial transcript was made of yet.
        end_ms: where its voice ends; None while it goes on.
    """

    item_id: str
    start_ms: int
    audio: bytearray = field(default_factory=bytearray)
    unseen: bytearray = field(default_factory=bytearray)
    partial: str = ""
    partials: "asyncio.Task[None] | None" = None
    end_ms: int | None = None


class LocalTranscriber:
    """A `Connection` that writes down what is said. Partial transcripts are made only of what is sent in real time.

    Memory does not grow with the length of the stream. Whoever sends audio faster than it is recognised waits in
    `send`.

    Args:
        hearing: closed with it.
        notices: told once, after SessionStarted.
    """

    def __init__(
        self,
        hearing: SpeechToText,
        detector: UtteranceDetector,
        capabilities: Capabilities,
        *,
        notices: Sequence[Notice] = (),
    ) -> None:
        self._hearing = hearing
        self._detector = detector
        self._capabilities = capabilities
        self._format = PcmFormat(capabilities.input_rate)
        self._worker = Worker("vad")
        self._commands: asyncio.Queue[Command] = asyncio.Queue(maxsize=1)
        self._ended: asyncio.Queue[_Utterance] = asyncio.Queue(maxsize=_MOST_WAITING)
        self._events = EventQueue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._over: RealtimeError | None = None
        self._closing: asyncio.Task[None] | None = None
        self._audio = bytearray()  # that may belong to an utterance yet
        self._audio_ms = 0  # where it begins
        self._utterance: _Utterance | None = None
        self._count = 0
        self._told = 0  # of these, with all their words
        started = SessionStarted("", "moonshine", "", capabilities.input_rate, capabilities.output_rate)
        self._events.put([started, *notices])
        self._start_task(self._take_commands(), "commands")
        self._start_task(self._recognise(), "recognise")

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    async def send(self, command: Command) -> None:
        if self._over is not None:
            raise self._over
        await self._commands.put(command)

    async def drain(self) -> None:
        await self._commands.join()

    async def finish(self) -> None:
        """The input is over: return when all words have been told, or when it has ended.

        It ends by an error when the recogniser comes to no end of any utterance for two minutes.
        """
        telling = asyncio.create_task(self._tell_rest(), name="voicecli-transcriber-rest")
        try:
            while not telling.done():
                told = self._told
                await asyncio.wait([telling], timeout=_STUCK_S)
                if not telling.done() and self._told == told:
                    self._fail(RealtimeError(f"The speech recognition said nothing for {_STUCK_S:.0f} s."))
        finally:
            telling.cancel()
            await asyncio.wait([telling])

    async def _tell_rest(self) -> None:
        if self._over is None:
            await self._commands.put(EndTurn())
        await self._commands.join()
        await self._ended.join()

    def __aiter__(self) -> AsyncIterator[Event]:
        return aiter(self._events)

    async def aclose(self) -> None:
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(), name="voicecli-transcriber-close")
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        if self._over is None:
            self._over = RealtimeConnectionError("The transcription is over: closed.", advice="Connect again.")
            self._events.put([SessionEnded("closed")])
            self._events.close()
        for task in self._tasks:
            task.cancel()
        while self._tasks:
            await asyncio.wait(self._tasks)
        await self._release_waiting()
        await asyncio.gather(self._hearing.aclose(), self._worker.aclose())

    async def _release_waiting(self) -> None:
        """Let nobody wait for what will not be done any more."""
        for queue in (self._commands, self._ended):
            while not queue.empty():
                queue.get_nowait()
                queue.task_done()
                await asyncio.sleep(0)  # then the next one who waits has put something there

    async def _take_commands(self) -> None:
        while True:
            command = await self._commands.get()
            try:
                match command:
                    case AppendAudio(audio, realtime):
                        await self._hear(audio, realtime=realtime)
                    case EndTurn():
                        await self._apply(self._detector.end())
            finally:
                self._commands.task_done()

    async def _hear(self, audio: bytes, *, realtime: bool) -> None:
        changes = await self._worker.run(lambda: self._detector.process(audio))
        self._audio += audio
        await self._apply(changes)
        utterance = self._utterance
        if utterance is None:
            self._drop_before(self._detector.position_ms - _PRE_ROLL_MS - _MOST_DOUBT_MS)
        elif realtime:
            self._make_partials(utterance)

    async def _apply(self, changes: Sequence[UtteranceChange]) -> None:
        for change in changes:
            match change:
                case UtteranceStarted(start_ms):
                    self._count += 1
                    self._utterance = _Utterance(f"utterance_{self._count}", start_ms)
                    self._drop_before(start_ms - _PRE_ROLL_MS)
                    self._emit(TranscriptUpdate("user", self._utterance.item_id, "", False, start_ms=start_ms))
                case UtteranceEnded(_, end_ms, cut_ms) if (utterance := self._utterance) is not None:
                    self._utterance = None
                    utterance.end_ms = end_ms
                    utterance.audio = self._until(min(cut_ms, end_ms + _POST_ROLL_MS))
                    self._drop_before(cut_ms if cut_ms <= end_ms + _POST_ROLL_MS else end_ms + _POST_ROLL_MS)
                    await self._ended.put(utterance)

    def _until(self, end_ms: int) -> bytearray:
        return self._audio[: self._format.size(end_ms - self._audio_ms)]

    def _drop_before(self, start_ms: int) -> None:
        if start_ms > self._audio_ms:
            del self._audio[: self._format.size(start_ms - self._audio_ms)]
            self._audio_ms = start_ms

    def _make_partials(self, utterance: _Utterance) -> None:
        seen = len(utterance.audio)  # while it goes on: what partial transcripts were made of
        if len(self._audio) - seen < self._format.size(_PARTIAL_MS):
            return
        if utterance.partials is None or utterance.partials.done():
            utterance.unseen = self._audio[seen:]
            utterance.audio += utterance.unseen
            utterance.partials = self._start_task(self._tell_partial(utterance), "partial")

    async def _tell_partial(self, utterance: _Utterance) -> None:
        clock = asyncio.get_running_loop().time
        begun = clock()
        try:
            text = await self._hearing.partial(utterance.item_id, bytes(utterance.unseen))
        except RealtimeError:
            return  # the final one tells
        if utterance.end_ms is None and text and text != utterance.partial:
            utterance.partial = text
            self._emit(TranscriptUpdate("user", utterance.item_id, text, False, start_ms=utterance.start_ms))
        # In a long utterance this takes longer than new audio does to come: half of the time the recogniser stays free.
        await asyncio.sleep(clock() - begun)

    async def _recognise(self) -> None:
        while True:
            utterance = await self._ended.get()
            try:
                text = await self._hearing.transcribe(bytes(utterance.audio))
                start_ms, end_ms = utterance.start_ms, utterance.end_ms
                self._emit(TranscriptUpdate("user", utterance.item_id, text, True, start_ms=start_ms, end_ms=end_ms))
                self._told += 1
            finally:
                self._ended.task_done()

    def _emit(self, event: Event) -> None:
        self._events.put([event])

    def _start_task(self, work: Coroutine[Any, Any, None], name: str) -> "asyncio.Task[None]":
        task = asyncio.create_task(work, name=f"voicecli-transcriber-{name}")
        self._tasks.add(task)
        task.add_done_callback(self._finish_task)
        return task

    def _finish_task(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            failure = error if isinstance(error, RealtimeError) else None
            if failure is None:
                failure = RealtimeError(f"The transcription failed: {type(error).__name__}: {error}")
                failure.__cause__ = error
            self._fail(failure)

    def _fail(self, failure: RealtimeError) -> None:
        """End it by this error, unless it has ended."""
        if self._over is None:
            self._over = failure
            self._events.close(failure)
            for other in self._tasks:
                other.cancel()
            self._start_task(self._release_waiting(), "release")
