"""Echo control: is the user noticed who speaks into the reply, and nobody else?

Echo control as it was (livekit's canceller, digital zeros) and as it is, in one run, over simulated rooms. Turns are
found with the default settings: by silero, or where that is not installed by webrtcvad. A voice counts as noticed when
that is within 600 ms of its beginning. What pauses a reply and what would cut it is told apart: a reply is cut by a
turn, as a session decides it, with turns found here (client) and by silero in the provider's place (server).
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from benchmarks.hearing.echo_judges import Found, cut_replies, find
from benchmarks.hearing.echo_streams import SPEECH_DBFS, Scene, assistant, reader, scene
from benchmarks.hearing.echo_variants import Variant, available
from benchmarks.sounds.levels import at_speech_level, pcm16, rms_db
from benchmarks.sounds.noise import NOISES
from benchmarks.sounds.rooms import BARE, HARD, ORDINARY, ROOMS, Room, describe
from voicecli.audio.echo.webrtc import WebRTCProcessing
from voicecli.audio.pcm import level, resample_pcm16
from voicecli.audio.ports import EchoControl
from voicecli.audio.vad_engines import has_silero
from voicecli.config import VADMode

__all__ = ["add_arguments", "run"]

RATE = 16_000
NOTICED_S = 0.6
BLOCK_MS = 10
ROOM_NAMES = (ORDINARY.name, HARD.name, BARE.name)
PARTS = ("interruptions", "self-talk", "noise", "jumps", "first-second", "rates", "processor")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--part", choices=PARTS, action="append", help="only this; may be repeated")
    parser.add_argument("--room", choices=ROOM_NAMES, action="append", help="only in this; may be repeated")
    parser.add_argument("--minutes", type=float, default=6.0, help="of self-talk in each room")
    parser.add_argument("--interruptions", type=int, default=126, help="in each row, about so many")


def run(options: argparse.Namespace) -> None:
    parts = options.part or PARTS
    variants = available()
    print(f"Turns are found by {'silero' if has_silero() else 'webrtcvad (silero is not installed)'}.")
    rooms = [ROOMS[name] for name in options.room or ROOM_NAMES]
    for room in rooms:
        print(describe(room, RATE))
    if "interruptions" in parts:
        interruptions(variants, [room for room in rooms if room is not BARE], options.interruptions)
    if "self-talk" in parts:
        self_talk(variants, rooms, options.minutes * 60)
    if "noise" in parts:
        noise(variants)
    if "jumps" in parts:
        jumps(variants)
    if "first-second" in parts:
        first_second(variants)
    if "rates" in parts:
        rates(variants)
    if "processor" in parts:
        processor(variants)


# -- the two streams through echo control


def _blocks(audio: bytes, rate: int, ms: int = BLOCK_MS) -> Iterator[bytes]:
    # Whole samples, of which a block of 22 050 Hz has now 220, now 221.
    count = len(audio) // 2 * 1000 // rate // ms
    return (audio[index * ms * rate // 1000 * 2 : (index + 1) * ms * rate // 1000 * 2] for index in range(count))


def cleaned(control: EchoControl, each: Scene, render_rate: int = RATE, rate: int = RATE) -> bytes:
    """The captured stream after echo control, both streams in blocks of 10 ms."""
    rendered = resample_pcm16(pcm16(each.rendered), rate, render_rate)
    left = []
    for played, heard in zip(_blocks(rendered, render_rate), _blocks(pcm16(each.captured), rate), strict=False):
        control.render(played)
        left.append(control.capture(heard))
    return b"".join(left)


# -- interruptions


@dataclass
class Noticed:
    """Interruptions, and when they were noticed: `delays` in seconds, of those within the limit."""

    said: int = 0
    delays: list[float] = field(default_factory=list)

    def add(self, found: Found, onsets: Iterable[float]) -> None:
        for onset in onsets:
            self.said += 1
            delay = next((at - onset for at in found.suspected if at >= onset), NOTICED_S + 1)
            if delay <= NOTICED_S:
                self.delays.append(delay)

    def __str__(self) -> str:
        median = f"{statistics.median(self.delays) * 1000:4.0f} ms" if self.delays else "   -   "
        return f"{len(self.delays):4}/{self.said} = {len(self.delays) / self.said:6.1%}, median {median}"


def interruptions(variants: dict[str, Variant], rooms: list[Room], wanted: int) -> None:
    variants = {name: variant for name, variant in variants.items() if name != "before, faint noise"}
    print("\nInterruptions noticed within 600 ms; echo against the user; 60, 120 and 200 ms; rapid speech and a reader")
    for room in rooms:
        seconds = wanted / 6 * 4.6 + 7
        played = (assistant(seconds, RATE, rapid=True), reader(seconds, RATE))
        for gain_db in (0.0, -6.0, -12.0):
            results = {name: Noticed() for name in variants}
            for sound in played:
                for delay_ms in (60, 120, 200):
                    each = scene(sound, room, RATE, delay_ms=delay_ms, gain_db=gain_db, interrupted=True)
                    for name, variant in variants.items():
                        found = find(cleaned(variant(RATE, RATE), each), RATE)
                        results[name].add(found, each.onsets)
            for name, noticed in results.items():
                print(f"  {room.name:<9}{gain_db:4.0f} dB  {name:<20}{noticed}", flush=True)


# -- self-talk


def self_talk(variants: dict[str, Variant], rooms: list[Room], seconds: float) -> None:
    print(f"\nThe assistant's own voice, {seconds / 60:g} min, 0 dB, 120 ms: voices where nobody spoke; replies cut")
    for room in rooms:
        each = scene(assistant(seconds, RATE), room, RATE, delay_ms=120)
        for name, variant in variants.items():
            if name == "none":
                continue
            _print_false(f"{room.name:<9}{name:<20}", cleaned(variant(RATE, RATE), each))


def _print_false(what: str, left: bytes, rate: int = RATE) -> None:
    found = find(left, rate)
    cut = f"{len(cut_replies(left, rate, VADMode.CLIENT))} (client)"
    if has_silero():
        cut += f", {len(cut_replies(left, rate, VADMode.SERVER))} (server)"
    print(f"  {what}{len(found.suspected):4} false, cut: {cut}", flush=True)


# -- noise beside a reply


def noise(variants: dict[str, Variant]) -> None:
    print(
        "\nTwo minutes of self-talk in the ordinary room, -6 dB, 120 ms, beside noise; voices where nobody spoke to it"
    )
    alone = scene(assistant(120.0, RATE), ORDINARY, RATE, delay_ms=120, gain_db=-6.0)
    for kind, make in NOISES.items():
        for snr_db in (20, 10):
            made = at_speech_level(make(120.0, RATE), RATE, SPEECH_DBFS - snr_db)
            each = Scene(alone.rendered, alone.captured + np.resize(made, alone.captured.size))
            for name, variant in variants.items():
                if name != "none":
                    _print_false(f"{kind} at {snr_db} dB".ljust(16) + f"{name:<20}", cleaned(variant(RATE, RATE), each))


# -- jumps and late references


def jumps(variants: dict[str, Variant]) -> None:
    print("\nTwo minutes of self-talk in the ordinary room, 0 dB, 120 ms, while devices misbehave")
    each = scene(assistant(120.0, RATE), ORDINARY, RATE, delay_ms=120)
    kinds: dict[str, Callable[[EchoControl, Scene], bytes]] = {
        "a block lost every 20 s, told": lambda control, given: _losing(control, given, 10, told=True),
        "20 ms lost every 20 s, not told": lambda control, given: _losing(control, given, 20),
        "100 ms lost every 20 s, not told": lambda control, given: _losing(control, given, 100),
        "100 ms sooner, later every 20 s": _moving,
        "reference 40 ms late": lambda control, given: _late(control, given, 40),
        "calls in bunches of 100 and 60 ms": _bunched,
    }
    for what, distort in kinds.items():
        for name, variant in variants.items():
            if name != "none":
                _print_false(f"{what:<36}{name:<20}", distort(variant(RATE, RATE), each))


def _losing(control: EchoControl, each: Scene, lost_ms: int, *, told: bool = False) -> bytes:
    """The loudspeaker's device skips: some of what it was given is not heard, and it asks for as much at once."""
    left, period = [], 20_000 // BLOCK_MS
    rendered, captured = list(_blocks(pcm16(each.rendered), RATE)), list(_blocks(pcm16(each.captured), RATE))
    lost = lost_ms // BLOCK_MS
    index = ahead = 0
    while index + ahead < len(captured):
        control.render(rendered[index + ahead])
        if index % period == period // 2:
            ahead += lost
            control.render(b"".join(rendered[index + ahead - lost + 1 : index + ahead + 1]))
            if told:
                control.discontinuity()
        if index + ahead < len(captured):
            left.append(control.capture(captured[index + ahead]))
        index += 1
    return b"".join(left)


