"""An interpreter at work: both providers over real sockets, by virtual time."""

import asyncio
from typing import Any

import pytest

from tests.interpreting.stage import PROVIDERS, interpreter_for, make_server, talk, tone
from tests.loopback import gemini_translation, openai_translation
from tests.loopback.interpreting import Sentence
from tests.support.virtual_time import virtual_time
from voicecli.errors import (
    AuthenticationError,
    ConfigurationError,
    LimitReachedError,
    QuotaExceededError,
    RealtimeConnectionError,
)
from voicecli.events import (
    AudioChunk,
    AudioDone,
    Notice,
    Reconnecting,
    SessionEnded,
    SessionStarted,
    StateChanged,
    TranscriptUpdate,
    UsageUpdated,
)

TWO = (Sentence(), Sentence(source="How are you?", target="¿Cómo está usted?"))


@pytest.mark.parametrize("provider", PROVIDERS)
@virtual_time
async def test_what_is_said_is_told_and_translated(provider: str) -> None:
    async with make_server(provider, sentences=TWO) as server, talk(interpreter_for(server)) as told:
        await told.say(500, 3_000, 500)
        await told.session.finish()
    assert told.finals("user") == ["Good morning.", "How are you?"]
    assert told.finals() == ["Buenos días.", "¿Cómo está usted?"]
    assert told.sound_ms == 5 * 200
    assert len(told.of(AudioDone)) == 2
    assert isinstance(told.of(SessionStarted)[0], SessionStarted)
    assert isinstance(told.events[-1][1], SessionEnded)
    states = [(event.user, event.assistant) for event in told.of(StateChanged)]
    assert {("speaking", "listening"), ("silent", "speaking"), ("silent", "listening")} <= set(states)
    seconds = told.session.usage.session_seconds
    assert seconds == pytest.approx(sum(len(each.heard) for each in server.sessions) / told.rate / 2, abs=3)
    assert [event.usage.session_seconds for event in told.of(UsageUpdated)][-1] == seconds


@virtual_time
async def test_the_silence_of_a_track_that_never_ends_is_not_told() -> None:
    async with make_server("openai", sentences=TWO, chatters=True) as server, talk(interpreter_for(server)) as told:
        await told.say(500, 3_000, 500)
        await told.session.finish()
    assert told.finals() == ["Buenos días.", "¿Cómo está usted?"]
    assert len(told.of(AudioDone)) == 2
    silence_ms = sum(len(event.audio) for event in told.of(AudioChunk)) // 48 - told.sound_ms
    assert 0 < silence_ms < 1_500  # within the translations, and at their ends; of 7 s


@pytest.mark.parametrize("provider", PROVIDERS)
@virtual_time
async def test_a_recording_is_sent_as_fast_as_it_was_spoken_and_its_last_words_come_late(provider: str) -> None:
    late = [Sentence(lag_s=15.0)]
    async with make_server(provider, sentences=late) as server, talk(interpreter_for(server)) as told:
        clock = asyncio.get_running_loop().time
        began = clock()
        await told.session.send_audio(tone(4_000, rate=48_000), sample_rate=48_000)
        assert 3.0 < clock() - began < 4.5
        await told.session.finish()
        assert clock() - began < 30
    assert told.finals() == ["Buenos días."]
    assert told.sound_ms == 400


@pytest.mark.parametrize("provider", PROVIDERS)
@virtual_time
async def test_without_the_source_text_there_is_none(provider: str) -> None:
    async with (
        make_server(provider, sentences=TWO) as server,
        talk(interpreter_for(server, source_text=False)) as told,
    ):
        await told.say(500, 2_000)
        await told.session.finish()
    assert told.finals("user") == []
    assert told.finals() == ["Buenos días."]


@pytest.mark.parametrize("provider", PROVIDERS)
@virtual_time
async def test_silence_flows_while_the_program_sends_nothing(provider: str) -> None:
    async with make_server(provider, sentences=TWO) as server, talk(interpreter_for(server)) as told:
        await told.say(500)
        await asyncio.sleep(5)
        assert told.finals() == ["Buenos días."]
        await told.say(500)
        await told.session.finish()
    assert told.finals() == ["Buenos días.", "¿Cómo está usted?"]


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("close", [None, 1011])
@virtual_time
async def test_a_lost_connection_is_made_again(provider: str, close: int | None) -> None:
    module: Any = openai_translation if provider == "openai" else gemini_translation
    faults = [module.Fault(stage="translating", close=close)]
    async with make_server(provider, sentences=TWO, faults=faults) as server, talk(interpreter_for(server)) as told:
        await told.say(500, 2_500, 500)
        await told.session.finish()
    assert len(told.of(Reconnecting)) == 1
    assert [event.resumed for event in told.of(SessionStarted)] == [False, True]
    assert told.finals()[-1] == "¿Cómo está usted?"
    names = [event.item_id for event in told.of(TranscriptUpdate) if event.final]
    assert len(names) == len(set(names))
    # Both sockets together are billed.
    first_s, second_s = (len(each.heard) / told.rate / 2 for each in server.sessions)
    assert first_s + second_s - 1.2 < told.session.usage.session_seconds <= first_s + second_s + 0.1


@virtual_time
async def test_a_socket_that_ends_is_replaced_at_a_pause_and_nobody_notices() -> None:
    faults = [gemini_translation.Fault(stage="speaking", go_away_s=50)]
    async with make_server("gemini", sentences=TWO, faults=faults) as server, talk(interpreter_for(server)) as told:
        await told.say(500, 6_000)
        assert len(server.sessions) == 2
        await told.say(500)
        await told.session.finish()
    assert told.of(Reconnecting) == []
    assert told.finals() == ["Buenos días.", "¿Cómo está usted?"]


