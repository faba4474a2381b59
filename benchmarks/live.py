"""What live sound costs: delays that we add, silence after an interruption, recovery, processor time.

    python -m benchmarks.live [--real]

Runs on the virtual sound card of the tests (PulseAudio); with --real on this computer's own devices, without the
figures for which the loudspeaker must be recorded. Times are in ms: median, 95th percentile, worst.
"""

import argparse
import asyncio
import contextlib
import os
import statistics
import sys
import tempfile
import time
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from tests.virtual_audio import PACKAGES, SoundServer, is_installed
from voicecli.audio import EchoMode
from voicecli.audio.devices.microphone import Microphone
from voicecli.audio.devices.speaker import Speaker
from voicecli.audio.devices.stderr_guard import quiet_stderr
from voicecli.audio.echo.control import NoEchoControl, make_echo_control
from voicecli.audio.ports import EchoControl

__all__ = ["main"]

RATE = 24_000


class Clocked(NoEchoControl):
    """Sits where the echo canceller does, on the audio threads, and looks at the clock."""

    def __init__(self, inner: EchoControl) -> None:
        self.inner = inner
        self.captured_at = array("d")
        self.captured_bytes = 0
        self.first_sound_at = 0.0

    def render(self, audio: bytes) -> None:
        if not self.first_sound_at and any(audio):
            self.first_sound_at = time.monotonic()
        self.inner.render(audio)

    def capture(self, audio: bytes) -> bytes:
        self.captured_at.append(time.monotonic())
        self.captured_bytes += len(audio)
        return self.inner.capture(audio)


def noise(seconds: float) -> bytes:
    random = np.random.default_rng(1)
    return (random.standard_normal(round(seconds * RATE)) * 3_000).astype(np.int16).tobytes()


def show(what: str, figures: Sequence[float]) -> None:
    ordered = sorted(figures)
    late = ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
    print(f"{what:<44}{statistics.median(ordered):7.1f}{late:8.1f}{ordered[-1]:8.1f}")


async def microphone_to_reader(seconds: float) -> None:
    """From the block in the device's callback to the chunk in the reader's hands."""
    clock = Clocked(make_echo_control("aec", RATE))
    microphone = Microphone(RATE, echo=clock)
    await microphone.open()
    delays, read, block = [], 0, RATE // 100 * 2
    async for chunk in microphone:
        read += len(chunk)
        # The chunk's oldest block, which waited longest.
        index = (read - len(chunk)) // block
        delays.append((time.monotonic() - clock.captured_at[index]) * 1000)
        if read >= seconds * RATE * 2:
            break
    await microphone.aclose()
    show("microphone callback -> reader, oldest sample", delays[5:])
    show("  of that, the device's own latency", [microphone.latency_ms])


async def writer_to_loudspeaker(times: int) -> None:
    """From `write` to the block in the device's callback, for a reply that is complete, as all that can be known."""
    clock = Clocked(NoEchoControl())
    speaker = Speaker(RATE, echo=clock)
    await speaker.open()
    delays = []
    for index in range(times):
        clock.first_sound_at = 0.0
        written = time.monotonic()
        speaker.write(noise(0.1), f"item{index}")
        speaker.end()
        await speaker.drain()
        delays.append((clock.first_sound_at - written) * 1000)
        await asyncio.sleep(0.05 + 0.0013 * index)
    show("write -> loudspeaker callback", delays)
    show("  and then the device's own latency", [speaker.latency_ms])
    await speaker.aclose()


async def interruption(server: SoundServer, times: int) -> None:
    """From `clear` to silence, and how far the playhead is from what the recording holds."""
    heard: list[float] = []
    speaker = Speaker(RATE, on_sound=lambda: heard.append(time.monotonic()))
    await speaker.open()
    tails, errors = [], []
    for index in range(times):
        heard.clear()
        with server.record(RATE) as recording:
            speaker.write(noise(3.0), f"item{index}")
            await asyncio.sleep(0.7 + 0.0037 * index)
            cleared, playhead = time.monotonic(), speaker.clear()
            await asyncio.sleep(0.3)
            loud = np.flatnonzero(np.frombuffer(recording.audio, np.int16))
        sounded = (loud[-1] - loud[0]) * 1000 / RATE
        tails.append(sounded - (cleared - heard[0]) * 1000)
        errors.append(sounded - (playhead.played_ms if playhead else 0))
    await speaker.aclose()
    show("clear -> silence", tails)
    show("heard beyond the playhead (12 are the fade)", errors)


async def recovery(server: SoundServer, times: int) -> None:
    """From the failure's end to sound: the device stalls; the server dies and is started again."""
    for what in ("mic", "speaker", "server"):
        delays = []
        for _ in range(times):
            microphone, speaker = Microphone(RATE), Speaker(RATE)
            await microphone.open()
            await speaker.open()
            await asyncio.sleep(0.3)
            if what == "server":
                server.kill()
            else:
                server.stall(what, True)
            await asyncio.sleep(1.0)
            if what == "server":
                await asyncio.to_thread(server.start)
            else:
                server.stall(what, False)
            ended = time.monotonic()
            while True:
                before = microphone.blocks, speaker.blocks
                await asyncio.sleep(0.1)
                if microphone.blocks - before[0] > 5 and speaker.blocks - before[1] > 5:
                    break
            delays.append((time.monotonic() - ended) * 1000)
            await microphone.aclose()
            await speaker.aclose()
        show(f"recovery, {what}", delays)


async def processor(seconds: float) -> None:
    """Of a whole second, while both devices run and the canceller works."""
    modes: tuple[EchoMode, ...] = ("off", "gate", "aec")
    for mode in modes:
        echo = make_echo_control(mode, RATE)
        microphone, speaker = Microphone(RATE, echo=echo), Speaker(RATE, echo=echo)
        await microphone.open()
        await speaker.open()
        speaker.write(noise(seconds), "item")
        begun, used, read = time.monotonic(), time.process_time(), 0
        async for chunk in microphone:
            read += len(chunk)
            if read >= seconds * RATE * 2:
                break
        share = (time.process_time() - used) / (time.monotonic() - begun)
        print(f"{f'processor, echo {mode}, % of a core':<44}{share * 100:7.1f}")
        await microphone.aclose()
        await speaker.aclose()


@contextlib.contextmanager
def sound_server() -> Iterator[SoundServer]:
    if not is_installed():
        sys.exit(f"The virtual sound card is PulseAudio's, on Linux. Install {', '.join(PACKAGES)}.")
    with tempfile.TemporaryDirectory(prefix="voicecli-sound-") as directory:
        server = SoundServer(Path(directory))
        os.environ.update(server.environment)
        server.start()
        try:
            yield server
        finally:
            server.kill()


async def measure(server: SoundServer | None) -> None:
    await microphone_to_reader(10)
    await writer_to_loudspeaker(30)
    if server is not None:
        await interruption(server, 20)
        await recovery(server, 5)
    await processor(10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", action="store_true", help="use this computer's devices")
    if parser.parse_args().real:
        asyncio.run(measure(None))
        return
    with sound_server() as server, quiet_stderr():
        asyncio.run(measure(server))


if __name__ == "__main__":
    main()
