"""Interruptions: what is cut, where, and what the provider is told of it."""

import asyncio

import pytest

from tests.conversation.scripted import SECOND, SERVER, collect, conversation, until, words_first
from tests.support.player import Player
from voicecli import RealtimeConfig, RealtimeVoice, VADMode
from voicecli.audio import Playhead
from voicecli.audio.echo.control import NoEchoControl
from voicecli.commands import (
    AppendAudio,
    CancelResponse,
    EndTurn,
    StartTurn,
)
from voicecli.events import (
    AudioChunk,
    Interrupted,
    Reconnecting,
    ResponseDone,
    ResponseStarted,
    SessionEnded,
    SessionStarted,
    SpeechStarted,
    SpeechStopped,
)
from voicecli.ports import Capabilities
from voicecli.testing import ScriptedConnection, Step, reply, scripted_provider


async def test_a_turn_pauses_the_reply_then_cuts_it(speech: bytes) -> None:
    """Found here: silence comes with the first suspicion, the cut when it is a turn."""
    voice, connection = conversation(config=RealtimeConfig(vad_mode=VADMode.CLIENT))
    chunks: list[bytes] = []
    voice.on_audio(chunks.append)
    async with voice.connect() as session:
        session.player = player = Player(Playhead("item", 700))
        connection.play([ResponseStarted("r"), AudioChunk(SECOND, "r", "item"), ResponseDone("r")])
        await until(lambda: chunks)
        for start in range(0, len(speech), 640):
            await session.send_audio(speech[start : start + 640], sample_rate=16_000, wait=False)
        await session.end_turn()
    assert connection.cancelled == [CancelResponse("r", "item", 700, "playback")]
    assert player.told == ["pause", "clear"]
    kinds = [type(command) for command in connection.commands if not isinstance(command, AppendAudio)]
    assert kinds == [CancelResponse, StartTurn, EndTurn]


async def test_a_cough_lets_the_reply_go_on(speech: bytes) -> None:
    from voicecli import ClientVAD

    config = RealtimeConfig(vad_mode=VADMode.CLIENT, client_vad=ClientVAD(min_speech_ms=5_000))
    voice, connection = conversation(config=config)
    async with voice.connect() as session:
        session.player = player = Player(Playhead("item", 700))
        connection.play([ResponseStarted("r"), AudioChunk(SECOND, "r", "item")])
        await session.send_audio(speech + bytes(64_000), sample_rate=16_000, wait=False)
    assert connection.commands == []
    assert player.told == ["pause", "resume"]


