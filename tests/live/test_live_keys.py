"""Keys and speech of a live conversation, also while the provider is still dialled: in order, and nothing lost.

The microphone's device is the test's; everything above it is the command's own.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from tests.support.virtual_time import virtual_time
from voicecli.audio import Playhead
from voicecli.audio.devices.opening import DeviceFormat
from voicecli.cli.live import LiveConversation
from voicecli.cli.options import Devices
from voicecli.commands import AppendAudio, Command, EndTurn, PauseAudio, SendText, StartTurn
from voicecli.config import RealtimeConfig, VADMode
from voicecli.events import AudioChunk, ErrorOccurred, Event, Interrupted, ResponseStarted
from voicecli.ports import Connection, ConversationSetup
from voicecli.testing import ScriptedConnection, reply, scripted_provider
from voicecli.voice import RealtimeVoice

RATE = 24_000
CHUNK_MS = 20


class Stream:
    """A device that the test is."""

    alive = True
    blocks = missed = 0
    matters = False
    format = None

    def __init__(self, *_: object) -> None: ...
    async def open(self) -> None: ...
    async def aclose(self) -> None: ...


@pytest.fixture(autouse=True)
def no_device(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("microphone", "speaker"):
        monkeypatch.setattr(f"voicecli.audio.devices.{module}.DeviceStream", Stream)


class Sink:
    """A loudspeaker that is never done with what it has been given."""

    sample_rate = RATE

    def __init__(self) -> None:
        self._waiting = False
        self._heard = asyncio.Event()

    def write(self, audio: bytes, item_id: str) -> None:
        self._waiting = True

    def end(self) -> None: ...
    def clear(self) -> Playhead | None:
        self._waiting = False
        return None

    def pause(self) -> None: ...
    def resume(self) -> None: ...
    async def drain(self) -> None:
        if self._waiting:
            await self._heard.wait()

    async def aclose(self) -> None: ...


@dataclass
class Talk:
    """A live conversation, and what is said in it."""

    live: LiveConversation
    connection: ScriptedConnection
    answered: asyncio.Event
    holding: "asyncio.Task[None]"
    events: list[Event] = field(default_factory=list)
    format: DeviceFormat = field(default_factory=lambda: DeviceFormat("Microphone", RATE, 1))

    async def hear(self, value: int, ms: int, latency_ms: int = 0) -> None:
        """Let the microphone hear this sample for so long."""
        size = RATE * CHUNK_MS // 1000
        for _ in range(ms // CHUNK_MS):
            block = value.to_bytes(2, "little") * size
            self.live._microphone._record(block, self.format, latency_ms / 1000)
            await asyncio.sleep(CHUNK_MS / 1000)

    async def answer(self) -> None:
        """Let the provider answer the dialling."""
        self.answered.set()
        await asyncio.sleep(0.5)

    @property
    def commands(self) -> list[type[Command]]:
        return [type(command) for command in self.connection.commands if not isinstance(command, AppendAudio)]

    @property
    def sent_ms(self) -> dict[int, int]:
        """The part of each sample that was sent."""
        values = memoryview(self.connection.audio).cast("h").tolist()
        return {value: values.count(value) * 1000 // RATE for value in dict.fromkeys(values)}


@contextlib.asynccontextmanager
async def dialling(vad_mode: VADMode, connection: ScriptedConnection | None = None, **sink: Any) -> AsyncIterator[Talk]:
    """While the provider does not answer yet."""
    connection = connection or ScriptedConnection([reply("Yes.")])
    answered = asyncio.Event()

    async def connect(setup: ConversationSetup) -> Connection:
        await answered.wait()
        return connection

    provider = replace(scripted_provider(), connect=connect)
    config = RealtimeConfig(vad_mode=vad_mode)
    live = LiveConversation(config, provider.capabilities, Devices(echo="off"), sink=Sink())
    await live.open()
    events: list[Event] = []
    holding = asyncio.create_task(live.hold(RealtimeVoice(provider, config=config), [events.append]))
    await asyncio.sleep(0.01)
    yield Talk(live, connection, answered, holding, events)
    live.end()
    async with asyncio.timeout(5):
        await holding
    await live.aclose()


@virtual_time
async def test_a_turn_pushed_to_talk_while_dialling_is_sent_whole_and_no_more() -> None:
    async with dialling(VADMode.NONE) as talk:
        await talk.hear(1, 1_000)
        talk.live.talk(True)
        await talk.hear(2, 600)
        talk.live.talk(False)
        await asyncio.sleep(0.1)
        await talk.hear(3, 1_000)
        await talk.answer()
    assert talk.commands == [StartTurn, EndTurn]
    assert talk.sent_ms == {1: 300, 2: 600}


@virtual_time
async def test_a_key_that_is_held_while_the_provider_answers_sends_nothing_from_before_it() -> None:
    async with dialling(VADMode.NONE) as talk:
        await talk.hear(1, 3_000)
        talk.live.talk(True)
        await talk.hear(2, 500)
        await talk.answer()
        await talk.hear(2, 500)
        talk.live.talk(False)
        await asyncio.sleep(0.1)
    assert talk.commands == [StartTurn, EndTurn]
    assert talk.sent_ms == {1: 300, 2: 1_000}


@virtual_time
async def test_what_is_on_its_way_from_the_device_when_the_key_is_let_go_is_sent() -> None:
    async with dialling(VADMode.NONE) as talk:
        await talk.answer()
        await talk.hear(1, 100, latency_ms=100)
        talk.live.talk(True)
        await talk.hear(2, 600, latency_ms=100)
        talk.live.talk(False)
        await talk.hear(2, 100, latency_ms=100)
        await talk.hear(3, 200, latency_ms=100)
    assert talk.commands == [StartTurn, EndTurn]
    assert talk.sent_ms[2] == 700
    assert talk.sent_ms.get(3, 0) <= 40


@virtual_time
async def test_a_key_pressed_again_at_once_ends_the_turn_first() -> None:
    async with dialling(VADMode.NONE, ScriptedConnection([reply("Yes."), reply("No.")])) as talk:
        await talk.answer()
        talk.live.talk(True)
        await talk.hear(1, 400)
        talk.live.talk(False)
        talk.live.talk(True)
        await talk.hear(2, 400)
        talk.live.talk(False)
        await asyncio.sleep(0.1)
    assert talk.commands == [StartTurn, EndTurn, StartTurn, EndTurn]
    assert talk.sent_ms == {1: 400, 2: 400}


@virtual_time
async def test_a_line_typed_while_dialling_is_sent() -> None:
    async with dialling(VADMode.SERVER) as talk:
        talk.live.say("Hello?")
        await talk.hear(1, 100)
        await talk.answer()
    assert [command.text for command in talk.connection.commands if isinstance(command, SendText)] == ["Hello?"]
    assert talk.sent_ms == {1: 100}


@virtual_time
async def test_what_is_muted_while_dialling_is_not_sent() -> None:
    async with dialling(VADMode.SERVER) as talk:
        await talk.hear(1, 200)
        talk.live.mute_microphone(True)
        await talk.hear(2, 4_000)
        await talk.answer()
        await talk.hear(2, 1_000)
    assert talk.commands == [PauseAudio]
    assert talk.sent_ms == {1: 200, 0: 1_500}


@virtual_time
async def test_muting_again_counts_anew() -> None:
    async with dialling(VADMode.SERVER) as talk:
        await talk.answer()
        talk.live.mute_microphone(True)
        await talk.hear(1, 1_000)
        talk.live.mute_microphone(False)
        await talk.hear(2, 200)
        talk.live.mute_microphone(True)
        await talk.hear(3, 1_000)
        assert talk.commands == []
        await talk.hear(3, 1_000)
        assert talk.commands == [PauseAudio]
        talk.live.mute_microphone(False)
        await talk.hear(4, 200)
    assert talk.sent_ms == {0: 2_500 + 300, 2: 200, 4: 200}


@virtual_time
async def test_a_lost_microphone_ends_what_was_being_said() -> None:
    async with dialling(VADMode.SERVER) as talk:
        await talk.answer()
        await talk.hear(1, 100)
        talk.live._notice("microphone_lost", "It has stopped.")
        await asyncio.sleep(0.1)
    assert talk.commands == [PauseAudio]


@virtual_time
async def test_it_ends_though_a_reply_comes_after_the_key() -> None:
    async with dialling(VADMode.SERVER) as talk:
        await talk.answer()
        talk.connection.play([ResponseStarted("response"), AudioChunk(bytes(960), "response", "item")])
        await asyncio.sleep(0.1)
        talk.live.end()
        talk.live._sink.write(bytes(960), "item")
        async with asyncio.timeout(2):
            await talk.holding


@virtual_time
async def test_it_ends_though_the_provider_takes_no_sound() -> None:
    class Blocked(ScriptedConnection):
        async def send(self, command: Command) -> None:
            if isinstance(command, AppendAudio):
                await asyncio.Event().wait()
            await super().send(command)

    async with dialling(VADMode.SERVER, Blocked()) as talk:
        await talk.answer()
        await talk.hear(1, 200)
        talk.live.end()
        async with asyncio.timeout(2):
            await talk.holding


@virtual_time
async def test_a_microphone_that_is_closed_while_its_reader_is_busy_ends_the_conversation() -> None:
    """Sound has piled up, and the reader is in the middle of it."""

    class Slow(ScriptedConnection):
        async def send(self, command: Command) -> None:
            await asyncio.sleep(0.1)
            await super().send(command)

    async with dialling(VADMode.SERVER, Slow()) as talk:
        await talk.answer()
        await talk.hear(1, 1_000)
        await talk.live._microphone.aclose()
        async with asyncio.timeout(2):
            await talk.holding


@virtual_time
async def test_a_second_ctrl_c_stops_it_wherever_it_is() -> None:
    async with dialling(VADMode.SERVER) as talk:
        await talk.answer()
        outer = asyncio.create_task(talk.live.hold(RealtimeVoice(scripted_provider()), []))
        await asyncio.sleep(0.1)
        talk.live._ending = True
        outer.cancel()
        await asyncio.wait([outer])
        assert outer.cancelled()


@virtual_time
async def test_a_line_that_cannot_be_sent_is_told() -> None:
    async with dialling(VADMode.SERVER) as talk:
        talk.live.say(" ")
        await talk.answer()
        assert [str(event.error) for event in talk.events if isinstance(event, ErrorOccurred)] == [
            "The text to send is empty."
        ]
        assert not talk.holding.done()
        talk.live.talk(True)
        await asyncio.sleep(0.1)
        assert [event for event in talk.events if isinstance(event, Interrupted)] == []


@virtual_time
async def test_the_session_knows_what_takes_the_echo_out() -> None:
    """For what it may let through before it has settled."""
    async with dialling(VADMode.CLIENT) as talk:
        await talk.answer()
        session = talk.live._session
        assert session is not None
        assert session.echo is talk.live._microphone.echo is not None
