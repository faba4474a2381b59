"""The trace: its content, and the secrets that never get into it."""

import base64
import json
import logging
import os
import stat
from pathlib import Path

import pytest

from tests.connection.talk import chunk, talking, until
from tests.loopback.faulty import FaultyServer, Peer, Refusal, converse
from tests.loopback.plain import CAPABILITIES, KEY, PlainCodec
from tests.support.virtual_time import virtual_time
from voicecli.commands import EndTurn, SendText
from voicecli.config import RealtimeConfig
from voicecli.connection.frame_log import FrameLog
from voicecli.connection.websocket import WebSocketConnection
from voicecli.errors import ConfigurationError
from voicecli.events import (
    ResponseDone,
    SessionEnded,
    SessionStarted,
)


@virtual_time
async def test_the_debug_file_has_every_frame_and_no_secret_and_no_audio(tmp_path: Path) -> None:
    path = tmp_path / "frames.jsonl"
    config = RealtimeConfig(debug_file=str(path), api_key=KEY)
    sound = base64.b64encode(bytes(9_600)).decode()

    async def blurt(peer: Peer) -> None:
        await peer.begin()
        await peer.send(type="something", api_key="abc", note=f"your key {KEY} and sk-proj-abcdefghijk")
        await peer.connection.send(b"\xff\x00 not json")
        await peer.reply("r", audio=sound)
        await peer.expect("end")
        await peer.close(1000, "bye")

    async with talking(blurt, config=config) as (connection, _, events):
        await until(events, ResponseDone)
        await connection.send(chunk(7))
        await connection.send(EndTurn())
        await until(events, SessionEnded)
    text = path.read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert "sk-" not in text
    assert sound not in text
    assert [next(key for key in line if key != "time") for line in lines] == [
        *("opened", "sent", "received", "received", "received"),
        *("received", "received", "received", "sent", "sent", "closed"),
    ]
    assert lines[1]["sent"] == {"type": "hello"}
    assert lines[3]["received"] == {
        "type": "something",
        "api_key": "(hidden)",
        "note": "your key (hidden) and (hidden)",
    }
    assert lines[4]["received"]["bytes"] == 11
    assert lines[6]["received"]["data"] == "(12800 characters of base64)"
    assert lines[8]["sent"]["data"] == "(1280 characters of base64)"
    assert lines[-1]["closed"] == {"code": 1000, "reason": "bye"}
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


@virtual_time
async def test_a_key_that_looks_like_nothing_is_hidden_too(tmp_path: Path) -> None:
    key = "4f8b6c2e-azure"
    path = tmp_path / "frames.jsonl"

    async def tell(peer: Peer) -> None:
        await peer.begin()
        await peer.send(type="something", echo=f"<{key}>", nested=[{"headers": {"X-Mine": ["mine"]}}])
        await peer.reply("r")
        await peer.never()

    async with FaultyServer(tell) as server:
        codec = PlainCodec(server.url, {"api-key": key})
        connection = await WebSocketConnection.open(codec, CAPABILITIES, RealtimeConfig(debug_file=str(path)))
        await until(aiter(connection), ResponseDone)
        await connection.aclose()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert {"type": "something", "echo": "<(hidden)>", "nested": [{"headers": {"X-Mine": ["(hidden)"]}}]} in [
        line.get("received") for line in lines
    ]


@virtual_time
async def test_a_debug_file_that_cannot_be_written_is_told_before_dialling(tmp_path: Path) -> None:
    async with FaultyServer() as server:
        config = RealtimeConfig(debug_file=str(tmp_path / "missing" / "frames.jsonl"))
        with pytest.raises(ConfigurationError, match="debug_file"):
            await WebSocketConnection.open(PlainCodec(server.url), CAPABILITIES, config)
        assert not server.requests


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@virtual_time
async def test_a_full_disk_ends_the_trace_and_not_the_conversation(caplog: pytest.LogCaptureFixture) -> None:
    async with talking(config=RealtimeConfig(debug_file="/dev/full")) as (connection, _, events):
        await connection.send(SendText("hello"))
        await until(events, ResponseDone)
    assert "debug file is given up" in caplog.text


@virtual_time
async def test_no_log_at_any_level_has_the_key(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("voicecli", "voicecli.websockets", "websockets", "websockets.client"):
        caplog.set_level(logging.DEBUG, logger=name)

    async def leave(peer: Peer) -> None:
        await peer.begin()
        peer.reset()

    async with talking(leave, Refusal(503, KEY.encode()), converse) as (connection, server, events):
        await until(events, SessionStarted)
        assert server.requests[0].headers["Authorization"] == f"Bearer {KEY}"
        assert server.requests[0].headers["User-Agent"].startswith("voicecli/")
        assert "Sec-WebSocket-Extensions" not in server.requests[0].headers
        await connection.aclose()
    ours = [record for record in caplog.records if record.name.startswith("voicecli")]
    assert ours
    assert not any("Bearer" in record.getMessage() for record in ours)


@pytest.mark.parametrize("name", ["a\0b", "a\ud800b"])
def test_a_name_that_no_file_can_have_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="debug_file: cannot write"):
        FrameLog(name, [])
