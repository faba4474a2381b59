"""How much memory the offline engine takes: the highest resident size after ten spoken turns.

    python -m benchmarks.local_memory

Linux and macOS.
"""

import asyncio
import resource
import sys
import wave
from pathlib import Path

from voicecli.commands import AppendAudio
from voicecli.config import RealtimeConfig
from voicecli.events import ResponseDone
from voicecli.ports import ConversationSetup
from voicecli.providers.local import LOCAL

_QUESTION = Path(__file__).parent.parent / "tests" / "data" / "question.wav"
_TURNS = 10


async def main() -> None:
    with wave.open(str(_QUESTION)) as file:
        question = file.readframes(file.getnframes())
    print(f"before loading: {peak_mb():.0f} MB")
    connection = await LOCAL.connect(ConversationSetup(RealtimeConfig()))
    print(f"loaded: {peak_mb():.0f} MB")
    turns = 0
    await connection.send(AppendAudio(question))
    async for event in connection:
        if isinstance(event, ResponseDone):
            turns += 1
            print(f"after turn {turns}: {peak_mb():.0f} MB")
            if turns == _TURNS:
                await connection.aclose()
            else:
                await connection.send(AppendAudio(question))


def peak_mb() -> float:
    """The highest resident size so far, in MB of 10^6 bytes; macOS counts in bytes, Linux in KiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


if __name__ == "__main__":
    asyncio.run(main())
