"""Silero works on the thread that asks it, and nothing else of the process is changed for that."""

import subprocess
import sys
from pathlib import Path

import pytest

from voicecli.audio.vad_engines import has_silero

LOADERS = {
    "itself": "from voicecli.audio.silero import load_silero; ask = load_silero()",
    "turns that are found here": (
        "from voicecli.audio.vad_engines import make_engine; from voicecli.config import ClientVAD; "
        "ask = make_engine(ClientVAD(), 16_000).probability"
    ),
    "the offline engine": (
        "from voicecli.providers.local.speech_probability import speech_probability; ask = speech_probability()"
    ),
}
PROGRAM = """
import os
from pathlib import Path

import voicecli.audio.vad_engines, voicecli.providers.local.speech_probability

limit, tasks = os.environ.get("OMP_THREAD_LIMIT"), Path("/proc/self/task")
threads = len(list(tasks.iterdir()))
{loader}
for _ in range(20):
    assert 0 <= ask(bytes(1024)) < 0.5
print(len(list(tasks.iterdir())) - threads, os.environ.get("OMP_THREAD_LIMIT") == limit)
"""


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="only Linux tells the threads of a process")
@pytest.mark.skipif(not has_silero(), reason="silero is not installed")
@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize(("limit", "threads"), [(None, 0), ("2", 1)])
def test_silero_takes_no_threads_unless_they_are_asked_for(
    monkeypatch: pytest.MonkeyPatch, loader: str, limit: str | None, threads: int
) -> None:
    for name in ("OMP_THREAD_LIMIT", "OMP_NUM_THREADS", "OMP_DYNAMIC"):
        monkeypatch.delenv(name, raising=False)
    if limit is not None:
        monkeypatch.setenv("OMP_THREAD_LIMIT", limit)
    program = PROGRAM.format(loader=LOADERS[loader])
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout == f"{threads} True\n"
