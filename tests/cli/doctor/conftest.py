import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.audio.devices.fake_portaudio import FakePortAudio
from voicecli.cli import execute
from voicecli.settings.file import settings_path

_FOREIGN = ("OPENAI_", "AZURE_", "GEMINI_", "GOOGLE_", "VOICE_", "HTTP_", "HTTPS_", "ALL_", "SSH_", "WSL_")


@dataclass(frozen=True)
class Looked:
    """What `voice doctor --json` found."""

    code: int
    rows: list[dict[str, str]]

    def named(self, name: str) -> list[dict[str, str]]:
        return [row for row in self.rows if row["name"] == name]

    def one(self, name: str) -> tuple[str, str]:
        """The verdict and the value of the only finding of that name."""
        (row,) = self.named(name)
        return row["verdict"], row["value"]


Look = Callable[..., Looked]


@pytest.fixture
def portaudio(monkeypatch: pytest.MonkeyPatch) -> FakePortAudio:
    fake = FakePortAudio()
    fake.use(monkeypatch, inline=False)
    return fake


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A user who has nothing but an offline engine: no keys, no settings, no downloads."""
    import os

    for name in [name for name in os.environ if name.upper().startswith(_FOREIGN)]:
        monkeypatch.delenv(name)
    for variable in ("CACHE", "HISTORY", "MODELS", "STATE"):
        monkeypatch.delenv(f"VOICECLI_{variable}", raising=False)
    folder = tmp_path / "home"
    folder.mkdir()
    for variable, place in (
        ("HOME", ""),
        ("CONFIG", ".config"),
        ("CACHE", ".cache"),
        ("DATA", "data"),
        ("STATE", "st"),
    ):
        monkeypatch.setenv(variable if variable == "HOME" else f"XDG_{variable}_HOME", str(folder / place))
    monkeypatch.setenv("VOICECLI_CONFIG", str(folder / ".config" / "voicecli"))
    return folder


@pytest.fixture
def look(home: Path, portaudio: FakePortAudio, capsys: pytest.CaptureFixture[str]) -> Look:
    """Runs `voice doctor --json` in this process, with a fake sound card."""

    def run(*arguments: str) -> Looked:
        capsys.readouterr()
        code = execute(["doctor", "--json", *arguments])
        told = capsys.readouterr()
        assert "Traceback" not in told.err
        rows: Any = json.loads(told.out)
        assert all({"area", "name", "value", "verdict", "fix"} == row.keys() for row in rows)
        return Looked(code, rows)

    return run


def write_settings(text: str) -> Path:
    path = settings_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path
