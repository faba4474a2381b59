"""Replies, which the protocol does not have: made of what is loud in the endless output, of words, and of open work.

A reply begins with sound, with words, or when the model hands work over. It is over when the output has been quiet for
a while and no work is under way. Silence between replies is not told, nor that of a long pause within one.
"""

from collections import deque
from dataclasses import dataclass, field

from voicecli.commands import CancelResponse
from voicecli.events import CONNECTION_LOST, AudioChunk, AudioDone, ResponseDone, ResponseStarted, ResponseStatus, Usage
from voicecli.pcm16 import SampleAligner, peak
from voicecli.providers.openai.live.utterance import Fragment, Utterance
from voicecli.providers.openai.live.wire import Wire

__all__ = ["Replies"]

_FLOOR = 64
"""The magnitude of a sample up to which it is silence: a dither of 20 was seen there."""
_TICK_MS = 400
"""A session begins with a faint tick in this time, before the model can have heard anything."""
_PIECE_MS = 100
"""How much is looked at at once; the service sends as much at a time."""
_KEPT_PAUSE_MS = 500
"""So much of a pause is told as sound."""
_SOUND_OVER_MS = 1_500
_DONE_MS = 2_000
"""The quiet after which all sound of a reply has come, and all of its words, which come 1.8 s after their sound."""
_BEFORE_TELLING_MS = 1_500
"""How much longer it may take the model to begin to tell what came of the work that it handed over."""
_ALIGNED_MS = 500
"""How far the times of words may lie before those of their sound: words stand on a grid of 200 ms."""
_UNMUTE_MS = 500
"""The quiet after which the model is taken to have stopped, as it was told to."""
_REMEMBERED = 64  # stretches of sound


@dataclass(slots=True)
class _Reply:
    """A reply under way.

    Attributes:
        begun_ms: when it began, on the session's clock: what was said before is of another one.
        loud_ms: until when it sounded, on the session's clock.
        held_ms: until when it was held open by work.
        sounded: whether any sound of it has come.
        sound_over: whether an AudioDone told that no more comes.
        stretches: of the sound that was told: where each begins on the session's clock, and how long it is, in ms.
        cut_ms: where on the session's clock it was cut: words from there on do not belong to it; None for one that was
            not.
        status, reason: how it ends.
        ends_ms: when its last words are not waited for any longer, once it was cut.
    """

    response_id: str
    words: Utterance
    begun_ms: float
    loud_ms: float
    held_ms: float = 0.0
    sounded: bool = False
    sound_over: bool = False
    stretches: list[tuple[float, float]] = field(default_factory=list)
    cut_ms: float | None = None
    status: ResponseStatus = "completed"
    reason: str = ""
    ends_ms: float = 0.0

    @property
    def has_come(self) -> bool:
        return self.sounded or not self.words.empty


