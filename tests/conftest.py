import contextlib
import importlib
import itertools
import os
import signal
import sys
import tempfile
import wave
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from tests.support.models import model_path as model_path
from tests.support.models import models as models
from tests.support.models import shared_models as shared_models
from tests.support.systems import missing, needed_of

ROOT = Path(__file__).parent.parent
DATA = ROOT / "tests" / "data"

_GIVING_WAY = 15
"""The niceness of tests that only calculate. A worker does not lose it again: the one for sound begins with sound."""

_GROUPS = {
    "sound": ("tests/live/", "tests/audio/devices/test_endpoints.py", "tests/audio/devices/test_listing.py"),
    "models": (
        *("tests/audio/wake/test_real_words.py", "tests/cli/test_local_chat.py", "tests/cli/test_sleep.py"),
        *("tests/providers/local/test_local.py", "tests/providers/local/test_language_model.py"),
        *("tests/transcribing/test_words.py", "tests/cli/test_transcribe_models.py"),
    ),
    "network": ("tests/providers/local/test_no_network.py",),
    "platforms": ("tests/test_platforms.py",),
}
"""Tests that share a sound server or models, or take long: with `-n`, one worker runs each of these groups.

They begin first, as whatever begins last is waited for; after them come files, each a group, of many tests before few.
"""

# Tests must not depend on luck, nor on how busy the machine is.
hypothesis.settings.register_profile("tests", derandomize=True, deadline=None)
hypothesis.settings.load_profile("tests")

# As the engine does before it loads its models, and for the same reason; some tests load them without it.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

# Else each command that tests start compiles all of voicecli anew, which is a third of what its start takes; and each
# worker, as each run, all tests.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# No test, nor a program that one starts, meets a server with language models that happens to run on this machine.
os.environ["VOICECLI_LLM_PORTS"] = ""

# Whoever runs this in the background, as by `nohup` or `&`, may have it ignore Ctrl-C, and programs inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# Nor on what this user has set, nor on the keys that this user keeps, nor is anything added to this user's history.
_SETTINGS = tempfile.TemporaryDirectory(prefix="voicecli-settings-")
os.environ["VOICECLI_CONFIG"] = _SETTINGS.name
os.environ["PYTHON_KEYRING_BACKEND"] = "keyring.backends.fail.Keyring"
_COUNT = itertools.count()


def _history(name: str) -> str:
    """A folder for a history of whose existence the user has been told."""
    folder = Path(_SETTINGS.name, name)
    folder.mkdir()
    (folder / "told").touch()
    return str(folder)


os.environ["VOICECLI_HISTORY"] = _history("history")
for _name in [name for name in os.environ if name.startswith("VOICE_")]:
    del os.environ[_name]


def _group(nodeid: str) -> str:
    """The tests that one worker runs, so that it makes once what they share: those of a file, if of nothing larger."""
    return next((group for group, paths in _GROUPS.items() if nodeid.startswith(paths)), nodeid.partition("::")[0])


def pytest_sessionstart(session: pytest.Session) -> None:
    """Let each worker of a whole run load other test files first.

    Rewriting their assertions is half of what loading them takes in a fresh clone. Who comes to a file later finds it
    done.
    """
    worker = getattr(session.config, "workerinput", None)
    if worker is None or session.config.args_source is not pytest.Config.ArgsSource.TESTPATHS:
        return
    files = sorted(Path(__file__).parent.rglob("test_*.py"))
    first = int(worker["workerid"].removeprefix("gw")) * len(files) // worker["workercount"]
    for file in files[first:] + files[:first]:
        with contextlib.suppress(Exception, pytest.skip.Exception):  # told when pytest itself comes to it
            importlib.import_module(".".join(file.relative_to(ROOT).with_suffix("").parts))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    from xdist.scheduler import LoadScopeScheduling

    config.option.loadscopereorder = False
    scheduler = LoadScopeScheduling(config, log)
    scheduler._split_scope = _group
    return scheduler


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let tests that only calculate give way to those that play and record, which run beside them in real time."""
    if hasattr(item.config, "workerinput") and sys.platform != "win32" and _group(item.nodeid) != "sound":
        os.setpriority(os.PRIO_PROCESS, 0, max(os.getpriority(os.PRIO_PROCESS, 0), _GIVING_WAY))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the tests of a worker in order, and skip those that use what this system has not, such as SIGKILL."""
    if hasattr(config, "workerinput"):
        sizes = Counter(_group(item.nodeid) for item in items)
        first = {group: number - len(_GROUPS) for number, group in enumerate(_GROUPS)}
        items.sort(key=lambda item: (first.get(group := _group(item.nodeid), 0), -sizes[group]))
    if not (names := missing()):
        return
    for item in items:
        fixtures = getattr(item, "_fixtureinfo").name2fixturedefs  # noqa: B009 - it has no public name
        functions = [fixture.func for definitions in fixtures.values() for fixture in definitions]
        if needed := needed_of(names, [getattr(item, "function", None), *functions]):
            item.add_marker(pytest.mark.skip(reason=f"this system has no {', '.join(needed)}"))


@pytest.fixture(autouse=True)
def own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test has settings, keys and a history of its own: none, until it writes some."""
    number = next(_COUNT)
    monkeypatch.setenv("VOICECLI_CONFIG", str(Path(_SETTINGS.name, f"{number}")))
    monkeypatch.setenv("VOICECLI_HISTORY", _history(f"history-{number}"))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory in which packages are installed."""
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name, module in list(sys.modules.items()):
        if str(tmp_path) in (getattr(module, "__file__", None) or ""):
            del sys.modules[name]


@pytest.fixture(scope="session")
def speech() -> bytes:
    """A spoken sentence: PCM16 mono at 16000 Hz."""
    with wave.open(str(DATA / "speech-16k.wav")) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        return bytes(file.readframes(file.getnframes()))
