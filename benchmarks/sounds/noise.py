"""Noise of everyday rooms: a keyboard, voices in the background, music. Made here, the same each time."""

import numpy as np

from benchmarks.sounds.kept import Samples, kept
from benchmarks.sounds.levels import at_speech_level
from benchmarks.sounds.speech import pause, say, voices
from benchmarks.sounds.texts import ANSWERS

__all__ = ["NOISES", "babble", "clicks", "hiss", "music"]

_SPEAKERS = 6
_CHORDS = ((220.0, 261.6, 329.6), (174.6, 220.0, 261.6), (130.8, 164.8, 196.0), (196.0, 246.9, 293.7))  # in Hz
_BEAT_S = 0.6


def hiss(seconds: float, rate: int) -> Samples:
    """White noise, of a microphone."""
    return np.random.default_rng(1).standard_normal(round(seconds * rate)).astype(np.float32)


def clicks(seconds: float, rate: int) -> Samples:
    """Somebody types: words of some 5 keys, 6 keys a second, a click when a key goes down and a softer one after."""
    random = np.random.default_rng(2)
    typed = pause(seconds, rate)
    at_s = 0.5
    while at_s < seconds - 0.5:
        for _ in range(random.integers(2, 9)):
            down, up = random.uniform(0.5, 1.0), random.uniform(0.1, 0.4)
            for begin_s, strength in ((at_s, down), (at_s + random.uniform(0.06, 0.11), up)):
                click = strength * _click(random, rate)
                begin = round(begin_s * rate)
                part = typed[begin : begin + click.size]
                part += click[: part.size]
            at_s += random.uniform(0.1, 0.25)
        at_s += random.uniform(0.2, 1.0)
    return typed


def _click(random: np.random.Generator, rate: int) -> Samples:
    """A burst that dies away in some 10 ms, with the ring of a plate."""
    time = np.arange(round(0.04 * rate)) / rate
    burst = random.standard_normal(time.size) * np.exp(-time / random.uniform(0.002, 0.005))
    ring = np.sin(2 * np.pi * random.uniform(800, 3000) * time) * np.exp(-time / random.uniform(0.004, 0.010))
    made: Samples = (burst + ring).astype(np.float32)
    return made


def babble(seconds: float, rate: int) -> Samples:
    """Six voices at once, equally loud, each reading without a pause."""
    return kept(f"babble 1 {seconds} {rate} {voices()}", lambda: _babble(seconds, rate))


def _babble(seconds: float, rate: int) -> Samples:
    size = round(seconds * rate)
    crowd = np.zeros(size, np.float32)
    speakers = (voices() * _SPEAKERS)[:_SPEAKERS]
    for number, voice in enumerate(speakers):
        read: list[Samples] = []
        while sum(part.size for part in read) < size:
            text = ANSWERS[(3 * number + len(read)) % len(ANSWERS)]
            read.append(at_speech_level(say(text, voice, rate), rate, -30))
        crowd += np.concatenate(read)[:size]
    return crowd


def music(seconds: float, rate: int) -> Samples:
    """Four chords, a bass, a melody with vibrato, and drums."""
    random = np.random.default_rng(3)
    played = pause(seconds, rate)
    for beat in range(int(seconds / _BEAT_S)):
        chord = _CHORDS[beat // 4 % len(_CHORDS)]
        parts = [_tone(chord[0] / 2, 0.9, rate, 0.5)]
        if beat % 4 == 0:
            parts += [_tone(note, 2.2, rate, 0.25) for note in chord]
        parts.append(_tone(chord[random.integers(3)] * 2, 0.5, rate, 0.4, vibrato=0.006))
        hit = np.arange(round(0.15 * rate)) / rate
        parts.append((np.sin(2 * np.pi * (50 + 60 * np.exp(-hit * 30)) * hit) * np.exp(-hit * 20)).astype(np.float32))
        parts.append((0.15 * random.standard_normal(hit.size) * np.exp(-hit * 60)).astype(np.float32))
        begin = round(beat * _BEAT_S * rate)
        for sound in parts:
            part = played[begin : begin + sound.size]
            part += sound[: part.size]
    return played


def _tone(hz: float, seconds: float, rate: int, strength: float, *, vibrato: float = 0.0) -> Samples:
    time = np.arange(round(seconds * rate)) / rate
    phase = 2 * np.pi * hz * time + vibrato * hz / 5.5 * np.sin(2 * np.pi * 5.5 * time)
    harmonics = sum(np.sin(order * phase) / order**1.5 for order in range(1, 7) if order * hz < rate / 2)
    made: Samples = (strength * harmonics * np.exp(-time * 2.5) * np.minimum(1, time / 0.01)).astype(np.float32)
    return made


NOISES = {"clicks": clicks, "babble": babble, "music": music}
