"""The session over a scripted provider: what is sent, what is delivered, in which order."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.player import Player
from voicecli import RealtimeConfig, RealtimeVoice, VADMode
from voicecli.audio import Playhead
from voicecli.commands import (
    AppendAudio,
    CancelResponse,
    EndTurn,
    PauseAudio,
    SendImage,
    SendText,
    StartTurn,
    ToolResult,
)
from voicecli.conversation.session import VoiceSession
from voicecli.errors import AudioFormatError, ConfigurationError, RealtimeConnectionError, RealtimeError, ToolError
from voicecli.events import (
    AudioChunk,
    AudioDone,
    ErrorOccurred,
    Event,
    Interrupted,
    Notice,
    Reconnecting,
    ResponseDone,
    ResponseStarted,
    SessionEnded,
    SessionStarted,
    SpeechStarted,
    SpeechStopped,
    ToolCallCancelled,
    ToolCallFinished,
    ToolCallRequest,
    TranscriptUpdate,
    Usage,
)
from voicecli.ports import Capabilities
from voicecli.testing import ScriptedConnection, Step, reply, scripted_provider, tool_call

SECOND = bytes(48_000)
MANUAL = RealtimeConfig(vad_mode=VADMode.NONE, response_timeout_s=5)


def conversation(
    *script: list[Step], config: RealtimeConfig = MANUAL, tools: Any = ()
) -> tuple[RealtimeVoice, ScriptedConnection]:
    connection = ScriptedConnection(script)
    return RealtimeVoice(scripted_provider(connection=connection), config=config, tools=tools), connection


async def until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"provider": 3}, "provider: a name is wanted, not int. There are openai"),
        ({"config": {}}, "config: a RealtimeConfig is wanted, not dict"),
    ],
)
def test_arguments_of_another_type_are_named(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        RealtimeVoice(**arguments)


async def collect(session: VoiceSession) -> list[Event]:
    return [event async for event in session]


# -- one utterance in, one answer out


async def test_an_utterance_is_answered() -> None:
    usage = Usage(output_audio_tokens=7)
    voice, connection = conversation(reply("It is Paris.", user="Which city?", audio=b"\1\2" * 10, usage=usage))
    async with voice.connect() as session:
        response = await session.send_audio(SECOND)
    assert response is not None
    assert response.transcript == "It is Paris."
    assert response.user_transcript == "Which city?"
    assert response.audio == b"\1\2" * 10
    assert response.sample_rate == 24_000
    assert response.status == "completed"
    assert response.usage == usage
    assert response.metrics.first_audio_ms is not None
    assert connection.audio == SECOND
    assert isinstance(connection.commands[0], StartTurn)
    assert isinstance(connection.commands[-1], EndTurn)


async def test_text_is_answered_and_stands_in_the_history() -> None:
    voice, connection = conversation(reply("Hello you."))
    async with voice.connect() as session:
        response = await session.send_text("Hello")
        assert response is not None
        assert response.transcript == "Hello you."
        assert response.user_transcript == "Hello"
        assert [(turn.role, turn.text) for turn in session.history] == [("user", "Hello"), ("assistant", "Hello you.")]
    assert [command.text for command in connection.commands if isinstance(command, SendText)] == ["Hello"]


async def test_audio_comes_from_an_iterator_and_at_another_rate() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(50):
            yield bytes(160 * 2)  # 20 ms at 8 kHz

    voice, connection = conversation(reply("Yes."))
    async with voice.connect() as session:
        response = await session.send_audio(chunks(), sample_rate=8_000)
    assert response is not None
    assert len(connection.audio) == len(SECOND)


async def test_usage_of_a_turn_with_a_tool_is_the_sum() -> None:
    def look() -> str:
        """Look."""
        return "sun"

    first = tool_call("look", "")
    first[-1] = ResponseDone("response_tool", usage=Usage(input_text_tokens=2), awaits_tools=True)
    voice, connection = conversation(first, reply("Sun.", usage=Usage(input_text_tokens=3)), tools=[look])
    async with voice.connect() as session:
        response = await session.send_text("Weather?")
        assert session.usage.input_text_tokens == 5
    assert response is not None
    assert response.usage.input_text_tokens == 5
    assert response.transcript == "Sun."
    assert ToolResult("call_1", "sun") in connection.commands


async def test_half_a_sample_is_refused_before_anything_is_sent() -> None:
    voice, connection = conversation()
    async with voice.connect() as session:
        with pytest.raises(AudioFormatError, match="3 bytes are not PCM16"):
            await session.send_audio(b"abc")
    assert connection.commands == []


async def test_a_failed_answer_raises_what_the_provider_said() -> None:
    failed: list[Step] = [
        ResponseStarted("r"),
        ErrorOccurred(RealtimeError("The model is overloaded.")),
        ResponseDone("r", "failed", "server_error"),
    ]
    voice, _ = conversation(failed, [ResponseStarted("r2"), ResponseDone("r2", "failed", "server_error")])
    async with voice.connect() as session:
        with pytest.raises(RealtimeError, match="overloaded"):
            await session.send_text("Hello")
        with pytest.raises(RealtimeError, match="server_error"):
            await session.send_text("Hello")


async def test_no_answer_is_said_after_the_timeout() -> None:
    voice, _ = conversation(config=RealtimeConfig(vad_mode=VADMode.NONE, response_timeout_s=0.05))
    async with voice.connect() as session:
        with pytest.raises(RealtimeError, match=r"No answer came within 0\.05 s"):
            await session.send_text("Hello")


async def test_wait_decides_explicitly() -> None:
    voice, connection = conversation(reply("One."), reply("Two."))
    voice.on_audio(lambda audio: None)
    async with voice.connect() as session:
        assert await session.send_audio(SECOND) is None
        assert not any(isinstance(command, EndTurn) for command in connection.commands)
        response = await session.send_audio(SECOND, wait=True)
        assert response is not None
        assert response.transcript == "One."
        assert await session.send_text("Hello", wait=False) is None
        await session.wait_for_reply()


# -- turns


async def test_client_turns_send_only_speech_and_say_so(speech: bytes) -> None:
    """Speech between two seconds of silence: one turn, most of the silence unsent."""
    voice, connection = conversation(reply("Yes."), config=RealtimeConfig(vad_mode=VADMode.CLIENT))
    silence = bytes(16_000 * 2 * 2)
    audio = silence + speech + silence
    async with voice.connect() as session:
        events = asyncio.create_task(collect(session))
        await asyncio.sleep(0)
        for start in range(0, len(audio), 640):
            await session.send_audio(audio[start : start + 640], sample_rate=16_000)
        await session.wait_for_reply()
    kinds = [type(event) for event in await events]
    assert kinds[:3] == [SessionStarted, SpeechStarted, SpeechStopped]
    assert [type(command) for command in connection.commands if not isinstance(command, AppendAudio)] == [
        StartTurn,
        EndTurn,
    ]
    sent_s = len(connection.audio) / 48_000
    speech_s = len(speech) / 32_000
    assert speech_s - 0.2 < sent_s < speech_s + 1.5


async def test_an_utterance_without_speech_is_no_turn() -> None:
    voice, connection = conversation(config=RealtimeConfig(vad_mode=VADMode.CLIENT))
    async with voice.connect() as session:
        response = await session.send_audio(SECOND)
    assert response is not None
    assert response.status == "no_speech"
    assert connection.commands == []


async def test_an_utterance_with_a_pause_is_one_turn(speech: bytes) -> None:
    voice, connection = conversation(reply("Yes."), config=RealtimeConfig(vad_mode=VADMode.CLIENT))
    async with voice.connect() as session:
        await session.send_audio(speech + bytes(64_000) + speech, sample_rate=16_000)
    assert sum(isinstance(command, EndTurn) for command in connection.commands) == 1


async def test_ending_no_turn_sends_nothing() -> None:
    voice, connection = conversation()
    async with voice.connect() as session:
        await session.end_turn()
    assert connection.commands == []


# -- interruption


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
    assert connection.cancelled == [CancelResponse("item", 700, whole=True)]
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


def words_first(vad_mode: VADMode) -> tuple[RealtimeVoice, ScriptedConnection]:
    """A conversation with a provider that tells what was said before it does anything about it."""
    connection = ScriptedConnection(capabilities=Capabilities(input_rate=16_000, output_rate=24_000, words_first=True))
    return RealtimeVoice(scripted_provider(connection=connection), config=RealtimeConfig(vad_mode=vad_mode)), connection


REPLY_HEARD: list[Step] = [ResponseStarted("r"), AudioChunk(SECOND, "r", "item"), ResponseDone("r")]


async def test_words_cut_the_reply_that_a_voice_has_paused() -> None:
    voice, connection = words_first(VADMode.SERVER)
    async with voice.connect() as session:
        session.player = player = Player(Playhead("item", 420))
        connection.play([*REPLY_HEARD, SpeechStarted(), SpeechStopped()])
        await until(lambda: session.awaiting_reply)
        assert player.told == ["pause"]
        assert connection.cancelled == []
        connection.play([TranscriptUpdate("user", "u", "Wait", final=False), ResponseStarted("r2")])
        await until(lambda: connection.cancelled)
        connection.play([TranscriptUpdate("user", "u", "Wait!", final=True), ResponseDone("r2")])
        await session.wait_for_reply()
    assert connection.cancelled == [CancelResponse("item", 420)]
    assert player.told == ["pause", "clear"]


async def test_a_noise_as_long_as_a_word_lets_the_reply_go_on() -> None:
    voice, connection = words_first(VADMode.SERVER)
    async with voice.connect() as session:
        session.player = player = Player(Playhead("item", 420))
        connection.play([*REPLY_HEARD, SpeechStarted(), SpeechStopped()])
        await until(lambda: player.told)
        failure = ErrorOccurred(RealtimeError("Something else failed."))
        connection.play([failure, Notice("no_speech", "No words.")])
        await until(lambda: len(player.told) > 1)
        # Later words are of another turn, that nobody spoke into a reply.
        connection.play([TranscriptUpdate("user", "u", "Hello", final=True), ResponseStarted("r2"), ResponseDone("r2")])
        await session.wait_for_reply()
    assert connection.cancelled == []
    assert player.told == ["pause", "resume"]


async def test_a_turn_found_here_waits_for_its_words_too(speech: bytes) -> None:
    voice, connection = words_first(VADMode.CLIENT)
    async with voice.connect() as session:
        session.player = player = Player(Playhead("item", 700))
        connection.play(REPLY_HEARD)
        await session.send_audio(speech + bytes(64_000), sample_rate=16_000, wait=False)
        assert player.told == ["pause", "pause"], "a suspicion, then a turn; its end tells nothing yet"
        assert connection.cancelled == []
        connection.play([TranscriptUpdate("user", "u", "Wait", final=True)])
        await until(lambda: connection.cancelled)
    assert connection.cancelled == [CancelResponse("item", 700, whole=True)]
    assert player.told == ["pause", "pause", "clear"]


@pytest.mark.parametrize("words", [True, False])
async def test_a_second_voice_before_the_first_words_are_known_waits_for_words_too(words: bool) -> None:
    voice, connection = words_first(VADMode.SERVER)
    async with voice.connect() as session:
        session.player = player = Player(Playhead("item", 420))
        running: list[Step] = [ResponseStarted("r"), AudioChunk(SECOND, "r", "item")]
        connection.play([*running, SpeechStarted(), SpeechStopped(), SpeechStarted()])
        connection.play([Notice("no_speech", "No words."), SpeechStopped()])
        await until(lambda: len(player.told) == 2)
        await asyncio.sleep(0.01)
        assert player.told == ["pause", "pause"], "the first had none, the second may have"
        assert connection.cancelled == []
        last = TranscriptUpdate("user", "u2", "Stop", final=True) if words else Notice("no_speech", "No words.")
        connection.play([last])
        await until(lambda: len(player.told) == 3)
    assert player.told[-1] == ("clear" if words else "resume")
    assert connection.cancelled == ([CancelResponse("item", 420)] if words else [])


async def test_a_noise_while_an_answer_is_thought_about_does_not_cost_it() -> None:
    voice, connection = words_first(VADMode.SERVER)
    async with voice.connect() as session:
        session.player = player = Player()
        connection.play([SpeechStarted(), SpeechStopped(), TranscriptUpdate("user", "u", "Why?", final=True)])
        connection.play([SpeechStarted(), SpeechStopped(), Notice("no_speech", "No words.")])
        await until(lambda: player.told[-1:] == ["resume"])
        assert session.awaiting_reply
        connection.play([ResponseStarted("r"), AudioChunk(SECOND, "r", "item"), ResponseDone("r")])
        await session.wait_for_reply()
    assert connection.cancelled == []


async def test_what_was_made_of_a_held_reply_is_no_answer_to_the_turn() -> None:
    voice, connection = words_first(VADMode.SERVER)
    async with voice.connect() as session:
        session.player = Player(Playhead("item", 420))
        events = asyncio.create_task(collect(session))
        running: list[Step] = [ResponseStarted("r"), AudioChunk(SECOND, "r", "item")]
        connection.play([*running, SpeechStarted(), SpeechStopped(), AudioChunk(SECOND, "r", "item")])
        connection.play([TranscriptUpdate("user", "u", "Wait", final=True), ResponseDone("r", "cancelled")])
        connection.play([ResponseStarted("r2"), ResponseDone("r2"), SessionEnded("bye")])
        done = [event for event in await events if isinstance(event, ResponseDone)]
    assert done[1].metrics.audio_ms == 0
    assert done[1].metrics.first_audio_ms is None


async def test_muting_ends_the_turn_that_is_found_here(speech: bytes) -> None:
    voice, connection = conversation(reply("Yes."), config=RealtimeConfig(vad_mode=VADMode.CLIENT))
    async with voice.connect() as session:
        await session.send_audio(speech, sample_rate=16_000, wait=False)
        await session.pause_audio()
        await session.wait_for_reply()
    kinds = [type(command) for command in connection.commands if not isinstance(command, AppendAudio)]
    assert kinds == [StartTurn, EndTurn, PauseAudio]


def overhearing(**settings: Any) -> tuple[RealtimeVoice, ScriptedConnection]:
    """A conversation with a provider that finds the turns, and tells of no voice."""
    capabilities = Capabilities(input_rate=16_000, output_rate=24_000, reports_speech=False)
    connection = ScriptedConnection(capabilities=capabilities)
    config = RealtimeConfig(vad_mode=VADMode.SERVER, response_timeout_s=5, **settings)
    return RealtimeVoice(scripted_provider(connection=connection), config=config), connection


@pytest.mark.parametrize("vad_mode", [VADMode.CLIENT, VADMode.SERVER])
async def test_a_microphone_lost_amid_a_suspicion_leaves_no_reply_paused(vad_mode: VADMode, speech: bytes) -> None:
    voice, connection = (
        overhearing() if vad_mode is VADMode.SERVER else conversation(config=RealtimeConfig(vad_mode=VADMode.CLIENT))
    )
    async with voice.connect() as session:
        events = asyncio.create_task(collect(session))
        session.player = player = Player(Playhead("item", 700))
        connection.play(REPLY_HEARD)
        await until(lambda: not session.awaiting_reply and len(session._subscriptions) > 0)
        await asyncio.sleep(0.01)
        for start in range(0, len(speech), 640):
            await session.send_audio(speech[start : start + 640], sample_rate=16_000, wait=False)
            if player.told:
                break
        await session.pause_audio()
        connection.play([SessionEnded("bye")])
        seen = await events
    assert player.told == ["pause", "resume"]
    assert connection.cancelled == []
    assert [type(event) for event in seen if isinstance(event, SpeechStarted | SpeechStopped)] == [
        SpeechStarted,
        SpeechStopped,
    ]
    assert [command for command in connection.commands if not isinstance(command, AppendAudio)] == [PauseAudio()]


async def test_a_microphone_lost_amid_a_pressed_key_ends_no_turn() -> None:
    voice, connection = conversation(reply("Yes."))
    async with voice.connect() as session:
        await session.send_audio(SECOND, wait=False)
        await session.pause_audio()
        assert session.user_speaking
        await session.end_turn()
        await session.wait_for_reply()
    kinds = [type(command) for command in connection.commands if not isinstance(command, AppendAudio)]
    assert kinds == [StartTurn, PauseAudio, EndTurn]


async def test_a_turn_that_is_taken_back_lets_the_reply_go_on(speech: bytes) -> None:
    voice, connection = words_first(VADMode.CLIENT)
    async with voice.connect() as session:
        session.player = player = Player(Playhead("item", 700))
        connection.play(REPLY_HEARD)
        await session.send_audio(speech, sample_rate=16_000, wait=False)
        await session.clear_audio()
        connection.play([TranscriptUpdate("user", "u", "Wait", final=True), SessionEnded("bye")])
        await until(lambda: not session.is_active)
    assert connection.cancelled == []
    assert player.told == ["pause", "pause", "resume"]


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
    assert connection.cancelled == [CancelResponse("item", 420)]
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
    assert connection.cancelled == [CancelResponse("item", 250)]
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


# -- listening


async def test_handlers_get_everything_in_order_and_plain_ones_may_block() -> None:
    voice, _ = conversation(reply("It is Paris.", user="Which city?"))
    transcripts: list[tuple[str, bool, str]] = []
    calls: list[str] = []
    release = threading.Event()

    @voice.on_transcript
    async def with_role(text: str, final: bool, role: str) -> None:
        transcripts.append((text, final, role))

    @voice.on_transcript
    def blocking(text: str, final: bool) -> None:
        release.wait(10)
        calls.append(text)

    @voice.on_audio
    async def audio(data: bytes) -> None:
        calls.append("audio")
        release.set()  # only reached when the blocking one holds nobody up

    voice.on_connect(lambda: calls.append("connect"))
    voice.on_disconnect(lambda: calls.append("disconnect"))
    async with voice.connect() as session:
        await session.send_text("Hello")
        await session.wait_for_reply()
    assert transcripts == [
        ("Hello", True, "user"),
        ("Which city?", True, "user"),
        ("It is", False, "assistant"),
        ("It is Paris.", True, "assistant"),
    ]
    assert calls.index("audio") < calls.index("Hello")
    assert [call for call in calls if call not in {"audio", "connect", "disconnect"}] == [
        "Hello",
        "Which city?",
        "It is",
        "It is Paris.",
    ]
    assert {"connect", "disconnect"} < set(calls)


async def test_a_raising_handler_is_named_to_on_error_and_stops_nothing() -> None:
    voice, _ = conversation(reply("It is Paris."))
    errors: list[Exception] = []
    chunks: list[bytes] = []

    @voice.on_transcript
    def clumsy(text: str, final: bool) -> None:
        raise LookupError("oops")

    voice.on_error(errors.append)
    voice.on_audio(chunks.append)
    async with voice.connect() as session:
        response = await session.send_text("Hello", wait=True)
    assert response is not None
    assert len(chunks) == 1
    assert len(errors) == 3
    assert "on_transcript handler clumsy failed: LookupError: oops" in str(errors[0])


async def test_a_voice_can_connect_again_and_delivers_once() -> None:
    voice = RealtimeVoice(scripted_provider(reply("Yes.", audio=b"\1\0")), config=MANUAL)
    heard: list[bytes] = []
    voice.on_audio(heard.append)
    for round_number in (1, 2, 3):
        async with voice.connect() as session:
            await session.send_text("Hello", wait=True)
        assert len(heard) == round_number


async def test_iterating_yields_events_from_the_beginning_to_the_end() -> None:
    voice, _ = conversation(reply("Yes."))
    async with voice.connect() as session:
        await session.send_text("Hello", wait=False)
        seen = []
        async for event in session:
            seen.append(event)
            if isinstance(event, ResponseDone):
                await session.aclose()
    assert isinstance(seen[0], SessionStarted)
    assert isinstance(seen[-1], SessionEnded)
    assert any(isinstance(event, AudioChunk) for event in seen)


async def test_a_reply_waits_for_the_users_words_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voicecli.conversation.transcript_order._TRANSCRIPT_WAIT_S", 0.01)
    voice, connection = conversation()
    async with voice.connect() as session:
        events = asyncio.create_task(collect(session))
        slot = TranscriptUpdate("user", "u", "", False)
        word = TranscriptUpdate("assistant", "a", "It is.", True)
        late = TranscriptUpdate("user", "u", "Is it?", True)
        connection.play([slot, word])
        await until(lambda: any(turn.text for turn in session.history))
        connection.play([late, SessionEnded("bye")])
        seen = await events
    assert [event for event in seen if isinstance(event, TranscriptUpdate)] == [slot, word, late]
    assert [turn.text for turn in session.history] == ["Is it?", "It is."]


async def test_the_end_of_the_sound_is_told_at_once_and_the_words_wait() -> None:
    voice, connection = conversation()
    async with voice.connect() as session:
        session.player = Player()
        events = aiter(session)
        connection.play([TranscriptUpdate("user", "u", "", False), ResponseStarted("r"), AudioChunk(SECOND, "r", "i")])
        connection.play([TranscriptUpdate("assistant", "i", "Yes.", True), ResponseDone("r")])
        seen: list[Event] = []
        while not isinstance(event := await anext(events), AudioDone):
            seen.append(event)
        assert event == AudioDone("r")
        assert not any(isinstance(event, TranscriptUpdate) and event.text for event in seen)
        assert session.awaiting_reply, "its words are not told"
        await session.interrupt()
        assert connection.cancelled == [], "it is complete"
        connection.play([TranscriptUpdate("user", "u", "Is it?", True)])
        await session.wait_for_reply()
        rest = [await anext(events) for _ in range(3)]
    assert rest[:2] == [TranscriptUpdate("user", "u", "Is it?", True), TranscriptUpdate("assistant", "i", "Yes.", True)]
    assert isinstance(rest[2], ResponseDone)


async def test_no_end_of_sound_is_told_of_a_reply_without_any_or_that_was_cut() -> None:
    voice, connection = conversation()
    async with voice.connect() as session:
        session.player = Player(Playhead("i", 100))
        events = asyncio.create_task(collect(session))
        connection.play([ResponseStarted("tool"), ResponseDone("tool", awaits_tools=True)])
        connection.play([ResponseStarted("r"), AudioChunk(SECOND, "r", "i"), Interrupted("r", "i"), ResponseDone("r")])
        connection.play([SessionEnded("bye")])
        assert not any(isinstance(event, AudioDone) for event in await events)


async def test_a_reply_without_the_words_before_it_ends_before_the_next_begins() -> None:
    voice, connection = conversation()
    async with voice.connect() as session:
        events = asyncio.create_task(collect(session))
        slot, words = TranscriptUpdate("user", "u", "", False), TranscriptUpdate("assistant", "i", "I look.", True)
        connection.play([slot, ResponseStarted("r"), words, ResponseDone("r", awaits_tools=True)])
        connection.play([ResponseStarted("r2"), AudioChunk(SECOND, "r2", "i2")])
        connection.play([TranscriptUpdate("user", "u", "Weather?", True), SessionEnded("bye")])
        seen = await events
    order = [event for event in seen if not isinstance(event, SessionStarted | AudioChunk | SessionEnded)]
    assert [type(event) for event in order[1:4]] == [ResponseStarted, ResponseDone, ResponseStarted]
    assert [event.text for event in order[4:] if isinstance(event, TranscriptUpdate)] == ["Weather?", "I look."]


# -- tools


async def test_tool_failures_go_to_the_model_and_to_on_error() -> None:
    def broken() -> None:
        """Break."""
        raise ValueError("no fuse")

    voice, connection = conversation(tool_call("broken", "{}"), reply("Sorry."), tools=[broken])
    errors: list[Exception] = []
    voice.on_error(errors.append)
    async with voice.connect() as session:
        await session.send_text("Do it", wait=True)
    (result,) = (command for command in connection.commands if isinstance(command, ToolResult))
    assert result.is_error
    assert "no fuse" in result.output
    assert isinstance(errors[0], ToolError)


@pytest.mark.parametrize(
    ("name", "arguments", "complaint"),
    [
        ("missing", "{}", "There is no tool 'missing'"),
        ("ok", "{", "not JSON"),
        ("ok", "[" * 100_000, "not JSON"),
        ("ok", "[1]", "instead of named"),
    ],
)
async def test_impossible_calls_are_answered(name: str, arguments: str, complaint: str) -> None:
    def ok() -> None:
        """Do nothing."""

    voice, connection = conversation(tool_call(name, arguments), reply("Sorry."), tools=[ok])
    async with voice.connect() as session:
        await session.send_text("Do it")
    (result,) = (command for command in connection.commands if isinstance(command, ToolResult))
    assert result.is_error
    assert complaint in result.output


async def test_the_handler_is_asked_first_and_none_falls_through() -> None:
    def tool() -> str:
        """Do."""
        return "from the tool"

    voice, connection = conversation(
        tool_call("tool", "{}", call_id="c1"), tool_call("tool", '{"x":1}', call_id="c2"), reply("Done."), tools=[tool]
    )
    asked: list[tuple[str, dict[str, Any]]] = []

    @voice.on_tool_call
    async def handle(name: str, args: dict[str, Any]) -> str | None:
        asked.append((name, args))
        return "from the handler" if args else None

    async with voice.connect() as session:
        await session.send_text("Do it")
    results = [command.output for command in connection.commands if isinstance(command, ToolResult)]
    assert results == ["from the tool", "from the handler"]
    assert asked == [("tool", {}), ("tool", {"x": 1})]


async def test_a_slow_tool_holds_nothing_up_and_a_cancelled_one_is_not_answered() -> None:
    started = asyncio.Event()

    async def slow() -> None:
        """Wait."""
        started.set()
        await asyncio.Event().wait()

    voice, connection = conversation(tools=[slow])
    async with voice.connect() as session:
        events = asyncio.create_task(collect(session))
        connection.play([ResponseStarted("r"), ToolCallRequest("c", "slow", "{}"), AudioChunk(b"\0\0", "r", "i")])
        await started.wait()
        connection.play([ToolCallCancelled("c"), ResponseDone("r")])
        await session.wait_for_reply()
        connection.play([SessionEnded("bye")])
        seen = await events
    assert any(isinstance(event, AudioChunk) for event in seen)
    assert not any(isinstance(event, ToolCallFinished) for event in seen)
    assert not any(isinstance(command, ToolResult) for command in connection.commands)


async def test_the_end_of_a_turn_does_not_overtake_its_audio() -> None:
    """A connection may take its time with a chunk, while another task ends the turn."""

    class Busy(ScriptedConnection):
        async def send(self, command: Any) -> None:
            for _ in range(5 if isinstance(command, AppendAudio | StartTurn) else 0):
                await asyncio.sleep(0)
            await super().send(command)

    connection = Busy([reply("Yes.")])
    async with RealtimeVoice(scripted_provider(connection=connection), config=MANUAL).connect() as session:
        speaking = asyncio.create_task(session.send_audio(SECOND[:960], wait=False))
        await asyncio.sleep(0)
        await session.end_turn()
        await speaking
        await session.wait_for_reply()
    assert [type(command) for command in connection.commands] == [StartTurn, AppendAudio, EndTurn]


async def test_each_of_two_texts_is_waited_for() -> None:
    connection = ScriptedConnection()
    async with RealtimeVoice(scripted_provider(connection=connection), config=MANUAL).connect() as session:
        await session.send_text("One?", wait=False)
        await session.send_text("Two?", wait=False)
        waiting = asyncio.create_task(session.wait_for_reply())
        connection.play(reply("One.", response_id="r1"))
        await until(lambda: any(turn.text == "One." for turn in session.history))
        await asyncio.wait([waiting], timeout=0.05)
        assert not waiting.done()
        connection.play(reply("Two.", response_id="r2"))
        await waiting
        assert session.history[-1].text == "Two."


async def test_two_texts_that_are_answered_together_are_not_waited_for_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voicecli.conversation.expectation._SIGN_OF_SPEECH_S", 0.05)
    connection = ScriptedConnection()
    async with RealtimeVoice(scripted_provider(connection=connection), config=MANUAL).connect() as session:
        await session.send_text("One?", wait=False)
        await session.send_text("Two?", wait=False)
        connection.play(reply("Both."))
        await session.wait_for_reply()
        assert not session.awaiting_reply
        await session.send_text("Three?", wait=False)
        await session.send_text("Four?", wait=False)
        connection.play(reply("Both again.", response_id="again"))
        await until(lambda: not session.awaiting_reply)  # also where nobody waits for it


# -- the end


async def test_an_interruption_that_comes_too_late_does_not_hide_how_it_ended() -> None:
    voice, connection = conversation()
    async with voice.connect() as session:
        session.player = Player(Playhead("item", 420))
        connection.play([ResponseStarted("r"), AudioChunk(SECOND, "r", "item"), SpeechStarted()])
        await connection.aclose()  # with these still to be read; commands are refused from now on
        kinds = [type(event) async for event in session]
    assert kinds[-2:] == [Interrupted, SessionEnded]
    assert connection.cancelled == []


async def test_code_that_cannot_be_cancelled_does_not_keep_the_session_from_ending(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("voicecli.conversation.tool_calls._STOP_TIMEOUT_S", 0.05)
    monkeypatch.setattr("voicecli.conversation.handlers.HandlerLanes.DRAIN_S", 0.05)
    monkeypatch.setattr("voicecli.conversation.handlers.HandlerLanes.STOP_S", 0.05)
    release = asyncio.Event()
    stubborn_ones: list[asyncio.Task[Any]] = []

    async def stubborn() -> None:
        """Wait, whatever anybody says."""
        task = asyncio.current_task()
        assert task is not None
        stubborn_ones.append(task)
        while not release.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await release.wait()

    voice, connection = conversation(tools=[stubborn])
    voice.on_transcript(stubborn)
    async with asyncio.timeout(10):
        async with voice.connect():
            connection.play([ToolCallRequest("c", "stubborn", "{}"), TranscriptUpdate("user", "u", "Hi", final=True)])
            await until(lambda: len(stubborn_ones) == 2)
    release.set()
    await asyncio.gather(*stubborn_ones, return_exceptions=True)


async def test_a_fatal_failure_reaches_whoever_waits_and_later_calls() -> None:
    voice, _ = conversation([RealtimeConnectionError("The line is dead.")])
    async with voice.connect() as session:
        with pytest.raises(RealtimeConnectionError, match="dead"):
            await session.send_text("Hello")
        assert not session.is_active
        with pytest.raises(RealtimeConnectionError, match="dead"):
            await session.send_text("Hello")


async def test_a_failure_that_nobody_heard_of_is_raised_at_the_end() -> None:
    voice, connection = conversation()
    with pytest.raises(RealtimeConnectionError, match="dead"):
        async with voice.connect() as session:
            connection.play([RealtimeConnectionError("The line is dead.")])
            await until(lambda: not session.is_active)


async def test_a_failure_ends_an_iteration_and_reaches_on_error() -> None:
    voice, connection = conversation()
    errors: list[Exception] = []
    voice.on_error(errors.append)
    async with voice.connect() as session:
        connection.play([RealtimeConnectionError("The line is dead.")])
        with pytest.raises(RealtimeConnectionError, match="dead"):
            await collect(session)
    assert [str(error) for error in errors] == ["The line is dead."]


async def test_the_provider_may_end_it() -> None:
    voice, connection = conversation()
    async with voice.connect() as session:
        connection.play([SessionEnded("Good night.", 1000)])
        assert (await collect(session))[-1] == SessionEnded("Good night.", 1000)
        with pytest.raises(RealtimeConnectionError, match="over: Good night"):
            await session.send_text("Hello")


async def test_leaving_leaves_no_task() -> None:
    before = asyncio.all_tasks()
    voice, _ = conversation(reply("Yes."))
    voice.on_transcript(lambda text, final: None)
    async with voice.connect() as session:
        await session.send_text("Hello")
    assert asyncio.all_tasks() == before


# -- small things


@pytest.mark.parametrize("text", ["", "  \n"])
async def test_empty_text_is_refused(text: str) -> None:
    voice, _ = conversation()
    async with voice.connect() as session:
        with pytest.raises(ConfigurationError, match="empty"):
            await session.send_text(text)


async def test_pictures_are_known_by_their_bytes(tmp_path: Any) -> None:
    voice, connection = conversation()
    png = b"\x89PNG\r\n\x1a\nrest"
    (tmp_path / "misnamed.jpg").write_bytes(png)
    (tmp_path / "text.txt").write_text("no picture")
    async with voice.connect() as session:
        await session.send_image(png)
        await session.send_image(tmp_path / "misnamed.jpg")
        with pytest.raises(ConfigurationError, match="text/plain cannot be sent"):
            await session.send_image(tmp_path / "text.txt")
        with pytest.raises(ConfigurationError, match="Cannot read the picture"):
            await session.send_image(tmp_path / "missing.png")
    assert connection.commands == [SendImage(png, "image/png")] * 2


async def test_a_rate_must_be_positive() -> None:
    voice, _ = conversation()
    async with voice.connect() as session:
        with pytest.raises(ConfigurationError, match="sample_rate: 0"):
            await session.send_audio(SECOND, sample_rate=0)


# -- turns that only the provider finds


SERVER = RealtimeConfig(vad_mode=VADMode.SERVER, response_timeout_s=5)


async def test_after_the_last_audio_a_sign_of_speech_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The provider may find speech in it, or not; only then an answer is owed."""
    monkeypatch.setattr("voicecli.conversation.expectation._SIGN_OF_SPEECH_S", 0.05)
    voice, connection = conversation(config=SERVER)
    async with voice.connect() as session:
        await session.send_audio(SECOND, wait=False)
        await session.end_turn()
        assert session.awaiting_reply
        await session.wait_for_reply()  # nothing in it: no error
        monkeypatch.setattr("voicecli.conversation.expectation._SIGN_OF_SPEECH_S", 30)
        await session.send_audio(SECOND, wait=False)
        await session.end_turn()
        connection.play([SpeechStarted(), SpeechStopped()])
        waiting = asyncio.create_task(session.wait_for_reply())
        await asyncio.wait([waiting], timeout=0.1)
        assert not waiting.done()
        connection.play(reply("Yes."))
        await waiting


