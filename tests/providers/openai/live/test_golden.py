"""Golden frames of GPT-Live, both ways, and what the codec makes of them."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.loopback.live_wire import check_client_frame, check_server_frame
from tests.providers.openai.golden import describe
from tests.providers.openai.live.golden import FILES, SCENARIOS, command_of, shortened, whole
from tests.providers.openai.live.talk import CONFIG, WEATHER
from voicecli.ports import ConversationSetup, Ended
from voicecli.providers.openai.live import LiveCodec

GOLDEN = sorted(FILES.glob("*.jsonl"))


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_all_are_there() -> None:
    assert [path.stem for path in GOLDEN] == sorted(scenario.__name__ for scenario in SCENARIOS)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_frames_are_those_of_the_official_types(path: Path) -> None:
    for line in lines(path):
        if "client" in line:
            check_client_frame(whole(line["client"]))
        if "server" in line:
            check_server_frame(whole(line["server"]))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_the_codec_plays_them_back(path: Path) -> None:
    codec = LiveCodec(ConversationSetup(CONFIG, [WEATHER] if path.stem == "tools" else []))
    codec.open()
    sent = [json.loads(data) for data in codec.data_to_send()]
    told: list[Any] = []
    expected = lines(path)
    for line in expected:
        if "server" in line:
            events = codec.receive(json.dumps(whole(line["server"])).encode())
            told += [describe(event) for event in events if not isinstance(event, Ended)]
        elif "command" in line:
            if line["command"]["name"] == "open":
                codec.open()
            elif line["command"]["name"] == "close":
                codec.close()
            else:
                codec.send(command_of(line["command"]))
        sent += [json.loads(data) for data in codec.data_to_send()]
    assert told == [line["event"] for line in expected if "event" in line]
    assert [shortened(frame) for frame in sent] == [line["client"] for line in expected if "client" in line]