@pytest.mark.parametrize(
    ("settled", "told"), [(True, ["pause", "clear"]), (False, ["pause", "resume"])], ids=["settled", "not settled"]
)
async def test_what_may_be_an_echo_cuts_a_reply_only_when_it_lasts(
    speech: bytes, settled: bool, told: list[str]
) -> None:
    class Echo(NoEchoControl):
        pass

    Echo.settled = settled
    voice, connection = conversation(config=RealtimeConfig(vad_mode=VADMode.CLIENT))
    chunks: list[bytes] = []
    voice.on_audio(chunks.append)
    async with voice.connect() as session:
        session.player, session.echo = (player := Player(Playhead("item", 700))), Echo()
        connection.play([ResponseStarted("r"), AudioChunk(SECOND, "r", "item")])
        await until(lambda: chunks)
        short = speech[: 16_000 * 2 * 4 // 10]  # 0.4 s
        await session.send_audio(short + bytes(64_000), sample_rate=16_000, wait=False)
        assert player.told == told
        if not settled:
            await session.send_audio(speech, sample_rate=16_000, wait=False)
            assert player.told == [*told, "pause", "clear"]


async def test_an_utterance_is_no_echo_however_short_it_is(speech: bytes) -> None:
    class Unsettled(NoEchoControl):
        settled = False

    voice, connection = conversation(config=RealtimeConfig(vad_mode=VADMode.CLIENT))
    async with voice.connect() as session:
        session.echo = Unsettled()
        asking = asyncio.create_task(session.ask(speech[: 16_000 * 2 * 4 // 10], sample_rate=16_000))
        await until(lambda: any(isinstance(command, AppendAudio | EndTurn) for command in connection.commands))
        asking.cancel()
    assert any(isinstance(command, EndTurn) for command in connection.commands)


async def test_without_a_player_to_pause_a_voice_interrupts_at_once() -> None:
    voice, connection = words_first(VADMode.SERVER)
    async with voice.connect():
        connection.play([ResponseStarted("r"), AudioChunk(SECOND * 60, "r", "item"), SpeechStarted()])
        await until(lambda: connection.cancelled)
    (cancel,) = connection.cancelled
    assert cancel.item_id == "item"


async def test_speech_cuts_the_reply_where_the_player_says() -> None:
    voice, connection = conversation()
    async with voice.connect() as session:
        session.player = Player(Playhead("item", 420))
        events = asyncio.create_task(collect(session))
        connection.play([ResponseStarted("r"), AudioChunk(SECOND, "r", "item"), SpeechStarted()])
        # The provider notices by itself as well: that is told once.
        connection.play([Interrupted("r", "item"), ResponseDone("r", "cancelled")])
        await until(lambda: connection.cancelled)
        connection.play([SessionEnded("bye")])
        seen = await events
    assert connection.cancelled == [CancelResponse("r", "item", 420)]
    assert [event for event in seen if isinstance(event, Interrupted)] == [Interrupted("r", "item")]
    assert seen.index(SpeechStarted()) < seen.index(Interrupted("r", "item"))


async def test_without_a_player_what_was_heard_is_estimated() -> None:
    voice, connection = conversation()
    async with voice.connect() as session:
        connection.play([ResponseStarted("r"), AudioChunk(SECOND * 60, "r", "item")])
        await until(lambda: session.awaiting_reply)
        await asyncio.sleep(0)
        await session.interrupt()
    (cancel,) = connection.cancelled
    assert cancel.item_id == "item"
    assert cancel.played_ms is not None
    assert 0 <= cancel.played_ms < 59_000


async def test_whoever_interrupts_may_know_better_what_was_heard() -> None:
    voice, connection = conversation()
    async with voice.connect() as session:
        session.player = player = Player(Playhead("item", 999))
        connection.play([ResponseStarted("r"), AudioChunk(SECOND, "r", "item")])
        await until(lambda: session.awaiting_reply)
        await session.interrupt(Playhead("item", 250))
    assert connection.cancelled == [CancelResponse("r", "item", 250)]
    assert player.told == ["clear"]


async def test_interrupting_nothing_sends_nothing() -> None:
    voice, connection = conversation(reply("Yes.", audio=b""))
    async with voice.connect() as session:
        await session.interrupt()
        await session.send_text("Hello")
        await session.interrupt()
    assert connection.cancelled == []


async def test_speech_that_may_not_interrupt_does_not() -> None:
    from voicecli import ServerVAD

    voice, connection = conversation(config=RealtimeConfig(turn_detection=ServerVAD(interrupt_response=False)))
    async with voice.connect() as session:
        events = asyncio.create_task(collect(session))
        connection.play([ResponseStarted("r"), AudioChunk(SECOND, "r", "item"), SpeechStarted(), SessionEnded("bye")])
        assert SpeechStarted() in await events
    assert connection.cancelled == []


async def test_audio_that_waits_for_a_slow_handler_is_dropped_on_interruption() -> None:
    voice, connection = conversation()
    first = asyncio.Event()
    go_on = asyncio.Event()
    heard: list[bytes] = []

    @voice.on_audio
    async def play(audio: bytes) -> None:
        heard.append(audio)
        first.set()
        await go_on.wait()

    async with voice.connect() as session:
        connection.play([ResponseStarted("r"), *(AudioChunk(bytes([n, 0]), "r", "item") for n in range(5))])
        await first.wait()
        await session.interrupt()
        go_on.set()
    assert heard == [b"\0\0"]


async def test_a_reply_can_be_interrupted_before_it_begins() -> None:
    """It is cut when it begins; a later turn's is not."""
    voice, connection = conversation()
    async with voice.connect() as session:
        events = asyncio.create_task(collect(session))
        await asyncio.sleep(0)
        await session.send_text("First", wait=False)
        await session.interrupt()
        assert not session.awaiting_reply
        connection.play([ResponseStarted("r1"), AudioChunk(SECOND, "r1", "i1")])
        await until(lambda: len(connection.cancelled) == 2)
        connection.play([ResponseDone("r1", "cancelled")])
        await session.wait_for_reply()
        await session.send_text("Second", wait=False)
        connection.play([ResponseStarted("r2"), AudioChunk(SECOND, "r2", "i2"), ResponseDone("r2")])
        await session.wait_for_reply()
        connection.play([SessionEnded("bye")])
        seen = await events
    assert connection.cancelled == [CancelResponse(), CancelResponse("r1")]
    assert [event for event in seen if isinstance(event, Interrupted)] == [Interrupted("r1")]
    assert [event.item_id for event in seen if isinstance(event, AudioChunk)] == ["i2"]


async def test_an_interruption_that_comes_too_late_does_not_hide_how_it_ended() -> None:
    voice, connection = conversation()
    async with voice.connect() as session:
        session.player = Player(Playhead("item", 420))
        connection.play([ResponseStarted("r"), AudioChunk(SECOND, "r", "item"), SpeechStarted()])
        await connection.aclose()  # with these still to be read; commands are refused from now on
        kinds = [type(event) for event in await collect(session)]
    assert kinds[-2:] == [Interrupted, SessionEnded]
    assert connection.cancelled == []


@pytest.mark.parametrize("reports", [True, False])
async def test_while_the_connection_is_made_again_a_voice_is_noticed_here(reports: bool, speech: bytes) -> None:
    """Its provider cannot hear it; when it is back, it hears the same voice, and what it then says of it is no news."""
    capabilities = Capabilities(input_rate=16_000, output_rate=24_000, reports_speech=reports)
    connection = ScriptedConnection(capabilities=capabilities)
    back = SessionStarted("s", "m", "v", 16_000, 24_000, resumed=True)
    async with RealtimeVoice(scripted_provider(connection=connection), config=SERVER).connect() as session:
        session.player = player = Player(Playhead("item", 420))
        events = asyncio.create_task(collect(session))
        await asyncio.sleep(0)
        connection.play([ResponseStarted("r"), AudioChunk(SECOND, "r", "item"), Reconnecting(1, 0.0, "gone")])
        await until(lambda: session.state.assistant == "reconnecting")
        await session.send_audio(bytes(32_000) + speech, wait=False)
        assert player.told == ["clear"]
        assert connection.cancelled == [CancelResponse("r", "item", 420)]
        told: list[Step] = [SpeechStarted(), SpeechStopped()] if reports else []
        connection.play([back, ResponseDone("r", "incomplete"), *told])
        await until(lambda: session.state.assistant != "reconnecting")
        await session.send_audio(bytes(64_000) + speech + bytes(64_000), wait=False)
        connection.play([SessionEnded("bye")])
        seen = await events
    assert sum(isinstance(event, Interrupted) for event in seen) == 1
    assert sum(isinstance(event, SpeechStarted) for event in seen) == (1 if reports else 2)
    assert connection.cancelled == [CancelResponse("r", "item", 420)]


async def test_while_the_connection_is_made_again_a_noise_costs_no_answer_of_which_nothing_came(speech: bytes) -> None:
    capabilities = Capabilities(input_rate=16_000, output_rate=24_000)
    connection = ScriptedConnection(capabilities=capabilities)
    async with RealtimeVoice(scripted_provider(connection=connection), config=SERVER).connect() as session:
        session.player = Player()
        connection.play([SpeechStarted(), SpeechStopped(), ResponseStarted("r"), Reconnecting(1, 0.0, "gone")])
        await until(lambda: session.state.assistant == "reconnecting")
        await session.send_audio(bytes(32_000) + speech, wait=False)
        assert connection.cancelled == []
        assert session.awaiting_reply
