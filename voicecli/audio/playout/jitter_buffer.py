"""Jitter buffer: between a network that delivers in bursts and a loudspeaker that never waits.

A WebSocket loses nothing, so the buffer drops nothing, and it never stretches time: it is a queue of any length. All
it can choose is the playout delay, at the start of a reply and again after an underrun; a `DelayPolicy` does. A track
that never ends is another matter: its `Backlog` says what of it is left out.
"""

import threading
from collections import deque
from dataclasses import dataclass, field

from voicecli.audio.playout.declick import Declicker
from voicecli.audio.playout.lasting_track import Backlog
from voicecli.audio.playout.playout_delay import AdaptiveDelay, DelayPolicy
from voicecli.audio.playout.timeline import ItemSpan, Timeline
from voicecli.audio.ports import Playhead
from voicecli.errors import AudioFormatError
from voicecli.pcm16 import SAMPLE_BYTES

__all__ = ["JitterBuffer", "JitterStats"]

_MAX_ITEMS = 256  # unheard and just heard ones; a reply has one or two
_BEFORE_ALL = float("-inf")


@dataclass(frozen=True, slots=True)
class JitterStats:
    """Figures of playout since the buffer was made.

    Attributes:
        replies: how many have started.
        start_ms: the playout delay of the latest of them, in ms.
        underruns: gaps in the middle of a reply; on a track that never ends, in the middle of its words.
        gap_ms: the duration of all of these, in ms.
        max_depth_ms: the most audio that ever waited to be played, in ms.
        left_out_ms: audio that was not played lest too much waits, in ms.
    """

    replies: int = 0
    start_ms: float = 0.0
    underruns: int = 0
    gap_ms: float = 0.0
    max_depth_ms: float = 0.0
    left_out_ms: float = 0.0


