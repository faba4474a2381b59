"""Cost of a network to a listener, and how much of it the jitter buffer takes away.

    python benchmarks/jitter.py [--seeds 10] [--first-seed 100] [--link FILE ...]

Replies are made up by seed, played through the real JitterBuffer under several delay policies, block by block on a
virtual clock. The networks differ from conversation to conversation as real ones do; played at once, they give about
3 gaps per minute (bursts), 15 to 25 (mobile) and 12 to 24 (near real time), by the seeds. With --link, replies come
over a recorded network instead.

Cost per reply: ms of added start + 2 x ms of silence within it + 150 per silence.
"""

import argparse
import math
import random
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from voicecli.audio.playout.jitter_buffer import JitterBuffer
from voicecli.audio.playout.playout_delay import GAP_COST_MS, GAP_COST_PER_MS, AdaptiveDelay, DelayPolicy

__all__ = ["POLICIES", "TRACES", "WIRE_KBIT_PER_S", "Played", "Reply", "over_link", "play", "recorded", "session"]

RATE = 1000  # one sample per ms: the buffer does not care, and the simulation is quick
BLOCK_MS = 10
_MOST_BLOCKS = 300
WIRE_KBIT_PER_S = 24_000 * 16 * 4 / 3 / 1000  # 24 kHz PCM16 in base64
PACKET_KBIT = 1500 * 8 / 1000

Link = npt.NDArray[np.float64]
"""What can have come over a link until each ms, in kbit."""


@dataclass(frozen=True)
class Reply:
    """A reply as it arrives, in ms from its first chunk.

    Attributes:
        chunks: when each came, and how much audio it held.
        complete_at: when the wire said that it was complete.
    """

    chunks: tuple[tuple[int, int], ...]
    complete_at: int

    @property
    def worst_lateness(self) -> int:
        """Held back for so long, it has no gap; holding it back for less costs more."""
        audio = latest = 0
        for at, length in self.chunks:
            latest = max(latest, at - audio)
            audio += length
        return latest


def _length(random: random.Random) -> int:
    return round(min(25_000, max(600, random.lognormvariate(math.log(5500), 0.8))))


def _deliver(
    *,
    made: Sequence[tuple[float, int]],
    jitter: Callable[[], float],
    kbit_per_s: float,
    outages: Sequence[tuple[float, float]] = (),
) -> Reply:
    """Send what was made (when, how long) over a stream: nothing is lost, nothing overtakes."""
    link_free = 0.0
    arrived: list[tuple[float, int]] = []
    last = 0.0
    for at, length in made:
        link_free = max(link_free, at) + length * WIRE_KBIT_PER_S / kbit_per_s
        when = link_free + jitter()
        for begin, end in outages:
            if begin <= when < end:
                when = end
        last = max(last, when)
        arrived.append((last, length))
    return _reply(arrived)


def _reply(arrived: Sequence[tuple[float, int]]) -> Reply:
    first = arrived[0][0]
    chunks = tuple((round(at - first), length) for at, length in arrived)
    return Reply(chunks, chunks[-1][0] + 1)


def _chunks(total: int, chunk: int) -> list[int]:
    return [min(chunk, total - at) for at in range(0, total, chunk)]


def _steady(random: random.Random, chunk: int, speed: float, unevenness: float = 0.15) -> list[tuple[float, int]]:
    """Speech made `speed` times as fast as it is spoken."""
    at = 0.0
    made = []
    for length in _chunks(_length(random), chunk):
        at += length / speed * random.lognormvariate(0, unevenness)
        made.append((at, length))
    return made


def fast(random: random.Random, replies: int) -> Iterator[Reply]:
    """A good line to a fast provider."""
    chunk, speed = random.choice((50, 100, 200)), random.uniform(3, 10)
    for _ in range(replies):
        made = _steady(random, chunk, speed)
        yield _deliver(made=made, jitter=lambda: random.expovariate(1 / 2), kbit_per_s=50_000)


