"""Replays of recordings that were changed, and of codecs that were."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.loopback.faulty import FaultyServer, converse
from tests.loopback.plain import CAPABILITIES, PLAIN, PlainCodec
from tests.support.virtual_time import virtual_time
from voicecli.commands import AppendAudio, EndTurn, SendText
from voicecli.config import RealtimeConfig
from voicecli.connection.websocket import WebSocketConnection
from voicecli.errors import ConfigurationError
from voicecli.events import AudioChunk, Event, ResponseDone
from voicecli.ports import ConversationSetup, Ended, Expiring
from voicecli.replay.recorder import SessionRecorder
from voicecli.replay.recording import SessionRecording
from voicecli.replay.replaying import Replay, replay_of

Line = dict[str, Any]


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    """The recording of a conversation."""
    path = tmp_path / "talk.jsonl"

    @virtual_time
    async def record() -> None:
        config = RealtimeConfig(temperature=0.5)
        recorder = SessionRecorder(str(path), "plain", "plain", ConversationSetup(config))
        async with FaultyServer(converse) as server:
            connection = await WebSocketConnection.open(PlainCodec(server.url), CAPABILITIES, config, recorder=recorder)
            await connection.send(AppendAudio(b"\1\2" * 2_400))
            await connection.send(EndTurn("input_1"))
            async for event in connection:
                if isinstance(event, ResponseDone):
                    await connection.aclose()

    record()
    return path


def replay(path: Path, codec: PlainCodec | None = None) -> tuple[Replay, list[Event]]:
    replayed = Replay(SessionRecording(path), codec or PlainCodec("ws://nowhere"))
    return replayed, [each for _, each in replayed.run() if isinstance(each, Event)]


def changed(path: Path, change: Callable[[list[Line]], object]) -> Path:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    change(lines)
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


def first(lines: list[Line], kind: str, name: str = "") -> int:
    return next(
        at for at, line in enumerate(lines) if line["kind"] == kind and name in ("", line.get("event", {}).get("class"))
    )


def test_an_event_that_is_another_one_is_told_with_its_place(talk: Path) -> None:
    def change(lines: list[Line]) -> None:
        at = first(lines, "event", "ResponseDone")
        lines[at]["event"]["status"] = "failed"

    replayed, _ = replay(changed(talk, change))
    (difference,) = replayed.differences
    assert (difference.recorded["class"], difference.recorded["status"]) == ("ResponseDone", "failed")
    assert "status" not in difference.replayed
    line = json.loads(talk.read_text().splitlines()[difference.line - 1])
    assert (line["kind"], line["frame"]["type"], line["at_ms"]) == ("received", "done", difference.at_ms)


def test_sound_is_compared_to_the_sample(talk: Path) -> None:
    def change(lines: list[Line]) -> None:
        sounds = next(line for line in lines if line.get("frame", {}).get("type") == "audio" and "id" in line["frame"])
        sounds["frame"]["data"] = "AQA" + sounds["frame"]["data"][3:]

    replayed, events = replay(talk)
    assert replayed.differences == []
    assert sum(len(event.audio) for event in events if isinstance(event, AudioChunk)) > 0
    replayed, _ = replay(changed(talk, change))
    assert [difference.recorded["class"] for difference in replayed.differences] == ["AudioChunk"]


@pytest.mark.parametrize("what", ["too many", "too few"])
def test_an_event_that_is_missing_is_told(talk: Path, what: str) -> None:
    def change(lines: list[Line]) -> None:
        at = first(lines, "event", "ResponseStarted")
        if what == "too few":
            del lines[at]
        else:
            lines.insert(at, lines[at])

    replayed, _ = replay(changed(talk, change))
    (difference,) = replayed.differences
    assert (difference.recorded is None, difference.replayed is None) == (what == "too few", what == "too many")


def test_a_codec_that_breaks_by_now_is_told_and_the_rest_goes_on(talk: Path) -> None:
    class Broken(PlainCodec):
        def receive(self, message: bytes) -> list[Event | Expiring | Ended]:
            if b'"reply"' in message:
                raise ZeroDivisionError("by zero")
            return super().receive(message)

    replayed, events = replay(talk, Broken("ws://nowhere"))
    (difference,) = replayed.differences
    assert (difference.kind, difference.recorded["class"]) == ("raised", "ResponseStarted")
    assert (difference.replayed["class"], difference.replayed["message"]) == ("ZeroDivisionError", "by zero")
    assert any(isinstance(event, ResponseDone) for event in events)


def test_a_server_that_is_asked_in_another_way_is_no_other_event(talk: Path) -> None:
    class Polite(PlainCodec):
        def open(self) -> None:
            super().open()
            self._say(type="please")

    replayed, _ = replay(talk, Polite("ws://nowhere"))
    assert replayed.differences == []
    assert [(each.recorded, each.replayed) for each in replayed.sent] == [(None, {"frame": {"type": "please"}})]


def test_what_was_hidden_differs_from_nothing(talk: Path) -> None:
    def change(lines: list[Line]) -> None:
        lines[first(lines, "event", "SessionStarted")]["event"]["session_id"] = "it is (hidden)"

    replayed, _ = replay(changed(talk, change))
    assert replayed.differences == []


def test_a_field_that_events_have_since_is_no_difference(talk: Path) -> None:
    # One with a default is not written, so that those recorded before are the same.
    lines = [json.loads(line) for line in talk.read_text().splitlines()]
    done = lines[first(lines, "event", "ResponseDone")]["event"]
    assert done == {"class": "ResponseDone", "response_id": "reply-3"}


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: lines[5].pop("at_ms"),
        lambda lines: lines[5].update(kind="unheard of"),
        lambda lines: lines[first(lines, "command")].update(command={"class": "Nonsense"}),
        lambda lines: lines[first(lines, "command")].pop("command"),
        lambda lines: lines[first(lines, "command")]["command"].update(audio="no base64!"),
        lambda lines: lines[first(lines, "received")].pop("frame"),
        lambda lines: lines[first(lines, "told")].update(event=None),
        lambda lines: lines[first(lines, "told")].update(event={"class": "SessionEnded", "reason": 3}),
        lambda lines: lines[first(lines, "event")].pop("event"),
    ],
)
def test_a_damaged_line_is_told_by_its_number(talk: Path, change: Callable[[list[Line]], object]) -> None:
    with pytest.raises(ConfigurationError, match=r"talk.jsonl: line \d+ is damaged"):
        replay(changed(talk, change))


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: lines[0].pop("settings"),
        lambda lines: lines[0].pop("tools"),
        lambda lines: lines[0].update(tools=3),
        lambda lines: lines[0]["settings"].update({"class": "Other"}),
        lambda lines: lines[1].pop("capabilities"),
        lambda lines: lines[1].update(capabilities={"input_rate": "fast"}),
        lambda lines: lines.pop(1),
    ],
)
def test_so_is_a_damaged_beginning(talk: Path, change: Callable[[list[Line]], object]) -> None:
    def begin() -> None:
        recording = SessionRecording(changed(talk, change))
        recording.capabilities()
        replay_of(recording, lambda name: PLAIN)

    with pytest.raises(ConfigurationError, match=r"talk.jsonl: line [12] is damaged"):
        begin()


def test_settings_that_are_unknown_by_now_are_left_out(talk: Path) -> None:
    def change(lines: list[Line]) -> None:
        lines[0]["settings"]["no_longer"] = 3
        lines[0]["provider_settings"] = {"class": "SettingsOfOld", "pitch": 2}

    setup = SessionRecording(changed(talk, change)).setup(PLAIN.settings)
    assert setup.config == RealtimeConfig(temperature=0.5)


def test_a_setting_that_is_impossible_by_now_is_named(talk: Path) -> None:
    def change(lines: list[Line]) -> None:
        lines[0]["settings"]["temperature"] = 99.0

    with pytest.raises(ConfigurationError, match=r"talk.jsonl: temperature: 99.0 is not possible"):
        SessionRecording(changed(talk, change)).setup(PLAIN.settings)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty: nothing was recorded"),
        (b"hello", "is no recording of a session"),
        (b"\xff\xfe\n", "is no recording of a session"),
        (b"[1]\n", "is no recording of a session"),
        (b'{"time": "2026-01-01", "opened": {}}\n', "A trace of `--debug` cannot be replayed"),
        (b'{"format": "voicecli-session", "version": 2, "voicecli": "9.0"}\n', "voicecli 9.0, in the newer format 2"),
        (b'{"format": "voicecli-session", "version": 1}\n', "line 1 is damaged"),
        (None, "cannot be read: No such file"),
    ],
)
def test_a_file_that_is_no_recording_says_so(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "talk.jsonl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=message):
        SessionRecording(path)
    with pytest.raises(ConfigurationError, match="is no file"):
        SessionRecording(tmp_path)


def test_a_recording_that_ends_with_its_header(talk: Path) -> None:
    talk.write_bytes(talk.read_bytes().split(b"\n")[0] + b"\n")
    with pytest.raises(ConfigurationError, match="ends before the conversation began"):
        replay_of(SessionRecording(talk), lambda name: PLAIN)


@virtual_time
async def test_what_the_codec_refuses_to_send_comes_again(tmp_path: Path) -> None:
    path = tmp_path / "talk.jsonl"
    recorder = SessionRecorder(str(path), "plain", "plain", ConversationSetup(RealtimeConfig()))
    async with FaultyServer(converse) as server:
        connection = await WebSocketConnection.open(
            PlainCodec(server.url), CAPABILITIES, RealtimeConfig(), recorder=recorder
        )
        await connection.send(SendText("Hello"))
        await connection.drain()
        await connection.aclose()
        events = [event async for event in connection]
    replayed, again = replay(path)
    assert replayed.differences == []
    assert list(map(repr, again)) == list(map(repr, events))
