"""The sound of the replies: which response sounds, whether its sound is held up, and which were cut."""

from collections import OrderedDict
from dataclasses import replace

from voicecli.commands import CancelScope
from voicecli.conversation.floor_events import Action, Cut, Pause, ResolveTurn, Resume
from voicecli.conversation.playback_estimate import PlaybackEstimate
from voicecli.events import AudioChunk, ResponseDone
from voicecli.pcm16 import PcmFormat

__all__ = ["ReplyAudio"]

_CUTS_KEPT = 64
"""Responses that are known to be cut; nothing of older ones is on its way any more."""


class ReplyAudio:
    """The part of the floor that knows what a cut can reach. Pure; times are in seconds, by the event loop's clock.

    Attributes:
        has_player: whether somebody plays the reply who can be paused, and asked what was heard.
        playback: the estimate of what is being heard.
        paused: whether the sound is held up.
        begun: how many responses have begun.
        sounding: the response whose sound came last.
        lasts_until: until when what came of the response under way lasts, played as it comes, whoever plays it.
    """

    def __init__(self, output_rate: int) -> None:
        self.has_player = False
        self.playback = PlaybackEstimate(output_rate)
        self.paused = False
        self.begun = 0
        self.sounding: str | None = None
        self.lasts_until = 0.0
        self._format = PcmFormat(output_rate)
        self._whole: str | None = None  # the response of which the end of the sound was told last
        self._sounding_number = 0
        self._cut: OrderedDict[str, None] = OrderedDict()

    def plays(self, now: float) -> bool:
        """True while something is to be heard that can be paused."""
        return self.has_player and not self.playback.is_heard(now)

    def is_cut(self, response_id: str) -> bool:
        """True when the response was cut: what still comes of it is not heard."""
        return response_id in self._cut

    def as_heard(self, done: ResponseDone) -> ResponseDone:
        """The end of a response for a listener: one that was cut is not completed, though the server says so."""
        cut = self.is_cut(done.response_id) and done.status == "completed"
        return replace(done, status="cancelled") if cut else done

    def count(self, chunk: AudioChunk, now: float) -> None:
        """More sound of a response came, which nobody wants to hear."""
        self.lasts_until = max(self.lasts_until, now) + self._format.duration_ms(len(chunk.audio)) / 1000

    def is_whole(self, response_id: str) -> bool:
        """All sound of a response has come; whether that is news: it is told once, and not of one that was cut."""
        if response_id == self._whole or response_id != self.sounding or self.is_cut(response_id):
            return False
        self._whole = response_id
        return True

    def add(self, chunk: AudioChunk, now: float) -> None:
        """More sound of a response came."""
        self.count(chunk, now)
        self._whole = None
        if chunk.response_id != self.sounding:
            self.sounding, self._sounding_number = chunk.response_id, self.begun
        self.playback.add(chunk.audio, chunk.item_id, now)

    def pause(self, now: float) -> list[Action]:
        """Hold the sound up."""
        self.paused = True
        if self.has_player:
            self.playback.pause(now)
        return [Pause()]

    def resume(self, now: float, *, was_turn: bool = False) -> list[Action]:
        """Let the sound go on; `was_turn` says what had held it up."""
        if not self.paused:
            return []
        self.paused = False
        self.playback.resume(now)
        return [ResolveTurn(was_turn), Resume()]

    def cut_playback(self, now: float, *, begun_before: int, is_heard: bool) -> list[Action]:
        """Cut what is to be heard of a response that was made.

        Args:
            begun_before: how many responses had begun before what interrupts: it reaches no later one.
            is_heard: whether the program knows that some of it is unheard.
        """
        reached = self.sounding is not None and self._sounding_number <= begun_before
        if self.sounding is None or not reached or self.is_cut(self.sounding):
            return self.resume(now, was_turn=True)
        if not (is_heard or self.has_player) and self.playback.is_heard(now):
            return self.resume(now, was_turn=True)
        return self.cut(self.sounding, "playback", now, is_certain=is_heard or not self.has_player)

    def cut(self, response_id: str, scope: CancelScope, now: float, *, is_certain: bool = True) -> list[Action]:
        """Cut the response, and what is still to be heard of one before it."""
        self.paused = False
        playhead = self.playback.clear(now)
        for cut in filter(None, (response_id, self.sounding)):
            self._cut[cut] = None
        while len(self._cut) > _CUTS_KEPT:
            self._cut.popitem(last=False)
        return [ResolveTurn(was_turn=True), Cut(response_id, scope, is_certain, playhead)]
