"""A live conversation that sleeps: what wakes it, what it sends then, and when it falls asleep again.

The microphone's device and the wake word's detector are the test's; everything above them is the command's own.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from tests.live.test_live_keys import CHUNK_MS, RATE, Sink, Stream
from tests.support.virtual_time import virtual_time
from voicecli.audio import AudioSink, EchoMode, WakeWord
from voicecli.audio.devices.opening import DeviceFormat
from voicecli.audio.devices.speaker import Speaker
from voicecli.audio.playout.jitter_buffer import JitterStats
from voicecli.cli.live import LiveConversation
from voicecli.cli.options import Devices, Sleep
from voicecli.cli.recordings import Recordings
from voicecli.commands import Command, EndTurn, SendText, StartTurn
from voicecli.config import RealtimeConfig, VADMode
from voicecli.errors import AuthenticationError, LimitReachedError, RealtimeConnectionError, RealtimeError
from voicecli.events import (
    Asleep,
    Awake,
    ErrorOccurred,
    Event,
    Notice,
    ResponseStarted,
    SessionEnded,
    SessionStarted,
    StateChanged,
    Usage,
)
from voicecli.ports import Connection, ConversationSetup
from voicecli.testing import ScriptedConnection, reply, scripted_provider
from voicecli.transcript import Turn
from voicecli.voice import RealtimeVoice

WORD = 7
"""The sample that is the wake word."""
SLEEP_AFTER_S = 60.0


class MarkDetector:
    """Hears the wake word in samples of WORD; the utterance began half a second ago."""

    async def hear(self, audio: bytes) -> int | None:
        return 500 if WORD in memoryview(audio).cast("h").tolist() else None

    def reset(self) -> None: ...
    async def aclose(self) -> None: ...


@pytest.fixture(autouse=True)
def no_device(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("microphone", "speaker"):
        monkeypatch.setattr(f"voicecli.audio.devices.{module}.DeviceStream", Stream)

    async def load(phrase: str, sample_rate: int) -> WakeWord:
        return WakeWord(phrase, sample_rate, MarkDetector())

    monkeypatch.setattr(WakeWord, "load", load)


@dataclass
class Bed:
    """A live conversation that began asleep.

    Attributes:
        connections: those that were made, in order.
        histories: what each was told of the ones before.
        failures: of the next attempts to connect.
    """

    live: LiveConversation
    holding: "asyncio.Task[None]"
    events: list[Event]
    connections: list[ScriptedConnection]
    histories: list[Sequence[Turn]]
    failures: list[RealtimeError]
    format: DeviceFormat = field(default_factory=lambda: DeviceFormat("Microphone", RATE, 1))

    async def hear(self, value: int, ms: int) -> None:
        """Let the microphone hear this sample for so long."""
        block = value.to_bytes(2, "little") * (RATE * CHUNK_MS // 1000)
        for _ in range(ms // CHUNK_MS):
            self.live._microphone._record(block, self.format, 0.0)
            await asyncio.sleep(CHUNK_MS / 1000)

    @property
    def course(self) -> list[object]:
        """The events that tell of sleep and sessions."""
        kinds = {SessionStarted: "started", SessionEnded: "ended", Asleep: "asleep", ErrorOccurred: "error"}
        named = [event.by if isinstance(event, Awake) else kinds.get(type(event)) for event in self.events]
        return [name for name in named if name]

    def sent_ms(self, connection: int = -1) -> dict[int, int]:
        """The part of each sample that was sent."""
        values = memoryview(self.connections[connection].audio).cast("h").tolist()
        return {value: values.count(value) * 1000 // RATE for value in dict.fromkeys(values)}

    def commands(self, kind: type[Command]) -> int:
        return sum(isinstance(command, kind) for command in self.connections[-1].commands)


@contextlib.asynccontextmanager
async def sleeping(
    vad_mode: VADMode = VADMode.SERVER,
    script: Sequence[Any] = (),
    failures: Sequence[RealtimeError] = (),
    sink: AudioSink | None = None,
    echo: EchoMode = "off",
    recordings: Recordings | None = None,
    **settings: Any,
) -> AsyncIterator[Bed]:
    """Asleep, until the block is over or the conversation ends by itself; without a sink, with a loudspeaker."""
    connections: list[ScriptedConnection] = []
    histories: list[Sequence[Turn]] = []
    pending = list(failures)

    async def connect(setup: ConversationSetup) -> Connection:
        await asyncio.sleep(0.3)  # a handshake
        if pending:
            raise pending.pop(0)
        histories.append(setup.history)
        connections.append(ScriptedConnection(script))
        return connections[-1]

    provider = replace(scripted_provider(), connect=connect)
    config = RealtimeConfig(vad_mode=vad_mode, **settings)
    sleep = Sleep("computer", SLEEP_AFTER_S)
    devices = Devices(echo=echo)
    live = LiveConversation(config, provider.capabilities, devices, sink=sink, sleep=sleep, recordings=recordings)
    await live.open()
    events: list[Event] = []
    observers = [events.append, live.view.apply]
    holding = asyncio.create_task(live.hold(RealtimeVoice(provider, config=config), observers))
    await asyncio.sleep(0.01)
    yield Bed(live, holding, events, connections, histories, pending)
    live.end()
    try:
        async with asyncio.timeout(5):
            await holding
    finally:
        await live.aclose()


@virtual_time
async def test_asleep_nothing_is_connected_and_what_is_heard_is_forgotten() -> None:
    async with sleeping(sink=Sink()) as bed:
        await bed.hear(1, 30_000)
        assert bed.connections == []
        assert bed.course == ["asleep"]


@virtual_time
async def test_the_wake_word_begins_a_conversation_with_what_was_said_with_it() -> None:
    async with sleeping(sink=Sink()) as bed:
        await bed.hear(1, 5_000)
        await bed.hear(2, 400)
        await bed.hear(WORD, 100)
        await bed.hear(3, 2_000)  # while the provider is dialled, and on
        assert bed.course == ["asleep", "word", "started"]
        assert bed.sent_ms() == {2: 400, WORD: 100, 3: 2_000}
        await asyncio.sleep(1)
    assert bed.course == ["asleep", "word", "started", "ended"]


@virtual_time
async def test_it_falls_asleep_when_nobody_speaks_and_goes_on_when_it_is_woken() -> None:
    async with sleeping(sink=Sink(), script=[reply("It is three.", user="What time is it?")]) as bed:
        await bed.hear(WORD, 100)
        await asyncio.sleep(1)
        bed.live.say("What time is it?")
        await asyncio.sleep(SLEEP_AFTER_S - 2)
        assert bed.course == ["asleep", "word", "started"]
        await asyncio.sleep(4)
        assert bed.course == ["asleep", "word", "started", "ended", "asleep"]
        await bed.hear(1, 5_000)
        await bed.hear(WORD, 100)
        await asyncio.sleep(1)
        assert bed.course[5:] == ["word", "started"]
        texts = [(turn.role, turn.text) for turn in bed.histories[1]]
        assert ("user", "What time is it?") in texts
        assert ("assistant", "It is three.") in texts
        assert 1 not in bed.sent_ms()


@pytest.mark.parametrize("busy", [StateChanged("speaking", "listening"), StateChanged("silent", "thinking")])
def test_it_does_not_fall_asleep_while_somebody_speaks_or_is_owed_an_answer(busy: StateChanged) -> None:
    @virtual_time
    async def talk() -> None:
        async with sleeping(sink=Sink()) as bed:
            await bed.hear(WORD, 100)
            await asyncio.sleep(1)
            assert bed.live._sleeper is not None
            bed.live._sleeper(busy)
            await asyncio.sleep(3 * SLEEP_AFTER_S)
            assert bed.course == ["asleep", "word", "started"]
            bed.live._sleeper(StateChanged("silent", "listening"))
            await asyncio.sleep(SLEEP_AFTER_S - 1)
            assert bed.course == ["asleep", "word", "started"]
            await asyncio.sleep(2)
            assert bed.course == ["asleep", "word", "started", "ended", "asleep"]

    talk()


@virtual_time
async def test_a_key_wakes_it() -> None:
    async with sleeping(sink=Sink()) as bed:
        await bed.hear(1, 1_000)
        bed.live.wake()
        await bed.hear(2, 1_000)
        assert bed.course == ["asleep", "key", "started"]
        assert bed.sent_ms()[2] == 1_000
        bed.live.wake()  # without effect
        await asyncio.sleep(1)
        assert len(bed.connections) == 1


@virtual_time
async def test_a_line_that_is_typed_wakes_it_and_is_sent() -> None:
    async with sleeping(sink=Sink(), script=[reply("Yes.")]) as bed:
        await bed.hear(1, 1_000)
        bed.live.say("Hello?")
        await bed.hear(1, 1_000)
        assert bed.course == ["asleep", "key", "started"]
        assert [each.text for each in bed.connections[0].commands if isinstance(each, SendText)] == ["Hello?"]


@virtual_time
async def test_a_line_that_woke_it_in_vain_is_told() -> None:
    async with sleeping(sink=Sink(), failures=[RealtimeConnectionError("The network is gone.")]) as bed:
        bed.live.say("Buy milk.")
        await bed.hear(1, 1_000)
        assert bed.course == ["asleep", "key", "error", "asleep", "error"]
        *_, told = (event for event in bed.events if isinstance(event, ErrorOccurred))
        assert "Buy milk." in told.error.message


@virtual_time
async def test_the_talk_key_wakes_it_and_its_turn_is_whole() -> None:
    async with sleeping(VADMode.NONE, [reply("Yes.")], sink=Sink()) as bed:
        await bed.hear(1, 1_000)
        bed.live.talk(True)
        await bed.hear(2, 600)
        bed.live.talk(False)
        await asyncio.sleep(0.1)
        await bed.hear(3, 1_000)
        assert bed.sent_ms() == {1: 300, 2: 600}
        assert (bed.commands(StartTurn), bed.commands(EndTurn)) == (1, 1)
        bed.live.talk(True)
        await bed.hear(4, 2 * int(SLEEP_AFTER_S) * 1000)  # a long turn
        assert bed.course == ["asleep", "key", "started"]


@virtual_time
async def test_a_talk_key_that_is_held_when_it_falls_asleep_wakes_it_again() -> None:
    """As when it comes down while the connection is closed."""
    async with sleeping(VADMode.NONE, [reply("Yes.")], sink=Sink()) as bed:
        bed.live.wake()
        await bed.hear(1, 1_000)
        assert bed.live._session is not None
        closing = asyncio.create_task(bed.live._session.aclose())
        bed.live.talk(True)
        await bed.hear(2, 1_000)
        await closing
        assert bed.course == ["asleep", "key", "started", "ended", "asleep", "key", "started"]
        bed.live.talk(False)
        await bed.hear(3, 500)
        assert bed.commands(EndTurn) == 1


@virtual_time
async def test_with_push_to_talk_the_wake_word_connects_and_sends_nothing() -> None:
    async with sleeping(VADMode.NONE, sink=Sink()) as bed:
        await bed.hear(WORD, 100)
        await bed.hear(1, 2_000)
        assert bed.course == ["asleep", "word", "started"]
        assert bed.connections[0].audio == b""


@virtual_time
async def test_a_muted_microphone_does_not_wake_it_and_is_unmuted_asleep() -> None:
    async with sleeping(sink=Sink()) as bed:
        bed.live.mute_microphone(True)
        await bed.hear(WORD, 4_000)
        assert bed.course == ["asleep"]
        bed.live.mute_microphone(False)
        await bed.hear(WORD, 100)
        await bed.hear(3, 1_000)
        assert bed.course == ["asleep", "word", "started"]
        assert bed.sent_ms()[3] == 1_000


@virtual_time
async def test_a_microphone_that_is_lost_and_back_is_listened_to() -> None:
    async with sleeping(sink=Sink()) as bed:
        bed.live._notice("microphone_lost", "It has stopped.")
        await asyncio.sleep(1)
        bed.live._notice("microphone_back", "It is back.")
        await bed.hear(WORD, 100)
        await asyncio.sleep(1)
        assert bed.course == ["asleep", "word", "started"]
        assert [event.code for event in bed.events if isinstance(event, Notice)] == [
            "microphone_lost",
            "microphone_back",
        ]


@virtual_time
async def test_it_ends_while_it_is_dialled() -> None:
    async with sleeping(sink=Sink()) as bed:
        await bed.hear(WORD, 100)
        assert bed.course == ["asleep", "word"]
        bed.live.end()
        async with asyncio.timeout(1):
            await bed.holding
    assert bed.course == ["asleep", "word"]


@virtual_time
async def test_a_provider_that_cannot_be_reached_is_told_and_it_sleeps_on() -> None:
    async with sleeping(sink=Sink(), failures=[RealtimeConnectionError("The network is gone.")]) as bed:
        await bed.hear(WORD, 100)
        await asyncio.sleep(1)
        assert bed.course == ["asleep", "word", "error", "asleep"]
        await bed.hear(WORD, 100)
        await asyncio.sleep(1)
        assert bed.course[4:] == ["word", "started"]


@virtual_time
async def test_a_conversation_that_fails_is_told_and_its_history_goes_on() -> None:
    async with sleeping(sink=Sink()) as bed:
        await bed.hear(WORD, 100)
        await asyncio.sleep(1)
        bed.connections[0].play([ResponseStarted("r"), *reply("One.")[1:2], RealtimeConnectionError("It broke.")])
        await asyncio.sleep(1)
        assert bed.course == ["asleep", "word", "started", "ended", "error", "asleep"]


@virtual_time
async def test_a_wrong_key_ends_it() -> None:
    with pytest.raises(AuthenticationError, match="wrong key"):
        async with sleeping(sink=Sink(), failures=[AuthenticationError("This is a wrong key.")]) as bed:
            await bed.hear(WORD, 100)
            await asyncio.sleep(1)
            assert bed.holding.done()


@virtual_time
async def test_asleep_the_loudspeaker_is_closed_and_no_echo_is_taken_out() -> None:
    open_now: set[str] = set()

    class Counted(Stream):
        def __init__(self, kind: str, *_: object) -> None:
            self.kind = kind

        async def open(self) -> None:
            open_now.add(self.kind)

        async def aclose(self) -> None:
            open_now.discard(self.kind)

    with pytest.MonkeyPatch.context() as patch:
        for module in ("microphone", "speaker"):
            patch.setattr(f"voicecli.audio.devices.{module}.DeviceStream", Counted)
        async with sleeping(echo="gate") as bed:
            microphone = bed.live._microphone
            assert open_now == {"input"}
            assert microphone.echo is None
            bed.live.mute_speaker(True)
            await bed.hear(WORD, 100)
            await asyncio.sleep(1)
            assert open_now == {"input", "output"}
            assert microphone.echo is not None
            assert bed.live.audio().echo == "gate"
            assert bed.live._speaker is not None
            assert bed.live._speaker.muted, "as it was told asleep"
            await asyncio.sleep(2 * SLEEP_AFTER_S)
            assert open_now == {"input"}
            assert microphone.echo is None


@virtual_time
async def test_underruns_of_loudspeakers_that_were_closed_are_counted_on() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Speaker, "stats", JitterStats(underruns=1))
        async with sleeping() as bed:
            counts = []
            for _ in range(2):
                await bed.hear(WORD, 100)
                await asyncio.sleep(1)
                counts.append(bed.live.audio().underruns)
                await asyncio.sleep(2 * SLEEP_AFTER_S)
            assert counts == [2, 3]
            assert bed.live.audio().underruns == 3


@virtual_time
async def test_asleep_no_minutes_pass_and_awake_they_go_on() -> None:
    with pytest.raises(LimitReachedError, match=r"The limit of 1\.5 min is reached"):
        async with sleeping(sink=Sink(), max_minutes=1.5, idle_minutes=60) as bed:
            bed.live.wake()
            await asyncio.sleep(SLEEP_AFTER_S + 5)
            assert bed.course == ["asleep", "key", "started", "ended", "asleep"]
            await asyncio.sleep(10_000)
            bed.live.wake()
            await asyncio.sleep(25)
            assert bed.course[5:] == ["key", "started"]
            await asyncio.sleep(10)
            assert bed.course[7:] == ["ended"]


@virtual_time
async def test_the_cost_of_all_sessions_counts() -> None:
    def costing() -> list[Any]:
        return [reply("Yes.", usage=Usage(cost_usd=0.3))]

    with pytest.raises(LimitReachedError, match=r"the conversation has cost \$0\.60"):
        async with sleeping(sink=Sink(), script=costing(), max_cost=0.5) as bed:
            for _ in range(2):
                bed.live.say("Are you there?")
                await asyncio.sleep(SLEEP_AFTER_S + 5)
    assert bed.course == ["asleep", "key", "started", "ended", "asleep", "key", "started", "ended"]
