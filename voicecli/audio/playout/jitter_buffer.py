"""The buffer between a network that delivers in bursts and a loudspeaker that never waits.

A WebSocket loses nothing, so the buffer drops nothing, and it never stretches time: it is a queue of any length. All
it can choose is when to begin, at the start of a reply and again after it ran dry; a `StartRule` chooses.
"""

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from voicecli.audio.playout.start_rule import LearnedStart, StartRule
from voicecli.audio.ports import Playhead
from voicecli.errors import AudioFormatError

__all__ = ["JitterBuffer", "JitterStats"]

FADE_OUT_MS = 12  # long enough not to click, short enough to count as "at once"
FADE_IN_MS = 5  # shorter: the consonant that begins here must stay one

_BYTES = 2  # of a PCM16 sample
_RUNS_KEPT = 8  # stretches of sound to look back on; a device's latency spans two or three at most
_ITEMS_KEPT = 256  # of unheard and just heard items; a reply has one or two
_BEFORE_ALL = float("-inf")

Pcm = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class JitterStats:
    """What the listener went through since the buffer was made.

    Attributes:
        replies: how many began to sound.
        start_ms: how long the latest of them was held back before its first sound.
        underruns: silences in the middle of a reply.
        gap_ms: how long these were together.
        max_depth_ms: the most that was ever waiting to be played.
    """

    replies: int = 0
    start_ms: float = 0.0
    underruns: int = 0
    gap_ms: float = 0.0
    max_depth_ms: float = 0.0


