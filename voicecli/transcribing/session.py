"""A transcription under way: sound goes in, captions come out, in the order of their times."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace

from voicecli.captions import Caption
from voicecli.config import ClientVAD
from voicecli.conversation.limits import Limits
from voicecli.errors import ConfigurationError, RealtimeConnectionError, RealtimeError
from voicecli.events import Event, StateChanged, TranscriptUpdate, Usage, UsageUpdated
from voicecli.ports import Connection
from voicecli.transcribing.channel import Channel
from voicecli.transcribing.order import CaptionOrder

__all__ = ["TranscriptionSession"]

_END = None
_LOOK_S = 1.0  # how exactly limits are kept
_LAST_WORDS_S = 15.0  # when one is reached


class TranscriptionSession:
    """Writes down what is said. Iterated, it yields captions: partial ones of what is being said, and final ones in
    the order of their times, each once.

        await session.send_audio(audio, sample_rate=16_000)
        await session.finish()
        async for caption in session: ...

    Args:
        connections: one for each channel of the sound.
        tells_channels: whether captions say on which channel they were said.
        vad: how voice is told from noise, for a service that does not find utterances by itself.
        on_event: called with all that a connection tells besides words, such as notices; must not block.
        limits: end it when they are reached: by a LimitReachedError, behind the words of what was said until then.
    """

    def __init__(
        self,
        connections: Sequence[Connection],
        *,
        tells_channels: bool = False,
        vad: ClientVAD | None = None,
        on_event: Callable[[Event], None] | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._channels = [
            Channel(connection, number if tells_channels else None, vad or ClientVAD())
            for number, connection in enumerate(connections, 1)
        ]
        self._on_event = on_event or (lambda event: None)
        self._order = CaptionOrder(len(connections))
        self._captions: asyncio.Queue[Caption | None] = asyncio.Queue()
        self._usages: dict[int, Usage] = {}
        self._failure: RealtimeError | None = None
        self._finishing = False
        self._closed = False
        self._readers = {
            asyncio.create_task(self._read(place, channel), name="voicecli-captions")
            for place, channel in enumerate(self._channels)
        }
        self._over = asyncio.create_task(self._end_with_readers(), name="voicecli-captions-end")
        self._limits = limits
        self._watching: asyncio.Task[None] | None = None
        if limits:
            self._watching = asyncio.create_task(self._watch(limits), name="voicecli-limits")

    @property
    def channels(self) -> int:
        """The number of channels."""
        return len(self._channels)

    @property
    def sample_rate(self) -> int:
        """The rate that sound needs no conversion at, in Hz."""
        return self._channels[0].connection.capabilities.input_rate

    @property
    def heard_ms(self) -> int:
        """How much sound has gone in, in ms."""
        return max(channel.sent_ms for channel in self._channels)

    @property
    def usage(self) -> Usage:
        """What it has taken so far."""
        total = Usage()
        for usage in self._usages.values():
            total = replace(total + usage, session_seconds=total.session_seconds + usage.session_seconds)
        return total

    async def send_audio(
        self, audio: bytes, *, sample_rate: int | None = None, channel: int = 1, realtime: bool = False
    ) -> None:
        """Pass sound on; waits while the service does not keep up.

        Args:
            audio: PCM16 mono, whole samples.
            sample_rate: of it, in Hz; None for `sample_rate`.
            channel: which one it belongs to, from 1.
            realtime: whether it is sent as it is spoken.

        Raises:
            ConfigurationError: there is no such channel, or a rate that cannot be.
            RealtimeError: the transcription is over.
        """
        if not 1 <= channel <= len(self._channels):
            raise ConfigurationError(
                f"channel: there is none of number {channel}.", advice=f"There are {len(self._channels)}."
            )
        self._check_open()
        place = self._channels[channel - 1]
        await self._guarded(place.send(audio, sample_rate or self.sample_rate, realtime=realtime))
        self._tell(self._order.heard(channel - 1, place.sent_ms))
        await self._guarded(place.connection.drain())

    async def finish(self) -> None:
        """The sound is over: return when the words of all of it have come; then the iteration ends.

        Raises:
            RealtimeError: the transcription failed.
        """
        self._check_open()
        self._finishing = True
        await self._guarded(asyncio.gather(*(channel.end() for channel in self._channels)))
        await self.aclose()
        if self._failure is not None:
            raise self._failure

    async def aclose(self) -> None:
        """End it; what has come is still told. Idempotent, returns within a few seconds."""
        self._closed = True
        if self._watching is not None and self._watching is not asyncio.current_task():
            self._watching.cancel()
            await asyncio.wait([self._watching])
        await asyncio.gather(*(channel.aclose() for channel in self._channels))
        await asyncio.wait([self._over])

    async def __aiter__(self) -> AsyncIterator[Caption]:
        """The captions, until it is finished or closed. To be iterated once.

        Raises:
            RealtimeError: the transcription failed; all that was known before has been told.
        """
        while (caption := await self._captions.get()) is not _END:
            yield caption
        if self._failure is not None:
            raise self._failure

    def _check_open(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._closed or self._finishing:
            raise RealtimeConnectionError("The transcription is over.", advice="Connect again.")

    async def _guarded(self, work: "asyncio.Future[object] | object") -> None:
        """Do something with a connection; of one that has failed raise why, which its iteration tells."""
        try:
            await work  # type: ignore[misc]
        except RealtimeError as error:
            if not self._over.done():
                await asyncio.wait([self._over], timeout=1.0)
            raise self._failure or error from error

    async def _read(self, place: int, channel: Channel) -> None:
        async for event in channel.connection:
            match event:
                case TranscriptUpdate(role="user"):
                    self._apply(channel, event)
                case UsageUpdated(usage):
                    self._usages[place] = usage
                    self._on_event(event)
                case _:
                    self._on_event(event)
            if self._limits:
                self._count(self._limits, event)
        if not (self._closed or self._finishing):
            raise RealtimeConnectionError("The service has ended the transcription.", advice="Try again.")

    def _apply(self, channel: Channel, update: TranscriptUpdate) -> None:
        caption = channel.caption(update)
        if update.final:
            self._tell(self._order.add(caption))
            return
        if update.start_ms is not None:
            self._order.awaits(caption.id, caption.start_ms)
        if caption.text:
            self._tell([caption])

    def _count(self, limits: Limits, event: Event) -> None:
        now = asyncio.get_running_loop().time()
        limits.event(event, self.usage, now)
        if isinstance(event, TranscriptUpdate) and event.text:
            limits.event(StateChanged("speaking", "listening"), self.usage, now)
            limits.event(StateChanged("silent", "listening"), self.usage, now)

    async def _watch(self, limits: Limits) -> None:
        """Warn of limits, and end it at the first that is reached."""
        now = asyncio.get_running_loop().time
        while True:
            for warning in limits.check(now()):
                self._on_event(warning)
            if limits.reached is not None:
                break
            await asyncio.sleep(_LOOK_S)
        self._failure = limits.reached  # whoever sends more is told at once
        with contextlib.suppress(RealtimeError, TimeoutError):
            async with asyncio.timeout(_LAST_WORDS_S):
                await asyncio.gather(*(channel.end() for channel in self._channels))
        await self.aclose()

    def _tell(self, captions: Sequence[Caption]) -> None:
        for caption in captions:
            self._captions.put_nowait(caption)

    async def _end_with_readers(self) -> None:
        """Tell the end when all channels have ended, or one has failed."""
        await asyncio.wait(self._readers, return_when=asyncio.FIRST_EXCEPTION)
        for reader in self._readers:
            if reader.done() and not reader.cancelled() and (error := reader.exception()) is not None:
                if not isinstance(error, RealtimeError):
                    failure = RealtimeError(f"The transcription failed: {type(error).__name__}: {error}")
                    failure.__cause__ = error
                    error = failure
                self._failure = self._failure or error
        for reader in self._readers:
            reader.cancel()
        await asyncio.wait(self._readers)
        self._tell(self._order.rest())
        self._captions.put_nowait(_END)
