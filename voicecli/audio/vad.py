"""Voice activity detection: audio in, the beginnings and ends of speech segments out. Pure: no clock, no I/O.

A segment passes two thresholds, because two things need to know of it at different moments:

    silence --- 60% of trigger_ms may be it ---> SpeechDetected: pause the loudspeaker (barge-in)
            --- min_speech_ms of speech -------> SegmentStarted: it is no cough; its audio so far
            --- ... ---------------------------> SegmentAudio, as it comes
            --- 200 ms of silence -------------> SegmentPaused: it may be the end (where that is asked for; after half
                                                 of the hangover where that is less)
            --- hangover_ms of silence --------> SegmentEnded, or SegmentDropped below the second threshold

The first takes more for speech than the second (see `vad_engines`): a needless pause is soon over, a needless turn cuts
the reply.

The audio between the thresholds is held back. That delays no answer: it is about 200 ms with the defaults, sent in
one piece long before the end of the turn, from which the answer's latency counts. In exchange a door that slams is
never sent, and need not be taken back from a provider that has begun to answer it.
"""

from collections import deque
from dataclasses import dataclass

from voicecli.audio.pcm import Resampler
from voicecli.audio.vad_engines import ONSET_PROBABILITY, SPEECH_PROBABILITY, make_engine
from voicecli.config import ClientVAD
from voicecli.pcm16 import SAMPLE_BYTES, PcmFormat

__all__ = [
    "SegmentAudio",
    "SegmentDropped",
    "SegmentEnded",
    "SegmentPaused",
    "SegmentStarted",
    "SpeechDetected",
    "SpeechTransition",
    "VoiceActivityDetector",
]

_TRIGGER_SHARE = 0.6  # of the trigger window that must be speech
_PAUSE_MS = 200  # shorter silences are within words
# What a canceller lets through before it has settled pauses the reply, and ends with it, within 0.45 s at the most: of
# 30 replies that begin with it in a hard room 2 cut themselves, with 400 ms too, and with this none (simulated).
_WARY_MS = 500


@dataclass(frozen=True, slots=True)
class SpeechDetected:
    """Onset: the user seems to speak. SegmentStarted or SegmentDropped follows."""


@dataclass(frozen=True, slots=True)
class SegmentStarted:
    """A speech segment: there has been enough speech for a turn.

    Attributes:
        audio: all of it so far, with the pre-roll; as it was passed in.
    """

    audio: bytes


@dataclass(frozen=True, slots=True)
class SegmentAudio:
    """More audio of the segment.

    Attributes:
        audio: as it was passed in. Pauses and the hangover's silence are part of it.
    """

    audio: bytes


@dataclass(frozen=True, slots=True)
class SegmentPaused:
    """A silence in the segment, that may be its end. All audio up to it has been given out.

    Attributes:
        pause: its number, for `set_hangover`.
    """

    pause: int


@dataclass(frozen=True, slots=True)
class SegmentEnded:
    """End of the segment: the hangover has passed in silence, or the input is over.

    Attributes:
        silence_ms: the silence that passed, in ms; None when the input is over.
    """

    silence_ms: int | None = None


@dataclass(frozen=True, slots=True)
class SegmentDropped:
    """End of speech that was too short for a segment. None of it was given out."""


SpeechTransition = SpeechDetected | SegmentStarted | SegmentAudio | SegmentPaused | SegmentEnded | SegmentDropped


