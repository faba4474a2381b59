"""The buffer on a virtual clock: what goes in, what comes out, and when."""

import math
import threading
import time

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicecli.audio import Playhead
from voicecli.audio.playout.declick import FADE_IN_MS, FADE_OUT_MS
from voicecli.audio.playout.jitter_buffer import JitterBuffer
from voicecli.audio.playout.playout_delay import AdaptiveDelay, DelayPolicy
from voicecli.errors import AudioFormatError

RATE = 8000
PER_MS = RATE // 1000
BLOCK_MS = 10
Pcm = npt.NDArray[np.int16]


class Hold:
    """Holds each reply back, and what ran dry, for so many ms after each chunk."""

    def __init__(self, start_ms: float = 0.0, again_ms: float = 0.0) -> None:
        self.start_ms, self.again_ms = start_ms, again_ms

    def begin(self) -> None: ...
    def arrived(self, at_ms: float, audio_ms: float) -> None: ...
    def finish(self) -> None: ...
    def delay_ms(self, waiting_ms: float, underruns: int) -> float:
        return self.again_ms if underruns else self.start_ms


class Device:
    """A loudspeaker that asks for a block at a time and keeps what it was given."""

    def __init__(self, policy: DelayPolicy | None = None) -> None:
        self.now = 100.0
        self.buffer = JitterBuffer(RATE, policy or Hold())
        self.real: list[int] = []  # of each block, the samples that were a reply's
        self.blocks: list[Pcm] = []

    def push(self, samples: npt.ArrayLike, item_id: str = "item") -> None:
        self.buffer.push(np.asarray(samples, np.int16).tobytes(), item_id, self.now)

    def play(self, ms: int, block_ms: int = BLOCK_MS) -> Pcm:
        """Let so much time pass; what was given to the device meanwhile, silence included."""
        first = len(self.blocks)
        for _ in range(ms // block_ms):
            block = np.full(block_ms * PER_MS, -1, np.int16)
            self.real.append(self.buffer.read_into(block.data.cast("B"), self.now))
            self.blocks.append(block)
            self.now += block_ms / 1000
        return np.concatenate(self.blocks[first:])


def tone(ms: float, start: int = 0) -> Pcm:
    """A loud 200 Hz sine; `start` samples into it."""
    at = np.arange(start, start + round(ms * PER_MS))
    return (16_000 * np.sin(2 * np.pi * 200 * at / RATE)).astype(np.int16)


LARGEST_STEP = int(np.abs(np.diff(tone(100).astype(int))).max())


def steps(sound: Pcm) -> int:
    return int(np.abs(np.diff(sound.astype(int), prepend=0, append=0)).max())


# -- nothing is lost


def test_passes_audio_on_unchanged() -> None:
    device = Device()
    sound = tone(95)
    device.push(sound[:100])
    device.push(sound[100:])
    device.buffer.end()
    played = device.play(120)
    assert played[: len(sound)].tolist() == sound.tolist()
    assert not played[len(sound) :].any()
    assert device.real == [80] * 9 + [40, 0, 0]
    assert device.buffer.drained


Action = tuple[str, int]
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("push"), st.integers(1, 1200)),
        st.tuples(st.just("read"), st.integers(1, 400)),
        st.tuples(st.just("end"), st.just(0)),
        st.tuples(st.just("pause"), st.integers(1, 3)),
    ),
    max_size=60,
)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(actions=ACTIONS, start_ms=st.integers(0, 100), again_ms=st.integers(0, 100))
def test_loses_and_doubles_nothing(actions: list[Action], start_ms: int, again_ms: int) -> None:
    buffer = JitterBuffer(RATE, Hold(start_ms, again_ms))
    numbers = (number % 30_000 + 1 for number in range(10**9))
    pushed: list[int] = []
    heard: list[int] = []
    exact: list[bool] = []  # whether the sample is beyond the fades after a silence
    now, soft = 0.0, 0

    def read(samples: int) -> None:
        nonlocal now, soft
        block = np.full(samples, -1, np.int16)
        real = buffer.read_into(block.data.cast("B"), now)
        now += samples / RATE
        heard.extend(block[:real].tolist())
        exact.extend(index >= soft for index in range(real))
        soft = max(0, soft - real) if real == samples else FADE_OUT_MS * PER_MS

    for action, size in actions:
        if action == "push":
            audio = [next(numbers) for _ in range(size)]
            pushed.extend(audio)
            buffer.push(np.array(audio, np.int16).tobytes(), f"item {len(pushed) % 3}", now)
        elif action == "read":
            read(size)
        elif action == "end":
            buffer.end()
        else:
            buffer.pause()
            for _ in range(size):
                before = len(heard)
                read(80)
                assert len(heard) == before
            buffer.resume()
    buffer.end()
    while not buffer.drained:
        read(160)

    assert len(heard) == len(pushed)
    assert all(mine == theirs for mine, theirs, sure in zip(heard, pushed, exact, strict=True) if sure)
    assert buffer.depth_ms == 0


