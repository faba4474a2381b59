"""The user speaks into the reply, on open loudspeakers: the microphone hears both.

What the provider is told of it is compared with what the recording of the loudspeaker holds.
"""

import asyncio
import base64
import os

import numpy as np
import pytest

from tests.live.live_talk import (
    FADE_MS,
    RATE,
    Heard,
    all_of,
    assistant_speech,
    eventually,
    sound_ms,
    talking,
    user_speech,
)
from tests.loopback.openai_server import OpenAIServer, Reply
from tests.virtual_audio import SoundServer
from voicecli.audio.vad import VoiceActivityDetector
from voicecli.config import ClientVAD, VADEngine, VADMode
from voicecli.events import Interrupted, ResponseDone, SpeechStarted, SpeechStopped
from voicecli.transcript import heard_text

pytest_plugins = ["tests.virtual_audio.fixture"]

WORDS = " ".join(f"word{number}" for number in range(100))
SELF_TALK_S = float(os.environ.get("VOICECLI_SELF_TALK_S", "7"))
"""The time that the assistant talks to itself, in seconds: 120 to be sure."""


@pytest.mark.parametrize(
    ("vad_mode", "delay_ms", "gain_db", "arriving"),
    [
        (VADMode.SERVER, 60, 0.0, False),
        (VADMode.SERVER, 200, -6.0, True),
        (VADMode.CLIENT, 200, 0.0, True),
        (VADMode.CLIENT, 60, -12.0, False),
    ],
    ids=["server-heard", "server-arriving", "client-arriving", "client-heard"],
)
async def test_speech_stops_the_reply_and_the_model_forgets_what_was_not_heard(
    sound_server: SoundServer, vad_mode: VADMode, delay_ms: int, gain_db: float, arriving: bool
) -> None:
    """The reply is still arriving, so that it must be cancelled, or complete and only still being heard."""
    reply = assistant_speech(20.0)
    server = OpenAIServer(
        replies=[Reply(text=WORDS, audio=reply), Reply(text="Yes.", audio=b"\0\0")],
        delay_s=0.04 if arriving else 0.0,
    )
    async with server, talking(server.url, vad_mode) as talk:
        with sound_server.record(RATE) as recording, sound_server.echo(delay_ms, gain_db):
            talk.live.say("Tell me a story.")
            await eventually(lambda: talk.played_ms > 1_200, "the reply is heard")
            await asyncio.to_thread(sound_server.say, user_speech(), RATE)
            await eventually(lambda: len(talk.of(ResponseDone)) == 2, "the user is answered")
            recorded = recording.audio
        history = talk.history

    assert len(talk.of(Interrupted)) == 1
    assert len(server.received("response.cancel")) == (arriving and vad_mode is VADMode.CLIENT)
    assert talk.of(ResponseDone)[0].status == ("cancelled" if arriving else "completed")
    (cut,) = server.received("conversation.item.truncate")

    heard_ms = sound_ms(recorded) - FADE_MS
    assert abs(cut["audio_end_ms"] - heard_ms) <= 60
    if vad_mode is VADMode.CLIENT:  # otherwise the voice is noticed elsewhere
        assert heard_ms - talk.noticed_ms[0] <= 100, "silence comes when the voice is noticed, and does not wait"
    assert 1_200 < heard_ms < 3_500, "it stops while the user speaks, not afterwards"
    assert abs(Heard(recorded, reply).found_ms - heard_ms) <= 60

    roles = [turn.role for turn in history]
    assert roles == ["user", "assistant", "user", "assistant"]
    assert history[1].interrupted
    assert WORDS.startswith(history[1].text)
    if not arriving:
        assert history[1].text == heard_text(WORDS, cut["audio_end_ms"], 20_000)


@pytest.mark.usefixtures("patient")
@pytest.mark.timeout(SELF_TALK_S + 60)
async def test_the_assistant_does_not_interrupt_itself(sound_server: SoundServer) -> None:
    """Its own words, as loud as the user would be. The echo begins with the reply, as it does in life.

    Neither the provider nor the program itself finds speech in what the microphone gives.
    """
    reply = assistant_speech(SELF_TALK_S)
    async with OpenAIServer(replies=[Reply(audio=reply)]) as server, talking(server.url) as talk:
        with sound_server.record(RATE) as recording, sound_server.echo(120, 0.0):
            talk.live.say("Tell me a story.")
            await eventually(lambda: talk.played_ms > 0, "the reply is heard")
            await talk.speaker.drain()
            recorded = await all_of(recording)
    assert talk.of(SpeechStarted) == []
    assert talk.of(Interrupted) == []
    heard = Heard(recorded, reply)
    assert heard.missing == []
    assert heard.found_ms > SELF_TALK_S * 1000 - 100
    sent = b"".join(base64.b64decode(frame["audio"]) for frame in server.received("input_audio_buffer.append"))
    assert len(sent) > (SELF_TALK_S - 1) * RATE * 2
    engines: tuple[VADEngine, ...] = ("webrtc", "silero")
    for engine in engines:
        assert VoiceActivityDetector(ClientVAD(engine=engine), RATE).process(sent) == [], engine


@pytest.mark.usefixtures("patient")
async def test_a_cough_pauses_the_reply_which_goes_on_where_it_stopped(sound_server: SoundServer) -> None:
    reply = assistant_speech(3.5)
    cough = np.random.default_rng(3).uniform(-14_000, 14_000, RATE // 10).astype("<i2").tobytes()
    server = OpenAIServer(replies=[Reply(audio=reply)])
    # For silero it is no speech at all. webrtcvad takes up to 120 ms of what follows for speech, too: with the default,
    # this is a turn one time in ten.
    client_vad = ClientVAD(engine="webrtc", min_speech_ms=400)
    async with server, talking(server.url, VADMode.CLIENT, client_vad=client_vad) as talk:
        with sound_server.record(RATE) as recording, sound_server.echo(120, -12.0):
            talk.live.say("Tell me a story.")
            await eventually(lambda: talk.played_ms > 1_200, "the reply is heard")
            await asyncio.to_thread(sound_server.say, cough, RATE)
            await eventually(lambda: len(talk.of(SpeechStopped)) == 1, "it was no speech")
            await talk.speaker.drain()
            recorded = await all_of(recording)
    assert len(talk.of(SpeechStarted)) == 1
    assert talk.of(Interrupted) == []
    assert server.received("response.cancel") == server.received("conversation.item.truncate") == []
    heard = Heard(recorded, reply)
    ((at_ms, length_ms),) = heard.gaps
    assert at_ms > 1_200
    assert length_ms > 300
    assert heard.missing == []
    assert heard.found_ms == 3_500
    assert abs(sound_ms(recorded) - FADE_MS - 3_500) <= 10