def bursty(random: random.Random, replies: int) -> Iterator[Reply]:
    """Speech made phrase by phrase: a burst, then a pause while the next is thought of."""
    chunk, speed = random.choice((40, 100)), random.uniform(3, 6)
    pause = random.uniform(0.3, 0.55)  # as a share of the burst's length
    for _ in range(replies):
        made: list[tuple[float, int]] = []
        at = burst_left = 0.0
        for length in _chunks(_length(random), chunk):
            if burst_left <= 0:
                burst = random.uniform(300, 1500)
                at += (burst * pause * random.lognormvariate(0, 0.45)) if made else 0
                burst_left = burst
            burst_left -= length
            at += length / speed
            made.append((at, length))
        yield _deliver(made=made, jitter=lambda: random.expovariate(1 / 15), kbit_per_s=8000)


def mobile(random: random.Random, replies: int) -> Iterator[Reply]:
    """A weak mobile network: bandwidth that comes and goes, silences of the link, handovers between cells.

    Made after recordings. Bandwidth: downloads on Oslo's trams, 34 journeys by 3G (Riiser and others, "Commute path
    bandwidth traces from 3G networks", 2013; 1 s each): around 1 Mbit/s, from journey to journey with a standard
    deviation of 0.27 in its logarithm, within one of 0.42, correlated by 0.8 from one second to the next. On
    top of that, silences of more than 100 ms: links saturated in driving cars (Winstein and others, "Stochastic
    forecasts achieve high throughput and low delay over cellular networks", 2013): 10 to 15 a minute, 3 to 5 of them
    over 500 ms, 1 to 2 over a second.
    """
    yield from over_link(_mobile_link(random), random, replies)


