"""Self-talk in real time: does the assistant cut itself short in a hard room, and is a second voice noticed?

    python -m benchmarks.live_self_talk [--minutes 10] [--interruptions 20] [--with openai-client ...] [--keep FOLDER]

Runs on the tests' virtual sound card (PulseAudio); a simulated room stands between its loudspeaker and its microphone.
The assistant talks and talks, in piper's voice; now and then a second voice, as loud as the echo, speaks into it.
OpenAI and Gemini are the tests' loopback servers, in a process of their own, with silero in the place of their own turn
detection (`--loudness`: what is loud is a voice); the offline engine is the real one.
The machine must be quiet: sound that is lost moves the echo.
"""

import argparse
import asyncio
import contextlib
import multiprocessing
import statistics
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection as Pipe
from pathlib import Path

import numpy as np

from benchmarks.live import sound_server
from benchmarks.sounds.levels import at_speech_level, pcm16, speech_db
from benchmarks.sounds.rooms import ROOMS, describe, reverberate
from benchmarks.sounds.speech import Voice, say
from benchmarks.sounds.streams import keeping
from benchmarks.sounds.texts import ANSWERS, INTERRUPTIONS
from benchmarks.sounds.virtual_room import virtual_room
from tests.live.live_talk import RATE, Talk, talking
from tests.loopback import gemini_server, openai_server
from tests.virtual_audio import SoundServer
from voicecli.audio.devices.stderr_guard import quiet_stderr
from voicecli.audio.pcm import Resampler
from voicecli.audio.silero import load_silero
from voicecli.audio.vad_engines import SPEECH_PROBABILITY
from voicecli.config import VADMode
from voicecli.events import Interrupted, StateChanged

__all__ = ["main"]

LEVEL_DBFS = -26.0
RUNS = ("openai-client", "openai-server", "gemini-client", "gemini-server", "local-server")
NOTICED_S = 5.0  # the offline engine cuts a reply when it knows words
KEYS = {"openai": openai_server.KEY, "gemini": gemini_server.KEY}


def assistant_speech() -> bytes:
    """All answers in a row: a reply of about a minute and a half."""
    sound = [at_speech_level(say(answer, Voice("joe"), RATE), RATE, LEVEL_DBFS) for answer in ANSWERS]
    return b"".join(pcm16(each) + bytes(RATE) for each in sound)


def echo_gain_db(name: str) -> float:
    """What makes the echo as loud as the second voice: the offline engine's voice is louder than that."""
    own = np.concatenate([say(answer, Voice("joe"), RATE) for answer in ANSWERS])
    return LEVEL_DBFS - speech_db(own, RATE) if name == "local" else 0.0


def user_speech(number: int, room: str) -> bytes:
    voice = Voice("joe", pitch=1.2) if number % 2 else Voice("joe", 1.1, pitch=0.85)
    spoken = reverberate(say(INTERRUPTIONS[number % len(INTERRUPTIONS)], voice, RATE), ROOMS[room].voice(RATE))
    return pcm16(at_speech_level(spoken, RATE, LEVEL_DBFS))


# -- the provider, in a process of its own


class SileroVoices:
    """What a server takes for a voice, of frames of PCM16 mono: silero's judgement of the latest 32 ms.

    Args:
        sample_rate: of the frames, in Hz.
    """

    _PIECE = 1_024  # bytes at 16 kHz, the only length that silero takes

    def __init__(self, sample_rate: int) -> None:
        self._probability = load_silero()
        self._to_16k = Resampler(sample_rate, 16_000)
        self._rest = b""
        self._is_voice = False

    def __call__(self, frame: bytes) -> bool:
        self._rest += self._to_16k.process(frame)
        while len(self._rest) >= self._PIECE:
            piece, self._rest = self._rest[: self._PIECE], self._rest[self._PIECE :]
            self._is_voice = self._probability(piece) >= SPEECH_PROBABILITY
        return self._is_voice


def _serve(name: str, by_loudness: bool, pipe: Pipe) -> None:
    async def run() -> None:
        audio, text = assistant_speech(), " ".join(ANSWERS)
        if name == "openai":
            replies = [openai_server.Reply(text=text, audio=audio)] * 200
            server: openai_server.OpenAIServer | gemini_server.GeminiServer = openai_server.OpenAIServer(
                replies=replies,
                delay_s=0.02,
                voice_detector=None if by_loudness else partial(SileroVoices, 24_000),
                forgiving=True,
            )
        else:
            answers = [gemini_server.Reply(text=text, audio=audio)] * 200
            server = gemini_server.GeminiServer(
                replies=answers,
                delay_s=0.02,
                voice_detector=None if by_loudness else partial(SileroVoices, 16_000),
                forgiving=True,
            )
        async with server:
            pipe.send(server.url)
            await asyncio.to_thread(pipe.recv)

    asyncio.run(run())


@contextlib.asynccontextmanager
async def provider(name: str, by_loudness: bool) -> AsyncIterator[str | None]:
    """The provider's URL; None for the offline engine."""
    if name == "local":
        yield None
        return
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(name, by_loudness, theirs))
    process.start()
    try:
        yield await asyncio.to_thread(ours.recv)
    finally:
        ours.send(None)
        await asyncio.to_thread(process.join)


# -- the conversation