async def test_whoever_asks_with_turns_found_by_the_provider_is_owed_an_answer() -> None:
    config = RealtimeConfig(vad_mode=VADMode.SERVER, response_timeout_s=0.05)
    voice, _ = conversation(config=config)
    async with voice.connect() as session:
        with pytest.raises(RealtimeError, match="No answer came"):
            await session.send_audio(SECOND)


async def test_an_utterance_that_was_not_understood_is_no_speech() -> None:
    from voicecli.events import Notice

    voice, _ = conversation([Notice("no_speech", "No words.")], config=SERVER)
    async with voice.connect() as session:
        response = await session.send_audio(SECOND)
    assert response is not None
    assert response.status == "no_speech"


async def test_long_audio_is_sent_in_pieces_that_wait_for_the_connection() -> None:
    """A connection drops live audio it cannot get rid of; a long recording must not be taken for that."""
    drained: list[int] = []

    class Slow(ScriptedConnection):
        async def drain(self) -> None:
            drained.append(len(self.audio))

    connection = Slow()
    voice = RealtimeVoice(scripted_provider(connection=connection), config=SERVER)
    voice.on_audio(lambda audio: None)
    async with voice.connect() as session:
        await session.send_audio(SECOND)
        await session.send_audio(SECOND[:960])
    assert connection.audio == SECOND + SECOND[:960]
    assert max(later - earlier for earlier, later in zip([0, *drained], drained, strict=False)) <= 4_800
    assert drained[-1] == len(SECOND), "a chunk from a microphone is not held up"


