"""A conversation: commands in, events out.

The session stands between the program and a provider's `Connection`. It finds the user's turns when the program
wants that done here (VADMode.CLIENT), runs tools, cuts a reply short when the user speaks into it, and hands each
event to everybody who listens: handlers, iterations, and a `send_audio` or `send_text` that waits for its answer.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Literal, overload

from voicecli.audio import AudioSink, Playhead
from voicecli.audio.ports import EchoControl
from voicecli.commands import OfferTools, SendImage
from voicecli.config import RealtimeConfig, VADMode
from voicecli.conversation.answers import Answers
from voicecli.conversation.arguments import PCM16, Question, check_audio, check_question, check_rate, check_text
from voicecli.conversation.consent import Consent
from voicecli.conversation.delivery import Audience
from voicecli.conversation.floor_driver import FloorDriver
from voicecli.conversation.floor_events import SoundHeard, Stop
from voicecli.conversation.handlers import Handlers
from voicecli.conversation.images import Picture, read_picture
from voicecli.conversation.limit_keeper import LimitKeeper
from voicecli.conversation.limits import Limits, Spent
from voicecli.conversation.logs import LoggedConnection, Logs
from voicecli.conversation.reader import Reader
from voicecli.conversation.response import Response
from voicecli.conversation.tool_calls import ToolCalls
from voicecli.conversation.toolbox import Toolbox
from voicecli.errors import ConfigurationError, LimitReachedError
from voicecli.events import (
    Event,
    Notice,
    Reconnecting,
    SessionStarted,
    StateChanged,
    ToolCallCancelled,
    ToolCallRequest,
    Usage,
)
from voicecli.ports import Connection, ConversationLog
from voicecli.threads import run_in_thread
from voicecli.tools import Tool
from voicecli.transcript import Turn

if TYPE_CHECKING:
    from voicecli.audio.smart_turn import SmartTurn

__all__ = ["VoiceSession"]


class VoiceSession:
    """A conversation under way; made by `RealtimeVoice.connect()`."""

    def __init__(
        self,
        connection: Connection,
        config: RealtimeConfig,
        *,
        tools: Mapping[str, Tool] | Toolbox | None = None,
        handlers: Handlers | None = None,
        history: Sequence[Turn] = (),
        turn_model: "SmartTurn | None" = None,
        logs: Iterable[ConversationLog] = (),
        limits: Limits | None = None,
    ) -> None:
        # With numpy, which `import voicecli` does without.
        from voicecli.conversation.turn_models import turn_model_unused
        from voicecli.conversation.user_input import UserInput

        self.can_ask = True
        """Whether those who read the events can answer an ApprovalRequest; if not, it is refused at once."""
        self._logs = Logs(logs)
        if self._logs:
            connection = LoggedConnection(connection, self._logs)
        self._closing = False
        self._connection = connection
        if connection.capabilities.full_duplex:  # it hears everything, and the turns are its own
            config = replace(config, vad_mode=VADMode.SERVER)
        self._config = config
        handlers = handlers or Handlers()
        self._audience = Audience(handlers, history, self._logs)
        self._driver = FloorDriver(connection, config, self._audience, self._act_on)
        self._limits = LimitKeeper(
            limits or Limits(config, now=self._driver.now),
            self._driver,
            awaits_reply=lambda: self.awaiting_reply,
            clear_audio=self.clear_audio,
            end=lambda: self._reader.end(),
            quiet_s=config.response_timeout_s + config.tool_timeout_s,
        )
        self._input = UserInput(
            connection,
            config,
            self._driver,
            self._audience.new_input,
            lambda: self._reader.check_open(),
            self._limits.check,
            turn_model,
        )
        self._toolbox = tools if isinstance(tools, Toolbox) else Toolbox(tools or {})
        self._consent = Consent(
            config.approve,
            tell=self._take,
            send=self._input.send,
            heard=lambda: self.can_ask and self._audience.reads_questions,
        )
        self._calls = ToolCalls(
            self._toolbox.tools,
            handlers.of("tool_call"),
            self._consent,
            timeout_s=config.tool_timeout_s,
            answer=self._input.tool_result,
            show=self._input.send if connection.capabilities.images else None,
            tell=self._audience.tell,
        )
        self._reader = Reader(connection, self._driver, self._audience, self._consent, self._limits)
        self._answers = Answers(
            self._driver, self._audience, self._calls, self._reader.check_open, config.response_timeout_s
        )
        self._ignored = turn_model_unused(config, connection.capabilities)

    # -- what is known of the conversation

    @property
    def full_duplex(self) -> bool:
        """Whether both sides may speak at once: the model alone decides when it speaks, speaks on or gives way."""
        return self._connection.capabilities.full_duplex

    @property
    def input_rate(self) -> int:
        """The rate of the audio that the provider takes, in Hz; `send_audio` expects it unless told otherwise."""
        return self._connection.capabilities.input_rate

    @property
    def output_rate(self) -> int:
        """The rate of the reply's audio, in Hz."""
        return self._connection.capabilities.output_rate

    @property
    def vad_mode(self) -> VADMode:
        """The finder of the user's turns: the provider, the client, or nobody."""
        return self._config.vad_mode

    @property
    def is_active(self) -> bool:
        """Whether the conversation goes on; not any more once `aclose` was called."""
        return not (self._driver.over or self._closing)

    @property
    def history(self) -> list[Turn]:
        """The conversation so far, to be passed to another `connect(history=...)`, of any provider."""
        return [replace(turn) for turn in self._audience.transcript.turns]

    @property
    def usage(self) -> Usage:
        """The usage of the whole conversation so far."""
        return self._driver.usage

    @property
    def spent(self) -> Spent:
        """What counts towards the limits of `RealtimeConfig` by now."""
        return self._limits.spent

    @property
    def user_speaking(self) -> bool:
        """Whether audio of an open turn of the user's has been sent that `end_turn()` would end."""
        return self._input.open

    @property
    def awaiting_reply(self) -> bool:
        """Whether a turn has ended whose answer is not complete, words included, or a reply is being made."""
        return self._answers.owed

    @property
    def state(self) -> StateChanged:
        """The state of both sides of the conversation now; `StateChanged` is told whenever it changes."""
        return self._driver.floor.state(self._driver.now)

    @property
    def player(self) -> AudioSink | None:
        """The player of the reply, set by its owner. Without one, chunks are taken to be played as they come."""
        return self._driver.player

    @player.setter
    def player(self, player: AudioSink | None) -> None:
        self._driver.player = player

    @property
    def realtime(self) -> bool:
        """Whether audio is sent as it is spoken. Latencies then count from the end of the speech; otherwise the silence
        that ended a turn took no time."""
        return self._driver.realtime

    @realtime.setter
    def realtime(self, realtime: bool) -> None:
        self._driver.realtime = realtime

    @property
    def echo(self) -> EchoControl | None:
        """The echo control between player and user, set by its owner.

        With one, and a player, what may be a voice pauses the reply before the provider tells of it (VADMode.SERVER,
        `realtime`). Until it has settled, less than half a second of sound does nothing else: it is no turn
        (VADMode.CLIENT), or is not sent (VADMode.SERVER).
        """
        return self._input.echo

    @echo.setter
    def echo(self, echo: EchoControl | None) -> None:
        self._input.echo = echo

    # -- what the program says

    async def ask(self, question: Question, *, sample_rate: int | None = None) -> Response:
        """Say something as one whole turn, and return the answer when it is complete, whoever else listens.

        Cancelled, it stops the answer. A tool that needs to be allowed is refused where nobody iterates who could
        do it.

        Args:
            question: words; the `Path` of a sound file (WAV, FLAC, OGG ...); or PCM16 mono, as bytes or as an async
                iterator of them.
            sample_rate: of PCM16, in Hz; `input_rate` unless given.

        Raises:
            AudioFormatError: the file or the audio cannot be read.
            ConfigurationError: nothing of this can be asked.
            RealtimeError: no answer came, or the conversation is over.
        """
        check_question(question, sample_rate)
        if isinstance(question, str):
            return await self.send_text(question, wait=True)
        if not isinstance(question, os.PathLike):
            return await self.send_audio(question, sample_rate=sample_rate, wait=True)
        from voicecli.audio.files.source import WavSource

        file = WavSource(question)
        try:
            await file.open()
            return await self.send_audio(file, sample_rate=file.sample_rate, wait=True)
        finally:
            await file.aclose()

    @overload
    async def send_audio(
        self, audio: PCM16 | AsyncIterable[bytes], *, sample_rate: int | None = None, wait: Literal[True]
    ) -> Response: ...
    @overload
    async def send_audio(
        self, audio: PCM16 | AsyncIterable[bytes], *, sample_rate: int | None = None, wait: bool | None = None
    ) -> Response | None: ...
    async def send_audio(
        self, audio: PCM16 | AsyncIterable[bytes], *, sample_rate: int | None = None, wait: bool | None = None
    ) -> Response | None:
        """Send the user's voice: PCM16 mono, as bytes or as an async iterator of them.

        When nobody listens (no `on_audio` handler, no iteration), it is taken as one whole utterance: the turn is
        ended, and the answer awaited and returned. With listeners it returns None at once; once a limit is reached,
        it then sends nothing.

        Args:
            sample_rate: of the audio, in Hz; `input_rate` unless given. It may change between calls.
            wait: decides explicitly whether to end the turn and wait for the answer.

        Raises:
            AudioFormatError: a whole utterance with an odd number of bytes.
            ConfigurationError: this is no sound, or a rate that cannot be.
            RealtimeError: no answer came, or the conversation is over.
        """
        waits = wait if wait is not None else not self._audience.hears_audio
        check_audio(audio, whole=waits)
        rate = check_rate(sample_rate) if sample_rate is not None else self.input_rate
        if not isinstance(audio, AsyncIterable):
            audio = bytes(audio)
        if not waits:
            with contextlib.suppress(LimitReachedError):
                await self._input.audio(audio, rate)
            return None
        return await self._ask(partial(self._input.utterance, audio, rate))

    @overload
    async def send_text(self, text: str, *, wait: Literal[True]) -> Response: ...
    @overload
    async def send_text(self, text: str, *, wait: bool | None = None) -> Response | None: ...
    async def send_text(self, text: str, *, wait: bool | None = None) -> Response | None:
        """Say something in writing. Waits for the answer as `send_audio` does.

        Raises:
            ConfigurationError: the text is empty, or none.
            RealtimeError: no answer came, or the conversation is over.
        """
        check_text(text)
        if not (wait if wait is not None else not self._audience.hears_audio):
            await self._input.text(text)
            return None
        return await self._ask(partial(self._input.text, text))

    async def send_image(self, image: Picture, *, mime_type: str | None = None) -> None:
        """Show a PNG or JPEG, given as its bytes or path; the next turn can speak of it.

        Raises:
            ConfigurationError: the provider takes no pictures, or this is none it takes.
        """
        if not self._connection.capabilities.images:
            raise ConfigurationError(
                "This provider takes no pictures.", advice="`voice list-providers --json` tells which do."
            )
        data, kind = await run_in_thread(read_picture, image, mime_type)
        self._limits.check()
        await self._input.send(SendImage(data, kind))

    async def end_turn(self) -> None:
        """End the user's turn, and have the model answer. Without effect when nothing was said since the last turn."""
        await self._input.end_turn()

    async def clear_audio(self) -> None:
        """Forget what was said since the turn began."""
        await self._input.clear_audio()

    async def pause_audio(self) -> None:
        """Say that no audio will come for a while: the microphone is muted, or lost.

        Ends a turn that silence would have ended, and lets a reply go on that was paused by the mere suspicion of one.
        """
        await self._input.pause_audio()

    async def interrupt(self, playhead: Playhead | None = None) -> None:
        """Stop the reply. Without effect when there is none.

        Args:
            playhead: what was heard of it, when the caller knows; the model will remember only that.
        """
        await self._driver.apply(Stop(is_heard=playhead is not None), playhead)

    async def approve(self, approval_id: str, approve: bool = True, *, always: bool = False) -> None:
        """Answer an ApprovalRequest, within five minutes: then it is refused. Without effect when it is settled.

        Args:
            always: allow the tool, as it is now, for the rest of the conversation; where `tool_id` names it.
        """
        await self._consent.answer(approval_id, approve, always=always)

    def sound_heard(self) -> int | None:
        """Note that the reply's first sound has just become audible; called by whoever plays it.

        Returns:
            How long the user waited for it, in ms; None when it answers no turn.
        """
        self._driver.take(SoundHeard())
        return self._driver.clock.heard(self._driver.now)

    async def drain(self) -> None:
        """Return when what was sent has left. To be awaited between chunks sent faster than real time."""
        await self._connection.drain()

    async def wait_for_reply(self) -> None:
        """Return when no answer is owed and none is being made.

        Raises:
            RealtimeError: nothing happened for `response_timeout_s`, or the conversation is over.
        """
        await self._answers.wait()

    def __aiter__(self) -> AsyncIterator[Event]:
        """The events, until the conversation ends; raises RealtimeError when it ends by a failure."""
        return self._audience.subscribe()

    # -- life

    async def start(self) -> None:
        """Begin to read, and return when the first event has come; called once, by whoever made the session."""
        await self._reader.start()
        self._limits.begin()
        self._toolbox.attach(lambda tools: self._input.send(OfferTools(tools)), self._driver.tell)
        if self._ignored:
            self._driver.tell(Notice("setting_ignored", f"turn_model is left out: {self._ignored}."))

    async def aclose(self) -> None:
        """End the conversation: stop tools, close the connection, let handlers finish. Idempotent."""
        self._closing = True
        await self._limits.aclose()
        await self._calls.aclose()
        await self._input.aclose()
        await asyncio.gather(self._reader.close_connection(), self._toolbox.aclose())
        await self._reader.aclose()
        await self._audience.aclose()
        await self._logs.aclose()

    def raise_untold_failure(self) -> None:
        """Raise the failure that ended the conversation if nobody has been told of it."""
        self._reader.raise_untold_failure()

    # -- inside

    async def _ask(self, say: Callable[[], Awaitable[None]]) -> Response:
        answer = await self._answers.collect(say)
        self._limits.told = True
        return answer.response(self.output_rate)

    def _take(self, event: Event) -> None:
        """Tell an event of the session's own that the floor is to know, too; nothing is to be sent for any of them."""
        if not self._driver.over:
            self._driver.take(event)

    def _act_on(self, event: Event) -> None:
        """Do what the session itself has to do about an event."""
        self._limits.event(event)
        match event:
            case ToolCallRequest() if not self._limits.late_response:
                self._calls.start(event)
            case ToolCallCancelled(call_id):
                self._calls.cancel(call_id)
            case Reconnecting() | SessionStarted():
                away = isinstance(event, Reconnecting)
                with contextlib.suppress(ConfigurationError):  # no detector for this is no reason to fail
                    self._input.listen(away or not self._connection.capabilities.reports_speech)
