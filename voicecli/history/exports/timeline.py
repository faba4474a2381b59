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
        responses = sorted(record.responses, key=lambda response: response.started_ms)
        # Turns of the assistant's by the response in which they were: the last that had begun before.
        self._turns_of: list[tuple[ResponseRecord, list[TurnRecord]]] = [(response, []) for response in responses]
        self._places: dict[str, int] = {}
        for turn in record.turns:
            place = bisect_right(responses, turn.started_ms, key=lambda response: response.started_ms) - 1
            if turn.role == "assistant" and place >= 0:
                self._turns_of[place][1].append(turn)
                self._places[turn.item_id] = place

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
        if (sound_ms := self._stretched_ms(turn)) is not None:
            return start, start + sound_ms
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

    def waited_ms(self, turn: TurnRecord) -> int | None:
        """How long the user waited for this turn of the assistant's, from the end of their own; None if not known.

        It is told of the first turn of a response only.
        """
        response, turns = self._response(turn)
        if response is None or turns[0] is not turn:
            return None
        metrics = response.metrics
        known = (metrics.first_heard_ms, metrics.first_audio_ms, metrics.first_text_ms)
        return next((waited for waited in known if waited is not None), None)

    def _response(self, turn: TurnRecord) -> tuple[ResponseRecord | None, list[TurnRecord]]:
        """The response that a turn is of, and all its turns; none of the user's."""
        place = self._places.get(turn.item_id) if turn.role == "assistant" else None
        return (None, []) if place is None else self._turns_of[place]

    def _stretched_ms(self, turn: TurnRecord) -> int | None:
        """The length of a reply that takes its time in the recording alone, as the conversation went on meanwhile."""
        response, turns = self._response(turn)
        if len(self._points) < 2 or turn.interrupted or response is None or len(turns) > 1:
            return None
        return response.metrics.audio_ms or None


def clock_text(ms: int) -> str:
    """A time for people: 0:07, 12:34, 1:02:03."""
    seconds = max(0, ms) // 1000
    hours, minutes = seconds // 3600, seconds // 60 % 60
    return f"{hours}:{minutes:02}:{seconds % 60:02}" if hours else f"{minutes}:{seconds % 60:02}"
