"""The repr of events, commands and responses: sound and pictures are told by their size."""

from dataclasses import fields, is_dataclass
from typing import Any, get_args

import pytest

from voicecli.commands import AppendAudio, Command, SendImage
from voicecli.conversation.response import Response
from voicecli.events import AudioChunk, Event, TurnMetrics, Usage

RESPONSE = Response(bytes(48_000), 24_000, "It's Paris.", "Which city?", "completed", Usage(), TurnMetrics())


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (AudioChunk(bytes(480), "r", "i"), "AudioChunk(audio=<480 bytes>, response_id='r', item_id='i')"),
        (AppendAudio(bytes(640)), "AppendAudio(audio=<640 bytes>)"),
        (SendImage(bytes(9), "image/png"), "SendImage(data=<9 bytes>, mime_type='image/png')"),
    ],
)
def test_bytes_are_told_by_their_number(value: Any, shown: str) -> None:
    assert repr(value) == shown


def test_a_response_tells_how_long_it_sounds() -> None:
    assert repr(RESPONSE).startswith(
        "Response(audio=<48000 bytes, 1.00 s>, sample_rate=24000, transcript=\"It's Paris.\", user_transcript='Which "
    )
    for field in fields(RESPONSE):
        assert f"{field.name}=" in repr(RESPONSE)


@pytest.mark.parametrize("kind", [*get_args(Event), *get_args(Command)], ids=lambda kind: kind.__name__)
def test_no_event_or_command_shows_bytes(kind: type[Any]) -> None:
    assert is_dataclass(kind)
    values = {field.name: bytes(10_000) if field.type is bytes else "x" for field in fields(kind)}
    assert len(repr(kind(**values))) < 1_000
