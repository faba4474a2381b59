"""For tests of programs that use voicecli: a conversation without network, key or sound.

    voice = RealtimeVoice(scripted_provider(reply("It is sunny.")))

`ScriptedConnection` is a full `Connection`: what the program sends is kept in `commands`, and each of the user's
turns is answered by the next entry of the script. `replayed` is a provider whose conversations were recorded.
"""

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from voicecli.commands import AppendAudio, CancelResponse, Command, EndTurn, SendText, ToolResult
from voicecli.conformance import check_provider
from voicecli.errors import ConfigurationError, RealtimeConnectionError, RealtimeError
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
from voicecli.pricing import FREE, Prices
from voicecli.providers import find_provider
from voicecli.replay.recording import SessionRecording
from voicecli.replay.replayed_connection import RecordedConversation, ReplayedConnection
from voicecli.replay.replaying import replay_of

__all__ = [
    "ScriptedConnection",
    "check_provider",
    "recorded_audio",
    "replayed",
    "reply",
    "scripted_provider",
    "tool_call",
]

Step = Event | RealtimeError

_RATE = 24_000
_SILENCE_S = 0.1
_ID_FIELDS = ("response_id", "item_id", "call_id")
_LAST_NUMBER = re.compile(r"\d+(?=\D*$)")


def reply(
    text: str,
    *,
    user: str = "",
    audio: bytes | None = None,
    response_id: str = "response_1",
    usage: Usage | None = None,
) -> list[Step]:
    """A script entry: the model hears `user` and answers `text`.

    Args:
        audio: PCM16 mono at 24000 Hz; None for 100 ms of silence, b"" for an answer without sound.
        response_id: from which the ids of the items are made, too; one that an earlier entry had is counted on when
            the script is played.
    """
    if audio is None:
        audio = bytes(2 * int(_RATE * _SILENCE_S))
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


def tool_call(
    name: str,
    arguments: Mapping[str, Any] | str = "",
    *,
    call_id: str = "call_1",
    response_id: str = "response_tool",
) -> list[Step]:
    """A script entry: the model calls a tool. The next entry follows when its result has come.

    Args:
        arguments: by name, or in a string as the model writes them: JSON, or what it takes for that.

    Raises:
        ConfigurationError: the arguments are neither, or JSON cannot hold them.
    """
    if isinstance(arguments, Mapping):
        try:
            arguments = json.dumps(dict(arguments))
        except (TypeError, ValueError) as error:
            raise ConfigurationError(f"The arguments of {name} cannot be JSON: {error}.") from error
    elif not isinstance(arguments, str):
        raise ConfigurationError(
            f"The arguments of {name} are a {type(arguments).__name__}.",
            advice='Give them by name, as in tool_call("get_weather", {"city": "Paris"}).',
        )
    return [
        ResponseStarted(response_id),
        ToolCallRequest(call_id, name, arguments),
        ResponseDone(response_id, awaits_tools=True),
    ]


class ScriptedConnection:
    """A `Connection` that answers from a script.

    Args:
        script: entries, each a list of events; one is played for each turn the user ends (`EndTurn`, `SendText`)
            and for each round of tool results. An error in it ends the conversation by that failure; so does a turn
            after the last entry. An empty script answers nothing: then the test says by `play` what happens.

    Attributes:
        commands: all that was sent, in order.
    """

    def __init__(self, script: Iterable[Sequence[Step]] = (), *, capabilities: Capabilities | None = None) -> None:
        self.commands: list[Command] = []
        self._capabilities = capabilities or Capabilities(input_rate=_RATE, output_rate=_RATE)
        self._script = list(script)
        self._turns = 0
        self._ids: set[str] = set()  # of the entries that were played
        self._unanswered: list[str] = []
        self._queue: asyncio.Queue[Step] = asyncio.Queue()
        self._pending_calls = 0
        self._begun = False
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
        """Let these happen now, whatever the program does.

        A response that does not say what it answers, answers all that was sent since the last one began.
        """
        for step in steps:
            if isinstance(step, ToolCallRequest) and not step.by_provider:
                self._pending_calls += 1
            if isinstance(step, ResponseStarted):
                step = replace(step, answers=step.answers or tuple(self._unanswered))
                self._unanswered.clear()
            self._queue.put_nowait(step)

    async def send(self, command: Command) -> None:
        if self._closed:
            raise RealtimeConnectionError("The scripted conversation is over.")
        self.commands.append(command)
        if isinstance(command, EndTurn | SendText | ToolResult) and command.input_id:
            self._unanswered.append(command.input_id)
        if isinstance(command, ToolResult):
            self._pending_calls -= 1
            if self._pending_calls == 0:
                self._next()
        elif isinstance(command, EndTurn | SendText):
            self._next()

    def _next(self) -> None:
        if not self._script:
            return
        if self._turns < len(self._script):
            self.play(_numbered(self._script[self._turns], self._ids))
        else:
            self.play([_no_entry(self._turns + 1)])
        self._turns += 1

    async def drain(self) -> None:
        return

    async def __aiter__(self) -> AsyncIterator[Event]:
        if self._begun:
            raise RealtimeError("This ScriptedConnection has had its conversation.", advice="Make one for each.")
        self._begun = True
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


