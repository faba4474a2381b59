"""A live conversation: microphone, loudspeaker, view and keys, put together."""

import asyncio
import functools
import logging
import sys
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from voicecli.audio import AudioSink, EchoMode
from voicecli.audio.devices.listing import Kind
from voicecli.audio.devices.microphone import Microphone
from voicecli.audio.devices.sound_server import real_names
from voicecli.audio.devices.speaker import Speaker
from voicecli.audio.devices.stderr_guard import quiet_stderr
from voicecli.audio.echo.control import make_echo_control
from voicecli.audio.meter import Meter
from voicecli.audio.ports import EchoControl
from voicecli.audio.wake.wake_word import WakeWord
from voicecli.cli.daily_notices import once_a_day
from voicecli.cli.keeping import Keeping, Past
from voicecli.cli.live_input import LiveInput
from voicecli.cli.options import Choices, Devices, Sleep
from voicecli.cli.recordings import Recordings
from voicecli.cli.reply_sound import ReplySound
from voicecli.cli.sleeper import Sleeper
from voicecli.cli.standard_output import columns, own_stdout
from voicecli.cli.wrapping import wrapped
from voicecli.config import RealtimeConfig, VADMode
from voicecli.conversation.duplex import Observer, converse
from voicecli.conversation.limits import Spent
from voicecli.conversation.session import VoiceSession
from voicecli.errors import (
    AuthenticationError,
    ConfigurationError,
    LimitReachedError,
    RealtimeConnectionError,
    RealtimeError,
)
from voicecli.events import ErrorOccurred, Event, Notice
from voicecli.ports import Capabilities, ConversationLog
from voicecli.terminal.live_view import LiveView
from voicecli.terminal.output_capture import printed_lines
from voicecli.terminal.view_model import AudioStatus, ViewModel
from voicecli.voice import RealtimeVoice

if TYPE_CHECKING:
    from voicecli.history.log import HistoryLog

__all__ = ["LiveConversation", "talk"]

_log = logging.getLogger(__name__)
# A muted microphone sends silence for so long, that a turn under way can end by it; then nothing.
_MUTE_AFTER_S = 1.5
# What is on its way from the device when the talk key is let go belongs to the turn: a block and a chunk, besides its
# latency.
_POST_ROLL_S = 0.03
# What the microphone yields at once. Asleep nothing is in a hurry, and each chunk wakes the event loop.
_CHUNK_MS, _CHUNK_ASLEEP_MS = 20, 100


async def talk(
    voice: RealtimeVoice,
    choices: Choices,
    devices: Devices,
    observers: list[Observer],
    *,
    sink: ReplySound | None,
    sleep: Sleep | None = None,
    kept: Recordings | None = None,
) -> bool:
    """Hold a live conversation until the user or the provider ends it.

    Args:
        observers: they tell what happens; without any it is drawn, on a terminal that can show it.
        sink: takes the reply's sound instead of the loudspeaker.
        sleep: has it begin asleep, and sleep between conversations.
        kept: records it.

    Returns:
        Whether the user ended it by Ctrl-C.

    Raises:
        RealtimeError: a device cannot be used, or the conversation failed.
    """
    provider = choices.provider
    live = LiveConversation(
        voice.config,
        provider.capabilities_of(voice.config),
        devices,
        provider=provider.title,
        sink=sink,
        sleep=sleep,
        keeping=choices.keeping,
        recordings=kept,
    )
    if sink is not None:
        sink.on_failure = live.tell_failure
    view = live.view
    try:
        with quiet_stderr():  # sound libraries complain on the terminal, which belongs to the conversation
            await live.open()
            if observers:
                await live.hold(voice, observers)
                return False
            live.shows = True
            try:
                async with LiveView(view, live, audio=live.audio, stdin=sys.stdin, stdout=own_stdout()) as shown:
                    with printed_lines(lambda lines: view.apply(Notice("printed", "\n".join(lines)))):
                        await live.hold(voice, [once_a_day(view.apply)])
            finally:
                if summary := view.summary():
                    own_stdout().write("\n".join(wrapped(summary, columns())) + "\n")
        return shown.interrupted
    finally:
        await live.aclose()


