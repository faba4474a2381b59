"""Golden frames: lawful both ways, and the codec does with them what it did when they were recorded."""

import json
from pathlib import Path

import pytest

from tests.loopback.openai_wire import check_client_frame, check_server_frame
from tests.providers.openai.conversation import WEATHER
from tests.providers.openai.golden import FILES, HINTS, IDLE, KEYED, MCP, PLAIN, SCENARIOS, Line, describe, make_command
from voicecli.config import RealtimeConfig
from voicecli.ports import ConversationSetup
from voicecli.providers.openai import OpenAICodec

GOLDEN = sorted(FILES.glob("*.jsonl"))
CONFIGS = {
    "hints": HINTS,
    "idle_timeout": IDLE,
    "mcp": MCP,
    "push_to_talk": KEYED,
    "written": RealtimeConfig(
        api_key="sk-test", system_prompt="Be brief.", language="en", output="text", model="gpt-realtime-1.5"
    ),
}


def lines(path: Path) -> list[Line]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_all_are_there() -> None:
    assert [path.stem for path in GOLDEN] == sorted(scenario.__name__ for scenario in SCENARIOS)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_frames_are_those_of_the_official_types(path: Path) -> None:
    for line in lines(path):
        if "client" in line:
            check_client_frame(line["client"])
        if "server" in line:
            check_server_frame(line["server"])


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_the_codec_plays_them_back(path: Path) -> None:
    tools = [WEATHER] if path.stem == "tools" else []
    codec = OpenAICodec(ConversationSetup(CONFIGS.get(path.stem, PLAIN), tools))
    codec.open()
    happened: list[Line] = []
    expected = lines(path)
    for line in expected:
        if "server" in line:
            happened.append(line)
            happened += [{"event": describe(event)} for event in codec.receive(json.dumps(line["server"]).encode())]
        elif "command" in line:
            happened.append(line)
            if line["command"]["name"] == "open":
                codec.open()
            else:
                codec.send(make_command(line["command"]))
        happened += [{"client": json.loads(data)} for data in codec.data_to_send()]
    assert happened == expected
