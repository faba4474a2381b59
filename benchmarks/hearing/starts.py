"""Replies that begin with the echo canceller: does one cut itself, and is an early interruption noticed?

A device that was just opened has an echo that the canceller does not know yet. Each reply is heard in a simulated room;
as in a session, what seems to be a voice pauses it, and its echo with it, until that turns out to be no turn. Turns are
found with the default settings.
"""

import argparse
import collections
import math
import statistics
from dataclasses import dataclass

import numpy as np

from benchmarks.hearing.echo_streams import assistant, interruption
from benchmarks.sounds.kept import Samples
from benchmarks.sounds.levels import mixed, pcm16
from benchmarks.sounds.rooms import HARD, ORDINARY, ROOMS, Room, describe
from voicecli.audio.echo.control import make_echo_control
from voicecli.audio.vad import SegmentDropped, SegmentStarted, SpeechDetected, VoiceActivityDetector
from voicecli.config import ClientVAD

__all__ = ["add_arguments", "run"]

RATE = 16_000
BLOCK = RATE // 100
LENGTH_S = 6.0
APART_S = 4.9  # of where two replies begin in the assistant's talk
PAUSED_AFTER_MS = 80  # what the loudspeaker's device has been given is heard
SPEAKS_UP_S = (0.5, 0.8, 1.2, 1.7, 2.3, 3.0)
NOTICED_S = 0.6
LOUD = 10 ** (-40 / 20)
NOISE = np.float32(10 ** (-66 / 20))  # of the microphone itself


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--room", choices=(ORDINARY.name, HARD.name), action="append", help="only in this")
    parser.add_argument("--replies", type=int, default=30, help="in each room; then as many that are interrupted")


def run(options: argparse.Namespace) -> None:
    talk = assistant(options.replies * APART_S + 2 * LENGTH_S, RATE)
    for name in options.room or (ORDINARY.name, HARD.name):
        room = ROOMS[name]
        print(describe(room, RATE))
        alone = [Start(talk, room, number).hear() for number in range(options.replies)]
        pauses, cut = sum(len(one.suspected) for one in alone), sum(len(one.turns) for one in alone)
        print(
            f"  {options.replies} replies of {LENGTH_S:g} s: {pauses} pauses for nobody, {cut} cut themselves",
            flush=True,
        )
        noticed: list[float] = []
        turns: list[float] = []
        for number in range(options.replies):
            start = Start(talk, room, number, interrupted=True)
            heard = start.hear()
            noticed += [at - start.onset for at in heard.suspected if at >= start.onset][:1]
            turns += [at - start.onset for at in heard.turns if at >= start.onset][:1]
        in_time = sum(delay <= NOTICED_S for delay in noticed)
        print(
            f"  interrupted in the first {SPEAKS_UP_S[-1]:g} s: {in_time} noticed within {NOTICED_S:g} s, median "
            f"{_median(noticed) * 1000:.0f} ms; {len(turns)} cut, median {_median(turns):.2f} s"
        )


def _median(delays: list[float]) -> float:
    return statistics.median(delays or [math.nan])


@dataclass(frozen=True)
class Heard:
    """What turn detection finds: when it suspects a voice, and when that is a turn; in seconds from the beginning."""

    suspected: list[float]
    turns: list[float]


class Start:
    """A reply that begins as its devices are opened.

    Attributes:
        onset: when somebody speaks into it, in seconds.
    """

    def __init__(self, talk: Samples, room: Room, number: int, *, interrupted: bool = False) -> None:
        reply = talk[round(number * APART_S * RATE) :]
        self._reply = reply[int(np.argmax(np.abs(reply) > LOUD)) :]
        loud = self._reply[: round(LENGTH_S * RATE)]
        echo = room.echo(RATE)
        gain = np.std(loud) / np.std(np.convolve(loud, echo)[: loud.size])
        self._echo = echo * np.float32(gain)  # as loud as the reply
        self._delay = (60 + 7 * (number % 21)) * RATE // 1000
        size = round(LENGTH_S * RATE)
        self._heard = np.zeros(size + self._delay + self._echo.size + BLOCK, np.float32)
        self._heard += np.random.default_rng(number).standard_normal(self._heard.size).astype(np.float32) * NOISE
        self.onset = 0.0
        if interrupted:
            at_s = SPEAKS_UP_S[number % len(SPEAKS_UP_S)]
            voice, onset = interruption(number, room, RATE)
            self.onset = at_s + onset
            self._heard = mixed(self._heard, (at_s, voice), rate=RATE)

    def hear(self) -> Heard:
        """Play it, paused for each voice that is suspected, and cut by a turn."""
        control, detector = make_echo_control("aec", RATE), VoiceActivityDetector(ClientVAD(), RATE)
        detector.eager = True
        found = Heard([], [])
        plays, taken = collections.deque([True] * (PAUSED_AFTER_MS // 10)), 0  # now, and while its device is ahead
        playing = True
        for at in range(0, round(LENGTH_S * RATE), BLOCK):
            block = np.zeros(BLOCK, np.float32)
            plays.append(playing)
            if plays.popleft():
                block, taken = self._reply[taken : taken + BLOCK], taken + BLOCK
                begin = at + self._delay
                self._heard[begin : begin + BLOCK + self._echo.size - 1] += np.convolve(block, self._echo)
            control.render(pcm16(block))
            detector.wary = not control.settled
            for transition in detector.process(control.capture(pcm16(self._heard[at : at + BLOCK]))):
                match transition:
                    case SpeechDetected():
                        found.suspected.append((at + BLOCK) / RATE)
                        playing = False
                    case SegmentStarted():
                        found.turns.append((at + BLOCK) / RATE)
                    case SegmentDropped():
                        playing = not found.turns
        return found
