"""Offline transcription: word error rates of known texts, speed, and memory over hours.

python -m benchmarks.transcription words      # the script of tests/transcribing, and two recordings of people
python -m benchmarks.transcription speed      # where the time goes
python -m benchmarks.transcription hours      # two hours through a service that costs nothing
"""

import asyncio
import os
import sys
import tempfile
import time
import wave
from pathlib import Path

import numpy as np

os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # as the engine does before it loads its models

from benchmarks.process_memory import peak_mb, resident_mb, shown
from benchmarks.sounds.kept import Samples
from benchmarks.sounds.speech import Voice, recording, say, voices
from tests.support.word_errors import word_error_rate, words
from tests.transcribing.fakes import CommittingService
from tests.transcribing.script import BECKETT, SENTENCES, TWO_CITIES
from voicecli import Transcriber
from voicecli.audio.speech_to_text import Moonshine
from voicecli.audio.utterances import UtteranceDetector
from voicecli.audio.vad_engines import make_engine
from voicecli.captions import CaptionText
from voicecli.config import ClientVAD
from voicecli.transcribing.session import TranscriptionSession

RATE = 16_000
PAUSE = np.zeros(RATE, np.float32)


def pcm16(samples: Samples) -> bytes:
    return bytes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())


def script(voice: Voice) -> bytes:
    """The twenty sentences, with a second between them."""
    parts = [PAUSE]
    for sentence in SENTENCES:
        parts += [say(sentence, voice, RATE), PAUSE]
    return pcm16(np.concatenate(parts))


async def transcribed(audio: bytes) -> tuple[str, float, float]:
    """The words, and seconds by the clock and of the processor."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sound.wav"
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(audio)
        begun, used = time.monotonic(), time.process_time()
        cues = await Transcriber().transcribe(path)
        return " ".join(cue.text for cue in cues), time.monotonic() - begun, time.process_time() - used


async def measure_words() -> None:
    sounds = [(f"script, {voice}", script(voice), " ".join(SENTENCES)) for voice in voices()]
    sounds.append(("two_cities, 21 s", pcm16(recording("two_cities", RATE)[: 21 * RATE]), TWO_CITIES))
    sounds.append(("beckett", pcm16(recording("beckett", RATE)), BECKETT))
    print("| | words | wrong | times real time, by the clock | by the processor |\n| --- | --- | --- | --- | --- |")
    for name, audio, said in sounds:
        heard, wall_s, cpu_s = await transcribed(audio)
        length_s = len(audio) / 2 / RATE
        wrong = word_error_rate(said, heard)
        print(f"| {name} | {len(words(said))} | {wrong:.1%} | {length_s / wall_s:.1f} | {length_s / cpu_s:.1f} |")


async def measure_speed() -> None:
    audio = pcm16(recording("two_cities", RATE))
    length_s = len(audio) / 2 / RATE
    detector = UtteranceDetector(make_engine(ClientVAD(), RATE), RATE)
    used = time.process_time()
    detector.process(audio)
    print(f"voice activity: {(time.process_time() - used) / length_s * 1000:.0f} ms a second")
    used = time.process_time()
    hearing = await Moonshine.load()
    print(f"loading the recogniser: {time.process_time() - used:.2f} s")
    pieces = [audio[at : at + 2 * RATE * 8] for at in range(0, len(audio), 2 * RATE * 8)]
    used = time.process_time()
    for piece in pieces:
        await hearing.transcribe(piece)
    print(f"recognition, in pieces of 8 s: {(time.process_time() - used) / length_s * 1000:.0f} ms a second")
    await hearing.aclose()
    print(f"most memory: {shown(peak_mb())}")


async def measure_hours() -> None:
    minute = (pcm16(np.concatenate([say(each, Voice("joe"), RATE) for each in SENTENCES])) * 2)[: 2 * RATE * 60]
    service = CommittingService()
    session = TranscriptionSession([service], vad=ClientVAD(engine="webrtc"))
    text, count = CaptionText("srt"), 0

    async def write() -> None:
        nonlocal count
        with tempfile.TemporaryFile("w") as file:
            async for caption in session:
                if caption.final:
                    count += 1
                    file.write(text.add(caption.cue()))
                    file.flush()

    writing = asyncio.create_task(write())
    for number in range(121):
        if number % 20 == 0:
            print(f"{number} min: {count} captions, memory {shown(resident_mb())}")
        await session.send_audio(minute)
        service.commits.clear()
    await session.finish()
    await writing


if __name__ == "__main__":
    asyncio.run({"words": measure_words, "speed": measure_speed, "hours": measure_hours}[sys.argv[1]]())
