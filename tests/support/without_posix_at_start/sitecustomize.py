"""Python imports this when it starts: a program that the tests start misses the same as they do."""

import sys
from importlib import import_module
from pathlib import Path

__all__: list[str] = []

sys.path.insert(0, str(Path(__file__).parents[3]))
import_module("tests.support.without_posix")
del sys.path[0]