def test_refuses_half_a_sample() -> None:
    with pytest.raises(AudioFormatError, match="3 bytes"):
        JitterBuffer(RATE).push(b"abc", "item", 0.0)


# -- when it plays


def test_holds_a_reply_back_as_the_policy_says() -> None:
    device = Device(Hold(start_ms=50))
    device.push(tone(30))
    device.play(30)
    device.push(tone(60))  # asks the policy again: 50 ms from here
    device.play(100)
    assert device.real == [0] * 8 + [80] * 5
    assert device.buffer.stats.start_ms == pytest.approx(80)


def test_starts_at_once_when_the_reply_is_complete() -> None:
    device = Device(Hold(start_ms=1e9))
    device.push(tone(30))
    device.play(20)
    device.buffer.end()
    device.play(40)
    assert device.real == [0, 0, 80, 80, 80, 0]


def test_goes_straight_on_with_a_reply_that_waits_behind_another() -> None:
    device = Device(Hold(start_ms=40))
    device.push(tone(65), "first")
    device.buffer.end()
    device.push(tone(65), "second")
    played = device.play(140)
    assert device.real == [80] * 13 + [0]
    assert played[: 65 * PER_MS].tolist() == tone(65).tolist()
    assert device.buffer.stats.underruns == 0
    assert device.buffer.stats.replies == 2
    assert device.buffer.stats.start_ms == 0  # it had come before its turn


def test_holds_back_a_reply_that_begins_while_another_ends() -> None:
    device = Device(Hold(start_ms=40))
    device.push(tone(25), "first")
    device.buffer.end()
    device.play(20)
    device.push(tone(50), "second")
    device.play(60)
    assert device.real == [80, 80, 40, 0, 0, 0, 80, 80]
    assert device.buffer.stats.underruns == 0


def test_counts_gaps_as_they_are() -> None:
    device = Device(Hold(again_ms=20))
    device.push(tone(25))
    device.play(60)  # 5 ms of silence in the third block, 30 in the others
    device.push(tone(10))
    device.play(30)  # 20 of silence
    device.push(tone(20))
    device.buffer.end()
    device.play(30)
    stats = device.buffer.stats
    assert device.real == [80, 80, 40, 0, 0, 0, 0, 0, 80, 80, 80, 0]
    assert stats.underruns == 1
    assert stats.gap_ms == pytest.approx(55)
    assert stats.max_depth_ms == pytest.approx(25)


def test_the_end_is_no_gap_even_when_it_is_told_late() -> None:
    device = Device()
    device.push(tone(20))
    device.play(100)
    assert not device.buffer.drained
    device.buffer.end()
    device.play(10)
    device.push(tone(20))
    device.play(30)
    assert device.buffer.stats.underruns == 0
    assert device.buffer.stats.replies == 2


def test_pausing_keeps_everything_and_is_no_gap() -> None:
    device = Device()
    device.push(tone(100))
    device.play(50)
    device.buffer.pause()
    device.play(200)
    device.buffer.resume()
    device.play(50)
    assert device.real == [80] * 5 + [0] * 20 + [80] * 5
    assert device.buffer.stats.underruns == 0


# -- how it sounds


@pytest.mark.parametrize("underrun_at_ms", [3, 20, 31.5, 33.75])
def test_an_underrun_does_not_click(underrun_at_ms: float) -> None:
    device = Device()
    device.push(tone(underrun_at_ms))
    device.play(60)
    rest = tone(140 - underrun_at_ms, start=round(underrun_at_ms * PER_MS))
    device.push(rest)
    device.buffer.end()
    sound = device.play(160)
    played = np.concatenate(device.blocks)
    assert steps(played) <= 1.1 * LARGEST_STEP
    silent_from = round((underrun_at_ms + FADE_OUT_MS) * PER_MS)
    assert not played[silent_from : 60 * PER_MS].any()
    risen = FADE_IN_MS * PER_MS
    assert sound[risen : len(rest)].tolist() == rest[risen:].tolist()


