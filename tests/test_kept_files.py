"""Files that are replaced as a whole, and what is no file."""

import os
import stat
import sys
import threading
from pathlib import Path

import pytest

from voicecli.kept_files import replace_file

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")
CONTENT = b"words " * 50_000  # more than a pipe holds


def test_a_pipe_is_written_to_and_stays(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    replace_file(pipe, CONTENT)
    reader.join(20)
    assert read == [CONTENT]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_what_a_descriptor_leads_to_is_written_to(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    link = tmp_path / "standard-output"
    link.symlink_to(f"/dev/fd/{writing}")
    replace_file(link, b"words")
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        assert pipe.read() == b"words"


def test_a_link_stays_and_its_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("file")
    replace_file(tmp_path / "link", b"new")
    replace_file(tmp_path / "link", b"newer")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"newer"
