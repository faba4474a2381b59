"""The seams between the conversation and those who hold it.

`Codec` is a provider's wire protocol without I/O; `Connection` is a conversation under way; `Provider` is the
entry that a new provider adds. Nothing above this folder asks which provider it talks to: what differs is told
by `Capabilities`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar, runtime_checkable

from voicecli.commands import Command
from voicecli.config import ProviderSettings, RealtimeConfig
from voicecli.errors import RealtimeConnectionError
from voicecli.events import Event
from voicecli.finding import Finding
from voicecli.pricing import Prices
from voicecli.tools import ToolSchema
from voicecli.transcript import Turn

__all__ = [
    "Capabilities",
    "ClosesGracefully",
    "ClosingLog",
    "Codec",
    "Connection",
    "ConversationLog",
    "ConversationSetup",
    "Ended",
    "Expiring",
    "FetchHeaders",
    "Finishing",
    "InterpreterSetup",
    "ModelInfo",
    "Provider",
    "Recorder",
    "Replayable",
    "Service",
    "StartsUnconfirmed",
    "TranscriberSetup",
    "VoiceInfo",
]

FetchHeaders = Callable[[], Awaitable[Mapping[str, str]]]
"""Fetches the headers that authenticate with a provider whose credentials are not known beforehand.

