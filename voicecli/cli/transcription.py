"""Runs a transcription for a command: recordings one after the other, a pipe, the microphone, one utterance."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterable, Callable, Sequence
from dataclasses import dataclass

from voicecli.audio import AudioSource
from voicecli.audio.devices.microphone import Microphone
from voicecli.audio.devices.sound_server import real_names
from voicecli.audio.devices.stderr_guard import quiet_stderr
from voicecli.audio.files.source import WavSource
from voicecli.audio.meter import Meter
from voicecli.captions import Caption
from voicecli.cli.caption_files import CaptionFile, CaptionTarget
from voicecli.cli.caption_output import CaptionOutput, event_line, tell
from voicecli.cli.exit import ExitStatus, status_of
from voicecli.cli.standard_output import own_descriptor, own_stdout
from voicecli.errors import (
    AuthenticationError,
    ConfigurationError,
    LimitReachedError,
    NoSpeechError,
    QuotaExceededError,
    RealtimeError,
)
from voicecli.events import Event
from voicecli.terminal.caption_page import CaptionPage
from voicecli.terminal.live_view import LiveView, can_show
from voicecli.terminal.view_model import AudioStatus
from voicecli.transcriber import Transcriber
from voicecli.transcribing.feeding import feed
from voicecli.transcribing.session import TranscriptionSession

__all__ = ["Sound", "run_files", "run_live", "run_once"]

_LAST_WORDS_S = 5.0  # after Ctrl-C, for what was said just before
_ONCE_WITHIN_S = 30.0  # somebody who wants to dictate has begun by then
_ONCE_WORDS_S = 90.0  # an utterance is bounded, and its words come soon after
_NO_SPEECH_ADVICE = "Is it the right file? Is the voice loud enough?"
_FOR_ALL = (AuthenticationError, ConfigurationError, LimitReachedError, QuotaExceededError)
"""Errors that the next recording would meet, too."""


@dataclass(frozen=True, slots=True)
class Sound:
    """How recordings are read.

    Attributes:
        input_rate: they are raw PCM16 mono at this rate, in Hz.
        channels: whether each channel is a speaker.
    """

    input_rate: int | None = None
    channels: bool = False


# -- Recordings


def run_files(
    transcriber: Transcriber,
    names: Sequence[str],
    targets: Sequence[Sequence[CaptionTarget]],
    sound: Sound,
    *,
    as_json: bool,
    quiet: bool,
) -> ExitStatus:
    """Transcribe recordings, one after the other; one that cannot be read does not keep the others from it.

    Args:
        names: of files; "-" for standard input.
        targets: the files of captions, for each.

    Returns:
        That of the first of several recordings that failed: all were tried, and the errors told.

    Raises:
        RealtimeError: it failed, or there was no speech, where there is one recording.
        KeyboardInterrupt: by Ctrl-C. Captions so far have been written.
    """
    if not quiet:
        tell(_price_note(transcriber))
    failure: RealtimeError | None = None
    for name, places in zip(names, targets, strict=True):
        files = [CaptionFile(target, own_descriptor()) for target in places]
        words = own_stdout() if not (as_json or files) else None
        lines = own_stdout() if as_json else None
        shown = name if len(names) > 1 else ""
        output = CaptionOutput(words=words, json_lines=lines, name=shown, files=files)
        try:
            asyncio.run(_transcribe_file(transcriber, name, sound, output, quiet=quiet))
        except _FOR_ALL:
            raise
        except RealtimeError as error:
            if len(names) == 1:
                raise
            failure = failure or error
            tell(f"voice: {error}")
        finally:
            output.close()
            if not quiet:
                _tell_files(files)
    return ExitStatus.OK if failure is None else status_of(failure)


async def _transcribe_file(
    transcriber: Transcriber, name: str, sound: Sound, output: CaptionOutput, *, quiet: bool
) -> None:
    source = WavSource(name, raw_rate=sound.input_rate, mixes=not sound.channels)
    note: Callable[[str], None] = (lambda line: None) if quiet else tell
    source.on_notice = lambda code, message: note(f"Note: {message}")
    try:
        await source.open()
        count = source.channels if sound.channels else None
        async with transcriber.connect(channels=count, on_event=lambda event: note(event_line(event))) as session:
            try:
                await _run(session, source, output)
            finally:
                note(_cost_note(session))
    finally:
        await source.aclose()
    if not output.count:
        raise NoSpeechError(f"There is no speech in {source.name}.", advice=_NO_SPEECH_ADVICE)


async def _run(
    session: TranscriptionSession,
    source: AudioSource,
    output: Callable[[Caption], None],
    stop: asyncio.Event | None = None,
) -> None:
    """Transcribe a source until it ends, or until `stop`; cancelled, the words so far are still told.

    Raises:
        RealtimeError: it cannot be read, or the transcription failed; what was known before has been told.
        OSError: captions cannot be written.
    """
    feeding = asyncio.create_task(feed(session, source), name="voicecli-feed")
    telling = asyncio.create_task(_tell_captions(session, output), name="voicecli-tell")
    stopping = asyncio.create_task((stop or asyncio.Event()).wait(), name="voicecli-stop")
    tasks = {feeding, telling, stopping}
    try:
        await asyncio.wait({telling, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if stopping.done():
            await _finish(session, feeding, telling)
        else:
            telling.result()
            await feeding
    except asyncio.CancelledError:
        await _finish(session, feeding, telling)
        raise
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _finish(session: TranscriptionSession, feeding: "asyncio.Task[None]", telling: "asyncio.Task[None]") -> None:
    """End the input here, and tell what was said until now."""
    feeding.cancel()
    await asyncio.wait([feeding])
    with contextlib.suppress(RealtimeError, TimeoutError):  # whoever ends it has what there is
        async with asyncio.timeout(_LAST_WORDS_S):
            await session.finish()
            await asyncio.wait([telling])


async def _tell_captions(session: AsyncIterable[Caption], output: Callable[[Caption], None]) -> None:
    async for caption in session:
        output(caption)


def _price_note(transcriber: Transcriber) -> str:
    if transcriber.service.offline:
        return ""
    price = f", for ${transcriber.minute_price:.4g} a minute" if transcriber.minute_price else ""
    return f"Note: {transcriber.provider} ({transcriber.model}) transcribes on its servers{price}."


def _cost_note(session: TranscriptionSession) -> str:
    cost = session.usage.cost_usd
    return f"Cost: ${cost:.4f}" if cost else ""


def _tell_files(files: Sequence[CaptionFile]) -> None:
    for file in files:
        if file.count and file.path is not None:
            tell(f"{file.count} caption{'s' * (file.count > 1)} in {file.path}")


# -- The microphone


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
        tell(_price_note(transcriber))
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
            _tell_files(files)
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
                await _run(session, self._microphone, self._caption, self._stop)
            finally:
                if cost := _cost_note(session):
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


# -- One utterance


def run_once(transcriber: Transcriber, device: str | int | None, *, quiet: bool) -> None:
    """Write one utterance to standard output.

    Raises:
        NoSpeechError: nobody says anything.
        RealtimeError: the microphone cannot be used, or the transcription failed.
    """
    with quiet_stderr():
        text = asyncio.run(_one_utterance(transcriber, device, quiet=quiet))
    own_stdout().write(f"{text}\n")


async def _one_utterance(transcriber: Transcriber, device: str | int | None, *, quiet: bool) -> str:
    def note(line: str) -> None:
        if not quiet:
            tell(line)

    microphone = Microphone(
        transcriber.service.capabilities.input_rate,
        device=device,
        on_notice=lambda code, message: note(f"Note: {message}"),
    )
    note(_price_note(transcriber))
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