def _moving(control: EchoControl, each: Scene) -> bytes:
    """The echo comes 100 ms sooner, and 20 s later as before, and so on: a device changes its latency."""
    left, half_s = [], 20
    captured = pcm16(each.captured)
    sooner = captured[RATE // 10 * 2 :] + captured[: RATE // 10 * 2]
    for index, played in enumerate(_blocks(pcm16(each.rendered), RATE)):
        heard = sooner if index * BLOCK_MS // 1000 % (2 * half_s) >= half_s else captured
        control.render(played)
        at = index * BLOCK_MS * RATE // 1000 * 2
        left.append(control.capture(heard[at : at + BLOCK_MS * RATE // 1000 * 2]))
    return b"".join(left)


def _late(control: EchoControl, each: Scene, late_ms: int) -> bytes:
    """What is played is told so late; its echo comes 120 ms after it all the same."""
    left: list[bytes] = []
    waiting: list[bytes] = []
    for played, heard in zip(_blocks(pcm16(each.rendered), RATE), _blocks(pcm16(each.captured), RATE), strict=False):
        waiting.append(played)
        if len(waiting) > late_ms // BLOCK_MS:
            control.render(waiting.pop(0))
        left.append(control.capture(heard))
    return b"".join(left)


def _bunched(control: EchoControl, each: Scene) -> bytes:
    left = []
    rendered, captured = list(_blocks(pcm16(each.rendered), RATE)), list(_blocks(pcm16(each.captured), RATE))
    for index in range(len(captured)):
        if index % 10 == 9:
            control.render(b"".join(rendered[index - 9 : index + 1]))
        if index % 6 == 5:
            left.append(control.capture(b"".join(captured[index - 5 : index + 1])))
    return b"".join(left)


# -- the first second after a device was opened


def first_second(variants: dict[str, Variant]) -> None:
    print("\nThe first second after the devices were opened, 20 times")
    talk = assistant(120.0, RATE)
    for room in (ORDINARY, HARD):
        for name, variant in variants.items():
            false, cut = 0, 0
            for number in range(20):
                begin = number * 5 * RATE
                each = scene(talk[begin : begin + 3 * RATE], room, RATE, delay_ms=60 + 7 * number)
                found = find(cleaned(variant(RATE, RATE), each), RATE)
                false, cut = false + len(found.suspected), cut + len(found.turns)
            print(f"  {room.name:<9}{name:<20}a reply at once: {false:3} false, {cut} of them turns", flush=True)
    for name, variant in variants.items():
        noticed = Noticed()
        for begin_s in range(20):
            whole = scene(0 * talk, ORDINARY, RATE, delay_ms=60, interrupted=True)
            onset = whole.onsets[begin_s]
            part = slice(round((onset - 0.05) * RATE), round((onset + 1.5) * RATE))
            found = find(cleaned(variant(RATE, RATE), Scene(whole.rendered[part], whole.captured[part])), RATE)
            noticed.add(found, [0.05])
        print(f"           {name:<20}the user at once, no reply: {noticed}", flush=True)


# -- rates


def rates(variants: dict[str, Variant]) -> None:
    print("\nRates of capture and render stream; ordinary room, -6 dB, 120 ms, 100 s")
    for rate, render_rate in ((16_000, 16_000), (16_000, 24_000), (16_000, 22_050), (24_000, 24_000), (48_000, 48_000),
                              (22_050, 22_050)):  # fmt: skip
        played = assistant(100.0, rate)
        alone = scene(played, ORDINARY, rate, delay_ms=120, gain_db=-6.0)
        crossed = scene(played, ORDINARY, rate, delay_ms=120, gain_db=-6.0, interrupted=True)
        for name, variant in variants.items():
            if name.startswith("before"):
                continue
            left = cleaned(variant(rate, render_rate), alone, render_rate, rate)
            noticed = Noticed()
            noticed.add(find(cleaned(variant(rate, render_rate), crossed, render_rate, rate), rate), crossed.onsets)
            false = len(find(left, rate).suspected)
            loss = rms_db(alone.captured[3 * rate :]) - level(left[3 * rate * 2 :])
            pair = f"{rate} / {render_rate}"
            print(f"  {pair:<16}{name:<8}echo {loss:5.1f} dB softer, {false:3} false, {noticed}", flush=True)


# -- processor


def processor(variants: dict[str, Variant]) -> None:
    print("\nProcessor time, ms for a second of both streams; the median of 5 rounds, in turns")
    each = {rate: scene(assistant(10.0, rate), ORDINARY, rate, delay_ms=120) for rate in (16_000, 24_000)}
    pairs = ((16_000, 16_000), (16_000, 24_000), (24_000, 24_000))
    used: dict[tuple[str, int, int], list[float]] = {}
    bare: list[float] = []
    for _ in range(5):
        bare.append(_timed(lambda: _canceller_alone(each[16_000]), 10.0))
        for name, variant in variants.items():
            for rate, render_rate in pairs:
                control = variant(rate, render_rate)
                spent = _timed(lambda c=control, r=render_rate, s=rate: cleaned(c, each[s], r, s), 10.0)  # type: ignore[misc]
                used.setdefault((name, rate, render_rate), []).append(spent)
    print(f"  WebRTC alone, 16000 Hz{'':<18}{statistics.median(bare):6.1f}")
    for (name, rate, render_rate), spent_each in used.items():
        print(f"  {name:<20}{f'{rate} / {render_rate}':<20}{statistics.median(spent_each):6.1f}")


def _canceller_alone(each: Scene) -> None:
    processing = WebRTCProcessing(RATE)
    for played, heard in zip(_blocks(pcm16(each.rendered), RATE), _blocks(pcm16(each.captured), RATE), strict=False):
        processing.process(played, heard)


def _timed(work: Callable[[], object], seconds: float) -> float:
    begun = time.process_time()
    work()
    return (time.process_time() - begun) * 1000 / seconds
