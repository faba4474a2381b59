"""Keeps the assistant from hearing itself: the loudspeaker's sound is taken out of what the microphone hears.

Whoever plays calls `played` with everything that goes to the loudspeaker, silence too; whoever records calls
`captured` with everything that comes from the microphone, and goes on with what it returns. Both belong on the audio
threads: then an echo never arrives before the sound it is the echo of, and their distance does not jump.

Pure: no clock, no device. Audio is PCM16 mono, in pieces of any length.
"""

import functools
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from voicecli.audio.echo.alignment import FRAME_MS, FramePairs
from voicecli.audio.echo.detection import EchoFinder
from voicecli.audio.pcm import SILENCE_DBFS, Resampler, level
from voicecli.audio.ports import EchoMode
from voicecli.errors import ConfigurationError

__all__ = ["Echo", "EchoCanceller", "EchoGate", "HalfDuplex", "NoEchoControl", "make_echo"]

_AUDIBLE_DBFS = -60.0  # what is played more softly makes no echo that matters
# The canceller lets half a second of echo through before it has learnt the room (measured), of sound that is loud
# enough to learn from: speech is at -20 to -30 dBFS.
_CONVERGENCE_MS = 500
_LEARNT_FROM_DBFS = -45.0
# What is left more softly than this, while the assistant is heard, is what the canceller could not take out: a detector
# that hears digital silence otherwise takes even -55 dBFS for a voice (seen in the second after a skip).
_RESIDUE_DBFS = -45.0
# From playing a block to hearing its echo: up to 300 ms in the devices, and the room goes on sounding.
_TAIL_MS = 400
_QUIET_MS = 1_000  # longer than the pauses within a reply
# The gate: how much louder than the expected echo a voice must be, and how fast the expectation follows the room: up
# not so fast that a word of the user's, before it is let through, counts as the echo of a loud room.
_MARGIN_DB = 8.0
_FALL_DB_PER_S = 6.0
_RISE_DB_PER_S = 30.0
_FIRST_COUPLING_DB = 6.0  # until something is known: an echo louder than its sound
_HOLD_MS = 200  # what lets a voice through goes on to do so between two syllables


class Echo(Protocol):
    """Takes the echo out.

    Attributes:
        active: what it does, in a word for the user: "aec", "gate", "half-duplex" or "off"; "none" where "aec" finds no
            echo.
        holds_back: whether it replaces what is heard by silence just now.
    """

    @property
    def active(self) -> str: ...
    @property
    def holds_back(self) -> bool: ...
    def played(self, audio: bytes) -> None:
        """Take what goes to the loudspeaker."""

    def captured(self, audio: bytes) -> bytes:
        """What is left of this piece from the microphone: as long as what was passed in, in the long run."""

    def skipped(self) -> None:
        """Know that a device has lost sound, which moves the echo. On any audio thread."""


def make_echo(mode: EchoMode, sample_rate: int, played_rate: int | None = None) -> Echo:
    """Whatever keeps the echo out best, of what is wished for and possible.

    Args:
        mode: "auto" takes the canceller where its package is installed, else the gate.
        sample_rate: of what the microphone delivers, in Hz.
        played_rate: of what the loudspeaker is given, in Hz; the same unless told.

    Raises:
        ConfigurationError: an unknown mode, or "aec" without its package.
    """
    played_rate = played_rate or sample_rate
    match mode:
        case "auto":
            try:
                return EchoCanceller(sample_rate, played_rate)
            except ConfigurationError:
                return EchoGate(sample_rate, played_rate)
        case "aec":
            return EchoCanceller(sample_rate, played_rate)
        case "gate":
            return EchoGate(sample_rate, played_rate)
        case "half-duplex":
            return HalfDuplex(sample_rate, played_rate)
        case "off":
            return NoEchoControl()
    raise ConfigurationError(f"echo: {mode!r} is unknown.", advice="Take auto, aec, gate, half-duplex or off.")


class NoEchoControl:
    """For headphones: what is heard is what was said."""

    active = "off"
    holds_back = False

    def played(self, audio: bytes) -> None:
        """Nothing to do."""

    def captured(self, audio: bytes) -> bytes:
        return audio

    def skipped(self) -> None:
        """Nothing to do."""


