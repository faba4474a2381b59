"""Folds what passes in a conversation into records: turns, calls of tools, responses, usage. It reads no clock."""

from dataclasses import dataclass, replace

from voicecli.commands import Command, SendText, ToolResult
from voicecli.events import (
    AudioChunk,
    Event,
    Interrupted,
    ResponseDone,
    ResponseStarted,
    Role,
    SessionEnded,
    SessionStarted,
    SpeechStarted,
    SpeechStopped,
    StateChanged,
    ToolCallCancelled,
    ToolCallFinished,
    ToolCallRequest,
    TranscriptUpdate,
    Usage,
    UsageUpdated,
)
from voicecli.history.records import ResponseRecord, ToolCallRecord, TurnRecord, UsageRecord

__all__ = ["Fold", "Row"]

Row = tuple[int, TurnRecord | ToolCallRecord | ResponseRecord | UsageRecord]
"""A record, and its place: among turns and calls of tools together, or among responses and usages together."""


@dataclass(slots=True)
class _Span:
    """Speech of the user's: from when it was noticed until it ended.

    Attributes:
        item_id: of its words; None where that is not known.
    """

    item_id: str | None
    started_ms: int
    ended_ms: int | None = None


@dataclass(slots=True)
class _Sound:
    """Sound of the assistant's.

    Attributes:
        started_ms: when it began to play, were it played as it came, one after the other.
        bytes: how much came.
        ended_ms: when it was over; None while it may be heard.
    """

    started_ms: int
    bytes: int = 0
    ended_ms: int | None = None


