"""Streams of live conversations, given to the echo canceller again: pauses for nobody, and voices that are noticed.

They are kept by `python -m benchmarks.live_self_talk --keep FOLDER`. Where the two streams stand to each other, and how
that changes, is as it was; a reply that was paused then is silent now, too. Turns are found with the default settings;
"then" they are found in what the canceller left in the conversation itself.
"""

import argparse
import statistics
import time
from pathlib import Path

from benchmarks.hearing.echo_variants import Variant, available
from benchmarks.sounds.streams import CAPTURED, DISCONTINUITY, LEFT, RENDERED, VOICE, Given, read_kept
from voicecli.audio.vad import SegmentStarted, SpeechDetected, VoiceActivityDetector
from voicecli.config import ClientVAD

__all__ = ["add_arguments", "run"]

SPEAKS_S = 5.0  # what is noticed so long after a voice has begun is that voice


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="of the kept streams")


def run(options: argparse.Namespace) -> None:
    variants = {name: variant for name, variant in available().items() if name in ("before", "now")}
    for path in sorted(options.folder.glob("*.streams")):
        sample_rate, render_rate, given = read_kept(path)
        for name, variant in {"then": None, **variants}.items():
            print(f"{path.stem:<16}{name:<8}{replay(variant, sample_rate, render_rate, given)}", flush=True)


def replay(variant: Variant | None, sample_rate: int, render_rate: int, given: list[Given]) -> str:
    """Find turns in what a canceller leaves of the streams; None: in what was left then."""
    echo = variant(sample_rate, render_rate) if variant else None
    detector = VoiceActivityDetector(ClientVAD(), sample_rate, patient=True)
    detector.eager = True  # replies are heard nearly all the time
    voices = [one.at_s for one in given if one.kind == VOICE]
    noticed: dict[float, float] = {}  # by the beginning of the voice
    pauses = turns = 0
    spent_s = captured = 0.0
    for one in given:
        begun = time.process_time()
        left = b""
        captured += len(one.audio) * (one.kind == CAPTURED)
        if echo is None:
            left = one.audio if one.kind == LEFT else b""
        elif one.kind == RENDERED:
            echo.render(one.audio)
        elif one.kind == CAPTURED:
            left = echo.capture(one.audio)
        elif one.kind == DISCONTINUITY:
            echo.discontinuity()
        spent_s += time.process_time() - begun
        detector.wary = echo is not None and not echo.settled
        voice = next((at_s for at_s in voices if 0 <= one.at_s - at_s < SPEAKS_S), None)
        for transition in detector.process(left):
            if voice is None:
                pauses += isinstance(transition, SpeechDetected)
                turns += isinstance(transition, SegmentStarted)
            elif isinstance(transition, SpeechDetected):
                noticed.setdefault(voice, one.at_s - voice)
    delays = list(noticed.values())
    median = f"{statistics.median(delays):.2f} s" if delays else "-"
    return (
        f"{pauses:3} pauses for nobody, {turns} of them turns; {len(delays)} of {len(voices)} voices noticed (median "
        f"{median}), {sum(delay > 1 for delay in delays)} after more than 1 s; "
        f"{spent_s * 1000 / (captured / 2 / sample_rate):.0f} ms of CPU a second"
    )
