"""The golden frames: how they are recorded, `python -m tests.providers.openai.golden`, and how they are played back.

A file holds one conversation; a line is a command of the program, a frame of the client, a frame of the server, or
an event told to the program, in the order in which they happened.
"""

import base64
import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.loopback.openai_script import Call, McpCall, Reply, tone
from tests.providers.openai.conversation import WEATHER, Conversation
from voicecli import commands
from voicecli.commands import AnswerApproval, AppendAudio, Command, EndTurn, SendImage, SendText, StartTurn, ToolResult
from voicecli.config import RealtimeConfig, ServerVAD, VADMode
from voicecli.events import ApprovalRequest, AudioChunk, Event, ToolCallRequest
from voicecli.ports import Expiring
from voicecli.providers.openai.settings import OpenAIMCPServer, OpenAISettings

__all__ = ["FILES", "HINTS", "IDLE", "MCP", "SCENARIOS", "Line", "describe", "make_command"]

FILES = Path(__file__).parents[2] / "wire" / "openai"
Line = dict[str, Any]
KEYED = RealtimeConfig(api_key="sk-test", vad_mode=VADMode.NONE)
PLAIN = RealtimeConfig(api_key="sk-test", system_prompt="Be brief.", language="en")
MCP = dataclasses.replace(
    PLAIN, provider_settings=OpenAISettings(mcp_servers=(OpenAIMCPServer(label="docs", url="https://docs.example"),))
)
IDLE = dataclasses.replace(PLAIN, turn_detection=ServerVAD(idle_timeout_ms=5_000))
HINTS = RealtimeConfig(
    api_key="sk-test",
    voice="voice_1234",
    provider_settings=OpenAISettings(
        transcription_keywords=("voicecli",),
        transcription_languages=("en", "pt-BR"),
        transcription_prompt="A terminal.",
        noise_reduction="far_field",
        noise_reduction_strength=0.5,
    ),
)


