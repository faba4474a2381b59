"""The files of the speech recogniser, Moonshine tiny-en (MIT licence).

They are published inside the package moonshine-voice. Its own library exists for fewer systems than onnxruntime, which
runs them here, and takes half as much time again.
"""

import threading
from pathlib import Path

from voicecli.package_file import PackageFile, Progress, ensure_files
from voicecli.user_folders import cache_dir

__all__ = ["FILES", "ensure_recogniser", "is_there"]


def _file(name: str, size: int, sha256: str) -> PackageFile:
    return PackageFile(
        requirement="moonshine-voice==0.0.73",  # the last one that has this model inside
        name=f"moonshine-{name}",
        size=size,
        sha256=sha256,
        title="the speech recogniser",
        extra="local",
        instead="choose another provider",
        member=f"tiny-en/{name}",
        platform="manylinux_2_34_x86_64",
    )


FILES = (
    _file("encoder_model.ort", 13_281_600, "94e90a4654fc45cdfedb77c4c08e1739f48862998e58fada384b25118134f221"),
    _file("decoder_model_merged.ort", 30_412_256, "cf524c4862d36e9e5ab032eddc73637efd822d70e868ac575cf1a46e1e4708a0"),
    _file("tokenizer.bin", 249_974, "6884b35fd6377d4c4d32336a0bc152f36b64d1e45b6503683cdc238250a8472d"),
)


def ensure_recogniser(progress: Progress | None = None, *, stop: threading.Event | None = None) -> list[Path]:
    """Fetch the files unless they are there; their paths, as in FILES. Blocks, and raises, as `ensure_files` does."""
    return ensure_files(FILES, progress, stop=stop)


def is_there() -> bool:
    """True when the files have been fetched, whatever they hold by now."""
    return all((cache_dir() / file.name).is_file() for file in FILES)
