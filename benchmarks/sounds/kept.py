"""A cache of arrays, in the system's temporary folder."""

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

__all__ = ["Samples", "kept"]

Samples = npt.NDArray[np.float32]

_FOLDER = Path(tempfile.gettempdir()) / f"voicecli-sounds-{os.getuid() if hasattr(os, 'getuid') else 'kept'}"


def kept(key: str, make: Callable[[], Samples]) -> Samples:
    """The array made by `make`, or that of an earlier call with the same key.

    Args:
        key: all that the array depends on, the version of what makes it included.
    """
    path = _FOLDER / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.npy"
    if path.exists():
        loaded: Samples = np.load(path)
        return loaded
    made = make().astype(np.float32)
    _FOLDER.mkdir(exist_ok=True, mode=0o700)
    unfinished = path.with_suffix(f".{os.getpid()}")
    with unfinished.open("wb") as file:
        np.save(file, made)
    unfinished.replace(path)
    return made
