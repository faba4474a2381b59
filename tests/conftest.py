import wave
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DATA = ROOT / "tests" / "data"


@pytest.fixture(scope="session")
def speech() -> bytes:
    """A spoken sentence: PCM16 mono at 16000 Hz."""
    with wave.open(str(DATA / "speech-16k.wav")) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        return bytes(file.readframes(file.getnframes()))
