"""What the codecs of interpreters share: words cut into captions, and how far input and output are."""

import re
from collections.abc import Iterator

from voicecli.events import Role, TranscriptUpdate, Usage
from voicecli.pcm16 import PcmFormat, peak
from voicecli.pricing import Prices, with_cost
from voicecli.text import valid_text

__all__ = ["RESPONSE_ID", "Pieces", "Progress", "RunningText"]

RESPONSE_ID = "translation"
"""The one response, and the one item, that all sound of a translation belongs to."""

# Where a sentence ends: such a mark, with what closes a quotation, before a blank. Scripts without blanks need none.
_CLOSING = "\"'\u201d\u2019\u00bb)\\]"
_SENTENCE_END = re.compile(
    rf"[.!?\u2026\u061f\u0964\u06d4][{_CLOSING}]*(?=\s)|[\u3002\uff01\uff1f\uff61][{_CLOSING}\u300d\u300f\uff09]*"
)
_PAUSE_MS = 1_000
# For languages that write no such marks: four lines of a caption.
_LONGEST = 320
# Quieter sound is no speech into a microphone: 1.5% of full scale.
_SPEECH_PEAK = 500
_QUIET_MS = 1_500
# Words come up to so long after they were said; without any by then, what was heard was no speech to translate.
_LATEST_MS = 20_000
_REPORT_S = 1.0


class RunningText:
    """Words of one side, which come in deltas without items or ends, as utterances: each a sentence, or until a pause.

    Args:
        role: "user" for what was said, "assistant" for its translation.
    """

    def __init__(self, role: Role) -> None:
        self._role = role
        self._text = ""
        self._count = 1
        self._at_ms = 0.0

    def is_new(self, at_ms: float) -> bool:
        """Whether words that come now begin an utterance."""
        return not self._text.strip() or at_ms - self._at_ms >= _PAUSE_MS

    def add(self, delta: str, at_ms: float) -> list[TranscriptUpdate]:
        """The updates that these further words make.

        Args:
            at_ms: how much audio was sent by now.
        """
        updates = self.finish() if self.is_new(at_ms) else []
        self._at_ms = at_ms
        self._text += delta
        updates += [self._update(said, final=True) for said in self._take_sentences()]
        if self._text.strip():
            updates.append(self._update(self._text, final=False))
        return updates

    def finish(self) -> list[TranscriptUpdate]:
        """End the utterance: what comes next is another one."""
        said, self._text = self._text, ""
        return [self._update(said, final=True)] if said.strip() else []

    def _take_sentences(self) -> Iterator[str]:
        start = 0
        for end in _SENTENCE_END.finditer(self._text):
            yield self._text[start : end.end()]
            start = end.end()
        self._text = self._text[start:]
        while len(self._text) > _LONGEST:
            cut = self._text.rfind(" ", 1, _LONGEST) + 1 or _LONGEST
            said, self._text = self._text[:cut], self._text[cut:]
            if said.strip():
                yield said

    def _update(self, text: str, *, final: bool) -> TranscriptUpdate:
        name = "heard" if self._role == "user" else "translated"
        update = TranscriptUpdate(self._role, f"{name}_{self._count}", valid_text(text).strip(), final)
        self._count += final
        return update


class Pieces:
    """Cuts a stream of audio into pieces of a length that the service works with.

    Args:
        rate: of the audio, in Hz.
        least_ms, most_ms: how long a piece lasts; less is kept until more comes.
    """

    def __init__(self, rate: int, least_ms: int, most_ms: int) -> None:
        format_ = PcmFormat(rate)
        self._least, self._most = format_.size(least_ms), format_.size(most_ms)
        self._kept = b""

    def add(self, audio: bytes) -> Iterator[bytes]:
        """The pieces that are complete."""
        if self._kept:
            audio = self._kept + audio
        if self._least <= len(audio) <= self._most:  # as it comes from the microphone, and from the silence feeder
            self._kept = b""
            yield audio
            return
        start = 0
        while len(audio) - start >= self._least:
            yield audio[start : start + self._most]
            start = min(start + self._most, len(audio))
        self._kept = audio[start:]

    def flush(self) -> bytes:
        """What is kept, filled up with silence; b"" when that is nothing."""
        kept, self._kept = self._kept, b""
        return kept.ljust(self._least, b"\0") if kept else b""

    def clear(self) -> None:
        """Forget what is kept."""
        self._kept = b""


class Progress:
    """How far input and output of one socket are, by the only clock that there is: the audio that was sent.

    Args:
        rate: of the input, in Hz.
        prices: a minute of the session is a minute of audio sent; None where not known.

    Attributes:
        sent_ms: how much audio was sent on this socket.
    """

    def __init__(self, rate: int, prices: Prices | None) -> None:
        self._format = PcmFormat(rate)
        self._prices = prices
        self.restart()

    def restart(self) -> None:
        """A new socket: nothing has been sent."""
        self.sent_ms = 0.0
        self._speech_ms = self._output_ms = float("-inf")
        self._reported_s = 0.0

    @property
    def owes(self) -> bool:
        """Whether nothing of the translation has come since somebody spoke."""
        return self._speech_ms > self._output_ms and self.sent_ms - self._speech_ms < _LATEST_MS

    @property
    def busy(self) -> bool:
        """Whether somebody speaks, or is being translated, or will be."""
        return self.owes or self.sent_ms - max(self._speech_ms, self._output_ms) < _QUIET_MS

    def sent(self, audio: bytes) -> None:
        """This was sent."""
        self.sent_ms += self._format.duration_ms(len(audio))
        if peak(audio) > _SPEECH_PEAK:
            self._speech_ms = self.sent_ms

    def output(self) -> None:
        """Something of the translation came."""
        self._output_ms = self.sent_ms

    def take_usage(self, *, least_s: float = _REPORT_S) -> Usage | None:
        """The usage since the last call; None while that is less than so many seconds of audio."""
        sent_s, reported_s = self.sent_ms / 1000, self._reported_s
        if sent_s - reported_s < least_s or sent_s == reported_s:
            return None
        self._reported_s = sent_s
        return with_cost(Usage(session_seconds=sent_s), self._prices, seconds_before=reported_s)
