"""Servers of OpenAI's protocol as they are: whatever is wrong with a message, an answer or one clear error."""

import functools
from typing import Any

import pytest

from tests.loopback.loose import Fault, Frame, faults_of
from tests.loopback.loose_openai import LooseOpenAI
from tests.support.loose_talk import outcome_of
from voicecli.config import RealtimeConfig, VADMode
from voicecli.conversation.response import Response
from voicecli.errors import RealtimeError
from voicecli.ports import ConversationSetup
from voicecli.providers.openai import OPENAI
from voicecli.providers.openai.codec import OpenAICodec
from voicecli.tools import Tool, make_tools

KEY = "sk-test-0123456789"


def triple(calls: list[int]) -> dict[str, Tool]:
    async def look(number: int) -> str:
        """Look at a number."""
        calls.append(number)
        return "seen"

    return make_tools([look])


def ask(fault: Fault | None, way: str) -> tuple[Response | RealtimeError, LooseOpenAI, list[int]]:
    calls: list[int] = []
    tools = triple(calls) if way == "tool" else {}
    vad = VADMode.NONE if way == "client turn" else VADMode.SERVER
    config = RealtimeConfig(api_key=KEY, base_url="http://127.0.0.1:9", vad_mode=vad)
    server = LooseOpenAI(fault, tool="look" if way == "tool" else "")
    codec = OpenAICodec(ConversationSetup(config, [tool.schema for tool in tools.values()]))
    spoken = way in {"client turn", "server turn"}
    outcome = outcome_of(codec, OPENAI.capabilities, server, config, spoken=spoken, tools=tools)
    return outcome, server, calls


WAYS = ("text", "tool", "client turn", "server turn")


@functools.cache
def all_faults(way: str) -> list[Fault]:
    """Those of the messages that no way before this one has."""
    outcome, server, _ = ask(None, way)
    assert isinstance(outcome, Response), outcome
    seen = {fault.kind for before in WAYS[: WAYS.index(way)] for fault in all_faults(before)}
    return [fault for fault in faults_of(server) if fault.kind not in seen]


@pytest.mark.parametrize("way", WAYS)
def test_without_a_fault_all_is_heard(way: str) -> None:
    outcome, _, calls = ask(None, way)
    assert isinstance(outcome, Response), outcome
    assert outcome.transcript == "It is three."
    assert outcome.audio == bytes(range(1, 241)) * 40
    assert calls == ([3] if way == "tool" else [])


def wrong_with(fault: Fault, way: str) -> str:
    """What is wrong with what comes of a fault; "" when nothing is."""
    outcome, _, calls = ask(fault, way)
    never_told = fault.how == "never" or fault.place == ("type",)
    if isinstance(outcome, RealtimeError):
        ends_unknown = fault.kind == "response.done" and never_told
        out_of_order = way == "server turn" and fault.how in {"first", "late"}
        return "" if ends_unknown or out_of_order else f"an error: {outcome}"
    if outcome.transcript != "It is three.":
        return f"other words: {outcome.transcript!r}"
    sound_lost = fault.kind == "response.output_audio.delta" or (fault.kind, fault.how) == ("response.done", "first")
    if not outcome.audio and not sound_lost:
        return "no sound"
    if way == "tool" and calls != [3] and "arguments" not in fault.place:
        return f"calls with {calls}"
    return ""


@pytest.mark.parametrize("way", WAYS)
def test_every_fault_is_answered_or_told(way: str) -> None:
    wrong = {str(fault): why for fault in all_faults(way) if (why := wrong_with(fault, way))}
    assert len(all_faults(way)) > 10
    assert not wrong


def broken(way: str, **replaced: object) -> tuple[Response | RealtimeError, list[int]]:
    """What comes of a server all of whose messages have these fields in place of theirs, wherever they have them."""
    calls: list[int] = []
    tools = triple(calls) if way == "tool" else {}
    config = RealtimeConfig(api_key=KEY, base_url="http://127.0.0.1:9")
    server = Replacing(replaced, tool="look" if way == "tool" else "")
    codec = OpenAICodec(ConversationSetup(config, [tool.schema for tool in tools.values()]))
    return outcome_of(codec, OPENAI.capabilities, server, config, tools=tools), calls


