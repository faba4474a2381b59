"""The language model can be let go at any moment: also when something else could not be loaded, or Ctrl-C came."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import xllamacpp

from tests.conftest import ROOT
from voicecli.providers.local.llama import LlamaModel

RELEASE_AT_ONCE = """
import asyncio, os, sys
from pathlib import Path
from voicecli.providers.local.llama import LlamaModel

if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {0})  # the server's loop starts later

async def main():
    for _ in range(4):
        model = await LlamaModel.load(Path(sys.argv[1]))
        await model.aclose()
        print("released", flush=True)

asyncio.run(main())
"""


def test_a_model_is_released_as_soon_as_it_is_loaded(model_path: Path) -> None:
    # In a process of its own: what hangs there holds Python's lock, and no timeout in it would help.
    done = subprocess.run(
        [sys.executable, "-c", RELEASE_AT_ONCE, str(model_path)], capture_output=True, text=True, timeout=90, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["released"] * 4


async def test_a_server_is_not_released_before_its_loop_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It shows only in an answer; llama.cpp's server forgets an end that comes before."""
    released: list[bool] = []

    class Server:
        listening_address = "unix://nowhere"

        def __init__(self, params: object) -> None:
            self.runs = False

        def handle_completions(self, request: dict[str, Any]) -> dict[str, Any]:
            self.runs = True
            return {}

        def __del__(self) -> None:
            released.append(self.runs)

    monkeypatch.setattr(xllamacpp, "Server", Server)
    model = await LlamaModel.load(tmp_path / "x.gguf")
    await model.aclose()
    assert released == [True]