@dataclass
class Outcome:
    """What happened; delays in seconds.

    Attributes:
        said: interruptions.
        noticed: from the beginning of each until a voice was noticed, which pauses the reply or cuts it.
        cut: how many of them cut the reply.
        self_cuts, suspicions: replies cut, and voices noticed, where nobody had just spoken; when, in seconds.
        cpu_share: of a core, that the conversation took; with the offline engine that, too.
    """

    said: int = 0
    noticed: list[float] = field(default_factory=list)
    cut: int = 0
    self_cuts: list[float] = field(default_factory=list)
    suspicions: list[float] = field(default_factory=list)
    cpu_share: float = 0.0


async def converse(
    sound: SoundServer,
    run: str,
    room: str,
    seconds: float,
    interruptions: int,
    *,
    by_loudness: bool = False,
    keep: Path | None = None,
) -> Outcome:
    name, mode = run.split("-")
    outcome, events, gain_db = Outcome(), _Watch(), echo_gain_db(name)
    keeper = keeping(keep / f"{run}.streams") if keep else contextlib.nullcontext(_ignore)
    async with (
        provider(name, by_loudness) as url,
        contextlib.AsyncExitStack() as stack,
    ):
        voice_begins = stack.enter_context(keeper)  # the canceller that is made from now on
        talk = await stack.enter_async_context(
            talking(url, VADMode(mode), provider=name, key=KEYS.get(name, ""), echo="aec")
        )
        with virtual_room(sound, room, gain_db):
            begun, cpu_begun = time.monotonic(), time.process_time()
            every_s = seconds / (interruptions + 1)
            while (elapsed := time.monotonic() - begun) < seconds:
                await _keep_talking(talk)
                if outcome.said < interruptions and elapsed > every_s * (outcome.said + 1) and talk.played_ms > 2_000:
                    voice_begins()
                    await _interrupt(sound, talk, outcome, events, room)
                for cuts in events.new(talk):
                    (outcome.self_cuts if cuts else outcome.suspicions).append(time.monotonic() - begun)
                await asyncio.sleep(0.02)
            outcome.cpu_share = (time.process_time() - cpu_begun) / (time.monotonic() - begun)
    return outcome


def _ignore() -> None:
    return


class _Watch:
    """Tells what has come since it looked last: for each voice noticed False, and for each reply cut True."""

    def __init__(self) -> None:
        self._seen = 0
        self._user = "silent"

    def new(self, talk: Talk) -> list[bool]:
        events, self._seen = talk.events[self._seen :], len(talk.events)
        told = []
        for event in events:
            if isinstance(event, Interrupted):
                told.append(True)
            elif isinstance(event, StateChanged) and event.user != self._user:
                self._user = event.user
                told += [False] if event.user == "speaking" else []
        return told


async def _keep_talking(talk: Talk) -> None:
    session = talk.live._session
    if session is None or talk.speaker.playhead is not None:  # what is written would cut the end that is still heard
        return
    if session.state.assistant == "listening" and session.state.user == "silent":
        talk.live.say("Tell me a long story about the sea.")
        await asyncio.sleep(0.5)


async def _interrupt(sound: SoundServer, talk: Talk, outcome: Outcome, events: _Watch, room: str) -> None:
    speech = user_speech(outcome.said, room)
    outcome.said += 1
    begun, saying = time.monotonic(), asyncio.create_task(asyncio.to_thread(sound.say, speech, RATE))
    noticed = cut = False
    while time.monotonic() - begun < NOTICED_S and not (cut and saying.done()):
        for cuts in events.new(talk):
            cut = cut or cuts
            if not noticed:
                noticed = True
                outcome.noticed.append(time.monotonic() - begun)
        await asyncio.sleep(0.01)
    outcome.cut += cut
    await saying


def show(run: str, outcome: Outcome) -> None:
    median = f"{statistics.median(outcome.noticed):.2f} s" if outcome.noticed else "-"
    print(
        f"{run:<15}{len(outcome.noticed)} of {outcome.said} interruptions noticed (median {median}, with the start "
        f"of the player), {outcome.cut} cut the reply; self-cuts: {len(outcome.self_cuts)}; "
        f"voices noticed where nobody spoke: {len(outcome.suspicions)}; {outcome.cpu_share:.1%} of a core",
        flush=True,
    )
    for what, times in (("self-cuts", outcome.self_cuts), ("suspicions", outcome.suspicions)):
        if times:
            print(f"{'':<15}{what} at {', '.join(f'{at:.1f}' for at in times)} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0, help="of each run")
    parser.add_argument("--interruptions", type=int, default=20, help="in each run")
    parser.add_argument("--room", choices=ROOMS, default="hard")
    parser.add_argument(
        "--with", dest="runs", choices=RUNS, nargs="+", default=RUNS, help="provider and who finds turns"
    )
    parser.add_argument("--loudness", action="store_true", help="the servers take what is loud for a voice")
    parser.add_argument("--keep", type=Path, help="the folder for what the echo canceller is given")
    options = parser.parse_args()
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
    print(describe(ROOMS[options.room], RATE))
    assistant_speech()  # made before the clock runs
    with sound_server() as sound, quiet_stderr():
        for run in options.runs:
            seconds, interruptions = options.minutes * 60, options.interruptions
            work = converse(
                sound, run, options.room, seconds, interruptions, by_loudness=options.loudness, keep=options.keep
            )
            show(run, asyncio.run(work))


if __name__ == "__main__":
    main()
