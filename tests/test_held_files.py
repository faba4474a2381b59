"""Files that another process has open, over which Windows moves none, nor removes them."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from voicecli.kept_files import move_file, remove_path, replace_file


class Holder:
    """Another process that holds a file for a while: so many attempts to change it fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.attempts = 0
        self.waited_s = 0.0
        monkeypatch.setattr(sys, "platform", "win32")
        monkeypatch.setattr(time, "sleep", self._sleep)
        for name in ("replace", "unlink"):
            monkeypatch.setattr(os, name, self._refusing(getattr(os, name)))

    def _sleep(self, seconds: float) -> None:
        self.waited_s += seconds

    def _refusing(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if self.attempts > 0:
                self.attempts -= 1
                raise PermissionError(13, "The process cannot access the file because it is being used")
            return real(*arguments, **options)

        return call


@pytest.fixture
def holder(monkeypatch: pytest.MonkeyPatch) -> Holder:
    return Holder(monkeypatch)


def test_a_file_that_is_held_for_a_moment_is_replaced(tmp_path: Path, holder: Holder) -> None:
    path = tmp_path / "kept"
    path.write_bytes(b"old")
    holder.attempts = 5
    replace_file(path, b"new")
    assert path.read_bytes() == b"new"
    holder.attempts = 5
    (tmp_path / "newer").write_bytes(b"newer")
    move_file(tmp_path / "newer", path)
    assert path.read_bytes() == b"newer"
    holder.attempts = 5
    remove_path(path)
    assert not path.exists()


def test_one_that_stays_held_is_as_it_was(tmp_path: Path, holder: Holder) -> None:
    path = tmp_path / "kept"
    path.write_bytes(b"old")
    holder.attempts = 1_000
    with pytest.raises(PermissionError):
        replace_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert 1 < holder.waited_s < 5


def test_elsewhere_a_permission_that_lacks_is_told_at_once(
    tmp_path: Path, holder: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    holder.attempts = 1
    (tmp_path / "a").touch()
    with pytest.raises(PermissionError):
        move_file(tmp_path / "a", tmp_path / "b")
    assert holder.waited_s == 0


def test_no_folder_of_ours_fails_for_a_file_that_is_held() -> None:
    """`tempfile.TemporaryDirectory` raises at its end where a scanner still has a file in it open."""
    source = Path(__file__).parent.parent / "voicecli"
    made = [line for path in source.rglob("*.py") for line in path.read_text().split("TemporaryDirectory(")[1:]]
    assert made
    assert all("ignore_cleanup_errors=True" in line.split(")")[0] for line in made)
