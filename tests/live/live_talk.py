"""A live conversation within the test: the command's own microphone, loudspeaker and session, without a terminal.

The devices are the virtual sound card's, the provider is a loopback server; what was heard is measured in recordings.
"""

import asyncio
import contextlib
import wave
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from tests.conftest import DATA
from tests.loopback.openai_server import KEY
from tests.virtual_audio import Recording, wait_until
from voicecli.audio import EchoMode, resample_pcm16
from voicecli.audio.devices.speaker import Speaker
from voicecli.cli.live import LiveConversation
from voicecli.cli.options import Devices
from voicecli.cli.recordings import Recordings
from voicecli.config import ClientVAD, RealtimeConfig, VADMode
from voicecli.events import Event, Notice, SessionStarted, SpeechStarted
from voicecli.providers import find_provider
from voicecli.transcript import Turn
from voicecli.voice import RealtimeVoice

__all__ = [
    "FADE_MS",
    "RATE",
    "Heard",
    "Talk",
    "all_of",
    "assistant_speech",
    "eventually",
    "sound_ms",
    "talking",
    "user_speech",
]

RATE = 24_000
"""The rate of all sound here, in Hz."""
FADE_MS = 12
"""The time that sound goes on after it was stopped."""
_FLOOR = 100.0  # of the noise under all speech here: so its pauses differ from a silent device
_HIGHEST_HZ = 3_000  # that is compared: above it, a recording whose clock is half a sample off looks different
_SILENT = 30.0
_E = TypeVar("_E", bound=Event)
_Samples = npt.NDArray[np.float64]


@dataclass
class Talk:
    """A conversation under way.

    Attributes:
        events: all that came.
        noticed_ms: how much of the reply had been heard whenever the user's voice was noticed.
    """

    live: LiveConversation
    events: list[Event] = field(default_factory=list)
    noticed_ms: list[int] = field(default_factory=list)

    @property
    def speaker(self) -> Speaker:
        speaker = self.live._speaker
        assert speaker is not None
        return speaker

    @property
    def played_ms(self) -> int:
        """The heard part of the sound that is being played."""
        playhead = self.speaker.playhead
        return playhead.played_ms if playhead else 0

    def see(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, SpeechStarted):
            self.noticed_ms.append(self.played_ms)

    def of(self, kind: type[_E]) -> list[_E]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def history(self) -> list[Turn]:
        session = self.live._session
        assert session is not None
        return session.history

    @property
    def notices(self) -> list[str]:
        return [notice.code for notice in self.of(Notice)]


@contextlib.asynccontextmanager
async def talking(
    url: str | None,
    vad_mode: VADMode = VADMode.SERVER,
    *,
    provider: str = "openai",
    key: str = KEY,
    client_vad: ClientVAD | None = None,
    echo: EchoMode = "aec",
    wait: bool = True,
    recordings: Recordings | None = None,
    **settings: Any,
) -> AsyncIterator[Talk]:
    """With microphone and loudspeaker open, and with `wait` connected; ends as the key ends it."""
    found = find_provider(provider)
    chosen: dict[str, Any] = {"vad_mode": vad_mode, "client_vad": client_vad or ClientVAD()} | settings
    config = RealtimeConfig(api_key=key or None, base_url=url, **chosen)
    talk = Talk(LiveConversation(config, found.capabilities_of(config), Devices(echo=echo), recordings=recordings))
    await talk.live.open()
    holding = asyncio.create_task(talk.live.hold(RealtimeVoice(found, config=config), [talk.see]))
    try:
        if wait:
            await eventually(lambda: bool(talk.of(SessionStarted)) or holding.done(), "the conversation begins")
        yield talk
        talk.live.end()
        async with asyncio.timeout(10):
            await holding
    finally:
        holding.cancel()
        await asyncio.wait([holding])
        await talk.live.aclose()


async def eventually(condition: Callable[[], bool], what: str, timeout_s: float = 20.0) -> None:
    await asyncio.to_thread(wait_until, condition, what, timeout_s)


