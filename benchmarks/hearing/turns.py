"""Ends of turns: how often a pause in the middle of a sentence is taken for the end, and what the others wait.

Sentences that are complete and such that go on, in several voices, are heard by the offline engine's recognizer; each
model of turns then tells which are complete. From that follows how long each pause may last before the turn is taken to
be over. The pauses are an assumption: one a turn, of log-normal length with this median and a sigma of 0.6.

The voices read, and do not hesitate: what goes by the sound does better with people.
"""

import argparse
import asyncio
import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice

from benchmarks.sounds.levels import pcm16
from benchmarks.sounds.speech import pause, say, voices
from benchmarks.sounds.turn_texts import COMPLETE, GOING_ON, HISTORY
from voicecli.audio.smart_turn import SmartTurn
from voicecli.audio.speech_to_text import Moonshine
from voicecli.providers.local.chat_model import Message
from voicecli.providers.local.llama import LlamaModel
from voicecli.providers.local.model_file import ensure_model
from voicecli.providers.local.pauses import longer_ms
from voicecli.providers.local.turn_model import Pause, SentenceEndModel, SoundModel, TurnModel, WordModel

__all__ = ["add_arguments", "run"]

_RATE = 16_000
_SIGMA = 0.6
_SILENCE_MS = 500  # that ends a turn by default
_PRE_ROLL_S, _SILENCE_S = 0.48, 0.25  # around the speech, when the recognizer gets it
_SYSTEM = Message("system", "You are a friendly voice assistant. Your answers are spoken, so keep them short.")


@dataclass
class Sample:
    """A sentence up to a pause.

    Attributes:
        complete: whether it ends there.
        text: what the recognizer heard.
    """

    complete: bool
    audio: bytes
    text: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--voices", type=int, default=4, help="for each sentence, of those there are")
    parser.add_argument("--smart-turn", action="store_true", help="measure it too; its file is fetched")
    parser.add_argument("--show", action="store_true", help="print what was judged wrongly")


def run(options: argparse.Namespace) -> None:
    asyncio.run(_measure(options.voices, smart_turn=options.smart_turn, show=options.show))


async def _measure(each: int, *, smart_turn: bool, show: bool) -> None:
    samples = _samples(each)
    hearing = await Moonshine.load()
    for sample in samples:
        sample.text = await hearing.transcribe(sample.audio)
    await hearing.aclose()
    model = await LlamaModel.load(ensure_model())
    head = [_SYSTEM, *model.examples]
    history = [Message("user" if role == "user" else "assistant", text) for role, text in HISTORY]
    complete = sum(sample.complete for sample in samples)
    print(
        f"{len(samples)} samples, {len(voices())} voices: {complete} complete, {len(samples) - complete} that go on\n"
    )
    print(f"{'taken for complete at once':<36}{'complete':>10}{'going on':>10}{'ms':>8}")
    judged = {"silence (before)": [_SILENCE_MS] * len(samples)}
    rows: list[tuple[str, TurnModel, list[Message]]] = [
        ("words", WordModel(), head),
        ("llm (now)", SentenceEndModel(model), head),
        ("llm (now), after two turns", SentenceEndModel(model), head + history),
    ]
    if smart_turn:
        rows.append(("smart-turn", SoundModel(await SmartTurn.load()), head))
    for name, turn_model, before in rows:
        judged[name] = await _judge(name, turn_model, before, samples, show=show)
        await turn_model.aclose()
    await model.aclose()
    print(
        f"\n{'false cut-offs, median of the pauses':<36}{'400 ms':>10}{'600 ms':>10}{'median':>10}{'mean':>10}  delay"
    )
    for name, waits in judged.items():
        _print_policy(name, samples, waits)


def _samples(each: int) -> list[Sample]:
    """Each sentence in some voices; the next one in the next voices."""
    speakers = cycle(voices())
    made = []
    for complete, texts in ((True, COMPLETE), (False, GOING_ON)):
        for text in texts:
            for voice in islice(speakers, each):
                # A comma keeps the voice up.
                spoken = say(text if complete else f"{text.rstrip(',')},", voice, _RATE)
                made.append(Sample(complete, _around(pcm16(spoken))))
            next(speakers)
    return made


def _around(spoken: bytes) -> bytes:
    return pcm16(pause(_PRE_ROLL_S, _RATE)) + spoken + pcm16(pause(_SILENCE_S, _RATE))


async def _judge(
    name: str, model: TurnModel, before: Sequence[Message], samples: Sequence[Sample], *, show: bool
) -> list[int]:
    waits, times = [], []
    for sample in samples:
        said = Pause(sample.text, [*before, Message("user", sample.text)] if sample.text else (), sample.audio)
        begun = time.perf_counter()
        waits.append(_SILENCE_MS + longer_ms(await model.end_chance(said)))
        times.append(time.perf_counter() - begun)
        if show and (waits[-1] == _SILENCE_MS) != sample.complete:
            print(f"    {waits[-1]:5} ms after: {sample.text}")
    shares = [
        statistics.fmean(
            wait == _SILENCE_MS for wait, sample in zip(waits, samples, strict=True) if sample.complete == kind
        )
        for kind in (True, False)
    ]
    print(f"{name:<36}{shares[0]:>10.2f}{shares[1]:>10.2f}{1000 * statistics.median(times):>8.1f}")
    return waits


def _print_policy(name: str, samples: Sequence[Sample], waits: Sequence[int]) -> None:
    cut = [
        statistics.fmean(
            _longer(median, wait) for wait, sample in zip(waits, samples, strict=True) if not sample.complete
        )
        for median in (400, 600)
    ]
    delays = [wait for wait, sample in zip(waits, samples, strict=True) if sample.complete]
    print(
        f"{name:<36}{cut[0]:>10.1%}{cut[1]:>10.1%}{statistics.median(delays):>10.0f}{statistics.fmean(delays):>10.0f}"
    )


def _longer(median_ms: float, ms: float) -> float:
    """The share of pauses that last longer."""
    return 0.5 * math.erfc(math.log(ms / median_ms) / _SIGMA / math.sqrt(2))
