"""What the user says on a command line: words, files and pipes of words or sound, told apart by their first bytes."""

import contextlib
import os
import queue
import stat
import sys
import threading
from collections.abc import Sequence
from io import FileIO
from typing import BinaryIO

import typer

from voicecli.audio.files.errors import unusable
from voicecli.audio.files.formats import HEAD_SIZE, has_sound_name, is_sound
from voicecli.audio.files.shell_text import check_shell_text
from voicecli.audio.files.source import WavSource
from voicecli.audio.files.streams import read_fully
from voicecli.cli.standard_input import is_mintty, is_terminal
from voicecli.errors import ConfigurationError
from voicecli.text import LONGEST_TEXT
from voicecli.text_files import decode_text, looks_like_text, text_or_file

__all__ = ["Input", "open_inputs", "written_text"]

Input = WavSource | str
"""A recording, or words."""

_STDIN = "standard input"
_PATIENCE_S = 2.0  # until somebody is told that standard input is waited for
_STALLED_S = 120.0  # without a byte of what is to go with a text: then it was left open by mistake


def open_inputs(names: Sequence[str], raw_rate: int | None, output: str | None = None) -> list[Input]:
    """The inputs of these names, in their order.

    Args:
        names: of files; "-" is standard input.
        raw_rate: all of them are raw PCM16 mono at this rate, in Hz.
        output: a file that will be written: none of these.

    Raises:
        typer.BadParameter: one is named twice that can be read once, or holds neither sound nor words.
        AudioFormatError: one cannot be read.
        ConfigurationError: a rate that cannot be.
    """
    if names.count("-") > 1:
        raise typer.BadParameter("standard input can be read only once", param_hint="--input")
    for name in names:
        with contextlib.suppress(OSError, ValueError):
            if output not in (None, "-") and os.path.samefile(name, output or "") and not _is_pipe(name):
                raise typer.BadParameter(
                    f"{name!r} is the input, which the output would overwrite", param_hint="--output"
                )
    return [WavSource(name, raw_rate=raw_rate) if raw_rate is not None else _open(name) for name in names]


def written_text(text: str | None) -> str:
    """The text that `send-text` is to say: its argument, and behind that what comes through standard input.

    Args:
        text: words, @FILE, or "-" for standard input alone; None without the argument.

    Raises:
        typer.BadParameter: there is nothing to say, or no text.
    """
    alone = text is None or text == "-"
    if text is None and is_terminal():
        raise typer.BadParameter('give it, or pipe it in: voice send-text "Hello!"', param_hint="TEXT")
    try:
        said = "" if text is None or text == "-" else text_or_file(text)
        piped = _piped_text(alone) if alone or not (sys.stdin.isatty() or is_mintty()) else ""
    except ConfigurationError as error:
        raise typer.BadParameter(f"{error.message} {error.advice}".strip(), param_hint="TEXT") from error
    parts = [part for part in (said.strip(), piped.strip()) if part]
    if not parts:
        raise typer.BadParameter("there is nothing to say", param_hint="TEXT")
    return "\n\n".join(parts)


def _piped_text(alone: bool) -> str:
    try:
        content = sys.stdin.buffer.read(LONGEST_TEXT + 1) if alone else _read_patiently(sys.stdin.fileno())
    except (OSError, ValueError) as error:
        if alone or (isinstance(error, OSError) and error.errno):
            raise typer.BadParameter(f"cannot read {_STDIN}: {error}", param_hint="TEXT") from error
        return ""  # a stand-in, as of a notebook, that nothing can be read from
    if is_sound(content[:HEAD_SIZE]):
        raise typer.BadParameter(f"{_STDIN} is sound, which `voice chat` takes", param_hint="TEXT")
    return decode_text(content, _STDIN)


def _read_patiently(descriptor: int) -> bytes:
    """The bytes that come through a pipe beside a text; one that was left open by mistake must not hold it up unseen.

    Raises:
        OSError: it cannot be read.
        typer.BadParameter: nothing comes, and no end.
    """
    pieces: queue.SimpleQueue[bytes | OSError] = queue.SimpleQueue()

    def read() -> None:
        piece: bytes | OSError = b" "
        while piece and isinstance(piece, bytes):
            try:
                piece = os.read(descriptor, 65_536)
            except OSError as error:
                piece = error
            pieces.put(piece)

    threading.Thread(target=read, name="voicecli-stdin", daemon=True).start()
    content, limit_s = b"", _PATIENCE_S
    while len(content) <= LONGEST_TEXT:
        try:
            piece = pieces.get(timeout=limit_s)
        except queue.Empty:
            if limit_s == _STALLED_S:
                told = f"{_STDIN} is open, and nothing came for {limit_s:.0f} s; leave it out by </dev/null"
                raise typer.BadParameter(told, param_hint="TEXT") from None
            sys.stderr.write(f"Note: waiting for the end of {_STDIN}, which goes with the text.\n")
            piece = b""
        else:
            if isinstance(piece, OSError):
                raise piece
            if not piece:
                break
        content += piece
        limit_s = _STALLED_S
    return content


def _open(name: str) -> Input:
    if name != "-" and not _is_pipe(name):
        return _open_file(name)
    shown = "Standard input" if name == "-" else repr(name)
    try:
        stream = FileIO(0, closefd=False) if name == "-" else FileIO(name)
        head = read_fully(stream.read, HEAD_SIZE)
        if head and not is_sound(head):
            head += read_fully(stream.read, LONGEST_TEXT + 1 - len(head))
            if looks_like_text(head):
                stream.close()
                return _words(head, shown)
        if stream.seekable():
            stream.seek(0)
    except OSError as error:
        raise unusable("read", shown, error) from error
    return WavSource("-" if name == "-" else stream, head=head, closes=name != "-")


def _open_file(name: str) -> Input:
    """A file that is called like one of sound is taken for that."""
    content = b""
    if not has_sound_name(name):
        try:
            with open(name, "rb") as file:
                content = _content_of_text(file)
        except (OSError, ValueError):
            pass  # whoever opens it as sound says why
    return _words(content, repr(name)) if content else WavSource(name)


def _content_of_text(file: BinaryIO) -> bytes:
    head = file.read(4_096)
    return head + file.read(LONGEST_TEXT + 1 - len(head)) if not is_sound(head) and looks_like_text(head) else b""


def _words(content: bytes, name: str) -> str:
    check_shell_text(content, name)
    try:
        text = decode_text(content, name)
    except ConfigurationError as error:
        raise typer.BadParameter(f"{error.message} {error.advice}", param_hint="--input") from error
    if not text.strip():
        raise typer.BadParameter(f"there is nothing to say in {name}", param_hint="--input")
    return text.strip()


def _is_pipe(name: str) -> bool:
    try:
        return stat.S_ISFIFO(os.stat(name).st_mode)
    except (OSError, ValueError):
        return False