class LiveConversation:
    """Microphone, loudspeaker and session of a live conversation; keys act on it (`Controls`).

    Recording begins with `open()`: what is said while the provider is dialled is not lost, unless the provider takes
    only what is said now (`Capabilities.input_must_flow`).

    With `sleep` it is one session after the other: each begins when it is woken, with what was said before, and ends
    when it falls asleep.

    Args:
        provider: its title, which the view shows.
        sink: takes the reply's sound instead of the loudspeaker.
        keeping: what is kept of it, and what it continues.
        recordings: record it.

    Attributes:
        shows: whether somebody sees the view, and can be asked.
    """

    def __init__(
        self,
        config: RealtimeConfig,
        capabilities: Capabilities,
        devices: Devices,
        *,
        provider: str = "",
        sink: AudioSink | None = None,
        sleep: Sleep | None = None,
        keeping: Keeping | None = None,
        recordings: Recordings | None = None,
    ) -> None:
        push_to_talk = config.vad_mode is VADMode.NONE
        self.view = ViewModel(
            push_to_talk=push_to_talk,
            wake_word=sleep.wake_word if sleep else "",
            provider=provider,
            speaks=config.output == "audio",
            max_cost=config.max_cost,
            full_duplex=capabilities.full_duplex,
        )
        self.shows = False
        self._capabilities = capabilities
        self._devices = devices
        self._real_names: dict[Kind, str] = {}  # of devices that stand for a sound server's
        # Where no loudspeaker plays there is no echo.
        self._echo_mode: EchoMode = devices.echo if sink is None else "off"
        self._echo = self._echo_control()
        self._microphone = Microphone(
            capabilities.input_rate, device=devices.microphone, echo=self._echo, on_notice=self._notice
        )
        self._recordings = recordings or Recordings()
        self._speaker: Speaker | None = None
        self._underruns_before = 0  # of loudspeakers that were closed while it slept
        if sink is None:
            sink = self._speaker = self._loudspeaker()
        self._sink = sink
        self._microphone_meter = Meter(capabilities.input_rate)
        self._speaker_meter = Meter(capabilities.output_rate)
        self._input = LiveInput(self._microphone, is_open=not push_to_talk)
        self._mute_timer: asyncio.TimerHandle | None = None
        self._release_timer: asyncio.TimerHandle | None = None
        self._sleep = sleep
        self._keeping = keeping or Keeping()
        self._past = self._keeping.past
        self._kept: list[HistoryLog] = []
        self._wake_word: WakeWord | None = None
        self._sleeper: Sleeper | None = None
        self._session: VoiceSession | None = None
        self._spent = Spent()  # by the sessions before; asleep nothing is
        self._conversation: asyncio.Task[None] | None = None
        self._ending = False
        self._observers: list[Observer] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Take the devices, and load what hears the wake word.

        Raises:
            AudioDeviceError: a device cannot be used.
            RealtimeError: the wake word cannot be listened for.
        """
        if self._sleep is not None:
            self._wake_word = await WakeWord.load(self._sleep.wake_word, self._microphone.sample_rate)
            self._sleeper = Sleeper(
                self._wake_word, self._sleep.after_s, self._input, tell=self._tell, fall_asleep=self._fall_asleep
            )
        await self._microphone.open()
        if self._speaker is not None:
            await self._speaker.open()
        await self._ask_names()

    async def hold(self, voice: RealtimeVoice, observers: list[Observer]) -> None:
        """Connect and converse, until the end."""
        self._observers = observers
        life = self._converse(voice) if self._sleeper is None else self._sleep_and_converse(voice, self._sleeper)
        self._conversation = asyncio.create_task(life, name="voicecli-live")
        try:
            await self._conversation
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not self._ending or (task is not None and task.cancelling()):
                raise
        finally:
            self._conversation.cancel()
            await asyncio.wait([self._conversation])

    async def aclose(self) -> None:
        """Give the devices back, and close the sink; idempotent."""
        for timer in (self._mute_timer, self._release_timer):
            if timer is not None:
                timer.cancel()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._sleeper is not None:
            self._sleeper.close()
        # At once: a driver that hangs takes its time for each.
        await asyncio.gather(self._microphone.aclose(), self._sink.aclose())
        if self._wake_word is not None:
            await self._wake_word.aclose()

    def audio(self) -> AudioStatus:
        """Names, levels and activity of the devices now."""
        speaker = self._speaker
        self._microphone_meter.feed(self._microphone.latest)
        if speaker is not None:
            self._speaker_meter.feed(speaker.latest)
        playhead = speaker.playhead if speaker is not None else None
        return AudioStatus(
            microphone=self._real_names.get("input", self._microphone.device),
            speaker=self._real_names.get("output", speaker.device) if speaker else "",
            microphone_bands=self._microphone_meter.bands,
            speaker_bands=self._speaker_meter.bands if speaker else (),
            playing=playhead is not None,
            playing_item=playhead.item_id if playhead else "",
            played_ms=playhead.played_ms if playhead else 0,
            echo=self._echo.active,
            underruns=self._underruns_before + (speaker.stats.underruns if speaker else 0),
        )

    # -- Controls

    def mute_microphone(self, muted: bool) -> None:
        self._microphone.muted = muted
        if self._mute_timer is not None:
            self._mute_timer.cancel()
        if muted:
            self._mute_timer = asyncio.get_running_loop().call_later(_MUTE_AFTER_S, self._stop_sending)
        elif not self.view.push_to_talk:
            self._input.open()

    def mute_speaker(self, muted: bool) -> None:
        if self._speaker is not None:
            self._speaker.muted = muted

    def talk(self, talking: bool) -> None:
        if self._release_timer is not None:
            self._end_talk()
        if self._sleeper is not None:
            self._sleeper.talk(talking)
        if talking:
            # A full-duplex model hears the user and gives way by itself, unless it cannot hear while it is heard.
            if not self._capabilities.full_duplex or self._echo.mutes:
                self.interrupt()
            self._input.open()
        else:
            delay_s = self._microphone.latency_ms / 1000 + _POST_ROLL_S
            self._release_timer = asyncio.get_running_loop().call_later(delay_s, self._end_talk)

    def interrupt(self) -> None:
        if self._session is not None:
            self._spawn(self._session.interrupt())

    def wake(self) -> None:
        if self._sleeper is not None:
            self._sleeper.wake()

    def say(self, text: str) -> None:
        self.wake()
        work = functools.partial(self._say, text)
        if self._session is not None:
            self._spawn(work())
        else:
            self._in_order(work)

    def approve(self, approval_id: str, allowed: bool, *, always: bool = False) -> None:
        if self._session is not None:
            self._spawn(self._session.approve(approval_id, allowed, always=always))

    def end(self) -> None:
        self._ending = True
        self._sink.clear()
        if self._session is not None:
            self._spawn(self._session.aclose())  # whatever is still being said or sent
        elif self._conversation is not None:
            self._conversation.cancel()  # the provider does not answer yet
        self._spawn(self._microphone.aclose())

    # -- inside

    async def _ask_names(self) -> None:
        """Find out what the devices are called that PortAudio knows as "default"."""
        used: dict[Kind, str] = {"input": self._microphone.device}
        if self._speaker is not None:
            used["output"] = self._speaker.device
        self._real_names = await real_names(used)

    def _echo_control(self) -> EchoControl:
        rates = self._capabilities.input_rate, self._capabilities.output_rate
        return make_echo_control(self._echo_mode, *rates, auto_gain_control=self._devices.auto_gain_control)

    def _loudspeaker(self) -> Speaker:
        return Speaker(
            self._capabilities.output_rate,
            device=self._devices.speaker,
            echo=self._echo,
            on_notice=self._notice,
            on_sound=self._sound_heard,
            on_rendered=self._recordings.on_rendered,
            full_duplex=self._capabilities.full_duplex,
        )

    async def _converse(self, voice: RealtimeVoice) -> None:
        observers = list(self._observers)
        if self._sleeper is not None:
            observers.append(self._sleeper)
        self._kept = self._keeping.logs(voice.provider, self._tell, continues=self._past.id)
        recorded = self._recordings.begin(self._kept, self._tell, input_latency_ms=lambda: self._microphone.latency_ms)
        logs: list[ConversationLog] = [*recorded, *self._kept]
        async with voice.connect(history=self._past.turns, logs=logs, spent=self._spent) as session:
            self._session, session.can_ask, session.echo = session, self.shows, self._echo
            if self._capabilities.input_must_flow:  # what was said until now would come too late for ever
                self._microphone.discard()
            await converse(session, self._input, self._sink, observers)

    async def _sleep_and_converse(self, voice: RealtimeVoice, sleeper: Sleeper) -> None:
        """Hold a conversation whenever it is woken, each with the history of those before."""
        while not self._ending:
            await self._rest()
            if not await sleeper.sleep():
                return
            try:
                await self._rouse()
                await self._converse(voice)
            except (AuthenticationError, ConfigurationError, LimitReachedError):
                raise  # it would fail again whenever it is woken
            except RealtimeError as error:
                self._tell(ErrorOccurred(error))
            session, self._session = self._session, None
            if session is not None:
                id_ = next((log.id for log in self._kept if log.id), self._past.id)
                self._past = Past(id_, session.history)
                self._spent = session.spent

    async def _rest(self) -> None:
        """Asleep nothing plays: the loudspeaker is closed, and no echo taken out. That is half of what sound costs."""
        self._sink.clear()
        if self._speaker is not None:
            await self._speaker.aclose()
        self._microphone.echo, self._microphone.chunk_ms = None, _CHUNK_ASLEEP_MS

    async def _rouse(self) -> None:
        """Take the loudspeaker again. Raises AudioDeviceError."""
        self._microphone.chunk_ms = _CHUNK_MS
        if self._speaker is None:
            return
        self._echo = self._microphone.echo = self._echo_control()
        muted = self._speaker.muted
        self._underruns_before += self._speaker.stats.underruns
        self._sink = self._speaker = self._loudspeaker()
        self._speaker.muted = muted
        await self._speaker.open()

    def _fall_asleep(self) -> None:
        if self._session is not None:
            self._spawn(self._session.aclose())

    async def _say(self, text: str) -> None:
        if self._session is None:  # it was woken for this, and the provider does not answer
            raise RealtimeConnectionError(f"Not connected: {text!r} was not sent.", advice="Write it again.")
        await self._session.send_text(text, wait=False)

    def _end_talk(self) -> None:
        if self._release_timer is not None:
            self._release_timer.cancel()
            self._release_timer = None
        self._input.close()
        self._in_order(self._end_turn)

    async def _end_turn(self) -> None:
        if self._session is not None:
            await self._session.end_turn()

    def _stop_sending(self) -> None:
        if not self.view.push_to_talk:
            self._input.close()
            self._in_order(self._pause_audio)

    async def _pause_audio(self) -> None:
        if self._session is not None:
            await self._session.pause_audio()

    def _in_order(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do it when everything recorded before has been sent."""

        async def action() -> None:
            await asyncio.wait([self._spawn(work())])

        self._input.do(action)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._work_done)
        return task

    def _work_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        if isinstance(error, RealtimeError):
            self._tell(ErrorOccurred(error))
        else:
            _log.error("A key's work failed", exc_info=error)

    def tell_failure(self, error: RealtimeError) -> None:
        """Tell of something that failed, without which the conversation goes on."""
        self._tell(ErrorOccurred(error))

    def _notice(self, code: str, message: str) -> None:
        self._tell(Notice(code, self._with_real_name(code, message)))
        if code.endswith(("_changed", "_back")):
            self._spawn(self._ask_names())
        if code == "microphone_lost":
            self._in_order(self._pause_audio)  # whoever was speaking into it neither goes on nor falls silent

    def _with_real_name(self, code: str, message: str) -> str:
        """The message about a device, with the name that the view shows it by."""
        kind: Kind = "input" if code.startswith("microphone") else "output"
        device = self._microphone.device if kind == "input" else (self._speaker.device if self._speaker else "")
        return message.replace(repr(device), repr(self._real_names.get(kind, device)))

    def _tell(self, event: Event) -> None:
        for observer in self._observers:
            observer(event)

    def _sound_heard(self) -> None:
        if self._session is not None and (waited_ms := self._session.sound_heard()) is not None:
            self.view.heard_after(waited_ms)
