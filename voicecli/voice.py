"""The front door of the library: who to talk to, and which functions hear what is said."""

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from voicecli.commands import OfferTools
from voicecli.config import RealtimeConfig, VADMode
from voicecli.conversation.arguments import Question, check_question
from voicecli.conversation.handlers import (
    AudioHandler,
    ErrorHandler,
    Handlers,
    PlainHandler,
    ToolCallHandler,
    TranscriptHandler,
)
from voicecli.errors import ConfigurationError
from voicecli.events import Event
from voicecli.ports import Connection, ConversationLog, ConversationSetup, Provider
from voicecli.pricing import Prices
from voicecli.providers import PROVIDERS, all_providers, choose_provider, find_provider
from voicecli.tool_sources import ToolServer
from voicecli.tools import Tool, make_tools
from voicecli.transcript import Turn

if TYPE_CHECKING:
    from voicecli.audio import EchoMode
    from voicecli.conversation.limits import Spent
    from voicecli.conversation.response import Response
    from voicecli.conversation.session import VoiceSession
    from voicecli.conversation.toolbox import Toolbox
    from voicecli.replay.recorder import SessionRecorder

__all__ = ["RealtimeVoice", "ask", "read_settings"]


def ask(
    question: Question,
    provider: str | Provider | None = None,
    *,
    config: RealtimeConfig | None = None,
    tools: Iterable[Callable[..., object] | ToolServer] = (),
    sample_rate: int | None = None,
) -> "Response":
    """Ask one thing, and return the whole answer: for scripts, which have no event loop.

        print(voicecli.ask("What is the capital of France?").transcript)
        voicecli.ask(Path("question.wav")).save("reply.wav")

    Args:
        question: words; the `Path` of a sound file (WAV, FLAC, OGG ...); or PCM16 mono in bytes.
        provider, config, tools: as for RealtimeVoice.
        sample_rate: of PCM16, in Hz.

    Raises:
        ConfigurationError: it is called in an event loop; or as for RealtimeVoice.
        RealtimeError: as for `VoiceSession.ask`.
    """
    check_question(question, sample_rate)
    if sample_rate is None and not isinstance(question, str | os.PathLike):
        raise ConfigurationError("sample_rate: PCM16 does not say its rate.", advice="Give the rate in Hz.")
    voice = RealtimeVoice(provider, config=config, tools=tools)

    async def asked() -> "Response":
        async with voice.connect() as session:
            return await session.ask(question, sample_rate=sample_rate)

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(asked())
    raise ConfigurationError(
        "voicecli.ask() would hold up the event loop that runs here.",
        advice="Use `async with RealtimeVoice().connect() as session: response = await session.ask(...)`.",
    )


