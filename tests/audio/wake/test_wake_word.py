"""The wake word: what is heard of it, what is kept, what it may cost, and what it needs."""

import importlib.util

import pytest

from tests.audio.wake.test_openings import Engine, silence
from voicecli.audio import WakeWord, chunk_audio, resample_pcm16
from voicecli.audio.wake.recognised import RecognisedDetector
from voicecli.audio.wake.wake_word import check_wake_word
from voicecli.audio.wake.words import parse_phrase
from voicecli.errors import ConfigurationError

RATE = 16_000
COMPUTER = parse_phrase("computer")


class Recogniser:
    """Recognises the same in everything; `heard` is what it was given."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.heard: list[bytes] = []

    async def transcribe(self, audio: bytes) -> str:
        self.heard.append(audio)
        return self.text

    async def partial(self, utterance: str, audio: bytes) -> str:
        raise NotImplementedError

    async def aclose(self) -> None: ...


def wake_word(text: str, rate: int = RATE) -> tuple[WakeWord, Recogniser]:
    recogniser = Recogniser(text)
    return WakeWord("computer", rate, RecognisedDetector(COMPUTER, recogniser, Engine())), recogniser


async def wakes(word: WakeWord, audio: bytes, rate: int = RATE) -> tuple[float, bytes] | None:
    """When it wakes, in seconds, and what is kept of the sound."""
    for place, chunk in enumerate(chunk_audio(audio, chunk_ms=20, sample_rate=rate)):
        if (said := await word.process(chunk)) is not None:
            return place * 0.02, said
    return None


@pytest.mark.parametrize("rate", [16_000, 24_000, 48_000])
async def test_the_utterance_is_kept_from_its_first_sound_on(speech: bytes, rate: int) -> None:
    word, _ = wake_word("Computer, what", rate)
    audio = resample_pcm16(silence(3) + speech + silence(1), RATE, rate)
    found = await wakes(word, audio, rate)
    assert found is not None
    at, said = found
    end = audio.index(said) + len(said)
    assert end / 2 / rate == pytest.approx(at + 0.02)
    assert 1.0 < len(said) / 2 / rate < 2.0
    assert 2.6 < (end - len(said)) / 2 / rate < 3.3, "not what was before, and all of the word"


async def test_other_words_do_not_wake(speech: bytes) -> None:
    word, recogniser = wake_word("It was the best")
    assert await wakes(word, silence(1) + speech + silence(1)) is None
    assert len(recogniser.heard) == 1


async def test_beside_constant_speech_it_recognises_no_more_than_its_allowance(speech: bytes) -> None:
    word, recogniser = wake_word("It was the best")
    utterance = speech[: RATE // 10 * 8] + silence(0.5)
    assert await wakes(word, utterance * (60 * RATE * 2 // len(utterance))) is None
    assert 8 <= len(recogniser.heard) <= 11
    recogniser.text = "Computer"
    assert await wakes(word, silence(1) + utterance) is not None, "some is kept for what follows a pause"


@pytest.mark.parametrize(
    ("phrase", "packages", "command"),
    [
        ("computer", {"onnxruntime"}, r"voicecli\[local\]"),
        ("alexa", {"pymicro_wakeword"}, r"voicecli\[wake\]"),
    ],
)
def test_a_package_that_is_missing_is_told_with_the_command(
    monkeypatch: pytest.MonkeyPatch, phrase: str, packages: set[str], command: str
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in packages else found(name))
    with pytest.raises(ConfigurationError, match=f"pip install .{command}"):
        check_wake_word(phrase)
