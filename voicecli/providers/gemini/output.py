"""Replies and transcripts of a Gemini conversation: what `serverContent` says, as events.

Gemini names neither responses nor utterances, may send several things at once, promises no order between sound and
words, and tells the end of a turn late: at about the end of its playback.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from voicecli.commands import CancelResponse
from voicecli.events import (
    AudioChunk,
    AudioDone,
    Event,
    Interrupted,
    ResponseDone,
    ResponseStarted,
    ResponseStatus,
    TranscriptUpdate,
    Usage,
)
from voicecli.pcm16 import PcmFormat, SampleAligner
from voicecli.providers.heard import heard_by_item, heard_words
from voicecli.transcript import Turn

__all__ = ["ModelOutput", "first_unanswered"]

# Utterances whose transcript may still be cut to what was heard of them.
_REMEMBERED = 16


@dataclass(slots=True)
class _UserLine:
    """An utterance of the user's. Words may come after it was closed."""

    item_id: str
    text: str = ""
    closed: bool = False
    complete: bool = False  # the server said so: what comes now belongs to the next one
    answered: bool = False
    reserved: bool = False  # its place is told, its words are awaited


@dataclass(slots=True)
class _Utterance:
    """A stretch of a reply: until it ends, or a function is called."""

    item_id: str
    response: int
    text: str = ""
    written: str = ""
    """Texts beside the sound, which are not spoken: all there is of a reply without sound."""
    audio_bytes: int = 0
    told: TranscriptUpdate | None = None

    @property
    def words(self) -> str:
        return self.text or ("" if self.audio_bytes else self.written.strip())


@dataclass(slots=True)
class _Reply:
    number: int
    generated: bool = False
    """The server has sent all of it."""
    cut: bool = False
    """Interrupted: whatever still comes of it is dropped."""
    doubted: bool = False
    """It was cut by the server alone, and nobody was heard to speak."""
    called: bool = False
    """The last thing that came of it is a function call."""
    status: ResponseStatus = "completed"
    reason: str = ""
    utterance: _Utterance | None = None
    utterances: int = 0
    aligner: SampleAligner = field(default_factory=SampleAligner)

    @property
    def response_id(self) -> str:
        return _response_id(self.number)


