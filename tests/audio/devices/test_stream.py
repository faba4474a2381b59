"""Microphone and Speaker when a device, a driver or a block fails: on a PortAudio without sound."""

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.audio.devices.fake_portaudio import RATE, FakeDevice, FakePortAudio, Hang
from tests.audio.devices.notices import Notices, until
from tests.support.virtual_time import virtual_time
from voicecli.audio.devices import portaudio as portaudio_module
from voicecli.audio.devices import stderr_guard
from voicecli.audio.devices.listing import list_devices
from voicecli.audio.devices.microphone import Microphone
from voicecli.audio.devices.portaudio import PortAudioThread
from voicecli.audio.devices.speaker import Speaker
from voicecli.audio.devices.stderr_guard import quiet_stderr, trim_stderr
from voicecli.audio.echo.control import NoEchoControl
from voicecli.cli import devices as commands
from voicecli.cli.exit import ExitStatus, status_of
from voicecli.errors import AudioDeviceError


def make(kind: str, notices: Notices, device: str | None = None) -> Microphone | Speaker:
    return (Microphone if kind == "microphone" else Speaker)(RATE, device=device, on_notice=notices)


# -- lost and back


def stall(portaudio: FakePortAudio) -> None:
    portaudio.stall()


def end(portaudio: FakePortAudio) -> None:
    for stream in portaudio.running:
        stream.abort()


def restart_server(portaudio: FakePortAudio) -> None:
    """For a moment PortAudio cannot even be initialised."""
    portaudio.stall()
    portaudio.failing = 2


@pytest.mark.parametrize("device", [None, "built"])
@pytest.mark.parametrize("kind", ["microphone", "loudspeaker"])
@pytest.mark.parametrize("fail", [stall, end, restart_server])
@virtual_time
async def test_it_is_open_again_within_two_seconds(
    portaudio: FakePortAudio, kind: str, fail: Callable[[FakePortAudio], None], device: str | None
) -> None:
    notices = Notices()
    endpoint = make(kind, notices, device)
    async with portaudio.flowing():
        await endpoint.open()
        await until(lambda: endpoint.blocks > 10)
        fail(portaudio)
        blocks = endpoint.blocks
        assert await until(lambda: endpoint.blocks > blocks) < 2.0
        assert await until(lambda: f"{kind}_back" in notices.codes) < 1.0
        await endpoint.aclose()
    assert notices.codes == [f"{kind}_lost", f"{kind}_back"]


@pytest.mark.parametrize("kind", ["microphone", "loudspeaker"])
@virtual_time
async def test_the_default_takes_the_place_of_what_is_gone_within_two_seconds(
    portaudio: FakePortAudio, kind: str
) -> None:
    headset = FakeDevice("headset")
    portaudio.plugged.append(headset)
    notices = Notices()
    endpoint, other = make(kind, notices, "headset"), Speaker(RATE)
    async with portaudio.flowing():
        await other.open()
        await endpoint.open()
        assert endpoint.device == "headset"
        await until(lambda: endpoint.blocks > 10)
        portaudio.plugged.remove(headset)
        for stream in portaudio.running:
            stream.stalled = stream.device is headset
        blocks = endpoint.blocks
        assert await until(lambda: endpoint.blocks > blocks) < 2.0
        await until(lambda: f"{kind}_changed" in notices.codes)
        await endpoint.aclose()
        await other.aclose()
    assert endpoint.device == "built-in"
    assert notices.codes == [f"{kind}_lost", f"{kind}_changed"]


@virtual_time
async def test_all_is_recorded_that_a_microphone_hears_before_and_after(portaudio: FakePortAudio) -> None:
    microphone = Microphone(RATE)
    recorded = bytearray()

    async def record() -> None:
        async for chunk in microphone:
            recorded.extend(chunk)

    recording = asyncio.create_task(record())
    async with portaudio.flowing():
        await until(lambda: microphone.blocks > 10)
        portaudio.stall()
        await until(lambda: bool(portaudio.running) and not portaudio.running[0].stalled)
        await asyncio.sleep(1)
    await asyncio.sleep(0.1)  # for the last block to be read
    await microphone.aclose()
    await recording
    before, after = (bytes(stream.played) for stream in portaudio.streams)
    assert before
    assert len(after) > RATE // 10
    heard = before + after
    assert len(heard) - len(recorded) < RATE // 50 * 2, "all but the begun chunk"
    assert recorded == heard[: len(recorded)]


