"""The `voice` command: parses, composes, runs; tells of errors, and exits with the code that `exit` has for each."""

import contextlib
import io
import os
import sys
from collections.abc import Sequence

from voicecli.cli import standard_output
from voicecli.cli.exit import DISK_FULL, ExitStatus, status_of
from voicecli.cli.wrapping import wrapped
from voicecli.pipes import is_closed_pipe

__all__ = ["ExitStatus", "execute", "main"]


def main(args: Sequence[str] | None = None) -> None:
    """Run the command and exit."""
    if shell := os.environ.get("_VOICE_COMPLETION"):
        from voicecli.cli.completion import complete

        sys.stdout.write(complete(sys.argv[1:] if args is None else args, shell))
        sys.stdout.flush()
        sys.exit(0)
    # Standard output is not given back: what ends with the process may still write to it.
    try:
        status = _execute(args)
    except KeyboardInterrupt:  # before or after the command itself, as while its modules are loaded
        status = ExitStatus.INTERRUPTED
    sound = sys.modules.get("voicecli.audio.devices.portaudio")
    if sound is not None and not sound.PORTAUDIO.shut_down():
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


def execute(args: Sequence[str] | None = None) -> int:
    """Run the command; its exit status."""
    try:
        return _execute(args)
    finally:
        standard_output.give_back()


def _execute(args: Sequence[str] | None) -> int:
    import typer

    from voicecli.cli.app import app

    # BadParameter < UsageError < ClickException. Typer's copy of click is private; the public class leads there.
    click_exception = typer.BadParameter.__mro__[2]
    _prepare_streams()
    try:
        try:
            if not (sys.argv[1:] if args is None else args) and sys.stdin.isatty() and sys.stdout.isatty():
                from voicecli.cli.welcome import first_command

                args = first_command()
                if not args:
                    return ExitStatus.OK
            # Without standalone mode typer returns what `typer.Exit` carries instead of exiting by itself.
            status = app(args, standalone_mode=False)
        finally:
            standard_output.own_stdout().flush()
    except SystemExit:
        standard_output.drop()  # as for a closed pipe, which typer noticed first
        return ExitStatus.OK
    except (typer.Abort, KeyboardInterrupt):
        return ExitStatus.INTERRUPTED
    except Exception as error:
        if is_closed_pipe(error):
            # Whoever read our output has enough. Python flushes once more at its end.
            standard_output.drop()
            return ExitStatus.OK
        status = status_of(error)
        is_usage = isinstance(error, click_exception)
        if standard_output.json_lines_expected() or _wants_json_lines(sys.argv[1:] if args is None else args):
            message = error.format_message() if is_usage else ""  # type: ignore[attr-defined]
            _write_json_line(error, message, status)
        if is_usage:
            shown = io.StringIO()
            error.show(shown)  # type: ignore[attr-defined]
            _complain(shown.getvalue())
        else:
            _report(error)
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            standard_output.drop()  # else what has no room is tried once more when Python ends
        return status
    return status if isinstance(status, int) else ExitStatus.OK


def _prepare_streams() -> None:
    """Open what the shell has closed (`>&-`), for which Python gives None; write whatever the terminal cannot show.

    Into pipes and files all of it is UTF-8. On Windows Python would write the letters of one region.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # Lower descriptors are open by now, so this one gets the stream's own number.
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            is_regional = sys.platform == "win32" and not stream.isatty() and not os.environ.get("PYTHONIOENCODING")
            stream.reconfigure(encoding="utf-8" if is_regional else None, errors="backslashreplace")


def _wants_json_lines(args: Sequence[str]) -> bool:
    """True when a program reads JSON lines, also where the command line is so wrong that it was not parsed."""
    command = next((arg for arg in args if not arg.startswith("-")), None)
    options = args[: args.index("--")] if "--" in args else args
    if command not in ("chat", "send-text", "translate") or "--no-json" in options:
        return False
    from voicecli.cli.layers import json_lines_of_settings

    return "--json" in options or json_lines_of_settings()


def _write_json_line(error: Exception, usage: str, status: ExitStatus) -> None:
    """Tell a program that the command fails, as the last line.

    Args:
        usage: what is wrong with the command line, if that is.
    """
    from voicecli.cli.event_lines import JsonLines

    name = "UsageError" if usage else type(error).__name__
    lines = JsonLines(standard_output.own_stdout(), standard_output.started())
    try:
        lines.failed(name, usage or getattr(error, "message", str(error)), getattr(error, "advice", ""), status)
    except OSError:
        standard_output.drop()


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
        width = standard_output.columns(sys.stderr)
        text = "".join(f"{line}\n" for long in text.splitlines() for line in _wrapped(long, width))
    with contextlib.suppress(OSError):  # it has no room, or nobody reads it: the exit code is left
        sys.stderr.write(text)


def _wrapped(line: str, width: int) -> list[str]:
    indent = line[: len(line) - len(line.lstrip())]
    return wrapped(line[len(indent) :], width, indent) or [""]
