"""A pseudo-terminal for tests of the live view."""

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import TextIO

import pytest


@pytest.fixture
def terminal() -> Iterator[tuple[int, TextIO]]:
    """The user's end of a pseudo-terminal, and the program's."""
    if sys.platform == "win32":
        pytest.skip("Windows has no pseudo-terminals")
    import pty

    user_end, program_end = pty.openpty()
    with open(program_end, "w", encoding="utf-8") as stream:
        yield user_end, stream
    with suppress(OSError):  # a test may have hung up
        os.close(user_end)