@virtual_time
async def test_a_device_that_comes_back_late_is_found(portaudio: FakePortAudio) -> None:
    notices = Notices()
    microphone = Microphone(RATE, on_notice=notices)
    async with portaudio.flowing():
        await microphone.open()
        await until(lambda: microphone.blocks > 10)
        portaudio.plugged.clear()
        portaudio.stall()
        await asyncio.sleep(20)
        portaudio.plugged.append(FakeDevice("built-in"))
        assert await until(lambda: "microphone_back" in notices.codes) < 2.0
        await microphone.aclose()


@virtual_time
async def test_a_device_that_ends_at_once_is_not_opened_without_a_pause(portaudio: FakePortAudio) -> None:
    notices = Notices()
    microphone = Microphone(RATE, on_notice=notices)
    async with portaudio.flowing():
        await microphone.open()
        portaudio.plugged[0].ends = True
        end(portaudio)
        await asyncio.sleep(10)
        assert len(portaudio.streams) < 25
        portaudio.plugged[0].ends = False
        await until(lambda: "microphone_back" in notices.codes)
        await microphone.aclose()


@virtual_time
async def test_no_defect_ends_the_watch(
    portaudio: FakePortAudio, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[str] = []

    def tell(code: str, message: str) -> None:
        told.append(code)
        raise LookupError("of who is told")

    def query_devices(kind: str | None = None) -> Any:
        raise KeyError("a driver that nobody has thought of")

    microphone = Microphone(RATE, on_notice=tell)
    async with portaudio.flowing():
        await microphone.open()
        await until(lambda: microphone.blocks > 10)
        monkeypatch.setattr(portaudio, "query_devices", query_devices)
        portaudio.stall()
        await asyncio.sleep(5)
        monkeypatch.undo()
        portaudio.use(monkeypatch, inline=True)
        await until(lambda: "microphone_back" in told)
        await microphone.aclose()
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert [record.message for record in errors if "Opening" in record.message] == ["Opening a device failed"]


@virtual_time
async def test_an_error_of_portaudio_at_the_first_opening_is_one_of_ours(portaudio: FakePortAudio) -> None:
    portaudio.failing = 1
    microphone = Microphone(RATE)
    with pytest.raises(AudioDeviceError, match=r"failed: Error initializing PortAudio") as caught:
        await microphone.open()
    assert caught.value.advice
    portaudio.failing = 1
    with pytest.raises(AudioDeviceError, match="failed: Error initializing PortAudio"):
        list_devices()
    await microphone.open()
    assert portaudio.running
    await microphone.aclose()


def test_a_portaudio_that_cannot_be_loaded_is_one_of_our_errors(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "sounddevice.py").write_text(
        "class PortAudioError(Exception): ...\nraise PortAudioError('No', -9999)\n"
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    with pytest.raises(AudioDeviceError, match="PortAudio failed"):
        PortAudioThread().call(lambda _: None)


# -- closing


@pytest.fixture
def threaded(monkeypatch: pytest.MonkeyPatch) -> tuple[FakePortAudio, PortAudioThread]:
    """For tests of drivers that hang: a PortAudio, and the thread that calls it."""
    monkeypatch.setattr("voicecli.audio.devices.stream._CLOSE_TIMEOUT_S", 0.05)
    fake = FakePortAudio()
    return fake, fake.use(monkeypatch, inline=False)


def hang(portaudio: FakePortAudio, where: str) -> Hang:
    hanging = Hang()
    setattr(portaudio, where, hanging)
    return hanging


@pytest.mark.parametrize("where", ["hang", "hang_at_start"])
async def test_a_driver_that_wakes_up_after_the_end_records_nothing(
    threaded: tuple[FakePortAudio, PortAudioThread], where: str
) -> None:
    portaudio, system = threaded
    microphone = Microphone(RATE)
    await microphone.open()
    hanging = hang(portaudio, where)
    portaudio.stall()
    await hanging.entered()  # opening it again
    await microphone.aclose()
    hanging.end()
    await system.run(lambda _: None)  # all is done that was to be done
    assert portaudio.running == []


@pytest.mark.parametrize("where", ["hang", "hang_at_start"])
@pytest.mark.parametrize("how", ["closed", "cancelled", "both"])
async def test_what_is_closed_while_it_opens_stays_closed(
    threaded: tuple[FakePortAudio, PortAudioThread], where: str, how: str
) -> None:
    portaudio, system = threaded
    microphone = Microphone(RATE)
    hanging = hang(portaudio, where)
    opening = asyncio.create_task(microphone.open())
    await hanging.entered()
    if how != "closed":
        opening.cancel()
        await asyncio.wait([opening])
    if how != "cancelled":
        await microphone.aclose()
    hanging.end()
    await asyncio.wait([opening])
    await system.run(lambda _: None)
    assert opening.cancelled() == (how != "closed")
    assert portaudio.running == []
    assert asyncio.all_tasks() == {asyncio.current_task()}
    await microphone.aclose()


async def test_closing_waits_until_the_cancelled_opening_is_undone(
    threaded: tuple[FakePortAudio, PortAudioThread], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voicecli.audio.devices.stream._CLOSE_TIMEOUT_S", 20.0)
    portaudio, _ = threaded
    microphone = Microphone(RATE)
    hanging = hang(portaudio, "hang_at_start")
    opening = asyncio.create_task(microphone.open())
    await hanging.entered()
    opening.cancel()
    await asyncio.wait([opening])
    closing = asyncio.create_task(microphone.aclose())
    await asyncio.sleep(0)
    hanging.end()
    await closing
    assert portaudio.running == []


@virtual_time
async def test_who_opens_it_twice_at_once_has_it_once(portaudio: FakePortAudio) -> None:
    microphone = Microphone(RATE)
    await asyncio.gather(microphone.open(), microphone.open())
    assert len(portaudio.streams) == 1
    await microphone.aclose()
    assert portaudio.running == []


# -- blocks that fail


class Broken(NoEchoControl):
    def render(self, audio: bytes) -> None:
        raise ValueError("the audio processing failed")

    def capture(self, audio: bytes) -> bytes:
        raise ValueError("the audio processing failed")


class Listening(NoEchoControl):
    """Counts the skips that it is told of."""

    def __init__(self) -> None:
        self.skips = 0

    def discontinuity(self) -> None:
        self.skips += 1


@pytest.mark.parametrize("kind", ["microphone", "loudspeaker"])
@virtual_time
async def test_what_takes_the_echo_out_is_told_of_skips(portaudio: FakePortAudio, kind: str) -> None:
    """Also of those in silence, which nobody hears: the next echo comes at another distance."""
    echo = Listening()
    endpoint = (Microphone if kind == "microphone" else Speaker)(RATE, echo=echo)
    await endpoint.open()
    (stream,) = portaudio.running
    portaudio.deliver()
    assert echo.skips == 0
    stream.skips = True
    portaudio.deliver()
    portaudio.deliver()
    assert echo.skips == 2
    await endpoint.aclose()


@pytest.mark.parametrize("kind", ["microphone", "loudspeaker"])
@virtual_time
async def test_what_takes_the_echo_out_is_told_that_a_device_was_opened_again(
    portaudio: FakePortAudio, kind: str
) -> None:
    """Before that is seen in the streams, a reply's echo would have come through, and paused it."""
    echo = Listening()
    endpoint = (Microphone if kind == "microphone" else Speaker)(RATE, echo=echo)
    async with portaudio.flowing():
        await endpoint.open()
        await asyncio.sleep(1)
        assert echo.skips == 0
        endpoint._stream.reopen_soon()
        await asyncio.sleep(1)
        assert len(portaudio.streams) == 2
        assert echo.skips == 1
        await endpoint.aclose()


@pytest.mark.parametrize("kind", ["microphone", "loudspeaker"])
@virtual_time
async def test_failing_blocks_are_told_once(
    portaudio: FakePortAudio, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    notices = Notices()
    endpoint = (Microphone if kind == "microphone" else Speaker)(RATE, echo=Broken(), on_notice=notices)
    async with portaudio.flowing():
        await endpoint.open()
        await asyncio.sleep(3)
        await endpoint.aclose()
    assert notices.codes == [f"{kind}_failed"]
    assert "'built-in'" in notices.messages[0]
    assert "ValueError: the audio processing failed" in notices.messages[0]
    assert "--echo off" in notices.messages[0]
    (record,) = caplog.records
    assert record.exc_info


@pytest.mark.parametrize(
    ("device", "message"),
    [
        (FakeDevice("dead", hears=False), "microphone 'dead' delivers nothing"),
        (FakeDevice("dead", plays=False), "loudspeaker 'dead' takes no sound"),
    ],
)
@virtual_time
async def test_the_test_of_a_device_that_does_nothing_ends(
    portaudio: FakePortAudio, device: FakeDevice, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    portaudio.plugged = [device]
    async with portaudio.flowing():
        with pytest.raises(AudioDeviceError, match=message) as caught:
            async with asyncio.timeout(60):
                await commands._measure(None, None)
    assert "voice list-devices" in caught.value.advice
    assert status_of(caught.value) is ExitStatus.AUDIO
    assert "has stopped; opening it again" in capsys.readouterr().err
    assert portaudio.running == []


# -- waiting until all has been heard


@virtual_time
async def test_what_is_written_is_waited_for_while_the_loudspeaker_is_opened_again(portaudio: FakePortAudio) -> None:
    device = portaudio.plugged[0]
    speaker = Speaker(RATE)
    async with portaudio.flowing():
        await speaker.open()
        sound = b"".join(number.to_bytes(2, "little") for number in range(1, RATE + 1))  # each sample is another
        speaker.write(sound, "item")
        speaker.end()
        draining = asyncio.create_task(speaker.drain())
        await until(lambda: speaker.blocks >= 50)
        device.opens = False
        portaudio.stall()
        await asyncio.sleep(3)
        assert not draining.done()
        device.opens = True
        await draining
        await speaker.aclose()
    heard = memoryview(b"".join(bytes(stream.played) for stream in portaudio.streams)).cast("H").tolist()
    assert [sample for sample in heard if sample] == list(range(1, RATE + 1))


@pytest.mark.parametrize("device", [FakeDevice("dead", plays=False), FakeDevice("gone", opens=False)])
@virtual_time
async def test_a_loudspeaker_that_stays_lost_is_not_waited_for(portaudio: FakePortAudio, device: FakeDevice) -> None:
    speaker = Speaker(RATE)
    async with portaudio.flowing():
        await speaker.open()
        speaker.write(bytes(RATE * 2), "item")
        speaker.end()
        portaudio.plugged = [device]
        portaudio.stall()
        draining = asyncio.create_task(speaker.drain())
        assert 4.0 < await until(draining.done) < 7.0
        await speaker.aclose()


@virtual_time
async def test_a_loudspeaker_that_is_closed_or_was_never_open_is_not_waited_for(portaudio: FakePortAudio) -> None:
    speaker = Speaker(RATE)
    speaker.write(bytes(RATE * 2), "item")
    draining = asyncio.create_task(speaker.drain())
    assert await until(draining.done) < 0.2
    await speaker.open()
    draining = asyncio.create_task(speaker.drain())
    await asyncio.sleep(0)
    await speaker.aclose()
    assert await until(draining.done) < 0.2


# -- what C writes


def kept() -> int:
    """The bytes that lie in the place of the terminal."""
    return os.fstat(2).st_size


def use_again() -> None:
    with quiet_stderr():
        pass


@pytest.mark.parametrize("trim", [trim_stderr, use_again])
def test_what_c_writes_in_a_long_session_does_not_pile_up(
    caplog: pytest.LogCaptureFixture, trim: Callable[[], None]
) -> None:
    lines = b"ALSA lib pcm.c: underrun\n" * 400
    with caplog.at_level(logging.DEBUG, "voicecli.audio.devices.stderr_guard"), quiet_stderr():
        for _ in range(40):
            os.write(2, lines)
            trim()
            assert kept() <= stderr_guard._MOST_KEPT
    assert caplog.text.count("underrun") > 30 * 400


async def test_the_sound_system_sees_to_that_while_it_has_nothing_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portaudio_module, "_TRIM_S", 0.01)
    system = PortAudioThread()
    await system.run(lambda _: None)
    with quiet_stderr():
        os.write(2, bytes(stderr_guard._MOST_KEPT + 1))
        await until(lambda: kept() == 0)


def test_what_c_writes_does_not_reach_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet_stderr():
        with quiet_stderr():
            os.write(2, b"ALSA lib pcm.c: underrun\n")
        os.write(2, b"again\n")
    os.write(2, b"heard\n")
    assert capfd.readouterr().err == "heard\n"


def test_what_python_writes_passes() -> None:
    program = (
        "import os, sys\n"
        "from voicecli.audio.devices.stderr_guard import quiet_stderr\n"
        "with quiet_stderr():\n    os.write(2, b'C')\n    print('Python', file=sys.stderr)\n"
        "print('again', file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr.split() == ["Python", "again"]
