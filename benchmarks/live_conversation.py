"""A long live conversation: does anything grow or grow slow, what does it cost, what do we add to each delay?

    python -m benchmarks.live_conversation [--minutes 20] [--vad server|client]

Somebody asks, is answered, and cuts every third answer short, on the tests' virtual sound card (PulseAudio) with its
echo in the microphone, and with the echo canceller. The provider is the tests' OpenAI server, in a process of its own.
Then the command itself is run in a terminal for a minute, for the cost of the view.

Delays are in ms: median, worst.
"""

import argparse
import asyncio
import contextlib
import multiprocessing
import os
import shutil
import statistics
import sys
import tempfile
import time
from array import array
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection as Pipe
from pathlib import Path

from benchmarks.live import Clocked, sound_server
from benchmarks.process_memory import resident_mb
from tests.live.live_talk import RATE, Talk, assistant_speech, eventually, talking, user_speech
from tests.loopback.openai_server import KEY, OpenAIServer, Reply
from tests.support.terminal import Tmux
from tests.virtual_audio import SoundServer
from voicecli.audio import Playhead
from voicecli.audio.devices.stderr_guard import quiet_stderr
from voicecli.commands import AppendAudio, Command
from voicecli.config import VADMode
from voicecli.conversation.floor_events import Heard, Input
from voicecli.conversation.session import VoiceSession
from voicecli.events import AudioChunk, Interrupted, ResponseDone, SpeechStarted

__all__ = ["main"]

ECHO = (80, -6.0)
REPLY_S = 5.0
SAMPLE_S = 5.0
BLOCK = RATE // 100 * 2


@dataclass
class Figures:
    """What was measured; delays in ms.

    Attributes:
        up, stalls: compact, as there are a hundred a second: memory is measured too.
        sampled: each few seconds, in MB: resident memory, without what the measuring takes.
        queues: the longest that each queue was when nobody spoke.
        unasked: how many replies were interrupted although nobody spoke.
    """

    up: "array[float]" = field(default_factory=lambda: array("f"))
    down: list[float] = field(default_factory=list)
    silence: list[float] = field(default_factory=list)
    answers: list[float] = field(default_factory=list)
    stalls: "array[float]" = field(default_factory=lambda: array("f"))
    sampled: list[float] = field(default_factory=list)
    queues: dict[str, int] = field(default_factory=dict)
    unasked: int = 0


def show(what: str, figures: Sequence[float]) -> None:
    if figures:
        print(f"{what:<58}{statistics.median(figures):8.1f}{max(figures):8.1f}")


def processor_s(pid: int) -> float:
    if sys.platform != "linux":
        raise NotImplementedError("only Linux has /proc")
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# -- the provider, in a process of its own


def _serve(pipe: Pipe, turns: int) -> None:
    async def run() -> None:
        reply = Reply(text="word " * 20, audio=assistant_speech(REPLY_S))
        # Four times as fast as it is spoken, as providers do.
        async with OpenAIServer(replies=[reply] * turns, delay_s=0.02, forgiving=True) as server:
            pipe.send(server.url)
            await asyncio.to_thread(pipe.recv)

    asyncio.run(run())


@contextlib.asynccontextmanager
async def provider(turns: int) -> AsyncIterator[str]:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs, turns))
    process.start()
    try:
        yield await asyncio.to_thread(ours.recv)
    finally:
        ours.send(None)
        await asyncio.to_thread(process.join)


# -- what is looked at


class LastSound(Clocked):
    """Knows also when the latest sound was given to the loudspeaker."""

    last_sound_at = 0.0

    def render(self, audio: bytes) -> None:
        if any(audio):
            self.last_sound_at = time.monotonic()
        super().render(audio)


