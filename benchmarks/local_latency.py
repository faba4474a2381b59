"""How fast the offline engine answers: end of speech to first audio, and interruption to silence.

    python -m benchmarks.local_latency [--rounds N] [--end-point MS] [--against CHECKOUT]

Eight questions are spoken in real time by the voice that ships with the engine. The end of speech is the last sample
of the question that is louder than its background, so that the end-point's silence is part of the figure.

With `--against`, a checkout of another state (`git worktree add CHECKOUT COMMIT`) is asked the same questions in turn
with this one, each in a process of its own: on a shared machine only such ratios tell something.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from voicecli.commands import AppendAudio, CancelResponse, SendText
from voicecli.config import RealtimeConfig, ServerVAD
from voicecli.events import AudioChunk, ResponseDone, ResponseStarted, SpeechStopped, TranscriptUpdate
from voicecli.ports import Connection, ConversationSetup
from voicecli.providers.local import LOCAL

_CHUNK_MS = 20
_AUDIBLE = 300  # of 32767
_HERE = Path(__file__).resolve().parents[1]
_INTERRUPTIONS = 4
_FIGURES = {
    "first_audio": "end of speech -> first audio",
    "after_end_point": "end-point -> first audio",
    "stop": "interrupt -> reply over",
}


async def main(rounds: int, end_point_ms: int, against: Path | None) -> None:
    from benchmarks.sounds.levels import pcm16
    from benchmarks.sounds.speech import Voice, say
    from benchmarks.sounds.texts import QUESTIONS

    checkouts = {"now": _HERE} | ({"before": against} if against else {})
    with tempfile.TemporaryDirectory() as folder:
        recordings = [Path(folder) / f"{number}.pcm" for number in range(len(QUESTIONS))]
        for question, recording in zip(QUESTIONS, recordings, strict=True):
            recording.write_bytes(pcm16(say(question, Voice("joe"), 16_000)))
        sides = {name: await Side.start(checkout, end_point_ms) for name, checkout in checkouts.items()}
        for _ in range(rounds):
            for question, recording in zip(QUESTIONS, recordings, strict=True):
                for name, side in sides.items():
                    answer = await side.ask({"recording": str(recording)})
                    print(f"{name:>6} {answer['first_audio']:6.2f} s  {question}  ->  {answer['reply']}", flush=True)
        for _ in range(_INTERRUPTIONS):
            for side in sides.values():
                await side.ask({"interrupt": True})
        for side in sides.values():
            await side.end()
    for figure, title in _FIGURES.items():
        print(title)
        for name, side in sides.items():
            print(f"  {name:>6}: {summary([answer[figure] for answer in side.answers if figure in answer])}")
    if against:
        now, before = (
            [answer["first_audio"] for answer in side.answers if "first_audio" in answer] for side in sides.values()
        )
        ratios = [mine / other for mine, other in zip(now, before, strict=True)]
        print(f"now to before, each question by itself: median {statistics.median(ratios):.2f}")


class Side:
    """The engine of a checkout, in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.answers: list[dict[str, Any]] = []
        self._process = process

    @classmethod
    async def start(cls, checkout: Path, end_point_ms: int) -> "Side":
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            __file__,
            "--serve",
            "--end-point",
            str(end_point_ms),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(checkout)},
        )
        side = cls(process)
        ready = await side.ask({})
        print(f"{ready['from']}: loaded in {ready['loaded']:.2f} s")
        return side

    async def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        line = await self._process.stdout.readline()
        if not line:
            raise SystemExit("The engine's process ended.")
        answer: dict[str, Any] = json.loads(line)
        self.answers.append(answer)
        return answer

    async def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()


async def serve(end_point_ms: int) -> None:
    """Answer requests on standard input, a line of JSON each."""
    import voicecli

    config = RealtimeConfig(turn_detection=ServerVAD(silence_duration_ms=end_point_ms))
    begun = time.perf_counter()
    connection = await LOCAL.connect(ConversationSetup(config))
    ready = {"loaded": time.perf_counter() - begun, "from": str(Path(voicecli.__file__).parents[1])}
    watch = Watch(connection)
    try:
        while line := await asyncio.to_thread(sys.stdin.readline):
            match json.loads(line):
                case {"recording": path}:
                    answer = await ask(connection, watch, await asyncio.to_thread(Path(path).read_bytes))
                case {"interrupt": _}:
                    answer = {"stop": await interrupt(connection, watch)}
                case _:
                    answer = ready
            print(json.dumps(answer), flush=True)
    finally:
        await connection.aclose()


async def ask(connection: Connection, watch: "Watch", recording: bytes) -> dict[str, Any]:
    speech_end = await say_it(connection, recording)
    await watch.until(ResponseDone)
    sound, end_point = watch.first[AudioChunk], watch.first[SpeechStopped]
    watch.reset()
    return {"first_audio": sound - speech_end, "after_end_point": sound - end_point, "reply": watch.reply}


async def say_it(connection: Connection, recording: bytes) -> float:
    """Send it in real time, with silence after it; when its speech ended."""
    samples = np.abs(np.frombuffer(recording, "<i2").astype(int))
    speech_s = float(np.flatnonzero(samples > _AUDIBLE)[-1]) / 16_000
    audio = recording + bytes(32 * 1500)
    size = 32 * _CHUNK_MS
    begun = time.perf_counter()
    for start in range(0, len(audio), size):
        # A microphone gives a chunk when it is over.
        await asyncio.sleep(max(0.0, begun + (start + size) / 32_000 - time.perf_counter()))
        await connection.send(AppendAudio(audio[start : start + size]))
    return begun + speech_s


async def interrupt(connection: Connection, watch: "Watch") -> float:
    """How long a reply that is being made goes on after CancelResponse."""
    await connection.send(SendText("Tell me a long story about a king."))
    await watch.until(ResponseStarted)
    await asyncio.sleep(0.2)
    begun = time.perf_counter()
    await connection.send(CancelResponse(watch.response_id))
    await watch.until(ResponseDone)
    stopped = watch.first[ResponseDone] - begun
    watch.reset()
    return stopped


class Watch:
    """When the first event of each kind came."""

    def __init__(self, connection: Connection) -> None:
        self.first: dict[type[object], float] = {}
        self.reply = self.response_id = ""
        self._news = asyncio.Event()
        self._task = asyncio.create_task(self._read(connection))

    async def _read(self, connection: Connection) -> None:
        async for event in connection:
            self.first.setdefault(type(event), time.perf_counter())
            match event:
                case TranscriptUpdate(role="assistant", text=text):
                    self.reply = text
                case ResponseStarted(response_id):
                    self.response_id = response_id
            self._news.set()

    async def until(self, kind: type[object]) -> None:
        while kind not in self.first:
            self._news.clear()
            await self._news.wait()

    def reset(self) -> None:
        self.first.clear()


def summary(seconds: list[float]) -> str:
    low, middle, high = min(seconds), statistics.median(seconds), max(seconds)
    return f"median {middle:.3f} s, from {low:.3f} to {high:.3f} s ({len(seconds)} times)"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1, help="how often each question is asked")
    parser.add_argument("--end-point", type=int, default=500, help="silence that ends a turn, in ms")
    parser.add_argument("--against", type=Path, metavar="CHECKOUT", help="another state, asked in the same run")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        asyncio.run(serve(arguments.end_point))
    else:
        asyncio.run(main(arguments.rounds, arguments.end_point, arguments.against and arguments.against.resolve()))
