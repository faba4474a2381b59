"""Playout of a track that never ends, on a virtual clock: it stays close behind what comes."""

import random

import numpy as np
import numpy.typing as npt

from voicecli.audio import Playhead
from voicecli.audio.playout.jitter_buffer import JitterBuffer
from voicecli.audio.playout.lasting_track import LIMIT_MS, MOST_MS, START_MS, Backlog, FixedDelay

RATE = 1000  # one sample per ms
Pcm = npt.NDArray[np.int16]


def loud(ms: int) -> bytes:
    return np.full(ms, 8000, np.int16).tobytes()


def quiet(ms: int) -> bytes:
    return np.full(ms, 20, np.int16).tobytes()


class Player:
    """A buffer, and a loudspeaker that takes a block from it each 10 ms."""

    def __init__(self) -> None:
        self.now = 0.0
        self.buffer = JitterBuffer(RATE, FixedDelay(), backlog=Backlog(RATE))

    def push(self, *audio: bytes) -> None:
        for each in audio:
            self.buffer.push(each, "item", self.now)

    def play(self, ms: int, block_ms: int = 10) -> Pcm:
        block = np.zeros(block_ms, np.int16)
        played = []
        for _ in range(ms // block_ms):
            self.buffer.read_into(block.data.cast("B"), self.now)
            played.append(block.copy())
            self.now += block_ms / 1000
        return np.concatenate(played) if played else np.zeros(0, np.int16)


def test_it_begins_soon_and_takes_as_much_jitter() -> None:
    player = Player()
    player.push(loud(100))
    first = player.play(100)
    assert not first[: int(START_MS)].any()
    assert first[int(START_MS) :].all()
    player.now += 0.07  # the next chunk is late by that: it plays on
    player.push(loud(100))
    assert player.buffer.stats.underruns == 0


def test_a_chunk_in_time_is_the_same_bytes() -> None:
    audio = loud(100)
    ((left_out, piece),) = Backlog(RATE).fit(audio, LIMIT_MS - 100)
    assert left_out == 0
    assert piece is audio


def test_after_a_stall_quiet_places_go_and_every_word_stays() -> None:
    player = Player()
    said = [loud(60), quiet(40)] * 4  # 400 ms at once
    player.push(b"".join(said))
    assert player.buffer.depth_ms == LIMIT_MS
    player.buffer.end()
    heard = player.play(600)
    assert int((heard > 1000).sum()) == 4 * 60
    assert player.buffer.stats.left_out_ms == 100


def test_words_are_left_out_only_when_far_too_many_wait() -> None:
    player = Player()
    player.push(*[loud(100)] * 20)
    assert MOST_MS <= player.buffer.depth_ms <= MOST_MS + 10
    player.play(700)
    player.push(loud(100))
    heard = player.play(200)
    assert np.abs(np.diff(heard[np.flatnonzero(heard)].astype(int))).max() < 4000, "no click where it goes on"


def test_a_pause_of_the_track_is_no_underrun_and_a_gap_in_a_word_is() -> None:
    player = Player()
    for last, underruns in ((quiet(100), 0), (loud(100), 1)):
        player.push(loud(100), last)
        player.play(500)
        player.push(loud(100))
        player.play(200)
        assert player.buffer.stats.underruns == underruns
        player.buffer.end()


def test_what_was_left_out_counts_as_heard() -> None:
    """The place in the item is that of the sound which is heard: the model's memory is cut there."""
    player = Player()
    player.push(loud(300), quiet(200), loud(100))
    player.play(80 + 300 + 50)
    assert player.buffer.playhead(player.now) == Playhead("item", 300 + 200 + 50)


def test_another_item_is_counted_from_its_own_beginning() -> None:
    player = Player()
    player.push(loud(300), quiet(200))
    player.buffer.push(loud(100), "next", player.now)
    player.play(80 + 300 + 40)
    assert player.buffer.playhead(player.now) == Playhead("next", 40)


def test_in_an_hour_the_delay_does_not_grow() -> None:
    """The server's clock is faster by 0.2 %, which is 7 s in an hour, and the network brings the track in bursts."""
    chance = random.Random(7)
    player = Player()
    waiting: list[bytes] = []
    depths = []
    behind = 0.0
    for _ in range(36_000):
        player.play(100, 50)
        behind += 0.2
        waiting.append(loud(80) + quiet(20))
        if behind >= 100:
            behind -= 100
            waiting.append(loud(80) + quiet(20))
        if chance.random() < 0.9:
            player.push(*waiting)
            waiting.clear()
        depths.append(player.buffer.depth_ms)
    assert max(depths) <= MOST_MS + 10
    tenth = len(depths) // 10
    assert np.mean(depths[-tenth:]) <= LIMIT_MS
    assert abs(np.mean(depths[-tenth:]) - np.mean(depths[tenth : 2 * tenth])) < 30
    assert player.buffer.stats.left_out_ms > 5000
