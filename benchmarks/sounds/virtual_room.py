"""A simulated room between loudspeaker and microphone of the tests' virtual sound card, in a process of its own."""

import array
import contextlib
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from multiprocessing.synchronize import Event
from typing import IO

import numpy as np

from benchmarks.sounds.rooms import ROOMS
from tests.virtual_audio import SoundServer

__all__ = ["virtual_room"]

_RATE = 24_000
_BLOCK = _RATE // 50
_LATENCY_MS = 40  # of the recorder and of the player each, about
# What waits in a pipe beyond this is dropped. A pipe holds more than a second: each time the machine is busy some of it
# would fill, for good, and the room would be a kilometre wide in the end.
_MOST_WAITING = 4 * _BLOCK
_PRIORITY = -15


@contextlib.contextmanager
def virtual_room(server: SoundServer, room: str, gain_db: float = 0.0) -> Iterator[None]:
    """Let the microphone hear the loudspeaker as in the room of this name, some 80 to 120 ms later.

    Args:
        gain_db: the echo's level to the sound that is played.
    """
    context = multiprocessing.get_context("spawn")
    begun, ended = context.Event(), context.Event()
    process = context.Process(target=_reverberate, args=(server.environment, room, gain_db, begun, ended))
    process.start()
    try:
        assert begun.wait(60), "the room did not begin"
        yield
    finally:
        ended.set()
        process.join(10)
        if process.is_alive():
            process.terminate()


def _reverberate(environment: Mapping[str, str], room: str, gain_db: float, begun: Event, ended: Event) -> None:
    # A room's size does not depend on what else the machine does. Where that is not allowed, the machine must be quiet.
    if sys.platform != "win32":
        with contextlib.suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, 0, _PRIORITY)
    response = ROOMS[room].echo(_RATE).astype(np.float64)
    response *= 10 ** (gain_db / 20) / np.sqrt(np.square(response).sum())
    size = 1 << (response.size + _BLOCK).bit_length()
    spectrum, rest = np.fft.rfft(response, size), np.zeros(size)
    form = ["--raw", "--format=s16le", "--channels=1", f"--rate={_RATE}", f"--latency-msec={_LATENCY_MS}"]
    # Unbuffered: what waits is to be seen.
    run = {"env": {**os.environ, **environment}, "stderr": subprocess.DEVNULL, "bufsize": 0}
    recorder = subprocess.Popen(["parec", "--device=speaker.monitor", *form], stdout=subprocess.PIPE, **run)  # type: ignore[call-overload]
    player = subprocess.Popen(["pacat", "--playback", "--device=room", *form], stdin=subprocess.PIPE, **run)  # type: ignore[call-overload]
    begun.set()
    try:
        while not ended.is_set():
            if not (block := _read(recorder.stdout, _BLOCK * 2)):
                return
            if _waiting(recorder.stdout) > _MOST_WAITING:
                continue
            rest += np.fft.irfft(np.fft.rfft(np.frombuffer(block, "<i2"), size) * spectrum, size)
            if _waiting(player.stdin) <= _MOST_WAITING:
                player.stdin.write(np.clip(np.rint(rest[:_BLOCK]), -32_768, 32_767).astype("<i2").tobytes())
            rest = np.concatenate((rest[_BLOCK:], np.zeros(_BLOCK)))
    finally:
        recorder.terminate()
        player.terminate()
        recorder.wait()
        player.wait()


def _read(pipe: IO[bytes], size: int) -> bytes:
    """So many bytes; b"" at the end."""
    read = b""
    while len(read) < size:
        if not (more := pipe.read(size - len(read))):
            return b""
        read += more
    return read


def _waiting(pipe: IO[bytes]) -> int:
    """The bytes that were written into a pipe and not yet read."""
    if sys.platform == "win32":
        raise NotImplementedError("PulseAudio is not on Windows")
    import fcntl
    import termios

    count = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, count)
    return count[0]
