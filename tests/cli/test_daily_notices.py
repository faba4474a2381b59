"""Notices that a person is told once a day."""

import os
import time
from pathlib import Path

import pytest

from voicecli.cli.daily_notices import once_a_day
from voicecli.events import Event, Notice

DAILY, ALWAYS = Notice("tiny_model", "It is tiny.", daily=True), Notice("other", "Hm.")


def told(*events: Event) -> list[Event]:
    """What a process tells."""
    seen: list[Event] = []
    for event in events:
        once_a_day(seen.append)(event)
    return seen


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


def test_once_a_day(state: Path) -> None:
    assert told(DAILY, ALWAYS, DAILY, ALWAYS) == [DAILY, ALWAYS, ALWAYS]
    assert told(DAILY) == []
    (mark,) = [path for path in state.rglob("*") if path.is_file()]
    yesterday = time.time() - 86_400
    os.utime(mark, (yesterday, yesterday))
    assert told(DAILY, DAILY) == [DAILY]


def test_another_one_has_its_own_day(state: Path) -> None:
    other = Notice("not_played", "No loudspeaker.", daily=True)
    assert told(DAILY, other, DAILY, other) == [DAILY, other]


def test_where_nothing_can_be_kept_it_is_told_each_time(state: Path) -> None:
    (state / "voicecli").write_text("no folder")
    assert told(DAILY, DAILY) == [DAILY, DAILY]
    strange = Notice("../../x", "Hm.", daily=True)
    assert told(strange, strange) == [strange, strange]
    assert [path.name for path in state.iterdir()] == ["voicecli"]
