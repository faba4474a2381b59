"""A provider invented for the tests: its codec, and capabilities. Its protocol is one flat JSON object per message.

Client: hello, restore(texts), audio(data), text(text), end, cancel. Server: ready, heard(text), reply(id), audio(data),
done(id), expiring(left_s, at), over(code, retryable), speech. With `FlowingCodec`, besides: the client's bye, the
server's usage(seconds) and last(seconds, retryable).
"""

import base64
import json
from collections.abc import Mapping
from typing import Any

from voicecli.commands import (
    AppendAudio,
    CancelResponse,
    ClearAudio,
    Command,
    EndTurn,
    PauseAudio,
    SendImage,
    SendText,
    StartTurn,
    ToolResult,
)
from voicecli.errors import AuthenticationError, ProtocolError, RealtimeConnectionError
from voicecli.events import (
    AudioChunk,
    Event,
    ResponseDone,
    ResponseStarted,
    SessionStarted,
    SpeechStarted,
    TranscriptUpdate,
    Usage,
    UsageUpdated,
)
from voicecli.ports import Capabilities, Connection, ConversationSetup, Ended, Expiring, ModelInfo, Provider, VoiceInfo

__all__ = ["CAPABILITIES", "FLOWING", "KEY", "PLAIN", "FlowingCodec", "PlainCodec"]

CAPABILITIES = Capabilities(input_rate=24_000, output_rate=24_000)
FLOWING = Capabilities(input_rate=24_000, output_rate=24_000, full_duplex=True, input_must_flow=True)
KEY = "sk-plain-0123456789abcdef"

_FATAL_CLOSES = {3000, 4000, 4004, 1008}


class PlainCodec:
    """Implements `Codec`; restores the texts and the unanswered audio, and asks again for the reply that is owed.

    It has two bugs: it breaks on a ToolResult, and on an `expiring` whose `left_s` is no number.
    """

    def __init__(self, url: str, headers: Mapping[str, str] | None = None) -> None:
        self.url = url
        self.server: Mapping[str, str] = {}
        self.headers: Mapping[str, str] = headers or {"Authorization": f"Bearer {KEY}"}
        self.awaiting_reply = False
        self.busy = False
        self.texts: list[str] = []
        self.opened = 0
        self._started = False
        self._turn: list[Command] = []
        self._queue: list[bytes] = []

    def open(self) -> None:
        self._queue.clear()
        self.opened += 1
        self._say(type="hello")
        if self.texts:
            self._say(type="restore", texts=self.texts, answer=self.awaiting_reply and not self._turn)

    def send(self, command: Command) -> None:
        match command:
            case AppendAudio(audio):
                self._turn.append(command)
                self._say(type="audio", data=base64.b64encode(audio).decode())
            case SendText(text):
                self.texts.append(text)
                self.awaiting_reply = True
                self._say(type="text", text=text)
            case StartTurn():
                self._say(type="start")
            case EndTurn():
                self._turn.append(command)
                self.awaiting_reply = True
                self._say(type="end")
            case CancelResponse():
                self._say(type="cancel")
            case SendImage(data):
                self._say(type="image", data=base64.b64encode(data).decode())
            case ToolResult():
                raise ZeroDivisionError
            case _:
                raise ProtocolError(f"{type(command).__name__} cannot be said in this protocol.")

    def receive(self, message: bytes) -> list[Event | Expiring | Ended]:
        try:
            said: dict[str, Any] = json.loads(message)
            return self._meaning(said)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ProtocolError("A malformed message.") from error

    def data_to_send(self) -> list[bytes]:
        taken, self._queue = self._queue, []
        return taken

    def refused(self, status: int, body: bytes) -> RealtimeConnectionError:
        kind = AuthenticationError if status in {401, 403} else RealtimeConnectionError
        return kind(
            f"HTTP {status}: {body[:100].decode('utf-8', 'replace')}",
            code=str(status),
            retryable=status == 429 or status >= 500,
        )

    def closed(self, code: int, reason: str) -> RealtimeConnectionError:
        retryable = code != 1000 and code not in _FATAL_CLOSES
        return RealtimeConnectionError(
            f"Closed with {code}: {reason or 'no reason'}", close_code=code, retryable=retryable
        )

    def _say(self, **message: object) -> None:
        self._queue.append(json.dumps(message).encode())

    def _meaning(self, said: dict[str, Any]) -> list[Event | Expiring | Ended]:
        match said["type"]:
            case "ready":
                turn, self._turn = self._turn, []
                for command in turn:
                    self.send(command)
                resumed, self._started = self._started, True
                return [SessionStarted(said["id"], "plain", "none", 24_000, 24_000, resumed)]
            case "speech":
                self.busy = True
                return [SpeechStarted()]
            case "heard":
                return [TranscriptUpdate("user", said["id"], said["text"], said.get("final", True))]
            case "reply":
                self.busy = True
                self._turn.clear()
                return [ResponseStarted(said["id"])]
            case "audio":
                return [AudioChunk(base64.b64decode(said["data"]), said["id"], said["id"])]
            case "done":
                self.busy = self.awaiting_reply = False
                return [ResponseDone(said["id"])]
            case "expiring":
                return [Expiring(said["left_s"], said.get("at"))]
            case "question":
                # Receiving can require sending.
                self._say(type="answer", number=said["number"])
                return []
            case "over":
                raise RealtimeConnectionError(said["code"], code=said["code"], retryable=said["retryable"])
        return []


class FlowingCodec(PlainCodec):
    """One whose input must flow, without turns, so that only a text is owed an answer: a `ClosesGracefully`, too.

    Args:
        quiet_s: as in `ClosesGracefully`.
    """

    def __init__(self, url: str, headers: Mapping[str, str] | None = None, quiet_s: float = 0.0) -> None:
        super().__init__(url, headers)
        self.quiet_s = quiet_s
        self.closing = False

    def open(self) -> None:
        super().open()
        self.closing = False

    def close(self) -> None:
        self.closing = True
        self._say(type="bye")

    def send(self, command: Command) -> None:
        assert isinstance(command, AppendAudio) or not self.closing, f"{command} after the goodbye"
        match command:
            case AppendAudio(audio):
                self._say(type="audio", data=base64.b64encode(audio).decode())
            case StartTurn() | EndTurn() | PauseAudio() | ClearAudio():
                self._say(type=type(command).__name__)
            case _:
                super().send(command)

    def _meaning(self, said: dict[str, Any]) -> list[Event | Expiring | Ended]:
        match said["type"]:
            case "usage":
                return [UsageUpdated(Usage(session_seconds=said["seconds"]))]
            case "last":
                code = None if said.get("retryable") else 1000
                over = RealtimeConnectionError("It is over.", close_code=code, retryable=code is None)
                return [UsageUpdated(Usage(session_seconds=said["seconds"])), Ended(over)]
        return super()._meaning(said)


async def _connect(setup: ConversationSetup) -> Connection:
    raise NotImplementedError


PLAIN = Provider(
    name="plain",
    title="Plain",
    capabilities=CAPABILITIES,
    default_model="plain",
    default_voice="none",
    models=(ModelInfo("plain"),),
    voices=(VoiceInfo("none"),),
    is_configured=lambda: True,
    setup_advice="",
    connect=_connect,
    replay=lambda setup, server: PlainCodec("ws://nowhere"),
)
"""The provider, as far as a replay needs it."""
