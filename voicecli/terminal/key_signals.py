"""Keys that stand for a signal.

Keys that the terminal itself makes signals of (Ctrl-C, Ctrl-Z, Ctrl-\\) stay signals: they work even when the event
loop hangs. Where the kitty keyboard protocol is on they arrive as keys, and are made the same signals here.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterable

from voicecli.terminal.key_decoder import Key

__all__ = ["deliver"]

_SIGNALS = {"ctrl+c": "SIGINT", "ctrl+z": "SIGTSTP", "ctrl+\\": "SIGQUIT"}


def deliver(keys: Iterable[Key], on_key: Callable[[Key], None]) -> None:
    """Hand on the keys, and make signals of those that stand for one."""
    for key in keys:
        name = _SIGNALS.get(key.name)
        if name is None:
            on_key(key)
        elif key.action == "press" and hasattr(signal, name):
            _send(signal.Signals[name])


def _send(number: signal.Signals) -> None:
    if sys.platform == "win32":
        signal.raise_signal(number)
    else:
        os.kill(0, number)  # to all of the job, as the terminal would: a launcher such as uv may be waiting for it
