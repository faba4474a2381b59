"""Functions that are offered as tools: those of Python files, and the built-in ones."""

import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from voicecli.errors import ToolError
from voicecli.user_folders import expanded

__all__ = ["BUILTIN", "chosen_tools"]

BUILTIN = "builtin"
"""In place of a file: the tools that come with the command."""


def chosen_tools(names: Iterable[str]) -> list[Callable[..., Any]]:
    """The functions of these files, in order; or the built-in ones.

    Raises:
        ToolError: a file cannot be read or imported, or defines none.
    """
    functions: list[Callable[..., Any]] = []
    for name in dict.fromkeys(names):
        if name == BUILTIN:
            from voicecli.cli.builtin_tools import calculate, current_time

            functions += [current_time, calculate]
        else:
            functions += load_tools(Path(expanded(name)))
    return functions


def load_tools(path: Path) -> list[Callable[..., Any]]:
    """The public functions defined in a Python file.

    Raises:
        ToolError: it cannot be read or imported, or defines none.
    """
    spec = importlib.util.spec_from_file_location(f"voicecli_tools_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ToolError(f"{path} is not a Python file.", advice="Name a file that ends in .py.")
    module = importlib.util.module_from_spec(spec)
    # What it imports may lie beside it.
    sys.path.insert(0, str(path.resolve().parent))
    try:
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
    except FileNotFoundError as error:
        if error.filename and Path(error.filename) == path.resolve():
            raise ToolError(f"There is no file {path}.", advice="Give the path of your tools file.") from error
        raise ToolError(f"{path} cannot be imported: {error}", advice="Mend it, and try again.") from error
    except (Exception, SystemExit) as error:
        raise ToolError(
            f"{path} cannot be imported: {type(error).__name__}: {error}", advice="Mend it, and try again."
        ) from error
    finally:
        sys.path.pop(0)
    functions: list[Callable[..., Any]] = [
        value
        for name, value in vars(module).items()
        if inspect.isfunction(value) and not name.startswith("_") and value.__module__ == spec.name
    ]
    if not functions:
        raise ToolError(f"{path} defines no public function.", advice="Write `def name(...)` with a docstring.")
    return functions
