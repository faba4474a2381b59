"""Turns that arrive in one read, as after a network stall: what they mean does not depend on where reads end.

Each server model writes down what a server says, and when; the same script is then read message by message, with time
for everybody between them, and in larger reads. What the program is told and what the provider is sent must be equal.
"""

import asyncio
import base64
import json
from collections import Counter, deque
from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.loopback.live_script import LiveReply, tone
from tests.loopback.live_session import LiveSession
from tests.support.codec_connection import CodecConnection
from tests.support.player import Player
from tests.support.virtual_time import run_without_io
from voicecli.audio import Playhead
from voicecli.commands import AppendAudio, CancelResponse, Command
from voicecli.config import RealtimeConfig
from voicecli.conversation.session import VoiceSession
from voicecli.events import (
    AudioChunk,
    Event,
    Interrupted,
    ResponseDone,
    ResponseStarted,
    StateChanged,
    TranscriptUpdate,
    TurnMetrics,
)
from voicecli.ports import Codec, ConversationSetup
from voicecli.providers.gemini import GEMINI
from voicecli.providers.gemini.codec import GeminiCodec
from voicecli.providers.gemini.endpoint import find_endpoint
from voicecli.providers.openai import OPENAI
from voicecli.providers.openai.codec import OpenAICodec
from voicecli.providers.openai.live import LiveCodec

Frame = dict[str, Any]

CHUNK = bytes(2 * 11_280)  # 0.47 s, so that no sound ends when a message comes
KEY = "sk-test-0123456789"
LIVE_MODEL = "gpt-live-1.1"


@dataclass(frozen=True)
class Message:
    """A message of a server, so many seconds after the one before it."""

    frame: Frame
    after_s: float = 0.0


@dataclass(frozen=True)
class Exchange:
    """A turn of the user's and what becomes of its answer.

    Attributes:
        words: what the user says; "" for a noise.
        chunks: how much sound the answer has.
        cut_after: after how many chunks the next turn begins; None when the answer is complete by then.
        words_at: before which chunk the user's words come.
        after_s: seconds before its first message.
        pause: before which of its other messages some time passes, and how much.
    """

    words: str
    chunks: int
    cut_after: int | None
    words_at: int
    after_s: float
    pause: tuple[int, float] = (0, 0.0)


def exchanges(words: st.SearchStrategy[str]) -> st.SearchStrategy[list[Exchange]]:
    cut = st.none() | st.integers(1, 2)
    pause = st.tuples(st.integers(1, 12), st.sampled_from([0.0, 0.0, 0.3, 4.0]))
    after_s = st.sampled_from([0.0, 0.2, 0.2, 0.7, 5.0])
    one = st.builds(Exchange, words, st.integers(0, 3), cut, st.integers(0, 3), after_s, pause)
    return st.lists(one, min_size=2, max_size=4)


