"""The `voice` command: parses, composes, runs. The one place that turns errors into exit codes."""

import os
import sys
from collections.abc import Sequence

from voicecli.cli.exit import ExitStatus, status_of

__all__ = ["ExitStatus", "main"]


def main(args: Sequence[str] | None = None) -> None:
    """Run the command and exit."""
    sys.exit(run(args))


def run(args: Sequence[str] | None = None) -> int:
    """Run the command; its exit status."""
    import click

    from voicecli.cli.app import app

    try:
        try:
            # Without standalone mode typer returns what `typer.Exit` carries instead of exiting by itself.
            status = app(args, standalone_mode=False)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has enough. Python flushes once more at exit: give it a place to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitStatus.OK
    except click.ClickException as error:
        error.show()
        return ExitStatus.USAGE if isinstance(error, click.UsageError) else ExitStatus.ERROR
    except (click.Abort, KeyboardInterrupt):
        return ExitStatus.INTERRUPTED
    except Exception as error:
        return _report(error)
    return status if isinstance(status, int) else ExitStatus.OK


def _report(error: Exception) -> ExitStatus:
    from voicecli.errors import RealtimeError

    if not isinstance(error, RealtimeError):
        if os.environ.get("VOICE_TRACEBACK"):
            raise error
        message = f"{type(error).__name__}: {error} (a defect in voicecli; VOICE_TRACEBACK=1 shows where)"
        error = RealtimeError(message)
    sys.stderr.write(f"voice: {error.message}\n")
    if error.advice:
        sys.stderr.write(f"  {error.advice}\n")
    return status_of(error)
