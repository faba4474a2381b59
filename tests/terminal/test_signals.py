"""Signals that end the program while it has the terminal."""

import asyncio
import os
import signal

import pytest

from voicecli.terminal.signals import TerminalSignals


async def test_the_terminal_is_given_back_on_ctrl_break(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows sends SIGBREAK for Ctrl-Break, and when the window is closed; another signal stands in for it here."""
    number = signal.SIGABRT
    monkeypatch.setattr(signal, "SIGBREAK", number, raising=False)
    done: list[str] = []
    monkeypatch.setattr(os, "kill", lambda process, number: done.append(f"ended by {int(number)}"))
    before = signal.signal(number, lambda *_: done.append("nobody minds"))
    signals = TerminalSignals(
        restore=lambda: done.append("given back"),
        finish=lambda: done.append("shown"),
        retake=lambda: None,
        end=lambda: None,
        types=lambda: False,
        clear=lambda: None,
    )
    signals.install()
    try:
        signal.raise_signal(number)
        await asyncio.sleep(0)
    finally:
        signals.remove()
        signal.signal(number, before)
    assert done == ["shown", "given back", f"ended by {int(number)}"]