class Fold:
    """Folds events and commands of one conversation into records; each is given when it is final, and if it changes.

    What is not finished when the conversation ends is given then, as not final.
    """

    def __init__(self) -> None:
        self._places = 0
        self._turns: dict[tuple[Role, str], tuple[int, TurnRecord]] = {}
        self._calls: dict[str, tuple[int, ToolCallRecord]] = {}
        self._begun: dict[str, int] = {}  # responses
        self._responses = 0  # and usages
        self._usage: UsageRecord | None = None  # since the last response
        self._spans: list[_Span] = []  # whose words have not come
        self._spoken: dict[str, _Span] = {}  # by the item of their words
        self._sounds: dict[str, _Sound] = {}  # by item
        self._playing: list[str] = []  # items whose sound may still be heard
        self._bytes_per_ms = 48.0  # of PCM16 at 24 kHz, until the session says which
        self._changed: dict[tuple[type, int], Row] = {}

    def take(self) -> list[Row]:
        """The records that are new or changed since the last time, in order."""
        changed, self._changed = self._changed, {}
        return list(changed.values())

    def event(self, event: Event, at_ms: float) -> None:
        """Take an event into account that was told at this time of the conversation."""
        now = round(at_ms)
        match event:
            case AudioChunk(audio, item_id=item_id):  # the most frequent first
                self._sound(item_id, len(audio), now)
            case TranscriptUpdate("user"):
                self._user_says(event, now)
            case TranscriptUpdate():
                self._assistant_says(event, now)
            case SpeechStarted(item_id):
                self._spans.append(_Span(item_id, now))
            case SpeechStopped(item_id, is_turn):
                self._speech_stopped(item_id, is_turn, now)
            case StateChanged(assistant=assistant) if assistant != "speaking":
                self._fall_silent(now)
            case Interrupted():
                self._fall_silent(now)
            case ResponseStarted(response_id):
                self._begun[response_id] = now
            case ResponseDone():
                self._response_done(event, now)
            case UsageUpdated(usage):
                self._used(usage, now)
            case ToolCallRequest() | ToolCallFinished() | ToolCallCancelled():
                self._tool_called(event, now)
            case SessionStarted(output_rate=output_rate):
                self._bytes_per_ms = output_rate * 2 / 1000
            case SessionEnded():
                self._end(now)

    def command(self, command: Command, at_ms: float) -> None:
        """Take a command into account that went out at this time of the conversation."""
        now = round(at_ms)
        match command:
            case SendText(text, item_id):
                turn = TurnRecord(role="user", item_id=item_id, text=text, started_ms=now, ended_ms=now)
                self._keep_turn(turn)
            case ToolResult(call_id, output, is_error):
                self._call_answered(call_id, output, is_error, now)

    # -- the user

    def _user_says(self, update: TranscriptUpdate, now: int) -> None:
        known = self._turns.get(("user", update.item_id))
        if known is not None:
            turn = replace(known[1], text=update.text, final=update.final)
        else:
            span = self._claim(update.item_id)
            turn = TurnRecord(
                role="user",
                item_id=update.item_id,
                text=update.text,
                started_ms=span.started_ms if span else now,
                ended_ms=span.ended_ms if span else None,
                final=update.final,
            )
        if turn.final and turn.ended_ms is None:
            span = self._spoken.get(update.item_id)
            # Words may be final before the speech is known to have ended, which then replaces this.
            turn = replace(turn, ended_ms=span.ended_ms if span and span.ended_ms is not None else now)
        self._keep_turn(turn)

    def _claim(self, item_id: str) -> _Span | None:
        """The speech to which words belong that begin to come."""
        named = (span for span in self._spans if span.item_id == item_id)
        unnamed = (span for span in self._spans if span.item_id is None)
        span = next(named, None) or next(unnamed, None)
        if span is not None:
            self._spans.remove(span)
            self._spoken[item_id] = span
        return span

    def _speech_stopped(self, item_id: str | None, is_turn: bool, now: int) -> None:
        said = [(id_, span) for id_, span in self._spoken.items() if span.ended_ms is None]
        if said and item_id in (None, said[-1][0], said[-1][1].item_id):
            id_, span = said[-1]
            span.ended_ms = now
            _, turn = self._turns["user", id_]
            self._keep_turn(replace(turn, ended_ms=now))
            return
        for span in reversed(self._spans):
            if span.ended_ms is None and (item_id is None or item_id == span.item_id):
                span.ended_ms = now
                if not is_turn:
                    self._spans.remove(span)
                return

    # -- the assistant

    def _sound(self, item_id: str, length: int, now: int) -> None:
        sound = self._sounds.get(item_id)
        if sound is None:
            sound = self._sounds[item_id] = _Sound(self._silent_from(now))
            self._playing.append(item_id)
        elif sound.ended_ms is not None:  # it had run dry
            sound.ended_ms = None
            self._playing.append(item_id)
        sound.bytes += length

    def _silent_from(self, now: int) -> int:
        """When what came so far has been played, were it played as it came; now, if it has been."""
        if not self._playing:
            return now
        last = self._sounds[self._playing[-1]]
        return max(now, last.started_ms + round(last.bytes / self._bytes_per_ms))

    def _assistant_says(self, update: TranscriptUpdate, now: int) -> None:
        known = self._turns.get(("assistant", update.item_id))
        sound = self._sounds.get(update.item_id)
        ended = sound.ended_ms if sound else known[1].ended_ms if known else None
        if update.final and sound is None and ended is None:
            ended = now
        self._keep_turn(
            TurnRecord(
                role="assistant",
                item_id=update.item_id,
                text=update.text,
                started_ms=known[1].started_ms if known else sound.started_ms if sound else now,
                ended_ms=ended,
                final=update.final,
                interrupted=update.interrupted,
            )
        )

    def _fall_silent(self, now: int) -> None:
        """Nothing of the reply is to be heard any more."""
        until = now
        for item_id in reversed(self._playing):  # each until the next began
            sound = self._sounds[item_id]
            sound.ended_ms = max(until, sound.started_ms)
            until = min(now, sound.started_ms)
            known = self._turns.get(("assistant", item_id))
            if known is not None:
                self._keep_turn(replace(known[1], ended_ms=sound.ended_ms))
        self._playing.clear()

    # -- responses and tools

    def _response_done(self, done: ResponseDone, now: int) -> None:
        response = ResponseRecord(
            response_id=done.response_id,
            started_ms=self._begun.pop(done.response_id, now),
            done_ms=now,
            status=done.status,
            reason=done.reason,
            usage=done.usage,
            metrics=done.metrics,
        )
        # Speech to which no words came until the answer was complete was none.
        self._spans = [span for span in self._spans if span.ended_ms is None or span.ended_ms > response.started_ms]
        self._keep(self._responses, response)
        self._responses += 1
        self._usage = None

    def _used(self, usage: Usage, now: int) -> None:
        """Add it to what was used since the last response: one record for an hour in which nobody speaks."""
        if self._usage is None:
            self._usage = UsageRecord(started_ms=now, at_ms=now, usage=usage)
            self._responses += 1
        else:
            self._usage = replace(self._usage, at_ms=now, usage=self._usage.usage + usage)
        self._keep(self._responses - 1, self._usage)

    def _tool_called(self, event: ToolCallRequest | ToolCallFinished | ToolCallCancelled, now: int) -> None:
        match event:
            case ToolCallRequest(call_id, name, arguments):
                call = ToolCallRecord(call_id=call_id, name=name, arguments=arguments, started_ms=now)
                self._keep_call(self._next_place(), call)
            case ToolCallFinished(call_id, output=output, is_error=is_error):
                self._call_answered(call_id, output, is_error, now)
            case ToolCallCancelled(call_id) if call_id in self._calls:
                place, call = self._calls[call_id]
                self._keep_call(place, replace(call, cancelled=True, ended_ms=call.ended_ms or now))

    def _call_answered(self, call_id: str, output: str, is_error: bool, now: int) -> None:
        if call_id not in self._calls:
            return
        place, call = self._calls[call_id]
        if call.output is None:
            self._keep_call(place, replace(call, output=output, is_error=is_error, ended_ms=now))

    # -- what is kept

    def _end(self, now: int) -> None:
        self._fall_silent(now)
        for place, turn in self._turns.values():
            if not turn.final and turn.text.strip():
                self._keep(place, replace(turn, ended_ms=turn.ended_ms or now))

    def _next_place(self) -> int:
        self._places += 1
        return self._places - 1

    def _keep_turn(self, turn: TurnRecord) -> None:
        known = self._turns.get((turn.role, turn.item_id))
        place = known[0] if known else self._next_place()
        self._turns[turn.role, turn.item_id] = place, turn
        # An utterance without words was none, unless it was a reply that was cut before its first.
        is_one = turn.text.strip() or turn.interrupted or (known is not None and known[1].final)
        if turn.final and is_one and known != (place, turn):
            self._keep(place, turn)

    def _keep_call(self, place: int, call: ToolCallRecord) -> None:
        self._calls[call.call_id] = place, call
        self._keep(place, call)

    def _keep(self, place: int, record: TurnRecord | ToolCallRecord | ResponseRecord | UsageRecord) -> None:
        self._changed[type(record), place] = place, record