class RealtimeVoice:
    """A voice assistant: a provider, settings, tools, and the functions that hear what happens.

    One may have many conversations, one after the other or at once: each `connect()` is one.

    Args:
        provider: its name, one of `list_providers()`, or a Provider. Without it the config's provider is taken, else
            the one of the environment variable VOICE_PROVIDER, else the first built-in one that is configured.
        config: what the conversation is to be like.
        tools: functions that the model may call; their type hints and docstrings tell it how. Or an `MCPServer`, for
            all of its tools: it is begun with each conversation, and ends with it.

    Attributes:
        recorders: those of the conversations so far that were recorded (`session_file`): each has the `path` of a file,
            and says in its `contents` what is in it.

    Raises:
        ConfigurationError: there is no such provider, or none is configured; or config is none, or limits a cost that
            will not be known.
        ToolError: a function cannot be offered as a tool.
    """

    def __init__(
        self,
        provider: str | Provider | None = None,
        *,
        config: RealtimeConfig | None = None,
        tools: Iterable[Callable[..., object] | ToolServer] = (),
    ) -> None:
        if provider is not None:
            _check_provider(provider)
        if not isinstance(config, RealtimeConfig | None):
            raise ConfigurationError(
                f"config: a RealtimeConfig is wanted, not {type(config).__name__}.",
                advice="Give config=RealtimeConfig(...).",
            )
        _check_tools(tools)
        self._config = config or RealtimeConfig()
        chosen = provider or self._config.provider or os.environ.get("VOICE_PROVIDER")
        if isinstance(chosen, Provider):
            self._provider = chosen
        else:
            self._provider = find_provider(chosen) if chosen else choose_provider()
        self._config.own(self._provider.settings)  # those of another provider are told here
        _check_model(self._provider, self._config.model)
        self._prices = self._provider.prices(self._config)
        if self._config.max_cost is not None:
            _check_prices(self._prices)
        given = tuple(tools)
        self._servers = [each for each in given if isinstance(each, ToolServer)]
        functions = [each for each in given if not isinstance(each, ToolServer)]
        self._tools: dict[str, Tool] = make_tools(functions) if functions else {}
        self._handlers = Handlers()
        self.recorders: list[SessionRecorder] = []

    def __repr__(self) -> str:
        return f"RealtimeVoice(provider={self.provider!r}, tools={list(self._tools)})"

    @property
    def provider(self) -> str:
        """The name of the provider."""
        return self._provider.name

    @property
    def config(self) -> RealtimeConfig:
        return self._config

    @contextlib.asynccontextmanager
    async def connect(
        self, *, history: Sequence[Turn] = (), logs: Iterable[ConversationLog] = (), spent: "Spent | None" = None
    ) -> "AsyncIterator[VoiceSession]":
        """Begin a conversation; it ends with the `async with` block.

        Args:
            history: turns the model is to know of, such as `session.history` of an earlier conversation.
            logs: told of all that passes in it.
            spent: what counts towards its limits already, such as `session.spent` of an earlier one.

        Raises:
            ConfigurationError: the history is none.
            LimitReachedError: a limit ended it, of which neither a handler nor a call has been told.
            RealtimeError: the provider cannot be reached or does not accept the settings; or the conversation
                ended by a failure of which neither a handler nor a call has been told.
        """
        from voicecli.conversation.limits import Limits
        from voicecli.conversation.session import VoiceSession
        from voicecli.conversation.toolbox import Toolbox
        from voicecli.conversation.turn_models import load_turn_model

        history = _turns(history)
        per_minute = sum(prices.session_minute for prices in self._prices.values() if prices is not None)
        toolbox = Toolbox(self._tools, [server.open_tools() for server in self._servers])
        async with contextlib.AsyncExitStack() as opened:
            if (turn_model := await load_turn_model(self._config)) is not None:
                opened.push_async_callback(turn_model.aclose)
            opened.push_async_callback(toolbox.aclose)
            connection = await self._connect_with(toolbox, history)
            opened.push_async_callback(connection.aclose)
            session = VoiceSession(
                connection,
                self._config,
                tools=toolbox,
                handlers=self._handlers,
                history=history,
                turn_model=turn_model,
                logs=logs,
                limits=Limits(self._config, per_minute=per_minute, spent=spent, now=asyncio.get_running_loop().time()),
            )
            opened.pop_all()  # the session closes them from now on
        try:
            await session.start()
            yield session
        finally:
            await session.aclose()
        session.raise_untold_failure()

    async def _connect_with(self, toolbox: "Toolbox", history: Sequence[Turn]) -> Connection:
        """A conversation that knows the tools, of which some may have to be begun first."""
        config = self._config

        async def dial() -> Connection:
            return await self._dial(ConversationSetup(config, tools=toolbox.schemas, history=history))

        known = config.tool_choice in {"auto", "none", "required"}
        if not self._servers or not self._provider.capabilities_of(config).changes_tools or not known:
            await toolbox.start()
            return await dial()
        # Both take their time. What the provider is told of the tools at first is what is there by then.
        dialling, starting = asyncio.create_task(dial()), asyncio.create_task(toolbox.start())
        try:
            await asyncio.gather(dialling, starting)
            await dialling.result().send(OfferTools(toolbox.schemas))
        except BaseException:
            for task in (dialling, starting):
                task.cancel()
            await asyncio.wait([dialling, starting])
            if not dialling.cancelled() and dialling.exception() is None:
                await dialling.result().aclose()
            raise
        return dialling.result()

    async def _dial(self, setup: ConversationSetup) -> Connection:
        """A conversation with the provider, recorded where the settings ask for it."""
        if not setup.config.session_file:
            return await self._provider.connect(setup)
        from voicecli.replay.recorder import SessionRecorder

        provider = self._provider
        recorder = SessionRecorder(setup.config.session_file, provider.name, provider.default_model, setup)
        try:
            return recorder.recorded(await provider.connect(replace(setup, recorder=recorder)))
        except BaseException:
            recorder.close()
            raise
        finally:
            if recorder.begun:
                self.recorders.append(recorder)

    async def talk(
        self,
        *,
        microphone: str | int | None = None,
        speaker: str | int | None = None,
        echo: "EchoMode" = "auto",
        auto_gain_control: bool = False,
        history: Sequence[Turn] = (),
        observers: Iterable[Callable[[Event], None]] = (),
        logs: Iterable[ConversationLog] = (),
        on_rendered: Callable[[bytes, float], None] | None = None,
    ) -> None:
        """Hold a conversation through microphone and loudspeaker, until the provider ends it or this is cancelled.

        What is to happen meanwhile is for the handlers; `connect`, `open_devices` and `converse` do the same step by
        step, for a program that needs the session.

        Args:
            microphone, speaker, echo, auto_gain_control: as for `open_devices`.
            history: as for `connect`.
            logs: as for `connect`.
            on_rendered: as for `open_devices`.
            observers: called with every event, also with the devices' notices; they must not block.

        Raises:
            AudioDeviceError: microphone or loudspeaker cannot be used.
            ConfigurationError: with VADMode.NONE nobody could end a turn; or as `open_devices` and `connect` do.
            RealtimeError: as `connect` does.
        """
        from voicecli.conversation.devices import open_devices
        from voicecli.conversation.duplex import converse

        if self._config.vad_mode is VADMode.NONE:
            raise ConfigurationError(
                "vad_mode: in talk() nobody could end a turn.",
                advice="Choose SERVER or CLIENT; or use open_devices() and converse(), and call session.end_turn().",
            )
        told = tuple(observers)
        async with (
            self.connect(history=history, logs=logs) as session,
            open_devices(
                session,
                microphone=microphone,
                speaker=speaker,
                echo=echo,
                auto_gain_control=auto_gain_control,
                observers=told,
                on_rendered=on_rendered,
            ) as devices,
        ):
            await converse(session, devices.microphone, devices.speaker, told)

    # -- handlers: plain functions (called in a thread, where they may block) or coroutine functions. Each method is a
    # decorator, and raises ConfigurationError for a function that could not be called so.

    def on_transcript(self, handler: TranscriptHandler) -> TranscriptHandler:
        """Register `handler(text, is_final, role)`, or one that takes fewer of them.

        Partial transcripts carry the text of the utterance so far, finals all of it; role is "user" or "assistant".
        """
        self._handlers.add("transcript", handler)
        return handler

    def on_audio(self, handler: AudioHandler) -> AudioHandler:
        """Register `handler(audio)`: PCM16 mono of the reply, at `session.output_rate` Hz."""
        self._handlers.add("audio", handler)
        return handler

    def on_tool_call(self, handler: ToolCallHandler) -> ToolCallHandler:
        """Register `handler(tool_name, args)`, asked before `tools`; None leaves the call to them."""
        self._handlers.add("tool_call", handler)
        return handler

    def on_connect(self, handler: PlainHandler) -> PlainHandler:
        """Register `handler()`: the provider is ready."""
        self._handlers.add("connect", handler)
        return handler

    def on_disconnect(self, handler: PlainHandler) -> PlainHandler:
        """Register `handler()`: the conversation is over."""
        self._handlers.add("disconnect", handler)
        return handler

    def on_interrupted(self, handler: PlainHandler) -> PlainHandler:
        """Register `handler()`: the reply was cut off; throw away what is not yet played."""
        self._handlers.add("interrupted", handler)
        return handler

    def on_error(self, handler: ErrorHandler) -> ErrorHandler:
        """Register `handler(error)`: something went wrong, whether or not the conversation goes on."""
        self._handlers.add("error", handler)
        return handler

    # -- discovery

    @staticmethod
    def list_providers() -> list[str]:
        """All providers: the built-in ones in the order in which they are tried, then those that packages bring."""
        return [provider.name for provider in all_providers()]

    @staticmethod
    def list_configured_providers() -> list[str]:
        """Those whose key is set, or whose packages are installed."""
        return [provider.name for provider in all_providers() if provider.is_configured()]

    @staticmethod
    def list_models(provider: str) -> list[str]:
        """The provider's models, the default first. Raises ConfigurationError for an unknown provider."""
        _check_provider(provider)
        found = find_provider(provider)
        names = [model.name for model in found.models]
        return sorted(names, key=lambda name: name != found.default_model)

    @staticmethod
    def list_voices(provider: str) -> list[str]:
        """The provider's voices, the default first. Raises ConfigurationError for an unknown provider."""
        _check_provider(provider)
        found = find_provider(provider)
        names = [voice.name for voice in found.voices]
        return sorted(names, key=lambda name: name != found.default_voice)


