"""Terminal: its size, colours and letters, how it tells of keys, and what stands between it and the person."""

import os
import sys
from collections.abc import Iterator, Mapping
from typing import TextIO

from voicecli.cli import standard_output
from voicecli.cli.doctor.area import Scope
from voicecli.finding import Finding
from voicecli.terminal.abilities import reports_key_releases

__all__ = ["look_at_terminal"]

_LEAST_COLUMNS, _LEAST_ROWS = 40, 10
_UTF8 = "chcp 65001" if os.name == "nt" else "export LC_ALL=C.UTF-8"
_COLOURS = {None: "none", "standard": "16", "256": "256", "truecolor": "16 million", "windows": "16"}


def look_at_terminal(scope: Scope) -> Iterator[Finding]:
    """Look at the terminal that standard output leads to, if it is one."""
    out = standard_output.own_stdout()
    if not out.isatty():
        yield Finding("Output", "no terminal: a pipe or a file")
    else:
        yield _size(out)
        yield _colours(os.environ)
        encoding = (out.encoding or "").lower().replace("-", "")
        if encoding == "utf8":
            yield Finding("Letters", "UTF-8")
        else:
            yield Finding("Letters", f"{out.encoding}: letters that it has not are written as numbers", "warn", _UTF8)
        if sys.stdin.isatty():
            if reports_key_releases(sys.stdin.fileno(), out.fileno()):
                yield Finding("Keys", "are told when they are released: Space can be held to talk, or tapped")
            else:
                yield Finding(
                    "Keys", "are not told when they are released: tapping Space to talk is exacter than holding it"
                )
    yield from _around(os.environ)


def _size(out: TextIO) -> Finding:
    try:
        columns, rows = os.get_terminal_size(out.fileno())
    except (OSError, ValueError):
        columns, rows = 0, 0
    if not columns or not rows:
        return Finding("Size", "the terminal does not tell it: 80 columns are assumed", "warn", "stty cols 80 rows 24")
    told = f"{columns} columns, {rows} rows"
    if columns < _LEAST_COLUMNS or rows < _LEAST_ROWS:
        return Finding("Size", told, "warn", f"Make it larger: at least {_LEAST_COLUMNS} columns, {_LEAST_ROWS} rows.")
    return Finding("Size", told)


def _colours(environ: Mapping[str, str]) -> Finding:
    from rich.console import Console

    term = environ.get("TERM", "")
    if environ.get("NO_COLOR"):
        return Finding("Colours", "none, as NO_COLOR says")
    if term == "dumb":
        return Finding("Colours", "none: TERM is dumb, and the live view needs more", "warn", "export TERM=xterm")
    found = Console(file=standard_output.own_stdout()).color_system
    return Finding("Colours", f"{_COLOURS.get(found, found)}{f' (TERM is {term})' if term.isascii() else ''}")


def _around(environ: Mapping[str, str]) -> Iterator[Finding]:
    if environ.get("TMUX"):
        yield Finding("Inside", "tmux")
    elif environ.get("STY"):
        yield Finding("Inside", "screen")
    if environ.get("SSH_CONNECTION") or environ.get("SSH_TTY"):
        told = "SSH: microphone and loudspeaker are those of the machine that you are logged in to"
        fix = "Run voice on the machine before you, or lead its sound there: docs/sound.md"
        yield Finding("Inside", told, "warn", fix)
    if environ.get("WSL_DISTRO_NAME") or environ.get("WSL_INTEROP"):
        told = "WSL: sound comes through WSLg's PulseAudio server"
        yield Finding("Inside", told, fix="No microphone? sudo apt install libasound2-plugins, or run voice in Windows")
    if os.path.exists("/.dockerenv") or environ.get("container"):
        yield Finding("Inside", "a container: it has no sound devices but those it is given")
