"""Advice on how to install fits how voicecli was installed."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from voicecli import install
from voicecli.install import install_command, package_command, reinstall_command, upgrade_command


@pytest.fixture
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of an environment."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    install._installed.cache_clear()
    yield tmp_path
    install._installed.cache_clear()


def advice() -> list[str]:
    wanted = [install_command("local"), reinstall_command("voicecli[local]"), reinstall_command("piper==1")]
    return [*wanted, upgrade_command(), package_command("a>=1")]


def test_pip(prefix: Path) -> None:
    (prefix / "pyvenv.cfg").write_text("version = 3.11.2\n")
    assert advice() == [
        'pip install "voicecli[local]"',
        'pip install --force-reinstall "voicecli[local]"',
        'pip install --force-reinstall --no-deps "piper==1"',
        "pip install --upgrade voicecli",
        'pip install "a>=1"',
    ]


def test_uv_without_pip(prefix: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (prefix / "pyvenv.cfg").write_text("version_info = 3.11.2\nuv = 0.9.1\n")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert advice() == [
        'uv pip install "voicecli[local]"',
        'uv pip install --reinstall "voicecli[local]"',
        'uv pip install --reinstall --no-deps "piper==1"',
        "uv pip install --upgrade voicecli",
        'uv pip install "a>=1"',
    ]


def test_pipx_with_an_extra(prefix: Path) -> None:
    main = {"main_package": {"package": "voicecli", "package_or_url": "voicecli[keyring, aec]==0.1"}}
    (prefix / "pipx_metadata.json").write_text(json.dumps(main))
    assert advice() == [
        'pipx install --force "voicecli[aec,keyring,local]"',
        'pipx runpip voicecli install --force-reinstall "voicecli[local]"',
        'pipx runpip voicecli install --force-reinstall --no-deps "piper==1"',
        "pipx upgrade voicecli",
        'pipx inject voicecli "a>=1"',
    ]


def test_uv_tool_with_an_extra(prefix: Path) -> None:
    (prefix / "uv-receipt.toml").write_text('[tool]\nrequirements = [{ name = "voicecli", extras = ["aec"] }]\n')
    assert advice() == [
        'uv tool install "voicecli[aec,local]"',
        'uv tool install --reinstall-package voicecli "voicecli[aec]"',
        'uv tool install --reinstall-package piper "voicecli[aec]"',
        "uv tool upgrade voicecli",
        'uv tool install --with "a>=1" "voicecli[aec]"',
    ]


@pytest.mark.parametrize("name", ["uv-receipt.toml", "pipx_metadata.json"])
@pytest.mark.parametrize("content", ["", "[", "{}", '[tool]\nrequirements = ["voicecli"]', '{"main_package": 3}'])
def test_a_receipt_of_another_form_is_no_defect(prefix: Path, name: str, content: str) -> None:
    (prefix / name).write_text(content)
    assert install_command("local") in ('uv tool install "voicecli[local]"', 'pipx install --force "voicecli[local]"')


def test_no_other_text_says_how_to_install() -> None:
    folder = Path(install.__file__).parent
    for path in folder.rglob("*.py"):
        assert path.name == "install.py" or "pip install" not in path.read_text(), path
