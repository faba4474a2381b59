"""Runs a transcription of the microphone for a command: in a view, in lines, or of one utterance."""

import asyncio
import contextlib
import sys
from collections.abc import Sequence

from voicecli.audio.devices.microphone import Microphone
from voicecli.audio.devices.sound_server import real_names
from voicecli.audio.devices.stderr_guard import quiet_stderr
from voicecli.audio.meter import Meter
from voicecli.captions import Caption
from voicecli.cli.caption_files import CaptionFile, CaptionTarget
from voicecli.cli.caption_output import CaptionOutput, event_line, tell
from voicecli.cli.standard_output import own_descriptor, own_stdout
from voicecli.cli.transcription import cost_note, price_note, run_session, tell_files
from voicecli.errors import NoSpeechError
from voicecli.events import Event
from voicecli.terminal.caption_page import CaptionPage
from voicecli.terminal.live_view import LiveView, can_show
from voicecli.terminal.printable import printable
from voicecli.terminal.view_model import AudioStatus
from voicecli.transcriber import Transcriber
from voicecli.transcribing.feeding import feed
from voicecli.transcribing.session import TranscriptionSession

__all__ = ["run_live", "run_once"]

_ONCE_WITHIN_S = 30.0  # somebody who wants to dictate has begun by then
_ONCE_WORDS_S = 90.0  # an utterance is bounded, and its words come soon after


def run_live(
    transcriber: Transcriber,
    device: str | int | None,
    targets: Sequence[CaptionTarget],
    *,
    as_json: bool,
    quiet: bool,
) -> None:
    """Transcribe the microphone until it is ended: in a view where a terminal can show it, else in lines.

    Raises:
        NoSpeechError: nothing was said until it was ended.
        RealtimeError: the microphone cannot be used, or the transcription failed.
        KeyboardInterrupt: by Ctrl-C. What was said has been written.
    """
    if not quiet:
        tell(price_note(transcriber))
    files = [CaptionFile(target, own_descriptor()) for target in targets]
    to_stdout = any(target.path is None for target in targets)
    shows = not (as_json or quiet or to_stdout) and can_show(sys.stdin, own_stdout())
    words = own_stdout() if not (as_json or shows or to_stdout) else None
    output = CaptionOutput(words=words, json_lines=own_stdout() if as_json else None, files=files)
    live = _Live(transcriber, device, output, quiet=quiet)
    try:
        with quiet_stderr():  # sound libraries complain on the terminal
            asyncio.run(live.show() if shows else live.run())
    finally:
        output.close()
        if not quiet:
            tell_files(files)
    if live.interrupted:
        raise KeyboardInterrupt
    if not output.count:
        raise NoSpeechError("Nothing was said.", advice="`voice test-audio` tells what the microphone hears.")


class _Live:
    """The microphone, a transcription of it, and who is told.

    Attributes:
        interrupted: whether Ctrl-C ended it, where a view takes that.
    """

    def __init__(
        self, transcriber: Transcriber, device: str | int | None, output: CaptionOutput, *, quiet: bool
    ) -> None:
        self.interrupted = False
        self._transcriber = transcriber
        self._output = output
        self._quiet = quiet
        self._rate = transcriber.service.capabilities.input_rate
        self._microphone = Microphone(self._rate, device=device, on_notice=lambda code, message: self._note(message))
        self._page: CaptionPage | None = None
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Tell lines, until it is cancelled."""
        try:
            await self._microphone.open()
            await self._listen()
        finally:
            await self._microphone.aclose()

    async def show(self) -> None:
        """Show a view, until a key ends it."""
        page = self._page = CaptionPage(_title(self._transcriber), self)
        meter = Meter(self._rate)
        name = ""

        def look() -> AudioStatus:
            meter.feed(self._microphone.latest)
            return AudioStatus(microphone=name, microphone_bands=meter.bands)

        try:
            await self._microphone.open()
            used = self._microphone.device
            name = (await real_names({"input": used})).get("input", used)
            async with LiveView(page, audio=look, stdin=sys.stdin, stdout=own_stdout()) as view:
                await self._listen()
            self.interrupted = view.interrupted
        finally:
            await self._microphone.aclose()

    def mute(self, muted: bool) -> None:
        self._microphone.muted = muted

    def end(self) -> None:
        self._stop.set()

    async def _listen(self) -> None:
        async with self._transcriber.connect(on_event=self._tell) as session:
            if self._page is not None:
                self._page.listen()
            elif not self._quiet:
                tell("Listening. Ctrl-C ends.")
            try:
                await run_session(session, self._microphone, self._caption, self._stop)
            finally:
                if cost := cost_note(session):
                    self._note(cost)

    def _caption(self, caption: Caption) -> None:
        self._output(caption)
        if self._page is not None:
            self._page.apply(caption)

    def _tell(self, event: Event) -> None:
        if line := event_line(event):
            self._note(line.removeprefix("Note: "))

    def _note(self, message: str) -> None:
        if self._page is not None:
            self._page.note(message)
        elif not self._quiet:
            tell(f"Note: {message}")


def _title(transcriber: Transcriber) -> str:
    return f"{transcriber.model}, offline" if transcriber.service.offline else f"{transcriber.model}"


def run_once(transcriber: Transcriber, device: str | int | None, *, quiet: bool) -> None:
    """Write one utterance to standard output.

    Raises:
        NoSpeechError: nobody says anything.
        RealtimeError: the microphone cannot be used, or the transcription failed.
    """
    with quiet_stderr():
        text = asyncio.run(_one_utterance(transcriber, device, quiet=quiet))
    own_stdout().write(f"{printable(text)}\n")


async def _one_utterance(transcriber: Transcriber, device: str | int | None, *, quiet: bool) -> str:
    def note(line: str) -> None:
        if not quiet:
            tell(line)

    microphone = Microphone(
        transcriber.service.capabilities.input_rate,
        device=device,
        on_notice=lambda code, message: note(f"Note: {message}"),
    )
    note(price_note(transcriber))
    try:
        await microphone.open()
        async with transcriber.connect(on_event=lambda event: note(event_line(event))) as session:
            note("Listening.")
            feeding = asyncio.create_task(feed(session, microphone), name="voicecli-feed")
            try:
                return await _first_words(session)
            finally:
                feeding.cancel()
                await asyncio.wait([feeding])
    finally:
        await microphone.aclose()


async def _first_words(session: TranscriptionSession) -> str:
    """The words of the first utterance that has any."""
    captions = aiter(session)
    limit_s = _ONCE_WITHIN_S
    with contextlib.suppress(TimeoutError, StopAsyncIteration):
        while True:
            # Partial words: somebody speaks, and is let finish.
            caption = await asyncio.wait_for(anext(captions), limit_s)
            if caption.final:
                return caption.text
            limit_s = _ONCE_WORDS_S
    raise NoSpeechError(
        f"Nothing was said within {_ONCE_WITHIN_S:.0f} s.", advice="`voice test-audio` tells what the microphone hears."
    )