class EchoCanceller:
    """Subtracts the echo, so that the user can speak into the reply: WebRTC's canceller, of the extra "aec".

    Where no echo is found, as with headphones, it takes nothing out: it would take much of the user's first words with
    it, as it cannot tell them from an echo that it does not know yet (for 0.8 to 1.2 s, measured).

    In the first half second of sound, while it learns the room, it returns silence; and again, for 0.4 s longer, when
    one of the devices has skipped, which moves the echo. Takes 0.14 ms for 10 ms of audio, and adds up to 10 ms where
    pieces are not whole multiples of that, and up to 100 ms while what is played is served late.

    Raises:
        ConfigurationError: its package is missing.
    """

    def __init__(self, sample_rate: int, played_rate: int) -> None:
        try:
            from livekit.rtc import AudioFrame, AudioProcessingModule
        except (ImportError, OSError) as error:  # OSError: its library does not load here
            raise ConfigurationError(
                f"Echo cancellation needs the package livekit ({error}).",
                advice='Run: pip install "voicecli[aec]", or choose --echo gate.',
            ) from error
        self._make = functools.partial(AudioProcessingModule, echo_cancellation=True, high_pass_filter=True)
        self._processing = self._make()
        self._make_frame: Callable[[bytearray, int], Any] = lambda data, rate: AudioFrame(data, rate, 1, len(data) // 2)
        # A frame must be a whole number of samples: 22 050 Hz cut to 220 of them would run away from its echo.
        whole = played_rate * FRAME_MS % 1000 == 0
        self._converted = None if whole else Resampler(played_rate, sample_rate)
        self._played = _Frames(played_rate if whole else sample_rate)
        self._captured = _Frames(sample_rate)
        self._sounding = _Sounding()
        self._pairs = FramePairs(bytes(self._played.size))
        self._finder = EchoFinder(self._played.sample_rate, sample_rate)
        self._heard_ms = 0  # written by the thread that plays; what follows by the one that records
        self._unlearnt_ms = 0  # of that, how much was heard before the canceller began to learn
        self._voiced_ms = 0  # for so long what is left is no mere residue
        self._moving_ms = 0  # until the echo has surely moved, and learning begins anew
        self._skipped = False  # written by either

    @property
    def active(self) -> str:
        return "none" if self._finder.finds_none else "aec"

    @property
    def holds_back(self) -> bool:
        if self._finder.finds_none:
            return False
        knows = not self._moving_ms and self._heard_ms - self._unlearnt_ms >= _CONVERGENCE_MS
        # What is played more softly it need not know: that is taken for residue.
        return self._sounding.loudest > _LEARNT_FROM_DBFS and not knows

    def played(self, audio: bytes) -> None:
        if self._converted is not None:
            audio = self._converted.process(audio)
        for data in self._played.take(audio):
            if self._sounding.played(data) > _LEARNT_FROM_DBFS:
                self._heard_ms += FRAME_MS
            self._pairs.played(data)

    def captured(self, audio: bytes) -> bytes:
        cleaned: list[bytes | bytearray] = []
        for data in self._captured.take(audio):
            moves = self._pairs.captured(data, quiet=self._sounding.quiet_ms >= _QUIET_MS)
            if moves:
                self._finder.reset()  # perhaps a device was opened again, or another one
            if moves or self._skipped:
                self._skipped, self._moving_ms = False, _TAIL_MS
            elif self._moving_ms:
                self._moving_ms -= FRAME_MS
                if not self._moving_ms:
                    # By itself it would take 1 to 6 s to find the echo, and let it through meanwhile (measured). A new
                    # one takes 0.3 s, and 5 ms to be made.
                    self._processing = self._make()
                    self._unlearnt_ms = self._heard_ms
            cleaned += map(self._cancel, self._pairs.take())
            self._sounding.passed()
        return b"".join(cleaned)

    def skipped(self) -> None:
        self._skipped = True

    def _cancel(self, pair: tuple[bytes, bytes]) -> bytes | bytearray:
        played, captured = pair
        memory = bytearray(captured)
        self._processing.process_reverse_stream(self._make_frame(bytearray(played), self._played.sample_rate))
        self._processing.process_stream(self._make_frame(memory, self._captured.sample_rate))
        self._finder.pair(played, captured)
        if self._finder.finds_none:
            return captured
        if not self._sounding.lately:
            return memory
        self._voiced_ms = _HOLD_MS if level(bytes(memory)) > _RESIDUE_DBFS else max(0, self._voiced_ms - FRAME_MS)
        return memory if self._voiced_ms and not self.holds_back else bytes(len(memory))


class EchoGate:
    """Lets through, while the assistant is heard, only what is clearly louder than its echo can be.

    It learns how loud the echo is. The user can interrupt by speaking up; what is said softly at the same time is lost.
    """

    active = "gate"

    def __init__(self, sample_rate: int, played_rate: int) -> None:
        self._played = _Frames(played_rate)
        self._captured = _Frames(sample_rate)
        self._sounding = _Sounding()
        self._coupling = _FIRST_COUPLING_DB  # how loud the echo is at most, over what is played
        self._open_ms = 0

    @property
    def holds_back(self) -> bool:
        return self._sounding.lately and self._open_ms <= 0

    def played(self, audio: bytes) -> None:
        for data in self._played.take(audio):
            self._sounding.played(data)

    def captured(self, audio: bytes) -> bytes:
        return b"".join(map(self._frame, self._captured.take(audio)))

    def skipped(self) -> None:
        """Without effect: only loudness counts."""

    def _frame(self, data: bytes) -> bytes:
        loudest = self._sounding.loudest
        self._sounding.passed()
        if loudest < _AUDIBLE_DBFS:
            self._open_ms = 0
            return data
        over = level(data) - loudest
        if over > self._coupling + _MARGIN_DB:
            self._open_ms = _HOLD_MS
        elif self._open_ms > 0:
            self._open_ms -= FRAME_MS
        elif loudest > _LEARNT_FROM_DBFS:
            rise, fall = _RISE_DB_PER_S * FRAME_MS / 1000, _FALL_DB_PER_S * FRAME_MS / 1000
            self._coupling += min(rise, max(-fall, over - self._coupling))
        return data if self._open_ms > 0 else bytes(len(data))


class HalfDuplex:
    """Hears nothing while the assistant is heard: the user interrupts by a key."""

    active = "half-duplex"

    def __init__(self, sample_rate: int, played_rate: int) -> None:
        self._played = _Frames(played_rate)
        self._captured = _Frames(sample_rate)
        self._sounding = _Sounding()

    @property
    def holds_back(self) -> bool:
        return self._sounding.lately

    def played(self, audio: bytes) -> None:
        for data in self._played.take(audio):
            self._sounding.played(data)

    def captured(self, audio: bytes) -> bytes:
        frames = []
        for data in self._captured.take(audio):
            frames.append(bytes(len(data)) if self._sounding.lately else data)
            self._sounding.passed()
        return b"".join(frames)

    def skipped(self) -> None:
        """Without effect: only loudness counts."""


class _Frames:
    """Cuts a stream into frames of 10 ms, or what is next to it in whole samples; the rest waits."""

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self.size = sample_rate * FRAME_MS // 1000 * 2
        self._rest = b""

    def take(self, audio: bytes) -> list[bytes]:
        audio = self._rest + audio if self._rest else audio
        whole = len(audio) - len(audio) % self.size
        self._rest = audio[whole:]
        return [audio[start : start + self.size] for start in range(0, whole, self.size)]


class _Sounding:
    """How loud the loudspeaker was within the time that an echo takes.

    `played` is called by one audio thread and `passed` by another, each 100 times a second.

    Attributes:
        quiet_ms: how much was recorded since the last audible sound.
    """

    def __init__(self) -> None:
        self._recent = np.full(_TAIL_MS // FRAME_MS, SILENCE_DBFS)
        self._next = 0
        self.quiet_ms = _TAIL_MS

    @property
    def lately(self) -> bool:
        """Whether its echo may still be heard."""
        return self.quiet_ms < _TAIL_MS

    @property
    def loudest(self) -> float:
        """In dB of full scale; of the latest 400 ms."""
        return float(self._recent.max()) if self.lately else SILENCE_DBFS

    def played(self, frame: bytes) -> float:
        """How loud this frame is, in dB of full scale."""
        loudness = level(frame)
        self._recent[self._next] = loudness
        self._next = (self._next + 1) % len(self._recent)
        if loudness >= _AUDIBLE_DBFS:
            self.quiet_ms = 0
        return loudness

    def passed(self) -> None:
        """Another frame was recorded."""
        self.quiet_ms += FRAME_MS
