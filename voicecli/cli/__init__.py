"""The `voice` command: parses, composes, runs; tells of errors, and exits with the code that `exit` has for each."""

import contextlib
import io
import os
import shutil
import sys
import textwrap
from collections.abc import Sequence

from voicecli.cli.exit import DISK_FULL, ExitStatus, status_of

__all__ = ["ExitStatus", "execute", "main"]


def main(args: Sequence[str] | None = None) -> None:
    """Run the command and exit."""
    status = execute(args)
    sound = sys.modules.get("voicecli.audio.devices.portaudio")
    if sound is not None and not sound.PORTAUDIO.shut_down():
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


def execute(args: Sequence[str] | None = None) -> int:
    """Run the command; its exit status."""
    import typer

    from voicecli.cli.app import app

    # BadParameter < UsageError < ClickException. Typer's copy of click is private; the public class leads there.
    click_exception = typer.BadParameter.__mro__[2]
    _prepare_streams()
    try:
        try:
            # Without standalone mode typer returns what `typer.Exit` carries instead of exiting by itself.
            status = app(args, standalone_mode=False)
        finally:
            sys.stdout.flush()
    except (BrokenPipeError, SystemExit):
        # Whoever read our output has enough; typer, where it notices first, exits. Python flushes once more at its
        # end: give it a place to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitStatus.OK
    except (typer.Abort, KeyboardInterrupt):
        return ExitStatus.INTERRUPTED
    except Exception as error:
        if isinstance(error, click_exception):
            shown = io.StringIO()
            error.show(shown)  # type: ignore[attr-defined]
            _complain(shown.getvalue())
        else:
            _report(error)
        return status_of(error)
    return status if isinstance(status, int) else ExitStatus.OK


def _prepare_streams() -> None:
    """Open what the shell has closed (`>&-`), for which Python gives None; write whatever the terminal cannot show."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # Lower descriptors are open by now, so this one gets the stream's own number.
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _report(error: Exception) -> None:
    from voicecli.errors import RealtimeError

    if isinstance(error, RealtimeError):
        _say(error.message, error.advice)
    elif isinstance(error, OSError) and error.errno in DISK_FULL:
        _say(f"Cannot write the output: {error.strerror}.", "Make room, or write somewhere else.")
    elif os.environ.get("VOICE_TRACEBACK"):
        raise error
    else:
        _say(f"{type(error).__name__}: {error}", "This is a defect in voicecli; VOICE_TRACEBACK=1 shows where.")


def _say(message: str, advice: str) -> None:
    from voicecli.terminal.printable import printable

    # Part of it may be a server's words, or a package's.
    message, advice = ("\n".join(map(printable, text.splitlines())) for text in (message, advice))
    _complain(f"voice: {message}\n" + (f"  {advice}\n" if advice else ""))


def _complain(text: str) -> None:
    """Write lines to standard error; on a terminal they are wrapped between words, each with its own indentation."""
    if sys.stderr.isatty():
        # A word that is wider than the terminal, most often an address, is left whole for whoever copies it.
        text = "".join(f"{line}\n" for long in text.splitlines() for line in _wrapped(long, _columns()))
    sys.stderr.write(text)


def _wrapped(line: str, width: int) -> list[str]:
    indent = line[: len(line) - len(line.lstrip())]
    wrapped = textwrap.wrap(line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return wrapped or [""]


def _columns() -> int:
    """The width of the terminal that standard error is; standard output may lead elsewhere."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or shutil.get_terminal_size().columns
    except (OSError, ValueError):
        return shutil.get_terminal_size().columns