def test_an_underrun_shorter_than_the_fade_does_not_click() -> None:
    device = Device()
    device.push(tone(37.5))
    device.play(42, block_ms=2)
    device.push(tone(50, start=300))
    device.buffer.end()
    device.play(60)
    assert 0 < device.buffer.stats.gap_ms < FADE_OUT_MS
    assert steps(np.concatenate(device.blocks)) <= 1.3 * LARGEST_STEP


@pytest.mark.parametrize("after_ms", [20, 30, 50])
def test_a_flush_fades_out_and_leaves_nothing(after_ms: int) -> None:
    device = Device()
    device.push(tone(500))
    device.play(after_ms)
    assert device.buffer.clear() == Playhead("item", after_ms)
    after = device.play(50)
    assert steps(np.concatenate(device.blocks)) <= 1.1 * LARGEST_STEP
    assert np.abs(after[: 5 * PER_MS]).max() > 5000  # it does not just stop
    assert not after[FADE_OUT_MS * PER_MS :].any()
    assert device.real[after_ms // BLOCK_MS :] == [0] * 5
    assert device.buffer.drained


def test_a_flush_fades_out_also_when_a_reply_ended_in_the_block_before_it() -> None:
    device = Device()
    device.push(np.full(4 * PER_MS, 8000))
    device.buffer.end()
    device.push(np.full(1000 * PER_MS, 8000))
    device.play(BLOCK_MS)
    device.buffer.clear()
    assert device.play(BLOCK_MS)[:PER_MS].min() > 7000


def test_what_comes_after_a_flush_is_heard_whole() -> None:
    device = Device()
    device.push(tone(500), "old")
    device.play(50)
    device.buffer.clear()
    device.play(20)
    device.push(tone(30), "new")
    device.buffer.end()
    assert device.play(40)[: 30 * PER_MS].tolist() == tone(30).tolist()


def test_pausing_and_resuming_do_not_click() -> None:
    device = Device()
    device.push(tone(200))
    device.buffer.end()
    device.play(52, block_ms=4)
    device.buffer.pause()
    device.play(50)
    device.buffer.resume()
    device.play(60)
    assert steps(np.concatenate(device.blocks)[: 120 * PER_MS]) <= 1.1 * LARGEST_STEP


# -- where the listener is


def test_playhead_tells_the_item_and_the_ms_of_it() -> None:
    device = Device()
    device.push(tone(100), "first")
    device.push(tone(100), "second")
    device.buffer.end()
    device.play(70)
    assert device.buffer.playhead(device.now) == Playhead("first", 70)
    assert device.buffer.playhead(device.now, 0.030) == Playhead("first", 40)
    device.play(30)
    assert device.buffer.playhead(device.now) == Playhead("second", 0)
    device.play(50)
    assert device.buffer.playhead(device.now, 0.020) == Playhead("second", 30)
    device.play(60)
    assert device.buffer.playhead(device.now, 0.020) == Playhead("second", 90)
    assert device.buffer.playhead(device.now) is None


def test_playhead_moves_between_two_blocks_and_stops_with_the_device() -> None:
    device = Device()
    device.push(tone(100))
    device.play(20)
    given_at = device.now - BLOCK_MS / 1000
    assert device.buffer.playhead(given_at + 0.004) == Playhead("item", 14)
    assert device.buffer.playhead(given_at + 0.004, 0.006) == Playhead("item", 8)
    assert device.buffer.playhead(given_at + 60) == Playhead("item", 20)


def test_silence_is_not_counted_as_played() -> None:
    device = Device()
    device.push(tone(40))
    device.play(100)
    device.push(tone(40))
    device.play(20)
    # Of the latest 70 ms, 20 were sound and 50 of the 60 before them silence.
    assert [device.buffer.playhead(device.now, latency) for latency in (0.0, 0.01, 0.02, 0.05, 0.08, 0.09)] == [
        Playhead("item", ms) for ms in (60, 50, 40, 40, 40, 30)
    ]


def test_an_item_that_comes_in_pieces_is_counted_as_one() -> None:
    device = Device()
    for item in ("a", "b", "a"):
        device.push(tone(50), item)
    device.play(120)
    assert device.buffer.playhead(device.now) == Playhead("a", 70)


def test_clearing_tells_none_only_when_a_complete_reply_was_heard() -> None:
    device = Device()
    assert device.buffer.clear() is None
    device.push(tone(50))
    device.play(80)
    # More of it was on its way.
    assert device.buffer.clear() == Playhead("item", 50)
    device.push(tone(50))
    device.buffer.end()
    device.play(80)
    assert device.buffer.clear() is None
    device.push(tone(50), "unheard")
    device.buffer.end()
    assert device.buffer.clear() == Playhead("unheard", 0)


@given(actions=ACTIONS, latency_ms=st.integers(0, 200))
def test_playhead_stays_within_the_item_and_never_goes_back(actions: list[Action], latency_ms: int) -> None:
    device = Device(Hold(again_ms=15))
    lengths: dict[str, int] = {}
    order: list[str] = []
    latest = (0, 0)
    for action, size in actions:
        if action == "push":
            item = f"item {len(order) // 3}"
            order.append(item)
            lengths[item] = lengths.get(item, 0) + size
            device.push(np.ones(size), item)
        elif action == "read":
            device.play(size // 20 * BLOCK_MS + BLOCK_MS)
        elif action == "end":
            device.buffer.end()
        playhead = device.buffer.playhead(device.now, latency_ms / 1000)
        if playhead is not None:
            assert 0 <= playhead.played_ms <= math.ceil(lengths[playhead.item_id] / PER_MS)
            here = (int(playhead.item_id.split()[1]), playhead.played_ms)
            assert here >= latest
            latest = here


# -- two threads


def test_flushes_exactly_while_the_audio_thread_reads() -> None:
    buffer = JitterBuffer(1000, Hold())  # one sample per ms
    heard = 0
    over = threading.Event()

    def read() -> None:
        nonlocal heard
        block = np.zeros(10, np.int16)
        while not over.is_set():
            heard += buffer.read_into(block.data.cast("B"), time.monotonic())

    reader = threading.Thread(target=read)
    reader.start()
    told: list[int] = []
    try:
        while len(told) < 500 or heard < 5000:
            for _ in range(20):
                buffer.push(bytes(2 * 37), str(len(told)), time.monotonic())
            playhead = buffer.clear()
            assert playhead is not None
            assert playhead.item_id == str(len(told))
            told.append(playhead.played_ms)
        buffer.push(bytes(2 * 5000), "last", time.monotonic())
        buffer.end()
        while not buffer.drained:
            time.sleep(0.001)
    finally:
        over.set()
        reader.join()
    assert heard == sum(told) + 5000


def test_reading_never_waits_for_a_flush() -> None:
    """A policy that takes its time to learn does not hold the audio thread up."""
    learning, release = threading.Event(), threading.Event()

    class Slow(Hold):
        def finish(self) -> None:
            learning.set()
            release.wait(20)

    device = Device(Slow())
    device.push(tone(100))
    device.play(20)
    flush = threading.Thread(target=device.buffer.clear)
    flush.start()
    try:
        assert learning.wait(20)
        assert not device.play(50)[FADE_OUT_MS * PER_MS :].any()
    finally:
        release.set()
        flush.join()


# -- with the delay that learns


def test_does_not_keep_what_neither_goes_on_nor_ends() -> None:
    device = Device(AdaptiveDelay())
    device.push(tone(20))
    device.play(7000)
    assert sum(device.real) == 20 * PER_MS
    assert device.buffer.stats.start_ms == pytest.approx(6000, abs=20)


def test_learns_from_reply_to_reply_through_the_buffer() -> None:
    delays = []
    device = Device(AdaptiveDelay())
    for _ in range(15):
        for index in range(60):
            device.push(np.zeros(100 * PER_MS))
            device.play(400 if index == 20 else 100, block_ms=20)
        device.buffer.end()
        while not device.buffer.drained:
            device.play(20)
        delays.append(device.buffer.stats.start_ms)
    assert delays[-1] > delays[0]
    device_gaps = device.buffer.stats.underruns
    assert device_gaps < 5