async def test_speech_is_told_although_the_provider_does_not(speech: bytes) -> None:
    """Only told: the provider finds the turns, and decides what interrupts the reply."""
    connection = ScriptedConnection(
        capabilities=Capabilities(input_rate=16_000, output_rate=24_000, reports_speech=False)
    )
    voice = RealtimeVoice(scripted_provider(connection=connection), config=SERVER)
    async with voice.connect() as session:
        events = asyncio.create_task(collect(session))
        await asyncio.sleep(0)
        connection.play([ResponseStarted("r"), AudioChunk(SECOND, "r", "i")])
        audio = bytes(32_000) + speech + bytes(64_000)
        for start in range(0, len(audio), 640):
            await session.send_audio(audio[start : start + 640], wait=False)
        connection.play([SessionEnded("bye")])
        seen = await events
    kinds = [type(event) for event in seen if isinstance(event, SpeechStarted | SpeechStopped | Interrupted)]
    assert kinds == [SpeechStarted, SpeechStopped]
    assert connection.cancelled == []
    assert connection.audio == audio, "and all of it is sent"


@pytest.mark.parametrize(("words", "told"), [(True, ["pause", "clear"]), (False, ["pause", "resume"])])
async def test_a_reply_that_has_come_whole_is_interrupted_here(words: bool, told: list[str], speech: bytes) -> None:
    """Its provider, which finds the turns, is done with it, and does not tell of the user's voice."""
    connection = ScriptedConnection(
        capabilities=Capabilities(input_rate=16_000, output_rate=24_000, reports_speech=False)
    )
    voice = RealtimeVoice(scripted_provider(connection=connection), config=SERVER)
    async with voice.connect() as session:
        session.player = player = Player(Playhead("item", 420))
        connection.play(REPLY_HEARD)
        async for event in session:
            if isinstance(event, ResponseDone):
                break
        await session.send_audio(bytes(32_000) + speech, wait=False)
        assert player.told == ["pause"]
        if words:
            connection.play([TranscriptUpdate("user", "u", "Wait", final=False)])
            await until(lambda: connection.cancelled)
        await session.send_audio(bytes(64_000), wait=False)
        await until(lambda: len(player.told) == 2)
    assert player.told == told
    assert connection.cancelled == ([CancelResponse("item", 420, whole=True)] if words else [])


