"""How much memory the offline engine takes: the highest resident size after ten spoken turns.

    python -m benchmarks.local_memory

Linux and macOS.
"""

import asyncio
import sys
import wave
from pathlib import Path

from benchmarks.process_memory import peak_mb, shown
from voicecli.commands import AppendAudio
from voicecli.config import RealtimeConfig
from voicecli.events import ResponseDone
from voicecli.ports import ConversationSetup
from voicecli.providers.local import LOCAL

_QUESTION = Path(__file__).parent.parent / "tests" / "data" / "question.wav"
_TURNS = 10


async def main() -> None:
    if sys.platform == "win32":
        sys.exit("Python tells no memory on Windows. Run it on Linux or macOS.")
    with wave.open(str(_QUESTION)) as file:
        question = file.readframes(file.getnframes())
    print(f"before loading: {shown(peak_mb())}")
    connection = await LOCAL.connect(ConversationSetup(RealtimeConfig()))
    print(f"loaded: {shown(peak_mb())}")
    turns = 0
    await connection.send(AppendAudio(question))
    async for event in connection:
        if isinstance(event, ResponseDone):
            turns += 1
            print(f"after turn {turns}: {shown(peak_mb())}")
            if turns == _TURNS:
                await connection.aclose()
            else:
                await connection.send(AppendAudio(question))


if __name__ == "__main__":
    asyncio.run(main())
