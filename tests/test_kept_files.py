"""Files that are replaced as a whole, and what is no file."""

import os
import stat
import sys
import threading
from pathlib import Path

import pytest

from tests.support.named_pipes import make_named_pipe, open_reading_end
from voicecli.kept_files import replace_file

CONTENT = b"words " * 50_000  # more than a pipe holds


@pytest.mark.skipif(sys.platform == "win32", reason="no named pipes")
def test_a_pipe_is_written_to_and_stays_one(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    make_named_pipe(pipe)
    with pytest.raises(OSError, match="No such device"):  # nobody reads it, and that is not waited for
        replace_file(pipe, b"words")
    reading = open_reading_end(pipe)
    try:
        replace_file(pipe, b"words")
        assert os.read(reading, 100) == b"words"
    finally:
        os.close(reading)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert os.listdir(tmp_path) == ["pipe"]


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        replace_file(tmp_path, b"words")
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(sys.platform == "win32", reason="no named pipes")
def test_all_of_it_goes_into_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    make_named_pipe(pipe)
    reading = open_reading_end(pipe)
    writing = os.open(pipe, os.O_WRONLY)  # until all is written, or the reader would see the end at once
    read: list[bytes] = []

    def read_all() -> None:
        with os.fdopen(reading, "rb") as end:
            read.append(end.read())

    reader = threading.Thread(target=read_all)
    reader.start()
    replace_file(pipe, CONTENT)
    os.close(writing)
    reader.join(20)
    assert read == [CONTENT]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


@pytest.mark.skipif(sys.platform == "win32", reason="no such paths")
def test_what_a_descriptor_leads_to_is_written_to(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    link = tmp_path / "standard-output"
    link.symlink_to(f"/dev/fd/{writing}")
    replace_file(link, b"words")
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        assert pipe.read() == b"words"


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
def test_a_link_stays_and_its_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("file")
    replace_file(tmp_path / "link", b"new")
    replace_file(tmp_path / "link", b"newer")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"newer"
