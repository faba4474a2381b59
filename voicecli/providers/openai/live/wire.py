"""Queues of messages for the server and of events for the application; the conversation so far, and its clock."""

import json
from binascii import b2a_base64
from itertools import count

from voicecli.events import Event, Role, TranscriptUpdate
from voicecli.pcm16 import PcmFormat
from voicecli.ports import Ended, Expiring
from voicecli.providers.openai.errors import Server
from voicecli.providers.openai.live.appends import split
from voicecli.transcript import Transcript

__all__ = ["Wire"]

_APPEND = b'{"type":"session.input_audio.append","audio":"'


class Wire:
    """What the parts of the codec share.

    Attributes:
        server: who answers, for errors.
        format: of the audio both ways.
        out: messages for the server.
        events: for the application.
        transcript: the conversation so far; it outlives sockets.
        now_ms: the session's clock: how much output audio has come on this socket, in ms.
        before_ms: how long the sessions before this one were, in ms.
        asked: ids of the inputs that no response has answered yet.
        given: those of results that the reply under way goes on with, unless it ends before.
        closing: whether the end of the session was asked for: no command but audio is taken any more.
    """

    def __init__(self, transcript: Transcript, server: Server, audio: PcmFormat) -> None:
        self.server = server
        self.format = audio
        self.transcript = transcript
        self.out: list[bytes] = []
        self.events: list[Event | Expiring | Ended] = []
        self.now_ms = self.before_ms = 0.0
        self.asked: dict[str, None] = {}
        self.given: dict[str, None] = {}
        self.closing = False
        self._ids = count(1)

    def restart(self) -> None:
        """A new socket, hence a new session with a clock of its own."""
        self.out.clear()
        self.closing = False
        self.before_ms += self.now_ms
        self.now_ms = 0.0

    def id(self, prefix: str) -> str:
        return f"{prefix}_{next(self._ids)}"

    def queue(self, kind: str, **fields: object) -> str:
        """Queue an event; returns its id, which comes back in an error about it."""
        event_id = self.id("evt")
        if not self.closing:
            message = {"type": kind, "event_id": event_id, **fields}
            self.out.append(json.dumps(message, separators=(",", ":")).encode())
        return event_id

    def append_audio(self, audio: bytes) -> None:
        # By far the most frequent event: a template costs a fraction of json.dumps.
        self.out.append(b'%b%b"}' % (_APPEND, b2a_base64(audio, newline=False)))

    def append_context(self, kind: str, said: str, delegation_id: str | None = None) -> None:
        """Tell the model something.

        Args:
            kind: "instructions"; "thinking", which it keeps to itself; or "commentary", which it is to say.
            said: of any length.
            delegation_id: the task of the program's that it answers.
        """
        for part in split(said):
            self.queue(f"session.{kind}.append", content=part, delegation_id=delegation_id)

    def tell(
        self,
        role: Role,
        item_id: str,
        text: str,
        times: tuple[int, int],
        *,
        final: bool,
        interrupted: bool = False,
    ) -> None:
        """Report what somebody says, and remember it.

        Args:
            times: where it begins and ends on the clock of this session, in ms.
        """
        start_ms, end_ms = (max(round(self.before_ms + ms), 0) for ms in times)
        update = TranscriptUpdate(role, item_id, text, final, interrupted, start_ms, max(start_ms, end_ms))
        self.transcript.apply(update)
        self.events.append(update)
