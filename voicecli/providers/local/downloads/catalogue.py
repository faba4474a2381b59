"""The language models and voices that can be downloaded: small, in English, and free to use for everything."""

from dataclasses import dataclass
from typing import Literal

from voicecli.errors import ConfigurationError
from voicecli.text import nearest

__all__ = ["DOWNLOADS", "Download", "find", "known", "names"]

Kind = Literal["language model", "voice"]


@dataclass(frozen=True, slots=True)
class Download:
    """A language model or a voice on the hub.

    Attributes:
        name: by which the user knows it.
        repo: its repository.
        files: their paths there; the first is the model.
        size: of all files, in bytes; about, as the hub may have newer ones.
        licence: of the weights, and of what a voice was trained with.
    """

    name: str
    kind: Kind
    repo: str
    files: tuple[str, ...]
    size: int
    licence: str
    note: str

    @property
    def stem(self) -> str:
        """The model's file name without its end: the name under which others know it."""
        return self.files[0].rpartition("/")[2].rpartition(".")[0]


def _language_model(name: str, repo: str, file: str, size: int, note: str) -> Download:
    return Download(name, "language model", repo, (file,), size, "Apache-2.0", note)


def _voice(name: str, language: str, note: str) -> Download:
    """A voice of Piper's own collection, with its card. All of these were made of public domain recordings alone."""
    model = f"en/{language}/{name}/medium/{language}-{name}-medium.onnx"
    card = f"en/{language}/{name}/medium/MODEL_CARD"
    files = (model, f"{model}.json", card)
    return Download(name, "voice", "rhasspy/piper-voices", files, 63_500_000, "public domain", note)


DOWNLOADS = (
    _language_model(
        "qwen3-1.7b",
        "ggml-org/Qwen3-1.7B-GGUF",
        "Qwen3-1.7B-Q4_K_M.gguf",
        1_282_439_264,
        "quick, far better than the built-in one",
    ),
    _language_model(
        "smollm3-3b", "ggml-org/SmolLM3-3B-GGUF", "SmolLM3-Q4_K_M.gguf", 1_915_305_312, "needs some 3 GB of memory"
    ),
    _language_model(
        "qwen3-4b",
        "unsloth/Qwen3-4B-Instruct-2507-GGUF",
        "Qwen3-4B-Instruct-2507-Q4_K_M.gguf",
        2_497_000_000,
        "the best of these; needs some 4 GB of memory and a fast processor",
    ),
    _voice("kristin", "en_US", "American woman"),
    _voice("norman", "en_US", "American man"),
    _voice("john", "en_US", "American man"),
    _voice("cori", "en_GB", "British woman"),
)
"""Language models first, the smallest of them first."""


def names(kind: Kind | None = None) -> list[str]:
    """The names of all downloads, or of those of a kind; loads nothing, so that it is fit for completion."""
    return [download.name for download in DOWNLOADS if kind in (None, download.kind)]


def known(name: str, kind: Kind | None = None) -> Download | None:
    """The download of that name, whatever its case, or of that file; None if there is none."""
    wanted = name.lower()
    for download in DOWNLOADS:
        if kind in (None, download.kind) and wanted in (download.name, download.stem.lower()):
            return download
    return None


def find(name: str) -> Download:
    """The download of that name.

    Raises:
        ConfigurationError: there is none; it names the nearest.
    """
    found = known(name)
    if found is None:
        near = [each for each in names() if name and name.lower() in each]
        likely = " or ".join(near[:3]) or nearest(name.lower(), names(), likeness=0.4)
        hint = f"Did you mean {likely}? " if likely else ""
        raise ConfigurationError(
            f"There is no model or voice {name!r} to download.", advice=f"{hint}All of them: voice models list"
        )
    return found