async def all_of(recording: Recording) -> bytes:
    """The recording when silence has followed what was played: the recorder is behind the loudspeaker."""
    await eventually(lambda: sound_ms(recording.audio[-RATE // 5 * 2 :]) == 0, "the recorder has recorded all")
    return recording.audio


def user_speech() -> bytes:
    """A sentence of 1.9 s, and the silence that ends a turn."""
    return _speech("speech-16k.wav", 1.889) + bytes(RATE // 10 * 16)


def assistant_speech(seconds: float) -> bytes:
    """Speech that differs everywhere from itself, without silence in it."""
    return _speech("three_questions.wav", seconds)


def _speech(name: str, seconds: float) -> bytes:
    with wave.open(str(DATA / name)) as file:
        spoken = resample_pcm16(file.readframes(file.getnframes()), file.getframerate(), RATE)
    samples = round(seconds * RATE)
    noise = np.random.default_rng(1).standard_normal(samples) * _FLOOR
    loud = np.resize(np.frombuffer(spoken, "<i2"), samples) + noise
    return bytes(np.clip(loud, -32_768, 32_767).astype("<i2").tobytes())


def _samples(audio: bytes) -> _Samples:
    return np.frombuffer(audio, "<i2").astype(np.float64)


def sound_ms(recording: bytes) -> int:
    """The time for which it is not silent, in steps of 2 ms."""
    frames = _samples(recording)[: len(recording) // 2 // 48 * 48].reshape(-1, 48)
    return int((np.sqrt((frames**2).mean(axis=1)) > _SILENT).sum()) * 2


class Heard:
    """The part of a known sound that a recording holds, looked for in pieces of 50 ms.

    Attributes:
        found_ms: where in the sound the last piece ends that was found.
        missing: where in the sound those pieces before it begin that were not found; a silence within one excuses it.
        gaps: where in the sound there is a silence, and how long it is, in ms; one below 0 is a part that was lost.
    """

    _PIECE = RATE // 20
    _FURTHEST = RATE * 4  # the longest silence
    _BACK = RATE // 4  # the longest part that can be seen to be lost

    def __init__(self, recording: bytes, sound: bytes) -> None:
        recorded, original = _low(_samples(recording)), _low(_samples(sound))
        energy = np.concatenate([[0.0], np.cumsum(recorded**2)])
        offset: int | None = None  # of the recording, to the sound
        unknown: list[int] = []
        self.found_ms = 0
        self.missing: list[int] = []
        self.gaps: list[tuple[int, float]] = []
        for begin in range(0, len(original) - self._PIECE + 1, self._PIECE):
            piece = original[begin : begin + self._PIECE]
            if np.abs(piece).max() < _SILENT:  # silence is everywhere
                continue
            first = 0 if offset is None else max(begin + offset - self._BACK, 0)
            last = len(recorded) if offset is None else begin + offset + self._FURTHEST
            at = _find(piece, recorded[first:last], energy[first : last + 1])
            if at is None:
                unknown.append(begin * 1000 // RATE)
                continue
            now = first + at - begin
            if offset is not None and abs(now - offset) > RATE // 1000:
                self.gaps.append((begin * 1000 // RATE, (now - offset) * 1000 / RATE))
                unknown = unknown[2:]  # the silence falls within one, and its fades within the next
            self.missing += unknown
            unknown = []
            offset = now
            self.found_ms = (begin + self._PIECE) * 1000 // RATE


def _low(samples: _Samples) -> _Samples:
    size = len(samples) + RATE // 10  # room for the filter to ring, which else would begin anew at the front
    spectrum = np.fft.rfft(samples, size)
    spectrum[_HIGHEST_HZ * size // RATE :] = 0
    return np.fft.irfft(spectrum, size)[: len(samples)]


def _find(piece: _Samples, within: _Samples, energy: _Samples) -> int | None:
    """The place of the piece, or None when it is nowhere."""
    if len(within) < len(piece):
        return None
    size = 1 << (len(within) + len(piece)).bit_length()
    products = np.fft.irfft(np.fft.rfft(within, size) * np.conj(np.fft.rfft(piece, size)), size)
    lags = len(within) - len(piece) + 1
    norms = np.sqrt(np.maximum(energy[len(piece) : len(piece) + lags] - energy[:lags], 1.0))
    likeness = products[:lags] / norms / np.linalg.norm(piece)
    best = int(likeness.argmax())
    return best if likeness[best] > 0.9 else None
