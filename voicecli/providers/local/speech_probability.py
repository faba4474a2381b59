"""How likely sound is speech, for the turns of the offline engine."""

from collections.abc import Callable

from voicecli.audio.silero import load_silero
from voicecli.audio.vad_engines import VadEngine, has_silero, make_engine
from voicecli.config import ClientVAD
from voicecli.pcm16 import PcmFormat

__all__ = ["speech_probability"]

_RATE = 16_000


def speech_probability() -> Callable[[bytes], float]:
    """A function of 512 samples at 16000 Hz, one piece after the other: silero; webrtcvad where that has no wheels,
    which is on Macs with Intel processors."""
    if not has_silero():
        return _InPieces(make_engine(ClientVAD(engine="webrtc"), _RATE))
    return load_silero()


class _InPieces:
    """The mean over the engine's own frames; they are shorter than the pieces."""

    def __init__(self, engine: VadEngine) -> None:
        self._engine = engine
        self._size = PcmFormat(_RATE).size(engine.frame_ms)
        self._rest = b""  # less than a frame

    def __call__(self, piece: bytes) -> float:
        audio = self._rest + piece
        end = len(audio) - len(audio) % self._size
        self._rest = audio[end:]
        frames = [audio[at : at + self._size] for at in range(0, end, self._size)]
        return sum(map(self._engine.probability, frames)) / len(frames)
