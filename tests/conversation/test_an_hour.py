"""An hour's conversation in virtual time: what it costs is told alike everywhere, and is what the server billed."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.loopback import gemini_session, openai_script
from tests.loopback.gemini_session import GeminiSession, Google
from tests.loopback.openai_session import OpenAISession
from tests.support.codec_connection import CodecConnection
from tests.support.virtual_time import run_without_io
from voicecli import RealtimeConfig, RealtimeVoice, VADMode
from voicecli.cli.log_costs import cost_sums
from voicecli.commands import Command
from voicecli.conversation.limits import Spent
from voicecli.events import Event, Reconnecting, ResponseDone, SessionStarted, Usage
from voicecli.history.folding import Fold, Row
from voicecli.history.records import ConversationRecord
from voicecli.history.store import Store
from voicecli.ports import Codec, Connection, ConversationSetup
from voicecli.providers import find_provider
from voicecli.providers.gemini.codec import GeminiCodec
from voicecli.providers.gemini.endpoint import find_endpoint
from voicecli.providers.openai import OpenAICodec

TURNS = 120  # one every half minute
STEP_S = 0.05  # between two things that the model says
CENT = 0.01
# US dollars per million tokens, as the providers publish them for their default models: input, cached input, output.
OPENAI = {"text": (4.00, 0.40, 24.00), "audio": (32.00, 0.40, 64.00), "image": (5.00, 0.50, 0.0)}
OPENAI_TRANSCRIPTION_MINUTE = 0.0045
GEMINI_IN = {"TEXT": 0.75, "AUDIO": 3.00, "IMAGE": 1.00}
GEMINI_OUT = {"TEXT": 4.50, "AUDIO": 12.00}


def openai_bill(frames: list[dict[str, Any]]) -> float:
    dollars = 0.0
    for frame in frames:
        if frame["type"] == "response.done" and (usage := frame["response"]["usage"]):
            given, made = usage["input_token_details"], usage["output_token_details"]
            for kind, (fresh, cached, out) in OPENAI.items():
                from_cache = given["cached_tokens_details"].get(f"{kind}_tokens", 0)
                dollars += (given.get(f"{kind}_tokens", 0) - from_cache) * fresh / 1e6 + from_cache * cached / 1e6
                dollars += made.get(f"{kind}_tokens", 0) * out / 1e6
        elif frame["type"].endswith("input_audio_transcription.completed"):
            dollars += frame["usage"]["seconds"] / 60 * OPENAI_TRANSCRIPTION_MINUTE
    return dollars


def gemini_bill(frames: list[dict[str, Any]]) -> float:
    usages = [frame["usageMetadata"] for frame in frames if "usageMetadata" in frame]
    given = (detail for usage in usages for detail in usage["promptTokensDetails"])
    made = (detail for usage in usages for detail in usage["responseTokensDetails"])
    micros: float = sum(detail["tokenCount"] * GEMINI_IN[detail["modality"]] for detail in given)
    micros += sum(detail["tokenCount"] * GEMINI_OUT[detail["modality"]] for detail in made)
    return micros / 1e6


async def look(what: str) -> str:
    """Look something up."""
    return f"{what}: nothing"


class Line(CodecConnection):
    """A codec and the strict sessions of a server, one after the other, joined without a network."""

    def __init__(self, codec: Codec, dial: Callable[[], Any], setup: ConversationSetup) -> None:
        super().__init__(codec, find_provider("openai" if isinstance(codec, OpenAICodec) else "gemini").capabilities)
        self.sessions: list[Any] = []
        self._dial = dial
        self._unread: list[dict[str, Any]] = []
        self._sent = asyncio.Event()
        self._serving: asyncio.Task[None] | None = None
        self.connect()

    def connect(self) -> None:
        self.sessions.append(self._dial())
        self.codec.open()
        self._unread = self.sessions[-1].start() if isinstance(self.sessions[-1], OpenAISession) else []
        self.flush()
        self._serving = self._serving or asyncio.create_task(self._serve())

    def flush(self) -> list[dict[str, Any]]:
        for data in self.codec.data_to_send():
            self._unread += self.sessions[-1].receive(data.decode())
        assert not self.sessions[-1].violations
        self._sent.set()
        return []

    async def _serve(self) -> None:
        while True:
            while frames := self._unread or self.sessions[-1].step():
                self._unread = []
                self.read(frames)
                await asyncio.sleep(STEP_S)
            self._sent.clear()
            await self._sent.wait()

    async def aclose(self) -> None:
        if self._serving is not None:
            self._serving.cancel()
        await super().aclose()

    @property
    def bill(self) -> float:
        """What the server would ask for all that it has sent."""
        sent = [frame for session in self.sessions for frame in session.sent]
        return openai_bill(sent) if isinstance(self.codec, OpenAICodec) else gemini_bill(sent)


class History:
    """Keeps what becomes final, as the history does, but for its thread."""

    def __init__(self) -> None:
        self._fold = Fold()
        self._rows: list[Row] = []

    def event(self, event: Event, at_ms: float) -> None:
        self._fold.event(event, at_ms)
        self._rows += self._fold.take()

    def command(self, command: Command, at_ms: float) -> None:
        self._fold.command(command, at_ms)
        self._rows += self._fold.take()

    def kept(self, path: Path) -> ConversationRecord:
        """The conversation as the store gives it."""
        with Store(path, create=True) as store:
            began = datetime(2026, 5, 4, tzinfo=UTC)
            id_ = store.begin(ConversationRecord(id="", started_at=began, provider="p", model="m"))
            store.save(id_, self._rows)
            return store.conversation(id_)


def line(provider: str, setup: ConversationSetup) -> Line:
    """The other side of an hour: every tenth answer follows the call of a tool."""
    replies: list[Any] = []
    for number in range(TURNS):
        text = f"Answer {number} it is, and there is more to say of that."
        if number % 10 != 5:
            replies.append(MODULES[provider].Reply(text=text))
        elif provider == "openai":
            call = openai_script.Call(name="look", arguments='{"what": "it"}')
            replies += [openai_script.Reply(text="", calls=(call,)), openai_script.Reply(text=text)]
        else:
            calls = (gemini_session.Call(name="look", args={"what": "it"}),)
            replies.append(gemini_session.Reply(text="", calls=calls, after=text))
    hears = ["What is it?"] * TURNS
    if provider == "openai":
        left, heard = deque(replies), deque(hears)
        return Line(OpenAICodec(setup), lambda: OpenAISession(replies=left, hears=heard), setup)
    google = Google()
    google.replies.extend(replies)
    google.hears.extend(hears)
    codec = GeminiCodec(setup, find_endpoint(setup.config, {}))
    return Line(codec, lambda: GeminiSession(google), setup)


MODULES: dict[str, Any] = {"openai": openai_script, "gemini": gemini_session}


@pytest.mark.parametrize("provider", ["openai", "gemini"])
def test_an_hours_costs_agree_to_the_cent(provider: str, tmp_path: Path) -> None:
    lines: list[Line] = []
    history, events = History(), list[Event]()

    async def connect(setup: ConversationSetup) -> Connection:
        lines.append(line(provider, setup))
        return lines[0]

    async def read(told: AsyncIterator[Event]) -> None:
        async for event in told:
            events.append(event)

    async def hour() -> tuple[Usage, Spent]:
        config = RealtimeConfig(api_key="AIza-test-0123456789abcdef", vad_mode=VADMode.NONE, max_cost=1_000)
        voice = RealtimeVoice(replace(find_provider(provider), connect=connect), config=config, tools=[look])
        async with voice.connect(logs=[history]) as session:
            reading = asyncio.create_task(read(aiter(session)))
            for number in range(TURNS):
                if number % 2:
                    await session.send_text(f"Question {number}?", wait=False)
                else:
                    await session.send_audio(openai_script.tone(2_000), sample_rate=24_000, wait=False)
                    await session.end_turn()
                if number % 10 == 8:  # the user stops the answer
                    await asyncio.sleep(10 * STEP_S)
                    await session.interrupt()
                await session.wait_for_reply()
                if number in (40, 80):  # the socket is changed
                    lines[0].tell(Reconnecting(1, 0.0, "lost"))
                    lines[0].connect()
                await asyncio.sleep(3_600 / TURNS)
            usage, spent = session.usage, session.spent
        await reading
        return usage, spent

    usage, spent = run_without_io(hour())
    bill = lines[0].bill
    done = [event for event in events if isinstance(event, ResponseDone)]
    assert len(done) >= TURNS
    assert {event.status for event in done} == {"completed", "cancelled"}
    assert [event.resumed for event in events if isinstance(event, SessionStarted)] == [False, True, True]
    assert bill > 5 * CENT
    assert usage.cost_usd == pytest.approx(bill, abs=1e-6)
    assert sum(event.usage.cost_usd or 0 for event in done) == pytest.approx(bill, abs=1e-6)
    assert spent.cost_usd == usage.cost_usd
    assert spent.minutes >= 60
    kept = history.kept(tmp_path / "history.db")
    assert kept.usage.cost_usd == pytest.approx(bill, abs=1e-6)
    assert len(kept.responses) == len(done)
    _, total = cost_sums([kept], "day")
    assert total.usage.cost_usd == pytest.approx(bill, abs=1e-6)
    assert total.unknown == 0
