"""The built-in providers and the one of the recipe pass the checks for providers; faulty ones do not."""

import contextlib
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import pytest

from tests.loopback import gemini_server, openai_server
from tests.providers.local.fakes import FakeHearing, FakeModel, FakeSpeech, offline
from tests.support.plugins import PARROT
from voicecli.commands import Command, EndTurn, SendText
from voicecli.config import ProviderSettings, RealtimeConfig, setting
from voicecli.events import AudioChunk, Event, ResponseDone, ResponseStarted, SessionEnded
from voicecli.ports import Capabilities, Connection, ConversationSetup, ModelInfo, Provider
from voicecli.providers.gemini import GEMINI
from voicecli.providers.local import LOCAL
from voicecli.providers.openai import OPENAI
from voicecli.testing import ScriptedConnection, check_provider, reply, scripted_provider

RATE = 16_000
GOOD = (ResponseStarted("r"), ResponseDone("r"))
SPEECH = b"\x00\x10" * RATE


@contextlib.asynccontextmanager
async def openai() -> AsyncIterator[tuple[Provider, RealtimeConfig]]:
    replies = [openai_server.Reply(text="Good day to you.") for _ in range(9)]
    async with openai_server.OpenAIServer(replies=replies, hears=["Hi."] * 9, forgiving=True) as server:
        yield OPENAI, RealtimeConfig(base_url=server.url, api_key=openai_server.KEY)


@contextlib.asynccontextmanager
async def gemini() -> AsyncIterator[tuple[Provider, RealtimeConfig]]:
    replies = [gemini_server.Reply(text="Good day to you.") for _ in range(9)]
    async with gemini_server.GeminiServer(replies=replies, hears=["Hi."] * 9, forgiving=True) as server:
        yield GEMINI, RealtimeConfig(base_url=server.url, api_key=gemini_server.KEY)


@contextlib.asynccontextmanager
async def local() -> AsyncIterator[tuple[Provider, RealtimeConfig]]:
    """The engine, with fakes for its models."""

    async def connect(setup: ConversationSetup) -> Connection:
        model = FakeModel([["Good day", " to you."]] * 9)
        return offline(model, FakeHearing(["Hi."] * 9), FakeSpeech(), config=setup.config)

    yield replace(LOCAL, connect=connect, lacks=lambda config: {}), RealtimeConfig()


@contextlib.asynccontextmanager
async def parrot() -> AsyncIterator[tuple[Provider, RealtimeConfig]]:
    module = ModuleType("voicecli_parrot")
    sys.modules[module.__name__] = module  # dataclasses look there
    try:
        exec(compile(PARROT, "voicecli_parrot.py", "exec"), module.__dict__)
        yield module.PARROT, RealtimeConfig()
    finally:
        del sys.modules[module.__name__]


@contextlib.asynccontextmanager
async def scripted() -> AsyncIterator[tuple[Provider, RealtimeConfig]]:
    replies = [reply("Good day to you.", response_id=f"response_{number}") for number in range(9)]
    yield replace(scripted_provider(*replies), setup_advice="None."), RealtimeConfig()


