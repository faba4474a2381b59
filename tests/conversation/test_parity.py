"""The same conversations with every provider, through the public API alone.

OpenAI and Gemini are the strict loopback servers; the offline engine hears and speaks with its real models, and a
loopback chat endpoint answers for its language model, so that answers can be scripted and tools called.
"""

import asyncio
import contextlib
import json
import tempfile
import wave
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import DATA
from tests.loopback import gemini_server, openai_server
from tests.providers.local.test_endpoint import Server as ChatServer
from tests.providers.local.test_endpoint import call as chat_call
from tests.providers.local.test_endpoint import end as chat_end
from tests.providers.local.test_endpoint import text as chat_text
from tests.replay.checks import replay_alike
from tests.support.serving import serving
from voicecli import (
    AuthenticationError,
    LocalSettings,
    RealtimeConfig,
    RealtimeConnectionError,
    RealtimeVoice,
    Reconnect,
    VADMode,
    VoiceSession,
)
from voicecli.events import (
    AudioChunk,
    Event,
    Interrupted,
    Reconnecting,
    ResponseDone,
    ResponseStarted,
    SessionEnded,
    SessionStarted,
    TranscriptUpdate,
)
from voicecli.transcript import Turn

QUESTION = "What is the capital of France?"
QUICK = Reconnect(first_delay_s=0.01, max_delay_s=0.01)


@dataclass(frozen=True)
class Say:
    """The model's way with the next turn.

    Attributes:
        calls: tools called first, as (name, arguments).
        sound_ms: how long the answer sounds, where the test can choose.
    """

    text: str
    calls: tuple[tuple[str, dict[str, Any]], ...] = ()
    sound_ms: int = 0


class Backend:
    """A provider with a script.

    Attributes:
        seen: all that the model was told, as JSON.
    """

    name = ""
    networked = True

    def __init__(self, script: Sequence[Say], *, fault: str = "") -> None:
        self.script = script
        self.fault = fault

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncIterator[dict[str, Any]]:
        """The settings that lead there."""
        raise NotImplementedError
        yield {}

    @property
    def seen(self) -> str:
        raise NotImplementedError


class OpenAI(Backend):
    name = "openai"

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncIterator[dict[str, Any]]:
        replies = []
        for say in self.script:
            if say.calls:
                calls = tuple(openai_server.Call(name=name, arguments=json.dumps(args)) for name, args in say.calls)
                replies.append(openai_server.Reply(text="", calls=calls))
            sound = openai_server.tone(say.sound_ms) if say.sound_ms else None
            replies.append(openai_server.Reply(text=say.text, audio=sound))
        faults = {"drop": [openai_server.Fault(stage="mid_response")]}.get(self.fault, [])
        refuse = {"refuse": [openai_server.Refuse(status=403)]}.get(self.fault, [])
        self.server = openai_server.OpenAIServer(
            replies=replies, hears=[QUESTION] * 3, faults=faults, refuse=refuse, delay_s=0.002 if self.fault else 0
        )
        async with self.server:
            yield {"base_url": self.server.url, "api_key": openai_server.KEY}

    @property
    def seen(self) -> str:
        return json.dumps(self.server.frames)


class Gemini(Backend):
    name = "gemini"

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncIterator[dict[str, Any]]:
        replies = []
        for say in self.script:
            calls = tuple(gemini_server.Call(name=name, args=args) for name, args in say.calls)
            sound = openai_server.tone(say.sound_ms) if say.sound_ms else None
            if calls:
                replies.append(gemini_server.Reply(text="", calls=calls, after=say.text))
            else:
                replies.append(gemini_server.Reply(text=say.text, audio=sound))
        faults = {"drop": [gemini_server.Fault(stage="mid_response")]}.get(self.fault, [])
        refuse = {"refuse": [gemini_server.Refuse(status=403)]}.get(self.fault, [])
        self.server = gemini_server.GeminiServer(
            replies=replies, hears=[QUESTION] * 3, faults=faults, refuse=refuse, delay_s=0.002 if self.fault else 0
        )
        async with self.server:
            yield {"base_url": self.server.url, "api_key": gemini_server.KEY}

    @property
    def seen(self) -> str:
        return json.dumps(self.server.frames, default=repr)


