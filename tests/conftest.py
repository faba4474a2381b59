import os
import signal
import sys
import wave
from pathlib import Path

import hypothesis
import pytest

from tests.support.models import model_path as model_path
from tests.support.models import models as models
from tests.support.models import shared_models as shared_models

ROOT = Path(__file__).parent.parent
DATA = ROOT / "tests" / "data"

_GIVING_WAY = 5
"""The niceness of tests that only calculate. A worker does not lose it again: the one for sound begins with sound."""

_SOUND = "sound"
_GROUPS = {"sound_server_of_all": _SOUND, "models": "models", "conversations": "conversations"}
"""Fixtures that many tests share, and the groups of these tests. With `-n`, one worker runs all of a group."""

# Tests must not depend on luck, nor on how busy the machine is.
hypothesis.settings.register_profile("tests", derandomize=True, deadline=None)
hypothesis.settings.load_profile("tests")

# As the engine does before it loads its models, and for the same reason; some tests load them without it.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

# Whoever runs this in the background, as by `nohup` or `&`, may have it ignore Ctrl-C, and programs inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)  # xdist reads the marks in this hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for fixture, group in _GROUPS.items():
            if fixture in getattr(item, "fixturenames", ()):
                item.add_marker(pytest.mark.xdist_group(group))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let tests that only calculate give way to those that play and record, which run beside them in real time."""
    if not hasattr(item.config, "workerinput") or sys.platform == "win32":
        return
    if all(mark.args != (_SOUND,) for mark in item.iter_markers("xdist_group")):
        os.setpriority(os.PRIO_PROCESS, 0, max(os.getpriority(os.PRIO_PROCESS, 0), _GIVING_WAY))


@pytest.fixture(scope="session")
def speech() -> bytes:
    """A spoken sentence: PCM16 mono at 16000 Hz."""
    with wave.open(str(DATA / "speech-16k.wav")) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        return bytes(file.readframes(file.getnframes()))
