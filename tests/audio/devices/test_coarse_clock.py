"""The clock of Windows up to Python 3.12, which ticks every 15.6 ms: what is measured of sound takes another."""

import asyncio
import itertools
import math
import time

import pytest

from tests.audio.devices.fake_portaudio import RATE, FakePortAudio
from tests.support.virtual_time import virtual_time
from voicecli.audio.devices.microphone import Microphone
from voicecli.audio.devices.speaker import Speaker
from voicecli.cli.devices import Recording

TICK_S = 0.0156


@pytest.fixture
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """`time.monotonic` ticks, `time.perf_counter` does not; both by the loop's virtual time."""

    def now() -> float:
        return asyncio.get_running_loop().time()

    monkeypatch.setattr(time, "monotonic", lambda: math.floor(now() / TICK_S) * TICK_S)
    monkeypatch.setattr(time, "perf_counter", now)


@pytest.mark.usefixtures("coarse")
@virtual_time
async def test_the_listeners_place_goes_on_between_two_ticks(portaudio: FakePortAudio) -> None:
    speaker = Speaker(RATE)
    await speaker.open()
    speaker.write(bytes(RATE * 2), "item")
    speaker.end()
    async with portaudio.flowing(every_s=0.01):
        await asyncio.sleep(0.5)
        places = []
        for _ in range(40):
            await asyncio.sleep(0.002)
            playhead = speaker.playhead
            assert playhead is not None
            places.append(playhead.played_ms)
    steps = [after - before for before, after in itertools.pairwise(places)]
    assert max(steps) <= 4, "not by the ticks of the clock"
    assert sum(steps) == pytest.approx(78, abs=4)
    await speaker.aclose()


@pytest.mark.usefixtures("coarse")
@virtual_time
async def test_the_beginning_of_a_recording_is_known_to_the_millisecond(portaudio: FakePortAudio) -> None:
    """By which `voice test-audio` measures the round trip."""
    microphone = Microphone(RATE)
    recording = Recording(microphone)
    await asyncio.sleep(0.007)
    began = asyncio.get_running_loop().time()
    listening = asyncio.create_task(recording.listen())
    async with portaudio.flowing(every_s=0.01):
        await recording.after(0, 0.5)
        await microphone.aclose()
        await listening
    assert recording.begun == pytest.approx(began, abs=0.012)
    assert recording.begun > began - 0.0201


@pytest.mark.usefixtures("coarse")
@virtual_time
async def test_sound_that_was_lost_before_a_mark_is_no_time_after_it(portaudio: FakePortAudio) -> None:
    """A busy machine loses some while the user speaks; the round trip that was measured then was -620 ms."""
    microphone = Microphone(RATE)
    recording = Recording(microphone)
    listening = asyncio.create_task(recording.listen())
    async with portaudio.flowing(every_s=0.01):
        await recording.after(0, 0.5)
    await asyncio.sleep(0.3)
    async with portaudio.flowing(every_s=0.01):
        place = recording.mark()
        now = asyncio.get_running_loop().time()
        await recording.after(place, 0.5)
        await microphone.aclose()
        await listening
    assert recording.begun + place / 2 / RATE == pytest.approx(now, abs=0.0201)
