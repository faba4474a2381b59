"""Replies of the offline engine: each from what it answers to its last sound, one after another.

audio -> speech to text -> language model -> sentences -> text to speech -> events
"""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from voicecli.audio.speech_to_text import SpeechToText
from voicecli.commands import CancelResponse, SendText, ToolResult
from voicecli.connection.event_queue import EventQueue
from voicecli.errors import RealtimeError
from voicecli.events import (
    OUTPUT_LIMIT,
    AudioChunk,
    ErrorOccurred,
    Event,
    Notice,
    ResponseDone,
    ToolCallCancelled,
    ToolCallRequest,
    TranscriptUpdate,
)
from voicecli.pcm16 import PcmFormat
from voicecli.providers.local.awaited_words import AwaitedWords
from voicecli.providers.local.chat_model import ChatModel, Message, ToolCall
from voicecli.providers.local.heard_reply import HeardReply
from voicecli.providers.local.memory import Memory
from voicecli.providers.local.reply import LocalReply, no_speech
from voicecli.providers.local.speech_output import Outcome, utter
from voicecli.providers.local.spoken_replies import Spoken, SpokenReplies
from voicecli.providers.local.tts import TextToSpeech
from voicecli.providers.local.turn_model import Pause
from voicecli.tools import ToolSchema

__all__ = ["ReplyQueue", "StartTask"]

StartTask = Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]
"""Starts a task of the connection, under a name."""

_STARTED = "It has begun, and runs in the background. Go on with the conversation: the result follows later."


