"""The user's side of the conversation: audio, turns, and what they said."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from voicecli.config import RealtimeConfig, SemanticVAD, VADMode
from voicecli.events import Notice, SpeechStarted, SpeechStopped, Usage
from voicecli.providers.fields import identifier, number, text
from voicecli.providers.openai.errors import ServerError, transcription_advice
from voicecli.providers.openai.fields import Frame, delta
from voicecli.providers.openai.input_audio import UserAudio
from voicecli.providers.openai.models import prices_of, transcription_usage
from voicecli.providers.openai.queues import WIRE_AUDIO, Wire
from voicecli.providers.openai.response_gate import ResponseGate
from voicecli.text import valid_text

__all__ = ["UserInput"]

_MIN_COMMIT_MS = 100
"""The server refuses to commit less."""
_PIECE = WIRE_AUDIO.size(1_000)
"""Audio sent again goes out in pieces of a second: an event may hold 15 MiB at most."""


@dataclass(slots=True)
class _Commit:
    """A commit by the client that is not confirmed yet.

    Attributes:
        event_id: of the commit.
        item_id: the item of an earlier socket that it restores.
        wants_reply: whether a reply is to be asked for once it is confirmed.
        input_id: of the EndTurn.
    """

    audio: bytes
    event_id: str
    item_id: str = ""
    wants_reply: bool = False
    input_id: str = ""


class UserInput:
    """Follows the user's turns, by voice and by the server's detection, and what was said in them.

    Args:
        transcription_model: None when nothing is transcribed.
    """

    def __init__(self, wire: Wire, gate: ResponseGate, config: RealtimeConfig, transcription_model: str | None) -> None:
        self._wire = wire
        self._gate = gate
        self._transcription_model = transcription_model
        self._prices = config.prices.get(transcription_model or "") or prices_of(transcription_model or "")
        self._detection = config.turn_detection if config.vad_mode is VADMode.SERVER else None
        self._audio = UserAudio(continuous=self._detection is not None)
        self._partial: dict[str, str] = {}  # utterances whose transcript is not final
        self._reset()

    def _reset(self) -> None:
        self._commits: deque[_Commit] = deque()
        self._finished: set[str] = set()
        self._renamed: dict[str, str] = {}  # items committed again or named late, and their names in the transcript
        self._unnamed: deque[str] = deque()  # utterances that the server has not named
        self._silent: set[str] = set()  # items of silence
        self._appended = False  # since the last turn or pause
        self._paused = False  # without more audio since; the server may yet report speech in what it has
        self._answer_next = False
        self.unanswered = False

    @property
    def turn_open(self) -> bool:
        """Whether the user is in the middle of a turn, as far as known."""
        return self._audio.turn_open

    @property
    def to_restore(self) -> bool:
        """Whether committed turns have to be committed again on a new socket."""
        return bool(self._audio.kept)

    # Commands

    def append(self, audio: bytes) -> None:
        if audio:
            self._audio.append(audio)
            self._appended, self._paused = True, False
            self._gate.turn_open = self._detection is None
            self._wire.append_audio(audio)

    def start_turn(self) -> None:
        if self._detection is None:
            if self._audio.turn_open:
                self.clear()
            self._gate.turn_open = True

    def end_turn(self, input_id: str = "") -> None:
        if self._detection is None:
            self._gate.turn_open = False
            if self._audio.uncommitted_ms < _MIN_COMMIT_MS:
                self.clear()
                self._wire.events.append(Notice("no_speech", "That was too short to be understood.", input_id))
                self._gate.flush()
            else:
                self._commit(input_id=input_id)
                self._gate.want()
        elif self.unanswered and not self._gate.speaking:
            self._gate.want()
        else:
            self._answer_next = not self._detection.create_response
            self._end_speech()

    def pause(self) -> None:
        # Semantic turn detection would take long to make up its mind about silence.
        if self._gate.speaking or not isinstance(self._detection, SemanticVAD):
            self._end_speech()
        else:
            self._paused = True

    def clear(self) -> None:
        self._audio.clear()
        self._wire.queue_optional("input_audio_buffer.clear")

    def _end_speech(self) -> None:
        """End the turn now where the server would take long to make up its mind about the silence that follows."""
        if isinstance(self._detection, SemanticVAD) and self._appended:
            self._commit(wants_reply=True)
        self._appended = False

    def _commit(self, *, wants_reply: bool = False, input_id: str = "") -> None:
        # A commit of an empty buffer is refused, and then nothing was to be said.
        event_id = self._wire.queue_commit()
        self._commits.append(_Commit(self._audio.commit(), event_id, wants_reply=wants_reply, input_id=input_id))

    def commit_rejected(self) -> None:
        if self._commits:
            self._commit_over(self._commits.popleft())

    def _commit_over(self, commit: _Commit) -> None:
        """The reply that is asked for now answers it, and so does one that begins now."""
        self._wire.open_commits.discard(commit.event_id)
        if commit.input_id:
            self._wire.asked[commit.input_id] = ""

    # Turns, as the server sees them

    def speech_started(self, frame: Frame) -> None:
        if self._detection is None:
            return  # the turns are found here, though some servers go on looking for them
        self._gate.speaking = self._gate.called_for = True
        if (start := number(frame, "audio_start_ms")) is not None:
            self._audio.speech_started(start)
        self._wire.events.append(SpeechStarted(identifier(frame, "item_id") or None))
        if self._paused:
            self._end_speech()

    def speech_stopped(self, frame: Frame) -> None:
        if self._detection is None:
            return
        self._gate.speaking = False
        if (end := number(frame, "audio_end_ms")) is not None:
            self._audio.speech_stopped(end)
        self._wire.events.append(SpeechStopped(identifier(frame, "item_id") or None))

    def timeout_triggered(self, frame: Frame) -> None:
        """The user has said nothing for `idle_timeout_ms`: the server makes an item of the silence, which is no turn of
        the user's, and speaks up."""
        item_id, end = identifier(frame, "item_id"), number(frame, "audio_end_ms")
        if not item_id or item_id in self._finished:
            return
        self._silent.add(item_id)
        if item_id in self._partial:  # some server told of the item first
            self._finish(item_id, "")
        if self._detection is not None and not self._audio.turn_open:
            if end is not None:
                self._audio.speech_stopped(end)
            self._audio.commit()  # nobody will want it again

    def committed(self, frame: Frame) -> None:
        gate, item_id = self._gate, identifier(frame, "item_id")
        gate.called_for = True
        if item_id in self._silent:
            # Nobody waits for the reply: it is not asked for again when the connection is lost.
            gate.expected = gate.expected or bool(self._detection and self._detection.create_response)
            return
        if not item_id:  # its name may come with its words, or never
            item_id = self._wire.id("turn")
            self._unnamed.append(item_id)
        if gate.speaking:  # the server was told to end the turn, and does not report its silence
            gate.speaking = False
            self._wire.events.append(SpeechStopped(item_id))
        if item_id in self._finished or item_id in self._partial:
            return
        wants_reply = self._answer_next
        if self._commits:
            commit = self._commits.popleft()
            self._commit_over(commit)
            audio, wants_reply = commit.audio, commit.wants_reply
            if commit.item_id:
                self._renamed[item_id] = commit.item_id
        else:
            audio = self._audio.commit()
            self._answer_next = self._appended = False
            # A reply that goes on while the user speaks keeps the server from answering by itself.
            if self._detection and self._detection.create_response:
                gate.expected = self._detection.interrupt_response or gate.active is None
            self.unanswered = not gate.expected
            gate.owed = gate.owed or gate.expected
        if not gate.owed:
            self._forget_answered()
        item_id = self._renamed.get(item_id, item_id)
        self.reserve(item_id)
        if WIRE_AUDIO.duration_ms(len(audio)) >= _MIN_COMMIT_MS:
            self._audio.keep(item_id, audio)
        if wants_reply:
            gate.want()

    # What was said

    def reserve(self, item_id: str) -> None:
        """Give an utterance its place in the conversation, before the reply to it."""
        if item_id in self._silent:
            return
        if self._unnamed and item_id and item_id not in self._partial and item_id not in self._finished:
            self._renamed.setdefault(item_id, self._unnamed.popleft())
        item_id = self._renamed.get(item_id, item_id)
        if item_id and item_id not in self._partial and item_id not in self._finished:
            self._partial[item_id] = ""
            self._tell(item_id, "", final=False)

    def transcript_delta(self, frame: Frame) -> None:
        item_id = self._utterance(frame)
        if item_id in self._partial:
            self._partial[item_id] += delta(frame)
            self._tell(item_id, valid_text(self._partial[item_id]), final=False)

    def transcript_completed(self, frame: Frame) -> Usage:
        """Returns what the transcription costs."""
        item_id = self._utterance(frame)
        if item_id in self._silent:  # costs, like any other
            return transcription_usage(frame.get("usage"), self._prices)
        if item_id not in self._partial:
            return Usage()
        said = text(frame, "transcript") or text(frame, "text") or valid_text(self._partial[item_id])
        self._finish(item_id, said.strip())
        return transcription_usage(frame.get("usage"), self._prices)

    def transcript_failed(self, frame: Frame) -> None:
        item_id, error = self._utterance(frame), ServerError.parse(frame.get("error"))
        if item_id in self._partial:
            self._finish(item_id, valid_text(self._partial[item_id]))
            name, reason = self._wire.server.name, error.message or error.name or "no reason given"
            message = f"{name} could not transcribe a turn: {reason}"
            if advice := transcription_advice(error, self._wire.server):
                message = f"{message.rstrip('.')}. {advice}"
            self._wire.events.append(Notice("transcription_failed", message))

    def _utterance(self, frame: Frame) -> str:
        # Without a name it can only be the oldest utterance whose words are awaited.
        item_id = identifier(frame, "item_id") or next(iter(self._partial), "") or self._wire.id("turn")
        self.reserve(item_id)
        return self._renamed.get(item_id, item_id)

    def _finish(self, item_id: str, said: str) -> None:
        del self._partial[item_id]
        self._finished.add(item_id)
        self._tell(item_id, said, final=True)
        if said or not self._gate.owed:
            self._audio.forget(item_id)

    def _tell(self, item_id: str, said: str, *, final: bool) -> None:
        self._wire.tell("user", item_id, said, final=final)
        if self._transcription_model is None:
            self._wire.events.pop()  # only its place is remembered, for restoring

    # Restoring

    def restart(self) -> None:
        """The socket is gone; audio that nothing else stands for is kept for the next one."""
        for commit in self._commits:
            self._commit_over(commit)
            self._audio.keep(commit.item_id or self._wire.id("turn"), commit.audio)
        self._forget_answered()
        for item_id, said in list(self._partial.items()):
            if item_id in self._audio.kept:
                self._partial[item_id] = ""
            else:
                del self._partial[item_id]
                self._tell(item_id, said, final=True)
        self._reset()

    def _forget_answered(self) -> None:
        """Forget the audio of turns that were answered and have, or will have, no transcript to wait for."""
        for item_id in list(self._audio.kept):
            transcribed = item_id not in self._partial or self._transcription_model is None
            if transcribed and not self._gate.owed:
                self._audio.forget(item_id)

    def commit_again(self, item_id: str) -> bool:
        """Send a committed turn again, if its audio is kept; it keeps its name in the transcript."""
        audio = self._audio.kept.pop(item_id, None)
        if audio is None:
            return False
        for piece in _pieces(audio):
            self._wire.append_audio(piece)
        self._commits.append(_Commit(audio, self._wire.queue_commit(), item_id))
        return True

    def commit_rest_again(self) -> None:
        """Send those turns again that have no place in the transcript yet: they are the latest."""
        for item_id in list(self._audio.kept):
            self.commit_again(item_id)

    def resume_turn(self) -> None:
        """Send again what the lost socket had not made a turn of."""
        for piece in _pieces(self._audio.restart()):
            self.append(piece)


def _pieces(audio: bytes) -> Iterator[bytes]:
    for start in range(0, len(audio), _PIECE):
        yield audio[start : start + _PIECE]