The connection awaits it before each dial, within `connect_timeout_s`, and adds what it returns to the codec's headers.
It raises AuthenticationError, ConfigurationError or RealtimeConnectionError (`retryable` tells whether to try again).
"""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Abilities and rates of a provider.

    Attributes:
        input_rate, output_rate: of the PCM16 mono audio each way, in Hz.
        images: whether it takes pictures.
        tools: whether its model can call functions.
        changes_tools: whether it takes other tools in the middle of a conversation.
        reports_speech: whether it tells when the user's speech starts and stops; otherwise the session listens for it.
        words_first: whether it tells a turn's words, or by the notice "no_speech" that there are none (by "backchannel"
            that they ask for nothing), before anything comes of the turn, and neither stops a reply by itself, nor
            drops one to come or begins it before it knows the words: then a noise costs the user nothing of a reply.
        turn_models: what of `RealtimeConfig.turn_model` it follows when it finds the turns (VADMode.SERVER).
        full_duplex: whether its output is one lasting track, on which the model alone decides when it speaks, speaks on
            or gives way: the user's speech does not stop a reply, and is owed none.
        input_must_flow: whether only the user's audio moves its clock: the connection sends silence whenever the
            program sends nothing, and audio never faster than it is spoken. Audio of a recording waits for its time;
            such as is spoken now and comes late is dropped.
    """

    input_rate: int
    output_rate: int
    images: bool = True
    tools: bool = True
    changes_tools: bool = False
    reports_speech: bool = True
    words_first: bool = False
    turn_models: frozenset[str] = frozenset()
    full_duplex: bool = False
    input_must_flow: bool = False


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model as `voice list-models` shows it."""

    name: str
    note: str = ""
    deprecated: str = ""
    """The day on which it goes away, and why; "" while it stays."""
    prices: Prices | None = None


@dataclass(frozen=True, slots=True)
class VoiceInfo:
    name: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class ConversationSetup:
    """Everything that a new conversation begins with.

    Attributes:
        history: turns of an earlier conversation, that the model is to know.
        recorder: what a provider hands to its WebSocketConnection, if there is one: it records what passes there.
    """

    config: RealtimeConfig
    tools: Sequence[ToolSchema] = ()
    history: Sequence[Turn] = ()
    recorder: "Recorder | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InterpreterSetup:
    """Everything that interpreting begins with.

    The connection takes AppendAudio, and one EndTurn when the input is over. It tells AudioChunks of the translation,
    and TranscriptUpdates: the user's, in the language that is spoken, and the assistant's, in the other one. There are
    no turns and no responses.

    Attributes:
        config: its model, key, address, reconnects, time limits, prices and provider settings are meant; the rest is a
            conversation's.
        target_language: what is translated to, as a BCP 47 code: "es", "pt-BR".
        source_text: whether the user's words are wanted, too.
        recorder: as in `ConversationSetup`.
    """

    config: RealtimeConfig
    target_language: str
    source_text: bool = True
    recorder: "Recorder | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriberSetup:
    """Everything that a transcription begins with.

    The connection takes AppendAudio for all audio, silence included, and tells TranscriptUpdates of the role "user"
    with `start_ms` and `end_ms`: where their audio lies in all that was sent since the first byte, whatever sockets
    there were in between. Where `Capabilities.reports_speech` is False, an EndTurn says where an utterance ends, once a
    minute at least while somebody speaks; otherwise the connection finds that itself. An EndTurn is always allowed, and
    its words are told before the end. Where `Capabilities.input_must_flow`, a recording waits for its time; but here no
    audio is dropped for being late, and no silence added, as that would move the times.

    An update with an empty text that is not final, and a `start_ms`, says that words from there on are being awaited;
    a final one with an empty text, that none came of it. Words are told in the order of their times, where the service
    makes that possible; whoever reads them copes with others.

    Attributes:
        config: as in `InterpreterSetup`.
        languages: what is spoken, as codes; () has the service find out.
        keywords: names and terms that are likely.
        prompt: what it is about; "" for nothing.
        recorder: as in `ConversationSetup`.
    """

    config: RealtimeConfig
    languages: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    prompt: str = ""
    recorder: "Recorder | None" = None


_Setup = TypeVar("_Setup")


@dataclass(frozen=True, kw_only=True)
class Service(Generic[_Setup]):
    """What a provider offers besides conversations: to interpret, or to transcribe.

    Attributes:
        capabilities: of its connections; those that are about replies do not matter.
        default_model: the first of `models`; "" where there is nothing to choose.
        models: with their prices.
        offline: whether it works on this machine alone: nothing leaves it, and nothing is to be paid.
        connect: begins; returns when the provider is ready. Raises RealtimeError, ConfigurationError for what the
            service does not have.
        prepare: fetches what is fetched once, telling (bytes so far, bytes in all) meanwhile; blocks, and raises as
            `connect` does, which does it too where it was not called. None where nothing is needed.
    """

    capabilities: Capabilities
    default_model: str
    models: tuple[ModelInfo, ...]
    connect: Callable[[_Setup], Awaitable["Connection"]] = field(repr=False)
    offline: bool = False
    prepare: Callable[[_Setup, Callable[[int, int], None]], None] | None = field(default=None, repr=False)

    def prices(self, config: RealtimeConfig) -> Prices | None:
        """The prices of the model that the config names: those that it gives, else those that are known."""
        name = config.model or self.default_model
        known = next((model.prices for model in self.models if model.name == name), None)
        return config.prices.get(name, known)


@dataclass(frozen=True, slots=True)
class Expiring:
    """From a codec to its connection: this socket will be closed by the provider in `left_s` seconds from now.

    Attributes:
        at: when, in seconds since 1970, where the provider says that instead; `left_s` is then the most that is left.
    """

    left_s: float
    at: int | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """From a codec to its connection: the provider has said its last on this socket.

    It stands behind the events that the same message means; where there are none, `receive()` may raise the error.

    Attributes:
        error: what that means, as `receive()` would raise it.
    """

    error: RealtimeConnectionError


class Codec(Protocol):
    """A provider's wire protocol, sans-I/O: commands and messages in, messages and events out.

    One for a conversation, which may outlive several sockets: `open()` is called once for each. It keeps what it
    needs to restore the conversation. It reads no clock and starts no task.

    It is often ahead of the session, as several messages can arrive in one read: a CancelResponse names the response
    that it cuts, and a codec cuts no other. Each Interrupted that it tells is followed by one, which says how much was
    heard. `ResponseStarted.answers` names the inputs that a response answers, as far as the provider tells.

    The connection that drives it: dial `url` with `headers` and those that a `FetchHeaders` adds, `open()`, send what
    is queued, and pass messages in until a SessionStarted comes out; only then may it call `send()`. After each
    `receive()` and `send()` it sends what is queued.
    """

    @property
    def url(self) -> str: ...
    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of the handshake, as far as they are known without asking anybody."""

    @property
    def awaiting_reply(self) -> bool:
        """True while the provider owes something; when it then stays silent for long, the socket is dead."""

    @property
    def busy(self) -> bool:
        """True while a turn of the user's or a reply is under way: a bad moment to change sockets."""

    def open(self) -> None:
        """A new socket is there: forget what belonged to the last one, queue the setup and what restores."""

    def send(self, command: Command) -> None:
        """Queue what the command means on the wire."""

    def receive(self, message: bytes) -> Sequence[Event | Expiring | Ended]:
        """The events that a message from the provider means; may queue replies.

        Raises:
            ProtocolError: the message is malformed; the conversation goes on.
            RealtimeConnectionError: the provider says that it is over; `retryable` tells whether to dial again.
        """

    def data_to_send(self) -> list[bytes]:
        """Take what is queued: text messages in UTF-8, in order."""

    def refused(self, status: int, body: bytes) -> RealtimeConnectionError:
        """The error for a handshake that was answered with this HTTP status."""

    def closed(self, code: int, reason: str) -> RealtimeConnectionError:
        """The error for this close of the socket; 1006 when it just broke."""


