"""The floor where both sides may speak at once: the model alone decides when it speaks, speaks on or gives way."""

import math

from voicecli.conversation.floor import Floor
from voicecli.conversation.floor_events import Action, AudioEnded, Deliver, Heard, Rules, TextSent, TurnEnded
from voicecli.conversation.floor_table import Signal
from voicecli.conversation.utterances import Utterances
from voicecli.events import ResponseDone, ResponseStarted, SpeechStarted, SpeechStopped

__all__ = ["FullDuplexFloor"]

_GAP_S = 0.3
"""How late sound may come, as it is spoken, without a pause in it: as long as a loudspeaker may be behind it."""


class FullDuplexFloor(Floor):
    """A floor on which speech is told, and leads to nothing else: no reply is paused, cut or owed by it.

    An answer is owed to what is written, to results of tools, and to a recording that is over. What the model says into
    the user's speech, "mm-hmm" for one, is no answer to it: only what begins after the speech is. One that had begun
    before and was going on may have gone on into the answer: then another is only possible.
    """

    def __init__(self, rules: Rules) -> None:
        super().__init__(rules)
        self._utterances = Utterances(speech_is_told=True)  # words ask for no more than the speech does
        self._speaking = False
        self._spoken = False  # since audio ended last
        self._unanswered = False  # nothing was answered of what was said last
        self._response_at = -math.inf  # when the latest response began

    def next_deadline(self, now: float) -> float | None:
        """As `Floor.next_deadline`; a gap in the sound is told later."""
        deadlines = (super().next_deadline(now), self._silent_at if self._speaks(now) else None)
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def _speaks(self, now: float) -> bool:
        """While it sounds: that a reply is over shows only some time later, by the silence."""
        return now < self._silent_at

    @property
    def _silent_at(self) -> float:
        last_end = self.sound.playback.last_end
        return -math.inf if last_end is None else last_end + _GAP_S

    def _speech_started(self, event: SpeechStarted, now: float) -> list[Action]:
        self.obligations.sign(now)
        self._speaking = self._spoken = self._unanswered = True
        return [Deliver(event), *self._signal(Signal.SPEECH, now)]

    def _speech_stopped(self, event: SpeechStopped, now: float) -> list[Action]:
        return self._speech_ended(event, now - self.speech_lag_s, now)

    def _heard(self, heard: Heard, now: float) -> list[Action]:
        if isinstance(heard.event, SpeechStarted):
            return self._speech_started(heard.event, now)
        return self._speech_ended(heard.event, now - self.speech_lag_s if heard.by_silence else now, now)

    def _speech_ended(self, event: SpeechStopped, end: float, now: float) -> list[Action]:
        """The speech ended at `end`, which is known `now`: an answer may have begun since."""
        self._speaking = False
        self._unanswered = self._unanswered and self._response_at < end
        over_reply = self._unanswered and self._responding is not None
        return [*self._signal(Signal.SILENCE, now), Deliver(event), TurnEnded(end, provisional=over_reply)]

    def _audio_ended(self, audio: AudioEnded, now: float) -> list[Action]:
        spoken, self._spoken = self._spoken, False
        if self._unanswered and not audio.realtime:
            self.obligations.owe()
        if spoken and not (self._unanswered and audio.realtime):
            return []
        return super()._audio_ended(audio, now)

    def _text_sent(self, text: TextSent, now: float) -> list[Action]:
        if self._speaks(now):
            return super()._text_sent(text, now)
        # A reply that was heard to its end, though it is not told yet that it is over, is none to be cut.
        self._taken_back.user_acts()
        self.obligations.owe(text.input_id)
        return [TurnEnded(now, provisional=False)]

    def _response_started(self, event: ResponseStarted, now: float) -> list[Action]:
        self._response_at = now
        self._unanswered = self._unanswered and self._speaking
        return super()._response_started(event, now)

    def _response_done(self, event: ResponseDone, now: float) -> list[Action]:
        actions = super()._response_done(event, now)
        if self._unanswered and not self._speaking:
            self.obligations.may_be_answered(now)
        return actions
