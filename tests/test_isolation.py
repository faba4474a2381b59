"""Tests never meet the settings, the keys and the history of the user who runs them."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.conftest import ROOT


def test_what_the_user_has_set_decides_no_test(tmp_path: Path) -> None:
    """As `pytest` loads conftest, before any test."""
    (tmp_path / "config.toml").write_text("speed = 1.2")
    code = "import json, os, tests.conftest; print(json.dumps(dict(os.environ)))"
    environment = os.environ | {"VOICE_MODEL": "x", "VOICE_PROFILE": "work", "VOICECLI_CONFIG": str(tmp_path)}
    environment["VOICECLI_HISTORY"] = str(tmp_path)
    environment["PYTHON_KEYRING_BACKEND"] = "keyring.backends.SecretService.Keyring"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, check=True)
    left = json.loads(done.stdout)
    assert not [name for name in left if name.startswith("VOICE_")]
    assert left["VOICECLI_CONFIG"] != str(tmp_path)
    assert left["VOICECLI_HISTORY"] != str(tmp_path)
    assert left["PYTHON_KEYRING_BACKEND"] == "keyring.backends.fail.Keyring"


@pytest.mark.parametrize("variable", ["VOICECLI_CONFIG", "VOICECLI_HISTORY"])
def test_each_test_has_a_place_of_its_own(variable: str) -> None:
    place = Path(os.environ[variable])
    assert place.is_relative_to(tempfile.gettempdir())
    assert [file.name for file in place.glob("*")] == ["told"] * (variable == "VOICECLI_HISTORY")