def scripted_provider(
    *script: Sequence[Step], connection: ScriptedConnection | None = None, prices: Prices | None = FREE
) -> Provider:
    """A provider for `RealtimeVoice(...)` whose conversations play the script, each from its beginning.

    Args:
        connection: to be used by its one conversation instead, so that the test can look into it.
        prices: of its model; None where they are not known. What a reply costs, the script says (`Usage.cost_usd`).
    """

    async def connect(setup: ConversationSetup) -> Connection:
        return connection or ScriptedConnection(script or [[_no_entry(1)]])

    return Provider(
        name="scripted",
        title="A script",
        capabilities=Capabilities(input_rate=_RATE, output_rate=_RATE),
        default_model="scripted",
        default_voice="scripted",
        models=(ModelInfo("scripted", prices=prices),),
        voices=(VoiceInfo("scripted"),),
        is_configured=lambda: True,
        setup_advice="",
        connect=connect,
    )


def replayed(path: str | os.PathLike[str], *, real_time: bool = False) -> Provider:
    """A provider for `RealtimeVoice(...)` whose conversations are one that was recorded (`session_file`).

        @pytest.fixture
        def voice():
            return RealtimeVoice(replayed("tests/talk.jsonl"), tools=[get_weather])

    Today's codec makes its events of what was recorded, without network or key. What came after a turn of the user's,
    or after the result of a tool, waits for the program's; apart from that it comes whatever the program does.

    Args:
        real_time: whether the events take the time that they took, by the event loop's clock; otherwise they come at
            once.

    Raises:
        ConfigurationError: the file is no recording, is damaged, or is of a provider that is not installed.
    """
    recording = SessionRecording(os.fspath(path))
    capabilities = recording.capabilities()
    conversation = RecordedConversation.of(replay_of(recording, find_provider), capabilities)

    async def connect(setup: ConversationSetup) -> Connection:
        patience_s = setup.config.response_timeout_s
        return ReplayedConnection(conversation, real_time=real_time, patience_s=patience_s)

    return replace(
        find_provider(recording.provider),
        capabilities=capabilities,
        connect=connect,
        is_configured=lambda: True,
        fetch_models=None,
        prepare=None,
        replay=None,
    )


def recorded_audio(path: str | os.PathLike[str]) -> bytes:
    """The user's voice in a recording: PCM16 mono at the `input_rate` of the session that `replayed` makes.

    Raises:
        ConfigurationError: as `replayed` does.
    """
    return b"".join(SessionRecording(os.fspath(path)).user_audio())


def _no_entry(turn: int) -> RealtimeError:
    return RealtimeError(
        f"The script has no entry for turn {turn}.",
        advice="It needs one for each turn of the user's, and one for each round of tool results.",
    )


def _numbered(entry: Sequence[Step], used: set[str]) -> list[Step]:
    """The entry, its ids counted on where it begins a response or a call under one that is `used`, which grows."""
    begun = {step.response_id for step in entry if isinstance(step, ResponseStarted)}
    begun |= {step.call_id for step in entry if isinstance(step, ToolCallRequest)}
    ids = {id_ for step in entry for field in _ID_FIELDS if (id_ := getattr(step, field, None))}
    names = {id_: _unused(id_, used) for id_ in ids & used} if begun & used else {}
    used |= {names.get(id_, id_) for id_ in ids}
    return [_renamed(step, names) for step in entry]


def _unused(name: str, used: set[str]) -> str:
    while name in used:
        last = _LAST_NUMBER.search(name)
        name = f"{name[: last.start()]}{int(last[0]) + 1}{name[last.end() :]}" if last else f"{name}_2"
    return name


def _renamed(step: Step, names: Mapping[str, str]) -> Step:
    if isinstance(step, RealtimeError):
        return step
    changes: dict[str, Any] = {
        field: names[id_] for field in _ID_FIELDS if (id_ := getattr(step, field, "")) and id_ in names
    }
    return replace(step, **changes) if changes else step
