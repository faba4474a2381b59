"""For tests of programs that use voicecli: a conversation without network, key or sound.

    voice = RealtimeVoice(scripted_provider(reply("It is sunny.")))

`ScriptedConnection` is a full `Connection`: what the program sends is kept in `commands`, and each of the user's
turns is answered by the next entry of the script.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import replace

from voicecli.commands import AppendAudio, CancelResponse, Command, EndTurn, SendText, ToolResult
from voicecli.errors import RealtimeConnectionError, RealtimeError
from voicecli.events import (
    AudioChunk,
    Event,
    ResponseDone,
    ResponseStarted,
    SessionEnded,
    SessionStarted,
    ToolCallRequest,
    TranscriptUpdate,
    Usage,
)
from voicecli.ports import Capabilities, Connection, ConversationSetup, ModelInfo, Provider, VoiceInfo

__all__ = ["ScriptedConnection", "reply", "scripted_provider", "tool_call"]

Step = Event | RealtimeError


def reply(
    text: str,
    *,
    user: str = "",
    audio: bytes = b"\0\0" * 2400,
    response_id: str = "response_1",
    usage: Usage | None = None,
) -> list[Step]:
    """A script entry: the model hears `user` and answers `text`, with `audio` (PCM16 at 24000 Hz, 100 ms)."""
    item_id = f"{response_id}_item"
    heard: list[Step] = [TranscriptUpdate("user", f"{item_id}_user", user, final=True)] if user else []
    head = text.rpartition(" ")[0]
    return [
        *heard,
        ResponseStarted(response_id),
        *([TranscriptUpdate("assistant", item_id, head, final=False)] if head else []),
        *([AudioChunk(audio, response_id, item_id)] if audio else []),
        TranscriptUpdate("assistant", item_id, text, final=True),
        ResponseDone(response_id, usage=usage or Usage()),
    ]


def tool_call(name: str, arguments: str, *, call_id: str = "call_1", response_id: str = "response_tool") -> list[Step]:
    """A script entry: the model calls a tool. The next entry follows when its result has come."""
    return [
        ResponseStarted(response_id),
        ToolCallRequest(call_id, name, arguments),
        ResponseDone(response_id, awaits_tools=True),
    ]


class ScriptedConnection:
    """A `Connection` that answers from a script.

    Args:
        script: entries, each a list of events; one is played for each turn the user ends (`EndTurn`, `SendText`)
            and for each round of tool results. An error in it ends the conversation by that failure.

    Attributes:
        commands: all that was sent, in order.
    """

    def __init__(self, script: Iterable[Sequence[Step]] = (), *, capabilities: Capabilities | None = None) -> None:
        self.commands: list[Command] = []
        self._capabilities = capabilities or Capabilities(input_rate=24_000, output_rate=24_000)
        self._script = list(script)
        self._queue: asyncio.Queue[Step] = asyncio.Queue()
        self._pending_calls = 0
        self._asked: list[str] = []  # inputs that are not answered yet
        self._closed = False
        self.play([SessionStarted("scripted", "scripted", "scripted", self.input_rate, self._capabilities.output_rate)])

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    @property
    def input_rate(self) -> int:
        return self._capabilities.input_rate

    @property
    def audio(self) -> bytes:
        """All audio that was sent."""
        return b"".join(command.audio for command in self.commands if isinstance(command, AppendAudio))

    def play(self, steps: Iterable[Step]) -> None:
        """Let these happen now, whatever the program does."""
        for step in steps:
            if isinstance(step, ToolCallRequest):
                self._pending_calls += 1
            self._queue.put_nowait(step)

    async def send(self, command: Command) -> None:
        if self._closed:
            raise RealtimeConnectionError("The scripted conversation is over.")
        self.commands.append(command)
        if isinstance(command, EndTurn | SendText | ToolResult) and command.input_id:
            self._asked.append(command.input_id)
        if isinstance(command, ToolResult):
            self._pending_calls -= 1
            if self._pending_calls == 0:
                self._next()
        elif isinstance(command, EndTurn | SendText):
            self._next()

    def _next(self) -> None:
        if self._script:
            asked, self._asked = tuple(self._asked), []
            self.play(_answering(step, asked) for step in self._script.pop(0))

    async def drain(self) -> None:
        return

    async def __aiter__(self) -> AsyncIterator[Event]:
        while True:
            step = await self._queue.get()
            if isinstance(step, RealtimeError):
                self._closed = True
                raise step
            yield step
            if isinstance(step, SessionEnded):
                return

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            self._queue.put_nowait(SessionEnded("closed"))

    @property
    def cancelled(self) -> list[CancelResponse]:
        """The interruptions that were sent."""
        return [command for command in self.commands if isinstance(command, CancelResponse)]


def _answering(step: Step, asked: tuple[str, ...]) -> Step:
    """A response of the script answers what was asked, unless it says so itself."""
    return replace(step, answers=asked) if isinstance(step, ResponseStarted) and not step.answers else step


def scripted_provider(*script: Sequence[Step], connection: ScriptedConnection | None = None) -> Provider:
    """A provider for `RealtimeVoice(...)` whose conversations play the script, each from its beginning.

    Args:
        connection: to be used by its one conversation instead, so that the test can look into it.
    """

    async def connect(setup: ConversationSetup) -> Connection:
        return connection or ScriptedConnection(script)

    return Provider(
        name="scripted",
        title="A script",
        capabilities=Capabilities(input_rate=24_000, output_rate=24_000),
        default_model="scripted",
        default_voice="scripted",
        models=(ModelInfo("scripted"),),
        voices=(VoiceInfo("scripted"),),
        is_configured=lambda: True,
        setup_advice="",
        connect=connect,
    )
