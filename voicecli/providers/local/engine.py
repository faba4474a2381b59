"""The offline engine: a conversation in this process, streaming from the user's voice to the reply's sound.

commands -> user's turns -> replies -> events
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from typing import Any

from voicecli.audio.speech_to_text import SpeechToText
from voicecli.commands import (
    AppendAudio,
    CancelResponse,
    ClearAudio,
    Command,
    EndTurn,
    OfferTools,
    PauseAudio,
    SendImage,
    SendText,
    StartTurn,
    ToolResult,
    ToolSchema,
)
from voicecli.config import VADMode
from voicecli.connection.event_queue import EventQueue
from voicecli.errors import RealtimeConnectionError, RealtimeError
from voicecli.events import Event, Notice, SessionEnded, SessionStarted
from voicecli.ports import Capabilities, ConversationSetup
from voicecli.providers.local.awaited_words import AwaitedWords
from voicecli.providers.local.chat_model import ChatModel
from voicecli.providers.local.memory import Memory
from voicecli.providers.local.pauses import PauseLengths
from voicecli.providers.local.reply_queue import ReplyQueue
from voicecli.providers.local.settings import LocalSettings
from voicecli.providers.local.tts import TextToSpeech
from voicecli.providers.local.turn_detection import TurnDetector
from voicecli.providers.local.user_turns import UserTurns

__all__ = ["LocalConnection", "tools_unsupported"]


def tools_unsupported(model: ChatModel) -> Notice:
    """The notice that tools are there, and a model that cannot call them."""
    return Notice("tools_unsupported", f"{model.name} cannot call tools here; an endpoint's model can: --llm URL")


class LocalConnection:
    """A `Connection` to the models in this process.

    Args:
        capabilities: rates, and whether the model calls tools.
        speech: None answers in text only.
        detector: finds the user's turns; called on a thread of its own.
        pauses: sets how long pauses last in them; None: all are alike.
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
        pauses: PauseLengths | None = None,
        notices: Sequence[Notice] = (),
    ) -> None:
        vad = setup.config.turn_detection
        automatic = setup.config.vad_mode is VADMode.SERVER
        # Who ends their turn by a key means to be answered.
        ends_by_key = setup.config.vad_mode is VADMode.NONE
        stops_replies = not automatic or (vad.interrupt_response and vad.create_response)
        self._capabilities = capabilities
        self._hearing = hearing
        self._model = model
        self._speech = speech
        # One command ahead of the detector: whoever sends audio faster waits.
        self._commands: asyncio.Queue[tuple[int, Command]] = asyncio.Queue(maxsize=1)
        self._events = EventQueue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._over: RealtimeError | None = None
        self._closing: asyncio.Task[None] | None = None
        self._ids = 0
        self._tools_unsupported = bool(setup.tools)  # it has been told
        self._cancels = 0  # of pending replies
        words = AwaitedWords()
        self._replies = ReplyQueue(
            hearing=hearing,
            model=model,
            speech=speech,
            memory=memory,
            words=words,
            tools=tuple(setup.tools) if model.tools else (),
            background=setup.config.background_tools,
            output_rate=capabilities.output_rate,
            interruptible=not automatic or vad.interrupt_response,
            events=self._events,
            start_task=self._start_task,
            new_id=self._new_id,
        )
        self._turns = UserTurns(
            detector,
            hearing,
            automatic=automatic,
            answered=not automatic or vad.create_response,
            backchannels=setup.config.own(LocalSettings).backchannels if stops_replies and not ends_by_key else "off",
            pauses=pauses,
            words=words,
            replies=self._replies,
            events=self._events,
            start_task=self._start_task,
            new_id=self._new_id,
        )
        started = SessionStarted("", model.name, voice, capabilities.input_rate, capabilities.output_rate)
        self._events.put([started, *notices])
        self._start_task(self._take_commands(), "commands")

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    async def send(self, command: Command) -> None:
        if self._over is not None:
            raise self._over
        match command:
            # These must not wait behind audio.
            case CancelResponse(response_id=None, scope="reply"):
                self._cancels += 1
                self._replies.cancel_pending()
            case CancelResponse():
                self._replies.cancel(command)
            case ToolResult():
                self._replies.add_tool_result(command)
            case _:
                await self._commands.put((self._cancels, command))

    async def drain(self) -> None:
        await self._commands.join()

    def __aiter__(self) -> AsyncIterator[Event]:
        return aiter(self._events)

    async def aclose(self) -> None:
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(), name="voicecli-local-close")
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        self._replies.close()
        if self._over is None:
            self._over = RealtimeConnectionError("The conversation is over: closed.", advice="Connect again.")
            self._events.put([SessionEnded("closed")])
            self._events.close()
        for task in self._tasks:
            task.cancel()
        while self._tasks:
            await asyncio.wait(self._tasks)
        # drain() and send() of others must not wait for a task that is gone.
        while not self._commands.empty():
            self._commands.get_nowait()
            self._commands.task_done()
        engines = [self._turns.aclose(), self._hearing.aclose(), self._model.aclose()]
        if self._speech is not None:
            engines.append(self._speech.aclose())
        await asyncio.gather(*engines)

    async def _take_commands(self) -> None:
        while True:
            cancels, command = await self._commands.get()
            try:
                await self._dispatch(command, cancelled=cancels != self._cancels)
            finally:
                self._commands.task_done()

    async def _dispatch(self, command: Command, *, cancelled: bool) -> None:
        """Carry out a command; `cancelled` ones were sent before a CancelResponse for what was pending."""
        match command:
            case AppendAudio(audio, realtime):
                await self._turns.append(audio, realtime=realtime)
            case StartTurn():
                self._turns.begin()
            case EndTurn(input_id):
                self._turns.end(input_id, cancelled=cancelled)
            case PauseAudio():
                self._turns.pause()
            case ClearAudio():
                self._turns.clear()
            case SendText():
                self._replies.answer_text(command, cancelled=cancelled)
            case OfferTools(tools):
                self._offer(tools)
            case SendImage():
                self._events.put([Notice("images_unsupported", "The offline engine takes no pictures.")])

    def _offer(self, tools: tuple[ToolSchema, ...]) -> None:
        """Other tools, from the next reply on."""
        if self._model.tools:
            self._replies.tools = tools
        elif tools and not self._tools_unsupported:
            self._tools_unsupported = True
            self._events.put([tools_unsupported(self._model)])

    def _new_id(self, kind: str) -> str:
        self._ids += 1
        return f"{kind}_{self._ids}"

    def _start_task(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=f"voicecli-local-{name}")
        self._tasks.add(task)
        task.add_done_callback(self._finish_task)
        return task

    def _finish_task(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and self._over is None:
            # A defect: better a conversation that ends than one that hangs.
            self._over = RealtimeError(f"The offline engine failed: {type(error).__name__}: {error}")
            self._over.__cause__ = error
            self._events.close(self._over)
