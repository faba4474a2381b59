"""The rooms that the other commands simulate, and the voices: their figures."""

import argparse

from benchmarks.sounds.levels import speech_db
from benchmarks.sounds.rooms import ROOMS, describe
from benchmarks.sounds.speech import RECORDINGS, recording, say, voices
from benchmarks.sounds.texts import ANSWERS

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rate", type=int, default=16_000, help="in Hz")


def run(options: argparse.Namespace) -> None:
    rate = options.rate
    for room in ROOMS.values():
        print(describe(room, rate))
    for voice in voices():
        spoken = say(ANSWERS[0], voice, rate)
        print(
            f"{voice!s:<20} {spoken.size / rate:5.1f} s for an answer of 32 words, {speech_db(spoken, rate):5.1f} dBFS"
        )
    for name in RECORDINGS:
        spoken = recording(name, rate)
        print(f"{name:<20} {spoken.size / rate:5.1f} s, {speech_db(spoken, rate):5.1f} dBFS")