class Replacing(LooseOpenAI):
    def __init__(self, replaced: dict[str, object], *, tool: str) -> None:
        super().__init__(tool=tool)
        self._replaced = replaced

    def _spoiled(self, frames: list[Frame]) -> list[Frame]:
        return [self._with(frame) for frame in super()._spoiled(frames)]

    def _with(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {
                name: self._replaced[name] if name in self._replaced else self._with(inner)
                for name, inner in value.items()
            }
        return [self._with(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize("how", [None, "", 7, [], {}])
@pytest.mark.parametrize("name", ["item_id", "response_id", "call_id", "id", "content_index", "usage", "status"])
@pytest.mark.parametrize("way", ["text", "tool"])
def test_a_field_may_be_wrong_everywhere(way: str, name: str, how: object) -> None:
    outcome, calls = broken(way, **{name: how})
    if name in {"id", "response_id"} and how == 7:  # the parts of a response name another one than its end does
        assert isinstance(outcome, RealtimeError)
        return
    assert isinstance(outcome, Response), outcome
    assert outcome.transcript == "It is three."
    assert outcome.audio == bytes(range(1, 241)) * 40
    assert calls == ([3] if way == "tool" else [])


@pytest.mark.parametrize("arguments", [{"number": 3}, '{"number": 3}'])
@pytest.mark.parametrize("status", ["completed", "in_progress", None, ""])
def test_a_call_is_made_once_whatever_its_status(arguments: object, status: object) -> None:
    outcome, calls = broken("tool", arguments=arguments, status=status)
    assert isinstance(outcome, Response), outcome
    assert calls == [3]


@pytest.mark.parametrize("status", ["incomplete", "failed", "cancelled"])
def test_a_call_that_was_cut_off_is_not_made(status: str) -> None:
    _, calls = broken("tool", status=status)
    assert calls == []


class Erring(LooseOpenAI):
    """Says an error instead of anything else, once it has been asked."""

    def __init__(self, error: Frame) -> None:
        super().__init__()
        self._error = error

    def take(self, message: Frame) -> list[Frame]:
        return super().take(message) if message["type"] != "response.create" else [self._error]


@pytest.mark.parametrize(
    "error",
    [
        {"error": "It is broken."},
        {"error": None, "message": "It is broken."},
        {"error": ["It is broken."]},
        {"error": [{"message": "It is broken."}]},
        {"error": {"detail": [{"msg": "It is broken."}]}},
        {"error": {"error": {"message": "It is broken.", "code": 500}}},
        {"message": "It is broken."},
        {"detail": "It is broken."},
    ],
)
@pytest.mark.parametrize("typed", [True, False])
def test_an_error_says_why_whatever_its_shape(error: Frame, typed: bool) -> None:
    if not typed and "error" not in error:
        return
    config = RealtimeConfig(api_key=KEY, base_url="http://127.0.0.1:9")
    codec = OpenAICodec(ConversationSetup(config))
    server = Erring({"type": "error", **error} if typed else error)
    outcome = outcome_of(codec, OPENAI.capabilities, server, config)
    assert isinstance(outcome, RealtimeError)
    assert "127.0.0.1:9: It is broken." in str(outcome)


@pytest.mark.parametrize(
    "error", [{"error": None}, {"error": []}, {"error": {}}, {"error": 7}, {"error": {"code": None, "message": []}}, {}]
)
def test_an_error_that_says_nothing_is_an_error(error: Frame) -> None:
    config = RealtimeConfig(api_key=KEY, base_url="http://127.0.0.1:9")
    outcome = outcome_of(
        OpenAICodec(ConversationSetup(config)), OPENAI.capabilities, Erring({"type": "error", **error}), config
    )
    assert isinstance(outcome, RealtimeError)
    assert "no reason given" in str(outcome)