class Replies:
    """The model's output.

    Attributes:
        working: whether work is under way, so that the reply goes on.
        open_calls: whether the program owes results of tools.
        usage: of the backend, since it was told last.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._aligner = SampleAligner()
        self._reply: _Reply | None = None
        self._cut: _Reply | None = None  # whose last words are waited for
        self._late: Utterance | None = None  # words that came after their reply was over
        self._late_ms = 0.0  # when the last of them came
        self._muted_from: float | None = None
        self._quiet_ms = 0.0
        self._unheard: tuple[float, float] | None = None  # what was muted last, on the session's clock
        self._sounds: deque[tuple[float, float]] = deque(maxlen=_REMEMBERED)
        self._last_end = 0.0
        self.working = self.open_calls = False
        self.usage = Usage()

    @property
    def open(self) -> bool:
        """Whether a reply is under way."""
        return self._reply is not None

    @property
    def unfinished(self) -> bool:
        """Whether a reply is under way, or words of one are waited for."""
        return any(part is not None for part in (self._reply, self._cut, self._late))

    @property
    def has_come(self) -> bool:
        """Whether anything has come of the reply under way."""
        return self._reply is not None and self._reply.has_come

    # -- what comes

    def audio(self, sound: bytes) -> None:
        """More of the output track, of any length; half a sample is kept for the next one."""
        sound = self._aligner.push(sound)
        size = self._wire.format.size(_PIECE_MS)
        if len(sound) <= size:
            self._piece(sound)
            return
        for start in range(0, len(sound), size):
            self._piece(sound[start : start + size])

    def _piece(self, sound: bytes) -> None:
        if not sound:
            return
        wire = self._wire
        start_ms = wire.now_ms
        duration_ms = wire.format.duration_ms(len(sound))
        wire.now_ms += duration_ms
        loud = start_ms >= _TICK_MS and sound.count(0) < len(sound) and peak(sound) > _FLOOR
        if self._muted_from is not None:
            self._quiet_ms = 0.0 if loud else self._quiet_ms + duration_ms
            if self._quiet_ms >= _UNMUTE_MS:
                self.unmute()
            return
        if loud:
            self._loud(start_ms)
        reply = self._reply
        if reply is None or not (loud or (reply.sounded and start_ms - reply.loud_ms < _KEPT_PAUSE_MS)):
            return
        reply.sounded = True
        if loud:
            reply.loud_ms = wire.now_ms
        _extend(reply.stretches, start_ms, duration_ms)
        wire.events.append(AudioChunk(sound, reply.response_id, reply.words.item_id))

    def _loud(self, start_ms: float) -> None:
        reply = self._reply
        if reply is not None and (reply.sound_over or (self._wire.asked and self._quiet_since(reply, start_ms))):
            self._end(reply)
        if self._reply is None:
            self.begin(start_ms)
        self._last_end = self._wire.now_ms
        if self._sounds and start_ms - self._sounds[-1][1] < 1:
            self._sounds[-1] = self._sounds[-1][0], self._wire.now_ms
        else:
            self._sounds.append((start_ms, self._wire.now_ms))

    def words(self, fragment: Fragment) -> None:
        """Words of the model's."""
        cut = self._cut
        if cut is not None and cut.cut_ms is not None and fragment.start_ms < cut.cut_ms:
            cut.words.add(fragment)
            return
        if self._muted_from is not None and fragment.start_ms >= self._muted_from:
            return
        if self._unheard is not None and self._unheard[0] <= fragment.start_ms < self._unheard[1]:
            return
        reply = self._reply
        if fragment.start_ms < (self._last_end if reply is None else reply.begun_ms - _ALIGNED_MS):
            self._late_words(fragment)
            return
        reply = reply or self.begin(fragment.start_ms)
        reply.loud_ms = max(reply.loud_ms, min(fragment.end_ms, self._wire.now_ms))
        reply.words.add(fragment)
        self._tell(reply.words, final=False)

    def _late_words(self, fragment: Fragment) -> None:
        """Words of a reply that is over: a closing punctuation mark alone is nothing new."""
        if self._late is None:
            if not any(character.isalnum() for character in fragment.text):
                return
            self._late = Utterance(self._wire.id("late"))
        self._late.add(fragment)
        self._late_ms = self._wire.now_ms
        self._tell(self._late, final=False)

    # -- begin and end

    def begin(self, at_ms: float | None = None) -> _Reply:
        """A reply begins, unless one is under way: now, or at a time of the session's clock."""
        if self._reply is not None:
            return self._reply
        if self._cut is not None:
            self._end(self._cut)
        wire = self._wire
        at_ms = wire.now_ms if at_ms is None else at_ms
        self._reply = _Reply(wire.id("response"), Utterance(wire.id("reply")), at_ms, wire.now_ms)
        answers = tuple(wire.asked)
        wire.asked.clear()
        wire.events.append(ResponseStarted(self._reply.response_id, answers))
        return self._reply

    def answer(self) -> None:
        """The answer to a question begins that was asked while another reply was under way."""
        if self._reply is not None and self._wire.asked:
            self._end(self._reply)
        self.begin()

    def tick(self) -> None:
        """The session's clock went on."""
        now = self._wire.now_ms
        if self._cut is not None and now >= self._cut.ends_ms:
            self._end(self._cut)
        if self._late is not None and now >= self._late_ms + _DONE_MS:
            self._close_late()
        reply = self._reply
        if reply is None:
            return
        if self.working:
            reply.held_ms = now + _BEFORE_TELLING_MS
            return
        quiet_ms = now - max(reply.loud_ms, reply.held_ms)
        if quiet_ms >= _SOUND_OVER_MS and reply.sounded and not reply.sound_over:
            reply.sound_over = True
            self._wire.events.append(AudioDone(reply.response_id))
        if quiet_ms >= _DONE_MS:
            self._end(reply)

    def stopped(self, reason: str) -> bool:
        """The service stopped the reply, of which only words are still to come; returns whether there was one."""
        reply = self._reply
        if reply is not None:
            self._close(reply, self._wire.now_ms, "incomplete", reason)
        return reply is not None

    def failed(self, reason: str) -> None:
        """The work that was handed over came to nothing: a reply that only consists of it has failed."""
        reply = self._reply
        if reply is not None and not reply.has_come:
            reply.status, reply.reason = "failed", reason
            self._end(reply)

    def lost(self) -> None:
        """The connection is lost: what came of the reply is all of it. One of which nothing has come goes on."""
        if self._cut is not None:
            self._end(self._cut)
        reply = self._reply
        if reply is not None and (reply.has_come or self.open_calls):
            reply.status, reply.reason = "incomplete", CONNECTION_LOST
            self._end(reply)
        self._close_late()
        self._aligner.clear()
        self._sounds.clear()
        self._unheard = self._muted_from = None
        self._last_end = self._quiet_ms = 0.0
        if self._reply is not None:
            self._reply.begun_ms = self._reply.loud_ms = self._reply.held_ms = 0.0

    def rewound(self) -> None:
        """The words' clock began anew: what was being said is over."""
        if self._reply is not None and not self._reply.words.empty:
            self._end(self._reply)
        self._close_late()
        self._unheard = None

    def _close(self, reply: _Reply, cut_ms: float, status: ResponseStatus, reason: str = "") -> None:
        """No sound of a reply comes any more, and only those of its words that were said before a time."""
        reply.cut_ms, reply.status, reply.reason = cut_ms, status, reason
        reply.ends_ms = self._wire.now_ms + _DONE_MS
        self._reply, self._cut = None, reply

    def _end(self, reply: _Reply) -> None:
        if reply is self._reply:
            self._reply = None
        if reply is self._cut:
            self._cut = None
        wire, status = self._wire, reply.status
        if reply.words.empty and reply.sounded and reply.cut_ms is None:
            self._close_late()
            self._late, self._late_ms = reply.words, wire.now_ms  # all of its words come late
        elif not reply.words.empty:
            self._tell(reply.words, final=True, cut_ms=reply.cut_ms, interrupted=status == "cancelled")
        if reply.sounded and not reply.sound_over and status in {"completed", "incomplete"}:
            wire.events.append(AudioDone(reply.response_id))
        usage, self.usage = self.usage, Usage()
        awaits = self.open_calls and status != "cancelled"
        if awaits:
            wire.asked |= wire.given
        wire.given.clear()
        wire.events.append(ResponseDone(reply.response_id, status, reply.reason, usage, awaits_tools=awaits))

    # -- the stop key

    def cancel(self, command: CancelResponse) -> bool:
        """Cut the reply that the command names: what it says from now on is dropped, until it is quiet.

        Returns:
            whether it was under way.
        """
        reply = self._reply
        if reply is None or reply.response_id != command.response_id:
            return False
        if command.scope == "playback" and self._quiet_since(reply, self._wire.now_ms):
            return False  # nothing more is being said
        heard_ms = _heard_until(reply, command, self._wire.now_ms)
        self._close(reply, heard_ms, "cancelled")
        self._muted_from, self._quiet_ms = heard_ms, 0.0
        return True

    def unmute(self) -> None:
        """What the model says from now on is heard again."""
        if self._muted_from is not None:
            self._unheard = self._muted_from, self._wire.now_ms
            self._last_end = self._wire.now_ms
            self._muted_from = None

    def user_spoke(self, start_ms: float) -> None:
        """The user said something at that time of the session's clock."""
        if self._muted_from is not None and start_ms >= self._muted_from:
            self.unmute()

    def sound_between(self, start_ms: float, end_ms: float) -> float:
        """How much sound of the model's lies between two times of the session's clock, in ms."""
        return sum(max(min(end, end_ms) - max(start, start_ms), 0.0) for start, end in self._sounds)

    def _quiet_since(self, reply: _Reply, now_ms: float) -> bool:
        """Whether the reply has said something, and then nothing for a while: what comes may be another one."""
        return not self.working and reply.sounded and now_ms - reply.loud_ms >= _KEPT_PAUSE_MS

    def _close_late(self) -> None:
        late, self._late = self._late, None
        if late is not None and not late.empty:
            self._tell(late, final=True)

    def _tell(self, words: Utterance, *, final: bool, cut_ms: float | None = None, interrupted: bool = False) -> None:
        said = words.text(cut_ms)
        self._wire.tell("assistant", words.item_id, said, words.times, final=final, interrupted=interrupted)


def _extend(stretches: list[tuple[float, float]], start_ms: float, duration_ms: float) -> None:
    if stretches and start_ms - sum(stretches[-1]) < 1:
        stretches[-1] = stretches[-1][0], stretches[-1][1] + duration_ms
    else:
        stretches.append((start_ms, duration_ms))


def _heard_until(reply: _Reply, command: CancelResponse, now_ms: float) -> float:
    """Where on the session's clock the listener was: pauses that were not told as sound took no time to play."""
    if command.item_id != reply.words.item_id:  # none of it was played
        return reply.stretches[0][0] if reply.stretches else now_ms
    if command.played_ms is None:
        return now_ms
    left_ms = float(command.played_ms)
    for start_ms, duration_ms in reply.stretches:
        if left_ms < duration_ms:
            return start_ms + left_ms
        left_ms -= duration_ms
    return now_ms
