"""`voice logs cost`: what kept conversations have cost."""

import json
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from tests.cli.screen import screen_of
from voicecli import ConfigurationError
from voicecli.cli import execute
from voicecli.cli.log_costs import day_of
from voicecli.events import Usage
from voicecli.history.records import ConversationRecord, ResponseRecord, UsageRecord
from voicecli.history.store import Store

TOKYO = timezone(timedelta(hours=9))
MINUTE = 60_000


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOICECLI_HISTORY", str(tmp_path))
    with Store(create=True) as store:

        def keep(began: datetime, provider: str, model: str, costs: dict[int, float | None]) -> None:
            record = ConversationRecord(id="", started_at=began, provider=provider, model=model)
            usages = {
                at: Usage(input_text_tokens=10, output_audio_tokens=3, cost_usd=cost) for at, cost in costs.items()
            }
            rows = [
                ResponseRecord(response_id=f"r{at}", started_ms=0, done_ms=at * MINUTE, usage=usage)
                for at, usage in usages.items()
            ]
            store.save(store.begin(record), list(enumerate(rows)))

        # In Tokyo it is past midnight after 10 minutes, and all of it is the third of May in London.
        keep(datetime(2026, 5, 3, 23, 50, tzinfo=TOKYO), "openai", "gpt-realtime-2.1", {1: 0.1, 20: 0.2})
        keep(datetime(2026, 5, 4, 9, tzinfo=TOKYO), "openai", "mine", {1: 0.01, 2: None})
        keep(datetime(2026, 5, 6, 9, tzinfo=UTC), "gemini", "gemini-3.8-live", {1: 0.5})
        keep(datetime(2026, 5, 7, 9, tzinfo=UTC), "local", "smollm2", {1: 0.0})
        keep(datetime(2026, 5, 8, 9, tzinfo=UTC), "openai", "mine", {1: None})


def table(*args: str, capsys: pytest.CaptureFixture[str]) -> list[list[str]]:
    assert execute(["logs", "cost", *args]) == 0
    return [line.split("\t") for line in capsys.readouterr().out.splitlines()]


def test_the_time_of_a_session_counts_and_is_no_answer(capsys: pytest.CaptureFixture[str]) -> None:
    with Store(create=True) as store:
        began = datetime(2026, 6, 1, 9, tzinfo=UTC)
        id_ = store.begin(ConversationRecord(id="", started_at=began, provider="openai", model="live"))
        answer = ResponseRecord(response_id="r", started_ms=0, done_ms=MINUTE, usage=Usage(cost_usd=0.01))
        usages = [
            UsageRecord(started_ms=0, at_ms=at * MINUTE, usage=Usage(session_seconds=60 * at, cost_usd=0.05))
            for at in (1, 2)
        ]
        store.save(id_, [(0, usages[0]), (1, answer), (2, usages[1])])
        kept = store.conversation(id_)
    assert (kept.usage.session_seconds, round(kept.usage.cost_usd or 0, 9)) == (120, 0.11)
    assert (kept.responses, kept.usages) == ((answer,), tuple(usages))
    assert ["2026-06-01", "1", "1", "$0.1100", "0"] in table(capsys=capsys)


def test_by_day_of_the_clock_that_the_user_had(capsys: pytest.CaptureFixture[str]) -> None:
    assert table(capsys=capsys) == [
        ["2026-05-03", "1", "1", "$0.1000", "0"],
        ["2026-05-04", "2", "3", "at least $0.2100", "1"],
        ["2026-05-06", "1", "1", "$0.5000", "0"],
        ["2026-05-07", "1", "1", "$0.0000", "0"],
        ["2026-05-08", "1", "1", "unknown", "1"],
    ]


def test_by_provider_and_by_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert [row[0] for row in table("--by", "provider", capsys=capsys)] == ["gemini", "local", "openai"]
    assert table("--by", "model", capsys=capsys)[-2:] == [
        ["mine", "2", "3", "at least $0.0100", "2"],
        ["smollm2", "1", "1", "$0.0000", "0"],
    ]


def test_since_a_day(capsys: pytest.CaptureFixture[str]) -> None:
    days = [row[0] for row in table("--since", "2026-05-04", capsys=capsys)]
    assert days == ["2026-05-04", "2026-05-06", "2026-05-07", "2026-05-08"]
    assert table("--since", "2026-05-04", capsys=capsys)[0][1:4] == ["2", "3", "at least $0.2100"]
    assert table("--since", "today", capsys=capsys) == []
    assert table("--since", "0001-01-01", "--by", "provider", capsys=capsys)


def test_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["logs", "cost", "--json", "--by", "provider"]) == 0
    rows: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    assert rows[-1] == {
        "provider": "openai",
        "conversations": 3,
        "answers": 5,
        "cost": "at least $0.3100",
        "without_price": 2,
        "cost_usd": 0.31,
        "approximate": False,
        "input_tokens": 30,
        "output_tokens": 9,
    }


def test_on_a_terminal_there_is_the_sum_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = screen_of(monkeypatch, "stdout", 100)
    assert execute(["logs", "cost", "--by", "provider"]) == 0
    assert [line for line in screen.lines if line][-1].split() == ["all", "5", "7", "at", "least", "$0.8100", "2"]


def test_without_conversations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setenv("VOICECLI_HISTORY", str(tmp_path / "none"))
    assert table(capsys=capsys) == []


def test_what_is_no_day(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["logs", "cost", "--since", "May"]) == 2
    assert "'May' is no day. Write 2026-11-28" in capsys.readouterr().err
    assert execute(["logs", "cost", "--by", "hour"]) == 2


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2026-11-28", date(2026, 11, 28)),
        (" Today ", date(2026, 12, 1)),
        ("yesterday", date(2026, 11, 30)),
        ("1d", date(2026, 12, 1)),
        ("7d", date(2026, 11, 25)),
        ("7 days", date(2026, 11, 25)),
    ],
)
def test_days(text: str, day: date) -> None:
    assert day_of(text, date(2026, 12, 1)) == day


@pytest.mark.parametrize("text", ["", "0d", "99999999d", "2026-13-01", "now", "-1d"])
def test_no_days(text: str) -> None:
    with pytest.raises(ConfigurationError, match="is no day"):
        day_of(text, date(2026, 12, 1))