class JitterBuffer:
    """Queue of replies on their way to the loudspeaker.

    `read_into()` is for the audio thread; everything else is for one other thread, the event loop's. Chunks pass
    through a deque and are copied once, into the device's memory. Times are in seconds of one monotonic clock.

    Args:
        sample_rate: of the PCM16 mono audio, in Hz.
        policy: decides how long a reply is held back; by default one that learns from reply to reply.
        backlog: leaves out what would wait too long; None for nothing.
    """

    def __init__(self, sample_rate: int, policy: DelayPolicy | None = None, *, backlog: Backlog | None = None) -> None:
        self._per_ms = sample_rate / 1000
        self._policy = policy or AdaptiveDelay()
        self._backlog = backlog
        self._declicker = Declicker(sample_rate)
        self._flush = threading.Lock()  # held by a read and by clear(), so that a flush falls between two reads
        self._paused = False
        # Written by the event loop. Positions count the samples of audio since the latest flush.
        self._replies: deque[_Reply] = deque()
        self._open: _Reply | None = None
        self._items: deque[ItemSpan] = deque(maxlen=_MAX_ITEMS)
        self._pushed = 0
        self._max_depth = 0
        self._left_out = 0
        # Written by the audio thread.
        self._timeline = Timeline()
        self._was_paused = False
        self._finished_at = _BEFORE_ALL
        self._started = 0
        self._start_s = 0.0
        self._underruns = 0
        self._gap = 0

    def push(self, audio: bytes, item_id: str, now: float) -> None:
        """Take the next chunk of an item's audio. Audio after `end()` is of a new reply.

        Raises:
            AudioFormatError: half a sample is left over.
        """
        if len(audio) % SAMPLE_BYTES:
            raise AudioFormatError(f"{len(audio)} bytes are not whole 16-bit samples.", advice="Send PCM16 mono audio.")
        if not audio:
            return
        for left_out, piece in [(0, audio)] if self._backlog is None else self._backlog.fit(audio, self.depth_ms):
            self._place(item_id, left_out)
            if piece:
                self._append(piece, now)

    def _place(self, item_id: str, left_out: int) -> None:
        """Know which item's audio comes next, and how many samples of it will never be played."""
        same = bool(self._items) and self._items[-1].item_id == item_id
        if same and not left_out:
            return
        earlier = next((span for span in reversed(self._items) if span.item_id == item_id), None)
        before = earlier.before + earlier.length if earlier else 0
        if same and not self._items[-1].length:
            self._items[-1].before += left_out
        else:
            self._items.append(ItemSpan(item_id, self._pushed, before + left_out))
        self._left_out += left_out

    def _append(self, audio: bytes, now: float) -> None:
        """Take audio of the latest item."""
        samples = len(audio) // SAMPLE_BYTES
        self._items[-1].length += samples
        self._pushed += samples
        self._max_depth = max(self._max_depth, self._pushed - self._timeline.played)

        reply = self._open
        if reply is None:
            reply = self._open = _Reply(now)
            self._policy.begin()
        reply.received += samples
        self._policy.arrived((now - reply.first_at) * 1000, samples / self._per_ms)
        if not reply.playing:
            # Before the chunk is there to be read: the audio thread must not find it without knowing how long to wait.
            waiting_ms = (reply.received - reply.played) / self._per_ms
            reply.start_at = now + self._policy.delay_ms(waiting_ms, reply.underruns) / 1000
        reply.ends_quietly = self._backlog is not None and self._backlog.ends_quietly(audio)
        reply.chunks.append(memoryview(audio))
        if reply.received == samples:
            self._replies.append(reply)

    def end(self) -> None:
        """Know that the reply is complete: nothing more of it comes, so there is nothing to wait for."""
        if self._open is not None:
            self._open.complete = True
            self._open = None
            self._policy.finish()

    def pause(self) -> None:
        """Play silence, but keep what is unheard, until `resume()`."""
        self._paused = True

    def resume(self) -> None:
        """Go on where `pause()` stopped."""
        self._paused = False

    def clear(self) -> Playhead | None:
        """Flush everything unheard; the audio fades out within 12 ms. What the device has been given counts as heard.

        Returns:
            where the listener was, or None when a complete reply had been heard to its end.
        """
        with self._flush:
            playhead = self._locate(self._timeline.played)
            self._replies = deque()
            self._items.clear()
            self._pushed = 0
            self._paused = False
            self._timeline = Timeline()
        self.end()
        return playhead

    def playhead(self, now: float, output_latency_s: float = 0.0) -> Playhead | None:
        """The item being heard and how much of it has been; None when all has been, or nothing came.

        While a reply is incomplete there is more of it to hear, if only at the provider.

        Args:
            output_latency_s: from giving a block to the device until its first sample is heard: PortAudio's
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
        """Whether every reply is complete and has been given to the device."""
        return self._open is None and self._timeline.played >= self._pushed

    @property
    def depth_ms(self) -> float:
        """Audio that waits to be played, in ms."""
        return (self._pushed - self._timeline.played) / self._per_ms

    @property
    def stats(self) -> JitterStats:
        """Figures of playout so far."""
        return JitterStats(
            replies=self._started,
            start_ms=self._start_s * 1000,
            underruns=self._underruns,
            gap_ms=self._gap / self._per_ms,
            max_depth_ms=self._max_depth / self._per_ms,
            left_out_ms=self._left_out / self._per_ms,
        )

    def read_into(self, out: memoryview, now: float) -> int:
        """Fill a block of the device's memory, with silence where there is nothing to play.

        Never waits, never raises; allocates a few hundred bytes.

        Args:
            out: bytes, room for whole samples.
            now: the time of the call.

        Returns:
            how many samples at its beginning are audio.
        """
        if not self._flush.acquire(blocking=False):  # amid a flush: nothing is left to play
            self._declicker.silence(out)
            return 0
        try:
            if self._paused:
                filled, ended, self._was_paused = 0, False, True
            else:
                filled, ended = self._fill(out, now)
            self._timeline = self._timeline.with_block(now, len(out) // SAMPLE_BYTES, filled // SAMPLE_BYTES)
        finally:
            self._flush.release()
        if filled:
            self._declicker.audio(out[:filled])
        if ended:
            self._declicker.finish()
        if filled < len(out):
            self._declicker.silence(out[filled:])
        return filled // SAMPLE_BYTES

    def _fill(self, out: memoryview, now: float) -> tuple[int, bool]:
        """Move audio into `out`; returns how many bytes, and whether a reply ends with the last of them."""
        filled, ended = 0, False
        while filled < len(out) and self._replies:
            reply = self._replies[0]
            complete = reply.complete  # asked before looking for chunks: the last chunk comes before `end()`
            if not reply.playing:
                if complete and not reply.chunks:  # over without more audio: that was no gap but the end
                    self._replies.popleft()
                    continue
                if not reply.chunks or (now < reply.start_at and not complete):
                    reply.gap += (len(out) - filled) // SAMPLE_BYTES
                    break
                self._start(reply, now, contiguous=filled > 0)
            elif self._was_paused:
                self._declicker.begin(softly=True)
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
                reply.in_pause = reply.ends_quietly
                reply.start_at = _BEFORE_ALL  # the next chunk brings its own
                reply.gap = (len(out) - filled) // SAMPLE_BYTES
                break
        return filled, ended

    def _start(self, reply: "_Reply", now: float, *, contiguous: bool) -> None:
        if not contiguous:
            self._declicker.begin(softly=reply.started)
        if reply.started:
            self._underruns += not reply.in_pause
            self._gap += 0 if reply.in_pause else reply.gap
        else:
            reply.started = True
            self._started += 1
            self._start_s = now - max(reply.first_at, self._finished_at)
        reply.gap = 0
        reply.playing = True


@dataclass(slots=True, eq=False)
class _Reply:
    """A reply in the queue. `received`, `ends_quietly`, `chunks` and `complete` are the event loop's, the rest is the
    audio thread's.

    Attributes:
        first_at: when its first chunk came.
        received, played: samples in and out.
        ends_quietly: whether what came last of it ends in a pause.
        started: whether any of it has been played.
        underruns: how many it had.
        playing: whether it is played, rather than held back.
        start_at: when it may be played; set anew by each chunk that comes while it is held back.
        gap: samples of silence since the latest underrun.
        in_pause: whether that was in a pause.
    """

    first_at: float
    received: int = 0
    chunks: deque[memoryview] = field(default_factory=deque)
    complete: bool = False
    played: int = 0
    ends_quietly: bool = False
    started: bool = False
    underruns: int = 0
    playing: bool = False
    start_at: float = _BEFORE_ALL
    gap: int = 0
    in_pause: bool = False

    def take(self, out: memoryview) -> int:
        """Move what fits into `out`; returns how many bytes."""
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
        self.played += filled // SAMPLE_BYTES
        return filled
