"""Sessions with the loopback interpreters, by virtual time."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from tests.loopback import gemini_translation, openai_translation
from tests.loopback.gemini_session import tone
from tests.loopback.gemini_translation import GeminiTranslationServer
from tests.loopback.openai_translation import OpenAITranslationServer
from voicecli import Interpreter, InterpreterSession, RealtimeConfig, Reconnect
from voicecli.events import AudioChunk, Event, TranscriptUpdate

__all__ = ["PROVIDERS", "Server", "Talk", "interpreter_for", "make_server", "talk", "tone"]

PROVIDERS = ("openai", "gemini")
Server = OpenAITranslationServer | GeminiTranslationServer
_QUICK = Reconnect(attempts=3, first_delay_s=0.01, max_delay_s=0.05)


def make_server(provider: str, **options: Any) -> Server:
    return OpenAITranslationServer(**options) if provider == "openai" else GeminiTranslationServer(**options)


def interpreter_for(server: Server, *, to: str = "es", source_text: bool = True, **settings: Any) -> Interpreter:
    provider = "openai" if isinstance(server, OpenAITranslationServer) else "gemini"
    key = openai_translation.KEY if provider == "openai" else gemini_translation.KEY
    config = RealtimeConfig(**{"api_key": key, "base_url": server.url, "reconnect": _QUICK, **settings})
    return Interpreter(provider, to=to, config=config, source_text=source_text)


@dataclass
class Talk:
    """A session, and what it told.

    Attributes:
        events: with the time of each, in seconds.
        failure: what the iteration raised.
    """

    session: InterpreterSession
    events: list[tuple[float, Event]] = field(default_factory=list)
    failure: Exception | None = None

    @property
    def rate(self) -> int:
        return self.session.input_rate

    async def say(self, *lengths_ms: int) -> None:
        """Send speech and silence by turns, each so long, as a microphone would."""
        for place, length in enumerate(lengths_ms):
            for _ in range(length // 100):
                await self.session.send_audio(tone(100, rate=self.rate) if place % 2 == 0 else bytes(self.rate // 5))
                await asyncio.sleep(0.1)

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for _, event in self.events if isinstance(event, kind)]

    def finals(self, role: str = "assistant") -> list[str]:
        return [event.text for event in self.of(TranscriptUpdate) if event.final and event.role == role]

    @property
    def sound_ms(self) -> int:
        """How much of the translation was heard, without silence."""
        return sum(len(event.audio) for event in self.of(AudioChunk) if any(event.audio)) // 48


@contextlib.asynccontextmanager
async def talk(interpreter: Interpreter) -> AsyncIterator[Talk]:
    """A session whose events are gathered until it ends."""
    listening: asyncio.Task[None] | None = None
    clock = asyncio.get_running_loop().time
    began = clock()

    async def listen(told: Talk) -> None:
        try:
            async for event in told.session:
                told.events.append((clock() - began, event))
        except Exception as error:
            told.failure = error

    try:
        async with interpreter.connect() as session:
            told = Talk(session)
            listening = asyncio.create_task(listen(told))
            await asyncio.sleep(0)
            yield told
    finally:
        if listening is not None:
            await listening
