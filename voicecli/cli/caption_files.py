"""Files of captions: which name each gets, and writing them so that they are complete at every moment."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

import typer

from voicecli.audio.files.errors import unusable
from voicecli.audio.files.formats import has_sound_name
from voicecli.captions import CaptionFormat, CaptionText, Cue
from voicecli.kept_files import replace_file
from voicecli.user_folders import expanded

__all__ = ["CaptionFile", "CaptionTarget", "choose_targets"]


@dataclass(frozen=True, slots=True)
class CaptionTarget:
    """The place for captions of one input.

    Attributes:
        path: of the file; None for standard output.
        named: whether the user has named this very file, which is replaced then. Another one is not: the captions get
            the next free name.
    """

    form: CaptionFormat
    path: Path | None
    named: bool


def choose_targets(form: CaptionFormat, value: str, inputs: list[str | None]) -> list[CaptionTarget]:
    """The target for each input.

    Args:
        value: of the option: a file, a directory, "-" for standard output, "" for beside the input.
        inputs: the names of files; None for standard input and for the microphone.

    Raises:
        typer.BadParameter: it is no place for captions, or not for so many.
    """
    option = f"--{form}"
    if value == "-":
        if len(inputs) > 1:
            raise typer.BadParameter("captions of several recordings are several files", param_hint=option)
        return [CaptionTarget(form, None, named=True)]
    if not value:
        if None in inputs:
            raise typer.BadParameter(f"name the file: {option} captions.{form}", param_hint=option)
        return [CaptionTarget(form, Path(name or "").with_suffix(f".{form}"), named=False) for name in inputs]
    if has_sound_name(value):
        raise typer.BadParameter(
            f"{value!r} is called like a recording, and captions would replace it; name recordings first: "
            f"voice transcribe {value} {option}",
            param_hint=option,
        )
    path = expanded(value)
    try:
        is_folder, is_there = path.is_dir(), path.exists()
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"cannot use {value!r}: {error}", param_hint=option) from error
    if is_folder or value.endswith(("/", os.sep)) or (len(inputs) > 1 and not is_there and not path.suffix):
        names = [Path(name).stem if name else "captions" for name in inputs]
        return [CaptionTarget(form, path / f"{name}.{form}", named=False) for name in names]
    if len(inputs) > 1:
        raise typer.BadParameter("several recordings need a directory, or nothing for beside them", param_hint=option)
    for name in inputs:
        with contextlib.suppress(OSError, ValueError):
            if name is not None and os.path.samefile(name, path):
                raise typer.BadParameter(f"{value!r} is the recording", param_hint=option)
    return [CaptionTarget(form, path, named=True)]


class CaptionFile:
    """Writes captions, each as a whole and at once: whatever ends the program leaves a file that can be read.

    There is no file, and none is replaced, before there is a caption.

    Args:
        stdout: the descriptor of standard output.

    Attributes:
        count: how many captions were written, long ones in their parts.
        path: where they are: another than the target's where that name was taken.
    """

    def __init__(self, target: CaptionTarget, stdout: int) -> None:
        self.count = 0
        self.path = target.path
        self._target = target
        self._stdout = stdout
        self._text = CaptionText(target.form)
        self._file: FileIO | None = None

    def write(self, cue: Cue) -> None:
        """Add a cue. Raises OSError, AudioFormatError for a file that cannot be made."""
        if text := self._text.add(cue):
            self._append(text)
            self.count += 1

    def close(self) -> None:
        """Write what waits, and close the file; idempotent."""
        file, self._file = self._file, None
        if file is not None:
            with file:
                _write_all(file, self._text.end().encode("utf-8", "replace"))

    def _append(self, text: str) -> None:
        if self._file is None:
            try:
                self._file, text = self._begin(self._text.begin() + text)
            except (OSError, ValueError, RuntimeError) as error:  # the last one where links lead in a circle
                raise unusable("write", repr(str(self.path)), error) from error
        _write_all(self._file, text.encode("utf-8", "replace"))

    def _begin(self, text: str) -> tuple[FileIO, str]:
        """The open file, and what is still to be written of the text."""
        if self.path is None:
            return FileIO(self._stdout, "w", closefd=False), text
        if self.path.exists() and not self.path.is_file():  # a device, or a pipe
            return FileIO(self.path, "w"), text
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self._target.named:
            replace_file(self.path, text.encode("utf-8", "replace"))
            return FileIO(self.path, "a"), ""
        for path in _names(self.path):
            with contextlib.suppress(FileExistsError):
                descriptor = os.open(path, _NEW, 0o600)
                self.path = path
                return FileIO(descriptor, "w"), text
        raise AssertionError("there is a free name")


_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


def _names(path: Path) -> Iterator[Path]:
    """The name, and with a number behind it."""
    yield path
    number = 2
    while True:
        yield path.with_name(f"{path.stem}-{number}{path.suffix}")
        number += 1


def _write_all(file: FileIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]
