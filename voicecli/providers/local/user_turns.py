"""The user's turns in the offline engine: from the audio to the reply that each is given.

A reply is fast because it is speculative: after a tenth of a second of silence (in recordings, half of that which ends
a turn) the turn is transcribed and answered as if it were over. If the silence goes on, the output is released, often
with the first sound ready; if speech resumes, it is discarded, and nobody will know.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from voicecli.audio.speech_to_text import SpeechToText
from voicecli.connection.event_queue import EventQueue
from voicecli.errors import RealtimeError
from voicecli.events import Event, SpeechStarted, SpeechStopped, TranscriptUpdate
from voicecli.pcm16 import PcmFormat
from voicecli.providers.local.awaited_words import AwaitedWords
from voicecli.providers.local.backchannels import is_backchannel, may_become_backchannel
from voicecli.providers.local.pauses import PauseLengths
from voicecli.providers.local.reply import LocalReply, no_speech
from voicecli.providers.local.reply_queue import ReplyQueue, StartTask
from voicecli.providers.local.settings import Backchannels
from voicecli.providers.local.turn_detection import (
    EndOfTurn,
    PossibleEndOfTurn,
    StartOfTurn,
    TurnAudio,
    TurnChange,
    TurnDetector,
    TurnResumed,
)
from voicecli.providers.local.turn_model import Pause
from voicecli.providers.local.words import without_ending
from voicecli.threads import Worker

__all__ = ["UserTurns"]

_log = logging.getLogger(__name__)

# Audio is looked at in pieces of 0.5 s, so that a long command delays neither partials nor an interruption.
_PIECE_BYTES = PcmFormat(16_000).size(500)
# A speculative reply costs a transcription of the whole turn: a second for half a minute. Longer turns wait for their
# end.
_LONGEST_SPECULATION_BYTES = PcmFormat(16_000).size(20_000)
# Whether the sentence goes on is known by its end.
_LAST_WORDS_BYTES = PcmFormat(16_000).size(5_000)
# After the little silence of an early guess the recognizer ends sentences with a comma (7 of 26 short ones); with this
# behind it, as it does at the end of a turn (all 26).
_MORE_SILENCE = PcmFormat(16_000).silence(150)
# What follows a sign of listening later than this is a turn by itself.
_AFTER_BACKCHANNEL_MS = 256


@dataclass(slots=True)
class _UserTurn:
    """A turn under way.

    Attributes:
        is_open: whether it goes on.
        unseen: audio that the partial transcription has not seen yet.
        partials: the task of the partial transcription.
        over_reply: whether a reply that does not end in a question was heard when the turn began, and goes on as far as
            the engine knows.
        speculative: the reply that is begun in a pause.
    """

    item_id: str
    is_open: bool = True
    unseen: bytearray = field(default_factory=bytearray)
    partials: asyncio.Task[None] | None = None
    over_reply: bool = False
    speculative: LocalReply | None = None


class UserTurns:
    """Follows the turn under way, transcribes it, and has it answered.

    Args:
        detector: finds the turns; called on a thread of its own.
        automatic: whether silence ends a turn, and events tell of its start and end.
        answered: whether the end of a turn is answered. Otherwise the next `end` is.
        backchannels: which signs of listening are no turns, in what is said in real time.
        pauses: sets how long pauses last in what is said in real time; None: all are alike.
        words: learns of the turns whose words are not known yet.
        replies: answers them.
        events: takes what happens.
        start_task: starts the task of a partial transcription.
        new_id: makes an id of that kind.
    """

    def __init__(
        self,
        detector: TurnDetector,
        hearing: SpeechToText,
        *,
        automatic: bool,
        answered: bool,
        backchannels: Backchannels,
        pauses: PauseLengths | None,
        words: AwaitedWords,
        replies: ReplyQueue,
        events: EventQueue,
        start_task: StartTask,
        new_id: Callable[[str], str],
    ) -> None:
        self._detector = detector
        self._detecting = Worker("vad")
        self._hearing = hearing
        self._automatic = automatic
        self._answered = answered
        self._pauses = pauses if automatic else None
        self._backchannels = backchannels
        self._realtime = False
        self._words = words
        self._replies = replies
        self._events = events
        self._start_task = start_task
        self._new_id = new_id
        self._turn: _UserTurn | None = None
        self._ended = False  # by silence, since the last `end`
        self._unanswered = False  # a turn waits for `end`, as turns are not answered by themselves

    async def append(self, audio: bytes, *, realtime: bool = False) -> None:
        """Look for turns in PCM16 mono at 16000 Hz; `realtime` says whether it is sent as it is spoken."""
        self._realtime = realtime
        for start in range(0, len(audio), _PIECE_BYTES):
            piece = audio[start : start + _PIECE_BYTES]
            for change in await self._detecting.run(partial(self._detector.process, piece, realtime=realtime)):
                self._handle_change(change)

    def begin(self) -> None:
        """Begin a turn, if none is under way."""
        for change in self._detector.begin():
            self._handle_change(change)

    def end(self, input_id: str, *, cancelled: bool) -> None:
        """End the turn under way, and answer it, or those before it that are unanswered.

        Args:
            input_id: what the answer names.
            cancelled: whether the answer is cancelled already.
        """
        was_ended, self._ended = self._ended, False
        changes = self._detector.end()
        if changes:
            for change in changes:
                self._handle_change(change, input_id=input_id, cancelled=cancelled)
            self._ended = False
        if self._unanswered:
            self._unanswered = False
            self._replies.add(self._replies.new(answers=[input_id], cancelled=cancelled))
        elif not (changes or was_ended):
            self._emit(no_speech(input_id))

    def pause(self) -> None:
        """End the turn when no more audio comes whose silence could end it."""
        if self._automatic:
            for change in self._detector.end():
                self._handle_change(change)

    def clear(self) -> None:
        """Drop the turn under way: it was no speech."""
        self._detector.clear()
        if self._turn is None:
            return
        turn, self._turn = self._turn, None
        turn.is_open = False
        self._replies.heard.resume()
        _discard_speculative(turn)
        self._words.set_known(turn.item_id)
        if self._automatic:
            self._emit(SpeechStopped(turn.item_id))
            self._emit(no_speech())

    async def aclose(self) -> None:
        """End the detector's thread, and the model of turns."""
        await self._detecting.aclose()
        if self._pauses is not None:
            await self._pauses.aclose()

    def _handle_change(self, change: TurnChange, *, input_id: str = "", cancelled: bool = False) -> None:
        turn = self._turn
        match change:
            case StartOfTurn():
                heard = self._replies.heard
                self._turn = _UserTurn(self._new_id("user"), over_reply=self._replies.talks and not heard.asks)
                heard.pause()
                self._words.expect(self._turn.item_id)
                if self._automatic:
                    self._emit(SpeechStarted(self._turn.item_id))
            case TurnAudio(audio) if turn is not None:
                turn.unseen += audio
                if turn.partials is None or turn.partials.done():
                    turn.partials = self._start_task(self._transcribe_partially(turn), "partials")
            case PossibleEndOfTurn() if turn is not None:
                self._begin_pause(turn, change)
            case TurnResumed() if turn is not None:
                _discard_speculative(turn)
            case EndOfTurn() if turn is not None:
                self._finish_turn(turn, change, input_id, cancelled=cancelled)

    def _begin_pause(self, turn: _UserTurn, change: PossibleEndOfTurn) -> None:
        audio, pause = change.audio, change.pause
        pauses = self._pauses if self._realtime else None
        if self._may_speculate(audio):
            said = audio + _MORE_SILENCE if self._realtime else audio
            turn.speculative = self._replies.new(audio=said, user_item=turn.item_id)
            if self._may_be_backchannel(turn):
                turn.speculative.is_backchannel = partial(self._is_backchannel, turn, change)
            if pauses is not None and pauses.needs_words:
                pauses.begin(pause)
                turn.speculative.on_words = partial(pauses.decide, pause)
            self._replies.start(turn.speculative)
        elif pauses is not None and pauses.needs_words:
            pauses.begin(pause)
            self._start_task(self._decide_by_last_words(turn, pauses, change), "pause")
        if pauses is not None and not pauses.needs_words:
            pauses.begin(pause)
            self._start_task(pauses.decide(pause, Pause(audio=audio)), "pause")

    async def _decide_by_last_words(self, turn: _UserTurn, pauses: PauseLengths, change: PossibleEndOfTurn) -> None:
        try:
            text = await self._hearing.transcribe(change.audio[-_LAST_WORDS_BYTES:])
        except RealtimeError as error:
            _log.warning("The words before a pause are not known: %s", error)
            text = ""
        if self._may_be_backchannel(turn) and is_backchannel(text, change.speech_ms, self._backchannels):
            self._detector.set_silence(change.pause, _AFTER_BACKCHANNEL_MS)
        else:
            await pauses.decide(change.pause, Pause(text))

    def _may_speculate(self, audio: bytes) -> bool:
        return self._answered and not self._replies and len(audio) <= _LONGEST_SPECULATION_BYTES

    def _may_be_backchannel(self, turn: _UserTurn) -> bool:
        return turn.over_reply and self._realtime and self._backchannels != "off"

    def _is_backchannel(self, turn: _UserTurn, change: PossibleEndOfTurn | EndOfTurn, text: str) -> bool:
        """True when what was said is no turn; then the reply it was said over need not wait for all of the silence."""
        # Words that are none are told, and cut the reply: whatever the turn becomes, it is answered.
        turn.over_reply = turn.over_reply and is_backchannel(text, change.speech_ms, self._backchannels)
        if turn.over_reply and isinstance(change, PossibleEndOfTurn):
            self._detector.set_silence(change.pause, _AFTER_BACKCHANNEL_MS)
        return turn.over_reply

    def _finish_turn(self, turn: _UserTurn, change: EndOfTurn, input_id: str, *, cancelled: bool) -> None:
        self._turn, turn.is_open, self._ended = None, False, True
        if self._automatic:
            varies = self._realtime and self._pauses is not None
            self._emit(SpeechStopped(turn.item_id, silence_ms=change.silence_ms if varies else None))
        if turn.speculative is not None and (cancelled or not self._replies.is_current(turn.speculative)):
            _discard_speculative(turn)
        reply = turn.speculative
        if reply is None:
            reply = self._replies.new(audio=change.audio, user_item=turn.item_id, cancelled=cancelled)
            if self._may_be_backchannel(turn):
                reply.is_backchannel = partial(self._is_backchannel, turn, change)
        reply.answers.append(input_id)
        if not self._answered:
            reply.wanted, self._unanswered = False, True
        self._replies.add(reply)

    async def _transcribe_partially(self, turn: _UserTurn) -> None:
        text = ""
        clock = asyncio.get_running_loop().time
        while turn.unseen:
            audio, turn.unseen = bytes(turn.unseen), bytearray()
            begun = clock()
            try:
                heard = await self._hearing.partial(turn.item_id, audio)
            except RealtimeError as error:
                _log.warning("No partial transcript: %s", error)
                return
            if not turn.is_open:
                return
            if self._may_be_backchannel(turn) and may_become_backchannel(heard, self._backchannels):
                continue  # words stop the reply
            if heard and heard != text:
                text, turn.over_reply = heard, False
                self._emit(TranscriptUpdate("user", turn.item_id, text, final=False))
                if self._answered and turn.speculative is None:
                    await self._replies.read_ahead(without_ending(text), turn.item_id)
            # In a long turn this takes longer than new audio does to come: half of the time the recogniser stays free
            # for the turn's end, which would have to wait.
            await asyncio.sleep(clock() - begun)

    def _emit(self, event: Event) -> None:
        self._events.put([event])


def _discard_speculative(turn: _UserTurn) -> None:
    if turn.speculative is not None:
        turn.speculative.stop()
        turn.speculative = None
