"""One utterance in, one answer out, over a scripted provider: what is waited for, and what is refused."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.conversation.scripted import MANUAL, SECOND, SERVER, conversation, until
from tests.support.virtual_time import virtual_time
from voicecli import RealtimeConfig, RealtimeVoice, VADMode
from voicecli.commands import (
    AnswerApproval,
    ClearAudio,
    EndTurn,
    SendImage,
    SendText,
    StartTurn,
    ToolResult,
)
from voicecli.conversation.obligations import SIGN_OF_SPEECH_S
from voicecli.errors import AudioFormatError, ConfigurationError, RealtimeError
from voicecli.events import (
    ApprovalRequest,
    AudioChunk,
    ErrorOccurred,
    Notice,
    ResponseDone,
    ResponseStarted,
    SpeechStarted,
    SpeechStopped,
    StateChanged,
    TranscriptUpdate,
    Usage,
)
from voicecli.testing import ScriptedConnection, Step, reply, scripted_provider, tool_call


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
    (result,) = (command for command in connection.commands if isinstance(command, ToolResult))
    assert (result.call_id, result.output, result.is_error) == ("call_1", "sun", False)


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


@virtual_time
async def test_no_answer_is_said_after_the_timeout() -> None:
    voice, _ = conversation(config=RealtimeConfig(vad_mode=VADMode.NONE, response_timeout_s=60))
    async with voice.connect() as session:
        with pytest.raises(RealtimeError, match="No answer came within 60 s"):
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


@virtual_time
async def test_each_of_two_texts_is_waited_for() -> None:
    connection = ScriptedConnection()
    async with RealtimeVoice(scripted_provider(connection=connection), config=MANUAL).connect() as session:
        await session.send_text("One?", wait=False)
        await session.send_text("Two?", wait=False)
        waiting = asyncio.create_task(session.wait_for_reply())
        connection.play(reply("One.", response_id="r1"))
        await until(lambda: any(turn.text == "One." for turn in session.history))
        await asyncio.wait([waiting], timeout=SIGN_OF_SPEECH_S - 0.1)
        assert not waiting.done()
        connection.play(reply("Two.", response_id="r2"))
        await waiting
        assert session.history[-1].text == "Two."


@virtual_time
async def test_two_texts_that_are_answered_together_are_not_waited_for_longer() -> None:
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
        await asyncio.sleep(0.1)
        assert session.awaiting_reply
        await asyncio.sleep(SIGN_OF_SPEECH_S)
        assert not session.awaiting_reply, "also where nobody waits for it"


@virtual_time
async def test_after_the_last_audio_a_sign_of_speech_is_waited_for() -> None:
    """The provider may find speech in it, or not; only then an answer is owed."""
    voice, connection = conversation(config=SERVER)
    async with voice.connect() as session:
        await session.send_audio(SECOND, wait=False)
        await session.end_turn()
        assert session.awaiting_reply
        await session.wait_for_reply()  # nothing in it: no error
        await session.send_audio(SECOND, wait=False)
        await session.end_turn()
        connection.play([SpeechStarted(), SpeechStopped()])
        waiting = asyncio.create_task(session.wait_for_reply())
        await asyncio.wait([waiting], timeout=SIGN_OF_SPEECH_S + 1)
        assert not waiting.done()
        connection.play(reply("Yes."))
        await waiting


@virtual_time
async def test_whoever_asks_with_turns_found_by_the_provider_is_owed_an_answer() -> None:
    config = RealtimeConfig(vad_mode=VADMode.SERVER, response_timeout_s=60)
    voice, _ = conversation(config=config)
    async with voice.connect() as session:
        with pytest.raises(RealtimeError, match="No answer came"):
            await session.send_audio(SECOND)


async def test_an_utterance_that_was_not_understood_is_no_speech() -> None:

    voice, _ = conversation([Notice("no_speech", "No words.")], config=SERVER)
    async with voice.connect() as session:
        response = await session.send_audio(SECOND)
    assert response is not None
    assert response.status == "no_speech"


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


def said(response_id: str, text: str, *answers: str) -> list[Step]:
    item = f"item of {response_id}"
    return [
        ResponseStarted(response_id, answers),
        AudioChunk(SECOND, response_id, item),
        TranscriptUpdate("assistant", item, text, final=True),
        ResponseDone(response_id),
    ]


@virtual_time
@pytest.mark.parametrize("named", [True, False], ids=["named", "unnamed"])
@pytest.mark.parametrize("begun", [True, False], ids=["begun", "owed"])
async def test_a_question_that_is_cancelled_gives_the_next_one_no_answer(begun: bool, named: bool) -> None:
    voice, connection = conversation()
    first = said("r1", "One.", "input_1") if named else said("r1", "One.")
    async with voice.connect() as session:
        asking = asyncio.create_task(session.ask("First?"))
        await asyncio.sleep(1)
        connection.play(first[:2] if begun else [])
        await asyncio.sleep(0.1)
        asking.cancel()
        await asyncio.wait([asking])
        assert asking.cancelled()
        assert session.state.assistant == "listening"
        assert [command.response_id for command in connection.cancelled] == ["r1" if begun else None]
        if begun or named:  # otherwise the next response is taken for the one that was cancelled
            connection.play(first[2:] if begun else first)
        else:
            connection.play([ResponseStarted("r1"), ResponseDone("r1", "cancelled")])
        await asyncio.sleep(0.1)
        asking = asyncio.create_task(session.ask("Second?"))
        await asyncio.sleep(0.1)
        connection.play(said("r2", "Two.", "input_2") if named else said("r2", "Two."))
        response = await asking
    assert (response.transcript, response.audio) == ("Two.", SECOND)


@virtual_time
async def test_what_an_earlier_reply_still_says_is_no_part_of_the_answer() -> None:
    voice, connection = conversation()
    async with voice.connect() as session:
        await session.send_text("First?", wait=False)
        connection.play([ResponseStarted("r1"), TranscriptUpdate("assistant", "old", "One", final=False)])
        await asyncio.sleep(1)
        asking = asyncio.create_task(session.ask("Second?"))
        await asyncio.sleep(1)
        connection.play([TranscriptUpdate("assistant", "new of r1", "two", final=True), *said("r2", "Three.")])
        connection.play([TranscriptUpdate("assistant", "old", "One", final=True, interrupted=True)])
        connection.play([ResponseDone("r1", "cancelled", usage=Usage(output_audio_tokens=7))])
        response = await asking
    assert (response.transcript, response.audio, response.usage) == ("Three.", SECOND, Usage())


@virtual_time
async def test_an_answer_that_comes_too_late_is_not_taken_for_the_next_ones() -> None:
    voice, connection = conversation()
    async with voice.connect() as session:
        with pytest.raises(RealtimeError, match="No answer came"):
            await session.ask("First?")
        asking = asyncio.create_task(session.ask("Second?"))
        await asyncio.sleep(1)
        connection.play(said("r1", "One.", "input_1"))
        await asyncio.sleep(1)
        assert not asking.done()
        connection.play(said("r2", "Two.", "input_2"))
        response = await asking
    assert (response.transcript, response.audio) == ("Two.", SECOND)


@virtual_time
@pytest.mark.parametrize("vad_mode", VADMode)
async def test_an_utterance_that_breaks_off_is_taken_back(vad_mode: VADMode) -> None:
    config = RealtimeConfig(vad_mode=vad_mode, response_timeout_s=5)
    voice, connection = conversation(reply("Yes."), config=config)

    async def broken() -> AsyncIterator[bytes]:
        yield SECOND
        raise OSError("unplugged")

    async with voice.connect() as session:
        with pytest.raises(OSError, match="unplugged"):
            await session.ask(broken())
        assert connection.commands[-1] == ClearAudio()
        assert not session.user_speaking
        assert session.state == StateChanged("silent", "listening")
        sent = len(connection.commands)
        await session.send_audio(SECOND, wait=False)
        await session.end_turn()
        if vad_mode is VADMode.NONE:
            assert isinstance(connection.commands[sent], StartTurn)


@virtual_time
async def test_a_call_that_needs_approval_is_declined_where_nobody_can_give_it() -> None:
    voice, connection = conversation()
    async with voice.connect() as session:
        asking = asyncio.create_task(session.ask("Do it."))
        await asyncio.sleep(1)
        connection.play([ResponseStarted("r1"), ApprovalRequest("a", "tool", "{}", "server")])
        await asyncio.sleep(1)
        assert connection.commands[-1] == AnswerApproval("a", approve=False)
        connection.play([ResponseDone("r1")])
        await asking


@virtual_time
async def test_a_call_that_needs_approval_waits_for_whoever_reads_the_events() -> None:
    voice, connection = conversation()
    async with voice.connect() as session:
        events = aiter(session)
        asking = asyncio.create_task(session.ask("Do it."))
        await asyncio.sleep(1)
        connection.play([ResponseStarted("r1"), ApprovalRequest("a", "tool", "{}", "server")])
        await asyncio.sleep(60)
        assert not asking.done()
        async for event in events:
            if isinstance(event, ApprovalRequest):
                await session.approve(event.approval_id)
                break
        assert connection.commands[-1] == AnswerApproval("a", approve=True)
        connection.play([ResponseDone("r1")])
        await asking
