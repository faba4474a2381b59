"""How fast the offline engine answers: end of speech to first audio, and interruption to silence.

    python -m benchmarks.local_latency [--rounds N] [--end-point MS]

Eight questions are spoken in real time by the voice that ships with the engine. The end of speech is the last sample
of the question that is louder than its background, so that the end-point's silence is part of the figure.
"""

import argparse
import asyncio
import statistics
import time

import numpy as np
import soxr

from voicecli.commands import AppendAudio, CancelResponse, SendText
from voicecli.config import RealtimeConfig, ServerVAD
from voicecli.events import AudioChunk, ResponseDone, ResponseStarted, SpeechStopped, TranscriptUpdate
from voicecli.ports import Connection, ConversationSetup
from voicecli.providers.local import LOCAL

QUESTIONS = (
    "What is the capital of France?",
    "How many days are in a week?",
    "Who wrote Romeo and Juliet?",
    "What is the largest planet?",
    "Where do penguins live?",
    "What is the capital of Germany?",
    "Tell me about the moon.",
    "What do bees make?",
)
_CHUNK_MS = 20
_AUDIBLE = 300  # of 32767


async def main(rounds: int, end_point_ms: int) -> None:
    recordings = await speak(QUESTIONS)
    config = RealtimeConfig(turn_detection=ServerVAD(silence_duration_ms=end_point_ms))
    begun = time.perf_counter()
    connection = await LOCAL.connect(ConversationSetup(config))
    print(f"loaded in {time.perf_counter() - begun:.2f} s")
    watch = Watch(connection)
    first_audio, after_end_point = [], []
    try:
        for _ in range(rounds):
            for question, recording in zip(QUESTIONS, recordings, strict=True):
                speech_end = await say(connection, recording)
                await watch.until(ResponseDone)
                sound, end_point = watch.first[AudioChunk], watch.first[SpeechStopped]
                first_audio.append(sound - speech_end)
                after_end_point.append(sound - end_point)
                print(f"{sound - speech_end:6.2f} s  {question}  ->  {watch.reply}")
                watch.reset()
        stops = [await interrupt(connection, watch) for _ in range(8)]
    finally:
        await connection.aclose()
    show("end of speech -> first audio", first_audio)
    show("end-point -> first audio", after_end_point)
    show("interrupt -> reply over", stops)


async def speak(texts: tuple[str, ...]) -> list[bytes]:
    """The questions as PCM16 mono at 16000 Hz."""
    from voicecli.providers.local.tts import Piper

    voice = await Piper.load()
    try:
        spoken = [np.frombuffer(b"".join([sound async for sound in voice.speak(text)]), "<i2") for text in texts]
    finally:
        await voice.aclose()
    return [soxr.resample(samples, 22_050, 16_000).tobytes() for samples in spoken]


async def say(connection: Connection, recording: bytes) -> float:
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
    await connection.send(CancelResponse())
    await watch.until(ResponseDone)
    stopped = watch.first[ResponseDone] - begun
    watch.reset()
    return stopped


class Watch:
    """When the first event of each kind came."""

    def __init__(self, connection: Connection) -> None:
        self.first: dict[type[object], float] = {}
        self.reply = ""
        self._news = asyncio.Event()
        self._task = asyncio.create_task(self._read(connection))

    async def _read(self, connection: Connection) -> None:
        async for event in connection:
            self.first.setdefault(type(event), time.perf_counter())
            if isinstance(event, TranscriptUpdate) and event.role == "assistant":
                self.reply = event.text
            self._news.set()

    async def until(self, kind: type[object]) -> None:
        while kind not in self.first:
            self._news.clear()
            await self._news.wait()

    def reset(self) -> None:
        self.first.clear()


def show(name: str, seconds: list[float]) -> None:
    low, middle, high = min(seconds), statistics.median(seconds), max(seconds)
    print(f"{name}: median {middle:.3f} s, from {low:.3f} to {high:.3f} s ({len(seconds)} times)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1, help="how often each question is asked")
    parser.add_argument("--end-point", type=int, default=500, help="silence that ends a turn, in ms")
    arguments = parser.parse_args()
    asyncio.run(main(arguments.rounds, arguments.end_point))
