"""Checks that a provider keeps to what voicecli asks of one; the built-in ones pass them, too.

    async def test_my_provider() -> None:
        await check_provider(MY_PROVIDER, RealtimeConfig(base_url=server.url))

Each check raises AssertionError with what is wrong, and waits for nothing longer than `within_s`.
"""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, TypeVar

from voicecli.commands import AppendAudio, CancelResponse, EndTurn, SendText, StartTurn
from voicecli.config import ProviderSettings, RealtimeConfig, Setting, VADMode
from voicecli.errors import RealtimeError
from voicecli.events import (
    AudioChunk,
    Event,
    Notice,
    ResponseDone,
    ResponseStarted,
    SessionEnded,
    SessionStarted,
    TranscriptUpdate,
)
from voicecli.ports import Connection, ConversationSetup, Provider
from voicecli.setting_fields import Settings, alternatives, choices_of

__all__ = ["check_cancelling", "check_conversation", "check_entry", "check_notices", "check_provider"]

_T = TypeVar("_T")

_TEXT = "Hello."
_INPUTS = ("input_1", "input_2")  # ids of what asks for an answer
_CHUNK_MS = 20


async def check_provider(
    provider: Provider, config: RealtimeConfig | None = None, *, question: bytes = b"", within_s: float = 10.0
) -> None:
    """Run all of the checks.

    Args:
        config: settings that lead to a server for tests, where the provider needs one. It is held in writing and push
            to talk: `vad_mode` is VADMode.NONE throughout.
        question: a recording for a spoken turn, PCM16 mono at the provider's input rate; a second of silence without.
    """
    config = replace(config or RealtimeConfig(), vad_mode=VADMode.NONE)
    check_entry(provider)
    await check_conversation(provider, config, question=question, within_s=within_s)
    await check_cancelling(provider, config, within_s=within_s)
    await check_notices(provider, config, within_s=within_s)


def check_entry(provider: Provider) -> None:
    """Check the entry: all that is known of the provider without connecting to it."""
    for name in (provider.name, *provider.aliases):
        assert name == name.lower(), f"{name!r}: names are written in lower case"
        assert name.replace("-", "").replace("_", "").isalnum(), f"{name!r}: a name has letters, digits, - and _"
    assert provider.title, "a title is what people read"
    assert provider.default_model in [model.name for model in provider.models], "the default is one of the models"
    assert provider.default_voice in [voice.name for voice in provider.voices], "the default is one of the voices"
    assert isinstance(provider.is_configured(), bool)
    assert provider.setup_advice, "tell what to do when it is not set up"
    for rate in (provider.capabilities.input_rate, provider.capabilities.output_rate):
        assert 8_000 <= rate <= 96_000, f"{rate} is no rate in Hz"
    _check_settings(provider.settings)
    for model in provider.models:
        for name, why in provider.lacks(RealtimeConfig(model=model.name)).items():
            outer = name.partition(".")[0]
            assert outer in RealtimeConfig.hints() or outer in provider.settings.hints(), f"lacks: {name} is no setting"
            assert why, f"lacks: why is there no {name}?"
            assert not why.endswith("."), f"lacks: {name}: the reason becomes part of a sentence, without a full stop"


