"""A plugin of pytest that hides what only POSIX has: `pytest -p tests.support.without_posix`.

Modules, functions and signals (`tests/support/systems.py`) are hidden from our own code, which is to do without them:
the package, its tests, benchmarks and examples, here and in every Python program that the tests start. Everybody else
still has them: the standard library and other packages choose their way by the system's name, which stays what it is,
and on Windows would take the other one.

PYTEST_DONT_REWRITE: it is there before pytest is, in the processes that pytest starts.
"""

import builtins
import importlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.support import systems

__all__: list[str] = []

_OURS = ("voicecli", "tests", "benchmarks", "examples")
_AT_START = Path(__file__).with_name("without_posix_at_start")
_import, _import_module, _start = builtins.__import__, importlib.import_module, subprocess.Popen.__init__


class _Without(ModuleType):
    """A module without some of its names. What is set or deleted here, as by a test, is so in the module itself."""

    _module: ModuleType
    _hidden: frozenset[str]

    def __init__(self, module: ModuleType, hidden: Sequence[str]) -> None:
        super().__init__(module.__name__, module.__doc__)
        object.__setattr__(self, "_module", module)
        object.__setattr__(self, "_hidden", frozenset(hidden))

    @property
    def __dict__(self) -> dict[str, Any]:  # type: ignore[override]
        return self._module.__dict__

    def __getattr__(self, name: str) -> Any:
        if name in self._hidden:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}, as on Windows", name=name)
        return getattr(self._module, name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._module, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._module, name)

    def __dir__(self) -> list[str]:
        return [name for name in dir(self._module) if name not in self._hidden]


_INSTEAD = {"os": _Without(os, systems.FUNCTIONS), "signal": _Without(signal, systems.SIGNALS)}


def _is_ours(scope: Mapping[str, Any] | None) -> bool:
    """Whether code with these global variables belongs to this repository."""
    scope = scope or {}
    name = getattr(scope.get("__spec__"), "name", None) or scope.get("__name__") or ""
    return name.partition(".")[0] in _OURS


def _import_for(
    name: str,
    globals: Mapping[str, Any] | None = None,
    locals: Mapping[str, Any] | None = None,
    fromlist: Sequence[str] | None = (),
    level: int = 0,
) -> Any:
    if level or not _is_ours(globals):
        return _import(name, globals, locals, fromlist or (), level)
    _check(name)
    module = _import(name, globals, locals, fromlist or (), level)
    return _INSTEAD.get(module.__name__, module)


def _import_module_for(name: str, package: str | None = None) -> ModuleType:
    if not _is_ours(sys._getframe(1).f_globals):
        return _import_module(name, package)
    _check(name)
    return _INSTEAD.get(name) or _import_module(name, package)


def _check(name: str) -> None:
    if name in systems.MODULES:
        raise ModuleNotFoundError(f"No module named {name!r}, as on Windows", name=name)


def _start_without(self: Any, *args: Any, **options: Any) -> None:
    """Start a program that imports this module at its start, if it is Python, and has no `sitecustomize` of its own."""
    environment = dict(os.environ if options.get("env") is None else options["env"])
    paths = [*filter(None, [environment.get("PYTHONPATH")]), str(_AT_START)]
    _start(self, *args, **options | {"env": environment | {"PYTHONPATH": os.pathsep.join(paths)}})


builtins.__import__ = _import_for
importlib.import_module = _import_module_for
subprocess.Popen.__init__ = _start_without  # type: ignore[method-assign]
importlib.reload(systems)  # it has them from before
