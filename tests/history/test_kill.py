"""A conversation whose process is killed (`kill -9`): what was final is there, and the database opens."""

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.history.conftest import keep
from tests.history.killed import EXCHANGES
from voicecli.history.store import Store

MOMENTS = 50


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_nothing_final_is_lost_at_whatever_moment_it_is_killed(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.history.killed", str(path), str(MOMENTS)],
        cwd=ROOT,
        capture_output=True,
        timeout=100,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    killed = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(killed) == MOMENTS
    assert {exchanges for _, exchanges in killed} == set(range(EXCHANGES + 1))
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()
    with Store(path) as store:
        assert len(list(store.conversations())) <= MOMENTS
        for id_, exchanges in killed:
            if not id_:
                continue
            kept = store.conversation(id_)
            assert kept.ended_at is None
            assert len(kept.responses) >= 2 * exchanges
            wanted = [text for number in range(EXCHANGES) for text in (f"Question {number}", f"Answer {number}.")]
            texts = [turn.text for turn in kept.turns]
            assert len(texts) >= 2 * exchanges
            assert texts == wanted[: len(texts)]
            assert [call.output for call in kept.tool_calls][:exchanges] == [
                f"All of {number}." for number in range(exchanges)
            ]
            assert store.search([f"Question {max(exchanges - 1, 0)}"])
        keep(store, "It goes on.")
