"""Makes commands of the user's audio, with turns found here where that is wanted."""

from dataclasses import dataclass

from voicecli.audio.pcm import Resampler
from voicecli.audio.vad import (
    SegmentAudio,
    SegmentDropped,
    SegmentEnded,
    SegmentPaused,
    SegmentStarted,
    SpeechDetected,
    SpeechTransition,
    VoiceActivityDetector,
)
from voicecli.commands import AppendAudio, ClearAudio, EndTurn, StartTurn
from voicecli.config import RealtimeConfig, VADMode
from voicecli.conversation.floor_events import VoiceSuspected
from voicecli.conversation.withheld import Withheld
from voicecli.errors import ConfigurationError
from voicecli.events import SpeechStarted, SpeechStopped
from voicecli.pcm16 import PcmFormat

__all__ = ["AudioInput", "AudioStep", "TurnPaused"]


@dataclass(frozen=True, slots=True)
class TurnPaused:
    """A pause in the turn, that may be its end.

    Attributes:
        pause: its number, for `AudioInput.set_silence`.
        audio: the last seconds of the turn, PCM16 mono at the rate that the provider takes.
    """

    pause: int
    audio: bytes


AudioStep = StartTurn | AppendAudio | EndTurn | ClearAudio | SpeechStarted | SpeechStopped | VoiceSuspected | TurnPaused
"""A command to be sent, an event to be told, what the floor is to know, or a pause to be judged."""