class JitterBuffer:
    """Replies on their way to the loudspeaker.

    `read_into()` is for the audio thread; everything else is for one other thread, the event loop's. Chunks pass
    through a deque and are copied once, into the device's memory. Times are in seconds of one monotonic clock.

    Args:
        sample_rate: of the PCM16 mono audio, in Hz.
        rule: decides how long a reply is held back; by default one that learns from reply to reply.
    """

    def __init__(self, sample_rate: int, rule: StartRule | None = None) -> None:
        self._per_ms = sample_rate / 1000
        self._rule = rule or LearnedStart()
        self._declick = _Declick(sample_rate)
        self._flush = threading.Lock()  # held by a read and by clear(), so that a flush falls between two reads
        self._paused = False
        # Written by the event loop. Positions count the samples of real audio since the last flush.
        self._replies: deque[_Reply] = deque()
        self._open: _Reply | None = None
        self._items: deque[_Item] = deque(maxlen=_ITEMS_KEPT)
        self._pushed = 0
        self._max_depth = 0
        # Written by the audio thread.
        self._timeline = _Timeline()
        self._was_paused = False
        self._finished_at = _BEFORE_ALL
        self._started = 0
        self._start_s = 0.0
        self._underruns = 0
        self._gap = 0

    def push(self, audio: bytes, item_id: str, now: float) -> None:
        """Take the next chunk of the item's audio. What follows `end()` is a new reply.

        Raises:
            AudioFormatError: half a sample is left over.
        """
        if len(audio) % _BYTES:
            raise AudioFormatError(f"{len(audio)} bytes are not whole 16-bit samples.", advice="Send PCM16 mono audio.")
        if not audio:
            return
        samples = len(audio) // _BYTES
        if not self._items or self._items[-1].item_id != item_id:
            before = sum(item.length for item in self._items if item.item_id == item_id)
            self._items.append(_Item(item_id, self._pushed, before))
        self._items[-1].length += samples
        self._pushed += samples
        self._max_depth = max(self._max_depth, self._pushed - self._timeline.played)

        reply = self._open
        if reply is None:
            reply = self._open = _Reply(now)
            self._rule.begin()
        reply.received += samples
        self._rule.arrived((now - reply.first_at) * 1000, samples / self._per_ms)
        if not reply.playing:
            # Before the chunk is there to be read: the audio thread must not find it without knowing how long to wait.
            waiting_ms = (reply.received - reply.played) / self._per_ms
            reply.start_at = now + self._rule.hold_ms(waiting_ms, reply.underruns) / 1000
        reply.chunks.append(memoryview(audio))
        if reply.received == samples:
            self._replies.append(reply)

    def end(self) -> None:
        """The reply is complete: nothing more of it comes, so there is nothing to wait for."""
        if self._open is not None:
            self._open.complete = True
            self._open = None
            self._rule.finish()

    def pause(self) -> None:
        """Fall silent, but keep what is unheard, until `resume()`."""
        self._paused = True

    def resume(self) -> None:
        """Go on where `pause()` stopped."""
        self._paused = False

    def clear(self) -> Playhead | None:
        """Forget everything unheard; the sound fades out within 12 ms. What the device has been given counts as heard.

        Returns:
            Where the listener was, or None when a complete reply had been heard to its end.
        """
        with self._flush:
            playhead = self._locate(self._timeline.played)
            self._replies = deque()
            self._items.clear()
            self._pushed = 0
            self._paused = False
            self._timeline = _Timeline()
        self.end()
        return playhead

    def playhead(self, now: float, output_latency_s: float = 0.0) -> Playhead | None:
        """The item being heard and how much of it has been; None when all has, or nothing came.

        While a reply is incomplete there is more of it to hear, if only at the provider.

        Args:
            output_latency_s: from handing a block to the device until its first sample sounds: PortAudio's
                `outputBufferDacTime - currentTime`.
        """
        return self._locate(self._timeline.heard(now, output_latency_s, self._per_ms * 1000))

    def _locate(self, heard: int) -> Playhead | None:
        if not self._items or (heard >= self._pushed and self._open is None):
            return None
        # Between two items the listener is at the beginning of the second.
        item = next((item for item in self._items if heard < item.start + item.length), self._items[-1])
        heard_of_it = min(item.length, max(0, heard - item.start))
        return Playhead(item.item_id, round((item.before + heard_of_it) / self._per_ms))

    @property
    def drained(self) -> bool:
        """Whether every reply is complete and has been handed to the device."""
        return self._open is None and self._timeline.played >= self._pushed

    @property
    def depth_ms(self) -> float:
        """How much is waiting to be played."""
        return (self._pushed - self._timeline.played) / self._per_ms

    @property
    def stats(self) -> JitterStats:
        return JitterStats(
            replies=self._started,
            start_ms=self._start_s * 1000,
            underruns=self._underruns,
            gap_ms=self._gap / self._per_ms,
            max_depth_ms=self._max_depth / self._per_ms,
        )

    def read_into(self, out: memoryview, now: float) -> int:
        """Fill a block of the device's memory, with silence where there is nothing to play.

        Never waits, never raises; allocates a few hundred bytes.

        Args:
            out: bytes, room for whole samples.
            now: the time of the call.

        Returns:
            How many samples at its beginning are the reply's.
        """
        if not self._flush.acquire(blocking=False):  # in the middle of a flush: what there was, was
            self._declick.silence(out)
            return 0
        try:
            if self._paused:
                filled, ended, self._was_paused = 0, False, True
            else:
                filled, ended = self._fill(out, now)
            self._timeline = self._timeline.with_block(now, len(out) // _BYTES, filled // _BYTES)
        finally:
            self._flush.release()
        if filled:
            self._declick.sound(out[:filled])
        if ended:
            self._declick.finish()
        if filled < len(out):
            self._declick.silence(out[filled:])
        return filled // _BYTES

    def _fill(self, out: memoryview, now: float) -> tuple[int, bool]:
        """Move audio into `out`; says how many bytes, and whether a reply ends with the last of them."""
        filled, ended = 0, False
        while filled < len(out) and self._replies:
            reply = self._replies[0]
            complete = reply.complete  # asked before looking for chunks: the last chunk comes before `end()`
            if not reply.playing:
                if complete and not reply.chunks:  # over without another sound: that was no gap but the end
                    self._replies.popleft()
                    continue
                if not reply.chunks or (now < reply.start_at and not complete):
                    reply.gap += (len(out) - filled) // _BYTES
                    break
                self._begin(reply, now, contiguous=filled > 0)
            elif self._was_paused:
                self._declick.begin(softly=True)
            self._was_paused = False
            filled += reply.take(out[filled:])
            ended = False  # if another reply ended before it in this block
            if reply.chunks:
                break
            ended = complete
            if complete:
                self._replies.popleft()
                self._finished_at = now
            elif filled < len(out):
                reply.playing = False
                reply.underruns += 1
                reply.start_at = _BEFORE_ALL  # the next chunk brings its own
                reply.gap = (len(out) - filled) // _BYTES
                break
        return filled, ended

    def _begin(self, reply: "_Reply", now: float, *, contiguous: bool) -> None:
        if not contiguous:
            self._declick.begin(softly=reply.began)
        if reply.began:
            self._underruns += 1
            self._gap += reply.gap
        else:
            reply.began = True
            self._started += 1
            self._start_s = now - max(reply.first_at, self._finished_at)
        reply.gap = 0
        reply.playing = True


@dataclass(slots=True, eq=False)
class _Reply:
    """A reply in the queue; `received`, `chunks` and `complete` are the event loop's, the rest the audio thread's.

    Attributes:
        first_at: when its first chunk came.
        received, played: samples in and out.
        began: whether any of it has sounded.
        underruns: how often it ran dry.
        playing: whether it is sounding, rather than held back.
        start_at: when it may sound; set anew by each chunk that comes while it is held back.
        gap: samples of silence since it ran dry.
    """

    first_at: float
    received: int = 0
    chunks: deque[memoryview] = field(default_factory=deque)
    complete: bool = False
    played: int = 0
    began: bool = False
    underruns: int = 0
    playing: bool = False
    start_at: float = _BEFORE_ALL
    gap: int = 0

    def take(self, out: memoryview) -> int:
        """Move what fits into `out`; says how many bytes."""
        filled = 0
        while self.chunks and filled < len(out):
            chunk = self.chunks[0]
            size = min(len(chunk), len(out) - filled)
            out[filled : filled + size] = chunk[:size]
            filled += size
            if size == len(chunk):
                self.chunks.popleft()
            else:
                self.chunks[0] = chunk[size:]
        self.played += filled // _BYTES
        return filled


@dataclass(slots=True, eq=False)
class _Item:
    """A stretch of one item's audio, in samples: where it starts in the queue, how much of the item came before it."""

    item_id: str
    start: int
    before: int
    length: int = 0


class _Timeline(NamedTuple):
    """What the device was given up to the latest block. Replaced as a whole: nobody sees it half-written.

    Attributes:
        read_at: when the latest block was given, in seconds.
        before, after: samples given before that block, and with it.
        played: how many of all these were real audio.
        runs: where each stretch of real audio began: (samples given, of them real) until there.
        sounding: whether the latest block was real to its end.
    """

    read_at: float = 0.0
    before: int = 0
    after: int = 0
    played: int = 0
    runs: tuple[tuple[int, int], ...] = ()
    sounding: bool = False

    def with_block(self, now: float, size: int, real: int) -> "_Timeline":
        """The timeline once a block of `size` samples is given, of which the first `real` are real audio."""
        runs = self.runs if self.sounding or not real else (*self.runs, (self.after, self.played))[-_RUNS_KEPT:]
        return _Timeline(now, self.after, self.after + size, self.played + real, runs, real == size)

    def heard(self, now: float, latency_s: float, sample_rate: float) -> int:
        """How many samples of real audio have left the loudspeaker."""
        sounded = min(self.after, self.before + round((now - self.read_at - latency_s) * sample_rate))
        limit = self.played
        for given, played in reversed(self.runs):
            if given <= sounded:
                return min(limit, played + sounded - given)
            limit = played
        return limit


class _Declick:
    """Takes the click out of sound that stops, and goes on, in the middle of a word.

    Whether the next chunk will come in time is not known while the last one plays, so a fade-out cannot begin before
    the end. It goes on after it instead: the latest samples once more, backwards, dying away.
    """

    def __init__(self, sample_rate: int) -> None:
        self._kept = sample_rate * FADE_OUT_MS // 1000 * _BYTES
        self._rising = _half_cosine(sample_rate * FADE_IN_MS // 1000)
        self._risen = len(self._rising)  # how much of the fade-in is done: all of it
        self._recent = b""
        self._echo = np.zeros(0, np.float32)  # what remains to be played of the fade-out

    def begin(self, *, softly: bool) -> None:
        """Sound follows that does not join what was before."""
        self._stop()
        self._risen = 0 if softly else len(self._rising)

    def sound(self, out: memoryview) -> None:
        """`out` is about to be heard."""
        rising = self._rising[self._risen :]
        affected = min(len(out) // _BYTES, max(len(rising), len(self._echo)))
        if affected:
            pcm: Pcm = np.frombuffer(out, np.int16, affected)
            mixed = pcm.astype(np.float32)
            mixed[: len(rising)] *= rising[:affected]
            mixed[: len(self._echo)] += self._echo[:affected]
            np.copyto(pcm, np.clip(np.rint(mixed), -32768, 32767), casting="unsafe")
            self._risen = min(len(self._rising), self._risen + affected)
            self._echo = self._echo[affected:]
        self._recent = (self._recent + bytes(out[-self._kept :]))[-self._kept :]

    def finish(self) -> None:
        """What was heard ends there by itself."""
        self._recent = b""

    def silence(self, out: memoryview) -> None:
        """Fill `out` where there is nothing to be heard."""
        self._stop()
        fading = min(len(out) // _BYTES, len(self._echo))
        out[fading * _BYTES :] = bytes(len(out) - fading * _BYTES)
        if fading:
            np.copyto(np.frombuffer(out, np.int16, fading), np.rint(self._echo[:fading]), casting="unsafe")
            self._echo = self._echo[fading:]

    def _stop(self) -> None:
        if self._recent:
            latest: Pcm = np.frombuffer(self._recent, np.int16)[::-1]
            self._echo = latest * _half_cosine(len(latest))[::-1]
            self._recent = b""


def _half_cosine(samples: int) -> npt.NDArray[np.float32]:
    """From 0 to 1 without a corner."""
    return (0.5 - 0.5 * np.cos(np.pi * (np.arange(samples) + 0.5) / samples)).astype(np.float32)