class ScriptedChat(ChatServer):
    """Answers each question with the next of its script."""

    def __init__(self, script: Sequence[Say]) -> None:
        super().__init__()
        self._answers: deque[list[dict[str, Any]]] = deque()
        for say in script:
            if say.calls:
                calls = [
                    chat_call(index, id=f"call_{index}", name=name, arguments=json.dumps(args))
                    for index, (name, args) in enumerate(say.calls)
                ]
                self._answers.append([*calls, chat_end("tool_calls")])
            self._answers.append([chat_text(say.text), chat_end()])

    @property
    def reply(self) -> tuple[int, str, Sequence[str]]:
        chunks = self._answers.popleft() if self._answers else [chat_text("Hello."), chat_end()]
        usage = {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 5}}
        return (
            200,
            "text/event-stream",
            [*(f"data: {json.dumps(chunk)}\n\n" for chunk in [*chunks, usage]), "data: [DONE]\n\n"],
        )

    @reply.setter
    def reply(self, value: object) -> None:
        """The base class sets a first one."""


class Local(Backend):
    name = "local"
    networked = False

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncIterator[dict[str, Any]]:
        with serving(ScriptedChat(self.script)) as self.server:
            yield {"provider_settings": LocalSettings(llm=self.server.url)}

    @property
    def seen(self) -> str:
        return json.dumps(self.server.requests)


BACKENDS: list[type[Backend]] = [OpenAI, Gemini, Local]
NETWORKED = [backend for backend in BACKENDS if backend.networked]
every = pytest.mark.parametrize("kind", BACKENDS, ids=lambda kind: kind.name)
networked = pytest.mark.parametrize("kind", NETWORKED, ids=lambda kind: kind.name)


@pytest.fixture
def question() -> bytes:
    """PCM16 mono at 16 kHz, with silence at its end."""
    with wave.open(str(DATA / "question.wav")) as file:
        return bytes(file.readframes(file.getnframes())) + bytes(32_000)


@contextlib.asynccontextmanager
async def talk(
    backend: Backend,
    *,
    tools: Any = (),
    handlers: Any = None,
    history: Sequence[Turn] = (),
    vad_mode: VADMode = VADMode.NONE,
    **settings: Any,
) -> AsyncIterator[VoiceSession]:
    """A conversation, which is recorded: its replay gives the same events."""
    async with backend.serve() as where:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "session.jsonl"
            chosen: dict[str, Any] = {"vad_mode": vad_mode, "response_timeout_s": 20, "reconnect": QUICK}
            config = RealtimeConfig(**chosen | where | settings, session_file=str(path))
            voice = RealtimeVoice(provider=backend.name, config=config, tools=tools)
            if handlers is not None:
                handlers(voice)
            try:
                async with voice.connect(history=history) as session:
                    yield session
            finally:
                text = path.read_text()
                assert str(where.get("api_key", "sk-")) not in text
                assert str(where.get("base_url", "sk-")) not in text
                replay_alike(path)


async def collect(session: VoiceSession) -> list[Event]:
    return [event async for event in session]


def check_order(events: Sequence[Event]) -> None:
    """Check the promises that `voicecli.events` makes of every provider."""
    assert isinstance(events[-1], SessionEnded)
    running: str | None = None
    texts: dict[str, str] = {}
    finals: set[str] = set()
    for event in events:
        match event:
            case ResponseStarted(response_id):
                assert running is None, "one response at a time"
                running = response_id
            case ResponseDone(response_id):
                assert running == response_id, "done comes once, after its start"
                running = None
            case AudioChunk(audio, response_id=response_id):
                assert running == response_id
                assert audio
                assert len(audio) % 2 == 0
            case TranscriptUpdate(_, item_id, text, final, interrupted):
                assert item_id not in finals or interrupted, "nothing after the final but a cut"
                if not final:
                    assert text.startswith(texts.get(item_id, "")[:3]), "partials carry the text so far"
                texts[item_id] = text
                if final:
                    finals.add(item_id)
    assert running is None


# -- turns


