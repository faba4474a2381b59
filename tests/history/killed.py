"""Holds conversations, each in a process that is killed in the middle: `python -m tests.history.killed DATABASE COUNT`.

Writes a line of JSON for each: its id, and how many of its exchanges the database held before the process was killed.
The processes are forks of this one, which saves them the time it takes to start.
"""

import asyncio
import importlib
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from tests.conversation.scripted import MANUAL
from voicecli import RealtimeVoice
from voicecli.history.log import HistoryLog
from voicecli.history.store import Store
from voicecli.testing import reply, scripted_provider, tool_call

__all__ = ["EXCHANGES"]

EXCHANGES = 3
_MOST_S = 60  # where what is waited for is not written


def look_up(of: str) -> str:
    """Look something up."""
    return f"All of {of}."


async def _talk(path: Path, written: int) -> None:
    script = [
        step
        for number in range(EXCHANGES)
        for step in (tool_call("look_up", {"of": str(number)}), reply(f"Answer {number}."))
    ]
    voice = RealtimeVoice(scripted_provider(*script), config=MANUAL, tools=[look_up])
    log = HistoryLog("scripted", path=path)
    with Store(path, create=True) as store:
        async with voice.connect(logs=[log]) as session:
            for number in range(EXCHANGES):
                await session.ask(f"Question {number}")
                # A tool's, and the answer's.
                while not log.id or len(store.conversation(log.id).responses) < 2 * (number + 1):
                    await asyncio.sleep(0.001)
                os.write(written, f"{log.id}\n".encode())
            await asyncio.sleep(_MOST_S)


def _kill_one(path: Path, exchanges: int, then_s: float) -> tuple[str, int]:
    """Hold a conversation, and kill it that long after so many exchanges are written; its id, and how many were."""
    if sys.platform == "win32":
        raise NotImplementedError("Windows does not fork")
    read, written = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            os.close(read)
            asyncio.run(asyncio.wait_for(_talk(path, written), _MOST_S))
        finally:
            os._exit(1)
    os.close(written)
    with open(read, "rb") as lines:
        ids = [lines.readline() for _ in range(exchanges)]
        time.sleep(then_s)
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        ids += lines.readlines()
    assert all(id_.endswith(b"\n") for id_ in ids), "the process has failed by itself"
    return (ids[-1].decode().strip() if ids else ""), len(ids)


def _main() -> None:
    importlib.import_module("voicecli.conversation.user_input")  # which takes longest, and else each would do it
    path, count = Path(sys.argv[1]), int(sys.argv[2])
    random_ = random.Random(9)
    for _ in range(count):
        # As a conversation begins, between any two writes of it, or after the last.
        killed = _kill_one(path, random_.randrange(EXCHANGES + 1), random_.uniform(0, 0.012))
        sys.stdout.write(json.dumps(killed) + "\n")


if __name__ == "__main__":
    _main()