class Script:
    """Collects messages, with the gaps of the exchange under way."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def begin(self, exchange: Exchange) -> None:
        self._gaps = {exchange.pause[0]: exchange.pause[1], 0: exchange.after_s}
        self._first = len(self.messages)

    def say(self, frame: Frame) -> None:
        self.messages.append(Message(frame, self._gaps.get(len(self.messages) - self._first, 0.0)))


def audio(data: bytes) -> str:
    return base64.b64encode(data).decode()


def openai_script(talk: Sequence[Exchange]) -> list[Message]:
    """A session with server VAD: speech cancels the response under way."""
    script = Script()
    running: Frame | None = None
    for number, exchange in enumerate(talk):
        script.begin(exchange)
        user, response, item = f"item_u{number}", f"resp_{number}", f"item_{number}"
        script.say({"type": "input_audio_buffer.speech_started", "item_id": user, "audio_start_ms": number * 9_000})
        if running is not None:
            details = {"type": "cancelled", "reason": "turn_detected"}
            over = {**running, "status": "cancelled", "status_details": details}
            script.say({"type": "response.done", "response": over})
        script.say({"type": "input_audio_buffer.speech_stopped", "item_id": user, "audio_end_ms": number * 9_000 + 900})
        script.say({"type": "input_audio_buffer.committed", "item_id": user})
        content = [{"type": "input_audio", "transcript": None}]
        spoken = {"id": user, "type": "message", "role": "user", "content": content}
        script.say({"type": "conversation.item.added", "item": spoken})
        said = {
            "type": "conversation.item.input_audio_transcription.completed",
            "item_id": user,
            "content_index": 0,
            "transcript": exchange.words,
        }
        script.say({"type": "response.created", "response": {"id": response}})
        ids = {"response_id": response, "item_id": item, "output_index": 0, "content_index": 0}
        message = {"id": item, "type": "message", "role": "assistant", "content": []}
        last = number == len(talk) - 1
        cut_after = None if last else exchange.cut_after
        heard = False
        for chunk in range(exchange.chunks + 1):
            if not heard and chunk >= min(exchange.words_at, exchange.chunks):
                script.say(said)
                heard = True
            if cut_after is not None and chunk >= cut_after:
                break
            if chunk == 0 and exchange.chunks:
                script.say({"type": "conversation.item.added", "item": message})
            if chunk < exchange.chunks:
                words = {"type": "response.output_audio_transcript.delta", **ids, "delta": f"word{chunk} "}
                script.say(words)
                script.say({"type": "response.output_audio.delta", **ids, "delta": audio(CHUNK)})
        if not heard:
            script.say(said)
        output = [message] if exchange.chunks else []
        if cut_after is None:
            running = None
            script.say({"type": "response.done", "response": {"id": response, "status": "completed", "output": output}})
        else:
            running = {"id": response, "output": output}
    return script.messages


def gemini_script(talk: Sequence[Exchange]) -> list[Message]:
    """A session with the server's turn detection: speech interrupts the reply until its turn is complete."""
    script = Script()
    running = False
    for number, exchange in enumerate(talk):
        script.begin(exchange)
        if running:
            script.say({"serverContent": {"interrupted": True}})
            script.say({"serverContent": {"turnComplete": True}})
        last = number == len(talk) - 1
        cut_after = None if last else exchange.cut_after
        words = {"serverContent": {"inputTranscription": {"text": exchange.words, "finished": True}}}
        script.say(words)
        for chunk in range(exchange.chunks if cut_after is None else min(cut_after, exchange.chunks)):
            blob = {"mimeType": "audio/pcm;rate=24000", "data": audio(CHUNK)}
            script.say({"serverContent": {"modelTurn": {"role": "model", "parts": [{"inlineData": blob}]}}})
            script.say({"serverContent": {"outputTranscription": {"text": f" word{chunk}"}}})
        running = cut_after is not None and min(cut_after, exchange.chunks) > 0
        if cut_after is None:
            script.say({"serverContent": {"generationComplete": True}})
            script.say({"serverContent": {"turnComplete": True}})
    return script.messages


def live_script(talk: Sequence[Exchange]) -> list[Message]:
    """A session without turns, of which something comes each 100 ms; the pause is a stall of the line."""
    answers = [LiveReply(text=" ".join(["word"] * each.chunks * 3)) for each in talk if each.chunks]
    session = LiveSession(hears=deque(each.words for each in talk), replies=deque(answers))
    start = {"type": "session.start", "event_id": "evt_1", "session": {"model": LIVE_MODEL}}
    session.receive(json.dumps(start))
    messages: list[Message] = []
    late_s = 0.0
    for exchange in talk:
        stalls_at, stall_s = exchange.pause[0] * 3, exchange.pause[1]
        for step in range(4 + 10 * (exchange.chunks + 4)):
            sound = tone(100) if step < 4 else bytes(4_800)
            append = {"type": "session.input_audio.append", "audio": audio(sound)}
            late_s += 0.1
            for frame in session.receive(json.dumps(append)):
                comes = not stalls_at <= step < stalls_at + stall_s * 10
                messages.append(Message(frame, late_s if comes else 0.0))
                late_s = 0.0 if comes else late_s
    assert not session.violations
    return messages


def openai() -> tuple[Codec, RealtimeConfig, list[Frame]]:
    config = RealtimeConfig(api_key=KEY)
    return OpenAICodec(ConversationSetup(config)), config, [{"type": "session.created"}, {"type": "session.updated"}]