class VoiceActivityDetector:
    """Finds speech segments in a stream of PCM16 mono.

    Its output does not depend on how the stream was cut into chunks. Every byte passed in is given out once, in
    order, or counted in `silent_bytes`; after each `process` at most a frame of the engine (20 or 32 ms) and 4 ms
    wait to be classified, besides possible pre-roll.

    `process` takes 0.4 ms for a second of audio with webrtcvad (8, 16, 32 and 48 kHz; 2 ms elsewhere) and 4 ms with
    silero: keep that off an audio thread.

    Args:
        settings: what counts as speech, and as a segment.
        sample_rate: of the audio, in Hz.
        pauses: whether to tell of a silence that may be the end of a segment.
        patient: whether what may be speech lasts as long as it may be that; otherwise it must soon become a segment.

    Raises:
        ConfigurationError: a rate that cannot be, or an engine whose package is missing.

    Attributes:
        wary: whether what seems to be speech may be the echo of a reply, as of now; for a turn it must then last 0.5 s.
        eager: whether a reply is heard, as of now, which even what is doubtful is to pause. It is not where that would
            be a turn at once, as `min_speech_ms` is less than half a frame.
    """

    def __init__(self, settings: ClientVAD, sample_rate: int, *, pauses: bool = False, patient: bool = False) -> None:
        self.wary = self.eager = False
        self._patient = patient
        self._tells_pauses = pauses
        self._engine = make_engine(settings, sample_rate)
        frame_ms = self._engine.frame_ms
        self._sample_rate = sample_rate
        self._frame_size = PcmFormat(self._engine.sample_rate).size(frame_ms)
        self._resampler = Resampler(sample_rate, self._engine.sample_rate)

        window = max(1, round((settings.trigger_ms or self._engine.trigger_ms) / frame_ms))
        self._trigger_frames = max(1, round(window * _TRIGGER_SHARE))
        self._pre_roll_frames = window + round(settings.pre_roll_ms / frame_ms)
        self._hangover_frames = max(1, round(settings.hangover_ms / frame_ms))
        self._pause_frames = max(1, min(self._hangover_frames // 2, round(_PAUSE_MS / frame_ms)))
        self._pauses = 0
        self._hangover_of_pause = (-1, 0)  # the number of a pause, and the frames of silence that end it
        self._min_speech_frames = round(settings.min_speech_ms / frame_ms)
        self._wary_frames = max(self._min_speech_frames, round(_WARY_MS / frame_ms))

        self._silent_bytes = 0
        self._window: deque[float] = deque(maxlen=window)  # the probabilities that the latest frames are speech
        self._held: deque[bytes] = deque()  # frames not given out: possible pre-roll, then speech held back
        self._clear()

    @property
    def speaking(self) -> bool:
        """Whether speech is detected and has not ended."""
        return self._speaking

    @property
    def silent_bytes(self) -> int:
        """Bytes of the input that belonged to no segment, as far as that is decided."""
        return self._silent_bytes

    def process(self, audio: bytes) -> list[SpeechTransition]:
        """Take more audio, any number of bytes; returns what it changed, in order."""
        self._pending += audio
        # A frame at once: to resample each chunk of 10 ms takes twice as long.
        if len(self._pending) < self._next_frame_size() + self._resampler.lag * SAMPLE_BYTES:
            return []
        self._convert()
        return self._classify()

    def flush(self) -> list[SpeechTransition]:
        """End the input, and with it the segment; the next `process` begins a new stream."""
        self._convert()
        if len(self._pending) % SAMPLE_BYTES:  # half a sample: completed for the engine, not given out
            self._converted += self._resampler.process(b"\0")
            self._pending.pop()
            self._silent_bytes += 1
        self._converted += self._resampler.flush()
        transitions = self._classify()
        rest = bytes(self._pending)  # less than a frame
        if self._in_segment:
            if rest:
                transitions.append(SegmentAudio(rest))
            transitions.append(SegmentEnded())
        else:
            if self._speaking:
                transitions.append(SegmentDropped())
            self._silent_bytes += len(rest) + sum(map(len, self._held))
        self._clear()
        return transitions

    def set_hangover(self, pause: int, hangover_ms: int) -> None:
        """Let another silence than the settings' end the segment in this pause, if it is the latest and still lasts."""
        if pause < self._hangover_of_pause[0]:
            return  # what is decided late of an earlier pause says nothing of this one
        self._hangover_of_pause = (pause, max(1, round(hangover_ms / self._engine.frame_ms)))

    def reset(self) -> None:
        """Forget everything: the segment, the pre-roll, and the count of silent bytes."""
        self._resampler = Resampler(self._sample_rate, self._engine.sample_rate)
        self._silent_bytes = 0
        self._clear()

    def _clear(self) -> None:
        self._engine.reset()
        self._pending = bytearray()  # input that is not classified yet
        self._resampled = 0  # bytes of that which the resampler has had
        self._converted = bytearray()  # the same at the engine's rate
        self._frames = 0  # classified since the stream began
        self._position = 0  # of the first sample of the input that is not classified
        self._held.clear()
        self._begin_silence()

    def _begin_silence(self) -> None:
        self._speaking = False  # past the first threshold
        self._in_segment = False  # past the second one
        self._speech_frames = 0
        self._frames_since_speech = 0
        self._needed_frames = self._min_speech_frames  # of speech, for a segment
        self._silence_frames = 0  # in a row, since the latest speech
        self._window.clear()

    def _classify(self) -> list[SpeechTransition]:
        self._engine.eager = self.eager and self._min_speech_frames > 0
        transitions: list[SpeechTransition] = []
        flowing: list[bytes] = []  # given out as one SegmentAudio per call
        while len(self._converted) >= self._frame_size:
            probability = self._engine.probability(bytes(self._converted[: self._frame_size]))
            del self._converted[: self._frame_size]
            frame = self._take_frame()
            if self._in_segment:
                flowing.append(frame)
            else:
                self._held.append(frame)
            if self._speaking:
                self._count(probability)
            elif self._detect_onset(probability):
                transitions.append(SpeechDetected())
            if self._speaking and not self._in_segment and self._speech_frames >= self._needed_frames:
                self._in_segment = True
                transitions.append(SegmentStarted(b"".join(self._held)))
                self._held.clear()
            pauses = self._tells_pauses and self._in_segment and self._silence_frames == self._pause_frames
            ends = self._silence_frames >= self._hangover()
            if (pauses or ends) and flowing:
                transitions.append(SegmentAudio(b"".join(flowing)))
                flowing = []
            if pauses:
                self._pauses += 1
                transitions.append(SegmentPaused(self._pauses))
            if ends:
                silence_ms = self._silence_frames * self._engine.frame_ms
                transitions.append(SegmentEnded(silence_ms) if self._in_segment else SegmentDropped())
                self._begin_silence()
        if flowing:
            transitions.append(SegmentAudio(b"".join(flowing)))
        return transitions

    def _convert(self) -> None:
        self._converted += self._resampler.process(bytes(self._pending[self._resampled :]))
        self._resampled = len(self._pending)

    def _next_frame_size(self) -> int:
        """How much of the input the next frame is, in bytes."""
        end = (self._frames + 1) * self._frame_size // SAMPLE_BYTES * self._sample_rate // self._engine.sample_rate
        return (end - self._position) * SAMPLE_BYTES

    def _hangover(self) -> int:
        """The frames of silence that end the segment, or a suspicion of speech, now."""
        pause, frames = self._hangover_of_pause
        in_pause = self._in_segment and self._silence_frames >= self._pause_frames and pause == self._pauses
        return frames if in_pause else self._hangover_frames

    def _take_frame(self) -> bytes:
        # A copy, because segments begin and end at the engine's frames, wherever the input was cut.
        size = self._next_frame_size()
        frame = bytes(self._pending[:size])
        del self._pending[:size]
        self._resampled -= size
        self._frames += 1
        self._position += size // SAMPLE_BYTES
        return frame

    def _count(self, probability: float) -> None:
        if probability >= SPEECH_PROBABILITY:
            self._speech_frames += 1
            self._silence_frames = self._frames_since_speech = 0
            return
        self._frames_since_speech += 1
        waits = self._patient and not self._in_segment and probability >= ONSET_PROBABILITY
        self._silence_frames = 0 if waits else self._silence_frames + 1
        if self._frames_since_speech >= self._hangover_frames and not self._in_segment:
            self._speech_frames = 0  # patience makes no segment of what would be none

    def _detect_onset(self, probability: float) -> bool:
        self._window.append(probability)
        while len(self._held) > self._pre_roll_frames:
            self._silent_bytes += len(self._held.popleft())
        self._speech_frames = sum(one >= SPEECH_PROBABILITY for one in self._window)
        self._speaking = sum(one >= ONSET_PROBABILITY for one in self._window) >= self._trigger_frames
        self._needed_frames = self._wary_frames if self.wary else self._min_speech_frames
        return self._speaking