class Watched:
    """Looks at the clock where audio and events pass a session."""

    def __init__(self, talk: Talk, session: VoiceSession, figures: Figures) -> None:
        self.clock = LastSound(talk.live._echo)
        self.noticed_at = 0.0
        self.first_audio_at = 0.0
        self._talk = talk
        self._session = session
        self._figures = figures
        talk.live._microphone.echo = self.clock
        talk.speaker._echo = self.clock
        self._behind = 0  # bytes that were sent before the clock ran
        self._sent: int | None = None
        self._send, session._connection.send = session._connection.send, self._sending  # type: ignore[method-assign]
        driver = session._driver
        self._take, driver.take = driver.take, self._taking  # type: ignore[method-assign]

    async def _sending(self, command: Command) -> None:
        await self._send(command)
        if not isinstance(command, AppendAudio) or self._session.vad_mode is not VADMode.SERVER:
            return
        if self._sent is None:
            if not self._talk.live._microphone._queue and self.clock.captured_at:
                self._sent = self.clock.captured_bytes - len(self._talk.live._microphone._pending)
            return
        index = self._sent // BLOCK  # the oldest block in it, which waited longest
        self._sent += len(command.audio)
        if index < len(self.clock.captured_at):
            self._figures.up.append((time.monotonic() - self.clock.captured_at[index]) * 1000)

    def _taking(self, happened: Input, playhead: Playhead | None = None) -> list[Command]:
        match happened:
            case SpeechStarted() | Heard(SpeechStarted()):
                self.noticed_at = time.monotonic()
            case AudioChunk() if not self.first_audio_at:
                self.first_audio_at = time.monotonic()
                self.clock.first_sound_at = 0.0
        return self._take(happened, playhead)

    def queues(self) -> dict[str, int]:
        connection = self._session._connection
        return {
            "microphone": len(self._talk.live._microphone._queue),
            "to the provider": connection._sender.waiting,  # type: ignore[attr-defined]
            "from the provider": connection._events.waiting_bytes,  # type: ignore[attr-defined]
            "events": sum(
                each.waiting for held in self._session._audience._subscriptions if (each := held()) is not None
            ),
            "loudspeaker": round(self._talk.speaker._buffer.depth_ms),
        }


async def _stalls(figures: Figures) -> None:
    while True:
        before = time.monotonic()
        await asyncio.sleep(0.01)
        figures.stalls.append((time.monotonic() - before) * 1000 - 10)


async def _memory(figures: Figures, clock: LastSound) -> None:
    while True:
        kept = (figures.up, figures.stalls, clock.captured_at)
        figures.sampled.append(resident_mb() - sum(len(each) * each.itemsize for each in kept) / 1e6)
        await asyncio.sleep(SAMPLE_S)


# -- the conversation


