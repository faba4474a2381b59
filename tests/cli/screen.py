"""A stream that says it is a terminal, for what is laid out for one."""

import io
import re

import pytest

__all__ = ["Screen", "screen_of"]


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True

    @property
    def lines(self) -> list[str]:
        """The lines that were written, without their colours."""
        return [line.rstrip() for line in re.sub(r"\x1b\[[\d;]*m", "", self.getvalue()).splitlines()]


def screen_of(monkeypatch: pytest.MonkeyPatch, stream: str, columns: int) -> Screen:
    """Put a screen of so many columns in place of "stdout" or "stderr"."""
    screen = Screen()
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(f"sys.{stream}", screen)
    return screen
