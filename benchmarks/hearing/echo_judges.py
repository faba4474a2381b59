"""Judges of a cleaned stream: what turn detection finds in it, and which replies a session would cut for it."""

import asyncio
from dataclasses import dataclass

from tests.support.player import Player
from tests.support.virtual_time import run_without_io
from voicecli.audio import Playhead
from voicecli.audio.echo.control import NoEchoControl
from voicecli.audio.pcm import Resampler
from voicecli.audio.silero import load_silero
from voicecli.audio.vad import SegmentStarted, SpeechDetected, VoiceActivityDetector
from voicecli.commands import AppendAudio, Command
from voicecli.config import ClientVAD, RealtimeConfig, VADMode
from voicecli.events import AudioChunk, Interrupted, ResponseStarted, SpeechStarted, SpeechStopped
from voicecli.ports import Capabilities
from voicecli.providers.local.turn_detection import EndOfTurn, StartOfTurn, TurnDetector
from voicecli.testing import ScriptedConnection, scripted_provider
from voicecli.voice import RealtimeVoice

__all__ = ["Found", "cut_replies", "find"]

_CHUNK_MS = 20
_ONE_CUT_S = 0.5
_VAD = ClientVAD()  # with silero where it is installed


@dataclass(frozen=True)
class Found:
    """What client turn detection finds; in seconds from the beginning.

    Attributes:
        suspected: where it takes something for a voice, which pauses a reply.
        turns: where that has lasted long enough to be a turn.
    """

    suspected: list[float]
    turns: list[float]


def find(audio: bytes, rate: int) -> Found:
    """Look for speech with the default settings."""
    detector = VoiceActivityDetector(_VAD, rate)
    detector.eager = True  # a reply is heard all the time
    found = Found([], [])
    for end_s, chunk in _chunks(audio, rate):
        for transition in detector.process(chunk):
            if isinstance(transition, SpeechDetected):
                found.suspected.append(end_s)
            elif isinstance(transition, SegmentStarted):
                found.turns.append(end_s)
    return found


def cut_replies(audio: bytes, rate: int, vad_mode: VADMode) -> list[float]:
    """Send the stream to a session whose reply never ends, in real time by a virtual clock.

    With VADMode.CLIENT the session finds the turns with the default settings; with VADMode.SERVER a provider does by
    silero, which must be installed, and has the reply cut when somebody speaks, as cloud providers do.

    Returns:
        when replies were cut, in seconds; each is followed by the next at once.
    """
    return run_without_io(_converse(audio, rate, vad_mode))


async def _converse(audio: bytes, rate: int, vad_mode: VADMode) -> list[float]:
    connection = _Listening(rate, listens=vad_mode is VADMode.SERVER)
    config = RealtimeConfig(vad_mode=vad_mode, client_vad=_VAD, response_timeout_s=3_600)
    voice = RealtimeVoice(scripted_provider(connection=connection), config=config)
    cuts: list[float] = []
    replies = 0
    async with voice.connect() as session:
        session.player = Player(Playhead("item_0", 1_000))
        session.echo, session.realtime = _Cancelled(), True
        connection.reply(0)
        begun = asyncio.get_running_loop().time()

        async def watch() -> None:
            nonlocal replies
            async for event in session:
                if isinstance(event, Interrupted):
                    now = asyncio.get_running_loop().time() - begun
                    # A voice also takes back the answer that was owed to the one before it.
                    if not cuts or now - cuts[-1] > _ONE_CUT_S:
                        cuts.append(now)
                    replies += 1
                    connection.reply(replies)
                    session.player = Player(Playhead(f"item_{replies}", 1_000))

        watching = asyncio.create_task(watch())
        for _, chunk in _chunks(audio, rate):
            await session.send_audio(chunk, sample_rate=rate, wait=False)
            await asyncio.sleep(_CHUNK_MS / 1000)
        watching.cancel()
        await asyncio.wait([watching])
    return cuts


class _Cancelled(NoEchoControl):
    """What has taken the echo out of the stream, as far as it could."""

    may_leave_echo = True


class _Listening(ScriptedConnection):
    """A provider that goes on and on with its reply, and may find the user's turns."""

    def __init__(self, rate: int, *, listens: bool) -> None:
        super().__init__(capabilities=Capabilities(input_rate=rate, output_rate=24_000))
        self._detector = _silero_turns() if listens else None
        self._to_16k = Resampler(rate, 16_000)

    def reply(self, number: int) -> None:
        """Begin the reply of this number: ten minutes of sound, which are made faster than they are heard."""
        response, item = f"response_{number}", f"item_{number}"
        self.play([ResponseStarted(response), AudioChunk(bytes(48_000 * 600), response, item)])

    async def send(self, command: Command) -> None:
        await super().send(command)
        if self._detector is None or not isinstance(command, AppendAudio):
            return
        for change in self._detector.process(self._to_16k.process(command.audio)):
            if isinstance(change, StartOfTurn):
                self.play([SpeechStarted()])
            elif isinstance(change, EndOfTurn):
                self.play([SpeechStopped()])


def _silero_turns() -> TurnDetector:
    return TurnDetector(load_silero(), automatic=True, silence_ms=500, pre_roll_ms=300)


def _chunks(audio: bytes, rate: int) -> list[tuple[float, bytes]]:
    size = rate * _CHUNK_MS // 1000 * 2
    return [((at + size) / 2 / rate, audio[at : at + size]) for at in range(0, len(audio) - size + 1, size)]