class AudioInput:
    """Takes the user's audio and returns what to do about it, in order. Pure.

    Args:
        config: who finds the turns, and how.
        rate: of the audio the provider takes, in Hz.
        listens: as `listen` says.
        pause_s: how many seconds of the turn a TurnPaused holds; 0 where none are wanted.

    Attributes:
        realtime: whether the audio comes as it is spoken.
        wary: whether it may hold an echo of the reply that sounds like a voice, and lasts.
        may_echo: whether it may hold any echo of the reply.
        over_reply: whether a reply is heard that a voice is to pause, whoever finds the turns.
    """

    def __init__(self, config: RealtimeConfig, rate: int, *, listens: bool = False, pause_s: int = 0) -> None:
        self.realtime = self.wary = self.may_echo = self.over_reply = False
        self._mode = config.vad_mode
        self._vad = config.client_vad
        self._rate = rate
        self._resampler = Resampler(rate, rate)
        self._from_rate = rate
        finds = self._mode is VADMode.CLIENT
        self._detector = VoiceActivityDetector(config.client_vad, rate, pauses=pause_s > 0) if finds else None
        self._turn = bytearray()  # the last `pause_s` seconds of it
        self._kept_bytes = PcmFormat(rate).size(pause_s * 1000)
        self._listener: VoiceActivityDetector | None = (
            None  # kept while it does not listen: it knows whether it is noisy
        )
        self._listens = False
        self._can_listen = True
        self._withheld = Withheld(rate)
        self._tells = False
        self._sure = False  # the listener hears a voice
        self.listen(listens)
        self._open = False
        self._one_utterance = False

    @property
    def open(self) -> bool:
        """Whether audio was sent that `end` would end the turn of."""
        return self._open

    def begin_utterance(self) -> None:
        """Take all audio until `end` as one turn, whatever pauses are in it. It is no microphone's, and has no echo."""
        self._one_utterance = True

    def listen(self, listens: bool) -> None:
        """Begin or end to tell of the user's speech although the provider finds the turns.

        Raises:
            ConfigurationError: the engine's package is missing.
        """
        begins = listens and not self._tells and self._mode is VADMode.SERVER
        if begins and (self._listener is None or self._sure):
            self._listener = self._new_listener()  # to which a voice that lasts already begins now, and is told
        self._tells = listens

    def audio(self, audio: bytes, sample_rate: int) -> list[AudioStep]:
        """Take a chunk of PCM16 mono, of any number of bytes; half a sample waits for its other half."""
        steps: list[AudioStep] = []
        if sample_rate != self._from_rate:
            steps += self._take(self._resampler.flush())
            self._resampler, self._from_rate = Resampler(sample_rate, self._rate), sample_rate
        return steps + self._take(self._resampler.process(audio))

    def end(self) -> list[AudioStep]:
        """The user has finished. Empty when nothing was said."""
        steps = self._take(self._resampler.flush())
        self._resampler = Resampler(self._from_rate, self._rate)
        if self._detector is not None:
            steps += self._follow(self._detector.flush())
        steps += self._end_listening()
        if self._open:
            self._open = False
            if self._detector is not None:
                steps.append(SpeechStopped())
            steps.append(EndTurn())
        self._one_utterance = False
        return steps

    def pause(self) -> list[AudioStep]:
        """No audio comes for a while: what silence would have ended, a suspicion of speech too, ends now."""
        return self.end() if self._mode is VADMode.CLIENT else self._end_listening()

    def reset(self) -> None:
        """Forget the turn under way."""
        self._resampler = Resampler(self._from_rate, self._rate)
        if self._detector is not None:
            self._detector.reset()
        self._withheld.clear()
        if self._listener is not None and not self._sure:
            self._listener.reset()  # what it suspected is forgotten; if it lasts, it is suspected anew
        self._open = self._one_utterance = False

    def _take(self, audio: bytes) -> list[AudioStep]:
        if not audio:
            return []
        if self._detector is not None:
            self._detector.wary = self.wary and not self._one_utterance
            self._detector.eager = self.over_reply and not self._one_utterance
            return self._follow(self._detector.process(audio))
        start: list[AudioStep] = [] if self._open or self._mode is VADMode.SERVER else [StartTurn()]
        self._open = True
        if not self._is_doubtful:  # no reply goes on that it could cut
            self._withheld.decide(is_voice=True)
        heard = self._listen(audio)
        return [*heard, *start, *self._append(self._withheld.take(audio, doubtful=self._is_doubtful))]

    @property
    def _is_doubtful(self) -> bool:
        """Whether what is heard may be an echo of the reply, which the provider is not to take for a voice."""
        may_be = self.may_echo and self.over_reply and self._listener is not None
        return may_be and not (self._sure or self._one_utterance)

    def _append(self, audio: bytes) -> list[AudioStep]:
        return [AppendAudio(audio, self.realtime, self._withheld.held_ms)] if audio else []

    def _listen(self, audio: bytes) -> list[AudioStep]:
        """The speech that is heard here while the provider finds the turns."""
        if self._mode is not VADMode.SERVER or not self._can_listen:
            return []
        if not (self._tells or self.over_reply):
            return self._end_listening() if self._listens else []
        if self._listener is None:
            try:
                self._listener = self._new_listener()
            except ConfigurationError:  # then the provider alone notices voices
                self._can_listen = False
                return []
        self._listener.wary = self.wary and not self._one_utterance
        self._listener.eager = self.over_reply and not self._one_utterance
        self._listens = True
        return self._listened(self._listener.process(audio))

    def _new_listener(self) -> VoiceActivityDetector:
        self._sure = False
        return VoiceActivityDetector(self._vad, self._rate, patient=True)

    def _end_listening(self) -> list[AudioStep]:
        """No silence follows what a listener hears; what was withheld goes."""
        self._withheld.decide(is_voice=True)  # nobody can tell any more
        heard = self._listened(self._listener.flush()) if self._listener is not None else []
        self._listens = False
        return heard + self._append(self._withheld.take(b"", doubtful=False))

    def _listened(self, transitions: list[SpeechTransition]) -> list[AudioStep]:
        """The speech that the listener hears, only to be told, as the provider decides."""
        steps: list[AudioStep] = []
        for transition in transitions:
            match transition:
                case SpeechDetected() if self.over_reply:
                    steps.append(VoiceSuspected(lasts=True))
                    if self._is_doubtful:
                        self._withheld.suspect()
                case SegmentStarted():
                    self._sure = True
                    self._withheld.decide(is_voice=True)
                    steps += [SpeechStarted()] if self._tells else []
                case SegmentEnded() | SegmentDropped():
                    self._sure = False
                    self._withheld.decide(is_voice=False)
                    if self._tells and isinstance(transition, SegmentEnded):
                        steps.append(SpeechStopped())
                    steps.append(VoiceSuspected(lasts=False))
        return steps

    def set_silence(self, pause: int, silence_ms: int) -> None:
        """Let another silence end the turn in this pause, if it still lasts."""
        if self._detector is not None:
            self._detector.set_hangover(pause, silence_ms)

    def _keep(self, audio: bytes) -> None:
        if self._kept_bytes:
            self._turn += audio
            del self._turn[: -self._kept_bytes]

    def _follow(self, transitions: list[SpeechTransition]) -> list[AudioStep]:
        steps: list[AudioStep] = []
        for transition in transitions:
            match transition:
                case SpeechDetected():
                    if not self._open:
                        steps.append(SpeechStarted())
                case SegmentStarted(audio):
                    if not self._open:
                        steps.append(StartTurn())
                    self._open = True
                    self._turn.clear()
                    self._keep(audio)
                    steps.append(AppendAudio(audio, self.realtime))
                case SegmentPaused(pause):
                    if self.realtime and not self._one_utterance:
                        steps.append(TurnPaused(pause, bytes(self._turn)))
                case SegmentAudio(audio):
                    self._keep(audio)
                    steps.append(AppendAudio(audio, self.realtime))
                case SegmentEnded() if self._one_utterance:
                    pass  # a pause; `end` ends it
                case SegmentEnded(silence_ms):
                    self._open = False
                    varies = self.realtime and self._kept_bytes > 0
                    steps += [SpeechStopped(silence_ms=silence_ms if varies else None), EndTurn()]
                case SegmentDropped():
                    if not self._open:
                        steps.append(SpeechStopped(is_turn=False))
        return steps
