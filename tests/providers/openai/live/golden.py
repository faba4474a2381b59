"""Golden frames of GPT-Live: how they are recorded (`python -m tests.providers.openai.live.golden`) and played back.

A file holds one conversation; a line is a command of the program, a frame of the client, a frame of the server, or an
event told to the program, in the order in which they happened. Sound is written as what it is.
"""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.loopback.live_script import Call, LiveReply, Work, tone
from tests.providers.openai.golden import describe, make_command
from tests.providers.openai.live.talk import WEATHER, LiveTalk
from voicecli.commands import AppendAudio, CancelResponse, Command, SendImage, SendText, ToolResult
from voicecli.events import AudioChunk, Event, ResponseDone, ToolCallRequest
from voicecli.ports import Ended, Expiring

__all__ = ["FILES", "SCENARIOS", "Line", "command_of", "line_of", "shortened", "whole"]

FILES = Path(__file__).parents[3] / "wire" / "openai_live"
Line = dict[str, Any]
_SOUNDS = {"100 ms of silence": bytes(4_800), "100 ms of sound": tone(100)}
_BASE64 = {base64.b64encode(sound).decode(): name for name, sound in _SOUNDS.items()}


def shortened(frame: Mapping[str, Any]) -> Line:
    """A frame with its sound as words."""
    return {name: _BASE64.get(value, value) if isinstance(value, str) else value for name, value in frame.items()}


def whole(frame: Line) -> Line:
    """The frame that was shortened."""
    sounds = {name: encoded for encoded, name in _BASE64.items()}
    return {name: sounds.get(value, value) if isinstance(value, str) else value for name, value in frame.items()}


def line_of(command: Command) -> Line:
    """A command as JSON."""
    line = describe(command)
    if isinstance(command, AppendAudio):
        line["audio"] = {"base64": _BASE64[line["audio"]["base64"]]}
    return line


def command_of(line: Line) -> Command:
    if line["name"] == "AppendAudio":
        return AppendAudio(_SOUNDS[line["audio"]["base64"]], line["realtime"])
    return make_command(line)


class Recorder(LiveTalk):
    """A conversation that writes down all that happens in it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.lines: list[Line] = []
        super().__init__(*args, **options)

    def dial(self) -> None:
        if self.sessions:
            self.lines.append({"command": {"name": "open"}})
        super().dial()

    def send(self, *commands: Command) -> None:
        for command in commands:
            self.lines.append({"command": line_of(command)})
            super().send(command)

    def close(self) -> None:
        self.lines.append({"command": {"name": "close"}})
        super().close()

    def flush(self) -> None:
        while data := self.codec.data_to_send():
            frames = [json.loads(message) for message in data]
            self.sent += frames
            self.lines += [{"client": shortened(frame)} for frame in frames]
            for message in data:
                self.give(*self.session.receive(message))
        assert not self.session.violations

    def give(self, *frames: dict[str, Any]) -> list[Event | Expiring | Ended]:
        told: list[Event | Expiring | Ended] = []
        for frame in frames:
            self.lines.append({"server": shortened(frame)})
            new = super().give(frame)
            self.lines += [{"event": describe(event)} for event in new if not isinstance(event, Ended)]
            told += new
        return told


def spoken() -> Recorder:
    talk = Recorder(hears=["How are you?"], replies=[LiveReply(text="I am fine.")])
    talk.speak(600)
    talk.until(ResponseDone)
    return talk


def typed() -> Recorder:
    talk = Recorder(replies=[LiveReply(text="A dot.")])
    talk.send(SendImage(b"\x89PNG", "image/png"), SendText("What is it?", "what", "input_1"))
    talk.until(ResponseDone)
    talk.close()
    talk.run(300)
    return talk


def tools() -> Recorder:
    work = Work(calls=(Call(name="weather", arguments='{"place":"Rome"}'), Call(name="weather")))
    talk = Recorder(hears=["Weather?"], replies=[LiveReply(text="Rain.", first="Wait.", work=work)], tools=[WEATHER])
    talk.speak(500)
    talk.until(ToolCallRequest)
    for call in talk.all(ToolCallRequest):
        talk.send(ToolResult(call.call_id, '{"sky":"grey"}'))
    talk.until(ResponseDone)
    return talk


def stop() -> Recorder:
    talk = Recorder(hears=["Count."], replies=[LiveReply(text="One two three four five six.")])
    talk.speak(500)
    talk.until(AudioChunk)
    talk.run(600)
    chunk = talk.all(AudioChunk)[-1]
    talk.send(CancelResponse(chunk.response_id, chunk.item_id, 400))
    talk.until(ResponseDone)
    return talk


def redial() -> Recorder:
    talk = Recorder(replies=[LiveReply(text="Fine."), LiveReply(text="Lost."), LiveReply(text="Yes.")])
    talk.send(SendText("How are you?", "first"))
    talk.until(ResponseDone)
    talk.send(SendText("Sure?", "second"))
    talk.dial()
    talk.until(ResponseDone)
    return talk


SCENARIOS: Sequence[Callable[[], Recorder]] = (spoken, typed, tools, stop, redial)


def main() -> None:
    FILES.mkdir(parents=True, exist_ok=True)
    for scenario in SCENARIOS:
        lines = [json.dumps(line, separators=(",", ":")) for line in scenario().lines]
        (FILES / f"{scenario.__name__}.jsonl").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
