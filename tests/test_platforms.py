"""What README promises can be installed: wheels for each of these systems and Pythons, by uv's resolver.

Skipped without uv or without a network.
"""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
_UV = shutil.which("uv")
EVERYWHERE = "hub,keyring,mcp,vertex"
SYSTEMS = {
    # system, as uv names it: the Pythons, and the extras that are for it
    "x86_64-manylinux_2_28": (("3.11", "3.14"), f"local,silero,turn,{EVERYWHERE}"),
    "aarch64-manylinux_2_28": (("3.11", "3.14"), f"local,silero,turn,{EVERYWHERE}"),
    "x86_64-manylinux_2_35": (("3.11", "3.14"), f"local,silero,turn,wake,{EVERYWHERE}"),
    "aarch64-apple-darwin": (("3.11", "3.14"), f"local,silero,turn,{EVERYWHERE}"),
    "x86_64-apple-darwin": (("3.11", "3.13"), f"local,silero,turn,{EVERYWHERE}"),
    "x86_64-pc-windows-msvc": (("3.11", "3.14"), f"local,silero,turn,wake,{EVERYWHERE}"),
}
CASES = [(system, python, extras) for system, (pythons, extras) in SYSTEMS.items() for python in pythons]


def compiled(wanted: list[str], system: str, python: str) -> subprocess.CompletedProcess[str]:
    """Resolved from wheels alone, whatever index the machine has."""
    assert _UV is not None
    command = [_UV, "pip", "compile", "--quiet", "--only-binary", ":all:"]
    # Nothing is built: no other Python is to be looked for, nor fetched.
    command += ["--python", sys.executable, "--no-python-downloads"]
    command += ["--python-platform", system, "--python-version", python, *wanted]
    environment = {**os.environ, "MACOSX_DEPLOYMENT_TARGET": "14.0"}
    try:
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=80, cwd=ROOT)
    except subprocess.TimeoutExpired:
        pytest.skip("the package index is too slow")


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> None:
    if _UV is None:
        pytest.skip("uv is not installed")
    small = tmp_path_factory.mktemp("network") / "wanted.txt"
    small.write_text("mdurl")
    found = compiled([str(small)], "x86_64-manylinux_2_28", "3.11")
    if found.returncode:
        pytest.skip("no package index is reached")


@pytest.mark.usefixtures("network")
def test_what_readme_promises_can_be_installed() -> None:
    def complaint(case: tuple[str, str, str]) -> str:
        system, python, extras = case
        done = compiled(["pyproject.toml", *(f"--extra={extra}" for extra in extras.split(","))], system, python)
        return f"{system} {python}: {done.stderr}" if done.returncode else ""

    with ThreadPoolExecutor(len(CASES)) as pool:  # each waits for the index, most of the time
        assert "".join(pool.map(complaint, CASES)) == ""


@pytest.mark.usefixtures("network")
def test_the_gate_shuts_where_there_are_no_wheels(tmp_path: Path) -> None:
    wanted = tmp_path / "wanted.txt"
    wanted.write_text("moonshine-voice==0.0.73")
    done = compiled([str(wanted)], "x86_64-apple-darwin", "3.11")
    assert done.returncode != 0
    assert "no usable wheels" in done.stderr or "no wheels" in done.stderr
