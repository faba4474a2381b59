"""Limits, from the command line to the exit code."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import DATA, Voice
from tests.loopback import openai_server
from tests.loopback.openai_server import OpenAIServer
from voicecli import LimitReachedError, RealtimeConfig
from voicecli.cli.destinations import Destinations
from voicecli.cli.options import Choices
from voicecli.cli.run import run_conversation
from voicecli.events import Usage
from voicecli.testing import Step, reply, scripted_provider

QUESTION = str(DATA / "question.wav")
KEY = {"OPENAI_API_KEY": openai_server.KEY}


def test_of_several_recordings_those_after_the_limit_are_not_asked(voice: Voice, tmp_path: Path) -> None:
    replies = [openai_server.Reply(text="It is Paris."), openai_server.Reply(text="It is Rome.")]
    with OpenAIServer.in_thread(replies=replies, hears=["Which city?"] * 2) as server:
        result = voice(
            *("chat", "-i", QUESTION, "-i", QUESTION, "--json", "--max-cost", "0.0001", "-o", "r.wav"),
            **KEY,
            OPENAI_BASE_URL=server.url,
        )
    assert result.code == 7, result.stderr
    lines = [json.loads(line) for line in result.lines]
    said = [line["text"] for line in lines if line["type"] == "transcript" and line["final"]]
    assert said == ["Which city?", "It is Paris."]
    assert (tmp_path / "r.wav").read_bytes()[44:] == openai_server.Reply().sound("It is Paris.")
    (ended,) = [line for line in lines if line["type"] == "session_ended"]
    cost = ended["usage"]["cost_usd"]
    assert cost == sum(line["usage"]["cost_usd"] for line in lines if line["type"] == "response_done")
    assert ended["reason"] == f"The limit of $0.0001 is reached: the conversation has cost ${cost:.4f}."
    failed = lines[-1]
    assert (failed["type"], failed["error"], failed["exit_code"]) == ("error", "LimitReachedError", 7)
    assert failed["advice"] == "Allow more with --max-cost."


def test_a_price_from_the_settings_makes_a_limit_possible(voice: Voice, tmp_path: Path) -> None:
    with OpenAIServer.in_thread(replies=[openai_server.Reply(text="It is Paris.")]) as server:
        asked = ("send-text", "Which city?", "-p", "openai", "-m", "gpt-audio-mini")
        environment = KEY | {"OPENAI_BASE_URL": server.url, "VOICECLI_CONFIG": str(tmp_path), "VOICE_MAX_COST": "1"}
        refused = voice(*asked, **environment)
        (tmp_path / "config.toml").write_text(
            "[prices.gpt-audio-mini]\ntext-in = 1\ntext-out = 2\naudio-in = 3\naudio-out = 4\n"
        )
        answered = voice(*asked, **environment)
    assert refused.code == 3
    assert (
        refused.stderr.splitlines()[0]
        == "voice: What gpt-audio-mini costs is not known, so that no cost can be kept to."
    )
    assert '[prices."gpt-audio-mini"]' in refused.stderr
    assert (answered.code, answered.lines) == (0, ["It is Paris."]), answered.stderr


# -- in this process


def asked(*script: list[Step], inputs: list[str], destinations: Destinations | None = None, **settings: Any) -> None:
    choices = Choices(scripted_provider(*script), RealtimeConfig(**settings), (), vad_given=True)
    run_conversation(choices, list(inputs), destinations or Destinations(None, quiet=True))


def costing(text: str, usd: float) -> list[Step]:
    return reply(text, usage=Usage(output_text_tokens=1, cost_usd=usd))


def test_the_answer_that_reaches_the_limit_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(LimitReachedError) as reached:
        asked(costing("It is Paris.", 0.6), inputs=["Which city?"], max_cost=0.5)
    assert reached.value.limit == "max_cost"
    assert capsys.readouterr().out.strip().endswith("It is Paris.")


def test_the_warning_is_a_note(capsys: pytest.CaptureFixture[str]) -> None:
    asked(costing("It is Paris.", 0.45), inputs=["Which city?"], destinations=Destinations(None), max_cost=0.5)
    assert "Note: $0.45 of at most $0.50 is spent." in capsys.readouterr().err
