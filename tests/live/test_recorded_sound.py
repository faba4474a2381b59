"""The recording of a conversation through devices: what left the loudspeaker, beside what the microphone heard."""

import asyncio
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tests.live.live_talk import RATE, Heard, assistant_speech, eventually, sound_ms, talking
from tests.loopback.openai_server import OpenAIServer, Reply
from tests.recording.virtual_devices import recorded
from tests.virtual_audio import SoundServer
from voicecli.cli.recordings import Recordings
from voicecli.config import ServerVAD
from voicecli.events import Interrupted

pytest_plugins = ["tests.virtual_audio.fixture"]

ECHO_MS = 60
DEAF = ServerVAD(interrupt_response=False, create_response=False)
Side = npt.NDArray[np.int16]


@pytest.mark.usefixtures("patient")
async def test_both_sides_of_the_recording_are_as_they_were_heard(sound_server: SoundServer, tmp_path: Path) -> None:
    """The microphone hears the loudspeaker, and nothing is done about it: so the left side is an echo of the right."""
    reply = assistant_speech(20.0)
    recordings = Recordings(tmp_path)
    server = OpenAIServer(replies=[Reply(text="It is long.", audio=reply)])
    async with server, talking(server.url, echo="off", recordings=recordings, turn_detection=DEAF) as talk:
        with sound_server.record(RATE) as recording, sound_server.echo(ECHO_MS, -6.0):
            talk.live.say("Tell me a story.")
            await eventually(lambda: talk.played_ms > 1_500, "the reply is heard")
            talk.live.interrupt()
            await eventually(lambda: bool(talk.of(Interrupted)), "it is stopped")
            await asyncio.sleep(1)
            played = recording.audio
    (path,) = recordings.paths
    _, user, assistant = recorded(path)
    right = assistant.astype("<i2").tobytes()
    # It ends where the loudspeaker fell silent.
    heard_ms = Heard(played, reply).found_ms
    assert abs(Heard(right, reply).found_ms - heard_ms) <= 60
    assert abs(sound_ms(right) - heard_ms) <= 80
    assert Heard(right, reply).missing == []
    # Some 20 ms are what the devices do not tell of their latencies; busy machines add to that.
    assert echo_ms(user, assistant) == pytest.approx(ECHO_MS, abs=100)


def echo_ms(
    left: "np.ndarray[tuple[int], np.dtype[np.int16]]", right: "np.ndarray[tuple[int], np.dtype[np.int16]]"
) -> float:
    """By how much the left side is later than the right one, at most half a second."""
    begin = int(np.flatnonzero(np.abs(right) > 500)[0])
    sound = right[begin : begin + RATE].astype(float)
    before = RATE // 2
    heard = np.concatenate((np.zeros(before), left.astype(float)))[begin : begin + RATE + 2 * before]
    return (int(np.correlate(heard, sound, "valid").argmax()) - before) * 1000 / RATE
