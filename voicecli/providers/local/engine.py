"""The offline engine: a conversation in this process, streaming from the user's voice to the reply's sound.

    audio -> turns -> speech to text -> language model -> sentences -> text to speech -> events

Speed comes from guessing. When half of the silence that ends a turn has passed, the turn is transcribed and the answer
begun as if it were over; what comes of it is held. If the silence goes on, it is let out, often with the first sound
ready; if speech resumes, it is dropped, and nobody will know.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
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
from voicecli.config import VADMode
from voicecli.connection.event_queue import EventQueue
from voicecli.errors import RealtimeConnectionError, RealtimeError
from voicecli.events import (
    OUTPUT_LIMIT,
    AudioChunk,
    ErrorOccurred,
    Event,
    Notice,
    ResponseDone,
    ResponseStarted,
    SessionEnded,
    SessionStarted,
    SpeechStarted,
    SpeechStopped,
    ToolCallCancelled,
    ToolCallRequest,
    TranscriptUpdate,
)
from voicecli.pcm16 import PcmFormat
from voicecli.ports import Capabilities, ConversationSetup
from voicecli.providers.heard import heard_by_item
from voicecli.providers.local.chat_model import ChatModel, Message
from voicecli.providers.local.memory import Memory
from voicecli.providers.local.speech_output import HeldOutput, Outcome, Spoken, utter
from voicecli.providers.local.stt import SpeechToText
from voicecli.providers.local.tts import TextToSpeech
from voicecli.providers.local.turn_detection import (
    TurnBegan,
    TurnChange,
    TurnDetector,
    TurnEnded,
    TurnHeard,
    TurnPaused,
    TurnResumed,
)
from voicecli.threads import Worker

__all__ = ["LocalConnection"]

_log = logging.getLogger(__name__)

# Audio is looked at in pieces of 0.5 s, so that a long command delays neither partials nor an interruption.
_PIECE_BYTES = PcmFormat(16_000).size(500)
# A guess costs a transcription of the whole turn: a second for half a minute. Longer turns wait for their end.
_LONGEST_GUESS_BYTES = PcmFormat(16_000).size(20_000)
# Replies that may still be playing when they are cut.
_REMEMBERED_REPLIES = 8


@dataclass(slots=True)
class _UserTurn:
    """The user's turn under way."""

    item_id: str
    open: bool = True
    fresh: bytearray = field(default_factory=bytearray)  # not yet seen by the partial transcription
    partials: asyncio.Task[None] | None = None
    guess: "_Reply | None" = None


@dataclass(slots=True, eq=False)
class _Reply:
    """An answer in the making.

    Attributes:
        audio, text: what it answers; neither when it goes on after tools.
        user_item: the name of that utterance.
        after: the answer before it, which must be over first.
        version: the memory's, when the model began.
        wanted: whether to answer, or only to note what the user said.
        cancelled: whether it was cancelled before it began, which must be told (somebody waits).
        answers: the ids of the inputs that it answers.
    """

    response_id: str
    item_id: str
    spoken: Spoken
    audio: bytes | None = None
    text: str = ""
    user_item: str = ""
    after: asyncio.Task[None] | None = None
    version: int | None = None
    wanted: bool = True
    cancelled: bool = False
    answers: list[str] = field(default_factory=list)
    started: bool = False
    gate: HeldOutput = field(default_factory=HeldOutput)
    task: asyncio.Task[None] | None = None


