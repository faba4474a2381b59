"""What a loudspeaker is given is told, silence included, with the time at which it is heard."""

import asyncio
import time

from tests.audio.devices.fake_portaudio import RATE, FakePortAudio
from tests.support.virtual_time import virtual_time
from voicecli.audio.devices.speaker import Speaker

SOUND = b"\x00\x10" * (RATE // 10)


@virtual_time
async def test_all_that_the_device_is_given_is_told(portaudio: FakePortAudio) -> None:
    told: list[tuple[bytes, float]] = []
    speaker = Speaker(RATE, on_rendered=lambda audio, at: told.append((audio, at)))
    before = time.monotonic()
    async with portaudio.flowing():
        await speaker.open()
        assert b"" in [audio for audio, _ in told]  # that there is a loudspeaker, at the latest now
        speaker.write(SOUND, "item")
        speaker.end()
        await speaker.drain()
        await speaker.aclose()
    (stream,) = portaudio.streams
    rendered = b"".join(audio for audio, _ in told)
    assert rendered == bytes(stream.played)[: len(rendered)]
    assert rendered.count(b"\x00\x10") >= len(SOUND) // 2 - 1
    # The fake's sound is heard 20 ms after it is given.
    assert all(before + 0.02 <= at <= time.monotonic() + 0.02 for audio, at in told if audio)


@virtual_time
async def test_a_muted_loudspeaker_is_told_as_silence(portaudio: FakePortAudio) -> None:
    told: list[bytes] = []
    speaker = Speaker(RATE, on_rendered=lambda audio, at: told.append(audio))
    speaker.muted = True
    async with portaudio.flowing():
        await speaker.open()
        speaker.write(SOUND, "item")
        speaker.end()
        await speaker.drain()
        await speaker.aclose()
    assert len(b"".join(told)) >= len(SOUND)
    assert not any(b"".join(told))


@virtual_time
async def test_of_a_device_with_another_rate_each_piece_is_told_for_its_own_time(portaudio: FakePortAudio) -> None:
    told: list[tuple[bytes, float]] = []
    speaker = Speaker(16_000, on_rendered=lambda audio, at: told.append((audio, at)))
    async with portaudio.flowing():
        await speaker.open()
        await asyncio.sleep(1)
        await speaker.aclose()
    assert len(told) > 10
    assert {len(audio) for audio, _ in told} <= {0, 320}