@runtime_checkable
class StartsUnconfirmed(Protocol):
    """A codec, besides, of a protocol some of whose servers never confirm the settings that begin a conversation.

    Attributes:
        confirmed_within_s: how long the connection waits for the SessionStarted, in seconds. As often as that passes
            without one, it calls `start_unconfirmed()`.
    """

    confirmed_within_s: float

    def start_unconfirmed(self) -> Sequence[Event | Expiring | Ended]:
        """Go on without what the server has not said: queue the next step, or return the SessionStarted."""


@runtime_checkable
class ClosesGracefully(Protocol):
    """A codec, besides, of a protocol in which the client says that it ends, and the server then tells the rest.

    Attributes:
        quiet_s: how long nothing of the output comes, after the input was over, when all of it has come, in seconds. 0
            where the output does not lag behind the input. It may depend on what has come by now.
    """

    @property
    def quiet_s(self) -> float: ...

    def close(self) -> None:
        """Queue what ends the conversation, and let no command be sent any more but audio, which goes on for the server
        to come to its end. What it tells until then is received as before; with its last message, `receive()` returns
        an `Ended` with the error of a clean end: a RealtimeConnectionError with close code 1000, no `code`. Where
        nothing is queued there is no goodbye, and the socket is closed at once."""


@runtime_checkable
class Replayable(Protocol):
    """A codec, besides, of which `Provider.replay` can make another one that understands a recording of this one.

    Attributes:
        server: what that needs to know of the server and of the environment. It is written into recordings, hence
            without secrets.
    """

    @property
    def server(self) -> Mapping[str, str]: ...


class Recorder(Protocol):
    """Records what passes between a codec and its server. The connection that drives the codec calls it."""

    def around(self, codec: Codec, capabilities: Capabilities, tell: Callable[[Event], None]) -> Codec:
        """Begin; returns what is to be used in the place of the codec, and records it.

        Args:
            tell: passes an event to the program.
        """

    def hide(self, secrets: Iterable[str]) -> None:
        """From now on these strings never appear."""

    def told(self, event: Event) -> None:
        """The connection itself tells the program of an event."""

    def ended(self, error: Exception | None) -> None:
        """The conversation is over, by an error if there is one."""


class Connection(Protocol):
    """A conversation under way with a provider, over a socket or in this process."""

    @property
    def capabilities(self) -> Capabilities: ...
    async def send(self, command: Command) -> None:
        """Pass a command on; never waits for the provider's answer. Raises RealtimeError when it is over."""

    async def drain(self) -> None:
        """Return when the commands so far have left. Whoever sends audio faster than real time waits here in between:
        a network connection drops live audio that it cannot get rid of."""

    def __aiter__(self) -> AsyncIterator[Event]:
        """The events, until SessionEnded; raises RealtimeError when it ends by a failure. To be iterated once."""

    async def aclose(self) -> None:
        """End it; idempotent, returns within a few seconds whatever the provider does."""


@runtime_checkable
class Finishing(Connection, Protocol):
    """A connection, besides, whose output may lag behind its input."""

    async def finish(self) -> None:
        """The input is over: return when all output of it has come, or the conversation has ended.

        That is within 45 s after the audio so far has been sent, and at once where no output lags behind; words that
        are known to be owed are waited for longer, but not for ever, and are never missing without an error. Nothing
        more may be sent; `aclose()` is still to be called. Raises nothing: the iteration tells what failed.
        """


class ConversationLog(Protocol):
    """Keeps what passes in a conversation, as it passes: history, a recording, a counter of what it costs.

    It is called on the event loop and must not block. One that raises is left out from then on.
    """

    def event(self, event: Event, at_ms: float) -> None:
        """The program is told of an event, `at_ms` milliseconds after the conversation began."""

    def command(self, command: Command, at_ms: float) -> None:
        """A command goes to the provider, `at_ms` milliseconds after the conversation began."""


@runtime_checkable
class ClosingLog(ConversationLog, Protocol):
    """A log that has to finish what it keeps."""

    async def aclose(self) -> None:
        """Finish: the conversation is over, and the last event was told. Returns within a few seconds."""


def _lacks_nothing(config: RealtimeConfig) -> Mapping[str, str]:
    return {}


def _nowhere(config: RealtimeConfig) -> str:
    return ""


