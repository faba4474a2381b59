"""The speech recogniser: it hears what the model's own library hears; drafts save time; what goes wrong is told."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.recordings import human_recording
from voicecli.audio import recogniser_files
from voicecli.audio.moonshine import MoonshineModel
from voicecli.audio.recogniser_files import FILES, ensure_recogniser, is_there
from voicecli.audio.speech_to_text import Moonshine
from voicecli.errors import RealtimeConnectionError, RealtimeError
from voicecli.telemetry import without_telemetry

SECOND = 32_000  # bytes
QUESTION = Path(__file__).parents[1] / "data" / "question.wav"


@pytest.fixture(scope="module")
def model() -> MoonshineModel:
    return MoonshineModel.load(*ensure_recogniser())


@pytest.fixture
async def hearing() -> AsyncIterator[Moonshine]:
    hearing = await Moonshine.load()
    yield hearing
    await hearing.aclose()


def samples(audio: bytes) -> "np.ndarray[tuple[int], np.dtype[np.float32]]":
    return (np.frombuffer(audio, "<i2") / np.float32(32768)).astype(np.float32)


RECORDED = {
    "ten seconds, whole": lambda: human_recording("beckett.wav"),
    "four seconds": lambda: human_recording("two_cities.wav")[4 * SECOND : 8 * SECOND],
    "as long as an utterance may be": lambda: human_recording("two_cities.wav")[: 15 * SECOND],
}


@pytest.mark.parametrize("recorded", RECORDED)
def test_the_models_own_library_hears_the_same(model: MoonshineModel, recorded: str) -> None:
    pytest.importorskip("moonshine_voice")
    with without_telemetry():
        from moonshine_voice import ModelArch, get_model_path
        from moonshine_voice.transcriber import Transcriber
    heard: Callable[[], bytes] = RECORDED[recorded]
    sound = samples(heard())
    options = {"return_audio_data": "false", "identify_speakers": "false", "vad_threshold": "0"}
    with Transcriber(str(get_model_path("tiny-en")), ModelArch.TINY, options=options) as library:
        lines = library.transcribe_without_streaming(sound.tolist(), 16_000).lines
    ours = model.text(model.tokens(sound, most=round(6.5 * sound.size / 16_000)))
    assert ours.split() == " ".join(line.text for line in lines).split()
    assert len(ours) > 20


def test_a_draft_is_taken_only_where_it_is_right(model: MoonshineModel) -> None:
    sound = samples(QUESTION.read_bytes()[44:])
    most = 40
    right = model.tokens(sound, most)
    assert model.text(right) == "What is the capital of France?"
    wrong_end = [*right[:5], 500, 501]
    for draft in (right, right[:5], wrong_end, [500] * 30, right * 3):
        assert model.text(model.tokens(sound, most, draft)) == model.text(right)


def test_a_draft_saves_steps(model: MoonshineModel, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = samples(human_recording("beckett.wav"))
    steps: list[int] = []
    decode = model._decode

    def counted(tokens: list[int], cache: dict[str, object], *, begins: bool) -> list[int]:
        steps.append(len(tokens))
        return decode(tokens, cache, begins=begins)

    monkeypatch.setattr(model, "_decode", counted)
    whole = model.tokens(sound, 65)
    without = len(steps)
    assert without == len(whole) + 1
    for draft in (
        whole,
        whole[: len(whole) // 2] + whole[len(whole) // 2 + 1 :],
        [*whole[:3], 500, *whole[3:]],
        [*whole[:4], 500, *whole[5:]],
    ):
        steps.clear()
        assert model.text(model.tokens(sound, 65, draft)) == model.text(whole)
        assert len(steps) < 0.7 * without, "tokens that are missing, too many or wrong"
    steps.clear()
    assert model.text(model.tokens(sound, 65, [500] * 65)) == model.text(whole)
    assert sum(steps) < without + 20, "what is wrong all along is soon given up"


@pytest.mark.parametrize("most", [1, 2, 5])
def test_no_more_is_made_than_is_allowed(model: MoonshineModel, most: int) -> None:
    sound = samples(human_recording("two_cities.wav")[: 4 * SECOND])
    assert len(model.tokens(sound, most)) == most
    assert len(model.tokens(sound, most, [500] * 30)) <= most


@pytest.mark.parametrize("length", [0, 2, 200, 1800, 3200])
async def test_hardly_any_sound_is_no_failure(hearing: Moonshine, length: int) -> None:
    heard = await hearing.transcribe(bytes(length))
    assert len(heard.split()) <= 1
    if not length:
        assert heard == ""


async def test_an_utterance_that_goes_on_is_heard_as_a_whole(hearing: Moonshine) -> None:
    audio = QUESTION.read_bytes()[44:]
    whole = await hearing.transcribe(audio)
    for start in range(0, len(audio), SECOND):
        so_far = await hearing.partial("one", audio[start : start + SECOND])
    assert so_far == whole
    assert await hearing.transcribe(audio) == whole
    other = await hearing.partial("two", human_recording("beckett.wav")[: 3 * SECOND])
    assert "tried" in other.lower()
    assert "best" not in other


async def test_a_damaged_file_is_fetched_anew_or_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOICECLI_CACHE", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    assert not is_there()
    for file in FILES:
        (tmp_path / file.name).write_bytes(b"damaged")
    assert is_there(), "what they hold is looked at when they are needed"
    with pytest.raises(RealtimeConnectionError, match=r"moonshine-encoder_model\.ort is damaged.*could not be fetched"):
        await Moonshine.load()


async def test_a_file_that_is_no_model_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOICECLI_CACHE", str(tmp_path))
    content = b"this is no model"
    wrong = [replace(file, size=len(content), sha256=hashlib.sha256(content).hexdigest()) for file in FILES]
    monkeypatch.setattr(recogniser_files, "FILES", tuple(wrong))
    for file in wrong:
        (tmp_path / file.name).write_bytes(content)
    with pytest.raises(RealtimeError, match=r"speech recognition cannot be loaded: .*pip install"):
        await Moonshine.load()


async def test_two_can_be_loaded_at_once() -> None:
    both = await asyncio.gather(Moonshine.load(), Moonshine.load(max_tokens_per_second=2))
    audio = human_recording("two_cities.wav")[: 4 * SECOND]
    whole, short = await asyncio.gather(*(each.transcribe(audio) for each in both))
    assert 0 < len(short) < len(whole)
    for each in both:
        await each.aclose()