async def test_the_answer_to_a_voice_is_not_paused_by_it(speech: bytes) -> None:
    """The provider may find the turn's end sooner, and tell its words later."""
    connection = ScriptedConnection(
        capabilities=Capabilities(input_rate=16_000, output_rate=24_000, reports_speech=False)
    )
    voice = RealtimeVoice(scripted_provider(connection=connection), config=SERVER)
    async with voice.connect() as session:
        session.player = player = Player()
        await session.send_audio(bytes(32_000) + speech, wait=False)
        connection.play([ResponseStarted("r"), AudioChunk(SECOND, "r", "item")])
        await until(lambda: session.awaiting_reply)
        connection.play([TranscriptUpdate("user", "u", "Hello", final=True), ResponseDone("r")])
        await session.wait_for_reply()
    assert player.told == ["pause", "clear"]
    assert connection.cancelled == []


@pytest.mark.parametrize("words", [True, False], ids=["words", "answer"])
async def test_words_that_come_after_the_silence_cut_the_reply_still(words: bool, speech: bytes) -> None:
    voice, connection = overhearing()
    async with voice.connect() as session:
        session.player = player = Player(Playhead("item", 420))
        events = aiter(session)
        connection.play(REPLY_HEARD)
        while not isinstance(await anext(events), ResponseDone):
            pass
        await session.send_audio(bytes(32_000) + speech + bytes(64_000), wait=False)
        assert player.told == ["pause", "resume"]
        heard: list[Step] = [TranscriptUpdate("user", "u", "What about Rome?", final=True)] if words else []
        connection.play([*heard, ResponseStarted("r2"), AudioChunk(SECOND, "r2", "item2"), ResponseDone("r2")])
        seen: list[Event] = []
        while not isinstance(seen[-1] if seen else None, ResponseDone):
            seen.append(await anext(events))
    assert player.told == ["pause", "resume", "clear"]
    assert connection.cancelled == [CancelResponse("item", 420, whole=True)]
    assert Interrupted("r", "item") in seen
    assert AudioChunk(SECOND, "r2", "item2") in seen, "the answer is heard"


