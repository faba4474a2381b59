"""Talking from Python: microphone and loudspeaker of a PortAudio without sound, against a scripted provider."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.audio.devices.fake_portaudio import RATE, FakeDevice, FakePortAudio
from tests.support.virtual_time import virtual_time
from voicecli import (
    AudioDeviceError,
    ConfigurationError,
    RealtimeConfig,
    RealtimeConnectionError,
    RealtimeVoice,
    VADMode,
    converse,
    open_devices,
)
from voicecli.audio import Microphone, Speaker
from voicecli.commands import AppendAudio, Command, PauseAudio
from voicecli.events import Event, Notice, SessionEnded, SpeechStarted, SpeechStopped, TranscriptUpdate
from voicecli.ports import Capabilities
from voicecli.testing import ScriptedConnection, reply, scripted_provider

SOUND = b"\x10\x20" * (RATE // 2)
SERVER = RealtimeConfig(vad_mode=VADMode.SERVER)


@pytest.fixture
def portaudio(monkeypatch: pytest.MonkeyPatch) -> FakePortAudio:
    """Calls to it take no time: it is for a virtual clock."""
    fake = FakePortAudio()
    fake.use(monkeypatch, inline=True)
    return fake


class Listening(ScriptedConnection):
    """Finds the end of a turn when it has heard 200 ms, and answers it."""

    def __init__(self) -> None:
        super().__init__(capabilities=Capabilities(input_rate=16_000, output_rate=RATE))

    async def send(self, command: Command) -> None:
        before = len(self.audio)
        await super().send(command)
        if before < 6_400 <= len(self.audio):
            self.play([SpeechStarted(), SpeechStopped(), *reply("Yes.", user="Hello?", audio=SOUND)])


async def until(condition: Callable[[], object], what: str) -> None:
    for _ in range(1_200):
        if condition():
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"not within a minute: {what}")


def played(portaudio: FakePortAudio) -> bytes:
    return b"".join(bytes(stream.played) for stream in portaudio.streams if stream.kind == "output")


@virtual_time
async def test_a_few_lines_hold_a_conversation(portaudio: FakePortAudio) -> None:
    connection = Listening()
    voice = RealtimeVoice(scripted_provider(connection=connection), config=SERVER)
    said: list[tuple[str, str]] = []
    events: list[Event] = []

    @voice.on_transcript
    async def show(text: str, is_final: bool, role: str) -> None:
        if is_final:
            said.append((role, text))

    async with portaudio.flowing():
        talking = asyncio.create_task(voice.talk(echo="off", observers=[events.append]))
        await until(lambda: SOUND[:20_000] in played(portaudio), "the reply is heard")
        connection.play([SessionEnded("bye")])
        await talking
    assert said == [("user", "Hello?"), ("assistant", "Yes.")]
    assert [event.text for event in events if isinstance(event, TranscriptUpdate)] == ["Hello?", "Yes."]
    assert not portaudio.running
    sent = next(command for command in connection.commands if isinstance(command, AppendAudio))
    assert len(sent.audio) == 640  # 20 ms at the provider's rate


@virtual_time
async def test_a_program_hears_what_is_sent_and_what_is_played(portaudio: FakePortAudio) -> None:
    class Log:
        def event(self, event: Event, at_ms: float) -> None:
            told.append(event)

        def command(self, command: Command, at_ms: float) -> None:
            told.append(command)

    connection = Listening()
    voice = RealtimeVoice(scripted_provider(connection=connection), config=SERVER)
    told: list[Event | Command] = []
    rendered: list[bytes] = []
    async with portaudio.flowing():
        logs, on_rendered = [Log()], lambda audio, at: rendered.append(audio)
        talking = asyncio.create_task(voice.talk(echo="off", logs=logs, on_rendered=on_rendered))
        await until(lambda: SOUND[:20_000] in b"".join(rendered), "the reply is heard")
        connection.play([SessionEnded("bye")])
        await talking
    sent = [command.audio for command in told if isinstance(command, AppendAudio)]
    assert b"".join(sent) == connection.audio
    assert isinstance(told[-1], SessionEnded)


@virtual_time
async def test_what_is_cancelled_closes_the_devices(portaudio: FakePortAudio) -> None:
    connection = Listening()
    async with portaudio.flowing():
        talking = asyncio.create_task(RealtimeVoice(scripted_provider(connection=connection)).talk())
        await until(lambda: connection.audio, "the microphone is heard")
        talking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await talking
    assert not portaudio.running
    with pytest.raises(RealtimeConnectionError):
        await connection.send(PauseAudio())


@virtual_time
async def test_the_same_step_by_step(portaudio: FakePortAudio) -> None:
    connection = Listening()
    portaudio.plugged.append(FakeDevice("headset"))
    portaudio._terminate()
    portaudio._initialize()
    voice = RealtimeVoice(scripted_provider(connection=connection), config=SERVER)
    async with (
        portaudio.flowing(),
        voice.connect() as session,
        open_devices(session, microphone="headset", speaker=0, echo="half-duplex") as devices,
    ):
        assert isinstance(devices.microphone, Microphone)
        assert isinstance(devices.speaker, Speaker)
        assert (devices.microphone.device, devices.speaker.device) == ("headset", "built-in")
        assert (devices.microphone.sample_rate, devices.speaker.sample_rate) == (16_000, RATE)
        assert devices.echo.active == "half-duplex"
        assert session.echo is devices.echo
        talking = asyncio.create_task(converse(session, devices.microphone, devices.speaker))
        await until(lambda: SOUND[:20_000] in played(portaudio), "the reply is heard")
        await session.aclose()
        await talking
    assert session.echo is None  # without devices nobody's voice is taken for an echo
    assert not portaudio.running


@virtual_time
async def test_a_lost_microphone_is_told_and_ends_the_turn(portaudio: FakePortAudio) -> None:
    connection = ScriptedConnection()
    notices: list[str] = []
    voice = RealtimeVoice(scripted_provider(connection=connection), config=SERVER)

    def tell(event: Event) -> None:
        if isinstance(event, Notice):
            notices.append(event.code)

    async with portaudio.flowing():
        talking = asyncio.create_task(voice.talk(observers=[tell]))
        await until(lambda: connection.audio, "the microphone is heard")
        portaudio.stall()
        await until(lambda: {"microphone_back", "loudspeaker_back"} <= set(notices), "both are back")
        connection.play([SessionEnded("bye")])
        await talking
    assert {"microphone_lost", "loudspeaker_lost"} < set(notices)
    assert connection.commands.count(PauseAudio()) == 1


@virtual_time
async def test_how_long_the_user_waited_is_told_to_the_session(
    portaudio: FakePortAudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = Listening()
    waited: list[int | None] = []
    voice = RealtimeVoice(scripted_provider(connection=connection), config=SERVER)
    async with portaudio.flowing(), voice.connect() as session:
        told = session.sound_heard

        def heard() -> int | None:
            waited.append(told())
            return waited[-1]

        monkeypatch.setattr(session, "sound_heard", heard)
        async with open_devices(session) as devices:
            talking = asyncio.create_task(converse(session, devices.microphone, devices.speaker))
            await until(lambda: waited, "the first sound is audible")
            await session.aclose()
            await talking
    assert waited[0] is not None


@virtual_time
@pytest.mark.parametrize(
    ("settings", "kind", "says"),
    [
        ({"microphone": "studio"}, AudioDeviceError, "studio"),
        ({"speaker": 7}, AudioDeviceError, "7"),
        ({"echo": "loud"}, ConfigurationError, "echo: 'loud' is unknown"),
    ],
)
async def test_what_cannot_be_opened_is_said(
    portaudio: FakePortAudio, settings: dict[str, Any], kind: type[Exception], says: str
) -> None:
    connection = ScriptedConnection()
    with pytest.raises(kind, match=says):
        await RealtimeVoice(scripted_provider(connection=connection)).talk(**settings)
    assert not portaudio.running
    with pytest.raises(RealtimeConnectionError):
        await connection.send(PauseAudio())


async def test_somebody_must_be_able_to_end_a_turn() -> None:
    voice = RealtimeVoice(scripted_provider(), config=RealtimeConfig(vad_mode=VADMode.NONE))
    with pytest.raises(ConfigurationError, match=r"vad_mode: in talk\(\) nobody could end a turn\. Choose SERVER"):
        await voice.talk()