@every
async def test_text_turn(kind: type[Backend]) -> None:
    backend = kind([Say("The capital is Paris.")])
    async with talk(backend) as session:
        response = await session.send_text(QUESTION)
    assert response is not None
    assert response.transcript == "The capital is Paris."
    assert response.user_transcript == QUESTION
    assert response.status == "completed"
    assert len(response.audio) > response.sample_rate // 10
    assert response.metrics.first_audio_ms is not None
    assert QUESTION in backend.seen


@every
@pytest.mark.parametrize("vad_mode", list(VADMode), ids=lambda mode: mode.value)
async def test_voice_turn(kind: type[Backend], vad_mode: VADMode, question: bytes) -> None:
    """Streamed in chunks, as from a microphone; words and sound reach the handlers in order."""
    said: list[tuple[str, str, bool]] = []
    sound: list[bytes] = []

    def listen(voice: RealtimeVoice) -> None:
        voice.on_transcript(lambda text, final, role: said.append((role, text, final)))
        voice.on_audio(sound.append)

    async with talk(kind([Say("It is Paris.")]), handlers=listen, vad_mode=vad_mode) as session:
        events = asyncio.create_task(collect(session))
        for start in range(0, len(question), 1280):
            await session.send_audio(question[start : start + 1280], sample_rate=16_000)
            await session.drain()
        await session.end_turn()
        await session.wait_for_reply()
    finals = [(role, text) for role, text, final in said if final]
    assert finals == [("user", QUESTION), ("assistant", "It is Paris.")]
    assert [role for role, *_ in said] == sorted((role for role, *_ in said), reverse=True), "the user's words first"
    assert sum(map(len, sound)) > 4_000
    check_order(await events)


@every
@pytest.mark.parametrize("vad_mode", list(VADMode), ids=lambda mode: mode.value)
async def test_one_utterance_in_one_answer_out(kind: type[Backend], vad_mode: VADMode, question: bytes) -> None:
    async with talk(kind([Say("It is Paris.")]), vad_mode=vad_mode) as session:
        response = await session.send_audio(question, sample_rate=16_000)
    assert response is not None
    assert (response.user_transcript, response.transcript) == (QUESTION, "It is Paris.")


@every
async def test_a_long_conversation_keeps_every_word_once(kind: type[Backend]) -> None:
    turns = 12
    async with talk(kind([Say(f"Answer {n} it is.") for n in range(turns)])) as session:
        for n in range(turns):
            await session.send_text(f"Question {n}?")
        history = session.history
        usage = session.usage
    expected = [
        line for n in range(turns) for line in (("user", f"Question {n}?"), ("assistant", f"Answer {n} it is."))
    ]
    assert [(turn.role, turn.text) for turn in history] == expected
    assert all(turn.final for turn in history)
    assert usage.input_tokens > turns
    assert usage.output_tokens > turns
    assert usage.cost_usd is not None


# -- tools


def weather(city: str) -> dict[str, str]:
    """Tell the weather.

    Args:
        city: Where.
    """
    return {"city": city, "sky": "clear"}


async def clock() -> str:
    """Tell the time."""
    return "noon exactly"


@every
async def test_tool_call(kind: type[Backend]) -> None:
    backend = kind([Say("A clear sky.", calls=(("weather", {"city": "Rome"}),))])
    async with talk(backend, tools=[weather, clock]) as session:
        events = asyncio.create_task(collect(session))
        await asyncio.sleep(0)
        response = await session.send_text("The weather in Rome?", wait=True)
        tool = next(turn for turn in session.history if turn.role == "tool")
    assert response is not None
    assert response.transcript == "A clear sky."
    assert tool.name == "weather"
    assert json.loads(tool.arguments) == {"city": "Rome"}
    assert json.loads(tool.text) == {"city": "Rome", "sky": "clear"}
    assert "clear" in backend.seen
    check_order(await events)


@every
async def test_parallel_tools_are_answered_together(kind: type[Backend]) -> None:
    backend = kind([Say("Both known.", calls=(("weather", {"city": "Rome"}), ("clock", {})))])
    async with talk(backend, tools=[weather, clock]) as session:
        response = await session.send_text("Weather and time?")
        names = [turn.name for turn in session.history if turn.role == "tool"]
    assert response is not None
    assert response.transcript == "Both known."
    assert sorted(names) == ["clock", "weather"]
    assert "noon exactly" in backend.seen


