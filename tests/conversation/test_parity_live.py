"""The conversations of every provider with GPT-Live, as far as the kinds agree: in virtual time, since it talks at the
pace of its input."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from typing import Any

import pytest

from tests.conversation import test_parity as parity
from tests.loopback.live_server import KEY, Call, Fault, LiveReply, LiveServer, Work
from tests.support.virtual_time import virtual_time
from voicecli import VADMode
from voicecli.events import AudioChunk, Interrupted, ResponseDone


class Live(parity.Backend):
    name = "openai"

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncIterator[dict[str, Any]]:
        replies = []
        for say in self.script:
            calls = tuple(Call(name=name, arguments=json.dumps(args)) for name, args in say.calls)
            replies.append(LiveReply(text=say.text, work=Work(calls=calls) if calls else None))
        faults = {"drop": [Fault(at_ms=2_600)]}.get(self.fault, [])
        refuse = {"refuse": [403]}.get(self.fault, [])
        self.server = LiveServer(replies=replies, hears=[parity.QUESTION] * 3, faults=faults, refuse=refuse)
        async with self.server:
            yield {
                "base_url": self.server.url,
                "api_key": KEY,
                "model": "gpt-live-1.1",
                "vad_mode": VADMode.SERVER,
            }

    @property
    def seen(self) -> str:
        return json.dumps(self.server.frames)


Scenario = Callable[[type[parity.Backend]], Coroutine[Any, Any, None]]
SCENARIOS: list[Scenario] = [
    parity.test_text_turn,
    parity.test_tool_call,
    parity.test_parallel_tools_are_answered_together,
    parity.test_a_tool_that_fails_is_told_to_the_model,
    parity.test_a_connection_lost_amid_the_reply_loses_no_word,
    parity.test_a_wrong_key_is_said_and_not_shown,
    parity.test_a_refusal_is_one_clear_error,
    partial(parity.test_a_conversation_goes_on_with_another_provider, then=Live),
    partial(parity.test_a_conversation_goes_on_with_another_provider, then=parity.OpenAI),
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: getattr(each, "__name__", "then"))
def test_as_with_every_provider(scenario: Scenario) -> None:
    virtual_time(scenario)(Live)


@virtual_time
async def test_a_key_cuts_the_reply_and_the_next_turn_works() -> None:
    """Its words come two seconds after their sound: what was heard of them is known only then."""
    async with parity.talk(Live([parity.Say(parity.LONG.strip()), parity.Say("Yes.")])) as session:
        events = asyncio.create_task(parity.collect(session))
        await asyncio.sleep(0)
        await session.send_text("Count.", wait=False)
        async for event in session:
            if isinstance(event, AudioChunk):
                break
        await asyncio.sleep(6)
        await session.interrupt()
        await session.wait_for_reply()
        response = await session.send_text("Are you there?", wait=True)
        counted = session.history[1]
    assert response.transcript == "Yes."
    assert (counted.role, counted.interrupted) == ("assistant", True)
    assert 20 < len(counted.text.split()) < 40, "five words a second for six seconds"
    seen = await events
    assert sum(isinstance(event, Interrupted) for event in seen) == 1
    assert [event.status for event in seen if isinstance(event, ResponseDone)] == ["cancelled", "completed"]
    parity.check_order(seen)
