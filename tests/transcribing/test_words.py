"""Word error rates of the offline transcriber, with its real models. benchmarks/README.md has more figures."""

import itertools
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.support.models import Models
from tests.support.recordings import human_recording
from tests.support.word_errors import word_error_rate
from tests.transcribing.script import BECKETT, SENTENCES, TWO_CITIES
from voicecli import Transcriber
from voicecli.captions import Cue
from voicecli.providers.local import LOCAL

RATE = LOCAL.capabilities.output_rate
PAUSE = bytes(RATE * 2)  # a second
pytestmark = pytest.mark.usefixtures("shared_models")


def text(cues: list[Cue]) -> str:
    return " ".join(cue.text for cue in cues)


async def test_a_script_is_written_down_a_sentence_at_a_time(models: Models, tmp_path: Path) -> None:
    audio, bounds = PAUSE, []
    for sentence in SENTENCES:
        begin = len(audio)
        audio += b"".join([piece async for piece in models.voice.speak(sentence)])
        bounds.append((begin * 500 // RATE, len(audio) * 500 // RATE))
        audio += PAUSE
    with wave.open(str(tmp_path / "script.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(audio)
    cues = await Transcriber().transcribe(tmp_path / "script.wav")
    assert word_error_rate(" ".join(SENTENCES), text(cues)) <= 0.05
    assert len(cues) == pytest.approx(len(SENTENCES), abs=2), "a comma may be a pause"
    for begin_ms, end_ms in bounds:  # the voice is where it was spoken
        spoken = [cue for cue in cues if begin_ms - 100 <= cue.start_ms and cue.end_ms <= end_ms + 150]
        assert sum(cue.end_ms - cue.start_ms for cue in spoken) > (end_ms - begin_ms) * 0.6


@pytest.mark.parametrize(
    ("name", "seconds", "said", "bound"), [("two_cities", 21, TWO_CITIES, 0.1), ("beckett", 10, BECKETT, 0.25)]
)
async def test_people_who_read_are_understood(
    models: Models, tmp_path: Path, name: str, seconds: int, said: str, bound: float
) -> None:
    samples = np.frombuffer(human_recording(f"{name}.wav"), "<i2")
    soundfile.write(tmp_path / "read.flac", samples[: 16_000 * seconds], 16_000)
    cues = await Transcriber().transcribe(tmp_path / "read.flac")
    assert word_error_rate(said, text(cues)) <= bound
    assert all(first.end_ms <= second.start_ms for first, second in itertools.pairwise(cues))
