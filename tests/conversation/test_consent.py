"""Tools that run only if the user allows it."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import pytest

from tests.conversation.scripted import MANUAL, until
from tests.support.virtual_time import virtual_time
from voicecli.commands import AnswerApproval, ToolResult
from voicecli.conversation.consent import ANSWERED_WITHIN_S, Consent
from voicecli.conversation.handlers import Handlers
from voicecli.conversation.session import VoiceSession
from voicecli.conversation.toolbox import Toolbox
from voicecli.events import (
    ApprovalAnswered,
    ApprovalRequest,
    ErrorOccurred,
    Event,
    Notice,
    Reconnecting,
    ResponseDone,
    ResponseStarted,
    SessionStarted,
    ToolCallCancelled,
    ToolCallFinished,
    ToolCallRequest,
)
from voicecli.testing import ScriptedConnection, Step, reply, tool_call
from voicecli.tools import Tool, ToolOutput, ToolSchema

ARGUMENTS = '{"path": "notes.txt"}'
CALL = tool_call("write", ARGUMENTS, call_id="c1")
THEIRS = ApprovalRequest("mcpr_1", "search", '{"q": 1}', "docs", tool_id="docs-search")


class Talk:
    """A conversation with a tool of a server's, `write`, and somebody who reads its events.

    Attributes:
        ran: the arguments of its calls.
    """

    def __init__(
        self,
        *script: Sequence[Step],
        approve: Literal["writes", "always", "never"] = "writes",
        reads: bool = True,
        handlers: Handlers | None = None,
        **marks: Any,
    ) -> None:
        self.ran: list[Mapping[str, Any]] = []
        self.events: list[Event] = []
        tool = Tool(ToolSchema("write", "Write.", {"type": "object"}), self._run, server="files")
        toolbox = Toolbox({"write": replace(tool, **marks)})
        self.tools = toolbox.tools
        self.connection = ScriptedConnection(list(script))
        config = replace(MANUAL, approve=approve, tool_timeout_s=2)
        self._reads = reads
        self._make: Callable[[], VoiceSession] = partial(
            VoiceSession, self.connection, config, tools=toolbox, handlers=handlers
        )

    async def _run(self, arguments: Mapping[str, Any], timeout_s: float) -> ToolOutput:
        self.ran.append(arguments)
        return ToolOutput("written")

    @contextlib.asynccontextmanager
    async def held(self) -> AsyncIterator[VoiceSession]:
        session = self._make()
        listening = asyncio.create_task(self._listen(session)) if self._reads else None
        await session.start()
        try:
            yield session
        finally:
            await session.aclose()
            if listening is not None:
                await listening

    async def _listen(self, session: VoiceSession) -> None:
        async for event in session:
            self.events.append(event)

    def of(self, *kinds: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kinds)]

    @property
    def results(self) -> list[ToolResult]:
        return [command for command in self.connection.commands if isinstance(command, ToolResult)]


@virtual_time
async def test_a_tool_waits_to_be_allowed_and_its_time_does_not_run_meanwhile() -> None:
    talk = Talk(CALL, reply("Done."))
    async with talk.held() as session:
        await session.send_text("Write it", wait=False)
        await until(lambda: talk.of(ApprovalRequest))
        await asyncio.sleep(200)
        assert not talk.ran
        assert not talk.of(Notice), "no answer is missing yet"
        (request,) = talk.of(ApprovalRequest)
        assert (request.name, request.arguments, request.server, request.call_id) == ("write", ARGUMENTS, "files", "c1")
        await session.approve(request.approval_id)
        await session.wait_for_reply()
        await session.approve(request.approval_id, False)  # too late: without effect
    assert talk.ran == [{"path": "notes.txt"}]
    assert [result.output for result in talk.results] == ["written"]
    assert talk.of(ApprovalAnswered) == [ApprovalAnswered(request.approval_id, "once")]


@virtual_time
async def test_a_tool_that_is_refused_does_not_run_and_the_model_is_told() -> None:
    talk = Talk(CALL, reply("Well then."))
    async with talk.held() as session:
        await session.send_text("Write it", wait=False)
        await until(lambda: talk.of(ApprovalRequest))
        await session.approve("c1", False)
        await session.wait_for_reply()
    assert not talk.ran
    (result,) = talk.results
    assert result.is_error
    assert "the user did not allow it" in result.output
    assert talk.of(ToolCallFinished)[0].is_error
    assert not talk.of(ErrorOccurred), "it is as the user wished"


@virtual_time
async def test_a_question_that_nobody_answers_is_refused_in_the_end() -> None:
    talk = Talk(CALL, reply("Well then."))
    async with talk.held() as session:
        await session.send_text("Write it", wait=False)
        await until(lambda: talk.of(ApprovalRequest))
        await asyncio.sleep(ANSWERED_WITHIN_S - 1)
        assert not talk.results
        await asyncio.sleep(2)
        await session.wait_for_reply()
    assert "in time" in talk.results[0].output
    assert talk.of(ApprovalAnswered) == [ApprovalAnswered("c1", "expired")]
    assert not talk.ran


@pytest.mark.parametrize(
    ("approve", "marks", "asks"),
    [
        ("writes", {}, True),
        ("writes", {"read_only": True}, False),
        ("writes", {"trusted": True}, False),
        ("always", {"read_only": True, "trusted": True}, True),
        ("never", {}, False),
    ],
)
@virtual_time
async def test_who_is_asked_about(approve: Any, marks: dict[str, Any], asks: bool) -> None:
    talk = Talk(CALL, reply("Done."), approve=approve, **marks)
    async with talk.held() as session:
        await session.send_text("Write it", wait=False)
        await asyncio.sleep(1)
        assert bool(talk.of(ApprovalRequest)) == asks
        assert bool(talk.ran) != asks


@virtual_time
async def test_what_is_always_allowed_is_asked_once_until_it_is_another_tool() -> None:
    calls = [tool_call("write", {"n": n}, call_id=f"c{n}", response_id=f"r{n}") for n in range(4)]
    talk = Talk(*(step for call in calls for step in (call, reply("Done.", response_id=f"{call[0]}"))))
    async with talk.held() as session:
        await session.send_text("Write", wait=False)
        await until(lambda: talk.of(ApprovalRequest))
        await session.approve("c0", always=True)
        await session.wait_for_reply()
        assert talk.of(ApprovalAnswered) == [ApprovalAnswered("c0", "always")]
        await session.send_text("Write", wait=True)
        assert len(talk.of(ApprovalRequest)) == 1
        changed = replace(talk.tools["write"].schema, description="Write, and send it to somebody.")
        talk.tools["write"] = replace(talk.tools["write"], schema=changed)
        await session.send_text("Write", wait=False)
        await until(lambda: len(talk.of(ApprovalRequest)) == 2)
        await session.approve("c2", False)
        await session.wait_for_reply()
    assert talk.ran == [{"n": 0}, {"n": 1}]


@virtual_time
async def test_what_is_always_allowed_answers_the_questions_behind_it_too() -> None:
    talk = Talk()
    async with talk.held() as session:
        calls: list[Step] = [ToolCallRequest(f"c{n}", "write", "{}") for n in range(3)]
        talk.connection.play([ResponseStarted("r"), *calls, ResponseDone("r", awaits_tools=True)])
        await until(lambda: len(talk.of(ApprovalRequest)) == 3)
        await session.approve("c1", always=True)
        await asyncio.sleep(1)
    assert len(talk.ran) == 3
    assert sorted(answer.approval_id for answer in talk.of(ApprovalAnswered)) == ["c0", "c1", "c2"]


@virtual_time
async def test_a_call_that_is_taken_back_is_asked_about_no_more() -> None:
    talk = Talk()
    async with talk.held() as session:
        call = ToolCallRequest("c1", "write", "{}")
        talk.connection.play([ResponseStarted("r"), call, ResponseDone("r", awaits_tools=True)])
        await until(lambda: talk.of(ApprovalRequest))
        talk.connection.play([ToolCallCancelled("c1")])
        await until(lambda: talk.of(ApprovalAnswered))
        await session.approve("c1")
    assert talk.of(ApprovalAnswered) == [ApprovalAnswered("c1", "withdrawn")]
    assert not talk.ran
    assert not talk.results


@virtual_time
async def test_the_end_of_the_conversation_settles_what_is_asked() -> None:
    talk = Talk(CALL)
    async with talk.held() as session:
        await session.send_text("Write it", wait=False)
        await until(lambda: talk.of(ApprovalRequest))
    assert talk.of(ApprovalAnswered) == [ApprovalAnswered("c1", "withdrawn")]
    assert not talk.ran


@virtual_time
async def test_a_call_with_arguments_that_are_none_is_not_asked_about() -> None:
    talk = Talk(tool_call("write", "{", call_id="c1"), reply("Sorry."))
    async with talk.held() as session:
        await session.send_text("Write it", wait=True)
    assert not talk.of(ApprovalRequest)
    assert "not JSON" in talk.results[0].output


@pytest.mark.parametrize("reads", [True, False])
@virtual_time
async def test_where_nobody_can_be_asked_it_is_refused_at_once(reads: bool) -> None:
    talk = Talk(CALL, reply("Well then."), reads=reads)
    async with talk.held() as session:
        session.can_ask = not reads
        response = await session.send_text("Write it", wait=True)
        history = session.history
    assert response.transcript == "Well then."
    assert not talk.ran
    assert json.loads(talk.results[0].output) == {"error": "write was not run: nobody can be asked to allow it."}
    assert history[1].name == "write"
    if reads:
        assert [type(event) for event in talk.of(ApprovalRequest, Notice, ApprovalAnswered)] == [
            ApprovalRequest,
            Notice,
            ApprovalAnswered,
        ]
        assert talk.of(Notice)[0].code == "approval_refused"


@pytest.mark.parametrize("approve", ["writes", "always"])
@virtual_time
async def test_the_programs_own_handlers_ask_only_where_all_tools_do(approve: Any) -> None:
    handlers = Handlers()
    handlers.add("tool_call", lambda name, arguments: "by the handler")
    talk = Talk(CALL, reply("Done."), approve=approve, handlers=handlers)
    async with talk.held() as session:
        await session.send_text("Write it", wait=False)
        if approve == "always":
            await until(lambda: talk.of(ApprovalRequest))
            assert not talk.results
            await session.approve("c1")
        await session.wait_for_reply()
    assert [result.output for result in talk.results] == ["by the handler"]
    assert len(talk.of(ApprovalRequest)) == (approve == "always")


# -- the provider's own


@virtual_time
async def test_the_providers_question_is_answered_to_it_and_remembered() -> None:
    talk = Talk()
    async with talk.held() as session:
        talk.connection.play([ResponseStarted("r"), THEIRS, ResponseDone("r", awaits_tools=True)])
        await until(lambda: talk.of(ApprovalRequest))
        await session.approve("mcpr_1", always=True)
        again = replace(THEIRS, approval_id="mcpr_2")
        talk.connection.play([ResponseStarted("r2"), again, ResponseDone("r2", awaits_tools=True)])
        await until(lambda: len(talk.connection.commands) == 2)
        assert len(talk.of(ApprovalRequest)) == 1
        other = replace(THEIRS, approval_id="mcpr_3", tool_id="docs-search-2")
        talk.connection.play([other])
        await until(lambda: len(talk.of(ApprovalRequest)) == 2)
    assert talk.connection.commands == [AnswerApproval("mcpr_1", True), AnswerApproval("mcpr_2", True)]


@virtual_time
async def test_the_providers_question_is_refused_in_the_end() -> None:
    talk = Talk()
    async with talk.held():
        talk.connection.play([ResponseStarted("r"), THEIRS, ResponseDone("r", awaits_tools=True)])
        await asyncio.sleep(ANSWERED_WITHIN_S + 1)
        assert talk.connection.commands == [AnswerApproval("mcpr_1", False)]
    assert talk.of(ApprovalAnswered) == [ApprovalAnswered("mcpr_1", "expired")]


@virtual_time
async def test_a_lost_connection_takes_the_providers_questions_along_and_not_ours() -> None:
    talk = Talk()
    async with talk.held() as session:
        ours = ToolCallRequest("c1", "write", "{}")
        talk.connection.play([ResponseStarted("r"), ours, THEIRS, ResponseDone("r", awaits_tools=True)])
        await until(lambda: len(talk.of(ApprovalRequest)) == 2)
        resumed = SessionStarted("s", "m", "v", 24_000, 24_000, resumed=True)
        talk.connection.play([Reconnecting(1, 0.5, "gone"), resumed])
        await until(lambda: talk.of(ApprovalAnswered))
        assert talk.of(ApprovalAnswered) == [ApprovalAnswered("mcpr_1", "withdrawn")]
        await session.approve("mcpr_1")
        await session.approve("c1")
        await until(lambda: talk.ran)
    assert not [command for command in talk.connection.commands if isinstance(command, AnswerApproval)]


@virtual_time
async def test_where_all_tools_may_run_the_provider_is_told_so_unasked() -> None:
    talk = Talk(approve="never")
    async with talk.held():
        talk.connection.play([THEIRS])
        await until(lambda: talk.connection.commands)
    assert talk.connection.commands == [AnswerApproval("mcpr_1", True)]
    assert not talk.of(ApprovalRequest)


@virtual_time
async def test_a_call_that_the_provider_makes_is_told_and_not_made_here() -> None:
    talk = Talk(reads=True)
    async with talk.held() as session:
        call = ToolCallRequest("m1", "write", "{}", by_provider=True, server="docs")
        talk.connection.play([ResponseStarted("r"), call, ResponseDone("r", awaits_tools=True)])
        await asyncio.sleep(1)
        talk.connection.play([ToolCallFinished("m1", "write", "3 dots"), *reply("Three.", response_id="r2")])
        await until(lambda: len(talk.of(ResponseDone)) == 2)
        history = [(turn.role, turn.name, turn.text) for turn in session.history]
    assert history == [("tool", "write", "3 dots"), ("assistant", "", "Three.")]
    assert not talk.ran
    assert not talk.results


@virtual_time
async def test_a_question_is_answered_once_while_other_answers_are_on_their_way() -> None:
    sent: list[AnswerApproval] = []

    async def send(answer: AnswerApproval) -> None:
        await asyncio.sleep(1)
        sent.append(answer)

    consent = Consent("writes", tell=lambda event: None, send=send, heard=lambda: True)
    for request in (THEIRS, replace(THEIRS, approval_id="mcpr_2")):
        await consent.provider_asks(request)
    both = asyncio.create_task(consent.answer("mcpr_1", True, always=True))
    await asyncio.sleep(0.5)
    await consent.answer("mcpr_2", False)
    await both
    assert sent == [AnswerApproval("mcpr_1", True), AnswerApproval("mcpr_2", True)]
    consent.close()
