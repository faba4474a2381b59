"""Standard input: whether a person sits there."""

import sys

from voicecli.errors import ConfigurationError

__all__ = ["is_mintty", "is_terminal"]


def is_terminal() -> bool:
    """Whether standard input is a terminal.

    Raises:
        ConfigurationError: it is one that programs of Windows cannot use as such.
    """
    if sys.stdin.isatty():
        return True
    if is_mintty():
        raise ConfigurationError(
            "This terminal, mintty (Git Bash, MSYS2, Cygwin), is a mere pipe for programs of Windows.",
            advice="Put winpty before the command, as in `winpty voice chat`, or use Windows Terminal.",
        )
    return False


def is_mintty() -> bool:
    """Whether standard input is a pipe that comes from mintty's keyboard."""
    if sys.platform != "win32":
        return False
    from voicecli.terminal.windows_console import is_mintty_pipe, pipe_name

    try:
        return is_mintty_pipe(pipe_name(sys.stdin.fileno()))
    except (OSError, ValueError):  # a stand-in, or closed
        return False