@virtual_time
async def test_a_socket_that_ends_amid_speech_is_replaced_before_it_is_closed() -> None:
    faults = [gemini_translation.Fault(stage="speaking", go_away_s=4)]
    async with make_server("gemini", sentences=TWO, faults=faults) as server:
        async with talk(interpreter_for(server)) as told:
            await told.say(6_000)
            await told.session.finish()
        assert len(server.sessions) == 2
    assert told.of(Reconnecting) == []
    assert told.finals() == ["Buenos días."]  # of what the second one heard


@virtual_time
async def test_a_session_is_ended_within_seconds_with_what_was_said_last() -> None:
    async with make_server("openai", sentences=[Sentence(lag_s=15.0)]) as server:
        clock = asyncio.get_running_loop().time
        async with talk(interpreter_for(server)) as told:
            await told.say(500, 500)
            began = clock()
        assert clock() - began < 5.5
    assert told.finals() == ["Buenos días."]
    assert server.received("session.close")


@virtual_time
async def test_a_server_that_never_says_goodbye_is_waited_for_five_seconds() -> None:
    faults = [openai_translation.Fault(stage="closing", silent=True)]
    async with make_server("openai", faults=faults, forgiving=True) as server:
        clock = asyncio.get_running_loop().time
        async with talk(interpreter_for(server)) as told:
            await told.say(100)
            began = clock()
        assert clock() - began < 8


@pytest.mark.parametrize("provider", PROVIDERS)
@virtual_time
async def test_a_wrong_key_is_told_at_once(provider: str) -> None:
    async with make_server(provider, keys=()) as server:
        with pytest.raises(AuthenticationError):
            async with interpreter_for(server).connect():
                raise AssertionError("it must not begin")


@virtual_time
async def test_a_key_refused_at_the_upgrade_and_a_quota_that_is_used_up() -> None:
    async with make_server("openai", refuse=[(401, "invalid_api_key"), (429, "insufficient_quota")]) as server:
        with pytest.raises(AuthenticationError):
            async with interpreter_for(server).connect():
                pass
        with pytest.raises(QuotaExceededError):
            async with interpreter_for(server).connect():
                pass


@virtual_time
async def test_a_quota_that_is_used_up_amid_speech_ends_it() -> None:
    faults = [openai_translation.Fault(stage="speaking", close=1000, error="insufficient_quota")]
    async with make_server("openai", faults=faults) as server, talk(interpreter_for(server)) as told:
        with pytest.raises(QuotaExceededError):
            await told.say(500, 1_000)
            await told.session.send_audio(b"\0\0")
    assert isinstance(told.failure, QuotaExceededError)


@virtual_time
async def test_a_failure_of_which_nobody_was_told_is_raised_at_the_end() -> None:
    faults = [openai_translation.Fault(stage="speaking", close=1008)]
    async with make_server("openai", faults=faults) as server:
        with pytest.raises(RealtimeConnectionError, match="policy"):
            async with interpreter_for(server).connect() as session:
                await session.send_audio(tone(100))
                await asyncio.sleep(1)


@pytest.mark.parametrize(
    ("settings", "limit"),
    [
        ({"max_cost": 0.0034}, "max_cost"),
        ({"max_minutes": 0.1}, "max_minutes"),
        ({"idle_minutes": 0.1}, "idle_minutes"),
    ],
)
@virtual_time
async def test_a_limit_ends_it(settings: dict[str, Any], limit: str) -> None:
    async with make_server("openai", sentences=TWO) as server, talk(interpreter_for(server, **settings)) as told:
        with pytest.raises(LimitReachedError) as caught:
            await told.say(*[200, 1_800 if limit != "idle_minutes" else 20_000] * 12)
        assert caught.value.limit == limit
        await asyncio.sleep(20)
        assert not told.session.is_active
    assert isinstance(told.failure, LimitReachedError)
    assert told.finals()[0] == "Buenos días."


@virtual_time
async def test_nobody_speaking_is_found_out_though_silence_flows() -> None:
    async with make_server("openai") as server, talk(interpreter_for(server, idle_minutes=0.1)) as told:
        await asyncio.sleep(7)
        assert not told.session.is_active
    assert isinstance(told.failure, LimitReachedError)
    assert told.failure.limit == "idle_minutes"


@virtual_time
async def test_nothing_can_be_said_when_it_has_finished() -> None:
    async with make_server("openai") as server, talk(interpreter_for(server)) as told:
        await told.session.finish()
        with pytest.raises(RealtimeConnectionError, match="finished"):
            await told.session.send_audio(bytes(960))
        with pytest.raises(ConfigurationError, match="bytes"):
            await told.session.send_audio("words")  # type: ignore[arg-type]


@virtual_time
async def test_the_lag_is_from_the_end_of_the_words_to_the_end_of_the_translated_ones() -> None:
    late = [Sentence(lag_s=4.0)]
    async with make_server("openai", sentences=late) as server, talk(interpreter_for(server)) as told:
        await told.say(500, 2_000)
        assert told.session.lag_s is None
        await told.say(0, 6_000)
        # Two words of 200 ms, of which the first comes 4 s after the end.
        assert told.session.lag_s == pytest.approx(4.4, abs=0.4)


@virtual_time
async def test_a_model_for_conversations_is_left_out_with_a_note() -> None:
    async with make_server("openai", sentences=TWO) as server:
        interpreter = interpreter_for(server, model="gpt-realtime-2.1")
        async with talk(interpreter) as told:
            await told.say(100)
    assert interpreter.model == "gpt-realtime-translate"
    assert "gpt-realtime-2.1 is for conversations" in told.of(Notice)[0].message
