from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from voicecli.events import TurnMetrics, Usage
from voicecli.history.folding import Row
from voicecli.history.records import ConversationRecord, ResponseRecord, ToolCallRecord, TurnRecord
from voicecli.history.store import Store

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
QUESTION = TurnRecord(role="user", item_id="q", text="What is the capital of France?", started_ms=100, ended_ms=1_900)
ANSWER = TurnRecord(role="assistant", item_id="a", text="It is Paris.", started_ms=2_400, ended_ms=3_600)
CALL = ToolCallRecord(call_id="c", name="look_up", arguments='{"of": "France"}', started_ms=2_000, output="Paris")
RESPONSE = ResponseRecord(
    response_id="r",
    started_ms=1_950,
    done_ms=2_800,
    usage=Usage(input_audio_tokens=20, output_audio_tokens=30, session_seconds=3.6, cost_usd=0.25),
    metrics=TurnMetrics(first_audio_ms=500, done_ms=900, audio_ms=1_200),
)
ROWS: list[Row] = [(0, QUESTION), (1, CALL), (2, ANSWER), (0, RESPONSE)]


def conversation(began: datetime = NOON, *, provider: str = "openai", continues: str = "") -> ConversationRecord:
    return ConversationRecord(
        id="", started_at=began, provider=provider, model="gpt-realtime", voice="cedar", continues=continues
    )


def said(text: str, item_id: str = "q", *, at_ms: int = 0) -> TurnRecord:
    return TurnRecord(role="user", item_id=item_id, text=text, started_ms=at_ms)


def keep(store: Store, *texts: str, began: datetime = NOON, continues: str = "") -> str:
    """Keep a conversation in which the user says this; its id."""
    id_ = store.begin(conversation(began, continues=continues))
    assert store.save(id_, [(at, said(text, f"q{at}")) for at, text in enumerate(texts)])
    return id_


def days(count: float) -> timedelta:
    return timedelta(days=count)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history" / "history.db"
