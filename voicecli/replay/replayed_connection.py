"""A connection that plays a recorded conversation to a program under test."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

from voicecli.commands import Command, EndTurn, SendText, ToolResult
from voicecli.errors import RealtimeConnectionError, RealtimeError
from voicecli.events import Event, Notice, ResponseStarted, SessionEnded
from voicecli.ports import Capabilities
from voicecli.replay.replaying import Replay

__all__ = ["RecordedConversation", "ReplayedConnection"]

_Asking = EndTurn | SendText | ToolResult


@dataclass(frozen=True, slots=True)
class RecordedConversation:
    """What happened in a conversation.

    Attributes:
        happened: the events, and the commands that ask for an answer, each with its time in ms.
        failure: what ended it, if it was a failure.
    """

    capabilities: Capabilities
    happened: tuple[tuple[float, Event | _Asking], ...]
    failure: RealtimeError | None

    @classmethod
    def of(cls, replay: Replay, capabilities: Capabilities) -> "RecordedConversation":
        happened = tuple((at_ms, each) for at_ms, each in replay.run() if isinstance(each, Event | _Asking))
        return cls(capabilities, happened, replay.failure)


class ReplayedConnection:
    """A `Connection` that tells the events of a recorded conversation.

    What came after the user's second turn comes after the program's second turn, and what came after the result of a
    tool after the program's; apart from that it comes whatever the program does.

    Args:
        real_time: whether it takes the time that it took, by the loop's clock; otherwise all comes at once.
        patience_s: how long a turn or a result may be waited for, in seconds.

    Attributes:
        commands: all that was sent, in order.
    """

    def __init__(self, conversation: RecordedConversation, *, real_time: bool, patience_s: float) -> None:
        self.commands: list[Command] = []
        self._conversation = conversation
        self._real_time = real_time
        self._patience_s = patience_s
        self._asked: dict[bool, list[str]] = {True: [], False: []}  # results of tools or not -> the ids of the inputs
        self._sent = asyncio.Event()
        self._closed = asyncio.Event()
        self._names: dict[str, str] = {}  # recorded id of an input -> the program's

    @property
    def capabilities(self) -> Capabilities:
        return self._conversation.capabilities

    async def send(self, command: Command) -> None:
        if self._closed.is_set():
            raise RealtimeConnectionError("The replayed conversation is over.")
        self.commands.append(command)
        if isinstance(command, _Asking):
            self._asked[isinstance(command, ToolResult)].append(command.input_id)
            self._sent.set()

    async def drain(self) -> None:
        return

    async def __aiter__(self) -> AsyncIterator[Event]:
        reached = {True: 0, False: 0}
        before_ms = 0.0
        for at_ms, happened in self._conversation.happened:
            if isinstance(happened, SessionEnded) and happened.reason == "closed":
                await self._ends(reached[False])  # the program ended it
            elif not await self._passes((at_ms - before_ms) / 1000):
                break
            before_ms = at_ms
            if not isinstance(happened, _Asking):
                yield self._renamed(happened)
                if isinstance(happened, SessionEnded):
                    self._closed.set()
                    return
                continue
            result = isinstance(happened, ToolResult)
            reached[result] += 1
            if not await self._reaches(result, reached[result]):
                break
            self._names[happened.input_id] = self._asked[result][reached[result] - 1]
        if not self._closed.is_set() and self._conversation.failure is not None:
            self._closed.set()
            raise self._conversation.failure
        await self._ends(reached[False])
        yield SessionEnded("closed")

    async def aclose(self) -> None:
        self._closed.set()
        self._sent.set()

    async def _ends(self, turns: int) -> None:
        """Wait until the program ends the conversation. Raises RealtimeError for more than so many turns of its."""
        while not self._closed.is_set():
            if len(self._asked[False]) > turns:
                raise RealtimeError(
                    f"The recording has no turn {turns + 1} of the user's.",
                    advice="The program may ask as often as was asked in the recording.",
                )
            self._sent.clear()
            await self._sent.wait()

    async def _passes(self, time_s: float) -> bool:
        """Let so much time pass; False when the program ends the conversation meanwhile."""
        if not self._real_time:
            await asyncio.sleep(0)
        elif time_s > 0:
            await _within(time_s, self._closed)
        return not self._closed.is_set()

    async def _reaches(self, result: bool, count: int) -> bool:
        """Wait until the program has asked so often; False when it ends the conversation meanwhile."""
        deadline = asyncio.get_running_loop().time() + self._patience_s
        while len(self._asked[result]) < count and not self._closed.is_set():
            self._sent.clear()
            left_s = deadline - asyncio.get_running_loop().time()
            if left_s <= 0 or not await _within(left_s, self._sent):
                what = f"result {count} of a tool" if result else f"turn {count} of the user's"
                raise RealtimeError(
                    f"The recording goes on after {what}, which did not come within {self._patience_s:g} s.",
                    advice="The program has to ask as often as was asked in the recording.",
                )
        return not self._closed.is_set()

    def _renamed(self, event: Event) -> Event:
        """The event, about the program's inputs."""
        match event:
            case ResponseStarted(answers=answers):
                return replace(event, answers=tuple(self._names.get(each, each) for each in answers))
            case Notice(input_id=input_id) if input_id:
                return replace(event, input_id=self._names.get(input_id, input_id))
        return event


async def _within(time_s: float, happens: asyncio.Event) -> bool:
    """Wait for something, at most so long; whether it happened."""
    try:
        async with asyncio.timeout(time_s):
            await happens.wait()
    except TimeoutError:
        return False
    return True
