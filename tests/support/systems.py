"""What this system lacks, so that tests that need it are skipped and say why."""

import importlib
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from types import CodeType, ModuleType
from typing import Any

__all__ = ["FUNCTIONS", "MODULES", "SIGNALS", "lacks", "may_everything", "missing", "needed_of"]

MODULES = ("fcntl", "grp", "pty", "pwd", "resource", "termios", "tty")
FUNCTIONS = ("fork", "geteuid", "getpgid", "getsid", "killpg", "mkfifo", "openpty")
SIGNALS = ("SIGCONT", "SIGHUP", "SIGKILL", "SIGQUIT", "SIGSTOP", "SIGTSTP", "SIGUSR1", "SIGUSR2")
"""What POSIX has, and Windows has not."""


def lacks(*modules: str) -> bool:
    """Whether one of these modules of the standard library is not there."""
    try:
        for name in modules:
            importlib.import_module(name)
    except ModuleNotFoundError:
        return True
    return False


def may_everything() -> bool:
    """Whether permissions forbid nothing here: to root, or on a system that has none such."""
    return sys.platform == "win32" or not hasattr(os, "geteuid") or os.geteuid() == 0


def missing() -> frozenset[str]:
    """All of it that is not there."""
    return frozenset(
        [
            *(name for name in MODULES if lacks(name)),
            *(name for name in FUNCTIONS if not hasattr(os, name)),
            *(name for name in SIGNALS if not hasattr(signal, name)),
        ]
    )


def needed_of(names: frozenset[str], functions: Iterable[Callable[..., Any] | None]) -> list[str]:
    """Those of these names that the functions use: by themselves, or through helpers of their own module.

    What asks for a name before it uses it (`hasattr(os, "mkfifo")`) does not need it.
    """
    found: set[str] = set()
    seen: set[CodeType] = set()
    for function in functions:
        for code in _codes(function, seen):
            asked = {constant for constant in code.co_consts if isinstance(constant, str)}
            found.update(names & set(code.co_names) - asked)
    return sorted(found)


def _codes(function: Any, seen: set[CodeType]) -> Iterator[CodeType]:
    code = getattr(function, "__code__", None)
    if code is None or code in seen:
        return
    waiting = [code]
    while waiting:
        code = waiting.pop()
        seen.add(code)
        yield code
        waiting += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
        for name in code.co_names:
            helper = getattr(function, "__globals__", {}).get(name)
            helper = getattr(helper, "__wrapped__", helper)
            if not isinstance(helper, ModuleType | type) and str(getattr(helper, "__module__", "")).startswith("tests"):
                yield from _codes(helper, seen)
