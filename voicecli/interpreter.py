"""The library's door to live translation."""

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from voicecli.config import RealtimeConfig
from voicecli.errors import ConfigurationError
from voicecli.events import Notice
from voicecli.ports import ConversationLog, InterpreterSetup, Provider, Service
from voicecli.pricing import Prices
from voicecli.providers import PROVIDERS, choose_provider, find_provider
from voicecli.text import nearest

if TYPE_CHECKING:
    from voicecli.conversation.limits import Spent
    from voicecli.interpreting.session import InterpreterSession

__all__ = ["Interpreter", "choose_interpreter", "language_code"]

_CODE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
# Less alike are the names of two languages, such as Catalan and Italian.
_MISTYPED = 0.82
_CODES = {
    **{"afrikaans": "af", "arabic": "ar", "bengali": "bn", "bulgarian": "bg", "catalan": "ca", "chinese": "zh"},
    **{"croatian": "hr", "czech": "cs", "danish": "da", "dutch": "nl", "english": "en", "estonian": "et"},
    **{"filipino": "fil", "finnish": "fi", "french": "fr", "german": "de", "greek": "el", "hebrew": "he"},
    **{"hindi": "hi", "hungarian": "hu", "icelandic": "is", "indonesian": "id", "irish": "ga", "italian": "it"},
    **{"japanese": "ja", "korean": "ko", "latvian": "lv", "lithuanian": "lt", "malay": "ms", "mandarin": "zh"},
    **{"norwegian": "no", "persian": "fa", "polish": "pl", "portuguese": "pt", "romanian": "ro", "russian": "ru"},
    **{"serbian": "sr", "slovak": "sk", "slovenian": "sl", "spanish": "es", "swahili": "sw", "swedish": "sv"},
    **{"tamil": "ta", "telugu": "te", "thai": "th", "turkish": "tr", "ukrainian": "uk", "urdu": "ur"},
    **{"vietnamese": "vi", "welsh": "cy"},
    # As those who speak it write it.
    **{"deutsch": "de", "español": "es", "français": "fr", "italiano": "it", "português": "pt"},
}


def language_code(text: object) -> str:
    """The language that somebody names by a BCP 47 code: "es", "pt-BR".

    Raises:
        ConfigurationError: that is none; it says which one may be meant.
    """
    if isinstance(text, str) and _CODE.fullmatch(text := text.strip().replace("_", "-")):
        return text
    meant = nearest(text.lower(), _CODES, likeness=_MISTYPED) if isinstance(text, str) else ""
    shown = repr(text) if isinstance(text, str) else type(text).__name__
    raise ConfigurationError(
        f"to: {shown} is no code of a language.",
        advice=f"Write {_CODES[meant]} for {meant.capitalize()}." if meant else "Write es, pt-BR, zh ...",
    )


def choose_interpreter(name: str | Provider | None) -> tuple[Provider, Service[InterpreterSetup]]:
    """The provider of that name, or the first built-in one that is configured and translates.

    Raises:
        ConfigurationError: there is none, or it does not translate.
    """
    if name is None:
        provider = choose_provider(lambda each: each.interpreter is not None, "translates")
    else:
        provider = find_provider(name) if isinstance(name, str) else name
    if provider.interpreter is None:
        able = [each.name for each in PROVIDERS if each.interpreter is not None]
        raise ConfigurationError(
            f"provider: {provider.title} does not translate live.",
            advice=f"Choose one that does: {' or '.join(able)}. What you say then goes to it.",
        )
    return provider, provider.interpreter


