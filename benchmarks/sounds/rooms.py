"""Simulated rooms: impulse responses by image sources, and the figures that describe them, computed from those."""

import math
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
import soxr

from benchmarks.sounds.kept import Samples, kept

__all__ = ["BARE", "DRY", "HARD", "ORDINARY", "ROOMS", "Figures", "Room", "describe", "measure", "reverberate"]

_RATE = 48_000  # of the simulation; responses at other rates are resampled from it
_MAX_ORDER = 60  # of reflections: some 0.8 s in these rooms
_LEAD_S = 0.001  # before the direct sound in a response: the simulation's filters ring
_DIRECT_S = 0.0025  # after it: what counts as direct sound


@dataclass(frozen=True)
class Room:
    """A box with a microphone, a loudspeaker and a user.

    Attributes:
        size: length, width, height in metres; None for no room at all: sound arrives as it was made.
        reverberation_s: the RT60 that its walls are chosen for (Sabine), in seconds; `measure` tells what came of it.
        microphone, loudspeaker, user: positions in metres.
    """

    name: str
    size: tuple[float, float, float] | None = None
    reverberation_s: float = 0.0
    microphone: tuple[float, float, float] = (0.0, 0.0, 0.0)
    loudspeaker: tuple[float, float, float] = (0.0, 0.0, 0.0)
    user: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def echo(self, rate: int) -> Samples:
        """The impulse response from loudspeaker to microphone at a rate in Hz, without the time sound travels."""
        return self._response(self.loudspeaker, rate)

    def voice(self, rate: int) -> Samples:
        """The impulse response from user to microphone, as `echo`."""
        return self._response(self.user, rate)

    def _response(self, source: tuple[float, float, float], rate: int) -> Samples:
        if self.size is None:
            return np.ones(1, np.float32)
        key = f"room 3 {version('pyroomacoustics')} {self!r} {source} {rate}"
        return kept(key, lambda: self._simulated(source, rate))

    def _simulated(self, source: tuple[float, float, float], rate: int) -> Samples:
        import pyroomacoustics

        absorption, order = pyroomacoustics.inverse_sabine(self.reverberation_s, self.size)
        pyroomacoustics.random.seed(1)  # images are moved by up to 5 cm: in exact boxes they fall together and sing
        room = pyroomacoustics.ShoeBox(
            self.size,
            fs=_RATE,
            materials=pyroomacoustics.Material(absorption),
            max_order=min(order, _MAX_ORDER),
            use_rand_ism=True,
            max_rand_disp=0.05,
        )
        room.add_source(list(source))
        room.add_microphone(list(self.microphone))
        room.compute_rir()
        response = np.asarray(room.rir[0][0], np.float64)
        travel = math.dist(source, self.microphone) / pyroomacoustics.constants.get("c") * _RATE
        lag = pyroomacoustics.constants.get("frac_delay_length") // 2
        response = response[max(0, round(travel) + lag - round(_LEAD_S * _RATE)) :]
        resampled: Samples = soxr.resample(response / np.abs(response).max(), _RATE, rate, quality="VHQ")
        return resampled


# The loudspeaker beside the microphone, as in a laptop or on a desk; across a small room with hard walls; and one
# of tiles only.
DRY = Room("dry")
ORDINARY = Room("ordinary", (5.0, 4.0, 2.6), 0.35, (2.55, 2.1, 0.8), (2.2, 1.8, 0.8), (3.0, 2.3, 1.1))
HARD = Room("hard", (4.5, 3.5, 2.6), 0.6, (2.0, 1.6, 1.0), (3.3, 2.2, 1.1), (2.5, 2.0, 1.1))
BARE = Room("bare", (4.5, 3.5, 2.6), 0.8, (2.1, 1.7, 0.8), (1.0, 1.2, 0.9), (2.5, 2.0, 1.1))
ROOMS = {room.name: room for room in (DRY, ORDINARY, HARD, BARE)}


@dataclass(frozen=True)
class Figures:
    """Figures of an impulse response.

    Attributes:
        reverberation_s: RT60, three times the time from -5 to -25 dB of the decay (T20, ISO 3382), in seconds.
        direct_db: energy of the first 2.5 ms to the energy after them (direct-to-reverberant ratio), in dB.
    """

    reverberation_s: float
    direct_db: float


def measure(response: Samples, rate: int) -> Figures:
    """The figures of an impulse response at a rate in Hz."""
    energy = response.astype(np.float64) ** 2
    direct_end = round((_LEAD_S + _DIRECT_S) * rate)
    reverberant = float(energy[direct_end:].sum())
    if reverberant == 0:
        return Figures(0.0, float("inf"))
    decay_db = 10 * np.log10(np.cumsum(energy[::-1])[::-1] / energy.sum() + 1e-20)
    fall = int(np.argmax(decay_db < -25)) - int(np.argmax(decay_db < -5))
    return Figures(3 * fall / rate, 10 * float(np.log10(energy[:direct_end].sum() / reverberant)))


def describe(room: Room, rate: int) -> str:
    """A line that states the room's figures."""
    if room.size is None:
        return f"{room.name}: no room, the sound as it was played"
    echo, voice = measure(room.echo(rate), rate), measure(room.voice(rate), rate)
    size = " x ".join(f"{side:g}" for side in room.size)
    return (
        f"{room.name}: {size} m, RT60 {echo.reverberation_s:.2f} s, direct to reverberant sound "
        f"{echo.direct_db:+.1f} dB for the loudspeaker, {voice.direct_db:+.1f} dB for the user"
    )


def reverberate(samples: Samples, response: Samples) -> Samples:
    """The samples as they sound through an impulse response, as long as they are and at the same level (RMS)."""
    if response.size == 1:
        return samples.copy()
    size = 1 << (samples.size + response.size - 1).bit_length()
    spectrum = np.fft.rfft(samples, size) * np.fft.rfft(response, size)
    heard = np.fft.irfft(spectrum, size)[: samples.size]
    before, after = np.sqrt(np.mean(np.square(samples, dtype=np.float64))), np.sqrt(np.mean(heard**2))
    scaled: Samples = (heard * (before / after if after else 1.0)).astype(np.float32)
    return scaled
