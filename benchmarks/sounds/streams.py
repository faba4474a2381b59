"""What an echo canceller is given and leaves in a live conversation, kept in a file, to be given to it again."""

import contextlib
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from voicecli.audio.echo.canceller import EchoCanceller

__all__ = ["CAPTURED", "DISCONTINUITY", "LEFT", "RENDERED", "VOICE", "Given", "keeping", "read_kept"]

RENDERED, CAPTURED, LEFT, DISCONTINUITY, VOICE, _RATES = b"r", b"c", b"l", b"d", b"v", b"h"
_HEAD = struct.Struct("<cdI")


@dataclass(frozen=True, slots=True)
class Given:
    """Something that the canceller is given, what it left of that (`LEFT`), or a voice that begins to speak (`VOICE`).

    Attributes:
        kind: RENDERED, CAPTURED, LEFT, DISCONTINUITY or VOICE.
        at_s: when, in seconds.
        audio: PCM16 mono.
    """

    kind: bytes
    at_s: float
    audio: bytes = b""


@contextlib.contextmanager
def keeping(path: Path) -> Iterator[Callable[[], None]]:
    """Keep what the canceller that is made meanwhile is given and leaves; what is to be called when a voice begins."""
    lock = threading.Lock()  # of the two audio threads
    with path.open("wb") as file:

        def write(kind: bytes, audio: bytes = b"") -> None:
            with lock:
                file.write(_HEAD.pack(kind, time.monotonic(), len(audio)) + audio)

        class Keeping(EchoCanceller):
            def __init__(self, sample_rate: int, render_rate: int) -> None:
                super().__init__(sample_rate, render_rate)
                write(_RATES, struct.pack("<II", sample_rate, render_rate))

            def render(self, audio: bytes) -> None:
                write(RENDERED, audio)
                super().render(audio)

            def capture(self, audio: bytes) -> bytes:
                write(CAPTURED, audio)
                left = super().capture(audio)
                write(LEFT, left)
                return left

            def discontinuity(self) -> None:
                write(DISCONTINUITY)
                super().discontinuity()

        with mock.patch("voicecli.audio.echo.control.EchoCanceller", Keeping):
            yield lambda: write(VOICE)


def read_kept(path: Path) -> tuple[int, int, list[Given]]:
    """The rates of the capture and of the render stream, in Hz, and what was given."""
    data, at, given, rates = path.read_bytes(), 0, [], (0, 0)
    while at < len(data):
        kind, at_s, size = _HEAD.unpack_from(data, at)
        audio = data[at + _HEAD.size : at + _HEAD.size + size]
        at += _HEAD.size + size
        if kind == _RATES:
            rates = struct.unpack("<II", audio)
        else:
            given.append(Given(kind, at_s, audio))
    return *rates, given