def gemini() -> tuple[Codec, RealtimeConfig, list[Frame]]:
    config = RealtimeConfig(api_key=KEY)
    return GeminiCodec(ConversationSetup(config), find_endpoint(config, {})), config, [{"setupComplete": {}}]


def live() -> tuple[Codec, RealtimeConfig, list[Frame]]:
    config = RealtimeConfig(api_key=KEY, model=LIVE_MODEL)
    return LiveCodec(ConversationSetup(config)), config, [{"type": "session.started"}]


PROVIDERS = {
    "openai": (openai, openai_script, OPENAI.capabilities),
    "gemini": (gemini, gemini_script, GEMINI.capabilities),
    "live": (live, live_script, OPENAI.capabilities_of(RealtimeConfig(model=LIVE_MODEL))),
}


@dataclass
class Outcome:
    """The result of a script.

    Attributes:
        events: all that the program was told.
        commands: all that the session asked of the provider.
        frames: all that the codec sent it.
    """

    events: list[Event] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def told(self) -> list[object]:
        """The events in order, without words and measurements."""
        plain: list[object] = []
        for event in self.events:
            match event:
                case TranscriptUpdate() | StateChanged():
                    continue
                case ResponseDone(response_id, status, reason, usage):
                    plain.append((response_id, status, reason, usage))
                case _:
                    plain.append(event)
        return plain

    @property
    def words(self) -> dict[tuple[str, str], tuple[str, bool, bool]]:
        """The last telling of each utterance. The heard part of a reply is known to some milliseconds."""
        return {
            (update.role, update.item_id): ("" if update.interrupted else update.text, update.final, update.interrupted)
            for update in self.of(TranscriptUpdate)
        }

    @property
    def asked(self) -> list[Command]:
        """The commands, up to the milliseconds that were played."""
        return [
            CancelResponse(command.response_id, command.item_id, None, command.scope)
            if isinstance(command, CancelResponse)
            else command
            for command in self.commands
            if not isinstance(command, AppendAudio)
        ]

    @property
    def sent(self) -> Counter[str]:
        """The codec's frames, up to the milliseconds, their numbers, and their order: some answer commands, some the
        server, and the reads decide which of the two comes first."""
        loose = ("event_id", "audio_end_ms")
        return Counter(repr({key: frame[key] for key in sorted(frame) if key not in loose}) for frame in self.frames)


def play(name: str, messages: Sequence[Message], ends: Container[int], *, player: bool = False) -> Outcome:
    """Read the script; `ends` says before which messages a read ends, beside those that time passes before."""
    make, _, capabilities = PROVIDERS[name]

    async def talk() -> Outcome:
        codec, config, opening = make()
        connection = CodecConnection(codec, capabilities)
        connection.open()
        connection.read(opening)
        connection.frames.clear()
        session = VoiceSession(connection, config)
        await session.start()
        if player:
            session.player = Player(Playhead("item_0", 200))
        outcome = Outcome()

        async def listen() -> None:
            async for event in session:
                outcome.events.append(event)

        listening = asyncio.create_task(listen())
        read: list[Frame] = []
        for number, message in enumerate(messages):
            if read and (message.after_s or number in ends):
                connection.read(read)
                read = []
                for _ in range(12):
                    await asyncio.sleep(0)
            await asyncio.sleep(message.after_s)
            read.append(message.frame)
        connection.read(read)
        await asyncio.sleep(60)
        idle: Frame = {"usageMetadata": {}} if name == "gemini" else {"type": "rate_limits.updated"}
        connection.read([idle])  # what the codec has to say of the last command
        await asyncio.sleep(5)
        assert not session.awaiting_reply
        assert session.state == StateChanged("silent", "listening")
        outcome.commands, outcome.frames = list(connection.commands), list(connection.frames)
        await session.aclose()
        await listening
        return outcome

    return run_without_io(talk())