def _mobile_link(random: random.Random, minutes: int = 10) -> Link:
    step_ms = 200
    kept = 0.8 ** (step_ms / 1000)
    level, swing = math.log(1070) + random.gauss(0, 0.27), random.gauss(0, 0.42)
    steps = []
    for _ in range(minutes * 60_000 // step_ms):
        steps.append(math.exp(level + swing) / 1000)  # kbit in a ms
        swing = kept * swing + math.sqrt(1 - kept**2) * random.gauss(0, 0.42)
    link = np.repeat(steps, step_ms)
    silences_per_s = random.lognormvariate(math.log(12 / 60), 0.5)
    at = 0.0
    while (at := at + random.expovariate(silences_per_s / 1000)) < len(link):
        end = at + 100 + random.expovariate(1 / 380)
        link[round(at) : round(end)] = 0.0
        at = end
    return link.cumsum()


def recorded(path: Path) -> Link:
    """A recording of a link in Mahimahi's format, a line for each 1500 bytes that came: when, in ms."""
    return (np.bincount(np.loadtxt(path, dtype=np.int64)) * PACKET_KBIT).cumsum()


def over_link(link: Link, random: random.Random, replies: int) -> Iterator[Reply]:
    """Speech made three times as fast as it is spoken, as it comes over a link, from anywhere in it and on.

    Behind the link's end is its beginning.
    """
    chunk, shake = random.choice((40, 100)), random.lognormvariate(math.log(20), 0.5)
    now = random.randrange(len(link))
    for _ in range(replies):
        now += round(random.uniform(3000, 9000))  # somebody thinks and speaks
        used, arrived, last = 0.0, list[tuple[float, int]](), 0.0
        for at, length in _steady(random, chunk, 3.0):
            used = max(used, _until(link, now + round(at))) + length * WIRE_KBIT_PER_S / 1000
            last = max(last, _when(link, used) - now + random.gammavariate(1.5, shake / 1.5))
            arrived.append((last, length))
        yield _reply(arrived)
        now += round(last)


def _until(link: Link, ms: int) -> float:
    """What can have come until then, in kbit."""
    times, rest = divmod(ms, len(link))
    return float(times * link[-1] + link[rest])


def _when(link: Link, kbit: float) -> int:
    """The ms at which so much can have come."""
    times, rest = divmod(kbit, float(link[-1]))
    return int(times) * len(link) + int(link.searchsorted(rest))


def near_realtime(random: random.Random, replies: int) -> Iterator[Reply]:
    """Speech made sentence by sentence, hardly faster than it is spoken: the engine takes breath for each."""
    chunk, speed, uneven = random.choice((60, 80, 120)), random.uniform(1.05, 1.2), random.uniform(0.05, 0.25)
    breath = random.uniform(50, 450)
    for _ in range(replies):
        late, sentence_left = 0.0, 0.0
        made = []
        for at, length in _steady(random, chunk, speed * random.lognormvariate(0, 0.02), uneven):
            if sentence_left <= 0:
                sentence_left = random.uniform(1500, 4500)
                late += breath * random.lognormvariate(0, 0.2)
            sentence_left -= length
            made.append((at + late, length))
        yield _deliver(made=made, jitter=lambda: random.gammavariate(1.5, 8), kbit_per_s=8000)


def stalls(random: random.Random, replies: int) -> Iterator[Reply]:
    """A fair line that now and then delivers nothing for 1.5 to 5 s."""
    chunk, speed = random.choice((50, 100)), random.uniform(1.4, 2.5)
    for _ in range(replies):
        made = _steady(random, chunk, speed)
        outages = []
        if random.random() < 0.35:
            begin = random.uniform(0, made[-1][0])
            outages = [(begin, begin + random.uniform(1500, 5000))]
        yield _deliver(
            made=made,
            jitter=lambda: random.gammavariate(1.5, 10),
            kbit_per_s=4000,
            outages=outages,
        )


def reconnect(random: random.Random, replies: int) -> Iterator[Reply]:
    """A connection that breaks in the middle of some replies; the rest is made once it is back."""
    chunk, speed = random.choice((50, 100)), random.uniform(1.3, 2.2)
    for _ in range(replies):
        made = _steady(random, chunk, speed)
        if random.random() < 0.35:
            begin = random.uniform(0, made[-1][0])
            away = random.uniform(500, 2500)
            made = [(at + away if at > begin else at, length) for at, length in made]
        yield _deliver(made=made, jitter=lambda: random.gammavariate(1.5, 10), kbit_per_s=4000)


TRACES: dict[str, Callable[[random.Random, int], Iterator[Reply]]] = {
    "fast": fast,
    "bursts": bursty,
    "mobile": mobile,
    "near real time": near_realtime,
    "stalls": stalls,
    "reconnect": reconnect,
}


class AtOnce:
    """Plays whatever is there."""

    def begin(self) -> None:
        self.at = 0.0

    def arrived(self, at_ms: float, audio_ms: float) -> None:
        self.at = at_ms

    def delay_ms(self, waiting_ms: float, underruns: int) -> float:
        return 0.0

    def finish(self) -> None:
        pass


class Fixed(AtOnce):
    """Waits until so many ms of audio are there."""

    def __init__(self, target_ms: float) -> None:
        self.target_ms = target_ms

    def delay_ms(self, waiting_ms: float, underruns: int) -> float:
        return 0.0 if waiting_ms >= self.target_ms else math.inf


class NetEqLike(Fixed):
    """As WebRTC's NetEq chooses its delay: the 95% quantile of a histogram of packets' delays, that forgets.

    A packet's delay is relative to the quickest of the last two seconds.
    """

    BIN_MS, BINS, QUANTILE, FORGET = 20, 100, 0.95, 0.983

    def __init__(self) -> None:
        super().__init__(80.0)
        self.histogram = [0.0] * self.BINS
        self.seen = 0

    def begin(self) -> None:
        super().begin()
        self.audio = 0.0
        self.window: list[tuple[float, float]] = []

    def arrived(self, at_ms: float, audio_ms: float) -> None:
        transit = at_ms - self.audio
        self.audio += audio_ms
        self.window = [(at, seen) for at, seen in self.window if at > at_ms - 2000] + [(at_ms, transit)]
        late = transit - min(seen for _, seen in self.window)
        self.seen += 1
        forget = min(self.FORGET, 1 - 1 / self.seen)  # NetEq too forgets faster at first
        self.histogram = [share * forget for share in self.histogram]
        self.histogram[min(self.BINS - 1, int(late / self.BIN_MS))] += 1 - forget
        if self.seen > 10:
            total, index = 0.0, 0
            while index < self.BINS - 1 and total + self.histogram[index] < self.QUANTILE:
                total += self.histogram[index]
                index += 1
            self.target_ms = (index + 1) * self.BIN_MS


class Oracle(AtOnce):
    """Knows the reply: holds it back for its worst lateness, which costs the least there is."""

    worst_lateness = 0

    def delay_ms(self, waiting_ms: float, underruns: int) -> float:
        return self.worst_lateness - self.at


@dataclass(frozen=True)
class Played:
    """How a reply was heard."""

    start_ms: float
    gap_ms: float
    gaps: int
    audio_ms: int

    @property
    def cost(self) -> float:
        return self.start_ms + GAP_COST_PER_MS * self.gap_ms + GAP_COST_MS * self.gaps


def play(reply: Reply, buffer: JitterBuffer, policy: DelayPolicy, begin_ms: int) -> tuple[Played, int]:
    """Play one reply through the buffer; says how it was heard, and when it was over."""
    if isinstance(policy, Oracle):
        policy.worst_lateness = reply.worst_lateness
    before = buffer.stats
    room = memoryview(bytearray(2 * BLOCK_MS * _MOST_BLOCKS))
    zeros = bytes(2 * 2000)
    now, index, ended = begin_ms, 0, False
    waiting, blocks = 0, 1
    first = begin_ms + BLOCK_MS // 2  # halfway between two blocks: on average, that is where a chunk comes
    while not ended or not buffer.drained:
        while index < len(reply.chunks) and first + reply.chunks[index][0] <= now:
            at, length = reply.chunks[index]
            buffer.push(zeros[: 2 * length], "item", (first + at) / 1000)
            waiting += length
            index += 1
        if not ended and index == len(reply.chunks) and first + reply.complete_at <= now:
            buffer.end()
            ended = True
        heard = buffer.read_into(room[: 2 * BLOCK_MS * blocks], now / 1000)
        now += BLOCK_MS * blocks
        waiting -= heard
        # Blocks between which nothing comes, and which have their audio, are one: as with each alone, and sooner.
        upcoming = reply.chunks[index][0] if index < len(reply.chunks) else math.inf if ended else reply.complete_at
        until = min(_MOST_BLOCKS, (first + upcoming - now - 1) // BLOCK_MS + 1, (waiting - 1) // BLOCK_MS)
        blocks = max(1, int(until)) if heard else 1
    after = buffer.stats
    audio = sum(length for _, length in reply.chunks)
    return Played(after.start_ms, after.gap_ms - before.gap_ms, after.underruns - before.underruns, audio), now


POLICIES: dict[str, Callable[[], DelayPolicy]] = {
    "at once": AtOnce,
    "fixed 120": lambda: Fixed(120),
    "fixed 200": lambda: Fixed(200),
    "NetEq-like": NetEqLike,
    "ours": AdaptiveDelay,
    "oracle": Oracle,
}


def session(trace: str, policy: str, seed: int, replies: int = 25) -> list[Played]:
    """A conversation of so many replies."""
    delay_policy = POLICIES[policy]()
    buffer = JitterBuffer(RATE, delay_policy)
    now, heard = 0, []
    for reply in TRACES[trace](random.Random(f"{trace} {seed}"), replies):
        played, now = play(reply, buffer, delay_policy, now)
        heard.append(played)
    return heard


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare delay policies on made-up networks.")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=100)
    parser.add_argument("--replies", type=int, default=25)
    parser.add_argument("--link", type=Path, nargs="+", help="a recorded link, in Mahimahi's format")
    arguments = parser.parse_args()
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    show = sys.stdout.write
    for path in arguments.link or ():
        TRACES[path.name] = partial(over_link, recorded(path))
    for trace in [path.name for path in arguments.link or ()] or TRACES:
        show(f"{trace:15} cost       start mean/p50   gap ms  gaps/min\n")
        for policy in POLICIES:
            heard = [reply for seed in seeds for reply in session(trace, policy, seed, arguments.replies)]
            minutes = sum(reply.audio_ms for reply in heard) / 60_000
            starts = [reply.start_ms for reply in heard]
            show(
                f"  {policy:12} {statistics.mean(r.cost for r in heard):9.0f}"
                f" {statistics.mean(starts):9.0f} {statistics.median(starts):6.0f}"
                f" {statistics.mean(r.gap_ms for r in heard):8.0f} {sum(r.gaps for r in heard) / minutes:9.2f}\n"
            )


if __name__ == "__main__":
    main()
