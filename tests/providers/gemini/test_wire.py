"""Golden conversations: what goes over the wire, both ways, and the events it means.

Each line of a file is one thing: a `command` with its arguments (bytes in base64), `redial`, a frame of the `client`
that must come next, a frame of the `server`, or an `event` that must come next, with the fields that are given. The
first line says with which settings.
"""

import base64
import dataclasses
import json
from collections import deque
from pathlib import Path
from typing import Any

import pytest

from tests.loopback.gemini_wire import check_client_frame, check_server_frame
from tests.providers.gemini.conversation import make_codec, weather
from voicecli import commands
from voicecli.config import VADMode

FILES = sorted((Path(__file__).parents[2] / "wire" / "gemini").glob("*.jsonl"))


def as_json(value: object) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: as_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def command(given: dict[str, Any]) -> commands.Command:
    kind, fields = given["type"], {key: value for key, value in given.items() if key != "type"}
    if "audio" in fields:
        fields["audio"] = base64.b64decode(fields["audio"])
    made: commands.Command = getattr(commands, kind)(**fields)
    return made


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_golden_frames(path: Path) -> None:
    first, *lines = (json.loads(line) for line in path.read_text().splitlines())
    tools, chosen = [weather] if first["tools"] else [], first.get("settings", {})
    codec = make_codec(tools, vad_mode=VADMode(first["vad_mode"]), **chosen)
    codec.open()
    sent: deque[Any] = deque()
    events: deque[Any] = deque()
    for number, line in enumerate(lines, 2):
        sent += [json.loads(message) for message in codec.data_to_send()]
        match line:
            case {"command": given}:
                codec.send(command(given))
            case {"redial": True}:
                codec.open()
            case {"client": frame}:
                check_client_frame(frame)
                assert sent.popleft() == frame, number
            case {"server": frame}:
                check_server_frame(frame)
                events += codec.receive(json.dumps(frame).encode())
            case {"event": expected}:
                event = events.popleft()
                assert expected == {
                    "type": type(event).__name__,
                    **{key: value for key, value in as_json(event).items() if key in expected},
                }, number
            case _:
                raise AssertionError(line)
    assert not sent
    assert not codec.data_to_send()
    assert not events


def test_there_are_golden_frames() -> None:
    assert {path.stem for path in FILES} >= {
        "written_turn",
        "hints",
        "spoken_turn",
        "function_call",
        "interruption",
        "resumption",
    }