class ReplyQueue:
    """Queue of the replies that are wanted and unfinished, and what becomes of each.

    Every reply has a task. A reply begins when the one before it is over and no words of the user are still unknown.
    A speculative reply runs before it is in the queue; its output is held until then.

    Args:
        speech: None answers in text only.
        words: of the user, which a reply waits for.
        tools: offered to the model.
        background: names of those whose result is not waited for.
        output_rate: of the sound, in Hz.
        interruptible: whether what the user says before a reply began is answered by one reply.
        events: takes what happens.
        start_task: starts the task of a reply.
        new_id: makes an id of that kind.

    Attributes:
        heard: what the user hears of the replies.
        tools: offered to the model from the next reply on.
    """

    def __init__(
        self,
        *,
        hearing: SpeechToText,
        model: ChatModel,
        speech: TextToSpeech | None,
        memory: Memory,
        words: AwaitedWords,
        tools: Sequence[ToolSchema],
        background: Collection[str] = (),
        output_rate: int,
        interruptible: bool,
        events: EventQueue,
        start_task: StartTask,
        new_id: Callable[[str], str],
    ) -> None:
        self._hearing = hearing
        self._model = model
        self._speech = speech
        self._memory = memory
        self._words = words
        self.tools = tools
        self._background = background
        self._output_rate = output_rate
        self._interruptible = interruptible
        self._events = events
        self._start_task = start_task
        self._new_id = new_id
        self._queue: list[LocalReply] = []  # oldest first
        self._spoken = SpokenReplies()
        self.heard = HeardReply(asyncio.get_running_loop().time)
        self._pending_calls: list[str] = []  # calls of tools without a result
        self._running_aside: dict[str, ToolCall] = {}  # calls whose result is not waited for
        self._tool_inputs: list[str] = []  # inputs: the results that are not answered yet

    def __bool__(self) -> bool:
        """Tell whether a reply is in the queue."""
        return bool(self._queue)

    @property
    def talks(self) -> bool:
        """Whether a reply is heard, or more of it is being made."""
        return self.heard.is_heard or any(reply.spoken.text for reply in self._queue if reply.started)

    def new(
        self,
        *,
        audio: bytes | None = None,
        text: str = "",
        user_item: str = "",
        answers: Sequence[str] = (),
        cancelled: bool = False,
    ) -> LocalReply:
        """Make a reply to speech, to a text, or to what is in the memory already."""
        response_id = self._new_id("response")
        return LocalReply(
            response_id,
            self._new_id("reply"),
            Spoken(self._output_rate, response_id),
            audio=audio,
            text=text,
            user_item=user_item,
            wanted=not cancelled,
            cancelled=cancelled,
            answers=list(answers),
        )

    def start(self, reply: LocalReply) -> None:
        """Start its task, if that has not begun. Out of the queue, the reply is speculative."""
        if reply.task is None:
            reply.task = self._start_task(self._run(reply), "reply")

    def add(self, reply: LocalReply) -> None:
        """Append it to the queue, and release what is held of its output."""
        reply.previous = self._queue[-1].task if self._queue else None
        self._queue.append(reply)
        reply.output.release()
        self.start(reply)

    def is_current(self, reply: LocalReply) -> bool:
        """Tell whether a speculative reply still answers the conversation as it is."""
        return not self._queue and reply.memory_version in (None, self._memory.version)

    async def read_ahead(self, words: str, user_item: str) -> None:
        """Let the model read what the user has said so far, unless it is busy."""
        if not self._queue:
            await self._model.read_ahead(self._memory.messages(then=Message("user", words, user_item)))

    def answer_text(self, command: SendText, *, cancelled: bool) -> None:
        """Answer what the user wrote, and with it what they said so far."""
        reply = self.new(text=command.text, user_item=command.item_id, answers=[command.input_id], cancelled=cancelled)
        if self._words and self._interruptible:
            reply.answers += self._take_over_pending()
        self.add(reply)

    def cancel_pending(self) -> None:
        """Cancel the replies that have not begun. The user's words count: they are transcribed and remembered."""
        self._cancel_calls()
        for reply in self._queue:
            if not reply.started:
                reply.wanted, reply.cancelled = False, True
        self._words.recheck()

    def cancel(self, command: CancelResponse) -> None:
        """Stop the reply that is named, and remember of each reply what was heard."""
        self.heard.stop()
        heard = self._spoken.heard(command)
        named = [reply for reply in self._queue if reply.started and reply.response_id == command.response_id]
        stopped = self._stop(named, heard) if command.scope == "reply" else []
        for item, text in heard.items():
            if item not in stopped and text != self._spoken.text(item):
                self._memory.cut(item, text)
                self._emit(TranscriptUpdate("assistant", item, text, final=True, interrupted=True))

    def add_tool_result(self, result: ToolResult) -> None:
        """Take the result of a call; the last one that is awaited is answered, and the others with it."""
        if (call := self._running_aside.pop(result.call_id, None)) is not None:
            # The call has an output already: the model is told of another one.
            again = replace(call, call_id=self._new_id("call"))
            reply = self.new(answers=[result.input_id])
            reply.result = (
                Message("assistant", "", calls=(again,)),
                Message("tool", result.output, again.call_id),
            )
            self.add(reply)
            return
        if result.call_id not in self._pending_calls:
            return  # it was cancelled meanwhile
        self._pending_calls.remove(result.call_id)
        self._tool_inputs.append(result.input_id)
        self._memory.add(Message("tool", result.output, result.call_id))
        if not self._pending_calls:
            inputs, self._tool_inputs = self._tool_inputs, []
            self.add(self.new(answers=inputs))

    def close(self) -> None:
        """Cancel the calls of tools, and stop the replies that have begun."""
        self._cancel_calls()
        for call_id in self._running_aside:
            self._emit(ToolCallCancelled(call_id))
        self._running_aside.clear()
        self._stop([reply for reply in self._queue if reply.started], {})

    # -- the task of a reply

    async def _run(self, reply: LocalReply) -> None:
        try:
            await self._generate(reply)
        except RealtimeError as error:
            reply.output.do(partial(self._fail, reply, error))

    async def _generate(self, reply: LocalReply) -> None:
        is_written = bool(reply.text)
        if reply.audio is not None:
            reply.text = await self._hearing.transcribe(reply.audio) if reply.audio else ""
            reply.audio = None
            if not reply.text:
                if reply.on_words is not None:
                    await reply.on_words(Pause("", ()))
                reply.output.do(partial(self._drop_speechless, reply))
                return
            if reply.is_backchannel is not None and reply.is_backchannel(reply.text):
                await self._note_backchannel(reply)
                return
            # By its words whoever plays the last reply knows that it is interrupted, and says how much of it was heard.
            # The model must know, too.
            self._emit(TranscriptUpdate("user", reply.user_item, reply.text, final=False))
            await self._events.caught_up()
            reply.output.do(partial(self._finish_transcript, reply))
        if reply.previous is not None:
            await asyncio.wait([reply.previous])
        if self._interruptible and not is_written:
            await self._words.wait_for_others(reply.user_item, needed=lambda: reply.wanted)
        for message in reply.result:
            self._memory.add(message)
        user = Message("user", reply.text, reply.user_item) if reply.text else None
        messages = self._memory.messages(then=user)
        reply.memory_version = self._memory.version
        if reply.on_words is not None:
            await reply.on_words(Pause(reply.text, messages))
        if user is not None:
            reply.output.do(partial(self._remember_user, user))
        if not reply.wanted:
            reply.output.do(partial(self._skip, reply))
            return
        reply.output.do(partial(self._begin, reply))
        answer = self._model.stream(messages, self.tools)
        outcome = await utter(
            answer, self._speech, lambda text, audio: reply.output.do(partial(self._say, reply, text, audio))
        )
        reply.output.do(partial(self._complete, reply, outcome))

    async def _note_backchannel(self, reply: LocalReply) -> None:
        """Remember a sign of listening, behind the reply during which it was given, which goes on."""
        reply.output.do(partial(self._tell_backchannel, reply))
        if reply.previous is not None:
            await asyncio.wait([reply.previous])
        reply.output.do(partial(self._memory.add, Message("user", reply.text, reply.user_item)))

    def _tell_backchannel(self, reply: LocalReply) -> None:
        self._queue.remove(reply)
        self.heard.resume()
        self._emit(
            Notice("backchannel", "Taken for a sign of listening, and not answered.", "".join(reply.answers[:1]))
        )
        self._words.set_known(reply.user_item)
        self._emit(TranscriptUpdate("user", reply.user_item, reply.text, final=True))

    def _drop_speechless(self, reply: LocalReply) -> None:
        self._queue.remove(reply)
        self.heard.resume()
        self._emit(no_speech(*reply.answers[:1]))
        self._words.set_known(reply.user_item)

    def _finish_transcript(self, reply: LocalReply) -> None:
        """Tell the user's words. What they said before and has no answer yet is answered with them."""
        if self._interruptible:
            reply.answers += self._take_over_pending(before=reply)
        self._words.set_known(reply.user_item)
        self._emit(TranscriptUpdate("user", reply.user_item, reply.text, final=True))

    def _take_over_pending(self, before: LocalReply | None = None) -> list[str]:
        """Let another reply answer what the replies that have not begun were to answer.

        Args:
            before: only the replies that come before this one; None for all.

        Returns:
            the ids of the inputs.
        """
        inputs: list[str] = []
        for reply in self._queue:
            if reply is before:
                break
            if not reply.started:
                reply.wanted, reply.cancelled = False, False
                inputs += reply.answers
                reply.answers = []
        self._words.recheck()
        return inputs

    def _remember_user(self, user: Message) -> None:
        self._cancel_calls()
        self._memory.add(user)

    def _skip(self, reply: LocalReply) -> None:
        """Drop a reply that is not wanted."""
        self._queue.remove(reply)
        if reply.cancelled:
            self._emit(reply.response_started())
            self._emit(ResponseDone(reply.response_id, "cancelled", "cancelled before it began"))

    def _begin(self, reply: LocalReply) -> None:
        reply.started = True
        # What the user said is settled. If what they heard then was not cut, it goes on, or was over already.
        self.heard.resume()
        self._spoken.add(reply.item_id, reply.spoken)
        self._emit(reply.response_started())

    def _say(self, reply: LocalReply, text: str, audio: bytes) -> None:
        reply.spoken.add(text, audio)
        if text:
            self._emit(TranscriptUpdate("assistant", reply.item_id, reply.spoken.text, final=False))
        self.heard.add(reply.spoken.text, PcmFormat(self._output_rate).duration_ms(len(audio)))
        if audio:
            self._emit(AudioChunk(audio, reply.response_id, reply.item_id))

    def _complete(self, reply: LocalReply, outcome: Outcome) -> None:
        self._queue.remove(reply)
        reply.spoken.finish()
        text = reply.spoken.text
        calls = tuple(replace(call, call_id=call.call_id or self._new_id("call")) for call in outcome.calls)
        if text:
            self._emit(TranscriptUpdate("assistant", reply.item_id, text, final=True))
        if text or calls:
            self._memory.add(Message("assistant", text, reply.item_id, calls))
        for call in calls:
            if background := call.name in self._background:
                self._running_aside[call.call_id] = call
                self._memory.add(Message("tool", _STARTED, call.call_id))
            else:
                self._pending_calls.append(call.call_id)
            self._emit(ToolCallRequest(call.call_id, call.name, call.arguments, background))
        truncated, limit = outcome.finish.truncated, outcome.finish.reason or OUTPUT_LIMIT
        for notice in outcome.finish.notices:
            self._emit(notice)
        self._emit(
            ResponseDone(
                reply.response_id,
                "incomplete" if truncated else "completed",
                limit if truncated else "",
                outcome.finish.usage,
                awaits_tools=bool(calls),
            )
        )

    def _fail(self, reply: LocalReply, error: RealtimeError) -> None:
        self._queue.remove(reply)
        if not reply.started:
            self._begin(reply)
        if text := reply.spoken.text:
            self._emit(TranscriptUpdate("assistant", reply.item_id, text, final=True, interrupted=True))
            self._memory.add(Message("assistant", text, reply.item_id))
        self._emit(ErrorOccurred(error))
        self._emit(ResponseDone(reply.response_id, "failed", error.message))
        if reply.audio is not None:
            self._emit(no_speech())  # it was not understood
            self._words.set_known(reply.user_item)

    # -- cancellation

    def _stop(self, replies: Sequence[LocalReply], heard: Mapping[str, str]) -> list[str]:
        """Stop replies that have begun, at once; their items.

        Args:
            heard: how much of an item was heard, where known; otherwise all that was given out.
        """
        for reply in replies:
            reply.stop()
            self._queue.remove(reply)
            if said := reply.spoken.text:
                text = heard.get(reply.item_id, said)
                self._emit(TranscriptUpdate("assistant", reply.item_id, text, final=True, interrupted=True))
                self._memory.add(Message("assistant", text, reply.item_id))
            self._emit(ResponseDone(reply.response_id, "cancelled", "interrupted"))
        return [reply.item_id for reply in replies]

    def _cancel_calls(self) -> None:
        for call_id in self._pending_calls:
            self._emit(ToolCallCancelled(call_id))
        self._pending_calls.clear()

    def _emit(self, event: Event) -> None:
        self._events.put([event])
