"""Limits with every provider: OpenAI and Gemini on loopback, the offline engine by what it is billed."""

import asyncio
from typing import Any

import pytest

from tests.conversation.test_parity import QUESTION, Backend, Gemini, Say, networked, talk, weather
from voicecli import ConfigurationError, LimitReachedError, LocalSettings, Prices, RealtimeConfig, RealtimeVoice
from voicecli.events import Event, ResponseDone, SessionStarted, Usage
from voicecli.pricing import with_cost
from voicecli.providers import find_provider

ELSEWHERE = LocalSettings(llm="https://llm.example/v1", llm_model="big")


async def answer(kind: type[Backend]) -> Usage:
    """The usage of one answer."""
    async with talk(kind([Say("It is Paris.")])) as session:
        return (await session.ask(QUESTION)).usage


@networked
async def test_what_is_asked_after_the_limit_is_not_sent(kind: type[Backend]) -> None:
    cost = (await answer(kind)).cost_usd
    assert cost
    backend = kind([Say("It is Paris."), Say("It is Rome.")])
    async with talk(backend, max_cost=cost) as session:
        assert (await session.ask(QUESTION)).transcript == "It is Paris."
        with pytest.raises(LimitReachedError, match="the conversation has cost"):
            await session.ask("And of Italy?")
    assert "Italy" not in backend.seen


@networked
async def test_an_answer_that_goes_on_after_a_tool_is_finished(kind: type[Backend]) -> None:
    backend = kind([Say("It is clear.", calls=(("weather", {"city": "Rome"}),)), Say("More.")])
    async with talk(backend, tools=[weather], max_cost=0.0001) as session:
        response = await session.ask("What is the weather?")
    assert response.transcript == "It is clear."
    assert session.usage.cost_usd == response.usage.cost_usd


@networked
async def test_costs_of_all_sockets_count(kind: type[Backend]) -> None:
    """The first socket breaks in the middle of the first answer."""
    cost = (await answer(kind)).cost_usd
    assert cost
    events: list[Event] = []

    async def read(told: Any) -> None:
        async for event in told:
            events.append(event)

    async with talk(kind([Say("It is Paris."), Say("It is Rome.")], fault="drop"), max_cost=cost) as session:
        reading = asyncio.create_task(read(aiter(session)))
        await session.send_text(QUESTION, wait=True)
        with pytest.raises(LimitReachedError):
            while True:
                await session.send_text("And of Italy?", wait=True)
        with pytest.raises(LimitReachedError):
            await reading
    assert [event.resumed for event in events if isinstance(event, SessionStarted)] == [False, True]
    told = [event.usage.cost_usd for event in events if isinstance(event, ResponseDone)]
    assert session.usage.cost_usd == pytest.approx(sum(each for each in told if each))


@networked
async def test_prices_that_are_given_come_before_those_that_are_known(kind: type[Backend]) -> None:
    provider = find_provider(kind.name)
    given = Prices(text_in=1, audio_in=10, text_out=100, audio_out=1_000)
    backend = kind([Say("It is Paris.")])
    async with talk(backend, prices={provider.default_model: given}) as session:
        usage = (await session.ask(QUESTION)).usage
    assert usage.cost_usd == with_cost(usage, given).cost_usd


@networked
async def test_a_model_that_is_not_known_needs_a_price(kind: type[Backend]) -> None:
    settings: dict[str, Any] = {"max_cost": 1, "model": "mine", "api_key": "sk-0123456789"}
    with pytest.raises(ConfigurationError, match=r'What mine costs is not known.*\[prices."mine"\]'):
        RealtimeVoice(kind.name, config=RealtimeConfig(**settings))
    RealtimeVoice(kind.name, config=RealtimeConfig(**settings, prices={"mine": Prices(text_in=1)}))


async def test_the_resource_name_of_a_model_has_its_price() -> None:
    usage = await answer(Gemini)
    model = find_provider("gemini").default_model
    async with talk(Gemini([Say("It is Paris.")]), model=f"models/{model}", max_cost=5) as session:
        assert (await session.ask(QUESTION)).usage.cost_usd == usage.cost_usd


def test_the_transcription_is_billed_too() -> None:
    from voicecli import OpenAISettings

    def voice(model: str) -> RealtimeVoice:
        own = OpenAISettings(transcription_model=model)
        return RealtimeVoice("openai", config=RealtimeConfig(max_cost=1, provider_settings=own))

    with pytest.raises(ConfigurationError, match="What my-ears costs is not known"):
        voice("my-ears")
    voice("none")
    voice("gpt-4o-transcribe")


def test_the_offline_engine_costs_nothing_on_this_machine() -> None:
    for own in (LocalSettings(), LocalSettings(llm="smollm2"), LocalSettings(llm="http://127.0.0.1:11434/v1")):
        RealtimeVoice("local", config=RealtimeConfig(max_cost=1, provider_settings=own))
    with pytest.raises(ConfigurationError, match="What big costs is not known"):
        RealtimeVoice("local", config=RealtimeConfig(max_cost=1, provider_settings=ELSEWHERE))
    with pytest.raises(ConfigurationError, match=r"What the model at llm\.example costs is not known"):
        RealtimeVoice("local", config=RealtimeConfig(max_cost=1, model="https://me:secret@llm.example/v1"))
    prices = {"big": Prices(text_in=1, text_out=2)}
    RealtimeVoice("local", config=RealtimeConfig(max_cost=1, provider_settings=ELSEWHERE, prices=prices))