class ModelOutput:
    """Follows the turns and tells events.

    Args:
        tell: takes each event.
        output_rate: of the reply's audio, in Hz.
        server_detects: whether the server finds the user's turns in a stream of audio.

    Attributes:
        user_spoke: whether the user was heard since the last reply began; None where no audio came since, so that
            words of theirs may be of either turn.
    """

    def __init__(self, tell: Callable[[Event], None], output_rate: int, *, server_detects: bool) -> None:
        self._tell = tell
        self._format = PcmFormat(output_rate)
        self._line: _UserLine | None = None
        self._lines = 0
        self._replies = 0
        self._reply: _Reply | None = None
        self._utterances: deque[_Utterance] = deque(maxlen=_REMEMBERED)
        self._last: _Reply | None = None  # the one that ended last, on this socket
        self._server_detects = server_detects
        self.user_spoke: bool | None = None
        self._interrupted = False  # the turnComplete that comes next belongs to what was interrupted
        self.usage = Usage()
        self.asked: list[str] = []
        """Inputs that no reply has followed yet, by their ids."""
        self.voiced = False
        """Whether the turn that is answered next was spoken, so that words of it are to be expected."""

    @property
    def running(self) -> bool:
        """Whether a reply is under way, until the server says that its turn is over."""
        return self._reply is not None

    @property
    def generating(self) -> bool:
        """Whether more of a reply is to come, and wanted."""
        return self._reply is not None and not self._reply.generated and not self._reply.cut

    @property
    def muted(self) -> bool:
        """Whether what the server says is dropped."""
        return self._reply is not None and self._reply.cut

    @property
    def was_interrupted(self) -> bool:
        """Whether the server has told of an interruption whose turn it has not ended yet."""
        return self._interrupted

    @property
    def ends_with_call(self) -> bool:
        """Whether nothing has come of the reply since it called a function."""
        return self._reply is not None and self._reply.called

    @property
    def hearing(self) -> bool:
        """Whether words of the user's came that no reply has followed yet."""
        return self._line is not None and not self._line.closed

    # -- the user

    def user_turn_begins(self) -> None:
        """The user speaks anew: words from here on are another utterance."""
        self.voiced = self.user_spoke = True
        self.close_line()
        self._line = None

    def user_said(self, text: str, *, finished: bool) -> bool:
        """Words of the user's; whether no reply has followed them yet."""
        line = self._open_line()
        line.text = line.text + text if line.text else text.lstrip()
        self._tell(TranscriptUpdate("user", line.item_id, line.text, final=finished or line.closed))
        line.reserved = False
        if finished:
            line.closed = line.complete = True
        if not line.answered:
            self.user_spoke = True
        return not line.answered

    def user_may_have_said(self, text: str) -> None:
        """A preview, which the next words replace."""
        if self._line is not None and self._line.closed:
            return
        line = self._open_line()
        self._tell(TranscriptUpdate("user", line.item_id, (line.text + text).lstrip(), final=False))

    def close_line(self) -> None:
        """Take the user's words as complete, as far as they are known."""
        if self._line is not None and not self._line.closed:
            self._line.closed = True
            self._tell(TranscriptUpdate("user", self._line.item_id, self._line.text, final=True))

    def forget_line(self) -> None:
        """Forget the words of a turn that will be heard, and transcribed, again from its beginning."""
        if self._line is not None and not self._line.closed:
            self._line.text = ""

    def _open_line(self) -> _UserLine:
        line = self._line
        if line is None or (line.closed and not self._takes_late_words(line)):
            self._lines += 1
            line = self._line = _UserLine(f"user-{self._lines}")
        return line

    def _takes_late_words(self, line: _UserLine) -> bool:
        # Before the reply is generated and unless it was interrupted, they can only be the question's; so they are
        # until the user speaks again. Where that is not known, only a question without any words takes them.
        silent = self.user_spoke is False or (self.user_spoke is None and line.answered and not line.text)
        return not line.complete and (self.generating or line.reserved or silent)

    # -- the reply

    def said(self, text: str, *, finished: bool) -> None:
        """Words of the reply."""
        if (reply := self._reply_now()) is None:
            return
        reply.called = False
        utterance = self._utterance(reply)
        utterance.text = utterance.text + text if utterance.text else text.lstrip()
        self._tell_words(utterance, utterance.text, final=finished or reply.generated)

    def said_late(self, text: str) -> bool:
        """Words without sound that came when no reply is due; whether they are of the reply that ended last."""
        reply = self._last
        if reply is None or (self._server_detects and (self.user_spoke or reply.cut)):
            return False
        if text and not reply.cut:
            utterance = self._utterance(reply)
            utterance.text = utterance.text + text if utterance.text else text.lstrip()
            self._tell_words(utterance, utterance.text, final=True)
        return True

    def wrote(self, text: str) -> None:
        """Text that is not spoken."""
        if (reply := self._reply_now()) is not None:
            self._utterance(reply).written += text

    def sounded(self, audio: bytes) -> None:
        """Sound of the reply."""
        if (reply := self._reply_now()) is None:
            return
        audio = reply.aligner.push(audio)
        reply.called = False
        utterance = self._utterance(reply)
        utterance.audio_bytes += len(audio)
        if audio:
            self._tell(AudioChunk(audio, reply.response_id, utterance.item_id))

    def calls_function(self) -> bool:
        """The reply calls a function; whether that is wanted."""
        if (reply := self._reply_now()) is None:
            return False
        self._close_utterance(reply)
        reply.utterance = None
        reply.called = True
        return True

    def generated(self) -> None:
        """All of the reply was sent."""
        if self._reply is not None and not self._reply.cut:
            self.close_line()
            self._close_utterance(self._reply)
            if not self._reply.generated:
                self._reply.generated = True
                self._tell(AudioDone(self._reply.response_id))

    def interrupted(self) -> None:
        """The server heard the user speak into the reply. May come twice, and when all was sent already."""
        self._interrupted = True
        reply = self._reply
        if reply is not None and not reply.cut and not self._server_detects and not self.user_spoke:
            return  # without an activity there is nothing that interrupts: it is of the turn before
        self._tell_interrupted()
        self.close_line()
        if reply is not None:
            reply.doubted = not reply.cut and not self.user_spoke
            self._cut(reply)

    def call_withdrawn(self) -> None:
        """The server takes a function call back, which it does for an interruption only."""
        self.user_spoke = True
        if self._interrupted and self._reply is not None and not self._reply.cut:
            self.interrupted()

    def utterance_ends(self) -> None:
        """The server goes on with the reply later."""
        self.close_line()
        if self._reply is not None and not self._reply.cut:
            self._close_utterance(self._reply)
            self._reply.utterance = None
            self._reply.generated = False

    def turn_ends(self, status: ResponseStatus, reason: str, *, owed: bool, awaits_tools: bool) -> bool:
        """The server's turn is over.

        Args:
            status, reason: unless the reply was cut.
            owed: whether the user's turn has had no answer; an end without one is then the answer.

        Returns:
            whether it ends the turn that the user is waiting on.
        """
        of_interrupted, self._interrupted = self._interrupted, False
        reply = self._reply
        if reply is None:
            if not owed or of_interrupted:
                return False
            reply = self._start_reply()
        elif of_interrupted and not reply.cut and not reply.generated:
            return False  # the end of the turn before
        ends_turn = not reply.cut
        if status != "completed" and not reply.cut:
            reply.status, reply.reason = status, reason
        self.close_line()
        self._finish_reply(awaits_tools=awaits_tools and not reply.cut)
        return ends_turn

    def cancel(self, command: CancelResponse) -> bool:
        """The user stopped the reply that the command names; whether more of it would have come.

        What was not heard is taken out of the transcript. Another reply that is under way by now goes on.
        """
        reply = self._reply
        names_reply = reply is not None and reply.response_id == command.response_id
        item = next((known for known in self._utterances if known.item_id == command.item_id), None)
        if item is not None:
            named = (
                known.response for known in self._utterances if _response_id(known.response) == command.response_id
            )
            last = reply.number if reply is not None and names_reply else max(named, default=item.response)
            cuttable = {known.item_id: known for known in self._utterances if known.response <= last}
            for cut, heard_ms in heard_by_item(cuttable, item.item_id, command.played_ms).items():
                utterance = cuttable[cut]
                received_ms = round(self._format.duration_ms(utterance.audio_bytes))
                words = heard_words([(utterance.text, received_ms)], heard_ms)
                self._tell_words(utterance, words, final=True, interrupted=True)
        if reply is None or not names_reply or command.scope != "reply":
            return False
        was_generating = self.generating
        self._cut(reply)
        return was_generating

    def socket_lost(self, reason: str, *, awaits_tools: bool) -> None:
        """The rest of the reply will not come; one of which nothing came goes on when it is asked for again.

        Args:
            awaits_tools: whether a reply that called functions is continued with their results.
        """
        self._interrupted = False
        self._last = None
        reply = self._reply
        if reply is None or (not reply.utterances and not reply.cut):
            return
        awaits_tools = awaits_tools and not reply.cut
        if not reply.cut and not reply.generated:
            self._cut(reply)
            reply.status, reply.reason = "incomplete", reason
        self._finish_reply(awaits_tools=awaits_tools)

    # -- inside

    def _reply_now(self) -> _Reply | None:
        """The reply that something of came; None when it is to be dropped."""
        reply = self._reply or self._start_reply()
        self.close_line()
        if reply.cut and reply.doubted and not self.user_spoke:
            # The server goes on as if nobody had interrupted it; what is cut stays so, and this is told anew.
            self._finish_reply(awaits_tools=False)
            self.voiced = False
            reply = self._start_reply()
        return None if reply.cut else reply

    def _start_reply(self) -> _Reply:
        self.close_line()
        if self.voiced and (self._line is None or self._line.answered):
            # The user's words will come late: keep their place before the reply's.
            self._lines += 1
            self._line = _UserLine(f"user-{self._lines}", closed=True, reserved=True)
            self._tell(TranscriptUpdate("user", self._line.item_id, "", final=False))
        if self._line is not None:
            self._line.answered = True
        self.voiced = self._interrupted = False
        self.user_spoke = None if self._server_detects else False
        self._replies += 1
        self._reply = _Reply(self._replies)
        answers, self.asked = tuple(self.asked), []
        self._tell(ResponseStarted(self._reply.response_id, answers))
        return self._reply

    def _cut(self, reply: _Reply) -> None:
        if reply.cut:
            return
        reply.cut = True
        if not reply.generated:
            reply.status = "cancelled"
            self._close_utterance(reply, interrupted=True)

    def _finish_reply(self, *, awaits_tools: bool) -> None:
        assert self._reply is not None
        reply, self._reply = self._reply, None
        self._last = reply
        self._close_utterance(reply)
        if self._line is not None and self._line.reserved:
            self._line.reserved = False
            self._tell(TranscriptUpdate("user", self._line.item_id, "", final=True))
        usage, self.usage = self.usage, Usage()
        self._tell(ResponseDone(reply.response_id, reply.status, reply.reason, usage=usage, awaits_tools=awaits_tools))

    def _utterance(self, reply: _Reply) -> _Utterance:
        if reply.utterance is None:
            reply.utterances += 1
            reply.utterance = _Utterance(f"{reply.response_id}.{reply.utterances}", reply.number)
            self._utterances.append(reply.utterance)
        return reply.utterance

    def _close_utterance(self, reply: _Reply, *, interrupted: bool = False) -> None:
        utterance = reply.utterance
        if utterance is not None and utterance.words and not (utterance.told and utterance.told.final):
            self._tell_words(utterance, utterance.words, final=True, interrupted=interrupted)

    def _tell_words(self, utterance: _Utterance, text: str, *, final: bool, interrupted: bool = False) -> None:
        update = TranscriptUpdate("assistant", utterance.item_id, text, final, interrupted)
        if update != utterance.told:
            utterance.told = update
            self._tell(update)

    def _tell_interrupted(self) -> None:
        reply = self._reply
        response_id = _response_id(self._replies) if self._replies else None
        utterance = reply.utterance if reply else None
        self._tell(Interrupted(response_id, utterance.item_id if utterance else None))


def _response_id(number: int) -> str:
    return f"response-{number}"


def first_unanswered(turns: Sequence[Turn]) -> int:
    """The index of the first turn that no words of a reply have followed."""
    last = next((index for index in reversed(range(len(turns))) if turns[index].role == "assistant"), -1)
    return last + 1
