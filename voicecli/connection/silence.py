"""Silence in the place of the user's audio.

A provider that finds the turns itself needs to hear that the speech is over (`TurnEndSilence`). One whose clock only
the user's audio moves needs to hear something all the time: there the feeder runs as long as the socket lasts.
"""

import asyncio
import contextlib
import math
from collections.abc import Awaitable, Callable

from voicecli.commands import AppendAudio, Command, EndTurn, PauseAudio
from voicecli.errors import RealtimeError
from voicecli.events import Event, Notice, ResponseStarted, SpeechStarted, SpeechStopped, TranscriptUpdate
from voicecli.pcm16 import PcmFormat

__all__ = ["SilenceFeeder", "TurnEndSilence"]

_PIECE_S = 0.1
_NO_SPEECH_AFTER_S = 3.0
"""How long silence is sent without a sign of speech: providers tell of speech within about two seconds."""


class SilenceFeeder:
    """Sends silence as a silent microphone would: 100 ms each 100 ms by the event loop's clock, never a burst.

    Args:
        send: sends audio; raises RealtimeError when the conversation is over.
        rate: of the audio, in Hz.
        resumes_at: until when none is sent because the program's audio goes on, by the event loop's clock; it is asked
            before each piece. None where the feeder is stopped instead.
    """

    def __init__(
        self,
        send: Callable[[AppendAudio], Awaitable[None]],
        rate: int,
        resumes_at: Callable[[], float] | None = None,
    ) -> None:
        self._send = send
        self._resumes_at = resumes_at or (lambda: -math.inf)
        self._piece = AppendAudio(PcmFormat(rate).silence(_PIECE_S * 1000))
        self._until = 0.0
        self._task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        """Whether silence is being sent."""
        return self._task is not None and not self._task.done()

    def run_for(self, seconds: float) -> None:
        """Send silence for so long from now on, unless it is stopped before."""
        self._until = asyncio.get_running_loop().time() + seconds
        if not self.running:
            self._task = asyncio.create_task(self._run(), name="voicecli silence")

    def stop(self) -> None:
        """Send no more of it."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self) -> None:
        time = asyncio.get_running_loop().time
        due = time() + _PIECE_S
        with contextlib.suppress(RealtimeError):
            # Half a piece: sums of tenths are not exact.
            while time() < self._until - _PIECE_S / 2:
                # Where the loop was busy, what should have been sent meanwhile is left out.
                due = max(due, time(), self._resumes_at())
                await asyncio.sleep(due - time())
                if self._resumes_at() <= due:  # the program has sent nothing meanwhile
                    await self._send(self._piece)
                    due += _PIECE_S


class TurnEndSilence:
    """Sends silence where the user's audio ends, until the provider's turn detection has ended the turn.

    After a sign of speech that is at most for the response timeout; without one for three seconds.

    Args:
        feeder: sends it.
        response_timeout_s: as in `RealtimeConfig`, in seconds.
        finds_turns: whether the provider does; otherwise nothing is sent.
    """

    def __init__(self, feeder: SilenceFeeder, response_timeout_s: float, *, finds_turns: bool) -> None:
        self._finds_turns = finds_turns
        self._feeder = feeder
        self._response_timeout_s = response_timeout_s
        self._appended = False  # audio, since it ended last
        self._speaking = False  # by what the provider says

    def sent(self, command: Command) -> None:
        """The program has sent a command."""
        match command:
            case AppendAudio():
                if not self._appended:
                    self._appended = True
                    self._feeder.stop()
            case EndTurn() | PauseAudio() if self._appended and self._finds_turns:
                self._appended = False
                self._feeder.run_for(self._response_timeout_s if self._speaking else _NO_SPEECH_AFTER_S)

    def told(self, event: Event) -> None:
        """The provider tells of something."""
        match event:
            case SpeechStarted():
                self._speaking = True
            case SpeechStopped() | ResponseStarted() | Notice("no_speech"):
                self._speaking = False
                self._feeder.stop()
                return
            case TranscriptUpdate("user", text=text) if text:
                pass
            case _:
                return
        if self._feeder.running:
            self._feeder.run_for(self._response_timeout_s)

    def stop(self) -> None:
        """The conversation is over."""
        self._feeder.stop()
