"""A conversation as the history gives it, with everything that an export shows."""

from datetime import datetime, timedelta, timezone
from pathlib import Path

from voicecli.events import TurnMetrics, Usage
from voicecli.history.records import ConversationRecord, ResponseRecord, ToolCallRecord, TurnRecord

__all__ = ["FORECAST", "HOSTILE", "said", "sample"]

FORECAST = (
    "Tomorrow it will rain from noon on, so take one with you. The evening stays mild, with 17 degrees, and on "
    "Thursday the sun comes back: a good day for the walk along the river that you have been planning."
)
HOSTILE = '</script><script>document.title = "taken"</script><img src=x onerror="alert(1)"> --> & "quotes" \x1b[31m'
_BEGAN = datetime(2026, 11, 28, 11, 15, tzinfo=timezone(timedelta(hours=1)))


def said(role: str, text: str, started_ms: int, ended_ms: int | None, **more: bool) -> TurnRecord:
    return TurnRecord(
        role="user" if role == "user" else "assistant",
        item_id=f"{role}_{started_ms}",
        text=text,
        started_ms=started_ms,
        ended_ms=ended_ms,
        **more,
    )


def sample(recording: Path | None = None, recording_times: tuple[tuple[int, int], ...] = ()) -> ConversationRecord:
    """A talk about the weather of 32 seconds."""
    return ConversationRecord(
        id="k7f",
        started_at=_BEGAN,
        ended_at=_BEGAN + timedelta(seconds=32),
        provider="openai",
        model="gpt-realtime-2",
        voice="marin",
        end="closed",
        recording=recording,
        recording_times=recording_times,
        usage=Usage(input_audio_tokens=812, output_audio_tokens=640, cost_usd=0.0321),
        turns=(
            said("user", "What's the weather in Paris?", 1_000, 2_600),
            said("assistant", "Sunny, 21 degrees, with a light wind from the west.", 4_900, 8_200),
            said("user", "And tomorrow? Do I need an umbrella?", 9_500, 11_800),
            said("assistant", FORECAST, 12_300, 23_100),
            said("user", HOSTILE, 24_000, 25_200),
            said("assistant", "# 1. It is *cut* off here", 26_000, 28_900, interrupted=True),
            said("user", "مرحبا", 28_700, 30_000),
        ),
        tool_calls=(
            ToolCallRecord(
                call_id="c1",
                name="get_weather",
                arguments='{"city": "Paris"}',
                started_ms=3_000,
                output='{"sky": "clear", "degrees": 21}',
                ended_ms=4_200,
            ),
            ToolCallRecord(
                call_id="c2",
                name="send_mail",
                arguments="{}",
                started_ms=25_300,
                output="``` no such address",
                ended_ms=25_600,
                is_error=True,
            ),
        ),
        responses=(
            ResponseRecord(response_id="r1", started_ms=2_800, done_ms=3_000),
            ResponseRecord(
                response_id="r2", started_ms=4_300, done_ms=6_000, metrics=TurnMetrics(first_heard_ms=2_300)
            ),
            ResponseRecord(
                response_id="r3", started_ms=12_000, done_ms=15_000, metrics=TurnMetrics(first_heard_ms=500)
            ),
            ResponseRecord(
                response_id="r4",
                started_ms=25_700,
                done_ms=28_900,
                status="cancelled",
                metrics=TurnMetrics(first_audio_ms=800),
            ),
        ),
    )
