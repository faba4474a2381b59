"""Silero works on the thread that asks it, and nothing else of the process is changed for that."""

import subprocess
import sys
from pathlib import Path

import pytest

ASKS = """
import os
from pathlib import Path
from voicecli.audio.silero import load_silero

limit, tasks = os.environ.get("OMP_THREAD_LIMIT"), Path("/proc/self/task")
threads = len(list(tasks.iterdir()))
silero = load_silero()
for _ in range(20):
    assert 0 <= silero(bytes(1024)) < 0.5
print(len(list(tasks.iterdir())) - threads, os.environ.get("OMP_THREAD_LIMIT") == limit)
"""


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="only Linux tells the threads of a process")
@pytest.mark.parametrize(("limit", "threads"), [(None, 0), ("2", 1)])
def test_silero_takes_no_threads_unless_they_are_asked_for(
    monkeypatch: pytest.MonkeyPatch, limit: str | None, threads: int
) -> None:
    monkeypatch.delenv("OMP_THREAD_LIMIT", raising=False)
    if limit is not None:
        monkeypatch.setenv("OMP_THREAD_LIMIT", limit)
    told = subprocess.run([sys.executable, "-c", ASKS], capture_output=True, text=True, check=True, timeout=60).stdout
    assert told == f"{threads} True\n"