class LocalConnection:
    """A `Connection` to the models in this process.

    Args:
        capabilities: rates, and whether the model calls tools.
        speech: None answers in text only.
        detector: finds the user's turns; called on a thread of its own.
        notices: told once, after SessionStarted.
    """

    def __init__(
        self,
        setup: ConversationSetup,
        *,
        capabilities: Capabilities,
        voice: str,
        hearing: SpeechToText,
        model: ChatModel,
        speech: TextToSpeech | None,
        memory: Memory,
        detector: TurnDetector,
        notices: Sequence[Notice] = (),
    ) -> None:
        config = setup.config
        vad = config.turn_detection
        self._capabilities = capabilities
        self._automatic = config.vad_mode is VADMode.SERVER
        self._answers_turns = not self._automatic or vad.create_response
        self._interruptible = not self._automatic or vad.interrupt_response
        self._tools = tuple(setup.tools) if model.tools else ()
        self._hearing = hearing
        self._model = model
        self._speech = speech
        self._memory = memory
        self._detector = detector
        self._detecting = Worker("vad")
        # One command ahead of the detector: whoever sends audio faster waits.
        self._commands: asyncio.Queue[tuple[int, Command]] = asyncio.Queue(maxsize=1)
        self._events = EventQueue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._over: RealtimeError | None = None
        self._closed: asyncio.Task[None] | None = None
        self._count = 0
        self._cancels = 0
        self._turn: _UserTurn | None = None
        self._turn_ended = False  # by silence, since the last EndTurn
        self._unanswered = False  # a turn waits for EndTurn, as nobody answers by itself
        self._voices: dict[str, asyncio.Event] = {}  # turns whose words are not known, and what tells that they are
        self._replies: list[_Reply] = []  # confirmed and unfinished, oldest first
        self._spoken: dict[str, Spoken] = {}  # of the last replies, by item
        self._awaited: list[str] = []  # calls of tools without a result
        self._results: list[str] = []  # inputs: the results of tools that are not answered yet
        started = SessionStarted("", model.name, voice, capabilities.input_rate, capabilities.output_rate)
        self._events.put([started, *notices])
        self._start(self._listen(), "listen")

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    async def send(self, command: Command) -> None:
        if self._over is not None:
            raise self._over
        match command:
            case CancelResponse():
                self._cancel(command)
            case ToolResult():
                self._take_tool_result(command)
            case _:
                await self._commands.put((self._cancels, command))

    async def drain(self) -> None:
        await self._commands.join()

    def __aiter__(self) -> AsyncIterator[Event]:
        return aiter(self._events)

    async def aclose(self) -> None:
        if self._closed is None:
            self._closed = asyncio.create_task(self._close(), name="voicecli-local-close")
        await asyncio.shield(self._closed)

    async def _close(self) -> None:
        self._drop_awaited()
        self._stop([reply for reply in self._replies if reply.started])
        over = self._over or RealtimeConnectionError("The conversation is over: closed.", advice="Connect again.")
        if self._over is None:
            self._over = over
            self._emit(SessionEnded("closed"))
            self._events.close()
        for task in self._tasks:
            task.cancel()
        while self._tasks:
            await asyncio.wait(self._tasks)
        # drain() and send() of others must not wait for a listener that is gone.
        while not self._commands.empty():
            self._commands.get_nowait()
            self._commands.task_done()
        engines = [self._detecting.aclose(), self._hearing.aclose(), self._model.aclose()]
        if self._speech is not None:
            engines.append(self._speech.aclose())
        await asyncio.gather(*engines)

    # -- the user's turns

    async def _listen(self) -> None:
        while True:
            cancels, command = await self._commands.get()
            try:
                await self._obey(command, stale=cancels != self._cancels)
            finally:
                self._commands.task_done()

    async def _obey(self, command: Command, *, stale: bool) -> None:
        """Carry out a command; `stale` ones were sent before a CancelResponse for what was to come."""
        match command:
            case AppendAudio(audio):
                for start in range(0, len(audio), _PIECE_BYTES):
                    piece = audio[start : start + _PIECE_BYTES]
                    for change in await self._detecting.run(partial(self._detector.process, piece)):
                        self._follow(change)
            case StartTurn():
                for change in self._detector.begin():
                    self._follow(change)
            case EndTurn(input_id):
                self._end_turn(input_id, stale=stale)
            case PauseAudio() if self._automatic:
                # No more silence comes that could end the turn.
                for change in self._detector.end():
                    self._follow(change)
            case ClearAudio():
                self._detector.clear()
                self._drop_turn()
            case SendText(text, item_id, input_id):
                reply = self._new_reply(text=text, user_item=item_id, answers=[input_id], cancelled=stale)
                if self._voices and self._interruptible:
                    reply.answers += self._decline_all_to_come()  # what waits for a voice to end
                self._answer(reply)
            case SendImage():
                self._emit(Notice("images_unsupported", "The offline engine takes no pictures."))

    def _follow(self, change: TurnChange, *, input_id: str = "", cancelled: bool = False) -> None:
        turn = self._turn
        match change:
            case TurnBegan():
                self._turn = _UserTurn(self._name("user"))
                self._voices[self._turn.item_id] = asyncio.Event()
                if self._automatic:
                    self._emit(SpeechStarted(self._turn.item_id))
            case TurnHeard(audio) if turn is not None:
                turn.fresh += audio
                if turn.partials is None or turn.partials.done():
                    turn.partials = self._start(self._transcribe_partially(turn), "partials")
            case TurnPaused(audio) if turn is not None and self._may_guess(audio):
                turn.guess = self._new_reply(audio=audio, user_item=turn.item_id)
                self._begin(turn.guess)
            case TurnResumed() if turn is not None:
                self._drop_guess(turn)
            case TurnEnded(audio) if turn is not None:
                self._finish_turn(turn, audio, input_id, cancelled=cancelled)

    def _may_guess(self, audio: bytes) -> bool:
        return self._answers_turns and not self._replies and len(audio) <= _LONGEST_GUESS_BYTES

    def _finish_turn(self, turn: _UserTurn, audio: bytes, input_id: str, *, cancelled: bool) -> None:
        self._turn, turn.open, self._turn_ended = None, False, True
        if self._automatic:
            self._emit(SpeechStopped(turn.item_id))
        guess = turn.guess
        if guess is not None and (cancelled or self._replies or guess.version not in (None, self._memory.version)):
            self._drop_guess(turn)  # the conversation went on meanwhile: it answers something else
            guess = None
        reply = guess or self._new_reply(audio=audio, user_item=turn.item_id, cancelled=cancelled)
        reply.answers.append(input_id)
        if not self._answers_turns:
            reply.wanted, self._unanswered = False, True
        self._answer(reply)

    def _end_turn(self, input_id: str, *, stale: bool) -> None:
        was_ended, self._turn_ended = self._turn_ended, False
        changes = self._detector.end()
        if changes:
            for change in changes:
                self._follow(change, input_id=input_id, cancelled=stale)
            self._turn_ended = False
        if self._unanswered:
            self._unanswered = False
            self._answer(self._new_reply(answers=[input_id], cancelled=stale))
        elif not (changes or was_ended):
            self._emit(_no_speech(input_id))

    def _drop_turn(self) -> None:
        if self._turn is not None:
            self._turn.open = False
            self._drop_guess(self._turn)
            self._words_known(self._turn.item_id)
            if self._automatic:
                self._emit(SpeechStopped(self._turn.item_id))
                self._emit(_no_speech())
            self._turn = None

    def _drop_guess(self, turn: _UserTurn) -> None:
        if turn.guess is not None:
            turn.guess.gate.shut()
            if turn.guess.task is not None:
                turn.guess.task.cancel()
            turn.guess = None

    async def _transcribe_partially(self, turn: _UserTurn) -> None:
        text = ""
        while turn.fresh:
            audio, turn.fresh = bytes(turn.fresh), bytearray()
            try:
                heard = await self._hearing.partial(turn.item_id, audio)
            except RealtimeError as error:
                _log.warning("No partial transcript: %s", error)
                return
            if not turn.open:
                return
            if heard and heard != text:
                text = heard
                self._emit(TranscriptUpdate("user", turn.item_id, text, final=False))

    # -- answers

    def _new_reply(
        self,
        *,
        audio: bytes | None = None,
        text: str = "",
        user_item: str = "",
        answers: Sequence[str] = (),
        cancelled: bool = False,
    ) -> _Reply:
        response_id = self._name("response")
        return _Reply(
            response_id,
            self._name("reply"),
            Spoken(self._capabilities.output_rate, response_id),
            audio=audio,
            text=text,
            user_item=user_item,
            wanted=not cancelled,
            cancelled=cancelled,
            answers=list(answers),
        )

    def _begin(self, reply: _Reply) -> None:
        if reply.task is None:
            reply.task = self._start(self._make(reply), "reply")

    def _answer(self, reply: _Reply) -> None:
        """The reply is wanted: let out what there is of it."""
        reply.after = self._replies[-1].task if self._replies else None
        self._replies.append(reply)
        reply.gate.open()
        self._begin(reply)

    async def _make(self, reply: _Reply) -> None:
        try:
            await self._make_or_fail(reply)
        except RealtimeError as error:
            reply.gate.do(partial(self._failed, reply, error))

    async def _make_or_fail(self, reply: _Reply) -> None:
        answers_writing = bool(reply.text)
        if reply.audio is not None:
            reply.text = await self._hearing.transcribe(reply.audio) if reply.audio else ""
            reply.audio = None
            if not reply.text:
                reply.gate.do(partial(self._nothing_said, reply))
                return
            # By its words whoever plays the last reply knows that it is interrupted, and says how much of it was heard.
            # The model must know, too.
            self._emit(TranscriptUpdate("user", reply.user_item, reply.text, final=False))
            await self._events.caught_up()
            reply.gate.do(partial(self._understood, reply))
        if reply.after is not None:
            await asyncio.wait([reply.after])
        if self._interruptible and not answers_writing:
            await self._others_known(reply)
        user = Message("user", reply.text, reply.user_item) if reply.text else None
        messages = self._memory.messages(then=user)
        reply.version = self._memory.version
        if user is not None:
            reply.gate.do(partial(self._note_user, user))
        if not reply.wanted:
            reply.gate.do(partial(self._decline, reply))
            return
        reply.gate.do(partial(self._started, reply))
        answer = self._model.stream(messages, self._tools)
        outcome = await utter(
            answer, self._speech, lambda text, audio: reply.gate.do(partial(self._say, reply, text, audio))
        )
        reply.gate.do(partial(self._completed, reply, outcome))

    async def _others_known(self, reply: _Reply) -> None:
        """Return when nobody is speaking into the thinking, or by words has declined the reply."""
        while reply.wanted and (others := [event for item, event in self._voices.items() if item != reply.user_item]):
            await others[0].wait()

    def _words_known(self, user_item: str) -> None:
        """Take it that the words of this turn are known, or that it has none."""
        if (voice := self._voices.pop(user_item, None)) is not None:
            voice.set()

    def _understood(self, reply: _Reply) -> None:
        """The user's words are known. What they said before and has no answer yet is answered with them."""
        if self._interruptible:
            reply.answers += self._decline_all_to_come(before=reply)
        self._words_known(reply.user_item)
        self._emit(TranscriptUpdate("user", reply.user_item, reply.text, final=True))

    def _note_user(self, user: Message) -> None:
        self._drop_awaited()
        self._memory.add(user)

    def _nothing_said(self, reply: _Reply) -> None:
        self._replies.remove(reply)
        self._emit(_no_speech(*reply.answers[:1]))
        self._words_known(reply.user_item)

    def _decline(self, reply: _Reply) -> None:
        self._replies.remove(reply)
        if reply.cancelled:
            self._emit(_started(reply))
            self._emit(ResponseDone(reply.response_id, "cancelled", "cancelled before it began"))

    def _started(self, reply: _Reply) -> None:
        reply.started = True
        self._spoken[reply.item_id] = reply.spoken
        while len(self._spoken) > _REMEMBERED_REPLIES:
            del self._spoken[next(iter(self._spoken))]
        self._emit(_started(reply))

    def _say(self, reply: _Reply, text: str, audio: bytes) -> None:
        reply.spoken.add(text, audio)
        self._emit(TranscriptUpdate("assistant", reply.item_id, reply.spoken.text.strip(), final=False))
        if audio:
            self._emit(AudioChunk(audio, reply.response_id, reply.item_id))

    def _completed(self, reply: _Reply, outcome: Outcome) -> None:
        self._replies.remove(reply)
        text = reply.spoken.text.strip()
        calls = tuple(replace(call, call_id=call.call_id or self._name("call")) for call in outcome.calls)
        if text:
            self._emit(TranscriptUpdate("assistant", reply.item_id, text, final=True))
        if text or calls:
            self._memory.add(Message("assistant", text, reply.item_id, calls))
        for call in calls:
            self._awaited.append(call.call_id)
            self._emit(ToolCallRequest(call.call_id, call.name, call.arguments))
        truncated, cut = outcome.finish.truncated, outcome.finish.reason or OUTPUT_LIMIT
        for notice in outcome.finish.notices:
            self._emit(notice)
        self._emit(
            ResponseDone(
                reply.response_id,
                "incomplete" if truncated else "completed",
                cut if truncated else "",
                outcome.finish.usage,
                awaits_tools=bool(calls),
            )
        )

    def _failed(self, reply: _Reply, error: RealtimeError) -> None:
        self._replies.remove(reply)
        if not reply.started:
            self._started(reply)
        if text := reply.spoken.text.strip():
            self._emit(TranscriptUpdate("assistant", reply.item_id, text, final=True, interrupted=True))
            self._memory.add(Message("assistant", text, reply.item_id))
        self._emit(ErrorOccurred(error))
        self._emit(ResponseDone(reply.response_id, "failed", error.message))
        if reply.audio is not None:
            self._emit(_no_speech())  # it was not understood
            self._words_known(reply.user_item)

    # -- interruptions

    def _cancel(self, command: CancelResponse) -> None:
        """Stop the reply that is named, or else what is to come; remember of each reply what was heard."""
        if command.response_id is None and command.scope == "reply":
            self._cancels += 1
            self._drop_awaited()
            self._decline_all_to_come(told=True)
            return
        heard_ms = heard_by_item(self._items_until(command), command.item_id, command.played_ms)
        heard = {item: self._spoken[item].heard(ms) for item, ms in heard_ms.items()}
        named = [reply for reply in self._replies if reply.started and reply.response_id == command.response_id]
        stopped = self._stop(named, heard) if command.scope == "reply" else []
        for item, text in heard.items():
            if item not in stopped and text != self._spoken[item].text.strip():
                self._memory.cut(item, text)
                self._emit(TranscriptUpdate("assistant", item, text, final=True, interrupted=True))

    def _items_until(self, command: CancelResponse) -> list[str]:
        """The items that may be cut: those after the reply that is named are another answer's."""
        items = list(self._spoken)
        named = [item for item in items if self._spoken[item].response_id == command.response_id]
        last = named[-1] if named else command.item_id
        return items[: items.index(last) + 1] if last in self._spoken else items

    def _decline_all_to_come(self, *, told: bool = False, before: _Reply | None = None) -> list[str]:
        """Let the user's words count, transcribed and remembered, without an answer.

        Args:
            told: somebody may be waiting for the answers.
            before: all are meant that come before this one.

        Returns:
            the inputs that another reply is to answer; none when they are `told`.
        """
        inputs: list[str] = []
        for reply in self._replies:
            if reply is before:
                break
            if not reply.started:
                reply.wanted, reply.cancelled = False, told
                if not told:
                    inputs += reply.answers
                    reply.answers = []
        for item, voice in self._voices.items():
            voice.set()
            self._voices[item] = asyncio.Event()
        return inputs

    def _stop(self, replies: Sequence[_Reply], heard: Mapping[str, str] = MappingProxyType({})) -> list[str]:
        """Stop replies that have begun, at once; their items.

        Args:
            heard: how much of an item was heard, where known; otherwise all that was given out.
        """
        for reply in replies:
            reply.gate.shut()
            if reply.task is not None:
                reply.task.cancel()
            self._replies.remove(reply)
            said = reply.spoken.text.strip()
            text = heard.get(reply.item_id, said)
            if said:
                self._emit(TranscriptUpdate("assistant", reply.item_id, text, final=True, interrupted=True))
                self._memory.add(Message("assistant", text, reply.item_id))
            self._emit(ResponseDone(reply.response_id, "cancelled", "interrupted"))
        return [reply.item_id for reply in replies]

    # -- tools

    def _take_tool_result(self, result: ToolResult) -> None:
        if result.call_id not in self._awaited:
            return  # it was cancelled meanwhile
        self._awaited.remove(result.call_id)
        self._results.append(result.input_id)
        self._memory.add(Message("tool", result.output, result.call_id))
        if not self._awaited:
            inputs, self._results = self._results, []
            self._answer(self._new_reply(answers=inputs))

    def _drop_awaited(self) -> None:
        for call_id in self._awaited:
            self._emit(ToolCallCancelled(call_id))
        self._awaited.clear()

    # -- odds and ends

    def _emit(self, event: Event) -> None:
        self._events.put([event])

    def _name(self, kind: str) -> str:
        self._count += 1
        return f"{kind}_{self._count}"

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=f"voicecli-local-{name}")
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and self._over is None:
            # A defect: better a conversation that ends than one that hangs.
            self._over = RealtimeError(f"The offline engine failed: {type(error).__name__}: {error}")
            self._over.__cause__ = error
            self._events.close(self._over)


def _started(reply: _Reply) -> ResponseStarted:
    return ResponseStarted(reply.response_id, tuple(input_id for input_id in reply.answers if input_id))


def _no_speech(input_id: str = "") -> Notice:
    return Notice("no_speech", "No words were understood.", input_id)