async def test_words_long_after_a_noise_cut_nothing(monkeypatch: pytest.MonkeyPatch, speech: bytes) -> None:
    monkeypatch.setattr("voicecli.conversation.reply_hold._LATE_WORDS_S", -1.0)
    voice, connection = overhearing()
    async with voice.connect() as session:
        session.player = player = Player(Playhead("item", 420))
        events = aiter(session)
        connection.play(REPLY_HEARD)
        while not isinstance(await anext(events), ResponseDone):
            pass
        await session.send_audio(bytes(32_000) + speech + bytes(64_000), wait=False)
        connection.play([TranscriptUpdate("user", "u", "Late", final=True)])
        while not isinstance(await anext(events), TranscriptUpdate):
            pass
    assert player.told == ["pause", "resume"]


@pytest.mark.parametrize("tools", [False, True], ids=["one response", "over tools"])
async def test_a_noise_does_not_change_how_fast_the_running_reply_came(tools: bool, speech: bytes) -> None:
    voice, connection = overhearing()
    async with voice.connect() as session:
        session.player = Player()
        events = asyncio.create_task(collect(session))
        await asyncio.sleep(0)
        await session.send_audio(bytes(32_000) + speech + bytes(64_000), wait=False)
        connection.play([ResponseStarted("r"), AudioChunk(SECOND, "r", "i")])
        await until(lambda: session.awaiting_reply)
        await asyncio.sleep(0.1)
        await session.send_audio(speech + bytes(64_000), wait=False)  # the server takes it for a noise
        if tools:
            connection.play([ResponseDone("r", awaits_tools=True), ResponseStarted("r2")])
        connection.play([AudioChunk(SECOND, "r", "i"), ResponseDone("r2" if tools else "r"), SessionEnded("bye")])
        done = [event for event in await events if isinstance(event, ResponseDone)][-1]
    assert done.metrics.done_ms is not None
    assert done.metrics.done_ms >= 100
    assert done.metrics.audio_ms == 2_000


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
        await until(lambda: session._away)
        await session.send_audio(bytes(32_000) + speech, wait=False)
        assert player.told == ["clear"]
        assert connection.cancelled == [CancelResponse("item", 420)]
        told: list[Step] = [SpeechStarted(), SpeechStopped()] if reports else []
        connection.play([back, ResponseDone("r", "incomplete"), *told])
        await until(lambda: not session._away)
        await session.send_audio(bytes(64_000) + speech + bytes(64_000), wait=False)
        connection.play([SessionEnded("bye")])
        seen = await events
    assert sum(isinstance(event, Interrupted) for event in seen) == 1
    assert sum(isinstance(event, SpeechStarted) for event in seen) == (1 if reports else 2)
    assert connection.cancelled == [CancelResponse("item", 420)]