async def check_conversation(
    provider: Provider, config: RealtimeConfig, *, question: bytes = b"", within_s: float = 10.0
) -> None:
    """Check a turn in writing and a spoken one, each answered, and the end."""
    rate = provider.capabilities_of(config).input_rate
    question = question or bytes(rate * 2)
    async with _talk(provider, config, within_s) as talk:
        started = await talk.until(lambda event: isinstance(event, SessionStarted))
        assert isinstance(talk.seen[0], SessionStarted | Notice), "nothing but notices comes before SessionStarted"
        assert isinstance(started, SessionStarted)
        rates = (talk.connection.capabilities.input_rate, talk.connection.capabilities.output_rate)
        assert (started.input_rate, started.output_rate) == rates, "SessionStarted and Capabilities tell of other rates"
        await talk.connection.send(SendText(_TEXT, "text_1", input_id=_INPUTS[0]))
        done = await talk.until(lambda event: isinstance(event, ResponseDone))
        assert isinstance(done, ResponseDone)
        assert done.status == "completed", f"the turn in writing ended as {done.status}: {done.reason}"
        await talk.connection.send(StartTurn())
        step = rate * _CHUNK_MS // 1000 * 2
        for start in range(0, len(question), step):
            await talk.connection.send(AppendAudio(question[start : start + step]))
        await talk.connection.send(EndTurn(input_id=_INPUTS[1]))
        await talk.until(
            lambda event: isinstance(event, ResponseDone) or (isinstance(event, Notice) and event.code == "no_speech")
        )
    _check_events(talk.seen)
    await _check_over(talk, within_s)


async def check_cancelling(provider: Provider, config: RealtimeConfig, *, within_s: float = 10.0) -> None:
    """Check that a reply that is cancelled ends, and that nothing more of it comes."""
    async with _talk(provider, config, within_s) as talk:
        await talk.until(lambda event: isinstance(event, SessionStarted))
        await talk.connection.send(SendText(_TEXT, "text_1", input_id=_INPUTS[0]))
        started = await talk.until(lambda event: isinstance(event, ResponseStarted))
        await talk.connection.send(CancelResponse())
        assert isinstance(started, ResponseStarted)
        await talk.until(lambda event: isinstance(event, ResponseDone) and event.response_id == started.response_id)
        await talk.connection.send(SendText("And again.", "text_2", input_id=_INPUTS[1]))
        await talk.until(lambda event: isinstance(event, ResponseDone) and event.response_id != started.response_id)
    _check_events(talk.seen)


async def check_notices(provider: Provider, config: RealtimeConfig, *, within_s: float = 10.0) -> None:
    """Check that a notice tells whoever chooses what the provider lacks."""
    values = {}
    for name in provider.lacks(config):
        kind: type[Settings] = provider.settings if name in provider.settings.hints() else RealtimeConfig
        if "." not in name and (other := _other_value(kind, name)) is not None:
            values[name] = other
    if not values:
        return
    own = {name: value for name, value in values.items() if name in provider.settings.hints()}
    common = {name: value for name, value in values.items() if name not in own}
    settings = replace(config.own(provider.settings), **own)
    chosen = replace(config, **common, provider_settings=settings)
    async with _talk(provider, chosen, within_s) as talk:
        for name in values:
            await talk.until(
                lambda event, name=name: (
                    isinstance(event, Notice)  # type: ignore[misc]
                    and event.code == "setting_ignored"
                    and event.message.startswith(name)
                ),
                f"the notice that {name} is ignored",
            )


class _Talk:
    """A conversation whose events are kept.

    Attributes:
        seen: all so far.
    """

    def __init__(self, connection: Connection, within_s: float) -> None:
        self.connection = connection
        self.seen: list[Event] = []
        self._within_s = within_s
        self._looked_at = 0
        self._news = asyncio.Condition()
        self.reading = asyncio.create_task(self._read())

    async def until(self, condition: Callable[[Event], bool], what: str = "an event that is due") -> Event:
        """The next event for which that is true."""

        def found() -> Event | None:
            while self._looked_at < len(self.seen):
                self._looked_at += 1
                if condition(self.seen[self._looked_at - 1]):
                    return self.seen[self._looked_at - 1]
            return None

        try:
            async with asyncio.timeout(self._within_s), self._news:
                while (event := found()) is None:
                    assert not self.reading.done(), f"the conversation ended before {what}: {self.seen[-3:]}"
                    await self._news.wait()
                return event
        except TimeoutError:
            raise AssertionError(f"{what} did not come within {self._within_s:g} s after {self.seen[-3:]}") from None

    async def _read(self) -> None:
        try:
            async for event in self.connection:
                self.seen.append(event)
                async with self._news:
                    self._news.notify_all()
        finally:
            async with self._news:
                self._news.notify_all()


