"""What each step of the offline engine costs between the end of speech and the first sound, one after the other.

    python -m benchmarks.local_stages [--questions N] [--rounds N]

CPU time of the process, which other programs disturb less than the clock: where a step has one thread (all but speech
recognition) that is how long it takes on an idle machine. The language model reads the words twice: anew, and with all
but the last one read ahead, as while the user speaks.
"""

import argparse
import asyncio
import statistics
import time
from contextlib import aclosing
from dataclasses import replace

from benchmarks.sounds.levels import pcm16
from benchmarks.sounds.speech import Voice, say
from benchmarks.sounds.texts import QUESTIONS
from voicecli.audio.speech_to_text import Moonshine
from voicecli.providers.local.chat_model import Message
from voicecli.providers.local.llama import LlamaModel
from voicecli.providers.local.model_file import ensure_model
from voicecli.providers.local.sentences import SentenceSplitter
from voicecli.providers.local.tts import Piper

_PROMPT = Message("system", "You are a friendly voice assistant. Your answers are spoken, so keep them short.")
_PRE_ROLL_MS = 480  # of silence that the engine leaves before the speech, and 96 ms after it


async def main(questions: int, rounds: int) -> None:
    hearing, voice = await Moonshine.load(), await Piper.load()
    model = await LlamaModel.load(await asyncio.to_thread(ensure_model))
    costs: dict[str, list[float]] = {}
    try:
        for question in QUESTIONS[:questions]:
            audio = bytes(32 * _PRE_ROLL_MS) + pcm16(say(question, Voice("joe"), 16_000)) + bytes(32 * 96)
            taken = [await steps(hearing, model, voice, audio) for _ in range(rounds)]
            for step in taken[0]:
                costs.setdefault(step, []).append(min(one[step] for one in taken))
    finally:
        await asyncio.gather(hearing.aclose(), model.aclose(), voice.aclose())
    print(f"ms of CPU, median of {questions} questions, the least of {rounds} rounds of each (from, to)")
    for step, seconds in costs.items():
        low, middle, high = (1000 * figure for figure in (min(seconds), statistics.median(seconds), max(seconds)))
        print(f"  {step:<52} {middle:5.0f}  ({low:.0f}, {high:.0f})")


async def steps(hearing: Moonshine, model: LlamaModel, voice: Piper, audio: bytes) -> dict[str, float]:
    clock = Clock()
    words = await hearing.transcribe(audio)
    costs = {"transcription (two threads)": clock.lap()}
    head = [_PROMPT, *model.examples]
    said = [*head, Message("user", words)]
    for how in ("anew", "the last word"):
        await forget(model, head)
        if how != "anew":
            await model.read_ahead([*head, Message("user", words.rpartition(" ")[0])])
        clock.lap()
        await model.end_chance([*head, replace(said[-1], text=words.rstrip("?.,"))])
        costs[f"does the sentence end here? reading {how}"] = clock.lap()
        first, piece = await begin(model, said, clock)
        costs[f"answer's first token, then ({how})"] = first
        costs["first piece of the answer complete, after that"] = clock.lap()
    async with aclosing(voice.speak(piece)) as sounds:
        await anext(sounds)
        costs["its first sound"] = clock.lap()
        async for _ in sounds:
            pass
        costs["the rest of its sound"] = clock.lap()
    return costs


async def forget(model: LlamaModel, head: list[Message]) -> None:
    """Answer something else, as in a conversation."""
    async with aclosing(model.stream([*head, Message("user", "Thank you, goodbye.")])) as deltas:
        async for _ in deltas:
            pass


async def begin(model: LlamaModel, messages: list[Message], clock: "Clock") -> tuple[float, str]:
    """The cost of the answer's first token, and the answer's first piece."""
    splitter, first = SentenceSplitter(), 0.0
    async with aclosing(model.stream(messages)) as deltas:
        async for delta in deltas:
            if isinstance(delta, str):
                first = first or clock.lap()
                if pieces := splitter.push(delta):
                    return first, pieces[0]
    return first, splitter.flush()


class Clock:
    """CPU time of this process since the last lap, in seconds."""

    def __init__(self) -> None:
        self._last = time.process_time()

    def lap(self) -> float:
        now = time.process_time()
        passed, self._last = now - self._last, now
        return passed


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=len(QUESTIONS), help="how many of them")
    parser.add_argument("--rounds", type=int, default=3, help="how often each")
    arguments = parser.parse_args()
    asyncio.run(main(arguments.questions, arguments.rounds))