@pytest.mark.parametrize("serve", [openai, gemini, local, parrot, scripted])
async def test_it_passes(serve: Callable[[], contextlib.AbstractAsyncContextManager[Any]]) -> None:
    async with serve() as (provider, config):
        question = SPEECH * (provider.capabilities.input_rate // RATE + 1)
        await check_provider(provider, config, question=question[: provider.capabilities.input_rate * 2])


# -- what is wrong is found


class Talkative(ScriptedConnection):
    """Takes commands when the conversation is over."""

    async def send(self, command: Command) -> None:
        if not self._closed:
            await super().send(command)


class Endless(ScriptedConnection):
    """Does not end."""

    async def aclose(self) -> None:
        return


class Repetitive(ScriptedConnection):
    """Gives every response the same id."""

    async def send(self, command: Command) -> None:
        if isinstance(command, EndTurn | SendText):
            self.play(GOOD)


class Misrated(ScriptedConnection):
    """Starts with other rates than it has."""

    def __init__(self, script: Sequence[Sequence[Event]] = ()) -> None:
        super().__init__(script, capabilities=Capabilities(input_rate=8_000, output_rate=8_000))
        self._capabilities = Capabilities(input_rate=24_000, output_rate=24_000)


class Silent(ScriptedConnection):
    """Ends without a word."""

    async def __aiter__(self) -> AsyncIterator[Event]:
        async for event in super().__aiter__():
            if isinstance(event, SessionEnded):
                return
            yield event


def answered(*steps: Event) -> Provider:
    """A provider whose every turn is answered by these events."""
    return by(ScriptedConnection, [steps] * 3)


def by(kind: type[ScriptedConnection], script: Sequence[Sequence[Event]] = ()) -> Provider:
    """A provider of such connections; by default with a script in which nothing is wrong."""

    async def connect(setup: ConversationSetup) -> Connection:
        return kind(script or [(ResponseStarted(name), ResponseDone(name)) for name in "abc"])

    return replace(scripted_provider(), setup_advice="None.", connect=connect)


@dataclass(frozen=True, kw_only=True)
class Undescribed(ProviderSettings):
    pitch: int = 1


@dataclass(frozen=True, kw_only=True)
class Common(ProviderSettings):
    speed: float = setting(1.0, help="How fast.")


@pytest.mark.parametrize(
    ("provider", "says"),
    [
        (replace(answered(*GOOD), name="Parrot"), "'Parrot': names are written in lower case"),
        (replace(answered(*GOOD), models=(ModelInfo("other"),)), "the default is one of the models"),
        (replace(answered(*GOOD), setup_advice=""), "tell what to do when it is not set up"),
        (replace(answered(*GOOD), capabilities=Capabilities(input_rate=16, output_rate=24_000)), "16 is no rate"),
        (replace(answered(*GOOD), settings=Undescribed), "pitch has no description"),
        (replace(answered(*GOOD), settings=Common), "speed is a setting of all providers"),
        (replace(answered(*GOOD), lacks=lambda config: {"pitch": "no"}), "lacks: pitch is no setting"),
        (replace(answered(*GOOD), lacks=lambda config: {"speed": "None."}), "without a full stop"),
        (
            replace(answered(*GOOD), capabilities=Capabilities(input_rate=16_000, output_rate=24_000)),
            "rates do not change",
        ),
        (answered(ResponseStarted("r")), "an event that is due did not come within 0.2 s"),
        (answered(ResponseDone("r")), "the response r ends, and never started"),
        (answered(ResponseStarted("r", ("x",)), ResponseDone("r")), "not asked, or again"),
        (by(Repetitive), "the response r starts twice"),
        (answered(ResponseStarted("r"), AudioChunk(b"\0", "r", "i"), ResponseDone("r")), "half a sample"),
        (answered(ResponseStarted("r"), AudioChunk(b"\0\0", "s", "i"), ResponseDone("r")), "audio of s"),
        (answered(ResponseStarted("r"), ResponseDone("r", "failed", "why")), "ended as failed: why"),
        (by(Misrated), "tell of other rates"),
        (by(Talkative), "send\\(\\) raises RealtimeError when the conversation is over"),
        (by(Silent), "SessionEnded is the last event"),
    ],
)
async def test_what_is_wrong_is_found(provider: Provider, says: str) -> None:
    with pytest.raises(AssertionError, match=says):
        await check_provider(provider, within_s=0.2)


async def test_a_conversation_that_does_not_end_is_found() -> None:
    with pytest.raises(AssertionError, match=r"the end of the iteration takes more than 0.2 s"):
        await check_provider(by(Endless), within_s=0.2)


async def test_a_lack_without_notice_is_found() -> None:
    provider = replace(by(ScriptedConnection), lacks=lambda config: {"speed": "there is one"})
    with pytest.raises(AssertionError, match="the notice that speed is ignored did not come"):
        await check_provider(provider, within_s=0.2)
