"""Microphone and loudspeaker over the real path: sounddevice, PortAudio, ALSA, a sound server without a sound card."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import pytest

from tests.audio.devices.notices import Notices
from tests.live.live_talk import sound_ms
from tests.virtual_audio import Recording, SoundServer, wait_until
from voicecli.audio import Playhead, resample_pcm16
from voicecli.audio.devices.listing import list_devices
from voicecli.audio.devices.microphone import Microphone
from voicecli.audio.devices.speaker import Speaker
from voicecli.audio.echo.control import NoEchoControl, make_echo_control
from voicecli.audio.pcm import level
from voicecli.audio.playout.declick import FADE_OUT_MS
from voicecli.errors import AudioDeviceError

pytest_plugins = ["tests.virtual_audio.fixture"]

RATE = 24_000
Samples = npt.NDArray[np.float64]
Endpoint = TypeVar("Endpoint", Microphone, Speaker)


def sound(seconds: float, seed: int = 0) -> bytes:
    """Noise up to 5 kHz: what every rate on the way can carry, and unlike itself at every other moment."""
    random = np.random.default_rng(seed)
    spectrum = np.fft.rfft(random.standard_normal(round(seconds * RATE)))
    spectrum[round(5_000 * seconds) :] = 0
    noise = np.fft.irfft(spectrum, round(seconds * RATE))
    pcm: npt.NDArray[np.int16] = (noise / np.abs(noise).max() * 12_000).astype(np.int16)
    return pcm.tobytes()


def samples(audio: bytes) -> Samples:
    return np.frombuffer(audio, np.int16).astype(np.float64)


def find(recording: bytes, original: bytes) -> int:
    """The place in the recording where the original begins, in samples."""
    size = 1 << (len(recording) + len(original)).bit_length()
    spectrum = np.fft.rfft(samples(recording), size) * np.conj(np.fft.rfft(samples(original), size))
    return int(np.fft.irfft(spectrum, size)[: len(recording) // 2].argmax())


def fidelity(recording: bytes, original: bytes, begin: int) -> float:
    """Agreement from there on, in dB, in the worst tenth of a second; below 15 where samples are missing."""
    original_samples, recorded = samples(original), samples(recording)[begin : begin + len(original) // 2]
    assert recorded.size == original_samples.size, "the recording ends before the sound does"
    step = RATE // 10
    worst = 100.0
    for start in range(0, original_samples.size - step + 1, step):
        span = slice(start, start + step)
        # The sound server's clock does not tick with our samples: shift by parts of one.
        shifted = np.stack([np.roll(original_samples, shift)[span] for shift in range(-8, 9)], axis=1)
        weights = np.linalg.lstsq(shifted, recorded[span], rcond=None)[0]
        error = recorded[span] - shifted @ weights
        worst = min(worst, 10 * np.log10((np.mean(recorded[span] ** 2) + 1e-9) / (np.mean(error**2) + 1e-3)))
    return worst


class Closing(Protocol):
    """Has what it is given closed when the test is over."""

    def __call__(self, endpoint: Endpoint) -> Endpoint: ...


@pytest.fixture
async def closing() -> AsyncIterator[Closing]:
    endpoints: list[Microphone | Speaker] = []

    def keep(endpoint: Endpoint) -> Endpoint:
        endpoints.append(endpoint)
        return endpoint

    yield keep
    for endpoint in endpoints:
        await endpoint.aclose()


async def eventually(condition: Callable[[], bool], what: str, timeout_s: float = 10.0) -> None:
    await asyncio.to_thread(wait_until, condition, what, timeout_s)


async def recorded_whole(recording: Recording) -> bytes:
    """What was recorded, when the recorder has come to the silence behind it: it is late on a busy machine."""
    await asyncio.sleep(0.1)
    await eventually(lambda: sound_ms(recording.audio[-RATE // 5 * 2 :]) == 0, "the recorder has recorded all")
    return recording.audio


async def read(microphone: Microphone, seconds: float) -> bytes:
    audio = b""
    async with asyncio.timeout(seconds + 10):
        async for chunk in microphone:
            audio += chunk
            if len(audio) >= seconds * microphone.sample_rate * 2:
                break
    return audio


# -- what is played is heard, what is said is recorded


@pytest.mark.usefixtures("patient")
async def test_every_sample_written_is_heard_once(sound_server: SoundServer, closing: Closing) -> None:
    heard: list[float] = []
    speaker = closing(Speaker(RATE, on_sound=lambda: heard.append(time.monotonic())))
    original = sound(2.0)
    with sound_server.record(RATE) as recording:
        await speaker.open()
        for start in range(0, len(original), 9_600):
            speaker.write(original[start : start + 9_600], "item")
        speaker.end()
        await speaker.drain()
        drained = time.monotonic()
        await eventually(lambda: find(recording.audio, original) + RATE * 2 < len(recording.audio) // 2, "all recorded")
        recorded = recording.audio
    assert fidelity(recorded, original, find(recorded, original)) > 30
    assert len(heard) == 1
    assert drained - heard[0] == pytest.approx(2.0, abs=0.15)
    assert speaker.playhead is None
    assert speaker.stats.underruns == 0


@pytest.mark.usefixtures("patient")
async def test_every_sample_said_is_recorded_once(sound_server: SoundServer, closing: Closing) -> None:
    microphone = closing(Microphone(RATE))
    original = sound(1.5, seed=1)
    await microphone.open()
    saying = asyncio.create_task(asyncio.to_thread(sound_server.say, original, RATE))
    recorded = await read(microphone, 2.5)
    await saying
    assert fidelity(recorded, original, find(recorded, original)) > 30
    assert microphone.dropped_ms == 0


@pytest.mark.usefixtures("patient")
async def test_a_device_with_its_own_format_is_converted_for(
    sound_server: SoundServer, closing: Closing, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sounddevice

    def picky(stream: Any) -> Any:
        def opened(*, samplerate: int, channels: int, **settings: Any) -> Any:
            if samplerate != 44_100:
                raise sounddevice.PortAudioError("Invalid sample rate", -9997)
            if channels != 2:
                raise sounddevice.PortAudioError("Invalid number of channels", -9998)
            return stream(samplerate=samplerate, channels=channels, **settings)

        return opened

    monkeypatch.setattr(sounddevice, "RawInputStream", picky(sounddevice.RawInputStream))
    monkeypatch.setattr(sounddevice, "RawOutputStream", picky(sounddevice.RawOutputStream))
    microphone, speaker = closing(Microphone(RATE)), closing(Speaker(RATE))
    original = sound(1.0, seed=2)
    await microphone.open()
    await speaker.open()
    with sound_server.record(RATE) as recording, sound_server.echo(30, 0):
        speaker.write(original, "item")
        speaker.end()
        heard = await read(microphone, 1.6)
        played = recording.audio
    assert fidelity(played, original, find(played, original)) > 30
    assert fidelity(heard, original, find(heard, original)) > 30


@pytest.mark.usefixtures("patient")
async def test_the_first_word_is_kept_until_somebody_reads(sound_server: SoundServer, closing: Closing) -> None:
    microphone = closing(Microphone(RATE))
    await microphone.open()
    original = sound(0.5, seed=3)
    await asyncio.to_thread(sound_server.say, original, RATE)
    recorded = await read(microphone, 0.9)
    assert fidelity(recorded, original, find(recorded, original)) > 30


async def test_what_nobody_reads_is_dropped_and_counted(
    sound_server: SoundServer, closing: Closing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voicecli.audio.devices.microphone._QUEUE_MS", 200)
    notices = Notices()
    microphone = closing(Microphone(RATE, on_notice=notices))
    await microphone.open()
    await eventually(lambda: microphone.dropped_ms >= 100, "it overflows")
    assert notices.codes == ["microphone_overflow"]


async def test_closing_ends_the_iteration(sound_server: SoundServer, closing: Closing) -> None:
    microphone = closing(Microphone(RATE))
    reading = asyncio.create_task(read(microphone, 60))
    await eventually(lambda: microphone.device != "", "it is open")
    await microphone.aclose()
    await microphone.aclose()
    await asyncio.wait_for(reading, 5)


async def test_muted_devices_are_silent_and_time_goes_on(sound_server: SoundServer, closing: Closing) -> None:
    microphone, speaker = closing(Microphone(RATE)), closing(Speaker(RATE))
    await microphone.open()
    await speaker.open()
    with sound_server.echo(30, 0):
        speaker.muted = True
        speaker.write(sound(0.4), "item")
        speaker.end()
        await speaker.drain()
        assert not any(await read(microphone, 0.2))
        await microphone.aclose()
        speaker.muted = False
        microphone = closing(Microphone(RATE))
        microphone.muted = True
        await microphone.open()
        speaker.write(sound(0.4), "item")
        speaker.end()
        await speaker.drain()
        assert not any(await read(microphone, 0.4))


# -- barge-in


class Given(NoEchoControl):
    """Keeps what the loudspeaker is given."""

    def __init__(self) -> None:
        self.blocks: list[bytes] = []

    def render(self, audio: bytes) -> None:
        self.blocks.append(audio)


@pytest.mark.usefixtures("patient")
async def test_clear_is_silence_at_once_and_says_what_was_heard(sound_server: SoundServer, closing: Closing) -> None:
    given = Given()
    speaker = closing(Speaker(RATE, echo=given))
    await speaker.open()
    original = sound(3.0)
    with sound_server.record(RATE) as recording:
        speaker.write(original, "item")
        await eventually(lambda: speaker.playhead is not None and speaker.playhead.played_ms > 700, "it plays")
        before = len(given.blocks)
        playhead = speaker.clear()
        recorded = await recorded_whole(recording)
    loud = np.flatnonzero(np.abs(samples(recorded)) > 100)
    heard_ms = sound_ms(recorded)  # without breaks, which a busy machine makes
    assert isinstance(playhead, Playhead)
    assert playhead.item_id == "item"
    # What is heard after it is the fade-out.
    assert playhead.played_ms <= heard_ms <= playhead.played_ms + 25
    # The device gets no more than that either; one block may be on its way just then.
    after = samples(b"".join(given.blocks[before + 1 :]))
    assert np.count_nonzero(np.abs(after) > 100) <= RATE * FADE_OUT_MS // 1000
    edge = samples(recorded)[loud[-1] - 20 : loud[-1] + 1]
    assert np.abs(edge).max() < 4_000, "it ends by a fade, not by a click"
    assert speaker.playhead is None


@pytest.mark.usefixtures("patient")
async def test_a_pause_loses_nothing(sound_server: SoundServer, closing: Closing) -> None:
    speaker = closing(Speaker(RATE))
    await speaker.open()
    original = sound(1.2)
    with sound_server.record(RATE) as recording:
        speaker.write(original, "item")
        speaker.end()
        await eventually(lambda: speaker.playhead is not None and speaker.playhead.played_ms > 300, "it plays")
        speaker.pause()
        await asyncio.sleep(0.3)
        speaker.resume()
        await speaker.drain()
        recorded = await recorded_whole(recording)
    loud = np.abs(samples(recorded)) > 0
    assert np.flatnonzero(loud)[-1] - np.flatnonzero(loud)[0] == pytest.approx(1.5 * RATE, abs=0.05 * RATE)
    head, tail = original[: RATE // 4 * 2], original[-RATE // 2 * 2 :]
    begin, end = find(recorded, head), find(recorded, tail)
    assert end - begin == pytest.approx(RATE * 1.0, abs=0.05 * RATE)
    assert fidelity(recorded, tail, end) > 20


async def test_the_assistant_does_not_hear_itself(sound_server: SoundServer, closing: Closing) -> None:
    echo = make_echo_control("aec", RATE)
    microphone, speaker = closing(Microphone(RATE, echo=echo)), closing(Speaker(RATE, echo=echo))
    await microphone.open()
    await speaker.open()
    with sound_server.record(RATE) as recording, sound_server.echo(60, 0):
        speaker.write(sound(4.0), "item")
        speaker.end()
        heard = await read(microphone, 4.0)
        played = recording.audio
    second = RATE * 2
    assert level(played[2 * second : 3 * second]) - level(heard[3 * second :]) > 20


# -- devices that fail


async def test_both_survive_a_sound_server_that_dies(sound_server: SoundServer, closing: Closing) -> None:
    notices = Notices()
    microphone, speaker = closing(Microphone(RATE, on_notice=notices)), closing(Speaker(RATE, on_notice=notices))
    await microphone.open()
    await speaker.open()
    speaker.write(sound(8.0), "item")
    await read(microphone, 0.2)
    await eventually(lambda: any(speaker.latest), "it sounds")
    sound_server.kill()
    await eventually(lambda: {"microphone_lost", "loudspeaker_lost"} <= set(notices.codes), "it is noticed", 2.0)
    assert not any(speaker.latest), "a meter must not stand still as if it did"
    await asyncio.to_thread(sound_server.start)
    back = {"microphone_back", "loudspeaker_back"}
    await eventually(lambda: back <= set(notices.codes), "both are back", 4.0)
    with sound_server.echo(30, 0):
        await read(microphone, 1.0)
        assert level((await read(microphone, 0.5))[-RATE // 2 :]) > -40


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="this system has no SIGSTOP")
async def test_a_sound_server_that_hangs_holds_up_nobody(sound_server: SoundServer, closing: Closing) -> None:
    notices = Notices()
    microphone, other = closing(Microphone(RATE, on_notice=notices)), closing(Speaker(RATE))
    await other.open()
    await read(microphone, 0.2)
    with sound_server.frozen():
        await eventually(lambda: "microphone_lost" in notices.codes, "it is noticed", 2.0)
        await asyncio.wait_for(other.aclose(), 4.0)
    await eventually(lambda: "microphone_back" in notices.codes, "it is back", 4.0)
    assert await read(microphone, 0.2)


@pytest.mark.usefixtures("patient")
async def test_an_unplugged_device_is_replaced_by_the_default(sound_server: SoundServer, closing: Closing) -> None:
    notices = Notices()
    speaker = closing(Speaker(RATE, device="headset", on_notice=notices))
    with sound_server.headset(), sound_server.record(RATE) as recording:
        await speaker.open()
        assert speaker.device == "virtual_headset"
        original = sound(3.0)
        speaker.write(original, "item")
        speaker.end()
        await eventually(lambda: speaker.playhead is not None and speaker.playhead.played_ms > 300, "it plays")
        sound_server.unplug_headset()
        await eventually(lambda: notices.codes[-1:] == ["loudspeaker_changed"], "the default takes its place", 5.0)
        assert speaker.device == "default"
        await speaker.drain()
        recorded = await recorded_whole(recording)
    rest = original[-RATE:]
    assert fidelity(recorded, rest, find(recorded, rest)) > 30


async def test_the_sound_follows_the_default_device(sound_server: SoundServer, closing: Closing) -> None:
    speaker = closing(Speaker(RATE))
    await speaker.open()
    speaker.write(sound(2.5), "item")
    speaker.end()
    await eventually(lambda: speaker.playhead is not None and speaker.playhead.played_ms > 300, "it plays")
    with sound_server.headset(), sound_server.record(RATE, "headset.monitor") as recording:
        sound_server.control("set-default-sink", "headset")
        await speaker.drain()
        recorded = recording.audio
    assert level(recorded[-RATE * 2 : -RATE]) > -40


async def test_an_error_in_a_callback_does_not_end_the_stream(sound_server: SoundServer, closing: Closing) -> None:
    class Broken(NoEchoControl):
        calls = 0

        def render(self, audio: bytes) -> None:
            raise ValueError

        def capture(self, audio: bytes) -> bytes:
            self.calls += 1
            if self.calls < 20:
                raise ValueError
            return audio

    microphone, speaker = closing(Microphone(RATE, echo=Broken())), closing(Speaker(RATE, echo=Broken()))
    await speaker.open()
    assert await read(microphone, 0.2)
    speaker.write(sound(0.2), "item")
    speaker.end()
    await asyncio.wait_for(speaker.drain(), 5)


async def test_a_silent_microphone_is_told_once(
    sound_server: SoundServer, closing: Closing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voicecli.audio.devices.microphone._SILENT_MS", 200)
    notices = Notices()
    microphone = closing(Microphone(RATE, on_notice=notices))
    await read(microphone, 1.0)
    assert notices.codes == ["microphone_silent"]


async def test_a_microphone_that_has_heard_something_may_fall_silent(
    sound_server: SoundServer, closing: Closing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a headset's does between two words."""
    notices = Notices()
    microphone = closing(Microphone(RATE, on_notice=notices))
    await microphone.open()
    await asyncio.to_thread(sound_server.say, sound(0.3), RATE)
    assert any(await read(microphone, 0.5))
    monkeypatch.setattr("voicecli.audio.devices.microphone._SILENT_MS", 200)
    assert not any((await read(microphone, 1.0))[-RATE:])
    assert notices.codes == []