def read_settings(provider: str | None, profile: str | None) -> RealtimeConfig:
    """The user's settings; see `RealtimeConfig.from_settings`."""
    from voicecli.settings.loading import load_config  # only those who ask read files

    return load_config(PROVIDERS, find_provider, choose_provider, all_providers, provider=provider, profile=profile)


def _check_provider(provider: object) -> None:
    if not isinstance(provider, str | Provider):
        raise ConfigurationError(
            f"provider: a name is wanted, not {type(provider).__name__}.",
            advice=f"There are {', '.join(RealtimeVoice.list_providers())}.",
        )


def _check_model(provider: Provider, model: str | None) -> None:
    """One that interprets holds no conversation, and says nothing of it that helps."""
    interpreter = provider.interpreter
    if interpreter is not None and model in {each.name for each in interpreter.models}:
        raise ConfigurationError(
            f"model: {model!r} translates, and holds no conversation.",
            advice="Run `voice translate --to CODE`; in a program, use Interpreter.",
        )


def _check_prices(prices: Mapping[str, Prices | None]) -> None:
    for model, known in prices.items():
        if known is None:
            raise ConfigurationError(
                f"What {model} costs is not known, so that no cost can be kept to.",
                advice="Give its prices in the settings file (`voice config edit`), in US dollars: a line "
                f"[prices.{json.dumps(model)}], then those it is billed by, such as text-in = 4 (per million tokens).",
            )


def _check_tools(tools: object) -> None:
    if callable(tools) or isinstance(tools, str) or not isinstance(tools, Iterable):
        raise ConfigurationError(
            f"tools: a list of functions is wanted, not {type(tools).__name__}.", advice="Give tools=[function, ...]."
        )


def _turns(history: object) -> tuple[Turn, ...]:
    turns = history if isinstance(history, Iterable) else (history,)
    checked = []
    for turn in turns:
        if not isinstance(turn, Turn):
            raise ConfigurationError(
                f"history: turns are wanted, not {type(turn).__name__}.",
                advice="Give the session.history of a conversation, or Turns of voicecli.transcript.",
            )
        checked.append(turn)
    return tuple(checked)
