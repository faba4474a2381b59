"""Stand-ins for the three models, a conversation with them whose every step the test decides, and what came of it."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from voicecli.commands import CancelResponse
from voicecli.config import RealtimeConfig, ServerVAD, VADMode
from voicecli.events import Event, ResponseDone, ResponseStarted, SessionEnded, TranscriptUpdate
from voicecli.ports import Connection, ConversationSetup
from voicecli.providers.local import LOCAL
from voicecli.providers.local.chat_model import Delta, Finish, Message
from voicecli.providers.local.engine import LocalConnection
from voicecli.providers.local.memory import Memory
from voicecli.providers.local.pauses import PauseLengths
from voicecli.providers.local.turn_detection import TurnDetector
from voicecli.providers.local.turn_model import TurnModel
from voicecli.tools import ToolSchema
from voicecli.transcript import Turn

__all__ = [
    "QUESTION",
    "WEATHER",
    "Events",
    "FakeHearing",
    "FakeModel",
    "FakeSpeech",
    "conversation",
    "cut",
    "finals",
    "is_loud",
    "offline",
    "shape",
    "silence",
    "speech",
    "statuses",
]


def speech(ms: int) -> bytes:
    """Sound that `is_loud` takes for speech."""
    return b"\x01\x00" * (16 * ms)


def silence(ms: int) -> bytes:
    return bytes(32 * ms)


QUESTION = silence(500) + speech(1200) + silence(600)
WEATHER = ToolSchema("weather", "The weather.", {"type": "object", "properties": {}})


def is_loud(chunk: bytes) -> float:
    return 1.0 if any(chunk) else 0.0


class FakeHearing:
    """Hears the next of `texts`; what it was given is in `heard`. Waits for `may_hear`."""

    def __init__(self, texts: Sequence[str] = ()) -> None:
        self.texts = list(texts)
        self.heard: list[bytes] = []
        self.partials: list[tuple[str, bytes]] = []
        self.may_hear = asyncio.Event()
        self.may_hear.set()

    async def transcribe(self, audio: bytes) -> str:
        self.heard.append(audio)
        text = self.texts.pop(0)
        await self.may_hear.wait()
        return text

    async def partial(self, utterance: str, audio: bytes) -> str:
        self.partials.append((utterance, audio))
        return f"part {len(self.partials)}"

    async def aclose(self) -> None:
        return


class FakeModel:
    """Gives the next of `answers`; an asyncio.Event in an answer is waited for, an exception raised."""

    name = "fake"
    context_tokens = 1000
    examples: Sequence[Message] = ()

    def __init__(self, answers: Sequence[Sequence[Delta | asyncio.Event | Exception]], *, tools: bool = True) -> None:
        self.tools = tools
        self.answers = list(answers)
        self.asked: list[list[tuple[str, str]]] = []
        self.offered: list[Sequence[ToolSchema]] = []
        self.streaming = 0
        self.read: list[list[tuple[str, str]]] = []

    async def warm_up(self, messages: Sequence[Message]) -> None:
        return

    async def read_ahead(self, messages: Sequence[Message]) -> None:
        self.read.append([(message.role, message.text) for message in messages if message.role != "system"])

    async def stream(
        self, messages: Sequence[Message], tools: Sequence[ToolSchema] = ()
    ) -> AsyncGenerator[Delta, None]:
        self.asked.append([(message.role, message.text) for message in messages if message.role != "system"])
        self.offered.append(tools)
        self.streaming += 1
        try:
            for step in self.answers.pop(0):
                match step:
                    case asyncio.Event():
                        await step.wait()
                    case Exception():
                        raise step
                    case Finish():
                        yield step
                        return
                    case _:
                        yield step
            yield Finish()
        finally:
            self.streaming -= 1

    async def aclose(self) -> None:
        return


class FakeSpeech:
    """100 ms of sound for each character, in two pieces. Waits for `may_speak`."""

    def __init__(self) -> None:
        self.spoken: list[str] = []
        self.may_speak = asyncio.Event()
        self.may_speak.set()

    async def speak(self, text: str) -> AsyncGenerator[bytes, None]:
        self.spoken.append(text)
        await self.may_speak.wait()
        yield b"\x02\x00" * 1102
        yield b"\x02\x00" * (2205 * len(text) - 1102)

    async def aclose(self) -> None:
        return


class Events:
    """Reads a connection's events as they come."""

    def __init__(self, connection: Connection) -> None:
        self.seen: list[Event] = []
        self._news = asyncio.Event()
        self._task = asyncio.create_task(self._read(connection))
        self._over = False

    async def _read(self, connection: Connection) -> None:
        async for event in connection:
            self.seen.append(event)
            self._news.set()

    def of(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.seen if isinstance(event, kind)]

    async def until(self, condition: Callable[[], object], *, timeout: float = 30.0) -> None:
        """Wait until an event makes `condition` true."""
        async with asyncio.timeout(timeout):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def until_seen(self, kind: type[Event], count: int = 1) -> None:
        await self.until(lambda: len(self.of(kind)) >= count)

    async def until_over(self) -> None:
        """Wait for the end of the iteration; raises what it raised, once."""
        if not self._over:
            self._over = True
            await asyncio.wait_for(self._task, 10)
            assert isinstance(self.seen[-1], SessionEnded)


