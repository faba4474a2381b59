"""`voice` as it is where the offline engine is not installed: `python -m tests.support.without_local`."""

from importlib.machinery import ModuleSpec, PathFinder
from typing import Any

from voicecli.cli import main

__all__: list[str] = []

_HIDDEN = {"xllamacpp", "piper"}
_find = PathFinder.find_spec


def _find_others(name: str, *rest: Any) -> ModuleSpec | None:
    return None if name.partition(".")[0] in _HIDDEN else _find(name, *rest)


if __name__ == "__main__":
    PathFinder.find_spec = _find_others  # type: ignore[method-assign, assignment]
    main()
