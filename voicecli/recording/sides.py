"""The two sides of a conversation on their way to one file: where in it what was said, and heard, belongs."""

from voicecli.audio.pcm import Resampler
from voicecli.pcm16 import SAMPLE_BYTES
from voicecli.recording.clock import RecordingClock
from voicecli.recording.live_stream import LiveStream
from voicecli.recording.stereo_wav import ASSISTANT, USER
from voicecli.recording.writer import RecordingWriter

__all__ = ["Sides"]

_JITTER_S = 0.25  # a piece that is late by less makes no gap: whoever plays it holds as much back


class Sides:
    """Places sound on the time line of a recording. Moments are in ms since the conversation began.

    Args:
        file: takes the sound.
        input_rate, output_rate: of the user's and the assistant's sound, in Hz; the second is the file's.
    """

    def __init__(self, file: RecordingWriter, input_rate: int, output_rate: int) -> None:
        self.file = file
        self._input_rate, self._rate = input_rate, output_rate
        self._clock = RecordingClock(output_rate)
        self._user = _Channel(file, USER, input_rate, output_rate)
        self._assistant = _Channel(file, ASSISTANT, output_rate, output_rate)
        self._microphone = LiveStream(input_rate)
        self._loudspeaker = LiveStream(output_rate)
        # When what was sent, or taken to be played, began that may last longer than its time so far.
        self._sent_since = self._played_since = 0.0
        self._has_loudspeaker = False  # whose sound takes its time by itself
        self._live = False  # whether the user speaks in real time: nobody waits for a reply to end

    @property
    def times(self) -> tuple[tuple[int, int], ...]:
        """As `ConversationRecord.recording_times`."""
        return self._clock.times

    # -- the user

    def spoken(self, audio: bytes, until_ms: float) -> None:
        """Take the user's voice as it is spoken: this much of it, until that moment at the latest."""
        self._live = True
        samples = len(audio) // SAMPLE_BYTES
        self._microphone.push(audio, until_ms * self._input_rate / 1000 - samples)

    def sent(self, audio: bytes, now_ms: float) -> None:
        """Take the user's voice from a file, at whatever pace it is sent."""
        self._place_played(None)
        self.user_goes_on(now_ms)
        place = self._place(now_ms)
        if place > self._user.end + _JITTER_S * self._rate:
            self._user.begin(place)
            self._sent_since = self._frames(now_ms)
        self._user.add(audio)

    def user_goes_on(self, now_ms: float) -> None:
        """Have the user wait, as a person would, until the reply has been heard that nobody plays in real time."""
        if not (self._live or self._has_loudspeaker):
            self._clock.jump(self._played_since, self._frames(now_ms), self._assistant.end)

    def turn_ends(self, now_ms: float) -> None:
        """Let the turn end when all that was sent of it has been heard."""
        self._user.flush()
        self._wait_for_user(self._frames(now_ms))

    # -- the assistant

    def would_play(self, audio: bytes, now_ms: float) -> None:
        """Take a part of a reply that nobody plays: it would be heard as it comes, without gaps."""
        self._begin()
        now = self._frames(now_ms)
        self._wait_for_user(now)
        place = self._clock.frame(now)
        if place > self._assistant.end + _JITTER_S * self._rate:
            self._assistant.begin(place)
            self._played_since = now
        self._assistant.add(audio)

    def cut(self, now_ms: float) -> None:
        """Cut the reply that nobody plays off."""
        self._assistant.cut(self._place(now_ms))

    def played(self, audio: bytes, at_ms: float) -> None:
        """Take what a loudspeaker is given, silence included, and is heard from that moment on at the latest."""
        self._has_loudspeaker = True
        self._loudspeaker.push(audio, self._frames(at_ms))

    # -- time

    def advance(self, now_ms: float) -> None:
        """Write what is certain by now."""
        if self._microphone.ready(now_ms * self._input_rate / 1000):
            self._begin()
            self._place_spoken(now_ms * self._input_rate / 1000)
        self._place_played(self._frames(now_ms))
        self.file.extend(self._length(now_ms))

    def end(self, now_ms: float) -> None:
        """Write everything: the conversation is over."""
        self._begin()
        self._place_spoken(None)
        self._place_played(None)
        self._user.flush()
        self.file.extend(self._length(now_ms))

    def _begin(self) -> None:
        """Decide where the recording begins, before anything is put into it: with what was said before it."""
        if (began := self._microphone.began) is not None and began < 0:
            self._clock.begin(-round(began * self._rate / self._input_rate))

    def _place_played(self, now: float | None) -> None:
        """Place what the loudspeaker has been given, as far as `LiveStream.take` does it."""
        for frame, audio, _ in self._loudspeaker.take(now):
            if frame < 0 or audio.count(0) == len(audio):  # before the conversation, or silence, which is there already
                continue
            self._begin()
            self._wait_for_user(frame)
            place = self._clock.frame(frame)
            if place != self._assistant.end:
                self._assistant.begin(place)
            self._assistant.add(audio)

    def _place_spoken(self, now: float | None) -> None:
        for frame, audio, joins in self._microphone.take(now):
            if not joins:
                self._user.begin(max(self._user.end, self._clock.frame(frame * self._rate / self._input_rate)))
            self._user.add(audio)

    def _wait_for_user(self, moment: float) -> None:
        """Let the moment be no earlier than the end of what was sent faster than it sounds."""
        if not self._live:
            self._clock.jump(self._sent_since, moment, self._user.end)

    def _frames(self, ms: float) -> float:
        return ms * self._rate / 1000

    def _place(self, ms: float) -> int:
        return self._clock.frame(self._frames(ms))

    def _length(self, now_ms: float) -> int:
        return max(self._place(now_ms), self._user.end, self._assistant.end)


class _Channel:
    """One channel of the file: stretches of sound, each resampled by itself.

    Attributes:
        end: the frame behind its last one.
    """

    def __init__(self, file: RecordingWriter, channel: int, from_rate: int, rate: int) -> None:
        self.end = 0
        self._file = file
        self._channel = channel
        self._resampler = Resampler(from_rate, rate)

    def begin(self, frame: int) -> None:
        """Go on at this frame, which is not before the end."""
        self.flush()
        self.end = max(self.end, frame)

    def add(self, audio: bytes) -> None:
        self._put(self._resampler.process(audio))

    def flush(self) -> None:
        """Write what the resampler keeps of the stretch."""
        self._put(self._resampler.flush())

    def cut(self, frame: int) -> None:
        """Forget what is from this frame on."""
        self._file.erase(self._channel, frame, self.end - frame)
        self.end = min(self.end, frame)

    def _put(self, audio: bytes) -> None:
        self._file.write(self._channel, self.end, audio)
        self.end += len(audio) // SAMPLE_BYTES