@asynccontextmanager
async def _talk(provider: Provider, config: RealtimeConfig, within_s: float) -> AsyncIterator[_Talk]:
    connection = await _in_time(provider.connect(ConversationSetup(config)), within_s, "connect()")
    given, told = connection.capabilities, provider.capabilities_of(config)
    assert (given.input_rate, given.output_rate) == (told.input_rate, told.output_rate), "rates do not change"
    talk = _Talk(connection, within_s)
    try:
        yield talk
    finally:
        try:
            await _in_time(connection.aclose(), within_s, "aclose()")
            await _in_time(asyncio.wait([talk.reading]), within_s, "the end of the iteration")
        finally:
            talk.reading.cancel()


async def _in_time(awaited: Awaitable[_T], within_s: float, what: str) -> _T:
    try:
        async with asyncio.timeout(within_s):
            return await awaited
    except TimeoutError:
        raise AssertionError(f"{what} takes more than {within_s:g} s") from None


async def _check_over(talk: _Talk, within_s: float) -> None:
    assert talk.reading.done(), "the iteration ends when the conversation is closed"
    talk.reading.result()
    assert isinstance(talk.seen[-1], SessionEnded), "SessionEnded is the last event"
    await _in_time(talk.connection.aclose(), within_s, "another aclose()")
    try:
        await talk.connection.send(SendText(_TEXT))
    except RealtimeError:
        return
    raise AssertionError("send() raises RealtimeError when the conversation is over")


def _check_events(events: list[Event]) -> None:
    """Responses begin before they end, once each; nothing belongs to one that has not begun, or is over."""
    begun: set[str] = set()
    done: set[str] = set()
    finals: set[str] = set()
    answered: set[str] = set()
    for event in events:
        match event:
            case ResponseStarted(response_id, answers):
                assert response_id, "a response has an id"
                assert set(answers) <= set(_INPUTS) - answered, f"{response_id} answers {answers}: not asked, or again"
                answered.update(answers)
                assert response_id not in begun, f"the response {response_id} starts twice"
                begun.add(response_id)
            case ResponseDone(response_id):
                assert response_id in begun, f"the response {response_id} ends, and never started"
                assert response_id not in done, f"the response {response_id} ends twice"
                done.add(response_id)
            case AudioChunk(audio, response_id):
                assert audio, "an empty AudioChunk"
                assert len(audio) % 2 == 0, "half a sample in an AudioChunk"
                assert response_id in begun - done, f"audio of {response_id}, which is not under way"
            case TranscriptUpdate(item_id=item_id, final=final):
                assert item_id not in finals, f"the item {item_id} goes on after its final"
                if final:
                    finals.add(item_id)
    assert begun == done, f"responses without an end: {begun - done}"


def _check_settings(kind: type[ProviderSettings]) -> None:
    assert issubclass(kind, ProviderSettings), "settings are a class of ProviderSettings"
    assert kind() == kind(), "every setting has a default"
    assert "__dataclass_fields__" in vars(kind), f"{kind.__name__} lacks @dataclass(frozen=True, kw_only=True)"
    for field in dataclasses.fields(kind):
        described = Setting.of(field)
        assert field.name not in RealtimeConfig.hints(), f"{field.name} is a setting of all providers"
        assert described is not None, f"{field.name} has no description: write it with setting()"
        assert described.help or described.secret or described.option == "", f"{field.name} has no help"


def _other_value(kind: type[Settings], name: str) -> Any:
    """A value that is not the default, or None where none can be told from the type."""
    hint = kind.hints()[name]
    field = next(field for field in dataclasses.fields(kind) if field.name == name)  # type: ignore[arg-type]
    described = Setting.of(field) or Setting()
    if choices := [choice for choice in choices_of(hint) if choice != field.default]:
        return choices[0]
    if alternatives(hint) == (bool,):
        return not field.default
    if described.between is not None:
        return next(value for value in described.between if value != field.default)
    return None
