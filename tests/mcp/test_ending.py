"""Programs that do not want to end: none outlives the conversation, and none holds it up for ever."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.commands import clean_environment

STUBBORN = """
import fcntl, json, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
lock = open(sys.argv[1], "w")
fcntl.flock(lock, fcntl.LOCK_EX)
mark = open(sys.argv[2], "w", buffering=1)
for line in sys.stdin:
    message = json.loads(line)
    mark.write("spoken to\\n")  # before that its start may still be under way, and to end it then kills it
    if sys.argv[3] != "answers" or "id" not in message:
        continue
    version = message.get("params", {}).get("protocolVersion")
    info = {"protocolVersion": version, "serverInfo": {"name": "x", "version": "1"}, "capabilities": {"tools": {}}}
    known = {"initialize": info, "tools/list": {"tools": []}}
    if message["method"] in known:
        answer = {"result": known[message["method"]]}
    else:
        answer = {"error": {"code": -32601, "message": "Method not found"}}
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], **answer}), flush=True)
mark.write("ended\\n")
time.sleep(300)
"""

PROGRAM = """
import asyncio, sys
from pathlib import Path
from voicecli import MCPServer

async def until(word):
    while word not in Path(sys.argv[3]).read_text():
        await asyncio.sleep(0.01)

async def main():
    global kept
    source = MCPServer(command=(sys.executable, *sys.argv[1:])).open_tools()
    starting = asyncio.create_task(source.start())
    await until("spoken to")
    if sys.argv[4] == "answers":
        await starting
        assert source.is_up
    kept = starting, asyncio.create_task(source.aclose())
    await until("ended")

asyncio.run(main())
"""


@pytest.mark.parametrize("manner", ["answers", "silent"])
def test_a_second_interrupt_while_a_program_is_being_ended_ends_both_at_once(tmp_path: Path, manner: str) -> None:
    """As by Ctrl-C: what `asyncio.run` cancels then is in the midst of ending the program."""
    if sys.platform == "win32":
        pytest.skip("a program without signals is killed at once")
    import fcntl

    (tmp_path / "stubborn.py").write_text(STUBBORN)
    (tmp_path / "mark").touch()
    arguments = [str(tmp_path / "stubborn.py"), str(tmp_path / "lock"), str(tmp_path / "mark"), manner]
    command = [sys.executable, "-c", PROGRAM, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, env=clean_environment())
    assert result.returncode == 0, result.stderr
    end = time.monotonic() + 30
    with open(tmp_path / "lock") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                assert time.monotonic() < end, "the program still runs"
                time.sleep(0.01)
            else:
                break
