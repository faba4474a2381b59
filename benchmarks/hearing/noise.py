"""Turns found in noise: a keyboard, babble and music, by each engine of voice activity detection.

Noise alone tells the false turns; twenty short sentences of several voices in it tell which are missed, and after which
the turn ends late or never, as the noise goes on. Levels: the speech without its pauses to the noise as it sounds (the
keyboard's: its loud moments). The user sits in the ordinary room of `rooms`; the microphone hisses at -65 dBFS.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks.sounds.kept import Samples
from benchmarks.sounds.levels import at_level, at_speech_level, mixed, pcm16
from benchmarks.sounds.noise import NOISES, hiss
from benchmarks.sounds.rooms import ORDINARY, reverberate
from benchmarks.sounds.speech import pause, say, voices
from benchmarks.sounds.texts import INTERRUPTIONS, QUESTIONS
from voicecli.audio.silero import load_silero
from voicecli.audio.vad import SegmentEnded, SegmentStarted, VoiceActivityDetector
from voicecli.config import ClientVAD
from voicecli.providers.local.turn_detection import EndOfTurn, StartOfTurn, TurnDetector

__all__ = ["add_arguments", "run"]

_RATE = 16_000
_CHUNK_BYTES = 640  # 20 ms
_SPEECH_DBFS = -26.0
_SOFT_DBFS = -52.0
_HISS_DBFS = -65.0
_EVERY_S = 5.0  # a sentence
_LATE_S = 1.0  # after the end of the speech: half a second of it is the silence that ends a turn
_AUDIBLE = 0.05  # of the loudest sample: what is softer is the room

Detect = Callable[[bytes], list[bool]]
"""Takes 20 ms; True for each turn that begins, False for each that ends."""


@dataclass(frozen=True)
class Turn:
    """A turn that was found, in seconds; one that does not end lasts for ever."""

    begin: float
    end: float


@dataclass(frozen=True)
class Found:
    """The turns found in a recording, and the CPU seconds that each of its seconds took."""

    turns: list[Turn]
    cpu: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--snr", type=float, nargs="*", default=[20, 10, 5], help="in dB")
    parser.add_argument("--alone", type=float, default=60.0, help="how much noise without speech, in s")
    parser.add_argument("--sentences", type=int, default=20, help="in each noise")


def run(options: argparse.Namespace) -> None:
    for title, noise, snr, voice_dbfs in [
        ("no noise", None, 0.0, _SPEECH_DBFS),
        (f"no noise, soft voices ({_SOFT_DBFS:g} dBFS)", None, 0.0, _SOFT_DBFS),
        *((f"{name} at {snr:g} dB", NOISES[name], snr, _SPEECH_DBFS) for name in NOISES for snr in options.snr),
    ]:
        print(title)
        spoken = sentences(options.sentences, voice_dbfs)
        alone, under = pause(options.alone, _RATE), pause(_EVERY_S * (len(spoken) + 1), _RATE)
        if noise is not None:
            # Its loud moments count: a keyboard is silent most of the time.
            made = at_speech_level(noise(max(alone.size, under.size) / _RATE, _RATE), _RATE, voice_dbfs - snr)
            alone, under = made[: alone.size], made[: under.size]
        heard = mixed(under, *(((number + 1) * _EVERY_S, one) for number, one in enumerate(spoken)), rate=_RATE)
        for name, make in ENGINES.items():
            false, found = find(make(), alone), find(make(), heard)
            print(f"  {name:<26}{row(false, found, spoken, options.alone)}", flush=True)


def sentences(count: int, dbfs: float) -> list[Samples]:
    """Short sentences in several voices, as they sound in the room, at this level."""
    texts, speakers = (*QUESTIONS, *INTERRUPTIONS), voices()
    response = ORDINARY.voice(_RATE)
    spoken = [say(texts[number % len(texts)], speakers[number % len(speakers)], _RATE) for number in range(count)]
    return [reverberate(at_speech_level(one, _RATE, dbfs), response) for one in spoken]


def find(detect: Detect, samples: Samples) -> Found:
    audio = pcm16(samples + at_level(hiss(samples.size / _RATE, _RATE), _HISS_DBFS))
    turns: list[Turn] = []
    begun: float | None = None
    cpu = time.process_time()
    for start in range(0, len(audio), _CHUNK_BYTES):
        now = (start + _CHUNK_BYTES) / 2 / _RATE
        for begins in detect(audio[start : start + _CHUNK_BYTES]):
            if begins:
                begun = now
            elif begun is not None:
                turns.append(Turn(begun, now))
                begun = None
    if begun is not None:
        turns.append(Turn(begun, float("inf")))
    return Found(turns, (time.process_time() - cpu) / (samples.size / _RATE))


def row(false: Found, found: Found, spoken: list[Samples], alone_s: float) -> str:
    missed, late, delays = 0, 0, []
    for number, sentence in enumerate(spoken):
        begin = (number + 1) * _EVERY_S
        end = begin + float(np.flatnonzero(np.abs(sentence) > _AUDIBLE * np.abs(sentence).max())[-1]) / _RATE
        during = [turn for turn in found.turns if turn.begin < end and turn.end > begin]
        if not during:
            missed += 1
            continue
        delays.append(during[-1].end - end)
        late += delays[-1] > _LATE_S
    delay = statistics.median(delays) if delays else float("inf")
    taken = sum(min(turn.end, alone_s) - turn.begin for turn in false.turns) / alone_s
    return (
        f"{len(false.turns) / alone_s * 60:5.1f} false turns a minute ({taken:4.0%} of the time), {missed:2d} of "
        f"{len(spoken)} missed, {late:2d} end late (median {delay:5.2f} s), CPU {found.cpu * 1000:4.1f} ms a second"
    )


def client(settings: ClientVAD) -> Detect:
    """Turns as the session finds them (`--vad client`)."""
    detector = VoiceActivityDetector(settings, _RATE)

    def detect(chunk: bytes) -> list[bool]:
        changes = detector.process(chunk)
        return [isinstance(one, SegmentStarted) for one in changes if isinstance(one, SegmentStarted | SegmentEnded)]

    return detect


def offline() -> Detect:
    """Turns as the offline engine finds them (`--vad server`)."""
    detector = TurnDetector(load_silero(), automatic=True, silence_ms=500, pre_roll_ms=480)

    def detect(chunk: bytes) -> list[bool]:
        changes = detector.process(chunk)
        return [isinstance(one, StartOfTurn) for one in changes if isinstance(one, StartOfTurn | EndOfTurn)]

    return detect


ENGINES: dict[str, Callable[[], Detect]] = {
    "webrtc, --vad client": lambda: client(ClientVAD(engine="webrtc")),
    "silero, --vad client": lambda: client(ClientVAD(engine="silero")),
    "the offline engine's own": offline,
}
