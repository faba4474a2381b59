"""Recordings of live conversations: one for each, between which the command sleeps."""

import asyncio
from pathlib import Path

import numpy as np

from tests.live.test_live_keys import RATE, Sink
from tests.live.test_live_sleep import SLEEP_AFTER_S, WORD, sleeping
from tests.live.test_live_sleep import no_device as no_device
from tests.recording.virtual_devices import recorded
from tests.support.virtual_time import virtual_time
from voicecli.cli.recordings import Recordings
from voicecli.events import AudioChunk, AudioDone, Notice, ResponseDone, ResponseStarted
from voicecli.testing import Step


def begins(channel: "np.ndarray[tuple[int], np.dtype[np.int16]]", sample: int) -> float:
    """Where a sample comes first, in ms."""
    return float(np.flatnonzero(channel == sample)[0] * 1000 / RATE)


@virtual_time
async def test_each_conversation_between_which_it_sleeps_has_its_recording(tmp_path: Path) -> None:
    said = AudioChunk(np.full(RATE, 50, "<i2").tobytes(), "r", "item")
    script: list[Step] = [ResponseStarted("r"), said, AudioDone("r"), ResponseDone("r")]
    recordings = Recordings(tmp_path)
    async with sleeping(sink=Sink(), script=[script], recordings=recordings) as bed:
        await bed.hear(2, 400)
        await bed.hear(WORD, 100)
        await bed.hear(3, 2_000)  # from the time on in which the provider is dialled
        bed.live.say("Hello?")
        await bed.hear(4, 2_000)
        await asyncio.sleep(SLEEP_AFTER_S + 5)
        assert bed.course[-1] == "asleep"
        await bed.hear(WORD, 100)
        await bed.hear(5, 3_000)
    assert recordings.failure is None
    first, second = map(recorded, recordings.paths)
    _, user, assistant = first
    assert begins(user, 2) == 0  # what was said with the word, and while it was dialled, is in it
    assert [np.count_nonzero(user == sample) * 1000 // RATE for sample in (2, WORD, 3, 4)] == [400, 100, 2_000, 2_000]
    assert begins(assistant, 50) - begins(user, 4) < 50
    assert set(np.unique(second[1])) == {0, WORD, 5}
    assert not second[2].any()


@virtual_time
async def test_a_recording_that_fails_is_told_and_the_conversation_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    recordings = Recordings(folder)
    async with sleeping(sink=Sink(), recordings=recordings) as bed:
        await bed.hear(WORD, 100)
        await asyncio.sleep(0.5)  # it is recorded by now, and nothing has been written
        folder.rmdir()
        await bed.hear(3, 4_000)
        notices = [event for event in bed.events if isinstance(event, Notice) and event.code == "recording_failed"]
        assert len(notices) == 1
        assert notices[0].message.startswith("The recording ends here. Cannot write")
        assert bed.sent_ms()[3] == 4_000
        assert bed.course[-1] == "started"
    assert recordings.failure is not None