def offline(
    model: FakeModel,
    hearing: FakeHearing | None = None,
    voice: FakeSpeech | None = None,
    *,
    config: RealtimeConfig | None = None,
    turn_model: TurnModel | None = None,
    tools: Sequence[ToolSchema] = (),
    history: Sequence[Turn] = (),
) -> LocalConnection:
    """The engine with the fakes; without `voice`, it answers in text."""
    config = config or RealtimeConfig()
    vad = config.turn_detection
    assert isinstance(vad, ServerVAD)
    silence_ms = vad.silence_duration_ms
    detector = TurnDetector(
        is_loud, automatic=config.vad_mode is VADMode.SERVER, silence_ms=silence_ms, pre_roll_ms=480
    )
    return LocalConnection(
        ConversationSetup(config, tools, history),
        capabilities=replace(LOCAL.capabilities, tools=model.tools),
        voice="fake",
        hearing=hearing or FakeHearing(),
        model=model,
        speech=voice,
        memory=Memory([Message("system", "Be brief.")], history, context_tokens=model.context_tokens),
        detector=detector,
        pauses=PauseLengths(turn_model, silence_ms, detector.set_silence) if turn_model else None,
    )


@asynccontextmanager
async def conversation(
    model: FakeModel,
    hearing: FakeHearing | None = None,
    voice: FakeSpeech | None = None,
    *,
    config: RealtimeConfig | None = None,
    turn_model: TurnModel | None = None,
    tools: Sequence[ToolSchema] = (),
    history: Sequence[Turn] = (),
) -> AsyncIterator[tuple[LocalConnection, Events]]:
    """A conversation with the fakes, whose events are read as they come."""
    connection = offline(model, hearing, voice, config=config, turn_model=turn_model, tools=tools, history=history)
    events = Events(connection)
    try:
        yield connection, events
    finally:
        await connection.aclose()
        await events.until_over()


def shape(events: list[Event]) -> list[str]:
    """The events' names; of transcripts who, and whether final."""
    return [
        f"{event.role}{' final' if event.final else ''}"
        if isinstance(event, TranscriptUpdate)
        else type(event).__name__
        for event in events
        if not (isinstance(event, TranscriptUpdate) and event.role == "user" and not event.final)
    ]


def finals(events: list[Event], role: str = "assistant") -> list[str]:
    return [
        event.text for event in events if isinstance(event, TranscriptUpdate) and event.final and event.role == role
    ]


def statuses(events: Events) -> list[str]:
    return [event.status for event in events.seen if isinstance(event, ResponseDone)]


def cut(events: Events, item_id: str | None = None, played_ms: int | None = None) -> CancelResponse:
    """The command that cuts the last response that began."""
    started = [event.response_id for event in events.seen if isinstance(event, ResponseStarted)]
    return CancelResponse(started[-1], item_id, played_ms)