def check_law(outcome: Outcome) -> None:
    """Laws that hold for any legal sequence, however it is read."""
    begun: list[str] = []
    cut: set[str] = set()
    for event in outcome.events:
        match event:
            case ResponseStarted(response_id):
                begun.append(response_id)
            case Interrupted(response_id):
                assert response_id in begun, "only what had begun"
                assert response_id not in cut, "once"
                cut.add(response_id)
            case AudioChunk(response_id=response_id):
                assert response_id not in cut, "nothing of a cut reply"
    assert sorted(done.response_id for done in outcome.of(ResponseDone)) == sorted(begun)
    finals = Counter((update.role, update.item_id) for update in outcome.of(TranscriptUpdate) if update.final)
    assert all(count == 1 for (role, _), count in finals.items() if role == "user"), "no final twice"
    assert all(final for _, final, _ in outcome.words.values()), "no final is missing"


ENDS = st.lists(st.sets(st.integers(1, 40), max_size=3), min_size=2, max_size=2)
EACH = range(1_000)
WORDS = st.sampled_from(["Why?", "And then?", "Stop."])


@pytest.mark.parametrize("name", ["openai", "gemini"])
@given(talk=exchanges(WORDS), ends=ENDS)
@settings(max_examples=100, deadline=None)
def test_where_reads_end_changes_nothing(name: str, talk: list[Exchange], ends: list[set[int]]) -> None:
    reads_change_nothing(name, talk, ends)


@given(talk=exchanges(WORDS), ends=st.lists(st.sets(st.integers(1, 400), max_size=60), min_size=1, max_size=1))
@settings(max_examples=15, deadline=None)
def test_where_reads_end_changes_nothing_of_a_session_without_turns(talk: list[Exchange], ends: list[set[int]]) -> None:
    reads_change_nothing("live", talk, ends)


def reads_change_nothing(name: str, talk: list[Exchange], ends: list[set[int]]) -> None:
    script = PROVIDERS[name][1](talk)
    one_by_one = play(name, script, EACH)
    check_law(one_by_one)
    for others in (play(name, script, end) for end in ((), *ends)):
        check_law(others)
        assert others.told == one_by_one.told
        assert others.words == one_by_one.words
        assert others.asked == one_by_one.asked
        assert others.sent == one_by_one.sent


def interrupting(chunks: int, cut_after: int | None) -> list[Exchange]:
    """A reply that plays, and a turn into it of which everything comes at once."""
    return [
        Exchange("Count.", chunks, cut_after, 0, 0.0),
        Exchange("Why?", 1, None, 0, 0.2),
    ]


@pytest.mark.parametrize("cut_after", [None, 2], ids=["made", "being made"])
@pytest.mark.parametrize("player", [False, True], ids=["estimated", "played"])
def test_openai_answers_the_turn_that_interrupts_when_all_of_it_comes_in_one_read(
    player: bool, cut_after: int | None
) -> None:
    outcome = play("openai", openai_script(interrupting(3, cut_after)), (), player=player)
    check_law(outcome)
    frames = [(frame["type"], frame.get("item_id")) for frame in outcome.frames]
    assert frames == [("conversation.item.truncate", "item_0")]
    assert [event.response_id for event in outcome.of(Interrupted)] == ["resp_0"]
    assert outcome.of(AudioChunk)[-1].response_id == "resp_1"
    status = "completed" if cut_after is None else "cancelled"
    assert [done.status for done in outcome.of(ResponseDone)] == [status, "completed"]
    assert outcome.words["user", "item_u1"] == ("Why?", True, False)
    assert outcome.words["assistant", "item_1"] == ("word0 ", True, False)


def test_gemini_answers_the_turn_that_interrupts_when_all_of_it_comes_in_one_read() -> None:
    outcome = play("gemini", gemini_script(interrupting(3, 2)), ())
    check_law(outcome)
    assert [event.response_id for event in outcome.of(Interrupted)] == ["response-1"]
    assert [done.status for done in outcome.of(ResponseDone)] == ["cancelled", "completed"]
    assert outcome.of(AudioChunk)[-1].response_id == "response-2"
    assert outcome.words["assistant", "response-2.1"] == ("word0", True, False)
    assert all(done.metrics != TurnMetrics() for done in outcome.of(ResponseDone))
