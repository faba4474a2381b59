"""One channel of a transcription: its sound to a connection, and the times of the words that come back."""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from voicecli.audio.pcm import Resampler
from voicecli.audio.utterances import UtteranceChange, UtteranceDetector, UtteranceEnded
from voicecli.audio.vad_engines import make_engine
from voicecli.captions import Caption
from voicecli.commands import AppendAudio, EndTurn
from voicecli.config import ClientVAD
from voicecli.events import TranscriptUpdate
from voicecli.pcm16 import PcmFormat
from voicecli.ports import Connection, Finishing
from voicecli.threads import Worker

__all__ = ["Channel"]

# What a service takes for a pause, and what its model makes good sense of at once.
_PAUSE_MS, _LONGEST_MS = 600, 14_000
_PIECE_MS = 100  # an utterance is ended so exactly
_MOST_SPANS = 200  # whose words are awaited


class _Span(NamedTuple):
    """The voice of an utterance, in ms."""

    start_ms: int
    end_ms: int


class Channel:
    """Sends sound, and tells a service that does not find it out by itself where each utterance ends.

    Args:
        number: from 1, for its captions; None for a single one.
        vad: how voice is told from noise.
    """

    def __init__(self, connection: Connection, number: int | None, vad: ClientVAD) -> None:
        self.connection = connection
        self._number = number
        self._format = PcmFormat(connection.capabilities.input_rate)
        self._sent = 0  # bytes
        self._source_rate = 0
        self._resampler: Resampler | None = None
        self._detector: UtteranceDetector | None = None
        self._worker = Worker("utterances")
        self._spans: deque[_Span] = deque(maxlen=_MOST_SPANS)
        if not connection.capabilities.reports_speech:
            rate = self._format.sample_rate
            self._detector = UtteranceDetector(
                make_engine(vad, rate), rate, pause_ms=_PAUSE_MS, longest_ms=_LONGEST_MS, looks_back=False
            )

    @property
    def sent_ms(self) -> int:
        """How much sound has gone in, in ms."""
        return int(self._format.duration_ms(self._sent))

    async def send(self, audio: bytes, sample_rate: int, *, realtime: bool) -> None:
        """Pass sound on: PCM16 mono at this rate. Raises RealtimeError when the connection is over."""
        if sample_rate != self._source_rate:
            await self._flush()
            self._resampler = Resampler(sample_rate, self._format.sample_rate)
            self._source_rate = sample_rate
        assert self._resampler is not None
        await self._pass_on(self._resampler.process(audio), realtime=realtime)

    async def end(self) -> None:
        """The input is over: returns when the words of all of it have been told, or the connection has ended."""
        await self._flush()
        rest = self._detector.end() if self._detector is not None else None
        if rest is not None:
            self._note(rest)
        if rest is None or rest:  # silence alone is nothing to be written down: models make words of it
            await self.connection.send(EndTurn())
        if isinstance(self.connection, Finishing):
            await self.connection.finish()
        else:
            await self.connection.drain()

    async def aclose(self) -> None:
        """End the connection; idempotent."""
        self._worker.stop()
        await self.connection.aclose()

    def caption(self, update: TranscriptUpdate) -> Caption:
        """The caption that an update means, with the times of its voice."""
        start_ms, end_ms = update.start_ms, update.end_ms
        if start_ms is None:
            start_ms = self._spans[0].start_ms if self._spans else self.sent_ms
        if end_ms is None:
            end_ms = self.sent_ms
        if update.final:
            start_ms, end_ms = self._voiced(start_ms, end_ms)
        end_ms = max(start_ms, end_ms)
        return Caption(
            id=f"{self._number or 1}:{update.item_id}",
            start_ms=start_ms,
            end_ms=end_ms,
            text=" ".join(update.text.split()),
            final=update.final,
            channel=self._number,
        )

    async def _flush(self) -> None:
        if self._resampler is not None:
            await self._pass_on(self._resampler.flush(), realtime=False)

    async def _pass_on(self, audio: bytes, *, realtime: bool) -> None:
        if self._detector is None:
            if audio:
                self._sent += len(audio)
                await self.connection.send(AppendAudio(audio, realtime))
            return
        size = self._format.size(_PIECE_MS)
        for at in range(0, len(audio), size):
            await self._pass_judged(self._detector, audio[at : at + size], realtime=realtime)

    async def _pass_judged(self, detector: UtteranceDetector, piece: bytes, *, realtime: bool) -> None:
        self._sent += len(piece)
        await self.connection.send(AppendAudio(piece, realtime))
        changes = await self._worker.run(lambda: detector.process(piece))
        self._note(changes)
        if any(isinstance(change, UtteranceEnded) for change in changes):
            await self.connection.send(EndTurn())

    def _note(self, changes: Sequence[UtteranceChange]) -> None:
        self._spans += [_Span(each.start_ms, each.end_ms) for each in changes if isinstance(each, UtteranceEnded)]

    def _voiced(self, start_ms: int, end_ms: int) -> tuple[int, int]:
        """The bounds of the voice in what a service took together; its own where nothing else is known."""
        while self._spans and self._spans[0].end_ms <= start_ms:
            self._spans.popleft()
        within = [span for span in self._spans if span.start_ms < end_ms and _middle(span) <= end_ms]
        if not within:
            return start_ms, end_ms
        return max(start_ms, within[0].start_ms), min(end_ms, within[-1].end_ms)


def _middle(span: _Span) -> float:
    return (span.start_ms + span.end_ms) / 2