class Recorder(Conversation):
    """A conversation that writes down all that happens in it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.lines: list[Line] = []
        super().__init__(*args, **options)

    def send(self, *sent: Command) -> None:
        for command in sent:
            self.lines.append({"command": describe(command)})
            super().send(command)

    def flush(self) -> None:
        before = len(self.sent)
        super().flush()
        self.lines += [{"client": frame} for frame in self.sent[before:]]

    def give(self, *frames: dict[str, Any]) -> list[Event | Expiring]:
        told: list[Event | Expiring] = []
        for frame in frames:
            self.lines.append({"server": frame})
            at = len(self.lines)
            new = super().give(frame)
            self.lines[at:at] = [{"event": describe(event)} for event in new]
            told += new
        return told


def describe(thing: object) -> Line:
    """A command or an event as JSON; long audio as its length."""
    assert dataclasses.is_dataclass(thing)
    assert not isinstance(thing, type)
    fields = {field.name: getattr(thing, field.name) for field in dataclasses.fields(thing)}
    if isinstance(thing, AudioChunk):
        fields["audio"] = f"{len(thing.audio)} bytes"
    return {"name": type(thing).__name__, **json.loads(json.dumps(fields, default=_plain))}


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    assert dataclasses.is_dataclass(value)
    assert not isinstance(value, type)
    return dataclasses.asdict(value)


def make_command(line: Line) -> Command:
    fields = {
        name: base64.b64decode(value["base64"]) if isinstance(value, dict) else value
        for name, value in line.items()
        if name != "name"
    }
    command: Command = getattr(commands, line["name"])(**fields)
    return command


def voice_turn() -> Iterator[Line]:
    talk = Recorder(PLAIN, hears=["How are you?"], replies=[Reply(text="Fine.", audio=tone(40), delta_bytes=961)])
    talk.send(AppendAudio(tone(100)), AppendAudio(bytes(48 * 520)))
    talk.settle()
    yield from talk.lines


def push_to_talk() -> Iterator[Line]:
    talk = Recorder(KEYED, hears=["Go on"], replies=[Reply(text="On.", audio=tone(20))])
    talk.send(StartTurn(), AppendAudio(tone(120)), EndTurn())
    talk.settle()
    yield from talk.lines


def tools() -> Iterator[Line]:
    calls = (Call(name="weather", arguments='{"place":"Rome"}'), Call(name="weather", arguments=""))
    replies = [Reply(text="", commentary="Wait.", audio=tone(20), calls=calls), Reply(text="Rain.", audio=tone(20))]
    talk = Recorder(PLAIN, tools=[WEATHER], replies=replies)
    talk.send(SendText("The weather?", "question"))
    talk.settle()
    for call in talk.all(ToolCallRequest):
        talk.send(ToolResult(call.call_id, '{"sky":"grey"}'))
    talk.settle()
    yield from talk.lines


def mcp() -> Iterator[Line]:
    failed = {"type": "http_error", "code": 503, "message": "Busy."}
    asked = McpCall(name="search", arguments='{"q":"dots"}', needs_approval=True, output="3 dots")
    replies = [Reply(text="", mcp=asked), Reply(text="", mcp=McpCall(name="count", error=failed))]
    talk = Recorder(MCP, replies=[*replies, Reply(text="Three.", audio=tone(20))])
    tool = {"name": "search", "description": "Search.", "input_schema": {"type": "object"}}
    listed: Line = {"id": "mcpl_1", "type": "mcp_list_tools", "server_label": "docs", "tools": []}
    talk.give({"type": "conversation.item.added", "event_id": "e1", "item": listed, "previous_item_id": None})
    listed = listed | {"tools": [tool]}
    talk.give({"type": "conversation.item.done", "event_id": "e2", "item": listed, "previous_item_id": None})
    talk.send(SendText("Search", "question"))
    talk.settle()
    talk.send(AnswerApproval(talk.all(ApprovalRequest)[0].approval_id, True))
    talk.settle()
    yield from talk.lines


def interruption() -> Iterator[Line]:
    reply = Reply(text="one two three four", audio=tone(80), delta_bytes=960)
    talk = Recorder(PLAIN, replies=[reply, Reply(text="Yes?", audio=tone(20))], late_deltas=1)
    talk.send(SendText("Count", "count"))
    while len(talk.all(AudioChunk)) < 2:
        talk.step()
    talk.send(talk.cut(talk.all(AudioChunk)[-1].item_id, 20), SendText("Stop", "stop"))
    talk.settle()
    yield from talk.lines


def written() -> Iterator[Line]:
    config = dataclasses.replace(PLAIN, output="text", model="gpt-realtime-1.5")
    talk = Recorder(config, replies=[Reply(text="A dot.")])
    talk.send(SendImage(b"\x89PNG", "image/png"), SendText("What is it?", "what"))
    talk.settle()
    yield from talk.lines


def redial() -> Iterator[Line]:
    talk = Recorder(PLAIN, replies=[Reply(text="Fine.", audio=tone(20)), Reply(), Reply(text="Yes.", audio=tone(20))])
    talk.send(SendText("How are you?", "first"))
    talk.settle()
    talk.send(SendText("Sure?", "second"))
    talk.lines.append({"command": {"name": "open"}})
    talk.dial()
    yield from talk.lines


def idle_timeout() -> Iterator[Line]:
    replies = [Reply(text="Fine.", audio=tone(20)), Reply(text="Still there?", audio=tone(20))]
    quick = {"needs_silence_ms": 40, "needs_idle_ms": 120}
    talk = Recorder(IDLE, hears=["How are you?", "Bye."], replies=replies, **quick)
    talk.send(AppendAudio(tone(100)), AppendAudio(bytes(48 * 60)))
    talk.settle()
    talk.send(AppendAudio(bytes(48 * 140)))
    talk.settle()
    yield from talk.lines


def hints() -> Iterator[Line]:
    talk = Recorder(HINTS, replies=[Reply(text="Yes.", audio=tone(20))])
    talk.session.limits = [{"name": "tokens", "limit": 40_000, "remaining": 900, "reset_seconds": 58.65}]
    talk.send(SendText("Do you hear me?", "question"))
    talk.settle()
    yield from talk.lines


SCENARIOS: Sequence[Callable[[], Iterator[Line]]] = (
    voice_turn,
    push_to_talk,
    tools,
    interruption,
    written,
    redial,
    mcp,
    idle_timeout,
    hints,
)


def main() -> None:
    FILES.mkdir(parents=True, exist_ok=True)
    for scenario in SCENARIOS:
        lines = [json.dumps(line, separators=(",", ":"), sort_keys=False) for line in scenario()]
        (FILES / f"{scenario.__name__}.jsonl").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
