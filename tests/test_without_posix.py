"""The tests are collected, and pass or are skipped, where there is no POSIX."""

import ast
import functools
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.support.systems import FUNCTIONS, MODULES, SIGNALS, needed_of

_NEAR_THE_SYSTEM = (
    *("tests/audio/test_files.py", "tests/audio/test_pipes_on_windows.py", "tests/cli/test_windows_shells.py"),
    *("tests/cli/test_standard_output.py::test_sound_into_a_file", "tests/mcp/test_ending.py"),
    *("tests/recording/test_writing.py", "tests/settings/test_files.py"),
    *("tests/terminal/test_key_bindings.py", "tests/terminal/test_keyboard.py", "tests/terminal/test_live_view.py"),
    *("tests/terminal/test_screen.py", "tests/terminal/test_signals.py", "tests/terminal/test_windows_console.py"),
    *("tests/test_held_files.py", "tests/test_kept_files.py"),
)
"""Files, pipes, terminals, signals and programs, in a few seconds; some tests of each need POSIX, others do not."""

_NAMED = re.compile(rf"\b(?:{'|'.join([*MODULES, *FUNCTIONS, *SIGNALS])})\b")
_IMPORTED = re.compile(r"^(?:from|import) (tests[\w.]*)", re.MULTILINE)


@functools.cache
def _needs_posix_to_load(path: Path) -> bool:
    """True for a module that names something of POSIX outside of functions, or imports one of ours that does."""
    text = path.read_text()
    if _NAMED.search(text) and any(map(_is_of_posix, _run_when_loaded(ast.parse(text)))):
        return True
    imported = (ROOT / f"{name.replace('.', '/')}.py" for name in _IMPORTED.findall(text))
    return any(file.exists() and _needs_posix_to_load(file) for file in imported)


def _run_when_loaded(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for part in (
        node.decorator_list if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else ast.iter_child_nodes(node)
    ):
        yield from _run_when_loaded(part)


def _is_of_posix(node: ast.AST) -> bool:
    match node:
        case ast.Import(names=[ast.alias(name=name)]):
            return name in MODULES
        case ast.ImportFrom(module=name):
            return name in MODULES
        case ast.Attribute(value=ast.Name(id="os"), attr=name):
            return name in FUNCTIONS
        case ast.Attribute(value=ast.Name(id="signal"), attr=name):
            return name in SIGNALS
    return False


def test_what_posix_has_is_needed_by_no_collection() -> None:
    """Other modules name nothing of it while they are loaded; `pytest -p tests.support.without_posix` takes all."""
    files = [str(path) for path in sorted((ROOT / "tests").rglob("test_*.py")) if _needs_posix_to_load(path)]
    assert any(file.endswith("test_keyboard.py") for file in files)
    _run("--collect-only", *files)


@pytest.mark.timeout(300)
def test_what_is_near_the_system_works_without_posix() -> None:
    said = _run(*_NEAR_THE_SYSTEM)
    for name in ("fcntl", "mkfifo", "openpty", "resource"):
        assert re.search(rf"SKIPPED .* this system has no .*\b{name}\b", said), f"{name} is not hidden:\n{said}"


def _run(*arguments: str) -> str:
    command = [sys.executable, "-m", "pytest", "-p", "tests.support.without_posix", "-p", "no:cacheprovider", "-q"]
    done = subprocess.run([*command, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3_000:]
    return done.stdout


def _makes_a_pipe() -> None:
    if sys.platform == "win32":
        return
    os.mkfifo("x")


def _kills(process: "subprocess.Popen[bytes]") -> None:
    if sys.platform == "win32":
        return
    process.send_signal(signal.SIGKILL)


@pytest.mark.parametrize(
    ("function", "needed"),
    [
        (_makes_a_pipe, ["mkfifo"]),
        (lambda: lambda: _makes_a_pipe(), ["mkfifo"]),
        (lambda: _kills(subprocess.Popen("x")), ["SIGKILL"]),
        (lambda: os.fork() if hasattr(os, "fork") else 0, []),
        (lambda: os.getpid(), []),
        (None, []),
    ],
)
def test_what_a_test_needs(function: object, needed: list[str]) -> None:
    assert needed_of(frozenset([*MODULES, *FUNCTIONS, *SIGNALS]), [function]) == needed  # type: ignore[list-item]
