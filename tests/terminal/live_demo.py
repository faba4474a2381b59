"""A scripted conversation in the live view, for the tests in a real terminal. Its stages follow the `s` key."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Sequence

from voicecli.config import RealtimeConfig, VADMode
from voicecli.conversation.duplex import converse
from voicecli.conversation.session import VoiceSession
from voicecli.events import (
    Event,
    Notice,
    ResponseDone,
    ResponseStarted,
    SpeechStarted,
    SpeechStopped,
    ToolCallRequest,
    TranscriptUpdate,
    TurnMetrics,
    Usage,
)
from voicecli.terminal.live_view import LiveView, can_show
from voicecli.terminal.view_model import AudioStatus, ViewModel
from voicecli.testing import ScriptedConnection, scripted_provider
from voicecli.voice import RealtimeVoice

LONG = "It is sunny " + "and warm " * 12 + "in Paris."
STAGES: list[list[Event]] = [
    [SpeechStarted(), TranscriptUpdate("user", "u1", "How is the wea", final=False)],
    [SpeechStopped(), TranscriptUpdate("user", "u1", "How is the weather?", final=True)],
    [ResponseStarted("r1"), TranscriptUpdate("assistant", "a1", "It is sunny and", final=False)],
    [TranscriptUpdate("assistant", "a1", LONG, final=False)],
    [
        TranscriptUpdate("assistant", "a1", LONG, final=True),
        ResponseDone("r1", usage=Usage(cost_usd=0.0123), metrics=TurnMetrics(first_heard_ms=410)),
    ],
    [ToolCallRequest("c1", "get_weather", '{"city": "Par\\u001b[31mis"}')],
]


class Silence:
    """A microphone in a quiet room."""

    sample_rate = 24_000
    realtime = True

    def __init__(self, frozen: asyncio.Event) -> None:
        self._ended = frozen

    async def __aiter__(self) -> AsyncIterator[bytes]:
        await self._ended.wait()
        return
        yield b""

    async def aclose(self) -> None:
        return


class Demo:
    def __init__(self, view: ViewModel, connection: ScriptedConnection, ended: asyncio.Event) -> None:
        self._view = view
        self._connection = connection
        self._ended = ended
        self._stages = iter(STAGES)
        self._tasks: set[asyncio.Task[object]] = set()
        self.session: VoiceSession | None = None

    def mute_microphone(self, muted: bool) -> None:
        self._note(f"microphone muted {muted}")

    def mute_speaker(self, muted: bool) -> None:
        self._connection.play(next(self._stages, ()))

    def talk(self, talking: bool) -> None:
        self._note(f"talking {talking}")

    def wake(self) -> None:
        self._note("woken")

    def interrupt(self) -> None:
        self._note("interrupted")

    def say(self, text: str) -> None:
        if self.session is not None:
            task = asyncio.create_task(self.session.send_text(text, wait=False))
            self._tasks.add(task)

    def approve(self, approval_id: str, allowed: bool, *, always: bool = False) -> None:
        self._note(f"{approval_id} allowed {allowed}")

    def end(self) -> None:
        if "stubborn" not in sys.argv:
            self._ended.set()
        self._note("asked to end")

    def _note(self, message: str) -> None:
        self._view.apply(Notice("demo", message))


async def main(arguments: Sequence[str]) -> None:
    if not can_show(sys.stdin, sys.stdout):
        raise SystemExit("no live view here")
    connection, ended = ScriptedConnection(), asyncio.Event()
    view = ViewModel(push_to_talk="push" in arguments)
    demo = Demo(view, connection, ended)

    def hang() -> None:
        """Take the event loop as soon as a line is being typed."""
        if view.editor is not None:
            sys.stdout.write("it hangs\r\n")
            sys.stdout.flush()
            while True:
                time.sleep(0.01)
        asyncio.get_running_loop().call_later(0.1, hang)

    if "hang" in arguments:
        hang()
    audio = AudioStatus("A microphone", "A speaker", (0.2, 0.5, 0.9, 0.4, 0.1), (), echo="gate")

    def weather(city: str) -> str:
        return f"sunny in {city}"

    config = RealtimeConfig(vad_mode=VADMode.NONE if view.push_to_talk else VADMode.SERVER)
    voice = RealtimeVoice(scripted_provider(connection=connection), config=config, tools=[weather])
    async with LiveView(view, demo, audio=lambda: audio):
        if "crash" in arguments:
            await asyncio.sleep(0.2)
            raise RuntimeError("the demo crashed")
        async with voice.connect() as session:
            demo.session = session
            for number in range(30 if "long" in arguments else 0):
                view.apply(TranscriptUpdate("user", f"before {number}", f"{number} {LONG}", final=True))
            view.apply(Notice("demo", f"process {os.getpid()}."))
            await converse(session, Silence(ended), None, [view.apply])
    sys.stdout.write(view.summary() + "\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
