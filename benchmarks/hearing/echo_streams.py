"""Streams for the echo command: what the loudspeaker plays, and what the microphone hears of it and of a user."""

from dataclasses import dataclass

import numpy as np

from benchmarks.sounds.kept import Samples
from benchmarks.sounds.levels import at_speech_level, delayed, mixed
from benchmarks.sounds.rooms import Room, reverberate
from benchmarks.sounds.speech import Voice, pause, recording, say, voices
from benchmarks.sounds.texts import INTERRUPTIONS, answers

__all__ = ["SPEECH_DBFS", "Scene", "assistant", "interruption", "reader", "scene"]

SPEECH_DBFS = -26.0
"""The level of speech without its pauses: of the user at the microphone, and of what is played."""
_NOISE_DBFS = -66.0  # of the microphone itself
_EVERY_S = 4.3  # an interruption; up to 0.6 s more
_ONSET_DB = -20.0  # of the voice's own level


@dataclass(frozen=True)
class Scene:
    """Two streams, and what is true of them.

    Attributes:
        rendered, captured: full scale is 1; equally long.
        onsets: when the user begins to speak, in seconds.
    """

    rendered: Samples
    captured: Samples
    onsets: tuple[float, ...] = ()


def assistant(seconds: float, rate: int, *, rapid: bool = False) -> Samples:
    """An assistant that answers and answers; between two answers 0.6 to 1.2 s of silence."""
    random = np.random.default_rng(1)
    parts: list[Samples] = []
    size, seed = 0, 1
    while size < seconds * rate:
        for answer in answers(seed):
            voice = Voice("joe", 1.25) if rapid or seed % 2 else Voice("joe")
            parts += [
                at_speech_level(say(answer, voice, rate), rate, SPEECH_DBFS),
                pause(random.uniform(0.6, 1.2), rate),
            ]
            size += parts[-1].size + parts[-2].size
        seed += 1
    return np.concatenate(parts)[: round(seconds * rate)]


def reader(seconds: float, rate: int) -> Samples:
    """A person who reads from a novel, over and over."""
    return np.resize(at_speech_level(recording("two_cities", rate), rate, SPEECH_DBFS), round(seconds * rate))


def scene(
    played: Samples, room: Room, rate: int, *, delay_ms: float, gain_db: float = 0.0, interrupted: bool = False
) -> Scene:
    """What the microphone hears of what is played, and where that is wanted of a user who interrupts again and again.

    Args:
        delay_ms: from the loudspeaker to its sound in the microphone's stream, the devices included.
        gain_db: the level of the echo to that of the user.
    """
    echo = delayed(reverberate(played, room.echo(rate)), delay_ms, rate) * np.float32(10 ** (gain_db / 20))
    noise = np.random.default_rng(3).standard_normal(played.size).astype(np.float32)
    captured = echo + noise * np.float32(10 ** (_NOISE_DBFS / 20))
    if not interrupted:
        return Scene(played, captured)
    said, onsets = _interruptions(played.size / rate, room, rate)
    return Scene(played, mixed(captured, *said, rate=rate), onsets)


def interruption(number: int, room: Room, rate: int) -> tuple[Samples, float]:
    """What the user of this number says, in one of all voices but the assistant's; and its onset in it, in seconds."""
    users = [voice for voice in voices() if voice.speaker != "joe" or voice.pitch != 1]
    said = say(INTERRUPTIONS[number % len(INTERRUPTIONS)], users[number % len(users)], rate)
    voice = at_speech_level(reverberate(said, room.voice(rate)), rate, SPEECH_DBFS)
    return voice, _onset(voice, rate)


def _interruptions(seconds: float, room: Room, rate: int) -> tuple[list[tuple[float, Samples]], tuple[float, ...]]:
    random = np.random.default_rng(1)
    said: list[tuple[float, Samples]] = []
    onsets: list[float] = []
    at_s = 3.0
    while at_s < seconds - 4:
        voice, onset = interruption(len(said), room, rate)
        said.append((at_s, voice))
        onsets.append(at_s + onset)
        at_s += _EVERY_S + random.uniform(0, 0.6)
    return said, tuple(onsets)


def _onset(voice: Samples, rate: int) -> float:
    """When the voice is first about as loud as speech, in seconds."""
    size = rate // 100
    levels = np.sqrt(np.square(voice[: voice.size // size * size].reshape(-1, size)).mean(axis=1))
    return float(np.argmax(levels > 10 ** ((SPEECH_DBFS + _ONSET_DB) / 20))) / 100
