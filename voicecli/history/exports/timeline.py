"""When things were heard: the times of a conversation, in its recording where there is one."""

from bisect import bisect_right
from collections.abc import Sequence

from voicecli.history.records import ConversationRecord, ResponseRecord, TurnRecord

__all__ = ["SPEAKERS", "Timeline", "clock_text"]

SPEAKERS = {"user": "You", "assistant": "Assistant"}
"""The names of the roles, for people."""

_MS_PER_CHARACTER = 65  # of speech: some 15 characters a second
_SHORTEST_MS = 500


class Timeline:
    """The times of one conversation, in ms. Where it was recorded they are those of the recording."""

    def __init__(self, record: ConversationRecord) -> None:
        self._record = record
        self._points: Sequence[tuple[int, int]] = record.recording_times if record.recording is not None else ()
        self._responses = sorted(record.responses, key=lambda response: response.started_ms)

    def at(self, moment_ms: int) -> int:
        """A moment of the conversation."""
        if not self._points:
            return moment_ms
        place = bisect_right(self._points, moment_ms, key=lambda point: point[0])
        if place in (0, len(self._points)):  # before the first and after the last, both run at the same pace
            ours, theirs = self._points[max(0, place - 1)]
            return max(0, theirs + moment_ms - ours)
        (ours, theirs), (ours_next, theirs_next) = self._points[place - 1 : place + 1]
        return theirs + (moment_ms - ours) * (theirs_next - theirs) // max(1, ours_next - ours)

    def span(self, turn: TurnRecord) -> tuple[int, int]:
        """Begin and end of a turn. Of one that was written, or whose end is not known, as it would be spoken."""
        start = self.at(turn.started_ms)
        end = start if turn.ended_ms is None else self.at(turn.ended_ms)
        if end - start < _SHORTEST_MS and (turn.ended_ms is None or turn.ended_ms <= turn.started_ms):
            end = start + max(_SHORTEST_MS, _MS_PER_CHARACTER * len(turn.text))
        return start, end

    @property
    def length_ms(self) -> int:
        """Until everything is over."""
        record = self._record
        ends = [self.span(turn)[1] for turn in record.turns]
        ends += [self.at(call.ended_ms or call.started_ms) for call in record.tool_calls]
        if record.ended_at is not None:
            ends.append(self.at(round((record.ended_at - record.started_at).total_seconds() * 1000)))
        return max(ends, default=0)

    def response(self, turn: TurnRecord) -> ResponseRecord | None:
        """The response that a turn of the assistant's belongs to; None where it is not known."""
        begun = [each for each in self._responses if each.started_ms <= turn.started_ms]
        return begun[-1] if turn.role == "assistant" and begun else None

    def waited_ms(self, turn: TurnRecord) -> int | None:
        """How long the user waited for this turn of the assistant's, from the end of their own; None if not known.

        It is told of the first turn of a response only.
        """
        response = self.response(turn)
        if response is None or any(
            other.role == "assistant" and response.started_ms <= other.started_ms < turn.started_ms
            for other in self._record.turns
        ):
            return None
        metrics = response.metrics
        known = (metrics.first_heard_ms, metrics.first_audio_ms, metrics.first_text_ms)
        return next((waited for waited in known if waited is not None), None)


def clock_text(ms: int) -> str:
    """A time for people: 0:07, 12:34, 1:02:03."""
    seconds = max(0, ms) // 1000
    hours, minutes = seconds // 3600, seconds // 60 % 60
    return f"{hours}:{minutes:02}:{seconds % 60:02}" if hours else f"{minutes}:{seconds % 60:02}"
