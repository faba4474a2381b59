"""Limits on what a conversation costs, how long it lasts, and how long nobody speaks."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.conversation.scripted import SECOND, until
from tests.support.player import Player
from tests.support.virtual_time import virtual_time
from voicecli import ConfigurationError, LimitReachedError, Prices, RealtimeConfig, RealtimeVoice, VADMode, converse
from voicecli.commands import AppendAudio, ClearAudio, EndTurn, SendText, ToolResult
from voicecli.conversation.session import VoiceSession
from voicecli.events import (
    ApprovalRequest,
    AudioChunk,
    Event,
    Notice,
    Reconnecting,
    ResponseDone,
    ResponseStarted,
    SessionEnded,
    SessionStarted,
    SpeechStarted,
    Usage,
)
from voicecli.pricing import FREE
from voicecli.testing import ScriptedConnection, Step, reply, scripted_provider, tool_call

BY_THE_MINUTE = Prices(session_minute=0.05)
BACK = SessionStarted("scripted", "scripted", "scripted", 24_000, 24_000, resumed=True)


def costing(usd: float | None, text: str = "Yes.") -> list[Step]:
    return reply(text, usage=Usage(output_text_tokens=1, cost_usd=usd))


def limited(
    *script: list[Step], prices: Prices | None = FREE, tools: Any = (), **settings: Any
) -> tuple[RealtimeVoice, ScriptedConnection]:
    connection = ScriptedConnection(script)
    chosen: dict[str, Any] = {"vad_mode": VADMode.NONE, "response_timeout_s": 5} | settings
    config = RealtimeConfig(**chosen)
    provider = scripted_provider(connection=connection, prices=prices)
    return RealtimeVoice(provider, config=config, tools=tools), connection


def now() -> float:
    return asyncio.get_running_loop().time()


def notices(events: list[Event], code: str = "limit_near") -> list[str]:
    return [event.message for event in events if isinstance(event, Notice) and event.code == code]


class Told:
    """The events of a session, to its end, and what it ended with."""

    def __init__(self, session: VoiceSession) -> None:
        self.events: list[Event] = []
        self.failure: LimitReachedError | None = None
        self.ended_at = 0.0
        self._task = asyncio.create_task(self._read(aiter(session)))

    async def _read(self, told: AsyncIterator[Event]) -> None:
        try:
            async for event in told:
                self.events.append(event)
        except LimitReachedError as error:
            self.failure = error
        self.ended_at = now()

    async def end(self) -> None:
        await self._task


# -- cost


@virtual_time
async def test_the_cost_warns_and_then_ends_the_conversation() -> None:
    voice, connection = limited(costing(0.41), costing(0.06), costing(0.06), costing(9.0), max_cost=0.5)
    async with voice.connect() as session:
        told = Told(session)
        await session.send_text("One", wait=True)
        await asyncio.sleep(0.01)
        assert notices(told.events) == ["$0.41 of at most $0.50 is spent."]
        await session.send_text("Two", wait=True)
        assert session.is_active
        await session.send_text("Three", wait=True)
        await told.end()
        assert not session.is_active
        with pytest.raises(
            LimitReachedError, match=r"\$0\.50 is reached: the conversation has cost \$0\.53"
        ) as refused:
            await session.send_text("Four", wait=True)
        assert refused.value.limit == "max_cost"
    assert len(notices(told.events)) == 1
    assert told.failure is refused.value
    assert told.events[-1] == SessionEnded(told.failure.message)
    assert [command.text for command in connection.commands if isinstance(command, SendText)] == ["One", "Two", "Three"]


async def test_an_answer_that_reaches_the_limit_is_no_failure_for_who_asks_no_more() -> None:
    voice, _ = limited(costing(1.0, "It is Paris."), max_cost=0.5)
    async with voice.connect() as session:
        assert (await session.ask("Which city?")).transcript == "It is Paris."


@virtual_time
async def test_a_program_that_only_waits_is_told_by_an_error() -> None:
    voice, connection = limited(max_cost=0.5)
    with pytest.raises(LimitReachedError):
        async with voice.connect() as session:
            connection.play(costing(0.6))
            await until(lambda: not session.is_active)


@virtual_time
async def test_the_reply_under_way_is_finished_and_heard_and_no_more_audio_is_sent() -> None:
    voice, connection = limited(max_cost=0.5)
    async with voice.connect() as session:
        told = Told(session)
        connection.play(costing(0.6))
        connection.play([ResponseStarted("next"), AudioChunk(SECOND, "next", "item")])
        await asyncio.sleep(0.5)
        assert session.is_active
        await session.send_audio(SECOND, wait=False)
        with pytest.raises(LimitReachedError):
            await session.send_text("More", wait=False)
        with pytest.raises(LimitReachedError):
            await session.end_turn()
        connection.play([AudioChunk(SECOND, "next", "item"), ResponseDone("next", usage=Usage(cost_usd=0.1))])
        await told.end()
    assert told.ended_at == pytest.approx(2.1, abs=0.1)  # 100 ms, and 2 s that were heard
    assert not any(isinstance(command, AppendAudio | SendText | EndTurn) for command in connection.commands)
    assert session.usage.cost_usd == pytest.approx(0.7)
    (notice,) = notices(told.events, "limit_reached")
    assert "What is under way is finished, and nothing more is sent." in notice


@virtual_time
async def test_the_results_of_tools_that_are_owed_are_answered_and_no_other_call_is_run() -> None:
    called = []

    async def look(place: str) -> str:
        called.append(place)
        await asyncio.sleep(3)
        return "sunny"

    first = tool_call("look", {"place": "Paris"})
    first[-1] = ResponseDone("response_tool", usage=Usage(cost_usd=0.6), awaits_tools=True)
    follow_up = costing(0.1, "It is sunny.")
    follow_up[-1:] = tool_call("look", {"place": "Rome"}, response_id="response_1", call_id="c2")[1:]
    voice, connection = limited(first, follow_up, max_cost=0.5, tools=[look])
    async with voice.connect() as session:
        told = Told(session)
        await session.send_text("How is the weather?", wait=False)
        await told.end()
    assert called == ["Paris"]
    assert len([command for command in connection.commands if isinstance(command, ToolResult)]) == 1
    assert [turn.text for turn in session.history if turn.role == "assistant"] == ["It is sunny."]
    assert told.failure is not None
    assert told.ended_at < 4


@virtual_time
async def test_a_turn_that_is_spoken_when_the_limit_is_reached_is_not_answered() -> None:
    """The user barges in; what the cut reply cost reaches the limit."""
    voice, connection = limited(vad_mode=VADMode.SERVER, max_cost=0.5)
    async with voice.connect() as session:
        told = Told(session)
        connection.play([ResponseStarted("r"), AudioChunk(SECOND * 9, "r", "item"), SpeechStarted()])
        await asyncio.sleep(0.2)
        connection.play([ResponseDone("r", "cancelled", usage=Usage(cost_usd=0.6))])
        await session.send_audio(SECOND, wait=False)
        await told.end()
    assert told.ended_at < 1
    assert told.failure is not None
    assert any(isinstance(command, ClearAudio) for command in connection.commands)


@virtual_time
async def test_what_a_loudspeaker_still_has_is_heard() -> None:
    class Slow(Player):
        async def drain(self) -> None:
            await asyncio.sleep(5)

    voice, connection = limited(max_cost=0.5)
    async with voice.connect() as session:
        session.player = player = Slow()
        told = Told(session)
        connection.play(costing(0.6))
        await told.end()
    assert told.ended_at == pytest.approx(5.1, abs=0.1)
    assert player.told == ["resume"]


@virtual_time
async def test_a_reply_that_never_ends_does_not_hold_up_the_end() -> None:
    voice, connection = limited(max_cost=0.5)
    async with voice.connect() as session:
        told = Told(session)
        connection.play([*costing(0.6), ResponseStarted("hangs"), ApprovalRequest("a", "pay", "{}", "bank")])
        await told.end()
    assert told.ended_at <= 36  # response_timeout_s and tool_timeout_s


@virtual_time
async def test_a_cost_that_becomes_unknown_ends_the_conversation() -> None:
    voice, _ = limited(costing(0.1), costing(None), max_cost=0.5)
    async with voice.connect() as session:
        told = Told(session)
        await session.send_text("One", wait=True)
        await session.send_text("Two", wait=True)
        await told.end()
    assert "is not known any more" in str(told.failure)


def test_a_price_that_is_not_known_is_refused_at_the_start() -> None:
    with pytest.raises(ConfigurationError, match="What scripted costs is not known") as refused:
        limited(prices=None, max_cost=1)
    assert '[prices."scripted"]' in refused.value.advice
    limited(prices=None, max_minutes=1)


def test_given_prices_make_the_cost_known() -> None:
    config = RealtimeConfig(max_cost=1, prices={"scripted": Prices(text_in=1)})
    RealtimeVoice(scripted_provider(prices=None), config=config)


@virtual_time
async def test_several_inputs_the_rest_is_not_asked() -> None:
    voice, connection = limited(costing(0.3), costing(0.3), costing(0.3), max_cost=0.5)
    with pytest.raises(LimitReachedError):
        async with voice.connect() as session:
            await converse(session, ["One", "Two", "Three"])
    assert [command.text for command in connection.commands if isinstance(command, SendText)] == ["One", "Two"]


@virtual_time
async def test_the_last_input_that_reaches_the_limit_ends_by_it_too() -> None:
    voice, _ = limited(costing(0.6), max_cost=0.5)
    with pytest.raises(LimitReachedError):
        async with voice.connect() as session:
            await converse(session, "One")


@virtual_time
async def test_what_was_spent_before_counts_and_warns_once() -> None:
    voice, _ = limited(costing(0.45), max_cost=0.5)
    async with voice.connect() as session:
        await session.send_text("One", wait=True)
        spent = session.spent
    assert spent.cost_usd == pytest.approx(0.45)
    voice, _ = limited(costing(0.02), costing(0.04), max_cost=0.5)
    async with voice.connect(spent=spent) as session:
        told = Told(session)
        await session.send_text("Two", wait=True)
        await session.send_text("Three", wait=True)
        await told.end()
    assert notices(told.events) == []
    assert told.failure is not None


@virtual_time
async def test_what_was_spent_is_known_without_a_limit() -> None:
    voice, _ = limited(costing(0.45))
    async with voice.connect() as session:
        await session.send_text("One", wait=True)
        assert session.spent.cost_usd == pytest.approx(0.45)
    assert session.spent.cost_usd == pytest.approx(0.45)


# -- minutes


@virtual_time
async def test_minutes_count_over_reconnects_and_warn_first() -> None:
    voice, connection = limited(max_minutes=10)
    async with voice.connect() as session:
        told = Told(session)
        await asyncio.sleep(300)
        connection.play([Reconnecting(1, 1.0, "lost")])
        await asyncio.sleep(60)
        connection.play([BACK])
        await asyncio.sleep(121)
        assert notices(told.events) == ["The conversation ends in 2 min: it may last 10 min."]
        await told.end()
    assert told.ended_at == pytest.approx(600, abs=0.1)
    assert str(told.failure) == "The limit of 10 min is reached. Allow more with max_minutes; 0 sets no limit."


@virtual_time
async def test_a_recording_is_not_asked_beyond_the_time() -> None:
    """Half of a question is none: it is not answered."""
    voice, connection = limited(max_minutes=0.05)

    async def audio() -> Any:
        for _ in range(10):
            await asyncio.sleep(1)
            yield SECOND

    async with voice.connect() as session:
        with pytest.raises(LimitReachedError, match="3 s"):
            await session.send_audio(audio(), wait=True)
    assert not any(isinstance(command, EndTurn) for command in connection.commands)


# -- idleness


@virtual_time
async def test_nobody_speaks() -> None:
    voice, connection = limited(idle_minutes=5, vad_mode=VADMode.SERVER)
    async with voice.connect() as session:
        told = Told(session)
        await asyncio.sleep(200)
        connection.play(reply("Hello."))  # a reply is none of the silence
        await asyncio.sleep(250)
        assert notices(told.events) == ["Nobody has spoken for 4 min: the conversation ends in 1 min."]
        connection.play([SpeechStarted()])
        await asyncio.sleep(900)
        assert session.is_active
        await session.clear_audio()  # it was nothing
        cleared = now()
        await told.end()
    assert told.ended_at == pytest.approx(cleared + 300, abs=0.1)
    assert len(notices(told.events)) == 2
    assert str(told.failure).startswith("Nobody has spoken for 5 min.")


@virtual_time
async def test_a_question_that_nobody_answers_is_idleness() -> None:
    question: list[Step] = [ResponseStarted("r"), ApprovalRequest("a", "pay", "{}", "bank")]
    voice, _ = limited([*question, ResponseDone("r", awaits_tools=True)], idle_minutes=4)
    async with voice.connect() as session:
        told = Told(session)
        await session.send_text("Pay it.", wait=False)
        await asyncio.sleep(1)
        assert session.state.assistant == "thinking"
        await told.end()
    assert told.ended_at == pytest.approx(240, abs=0.1)


@virtual_time
async def test_who_answers_a_question_is_there() -> None:
    voice, connection = limited(idle_minutes=5)
    async with voice.connect() as session:
        told = Told(session)
        connection.play([ResponseStarted("r"), ApprovalRequest("a", "pay", "{}", "bank")])
        connection.play([ResponseDone("r", awaits_tools=True)])
        await asyncio.sleep(250)
        await session.approve("a", False)
        connection.play(reply("As you like."))
        await told.end()
    assert told.ended_at == pytest.approx(550.1, abs=0.1)


@virtual_time
async def test_no_limit_is_the_default_and_zero_sets_none() -> None:
    chosen: list[dict[str, Any]] = [{}, {"max_minutes": 0, "idle_minutes": 0}]
    for settings in chosen:
        voice, _ = limited(**settings)
        async with voice.connect() as session:
            await asyncio.sleep(1e6)
            assert session.is_active


# -- models that are billed by the minute


@virtual_time
async def test_models_billed_by_the_minute_are_left_after_ten_idle_minutes() -> None:
    voice, _ = limited(prices=BY_THE_MINUTE)
    async with voice.connect() as session:
        told = Told(session)
        await told.end()
    assert told.ended_at == pytest.approx(600, abs=0.1)
    voice, _ = limited(prices=BY_THE_MINUTE, idle_minutes=0)
    async with voice.connect() as session:
        await asyncio.sleep(1e5)
        assert session.is_active


@virtual_time
async def test_minutes_of_the_session_cost_though_nobody_speaks() -> None:
    voice, _ = limited(prices=BY_THE_MINUTE, idle_minutes=0, max_cost=1)
    async with voice.connect() as session:
        told = Told(session)
        await told.end()
    assert told.ended_at == pytest.approx(20 * 60, abs=0.1)
    assert notices(told.events) == ["$0.80 of at most $1.00 is spent."]


@virtual_time
async def test_seconds_of_each_connection_count_and_those_without_one_do_not() -> None:
    voice, connection = limited(prices=BY_THE_MINUTE, idle_minutes=0, max_cost=1)
    async with voice.connect() as session:
        told = Told(session)
        await asyncio.sleep(300)
        # The provider tells the seconds of the present connection, and what those since the last report cost.
        connection.play(reply("One.", usage=Usage(session_seconds=300, cost_usd=0.25)))
        await asyncio.sleep(60)
        connection.play([Reconnecting(1, 60.0, "lost")])
        await asyncio.sleep(600)
        connection.play([BACK])
        await asyncio.sleep(120)
        connection.play(reply("Two.", usage=Usage(session_seconds=60, cost_usd=0.05)))
        connection.play(reply("Three.", usage=Usage(session_seconds=120, cost_usd=0.05)))
        await asyncio.sleep(1)
        assert session.usage.session_seconds == 420
        assert session.usage.cost_usd == pytest.approx(0.35)
        await told.end()
    assert told.ended_at == pytest.approx(600 + 20 * 60, abs=1)
    done = [event.usage.session_seconds for event in told.events if isinstance(event, ResponseDone)]
    assert done == [300, 360, 420]


def test_seconds_replace_and_costs_add_up() -> None:
    usages = [Usage(session_seconds=60, cost_usd=0.05), Usage(cost_usd=0.2), Usage(session_seconds=90, cost_usd=0.025)]
    total = sum(usages, Usage())
    assert total.session_seconds == 90
    assert total.cost_usd == pytest.approx(0.275)
