"""The library's door to transcription: sound in, text with times out."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING

from voicecli.captions import Caption, Cue
from voicecli.config import RealtimeConfig
from voicecli.errors import ConfigurationError
from voicecli.events import Event
from voicecli.ports import Connection, Provider, Service, TranscriberSetup
from voicecli.providers import PROVIDERS, find_provider

if TYPE_CHECKING:
    from voicecli.audio import AudioSource
    from voicecli.transcribing.session import TranscriptionSession

__all__ = ["MOST_CHANNELS", "Transcriber", "choose_transcriber"]

MOST_CHANNELS = 8
"""That are told apart: each has a connection of its own."""


class Transcriber:
    """Writes down what is said: a provider, and what is known of the sound.

        cues = await Transcriber().transcribe("meeting.wav")
        print(voicecli.captions.srt(cues))

    Without a provider it works on this machine, or not at all: what is said goes nowhere, and costs nothing, unless
    the program names who is to get it. Neither the config nor the environment does.

    Args:
        provider: its name, or a Provider; None for the one that works offline.
        config: its model, key, address, reconnects and time limits are meant; the rest is a conversation's.
        languages: what is spoken, as codes ("en", "de"); () has the service find out.
        keywords: names and terms that are likely.
        prompt: what it is about.

    Raises:
        ConfigurationError: there is no such provider, it does not transcribe, or nothing offline is installed.
    """

    def __init__(
        self,
        provider: str | Provider | None = None,
        *,
        config: RealtimeConfig | None = None,
        languages: Sequence[str] = (),
        keywords: Sequence[str] = (),
        prompt: str = "",
    ) -> None:
        if not isinstance(config, RealtimeConfig | None):
            raise ConfigurationError(
                f"config: a RealtimeConfig is wanted, not {type(config).__name__}.",
                advice="Give config=RealtimeConfig(...).",
            )
        self._provider, self._service = choose_transcriber(provider)
        self._config = config or RealtimeConfig()
        self._config.own(self._provider.settings)
        self._setup = TranscriberSetup(
            config=self._config,
            languages=_texts("languages", languages),
            keywords=_texts("keywords", keywords),
            prompt=prompt,
        )

    def __repr__(self) -> str:
        return f"Transcriber(provider={self.provider!r})"

    @property
    def provider(self) -> str:
        """The name of the provider."""
        return self._provider.name

    @property
    def service(self) -> Service[TranscriberSetup]:
        """What it offers: models, prices, abilities."""
        return self._service

    @property
    def model(self) -> str:
        """The model that transcribes."""
        return self._config.model or self._service.default_model

    @property
    def minute_price(self) -> float:
        """What a minute of sound costs, in US dollars; 0 where that is not known."""
        prices = self._service.prices(self._config)
        return (prices.session_minute or prices.transcription_minute or 0.0) if prices is not None else 0.0

    def prepare(self, progress: Callable[[int, int], None]) -> None:
        """Fetch what is fetched once, such as the offline recogniser; blocks meanwhile. `connect` does it, too.

        Args:
            progress: is told the bytes so far, and the bytes in all; not called when there is nothing to fetch.

        Raises:
            ConfigurationError: the service does not have what is asked for, or there is no place for it.
            RealtimeConnectionError: it cannot be fetched.
        """
        if self._service.prepare is not None:
            self._service.prepare(self._setup, progress)

    @contextlib.asynccontextmanager
    async def connect(
        self, *, channels: int | None = None, on_event: Callable[[Event], None] | None = None
    ) -> "AsyncIterator[TranscriptionSession]":
        """Begin a transcription; it ends with the `async with` block.

        Args:
            channels: how many the sound has, if captions are to tell them apart; None for one, that is not named.
            on_event: called with all that is told besides words, such as notices; must not block.

        Raises:
            ConfigurationError: so many channels cannot be, or the service does not have what is asked for.
            LimitReachedError: by the iteration, where a service is paid for: at `max_cost`, `max_minutes` or
                `idle_minutes` of the config, which is 10 minutes where a minute has a price and nothing else is set.
            RealtimeError: it cannot be reached or loaded.
        """
        from voicecli.conversation.limits import Limits
        from voicecli.transcribing.session import TranscriptionSession

        if channels is not None and not 1 <= channels <= MOST_CHANNELS:
            raise ConfigurationError(
                f"channels: {channels} cannot be told apart.", advice=f"There may be 1 to {MOST_CHANNELS}."
            )
        connections = await self._connections(channels or 1)
        limits = None
        if not self._service.offline:
            per_minute = self.minute_price * len(connections)
            limits = Limits(self._config, per_minute=per_minute, now=asyncio.get_running_loop().time())
        session = TranscriptionSession(
            connections,
            tells_channels=channels is not None,
            vad=self._config.client_vad,
            on_event=on_event,
            limits=limits,
        )
        try:
            yield session
        finally:
            await session.aclose()

    async def captions(
        self,
        source: "AudioSource | str | os.PathLike[str]",
        *,
        channels: bool = False,
        on_event: Callable[[Event], None] | None = None,
    ) -> AsyncIterator[Caption]:
        """The captions of a recording, or of a microphone, as they come; its iteration may be left at any moment.

        Args:
            source: the path of a sound file, or an AudioSource: one that is live ends when it is closed.
            channels: whether the channels of a recording are told apart, rather than mixed.
            on_event: as for `connect`.

        Raises:
            AudioFormatError: the recording cannot be read; what was heard before has been told.
            RealtimeError: the transcription failed.
        """
        from voicecli.audio.files.source import WavSource
        from voicecli.transcribing.feeding import feed

        is_path = isinstance(source, str | os.PathLike)
        sound = WavSource(source, mixes=not channels) if isinstance(source, str | os.PathLike) else source
        try:
            count = None
            if channels and isinstance(sound, WavSource):
                await sound.open()
                count = sound.channels
            async with self.connect(channels=count, on_event=on_event) as session:
                feeding = asyncio.create_task(feed(session, sound), name="voicecli-feed")
                try:
                    async for caption in session:
                        yield caption
                    await feeding
                finally:
                    feeding.cancel()
                    await asyncio.wait([feeding])
        finally:
            if is_path:
                await sound.aclose()

    async def transcribe(self, source: "AudioSource | str | os.PathLike[str]", *, channels: bool = False) -> list[Cue]:
        """All that is said in a recording, as cues in the order of their times; `voicecli.captions` makes SRT of them.

        Args:
            source, channels: as for `captions`.

        Raises:
            RealtimeError: as for `captions`.
        """
        return [each.cue() async for each in self.captions(source, channels=channels) if each.final]

    async def _connections(self, count: int) -> list[Connection]:
        """So many at once; all or none."""
        begun = await asyncio.gather(
            *(self._service.connect(self._setup) for _ in range(count)), return_exceptions=True
        )
        connections = [each for each in begun if not isinstance(each, BaseException)]
        failures = [each for each in begun if isinstance(each, BaseException)]
        if failures:
            await asyncio.gather(*(each.aclose() for each in connections))
            raise failures[0]
        return connections


def choose_transcriber(provider: str | Provider | None) -> tuple[Provider, Service[TranscriberSetup]]:
    """Who transcribes: the one that is named, else the one that works on this machine.

    Raises:
        ConfigurationError: there is no such provider, it does not transcribe, or nothing offline is installed.
    """
    able = [each for each in PROVIDERS if each.transcriber is not None]
    if provider is None:
        offline = [each for each in able if each.transcriber is not None and each.transcriber.offline]
        ready = next((each for each in offline if each.is_configured()), None)
        if ready is None or ready.transcriber is None:
            others = [each.name for each in able if each not in offline]
            named = f" Or name who is to get the sound and be paid for it, as --provider {others[0]}." if others else ""
            raise ConfigurationError(
                "What transcribes on this machine is not installed, and nothing is sent away unasked.",
                advice=f"{offline[0].setup_advice if offline else ''}.{named}".lstrip("."),
            )
        return ready, ready.transcriber
    chosen = provider if isinstance(provider, Provider) else find_provider(provider)
    if chosen.transcriber is None:
        raise ConfigurationError(
            f"provider: {chosen.title} does not transcribe.",
            advice=f"Choose one of {', '.join(each.name for each in able)}.",
        )
    return chosen, chosen.transcriber


def _texts(name: str, values: object) -> tuple[str, ...]:
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise ConfigurationError(f"{name}: a list of texts is wanted, not {type(values).__name__}.")
    texts = tuple(each.strip() for each in values if isinstance(each, str))
    if len(texts) < len(values) or not all(texts):
        raise ConfigurationError(f"{name}: each is a text that is not empty.")
    return texts
