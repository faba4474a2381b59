"""Wake words heard by the models that ship with the extras."""

import wave

import numpy as np

from tests.audio.wake.test_openings import silence
from tests.audio.wake.test_wake_word import RATE, wakes
from tests.conftest import DATA
from tests.support.models import Models
from voicecli.audio import WakeWord, resample_pcm16
from voicecli.audio.vad_engines import make_engine
from voicecli.audio.wake.recognised import RecognisedDetector
from voicecli.audio.wake.words import parse_phrase
from voicecli.config import ClientVAD


def computer() -> bytes:
    """The question about the capital of France, put to "Computer", in a quiet room."""
    with wave.open(str(DATA / "computer.wav")) as file:
        spoken = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    room = np.frombuffer(silence(len(spoken) / RATE + 2), "<i2").copy()
    room[RATE : RATE + len(spoken)] += spoken
    return room.tobytes()


async def test_the_recogniser_hears_any_word_and_no_other(models: Models) -> None:
    for text, expected in (("computer", True), ("computers", False), ("assistant", False)):
        engine = make_engine(ClientVAD(engine="silero"), RATE)
        detector = RecognisedDetector(parse_phrase(text), models.hearing, engine)
        found = await wakes(WakeWord(text, RATE, detector), computer())
        assert (found is not None) is expected, text


async def test_a_trained_model_hears_its_phrase_and_no_other(models: Models) -> None:
    word = await WakeWord.load("hey_jarvis", RATE)
    try:
        for text, expected in (("Hey Jarvis!", True), ("Hey Jonas, how is it?", False), ("Hey Jarvis!", True)):
            spoken = b"".join([piece async for piece in models.voice.speak(text)])
            found = await wakes(word, silence(2) + resample_pcm16(spoken, 22_050, RATE) + silence(1))
            assert (found is not None) is expected, text
            if found is not None:
                assert len(found[1]) == 2 * RATE * 2, "two seconds are kept"
    finally:
        await word.aclose()