async def converse(sound: SoundServer, seconds: float, vad_mode: VADMode) -> None:
    figures = Figures()
    async with provider(round(seconds)) as url, talking(url, vad_mode) as talk:
        session = talk.live._session
        assert session is not None
        watched = Watched(talk, session, figures)
        watching = [asyncio.create_task(_stalls(figures)), asyncio.create_task(_memory(figures, watched.clock))]
        begun, used, turns = time.monotonic(), time.process_time(), 0
        with sound.echo(*ECHO):
            while time.monotonic() - begun < seconds:
                await _turn(sound, talk, watched, figures, cut_short=turns % 3 == 2)
                turns += 1
                talk.events.clear()
        elapsed = time.monotonic() - begun
        share = (time.process_time() - used) / elapsed
        for task in watching:
            task.cancel()
        stats, xruns = talk.speaker.stats, talk.speaker.xruns
    print(
        f"{turns} turns in {elapsed / 60:.1f} minutes, turns found by the {vad_mode.value}; {stats.underruns} underruns"
    )
    print(f"{xruns} xruns of the loudspeaker, as the machine was busy; {figures.unasked} replies interrupted by nobody")
    show("microphone callback -> socket, oldest sample", figures.up)
    show("first audio received -> loudspeaker callback", figures.down)
    show("user's voice noticed -> last sound given to the loudspeaker", figures.silence)
    third = len(figures.answers) // 3 or 1
    show("turn ended -> answer heard, first third", figures.answers[:third])
    show("turn ended -> answer heard, last third", figures.answers[-third:])
    show("event loop stalled", figures.stalls)
    quarters = [figures.sampled[(len(figures.sampled) - 1) * quarter // 4] for quarter in range(5)]
    print("memory, MB, at each quarter of the time:", ", ".join(f"{megabytes:.1f}" for megabytes in quarters))
    print("longest queues when nobody spoke:", ", ".join(f"{name} {most}" for name, most in figures.queues.items()))
    print(f"processor: {share * 100:.1f}% of a core, without the view")


async def _turn(sound: SoundServer, talk: Talk, watched: Watched, figures: Figures, *, cut_short: bool) -> None:
    watched.first_audio_at = 0.0
    await asyncio.to_thread(sound.say, user_speech(), RATE)
    await eventually(lambda: talk.played_ms > 0, "the answer is heard")
    figures.down.append((watched.clock.first_sound_at - watched.first_audio_at) * 1000)
    if cut_short:
        await eventually(lambda: talk.played_ms > 1_000, "the answer is heard for a while")
        figures.unasked += len(talk.of(Interrupted))
        talk.events.clear()
        saying = asyncio.create_task(asyncio.to_thread(sound.say, user_speech(), RATE))
        await eventually(lambda: bool(talk.of(Interrupted)), "the answer is cut short")
        watched.first_audio_at = 0.0
        await asyncio.sleep(0.1)
        figures.silence.append((watched.clock.last_sound_at - watched.noticed_at) * 1000)
        talk.events.clear()
        await saying
        await eventually(lambda: talk.played_ms > 0, "the interruption is answered")
    await eventually(lambda: talk.of(ResponseDone) != [] and talk.speaker._buffer.drained, "the answer is complete", 30)
    await talk.speaker.drain()
    figures.unasked += len(talk.of(Interrupted))
    heard_ms = talk.of(ResponseDone)[-1].metrics.first_heard_ms
    if heard_ms is not None:
        figures.answers.append(heard_ms)
    for name, size in watched.queues().items():
        figures.queues[name] = max(figures.queues.get(name, 0), size)


# -- the command with its view


async def command(sound: SoundServer, seconds: float) -> None:
    with tempfile.TemporaryDirectory(prefix="voicecli-tmux-") as directory:
        tmux = Tmux(Path(directory) / "socket")
        try:
            async with provider(round(seconds)) as url:
                environment = sound.environment | {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": url}
                await asyncio.to_thread(tmux.run, "voicecli", "chat", "-p", "openai", environment=environment)
                await asyncio.to_thread(tmux.wait_for, "Listening")
                pid = _child(int(tmux._ask("display-message", "-p", "#{pane_pid}")))
                begun, used, memory = time.monotonic(), processor_s(pid), resident_mb(pid)
                with sound.echo(*ECHO):
                    while time.monotonic() - begun < seconds:
                        await asyncio.to_thread(sound.say, user_speech(), RATE)
                        await asyncio.sleep(REPLY_S)
                share = (processor_s(pid) - used) / (time.monotonic() - begun)
                grown = f"{memory:.0f} to {resident_mb(pid):.0f} MB"
                print(f"the command with its view: {share * 100:.1f}% of a core, {grown}")
                tmux.keys("q")
                await asyncio.to_thread(tmux.wait_for, "status 0")
        finally:
            tmux.close()


def _child(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[-1])


async def measure(sound: SoundServer, minutes: float, vad_mode: VADMode) -> None:
    await converse(sound, minutes * 60, vad_mode)
    if shutil.which("tmux") is not None:
        await command(sound, 60.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--vad", choices=["server", "client"], default="server")
    options = parser.parse_args()
    with sound_server() as sound, quiet_stderr():
        asyncio.run(measure(sound, options.minutes, VADMode(options.vad)))


if __name__ == "__main__":
    main()
