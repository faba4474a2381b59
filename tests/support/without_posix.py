"""A plugin of pytest that hides what only POSIX has: `pytest -p tests.support.without_posix`.

Modules are hidden from whoever imports them from now on; functions and signals are taken away. Libraries that choose
their way by the system's name have chosen before: they would break here, and not on Windows.
"""

import importlib.abc
import os
import signal
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import filelock  # locks by fcntl here
import pytest

from tests.support.systems import FUNCTIONS, MODULES, SIGNALS

__all__ = ["filelock", "pytest_collection"]


class _Hidden(importlib.abc.MetaPathFinder):
    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> None:
        if name in MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}, as on Windows", name=name)


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    for name in MODULES:
        sys.modules.pop(name, None)
    sys.meta_path.insert(0, _Hidden())
    owners: list[tuple[Any, Sequence[str]]] = [(os, FUNCTIONS), (signal, SIGNALS)]
    for owner, names in owners:
        for name in names:
            if hasattr(owner, name):
                delattr(owner, name)
