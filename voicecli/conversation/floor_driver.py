"""Carries out what the floor decides: sound, events, commands to the provider, timers."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from dataclasses import replace

from voicecli.audio import AudioSink, Playhead
from voicecli.commands import CancelResponse, Command, RequestReply
from voicecli.config import RealtimeConfig, ServerVAD, VADMode
from voicecli.conversation.delivery import Audience
from voicecli.conversation.floor import Floor
from voicecli.conversation.floor_events import (
    Action,
    AskAgain,
    CancelPending,
    Cut,
    Deliver,
    GaveUp,
    Heard,
    Input,
    Pause,
    ResolveTurn,
    Resume,
    Rules,
    TurnEnded,
)
from voicecli.conversation.full_duplex_floor import FullDuplexFloor
from voicecli.conversation.latency import TurnClock
from voicecli.conversation.transcript_order import TranscriptOrder
from voicecli.errors import RealtimeError
from voicecli.events import (
    AudioChunk,
    Event,
    Interrupted,
    Notice,
    ResponseDone,
    ResponseStarted,
    SessionStarted,
    SpeechStopped,
    TranscriptUpdate,
    Usage,
    UsageUpdated,
)
from voicecli.ports import Connection

__all__ = ["FloorDriver"]


class FloorDriver:
    """Drives a `Floor` by the event loop's clock, between a connection and those who are told of events.

    Args:
        audience: is told of every event, in order.
        on_event: called with each event of the provider's, but sound and words, and each state, before it is told.

    Attributes:
        floor: who speaks, who is owed an answer.
        usage: of the whole conversation so far.
        clock: measures how fast turns are answered.
        over: whether the conversation is over.
        happened: set whenever something was told, or ran out.
        gave_up: how often no answer came.
        waiting: how many wait for an answer; they say themselves that none came.
    """

    def __init__(
        self, connection: Connection, config: RealtimeConfig, audience: Audience, on_event: Callable[[Event], None]
    ) -> None:
        kind = FullDuplexFloor if connection.capabilities.full_duplex else Floor
        self.floor: Floor = kind(_rules(connection, config))
        self.usage = Usage()
        self.clock = TurnClock(connection.capabilities.output_rate)
        self.over = False
        self.happened = asyncio.Event()
        self.gave_up = 0
        self.waiting = 0
        self._connection = connection
        self._config = config
        self._audience = audience
        self._on_event = on_event
        # Where both speak at once, neither's words wait for the other's.
        self._order = TranscriptOrder(holds=not connection.capabilities.full_duplex)
        self._seconds_before = 0.0  # of the connections before the present one
        self._told_state = self.floor.state(0.0)
        self._player: AudioSink | None = None
        self.realtime = False
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._sending: set[asyncio.Task[None]] = set()

    @property
    def player(self) -> AudioSink | None:
        """The player of the reply."""
        return self._player

    @player.setter
    def player(self, player: AudioSink | None) -> None:
        self._player = player
        self.floor.sound.has_player = player is not None

    @property
    def realtime(self) -> bool:
        """Whether audio is sent as it is spoken, so that the silence which ended a turn took its time."""
        return self._realtime

    @realtime.setter
    def realtime(self, realtime: bool) -> None:
        self._realtime = realtime
        # Where audio must flow the connection sends it as if it were spoken now.
        passes = realtime or self._connection.capabilities.input_must_flow
        self.floor.speech_lag_s = _speech_lag_s(self._connection, self._config) if passes else 0.0

    @property
    def now(self) -> float:
        """The loop's time, in seconds."""
        return self._loop.time()

    @property
    def holds_words(self) -> bool:
        """Whether words of a reply wait for the user's."""
        return self._order.holding

    async def apply(self, happened: Input, playhead: Playhead | None = None) -> None:
        """Tell the floor of something, and do what it decides: all that is heard or told first, then what is sent."""
        await self.send(self.take(happened, playhead))

    def take(self, happened: Input, playhead: Playhead | None = None) -> list[Command]:
        """As `apply`, but returns what is to be sent: for nearly all that happens, nothing."""
        now = self.now
        stopped = happened.event if isinstance(happened, Heard) else happened
        if isinstance(stopped, SpeechStopped) and stopped.silence_ms is not None:
            self.floor.speech_lag_s = stopped.silence_ms / 1000
        return self._carry_out(self.floor.apply(happened, now), now, playhead)

    async def send(self, commands: Iterable[Command]) -> None:
        """Send what the floor decided."""
        for command in commands:
            # If the connection has ended already, what is still to be read from it tells how.
            with contextlib.suppress(RealtimeError):
                await self._connection.send(command)

    def _carry_out(self, actions: Iterable[Action], now: float, playhead: Playhead | None = None) -> list[Command]:
        """Do what the floor decided; returns what is to be sent."""
        commands: list[Command] = []
        for action in actions:
            match action:
                case Deliver(event):
                    self.tell(self._noted(event, now))
                case Pause() if self._player is not None and not self.over:
                    self._player.pause()
                case Resume() if self._player is not None:
                    self._player.resume()
                case Cut():
                    commands += self._cut(action, playhead)
                case AskAgain():
                    commands.append(RequestReply())
                case CancelPending():
                    commands.append(CancelResponse())
                case TurnEnded(at, provisional):
                    self.clock.turn_may_have_ended(at) if provisional else self.clock.turn_ended(at)
                case ResolveTurn(was_turn):
                    self.clock.resolve(was_turn)
                case GaveUp():
                    self._no_answer()
        if self.floor.changed or self._order.deadline is not None or self._timer is None:
            self._tell_state(now)
            self._schedule(now)
        return commands

    def _cut(self, cut: Cut, playhead: Playhead | None) -> list[Command]:
        """Silence first, before anything that waits; the listener's place, as far as known, goes to the provider."""
        self._audience.discard_audio()
        stopped = self._player.clear() if self._player is not None else cut.playhead
        heard = playhead or stopped
        if not cut.is_certain and heard is None:
            return []
        self.tell(Interrupted(cut.response_id, heard.item_id if heard else None))
        if heard is None:
            return [CancelResponse(cut.response_id, scope=cut.scope)]
        return [CancelResponse(cut.response_id, heard.item_id, heard.played_ms, cut.scope)]

    def _no_answer(self) -> None:
        self.gave_up += 1
        self.happened.set()
        if not self.waiting:  # otherwise those who wait are told by an error
            waited_s = self._config.response_timeout_s
            self.tell(Notice("no_answer", f"No answer came within {waited_s:g} s."))

    def _tell_state(self, now: float) -> None:
        state = self.floor.state(now)
        if state != self._told_state and not self.over:
            self._told_state = state
            self._on_event(state)
            self.tell(state)

    def _schedule(self, now: float) -> None:
        """Wake up when something runs out. A timer that is early is left as it is: it looks again."""
        deadlines = (self.floor.next_deadline(now), self._order.deadline)
        deadline = min((at for at in deadlines if at is not None), default=None)
        if deadline is None or (self._timer is not None and self._timer.when() <= deadline):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(deadline, self._tick)

    def _tick(self) -> None:
        # A loop runs a timer up to its clock's resolution early: what is due then has run out.
        now = max(self.now, self._timer.when()) if self._timer is not None else self.now
        self._timer = None
        if self.over:
            return
        for event in self._order.tick(now):
            self._audience.tell(event)
        if commands := self._carry_out(self.floor.tick(now), now):
            sending = self._loop.create_task(self.send(commands), name="voicecli-floor")
            self._sending.add(sending)
            sending.add_done_callback(self._sending.discard)
        self.happened.set()

    def _noted(self, event: Event, now: float) -> Event:
        """Measure and count an event that is to be told."""
        match event:
            # The most frequent first; the session itself has nothing to do about them.
            case AudioChunk(audio):
                self.clock.audio(now, len(audio))
                return event
            case TranscriptUpdate(role, text=text):
                if text and role == "assistant":
                    self.clock.text(now)
                return event
            case ResponseStarted():
                self.clock.response_started(now)
            case ResponseDone(usage=usage, awaits_tools=awaits_tools):
                metrics = self.clock.done(now, awaits_tools=awaits_tools)
                event = replace(event, usage=self._used(usage), metrics=metrics)
            case UsageUpdated(usage):
                event = UsageUpdated(self._used(usage))
            case SessionStarted():
                self._seconds_before = self.usage.session_seconds
        self._on_event(event)
        return event

    def _used(self, usage: Usage) -> Usage:
        """Count it; returns it with the seconds of all connections so far."""
        if usage.session_seconds:
            usage = replace(usage, session_seconds=self._seconds_before + usage.session_seconds)
        self.usage += usage
        return usage

    def tell(self, event: Event) -> None:
        """Tell everybody of an event that the floor need not know of."""
        if isinstance(event, AudioChunk):  # sound is never held back
            self._audience.tell(event)
        else:
            for ready in self._order.push(event, self.now):
                self._audience.tell(ready)
        self.happened.set()

    def finish(self) -> None:
        """The conversation is over: tell what still waits to be told."""
        self.over = True
        if self._timer is not None:
            self._timer.cancel()
        if self._player is not None and self.floor.sound.paused:  # by the suspicion of a voice that nobody hears now
            self._player.resume()
        for task in self._sending:
            task.cancel()
        for event in self._order.release():
            self._audience.tell(event)


def _rules(connection: Connection, config: RealtimeConfig) -> Rules:
    capabilities, detection = connection.capabilities, config.turn_detection
    return Rules(
        output_rate=capabilities.output_rate,
        response_timeout_s=config.response_timeout_s,
        server_turns=config.vad_mode is VADMode.SERVER,
        interrupts=config.vad_mode is not VADMode.SERVER or detection.interrupt_response,
        auto_reply=detection.create_response,
        reports_speech=capabilities.reports_speech,
        words_first=capabilities.words_first,
        wants_sound=config.output != "text",
    )


def _speech_lag_s(connection: Connection, config: RealtimeConfig) -> float:
    """The silence that ends a turn, in seconds: the end of speech is known so much later."""
    detection = config.turn_detection
    if config.vad_mode is VADMode.SERVER and connection.capabilities.reports_speech:
        return (detection.silence_duration_ms if isinstance(detection, ServerVAD) else 0) / 1000
    return config.client_vad.hangover_ms / 1000
