"""The files of settings: what is in them is never lost, whatever the disk and other processes do."""

import errno
import itertools
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import filelock
import pytest

from tests.conftest import ROOT
from tests.support.named_pipes import make_named_pipe
from voicecli import ConfigurationError
from voicecli.settings.edit import change_entries
from voicecli.settings.file import SettingsFile, settings_path
from voicecli.settings.folder import find_config_dir, read_bytes, write_bytes
from voicecli.settings.keys import has_key, store_key, stored_key
from voicecli.user_folders import cache_dir, config_dir, models_dir

OLD = "# mine\nsilence_ms = 500 # half a second\n\n[profiles.work]\nspeed = 1 # slow\n"


@pytest.fixture
def path() -> Path:
    """The settings file, with something in it."""
    settings_path().parent.mkdir(parents=True)
    settings_path().write_text(OLD)
    return settings_path()


def test_comments_order_and_spelling_stay(path: Path) -> None:
    assert change_entries({"silence-ms": 700, "voice": "joe", "nothing": None}) == ["nothing"]
    assert path.read_text() == OLD.replace("500", "700").replace("second\n", 'second\nvoice = "joe"\n')
    change_entries({"voice": None})
    assert path.read_text() == OLD.replace("500", "700")


def test_profiles_are_made_and_removed(path: Path) -> None:
    change_entries({"header": ["A: b"]}, "home office")
    assert path.read_text() == f'{OLD}\n[profiles."home office"]\nheader = ["A: b"]\n'
    change_entries({"header": None}, "home office")
    assert path.read_text().strip() == OLD.strip()
    assert change_entries({"speed": None}, "nobody") == ["speed"]
    path.write_text("profiles = {a = {speed = 1}}\n")
    change_entries({"speed": 1.2}, "b")
    assert SettingsFile.read().tables == {"": {}, "a": {"speed": 1}, "b": {"speed": 1.2}}


def test_the_first_entry_makes_the_file() -> None:
    change_entries({"speed": 1.2})
    assert settings_path().read_text() == "speed = 1.2\n"


def test_a_broken_file_is_not_written_over(path: Path) -> None:
    path.write_text('model = "gpt')
    with pytest.raises(ConfigurationError, match="is not TOML"):
        change_entries({"speed": 1.2})
    assert path.read_text() == 'model = "gpt'


@pytest.mark.parametrize("call", ["os.fsync", "os.replace", "tempfile.mkstemp"])
@pytest.mark.parametrize(
    ("code", "told"),
    [(errno.ENOSPC, "No space left"), (errno.EROFS, "Read-only file system"), (errno.EACCES, "Permission denied")],
)
def test_what_cannot_be_written_is_as_it_was(
    monkeypatch: pytest.MonkeyPatch, path: Path, call: str, code: int, told: str
) -> None:
    def fail(*_: Any, **__: Any) -> NoReturn:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(call, fail)
    for change in (lambda: change_entries({"speed": 1.2}), lambda: store_key("openai", "sk-1")):
        with pytest.raises(ConfigurationError, match=rf"cannot be written: {told}.*Nothing was changed\.") as caught:
            change()
        assert "sk-1" not in str(caught.value)
    assert path.read_text() == OLD
    assert sorted(os.listdir(path.parent)) == [".lock", "config.toml"]


def test_ctrl_c_leaves_nothing_half_written(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    def interrupt(_: int) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        change_entries({"speed": 1.2})
    assert path.read_text() == OLD
    assert sorted(os.listdir(path.parent)) == [".lock", "config.toml"]


def test_what_a_killed_process_left_is_removed(path: Path) -> None:
    left = path.parent / ".unfinished-1"
    left.write_text("sk-1")
    change_entries({"speed": 1.2})
    assert not left.exists()


def test_processes_that_write_at_once_lose_nothing(path: Path) -> None:
    script = "import sys; from voicecli.settings.edit import change_entries; change_entries({sys.argv[1]: 1.0})"
    names = ["speed", "temperature", "vad-threshold", "tool-timeout"]
    processes = [subprocess.Popen([sys.executable, "-c", script, name], cwd=ROOT) for name in names]
    assert [process.wait(60) for process in processes] == [0] * len(names)
    assert SettingsFile.read().tables[""] == {"silence-ms": 500} | dict.fromkeys(names, 1.0)


def test_a_process_that_does_not_let_go_is_told(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    seconds = itertools.count()
    monkeypatch.setattr("voicecli.settings.folder.time", SimpleNamespace(monotonic=lambda: next(seconds)))
    held = filelock.FileLock(path.parent / ".lock")
    with held, pytest.raises(ConfigurationError, match="Another process has been writing to"):
        change_entries({"speed": 1.0})
    assert path.read_text() == OLD


def test_a_link_stays_one_and_permissions_stay(path: Path, tmp_path: Path) -> None:
    real = tmp_path / "dotfiles.toml"
    path.rename(real)
    path.symlink_to(real)
    real.chmod(0o644)
    change_entries({"speed": 1.2})
    assert path.is_symlink()
    assert "speed = 1.2" in real.read_text()
    assert real.stat().st_mode & 0o777 == 0o644


def test_what_is_no_file_is_not_read(path: Path) -> None:
    path.unlink()
    make_named_pipe(path)
    with pytest.raises(ConfigurationError, match=r"config\.toml is no file"):
        SettingsFile.read()
    path.unlink()
    path.symlink_to(path)
    with pytest.raises(ConfigurationError, match=r"config\.toml cannot be read"):
        SettingsFile.read()
    path.unlink()
    path.write_bytes(b"#" * 1_000_001)
    with pytest.raises(ConfigurationError, match="more than 1000000 bytes"):
        SettingsFile.read()


def test_a_place_where_no_folder_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOICECLI_CONFIG", "/dev/null/settings")
    assert SettingsFile.read().tables == {"": {}}
    assert stored_key("openai") is None
    with pytest.raises(ConfigurationError, match=r"/dev/null/settings cannot be written: Not a directory"):
        change_entries({"speed": 1.2})


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(_: int) -> NoReturn:
        raise KeyError

    import pwd  # not on Windows

    for name in ("CONFIG", "CACHE", "MODELS"):
        monkeypatch.setenv(f"VOICECLI_{name}", "")
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    assert find_config_dir() is None
    assert SettingsFile.read().tables == {"": {}}
    assert not has_key("openai")
    for call in (
        config_dir,
        cache_dir,
        models_dir,
        settings_path,
        lambda: change_entries({"speed": 1.2}),
        lambda: store_key("openai", "k"),
    ):
        with pytest.raises(ConfigurationError, match=r"no home directory\. Set HOME, or name a directory"):
            call()


def test_private_files_are_never_readable_by_others(tmp_path: Path) -> None:
    file = tmp_path / "new" / "file"
    file.parent.mkdir()
    file.write_text("old")
    file.chmod(0o666)
    write_bytes(file, b"new", private=True)
    assert (file.stat().st_mode & 0o777, read_bytes(file)) == (0o600, b"new")