@pytest.mark.parametrize("realtime", [True, False])
async def test_latency_counts_from_the_end_of_the_speech(realtime: bool, speech: bytes) -> None:
    """The silence that ended the turn was waited for, unless the audio came from a file."""
    from voicecli import ClientVAD

    config = RealtimeConfig(vad_mode=VADMode.CLIENT, client_vad=ClientVAD(hangover_ms=9_000))
    voice, _ = conversation(reply("Yes."), config=config)
    async with voice.connect() as session:
        session.realtime = realtime
        events = asyncio.create_task(collect(session))
        await asyncio.sleep(0)
        await session.send_audio(speech + bytes(320_000), sample_rate=16_000, wait=False)
        await session.wait_for_reply()
    (done,) = [event for event in await events if isinstance(event, ResponseDone)]
    assert done.metrics.first_audio_ms is not None
    assert (done.metrics.first_audio_ms >= 9_000) == realtime


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
        await until(lambda: connection.cancelled)
        connection.play([ResponseDone("r1", "cancelled")])
        await session.wait_for_reply()
        await session.send_text("Second", wait=False)
        connection.play([ResponseStarted("r2"), AudioChunk(SECOND, "r2", "i2"), ResponseDone("r2")])
        await session.wait_for_reply()
        connection.play([SessionEnded("bye")])
        seen = await events
    assert connection.cancelled == [CancelResponse()]
    assert [event for event in seen if isinstance(event, Interrupted)] == [Interrupted("r1")]
    assert [event.item_id for event in seen if isinstance(event, AudioChunk)] == ["i2"]


