"""The front door of the library: who to talk to, and which functions hear what is said."""

import contextlib
import os
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

from voicecli.config import RealtimeConfig
from voicecli.conversation.handlers import Handler, Handlers
from voicecli.errors import ConfigurationError
from voicecli.ports import Connection, ConversationSetup, Provider
from voicecli.providers import all_providers, choose_provider, find_provider
from voicecli.tools import Tool, make_tools
from voicecli.transcript import Turn

if TYPE_CHECKING:
    from voicecli.conversation.session import VoiceSession

__all__ = ["RealtimeVoice"]

_H = TypeVar("_H", bound=Handler)


class RealtimeVoice:
    """A voice assistant: a provider, settings, tools, and the functions that hear what happens.

    One may have many conversations, one after the other or at once: each `connect()` is one.

    Args:
        provider: "openai", "gemini" or "local"; "google" and "google_genai" also mean gemini. Without it the
            environment variable VOICE_PROVIDER decides, then the first that is configured.
        config: what the conversation is to be like.
        tools: functions that the model may call; their type hints and docstrings tell it how.

    Raises:
        ConfigurationError: there is no such provider, or none is configured; or config is none.
        ToolError: a function cannot be offered as a tool.
    """

    def __init__(
        self,
        provider: str | Provider | None = None,
        *,
        config: RealtimeConfig | None = None,
        tools: Iterable[Callable[..., object]] = (),
    ) -> None:
        if not isinstance(provider, str | Provider | None):
            raise ConfigurationError(
                f"provider: a name is wanted, not {type(provider).__name__}.",
                advice=f"There are {', '.join(self.list_providers())}.",
            )
        if not isinstance(config, RealtimeConfig | None):
            raise ConfigurationError(
                f"config: a RealtimeConfig is wanted, not {type(config).__name__}.",
                advice="Give config=RealtimeConfig(...).",
            )
        chosen = provider or os.environ.get("VOICE_PROVIDER")
        if isinstance(chosen, Provider):
            self._provider = chosen
        else:
            self._provider = find_provider(chosen) if chosen else choose_provider()
        self._config = config or RealtimeConfig()
        self._config.own(self._provider.settings)  # those of another provider are told here
        self._tools: dict[str, Tool] = make_tools(tools) if tools else {}
        self._handlers = Handlers()

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
    async def connect(self, *, history: Sequence[Turn] = ()) -> "AsyncIterator[VoiceSession]":
        """Begin a conversation; it ends with the `async with` block.

        Args:
            history: turns the model is to know of, such as `session.history` of an earlier conversation.

        Raises:
            RealtimeError: the provider cannot be reached or does not accept the settings; or the conversation
                ended by a failure of which neither a handler nor a call has been told.
        """
        from voicecli.conversation.session import VoiceSession

        schemas = tuple(tool.schema for tool in self._tools.values())
        connection: Connection = await self._provider.connect(
            ConversationSetup(self._config, tools=schemas, history=tuple(history))
        )
        session = VoiceSession(connection, self._config, tools=self._tools, handlers=self._handlers, history=history)
        try:
            await session.start()
            yield session
        finally:
            await session.aclose()
        session.raise_untold_failure()

    # -- handlers: plain functions (called in a thread, where they may block) or coroutine functions

    def on_transcript(self, handler: _H) -> _H:
        """Register `handler(text, is_final)` or `handler(text, is_final, role)`.

        Partial transcripts carry the text of the utterance so far, finals all of it; role is "user" or "assistant".
        """
        self._handlers.add("transcript", handler)
        return handler

    def on_audio(self, handler: _H) -> _H:
        """Register `handler(audio)`: PCM16 mono of the reply, at `session.output_rate` Hz."""
        self._handlers.add("audio", handler)
        return handler

    def on_tool_call(self, handler: _H) -> _H:
        """Register `handler(tool_name, args)`, asked before `tools`; None leaves the call to them."""
        self._handlers.add("tool_call", handler)
        return handler

    def on_connect(self, handler: _H) -> _H:
        """Register `handler()`: the provider is ready."""
        self._handlers.add("connect", handler)
        return handler

    def on_disconnect(self, handler: _H) -> _H:
        """Register `handler()`: the conversation is over."""
        self._handlers.add("disconnect", handler)
        return handler

    def on_interrupted(self, handler: _H) -> _H:
        """Register `handler()`: the reply was cut off; throw away what is not yet played."""
        self._handlers.add("interrupted", handler)
        return handler

    def on_error(self, handler: _H) -> _H:
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
        found = find_provider(provider)
        names = [model.name for model in found.models]
        return sorted(names, key=lambda name: name != found.default_model)

    @staticmethod
    def list_voices(provider: str) -> list[str]:
        """The provider's voices, the default first. Raises ConfigurationError for an unknown provider."""
        found = find_provider(provider)
        names = [voice.name for voice in found.voices]
        return sorted(names, key=lambda name: name != found.default_voice)