def _no_doubt(key: str, config: RealtimeConfig) -> str:
    return ""


def _nothing_found(config: RealtimeConfig) -> Sequence[Finding]:
    return ()


@dataclass(frozen=True, kw_only=True)
class Provider:
    """A provider, as far as it is known without connecting to it.

    Attributes:
        name: as users write it: lower case, without blanks.
        aliases: other names that mean it.
        capabilities: of the default model.
        model_capabilities: those of the model that a config names, where not all models have the same.
        interpreter, transcriber: what it offers besides conversations, or None.
        transcription_models: those that write down what the user says in a conversation, where one can be chosen.
        settings: the class of its own settings, of which the command's options for it are made.
        lacks: which settings the model of this config does not have, and why: `{"turn_detection.threshold": "it has
            sensitivities instead"}`. A setting that was chosen all the same gets the notice "setting_ignored".
        is_configured: whether its key is set, or its packages are installed; reads no network.
        setup_advice: what to do when it is not.
        key_variables: variables of the environment that hold its key, in the order in which they are looked at; a key
            stored by `voice keys` comes after them. () where it takes none.
        key_url: the page on which one gets a key; "" where it works without.
        priced_models: the models that a conversation with this config is billed by, and their prices as far as they are
            known; None to have the one that the config names, by `models`.
        connect: begins a conversation; returns when the provider is ready. Raises RealtimeError.
        replay: makes the codec that understands the recording of a conversation, which needs no key and nothing of the
            environment: it is told what `Replayable.server` said. None where there is no wire.
        fetch_models: asks the provider which models there are (`list-models --live`), or None.
        prepare: fetches what the first conversation needs, telling (bytes so far, bytes in all) meanwhile; blocks.
            `connect` does it too where it was not called. None where nothing is needed.
        address: the URL of the server that a conversation with this config goes to; "" where it goes to none. It needs
            no key. Raises ConfigurationError.
        doubts_key: why a key does not look like one for that server, in words that hold nothing of it; "" if it does.
        findings: what it finds out about this machine for `voice doctor`: within half a second, changing nothing, and
            asking no other machine; may block.
    """

    name: str
    title: str
    capabilities: Capabilities
    default_model: str
    default_voice: str
    models: tuple[ModelInfo, ...]
    voices: tuple[VoiceInfo, ...]
    is_configured: Callable[[], bool]
    setup_advice: str
    connect: Callable[[ConversationSetup], Awaitable[Connection]] = field(repr=False)
    aliases: tuple[str, ...] = ()
    key_variables: tuple[str, ...] = ()
    key_url: str = ""
    transcription_models: tuple[ModelInfo, ...] = ()
    settings: type[ProviderSettings] = ProviderSettings
    lacks: Callable[[RealtimeConfig], Mapping[str, str]] = field(default=_lacks_nothing, repr=False)
    replay: Callable[[ConversationSetup, Mapping[str, str]], Codec] | None = field(default=None, repr=False)
    fetch_models: Callable[[RealtimeConfig], Coroutine[None, None, list[ModelInfo]]] | None = field(
        default=None, repr=False
    )
    prepare: Callable[[RealtimeConfig, Callable[[int, int], None]], None] | None = field(default=None, repr=False)
    address: Callable[[RealtimeConfig], str] = field(default=_nowhere, repr=False)
    doubts_key: Callable[[str, RealtimeConfig], str] = field(default=_no_doubt, repr=False)
    findings: Callable[[RealtimeConfig], Sequence[Finding]] = field(default=_nothing_found, repr=False)
    priced_models: Callable[[RealtimeConfig], Mapping[str, Prices | None]] | None = field(default=None, repr=False)
    model_capabilities: Callable[[RealtimeConfig], Capabilities] | None = field(default=None, repr=False)
    interpreter: Service[InterpreterSetup] | None = field(default=None, repr=False)
    transcriber: Service[TranscriberSetup] | None = field(default=None, repr=False)

    def capabilities_of(self, config: RealtimeConfig) -> Capabilities:
        """The abilities and rates of a conversation with this config."""
        return self.model_capabilities(config) if self.model_capabilities is not None else self.capabilities

    def prices(self, config: RealtimeConfig) -> dict[str, Prices | None]:
        """The models that a conversation is billed by, with their prices, the config's first; None where not known."""
        if self.priced_models is not None:
            known = self.priced_models(config)
        else:
            name = config.model or self.default_model
            known = {name: next((model.prices for model in self.models if model.name == name), None)}
        return {name: config.prices.get(name, prices) for name, prices in known.items()}
