"""Servers of Gemini's protocol as they are: whatever is wrong with a message, an answer or one clear error."""

import functools
import re
from typing import Any

import pytest

from tests.loopback.loose import Fault, Frame, faults_of
from tests.loopback.loose_gemini import LooseGemini
from tests.support.loose_talk import outcome_of
from voicecli.config import RealtimeConfig
from voicecli.conversation.response import Response
from voicecli.errors import RealtimeError
from voicecli.ports import ConversationSetup
from voicecli.providers.gemini import GEMINI
from voicecli.providers.gemini.codec import GeminiCodec
from voicecli.providers.gemini.endpoint import find_endpoint
from voicecli.tools import make_tools

WAYS = ("text", "tool", "spoken")
SOUND = bytes(range(1, 241)) * 40


def ask(way: str, server: LooseGemini) -> tuple[Response | RealtimeError, list[int]]:
    calls: list[int] = []

    async def look(number: int) -> str:
        """Look at a number."""
        calls.append(number)
        return "seen"

    tools = make_tools([look]) if way == "tool" else {}
    config = RealtimeConfig(api_key="AIza-test-0123456789abcdef")
    setup = ConversationSetup(config, [tool.schema for tool in tools.values()])
    codec = GeminiCodec(setup, find_endpoint(config, {}))
    outcome = outcome_of(codec, GEMINI.capabilities, server, config, spoken=way == "spoken", tools=tools)
    return outcome, calls


def loose(way: str, fault: Fault | None = None) -> LooseGemini:
    return LooseGemini(fault, tool="look" if way == "tool" else "")


@functools.cache
def all_faults(way: str) -> list[Fault]:
    server = loose(way)
    outcome, _ = ask(way, server)
    assert isinstance(outcome, Response), outcome
    seen = {fault.kind for before in WAYS[: WAYS.index(way)] for fault in all_faults(before)}
    return [fault for fault in faults_of(server) if fault.kind not in seen]


def check_answer(way: str, outcome: Response | RealtimeError, calls: list[int]) -> None:
    assert isinstance(outcome, Response), outcome
    assert outcome.transcript == "It is three."
    assert outcome.audio == SOUND
    assert calls == ([3] if way == "tool" else [])


@pytest.mark.parametrize("way", WAYS)
def test_without_a_fault_all_is_heard(way: str) -> None:
    check_answer(way, *ask(way, loose(way)))


def wrong_with(fault: Fault, way: str) -> str:
    """What is wrong with what comes of a fault; "" when nothing is."""
    outcome, _ = ask(way, loose(way, fault))
    if isinstance(outcome, RealtimeError):
        return "" if fault.kind in _DECISIVE else f"an error: {outcome}"
    if not (outcome.audio or outcome.transcript) and str(fault) != "serverContent.turnComplete first":
        return f"nothing was said ({outcome.status})"
    damaged = fault.kind.endswith(("outputTranscription", "modelTurn")) or fault.how in {"first", "late", "twice"}
    if outcome.transcript != "It is three." and not damaged:
        return f"other words: {outcome.transcript!r}"
    return ""


# Without these there is no conversation, no end of an answer, or nobody who asks for a tool.
_DECISIVE = {"setupComplete", "serverContent.turnComplete", "toolCall"}


@pytest.mark.parametrize("way", WAYS)
def test_every_fault_is_answered_or_told(way: str) -> None:
    wrong = {str(fault): why for fault in all_faults(way) if (why := wrong_with(fault, way))}
    assert all_faults(way)
    assert not wrong


class Written(LooseGemini):
    """Writes its messages in another way."""

    def __init__(self, way: str, change: Any) -> None:
        super().__init__(tool="look" if way == "tool" else "")
        self._change = change

    def take(self, message: Frame) -> list[Frame]:
        return [self._change(frame) for frame in super().take(message)]


def snake(value: Any) -> Any:
    if isinstance(value, dict):
        return {re.sub("([A-Z])", lambda found: f"_{found[1].lower()}", name): snake(of) for name, of in value.items()}
    return [snake(inner) for inner in value] if isinstance(value, list) else value


def as_texts(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: as_texts(inner) if name != "args" else inner for name, inner in value.items()}
    if isinstance(value, list):
        return [as_texts(inner) for inner in value]
    return str(value).lower() if isinstance(value, bool | int) else value


def mime_type(kind: str | None) -> Any:
    def change(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: kind if name == "mimeType" else change(inner) for name, inner in value.items()}
        return [change(inner) for inner in value] if isinstance(value, list) else value

    return change


def alone(frame: Frame) -> Frame:
    """One object in place of a list of one, and a text in place of an object that holds nothing else."""
    match frame:
        case {"serverContent": {"outputTranscription": {"text": said}}}:
            return {"serverContent": {"outputTranscription": said}}
        case {"serverContent": {"modelTurn": {"parts": [part]}}}:
            return {"serverContent": {"modelTurn": {"parts": part}}}
        case {"toolCall": {"functionCalls": [call]}}:
            return {"toolCall": {"functionCalls": {**call, "args": '{"number": 3}'}}}
    return frame


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "change",
    [
        snake,
        as_texts,
        alone,
        mime_type("audio/pcm"),
        mime_type("Audio/PCM; rate = 24000"),
        mime_type('audio/L16;codec=pcm;rate="24000"'),
        mime_type("audio/pcm;rate=24000.0"),
        mime_type("audio/pcm;rate=unknown"),
        mime_type(""),
        mime_type(None),
    ],
)
def test_other_ways_to_write_the_same(way: str, change: Any) -> None:
    check_answer(way, *ask(way, Written(way, change)))


@pytest.mark.parametrize(
    "error", ["It is broken.", {"message": "It is broken."}, {"code": "13", "message": "It is broken."}]
)
def test_an_error_says_why_whatever_its_shape(error: object) -> None:
    class Erring(LooseGemini):
        def take(self, message: Frame) -> list[Frame]:
            return [{"error": error}] if "setup" in message else []

    outcome, _ = ask("text", Erring())
    assert isinstance(outcome, RealtimeError)
