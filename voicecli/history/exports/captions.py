"""A conversation as captions of its recording, or of itself."""

from voicecli import captions
from voicecli.captions import Cue
from voicecli.history.exports.timeline import SPEAKERS, Timeline
from voicecli.history.records import ConversationRecord

__all__ = ["cues", "srt", "vtt"]


def srt(record: ConversationRecord) -> str:
    """The conversation as SRT."""
    return captions.srt(cues(record))


def vtt(record: ConversationRecord) -> str:
    """The conversation as WebVTT."""
    return captions.vtt(cues(record))


def cues(record: ConversationRecord) -> list[Cue]:
    """What was said and when, in the order of the turns."""
    timeline = Timeline(record)
    found = []
    for turn in record.turns:
        if not turn.text.strip():
            continue
        start, end = timeline.span(turn)
        text = f"{turn.text.rstrip()} —" if turn.interrupted else turn.text
        found.append(Cue(start_ms=start, end_ms=end, text=text, speaker=SPEAKERS.get(turn.role, turn.role)))
    return found