async def test_without_a_sound_server_there_is_no_device(sound_server: SoundServer, closing: Closing) -> None:
    sound_server.kill()
    assert await asyncio.to_thread(list_devices) == []
    for endpoint in (closing(Microphone(RATE)), closing(Speaker(RATE))):
        with pytest.raises(AudioDeviceError, match=r"No (microphone|loudspeaker) was found") as caught:
            await endpoint.open()
        assert "list-devices" in caught.value.advice


async def test_a_device_that_is_taken_is_named(
    sound_server: SoundServer, closing: Closing, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sounddevice

    def busy(**settings: Any) -> None:
        raise sounddevice.PortAudioError("Error opening RawInputStream: Device unavailable", -9985)

    monkeypatch.setattr(sounddevice, "RawInputStream", busy)
    with pytest.raises(AudioDeviceError, match=r"'default' is in use by another program"):
        await closing(Microphone(RATE)).open()


async def test_sound_that_breaks_up_gets_a_longer_buffer(sound_server: SoundServer, closing: Closing) -> None:
    class Slow(NoEchoControl):
        blocks = 0

        def render(self, audio: bytes) -> None:
            self.blocks += 1
            if self.blocks in {40, 60, 80}:
                time.sleep(0.15)  # more than any device keeps in hand

    notices = Notices()
    speaker = closing(Speaker(RATE, echo=Slow(), on_notice=notices))
    await speaker.open()
    original = sound(3.0)
    with sound_server.record(RATE) as recording:
        speaker.write(original, "item")
        speaker.end()
        await eventually(lambda: speaker.playhead is not None and speaker.playhead.played_ms > 300, "it plays")
        latency = speaker.latency_ms
        await speaker.drain()
        await asyncio.sleep(0.2)
        recorded = recording.audio
    assert notices.codes == []
    assert speaker.xruns >= 2
    assert speaker.latency_ms > latency + 15
    assert np.count_nonzero(samples(recorded)) > 2.6 * RATE, "nearly all of it was heard nevertheless"


# -- choosing


def test_the_devices_are_listed(sound_server: SoundServer) -> None:
    devices = {device.name: device for device in list_devices()}
    assert set(devices) == {"virtual_speaker", "virtual_mic", "default"}
    assert devices["virtual_mic"].input_channels > 0
    assert devices["virtual_mic"].output_channels == 0
    assert devices["default"].default_input
    assert devices["default"].default_output
    assert not devices["virtual_speaker"].default_output


async def test_a_device_is_chosen_by_a_part_of_its_name(sound_server: SoundServer, closing: Closing) -> None:
    speaker = closing(Speaker(RATE, device="VIRTUAL"))
    await speaker.open()
    assert speaker.device == "virtual_speaker"


# -- the measure itself


def test_resampling_for_the_test_is_sound() -> None:
    """The measure used above tells a lost sample from none."""
    original = sound(1.0)
    recording = bytes(2_000) + resample_pcm16(resample_pcm16(original, RATE, 48_000), 48_000, RATE) + bytes(2_000)
    assert fidelity(recording, original, find(recording, original)) > 30
    damaged = recording[:20_000] + recording[20_010:]
    assert fidelity(damaged, original, find(damaged, original)) < 15