class Interpreter:
    """A live interpreter: a provider, settings, and the language that all is translated to.

        async with Interpreter("openai", to="es").connect() as session:
            await session.send_audio(recording)
            await session.finish()

    Args:
        provider: its name, or a Provider. Without it the config's provider is taken, else the one of the environment
            variable VOICE_PROVIDER, else the first built-in one that is configured and translates.
        to: the language to translate to, as a BCP 47 code: "es", "pt-BR". The one that is spoken is found out.
        config: its model, key, address, reconnects, limits, prices and provider settings are meant; the rest is about
            conversations.
        source_text: whether to tell what was said, too.

    Raises:
        ConfigurationError: there is no such provider, it does not translate, or none that does is configured; `to` is
            no code of a language; or config limits a cost that will not be known.
    """

    def __init__(
        self,
        provider: str | Provider | None = None,
        *,
        to: str,
        config: RealtimeConfig | None = None,
        source_text: bool = True,
    ) -> None:
        if not isinstance(provider, str | Provider | None):
            raise ConfigurationError(f"provider: a name is wanted, not {type(provider).__name__}.")
        if not isinstance(config, RealtimeConfig | None):
            raise ConfigurationError(
                f"config: a RealtimeConfig is wanted, not {type(config).__name__}.",
                advice="Give config=RealtimeConfig(...).",
            )
        self._to = language_code(to)
        config = config or RealtimeConfig()
        chosen = provider or config.provider or os.environ.get("VOICE_PROVIDER") or None
        self._provider, self._service = choose_interpreter(chosen)
        config.own(self._provider.settings)  # those of another provider are told here
        if config.session_file is not None:
            raise ConfigurationError(
                "session_file: translations cannot be recorded for replay.", advice="Leave it out."
            )
        self._notices: list[Notice] = []
        self._config = self._with_model(config)
        self._source_text = source_text
        if self._config.max_cost is not None and self.prices is None:
            raise ConfigurationError(
                f"What {self.model} costs is not known, so that no cost can be kept to.",
                advice="Give its price in [prices] of the settings file: session-minute, in US dollars.",
            )

    def __repr__(self) -> str:
        return f"Interpreter(provider={self.provider!r}, to={self._to!r})"

    @property
    def provider(self) -> str:
        """The name of the provider."""
        return self._provider.name

    @property
    def title(self) -> str:
        """The provider's name for people."""
        return self._provider.title

    @property
    def to(self) -> str:
        """The language that is translated to."""
        return self._to

    @property
    def model(self) -> str:
        """The model that translates."""
        return self._config.model or self._service.default_model

    @property
    def config(self) -> RealtimeConfig:
        return self._config

    @property
    def rates(self) -> tuple[int, int]:
        """The rates of the audio that goes in, and of the translation, in Hz."""
        return self._service.capabilities.input_rate, self._service.capabilities.output_rate

    @property
    def prices(self) -> Prices | None:
        """What the model costs; None where that is not known."""
        return self._service.prices(self._config)

    @contextlib.asynccontextmanager
    async def connect(
        self, *, logs: Iterable[ConversationLog] = (), spent: "Spent | None" = None
    ) -> "AsyncIterator[InterpreterSession]":
        """Begin to interpret; it ends with the `async with` block.

        Args:
            logs: told of all that passes in it.
            spent: what counts towards its limits already, such as `session.spent` of an earlier one.

        Raises:
            LimitReachedError: a limit ended it, of which nobody has been told.
            RealtimeError: the provider cannot be reached or does not accept the settings; or it ended by a failure of
                which nobody has been told.
        """
        from voicecli.conversation.limits import Limits
        from voicecli.interpreting.session import InterpreterSession

        setup = InterpreterSetup(config=self._config, target_language=self._to, source_text=self._source_text)
        per_minute = self.prices.session_minute if self.prices is not None else 0.0
        connection = await self._service.connect(setup)
        try:
            limits = Limits(self._config, per_minute=per_minute, spent=spent, now=asyncio.get_running_loop().time())
            session = InterpreterSession(connection, self._config, limits=limits, logs=logs)
        except BaseException:
            await connection.aclose()
            raise
        try:
            await session.start()
            for notice in self._notices:
                session.note(notice)
            yield session
        finally:
            await session.aclose()
        session.raise_untold_failure()

    def _with_model(self, config: RealtimeConfig) -> RealtimeConfig:
        """The settings, without a model that was chosen for conversations."""
        mine = {each.name for each in self._service.models}
        if config.model in mine or config.model not in {each.name for each in self._provider.models}:
            return config
        default = self._service.default_model
        told = f"model is left out: {config.model} is for conversations; {default} translates."
        self._notices.append(Notice("setting_ignored", told))
        return replace(config, model=None)