@every
async def test_a_tool_that_fails_is_told_to_the_model(kind: type[Backend]) -> None:
    def weather(city: str) -> str:
        """Tell the weather."""
        raise OSError("the window is stuck")

    backend = kind([Say("Sorry.", calls=(("weather", {"city": "Rome"}),))])
    async with talk(backend, tools=[weather]) as session:
        response = await session.send_text("The weather in Rome?")
    assert response is not None
    assert response.transcript == "Sorry."
    assert "the window is stuck" in backend.seen


# -- interruption


LONG = "One two three four five six seven eight nine ten eleven twelve. " * 8


@every
async def test_interruption_cuts_the_reply_and_the_next_turn_works(kind: type[Backend]) -> None:
    backend = kind([Say(LONG.strip(), sound_ms=30_000), Say("Yes.")])
    async with talk(backend) as session:
        events = asyncio.create_task(collect(session))
        await asyncio.sleep(0)
        await session.send_text("Count.", wait=False)
        async for event in session:
            if isinstance(event, AudioChunk):
                break
        await session.interrupt()
        await session.wait_for_reply()
        response = await session.send_text("Are you there?", wait=True)
        counted = session.history[1]
    assert response is not None
    assert response.transcript == "Yes."
    assert counted.role == "assistant"
    assert counted.interrupted
    assert len(counted.text) < len(LONG) / 2, "what was not heard is not remembered"
    seen = await events
    assert sum(isinstance(event, Interrupted) for event in seen) == 1
    first = next(event for event in seen if isinstance(event, ResponseDone))
    assert first.status in {"cancelled", "completed"}  # all of it may have been made already
    check_order(seen)


# -- the network


@networked
async def test_a_connection_lost_amid_the_reply_loses_no_word(kind: type[Backend]) -> None:
    backend = kind([Say("The answer has seven words in all."), Say("Second."), Say("Third.")], fault="drop")
    async with talk(backend) as session:
        events = asyncio.create_task(collect(session))
        await asyncio.sleep(0)
        await session.send_text("First?", wait=True)
        await session.send_text("Second?", wait=True)
        history = [(turn.role, turn.text) for turn in session.history]
    seen = await events
    assert any(isinstance(event, Reconnecting) for event in seen)
    assert [event.resumed for event in seen if isinstance(event, SessionStarted)] == [False, True]
    assert [text for role, text in history if role == "user"] == ["First?", "Second?"]
    assert sum(isinstance(event, ResponseDone) for event in seen) == sum(
        isinstance(event, ResponseStarted) for event in seen
    )


@networked
async def test_a_wrong_key_is_said_and_not_shown(kind: type[Backend]) -> None:
    backend = kind([])
    with pytest.raises(AuthenticationError) as caught:
        async with talk(backend, api_key="wrong-key-0123456789"):
            pass
    assert "wrong-key-0123456789" not in str(caught.value)
    assert "_API_KEY" in caught.value.advice


@networked
async def test_a_refusal_is_one_clear_error(kind: type[Backend]) -> None:
    with pytest.raises(RealtimeConnectionError, match="403"):
        async with talk(kind([], fault="refuse")):
            pass


# -- going on elsewhere


@every
@pytest.mark.parametrize("then", BACKENDS, ids=lambda kind: f"then {kind.name}")
async def test_a_conversation_goes_on_with_another_provider(kind: type[Backend], then: type[Backend]) -> None:
    async with talk(kind([Say("Noted.")])) as session:
        await session.send_text("My dog is called Rex.")
        history = session.history
    second = then([Say("Rex.")])
    async with talk(second, history=history) as session:
        response = await session.send_text("What is my dog called?")
        assert [turn.text for turn in session.history] == [
            "My dog is called Rex.",
            "Noted.",
            "What is my dog called?",
            "Rex.",
        ]
    assert response is not None
    assert response.transcript == "Rex."
    assert "My dog is called Rex." in second.seen
    assert "Noted." in second.seen