async def test_what_nobody_reads_does_not_eat_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voicecli.conversation.delivery.MOST_WAITING", 10)
    monkeypatch.setattr("voicecli.conversation.handlers.MOST_WAITING", 10)
    voice, connection = conversation()
    errors: list[Exception] = []
    heard: list[bytes] = []
    go_on = asyncio.Event()

    @voice.on_audio
    async def hang(audio: bytes) -> None:
        await go_on.wait()
        heard.append(audio)

    voice.on_error(errors.append)
    async with voice.connect() as session:
        idle = aiter(session)
        connection.play([ResponseStarted("r"), *(AudioChunk(bytes([n, 0]), "r", "i") for n in range(50))])
        connection.play([ResponseDone("r")])
        await until(lambda: errors)
        await session.wait_for_reply()
        with pytest.raises(RealtimeError, match="10 events of the conversation were not read"):
            for _ in range(20):
                await anext(idle)
        go_on.set()
    assert "on_audio handler hang failed: RealtimeError: it does not keep up" in str(errors[0])
    assert len(errors) == 1
    assert heard[-1] == bytes([49, 0])
    assert len(heard) <= 12


async def test_while_the_connection_is_made_again_a_noise_costs_no_answer_of_which_nothing_came(speech: bytes) -> None:
    capabilities = Capabilities(input_rate=16_000, output_rate=24_000)
    connection = ScriptedConnection(capabilities=capabilities)
    async with RealtimeVoice(scripted_provider(connection=connection), config=SERVER).connect() as session:
        session.player = Player()
        connection.play([SpeechStarted(), SpeechStopped(), ResponseStarted("r"), Reconnecting(1, 0.0, "gone")])
        await until(lambda: session._away)
        await session.send_audio(bytes(32_000) + speech, wait=False)
        assert connection.cancelled == []
        assert session.awaiting_reply
