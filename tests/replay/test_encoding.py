"""Commands, events, settings and errors as JSON, and back."""

import collections.abc
import dataclasses
import inspect
import json
import typing
from typing import Any

import pytest

from voicecli import errors
from voicecli.commands import AppendAudio, CancelResponse, Command, EndTurn, SendImage, SendText, ToolResult
from voicecli.config import RealtimeConfig, SemanticVAD, VADMode
from voicecli.errors import RealtimeConnectionError, RealtimeError
from voicecli.events import (
    AudioChunk,
    ErrorOccurred,
    Event,
    Notice,
    Reconnecting,
    ResponseDone,
    ResponseStarted,
    SessionEnded,
    TranscriptUpdate,
    TurnMetrics,
    Usage,
)
from voicecli.ports import Capabilities
from voicecli.providers import OpenAIMCPServer, OpenAISettings, Retention
from voicecli.replay.encoding import decoded, encoded
from voicecli.setting_fields import alternatives
from voicecli.tools import ToolSchema
from voicecli.transcript import Turn


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (AppendAudio(b"\0\1\xff\x7f", realtime=True), Command),
        (SendImage(b"\x89PNG", "image/png"), Command),
        (SendText("Grüße \ud800", "text_1", "input_1"), Command),
        (CancelResponse("r1", "i1", 120, scope="playback"), Command),
        (ToolResult("call_1", '{"a": 1}', is_error=True), Command),
        (EndTurn(), Command),
        (AudioChunk(bytes(10), "r1", "i1"), Event),
        (TranscriptUpdate("user", "i1", "", final=False, start_ms=3), Event),
        (ResponseStarted("r1", ("input_1", "input_2")), Event),
        (ResponseDone("r1", "failed", "why", Usage(3, cost_usd=None), TurnMetrics(first_audio_ms=4)), Event),
        (Notice("code", "message", daily=True), Event),
        (Reconnecting(1, 0.5, "why"), Event),
        (SessionEnded("closed", 1000), Event),
        (Capabilities(16_000, 24_000, turn_models=frozenset({"words"})), Capabilities),
        (Turn("tool", "call_1", "4", final=True, name="add", arguments="{}"), Turn),
        (ToolSchema("add", "Adds.", {"type": "object", "properties": {"key": {"type": "string"}}}), ToolSchema),
        (
            RealtimeConfig(vad_mode=VADMode.CLIENT, turn_detection=SemanticVAD(eagerness="low"), temperature=1),
            RealtimeConfig,
        ),
        (OpenAISettings(truncation=Retention(ratio=0.5), parallel_tool_calls=False), OpenAISettings),
    ],
    ids=lambda value: type(value).__name__,
)
def test_it_comes_back(value: object, hint: object) -> None:
    assert decoded(json.loads(json.dumps(encoded(value))), hint) == value


def sample(hint: Any) -> Any:
    """A value of this type that is no default."""
    kind: Any = alternatives(hint)[0]
    samples = {
        str: "text",
        int: 3,
        float: 0.5,
        bool: True,
        bytes: b"\0\xff",
        RealtimeError: RealtimeError("It failed."),
    }
    if kind in samples:
        return samples[kind]
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        made: Any = kind
        return made(**{field.name: sample(hints[field.name]) for field in dataclasses.fields(kind)})
    match typing.get_origin(kind):
        case typing.Literal:
            return typing.get_args(kind)[-1]
        case collections.abc.Mapping:
            return {"name": ["any", {"JSON": None}]}
    assert typing.get_origin(kind) is tuple, hint
    return (sample(typing.get_args(kind)[0]),)


@pytest.mark.parametrize("kind", [*typing.get_args(Command), *typing.get_args(Event)], ids=lambda kind: kind.__name__)
def test_every_command_and_event_comes_back(kind: Any) -> None:
    value = sample(kind)
    text = json.loads(json.dumps(encoded(value)))
    again = decoded(text, Command | Event)
    assert encoded(again) == text
    if kind is not ErrorOccurred:  # errors are equal to themselves alone
        assert again == value


@pytest.mark.parametrize("name", errors.__all__)
def test_errors_come_back_with_their_class(name: str) -> None:
    kind = getattr(errors, name)
    own = {"limit": "max_cost"} if "limit" in inspect.signature(kind).parameters else {}
    error = kind("It failed.", advice="Do this.", **own)
    if isinstance(error, RealtimeConnectionError):
        error.code, error.close_code, error.retryable, error.retry_after_s = "503", 1013, True, 2.0
    again = decoded(json.loads(json.dumps(encoded(ErrorOccurred(error)))), Event).error
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


def test_what_a_repr_does_not_show_is_hidden_and_comes_back_hidden() -> None:
    server = OpenAIMCPServer(
        label="files", url="https://files.example", authorization="secret", headers={"X": "secret"}
    )
    config = RealtimeConfig(api_key="secret", base_url="https://secret.example", headers={"X-Mine": "secret"})
    text = json.dumps([encoded(config), encoded(OpenAISettings(mcp_servers=(server,)))])
    assert "secret" not in text
    assert "files.example" not in text
    settings, own = json.loads(text)
    assert decoded(settings, RealtimeConfig).headers == {"X-Mine": "(hidden)"}
    (again,) = decoded(own, OpenAISettings).mcp_servers
    assert (again.label, again.url, again.authorization) == ("files", "(hidden)", "(hidden)")


@pytest.mark.parametrize(
    "value", [3, "x", {"class": "Nonsense"}, {"class": ["AppendAudio"]}, [], {"class": "AppendAudio"}]
)
def test_what_is_none_is_refused(value: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        decoded(value, Command)
