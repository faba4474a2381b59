"""A reply of the offline engine, and what it tells of itself."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from voicecli.events import Notice, ResponseStarted
from voicecli.providers.local.chat_model import Message
from voicecli.providers.local.held_output import HeldOutput
from voicecli.providers.local.spoken_replies import Spoken
from voicecli.providers.local.turn_model import Pause

__all__ = ["LocalReply", "no_speech"]


@dataclass(slots=True, eq=False)
class LocalReply:
    """A reply, from what it answers to its end.

    Attributes:
        audio, text: what it answers; neither when it goes on after tools.
        result: the call and the output of a tool that ran in the background, which it tells.
        user_item: the item of what the user said or wrote.
        previous: the task of the reply before it, which must be over first.
        memory_version: the memory's, when the model began.
        wanted: whether to answer, or only to note what the user said.
        cancelled: whether it was cancelled before it began, which must be told (somebody waits).
        answers: the ids of the inputs that it answers.
        is_backchannel: tells whether the user's words are only a sign of listening, which is remembered, not answered.
        on_words: called with the user's words, and the conversation with them, before the model answers.
        output: what it tells and does; held back while the reply is speculative.
    """

    response_id: str
    item_id: str
    spoken: Spoken
    audio: bytes | None = None
    text: str = ""
    result: tuple[Message, ...] = ()
    user_item: str = ""
    previous: asyncio.Task[None] | None = None
    memory_version: int | None = None
    wanted: bool = True
    cancelled: bool = False
    answers: list[str] = field(default_factory=list)
    is_backchannel: Callable[[str], bool] | None = None
    on_words: Callable[[Pause], Awaitable[None]] | None = None
    started: bool = False
    output: HeldOutput = field(default_factory=HeldOutput)
    task: asyncio.Task[None] | None = None

    def response_started(self) -> ResponseStarted:
        """The event of its beginning."""
        return ResponseStarted(self.response_id, tuple(input_id for input_id in self.answers if input_id))

    def stop(self) -> None:
        """Stop it at once; nothing more comes of it."""
        self.output.discard()
        if self.task is not None:
            self.task.cancel()


def no_speech(input_id: str = "") -> Notice:
    """Notice that an input held no words."""
    return Notice("no_speech", "No words were understood.", input_id)
