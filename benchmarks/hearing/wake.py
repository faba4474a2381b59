"""The wake word: how often it is heard, how often other speech wakes, and what listening costs.

Other speech is made of sentences about Python's language, as it comes in its own documentation, by all voices, with
pauses of 0.1 to 1.2 s between them, and of the recordings; all of it much faster than real time.
"""

import argparse
import asyncio
import random
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pydoc_data.topics import topics

import numpy as np

from benchmarks.sounds.kept import Samples
from benchmarks.sounds.levels import at_speech_level, pcm16
from benchmarks.sounds.rooms import DRY, ORDINARY, Room, reverberate
from benchmarks.sounds.speech import RECORDINGS, Voice, pause, recording, say, voices
from voicecli.audio import WakeWord, chunk_audio

__all__ = ["add_arguments", "run"]

_RATE = 16_000
_LEVEL_DBFS = -26.0
_ROOM_NOISE = 8.0 / 32_768
_TAILS = (".", ", what time is it?", ", set a timer for five minutes.")
_BEFORE_S = 6.0  # of quiet before a word: by then the recogniser may run again
_NEAR = {
    "computer": ("commuter", "computers", "competitor", "compute her", "composer", "the computer", "my computer is"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("words", nargs="*", default=["computer"], help="what is listened for, one after the other")
    parser.add_argument("--minutes", type=float, default=60, help="of other speech")


def run(options: argparse.Namespace) -> None:
    for word in options.words:
        asyncio.run(_measure(word, options.minutes))


@dataclass
class _Heard:
    """What came of some audio.

    Attributes:
        wakes: the times at which it woke, in seconds of the audio.
        kept_s: how much sound each left.
    """

    seconds: float = 0.0
    cpu_s: float = 0.0
    wakes: list[float] = field(default_factory=list)
    kept_s: list[float] = field(default_factory=list)

    @property
    def cpu_share(self) -> float:
        return self.cpu_s / self.seconds


async def _measure(word: str, minutes: float) -> None:
    listening = await WakeWord.load(word, _RATE)
    try:
        print(f"{listening.phrase!r}")
        for room in (DRY, ORDINARY):
            for tail in _TAILS:
                await _print_hits(listening, listening.phrase, tail, room)
        for near in _NEAR.get(word, ()):
            await _print_hits(listening, near, _TAILS[1], DRY)
        quiet = await _listen(listening, [pause(120, _RATE)])
        print(f"a silent room: {quiet.cpu_share:.2%} of a core, {len(quiet.wakes)} wakes in 2 minutes")
        read = await _listen(listening, [_spoken(recording(name, _RATE)) for name in RECORDINGS])
        print(f"recordings: {read.cpu_share:.2%} of a core, {len(read.wakes)} wakes in {read.seconds / 60:.1f} minutes")
        other = await _listen(listening, _other_speech(minutes * 60))
        hours = other.seconds / 3600
        print(
            f"other speech: {other.cpu_share:.2%} of a core, {len(other.wakes)} wakes in {other.seconds / 60:.1f} "
            f"minutes: {len(other.wakes) / hours:.1f} an hour",
            *(f"  at {at:.1f} s" for at in other.wakes),
            sep="\n",
        )
    finally:
        await listening.aclose()


async def _print_hits(listening: WakeWord, said: str, tail: str, room: Room) -> None:
    hits, late = 0, []
    for voice in (all_of := _many_voices()):
        spoken = reverberate(_spoken(say(said.capitalize() + tail, voice, _RATE)), room.voice(_RATE))
        heard = await _listen(listening, [pause(_BEFORE_S, _RATE), spoken, pause(1.5, _RATE)])
        hits += bool(heard.wakes)
        late += [wake - _BEFORE_S for wake in heard.wakes[:1]]
    median = f", {np.median(late):.2f} s after its beginning" if late else ""
    print(f"{said + tail!r}, {room.name}: {hits} of {len(all_of)}{median}")


def _many_voices() -> list[Voice]:
    return [*voices(), Voice("joe", 0.9), Voice("joe", pitch=0.88), Voice("joe", 0.9, 1.1)]


async def _listen(listening: WakeWord, sounds: Sequence[Samples] | Iterator[Samples]) -> _Heard:
    """Listen to sounds one after the other, in a room that is not quite silent."""
    listening.reset()
    noise = np.random.default_rng(1)
    heard = _Heard()
    for sound in sounds:
        audio = pcm16(sound + (noise.standard_normal(sound.size) * _ROOM_NOISE).astype(np.float32))
        begin = time.process_time()
        for chunk in chunk_audio(audio, chunk_ms=20, sample_rate=_RATE):
            heard.seconds += len(chunk) / 2 / _RATE
            if (said := await listening.process(chunk)) is not None:
                heard.wakes.append(heard.seconds)
                heard.kept_s.append(len(said) / 2 / _RATE)
        heard.cpu_s += time.process_time() - begin
    return heard


def _other_speech(seconds: float) -> Iterator[Samples]:
    chance = random.Random(1)
    sentences = _sentences()
    chance.shuffle(sentences)
    speakers = voices()
    while seconds > 0:
        voice = chance.choice(speakers)
        for _ in range(6):
            spoken = _spoken(say(sentences.pop(), voice, _RATE))
            sound = np.concatenate((spoken, pause(chance.choice((0.1, 0.2, 0.3, 0.5, 0.8, 1.2)), _RATE)))
            seconds -= sound.size / _RATE
            yield sound


def _sentences() -> list[str]:
    text = re.sub(r"\s+", " ", re.sub(r"[*`\"]", "", " ".join(topics.values())))
    plain = re.compile(r"[A-Z][A-Za-z ,.'()-]+[.!?:]")
    parts = re.split(r"(?<=[.!?:]) ", text)
    return list(dict.fromkeys(part for part in parts if plain.fullmatch(part) and 4 <= len(part.split()) <= 30))


def _spoken(samples: Samples) -> Samples:
    return at_speech_level(samples, _RATE, _LEVEL_DBFS)
