"""Input of a session on its way to the connection: audio, text and results of tools, each told to the floor first."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterable, Callable, Iterable
from dataclasses import replace
from functools import partial

from voicecli.audio.ports import EchoControl
from voicecli.audio.smart_turn import LISTENS_S, SmartTurn
from voicecli.commands import ClearAudio, Command, EndTurn, PauseAudio, SendText, StartTurn, ToolResult
from voicecli.config import LONGER_PAUSE_MS, RealtimeConfig, VADMode
from voicecli.conversation.audio_pieces import PIECE_MS, in_pieces
from voicecli.conversation.floor_driver import FloorDriver
from voicecli.conversation.floor_events import (
    AnswerExpected,
    AudioCleared,
    AudioEnded,
    Heard,
    TextSent,
    ToolAnswered,
    TurnBegins,
    TurnEnds,
    VoiceSuspected,
)
from voicecli.conversation.turn_models import judge_pause
from voicecli.conversation.user_audio import AudioInput, AudioStep, TurnPaused
from voicecli.errors import RealtimeError
from voicecli.events import SpeechStarted, SpeechStopped, TranscriptUpdate
from voicecli.pcm16 import PcmFormat
from voicecli.ports import Connection

__all__ = ["UserInput"]


class UserInput:
    """Sends what is said to the model, under ids of its own, and tells the floor.

    Args:
        new_id: makes the id of an input that asks for an answer.
        check_open: raises RealtimeError when the conversation is over.
        check_limits: raises LimitReachedError when nothing more may be said.
        turn_model: tells whether the user has finished, where turns are found here; closed by `aclose`.

    Attributes:
        echo: what takes the echo of the reply out of the user's audio, where there is such a thing.
    """

    def __init__(
        self,
        connection: Connection,
        config: RealtimeConfig,
        driver: FloorDriver,
        new_id: Callable[[], str],
        check_open: Callable[[], None],
        check_limits: Callable[[], None],
        turn_model: SmartTurn | None = None,
    ) -> None:
        capabilities = connection.capabilities
        self.echo: EchoControl | None = None
        self._connection = connection
        self._mode = config.vad_mode
        # Where both may speak at once, the model alone decides when it gives way.
        self._interrupts = driver.floor.rules.interrupts and not capabilities.full_duplex
        self._driver = driver
        self._new_id = new_id
        self._check_open = check_open
        self._check_limits = check_limits
        self._turn_model = turn_model
        self._judging: set[asyncio.Task[None]] = set()
        self._silence_ms = config.client_vad.hangover_ms
        self._audio = AudioInput(
            config,
            capabilities.input_rate,
            listens=not capabilities.reports_speech,
            pause_s=LISTENS_S if turn_model is not None else 0,
        )
        self._sending = asyncio.Lock()  # what the user's audio comes to is sent in the order in which it was found

    @property
    def _may_pause(self) -> bool:
        """Whether a voice that is heard in the user's audio pauses the reply before the provider tells of it."""
        # Where nobody takes out the echo, it may be one.
        is_heard = self.echo is not None and not self.echo.mutes
        return (
            is_heard and self._driver.floor.sound.plays(self._driver.now) and self._driver.realtime and self._interrupts
        )

    @property
    def open(self) -> bool:
        """Whether audio was sent that `end_turn` would end the turn of."""
        return self._audio.open

    def listen(self, listens: bool) -> None:
        """Tell of the user's speech, or do not, although the provider finds the turns."""
        self._audio.listen(listens)

    async def send(self, command: Command) -> None:
        """Send a command of which the floor need not know."""
        self._check_open()
        await self._connection.send(command)

    async def audio(self, audio: bytes | AsyncIterable[bytes], rate: int) -> None:
        """Send PCM16 mono of `rate` Hz: a chunk from a microphone at once, more as fast as the connection takes it."""
        if isinstance(audio, bytes) and len(audio) <= 2 * PcmFormat(rate).size(PIECE_MS):
            await self._perform(partial(self._audio.audio, audio, rate))
        else:
            await self._stream(audio, rate)

    async def utterance(self, audio: bytes | AsyncIterable[bytes], rate: int) -> None:
        """Send PCM16 mono of `rate` Hz as one whole turn, and have it answered."""
        answered = self._driver.floor.obligations.answered
        self._audio.begin_utterance()
        try:
            await self._stream(audio, rate)
            await self.end_turn()
        except BaseException:
            with contextlib.suppress(RealtimeError):
                await self.clear_audio()  # half an utterance is no turn, and no beginning of the next
            raise
        # If the utterance ends in silence, the answer may have come already.
        await self._driver.apply(AnswerExpected(since=answered))

    async def end_turn(self) -> None:
        """End the turn under way, if anything was said."""
        await self._perform(self._audio.end, by_silence=False)

    async def clear_audio(self) -> None:
        """Forget what was said since the turn began."""
        async with self._sending:
            self._audio.reset()
            await self._driver.apply(AudioCleared())
            await self.send(ClearAudio())

    async def pause_audio(self) -> None:
        """End what silence would have ended, as no audio comes for a while."""
        await self._perform(self._audio.pause, by_silence=False)
        await self.send(PauseAudio())

    async def text(self, text: str) -> None:
        """Send what the user writes."""
        self._check_limits()
        command = SendText(text, f"text_{uuid.uuid4().hex[:12]}", self._new_id())
        await self._driver.apply(TextSent(command.input_id))
        await self.send(command)
        self._driver.tell(TranscriptUpdate("user", command.item_id, text, final=True))

    async def tool_result(self, result: ToolResult) -> None:
        """Send the result of a call."""
        result = replace(result, input_id=self._new_id())
        await self._driver.apply(ToolAnswered(result.call_id, result.input_id))
        await self.send(result)

    async def aclose(self) -> None:
        """Release the model of turns; idempotent."""
        for task in self._judging:
            task.cancel()
        if self._turn_model is not None:
            await self._turn_model.aclose()

    def _judge(self, paused: TurnPaused) -> None:
        """Let the model of turns set how long a pause may last."""
        assert self._turn_model is not None
        # Until the model has answered, which takes less than is left of the silence on most machines. At once: the rest
        # of the silence may have come already.
        self._audio.set_silence(paused.pause, self._silence_ms + LONGER_PAUSE_MS)
        rate = self._connection.capabilities.input_rate
        judging = judge_pause(
            self._turn_model, paused, rate=rate, silence_ms=self._silence_ms, set_silence=self._audio.set_silence
        )
        task = asyncio.create_task(judging, name="voicecli-pause")
        self._judging.add(task)
        task.add_done_callback(self._judging.discard)

    async def _stream(self, audio: bytes | AsyncIterable[bytes], rate: int) -> None:
        async for piece in in_pieces(audio, rate) if isinstance(audio, bytes) else audio:
            await self._perform(partial(self._audio.audio, piece, rate))
            await self._connection.drain()

    async def _perform(self, find: Callable[[], Iterable[AudioStep]], *, by_silence: bool = True) -> None:
        """Send and tell what `find` returns; `by_silence` says how a turn that ends now was found to end."""
        server = self._mode is VADMode.SERVER
        async with self._sending:
            self._check_limits()
            self._audio.realtime = self._driver.realtime
            self._audio.wary = self.echo is not None and not self.echo.settled
            self._audio.may_echo = self.echo is not None and self.echo.may_leave_echo
            self._audio.over_reply = self._may_pause
            for step in find():
                match step:
                    case SpeechStarted() | SpeechStopped():
                        await self._driver.apply(Heard(step, by_silence))
                        continue
                    case VoiceSuspected():
                        await self._driver.apply(step)
                        continue
                    case TurnPaused():
                        self._judge(step)
                        continue
                    case StartTurn():
                        await self._driver.apply(TurnBegins(by_key=self._mode is VADMode.NONE))
                    case EndTurn():
                        step = EndTurn(self._new_id())
                        ended = AudioEnded(self._driver.realtime) if server else TurnEnds(step.input_id, by_silence)
                        await self._driver.apply(ended)
                await self.send(step)
        self._check_open()
