"""A transcription service without a model: it says of which stretch of sound each text is."""

import asyncio
from collections.abc import AsyncIterator

from voicecli.commands import AppendAudio, Command, EndTurn
from voicecli.errors import RealtimeConnectionError, RealtimeError
from voicecli.events import Event, SessionEnded, SessionStarted, TranscriptUpdate
from voicecli.pcm16 import PcmFormat
from voicecli.ports import Capabilities

__all__ = ["RATE", "CommittingService"]

RATE = 16_000


class CommittingService:
    """A `Connection` that is told where an utterance ends, and then gives its words: "said 0-1500".

    Attributes:
        commits: where the utterances ended, in ms.
    """

    def __init__(self, *, reports_speech: bool = False) -> None:
        self.capabilities = Capabilities(input_rate=RATE, output_rate=RATE, reports_speech=reports_speech)
        self.commits: list[int] = []
        self.sent = 0
        self.closed = False
        self._begun_ms = 0
        self._events: asyncio.Queue[Event | RealtimeError | None] = asyncio.Queue()
        self.tell(SessionStarted("", "fake", "", RATE, RATE))

    @property
    def sent_ms(self) -> int:
        return int(PcmFormat(RATE).duration_ms(self.sent))

    def tell(self, event: Event | RealtimeError | None) -> None:
        self._events.put_nowait(event)

    async def send(self, command: Command) -> None:
        if self.closed:
            raise RealtimeConnectionError("It is over.")
        match command:
            case AppendAudio(audio):
                self.sent += len(audio)
            case EndTurn() if self.sent_ms > self._begun_ms:
                start_ms, self._begun_ms = self._begun_ms, self.sent_ms
                self.commits.append(self.sent_ms)
                self.said(f"said {start_ms}-{self.sent_ms}", start_ms, self.sent_ms)

    def said(self, text: str, start_ms: int | None, end_ms: int | None, *, final: bool = True, name: str = "") -> None:
        item = name or f"item {start_ms}"
        self.tell(TranscriptUpdate("user", item, text, final, start_ms=start_ms, end_ms=end_ms))

    async def drain(self) -> None:
        await asyncio.sleep(0)

    async def __aiter__(self) -> AsyncIterator[Event]:
        while (event := await self._events.get()) is not None:
            if isinstance(event, RealtimeError):
                raise event
            yield event

    async def aclose(self) -> None:
        if not self.closed:
            self.closed = True
            self.tell(SessionEnded("closed"))
            self.tell(None)
