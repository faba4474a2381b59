"""Runs transcriptions for a command: recordings and pipes, one after the other."""

import asyncio
import contextlib
from collections.abc import AsyncIterable, Callable, Sequence
from dataclasses import dataclass

from voicecli.audio import AudioSource
from voicecli.audio.files.source import WavSource
from voicecli.captions import Caption
from voicecli.cli.caption_files import CaptionFile, CaptionTarget
from voicecli.cli.caption_output import CaptionOutput, event_line, tell
from voicecli.cli.exit import ExitStatus, status_of
from voicecli.cli.standard_output import own_descriptor, own_stdout
from voicecli.errors import (
    AudioFormatError,
    AuthenticationError,
    ConfigurationError,
    LimitReachedError,
    NoSpeechError,
    QuotaExceededError,
    RealtimeError,
)
from voicecli.transcriber import MOST_CHANNELS, Transcriber
from voicecli.transcribing.feeding import feed
from voicecli.transcribing.session import TranscriptionSession

__all__ = ["Sound", "cost_note", "price_note", "run_files", "run_session", "tell_files"]

_LAST_WORDS_S = 5.0  # after Ctrl-C, for what was said just before
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
        tell(price_note(transcriber, channels=sound.channels))
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
                tell_files(files)
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
        if count is not None and count > MOST_CHANNELS:
            raise AudioFormatError(
                f"{source.name} has {count} channels, more than can be told apart.",
                advice=f"There may be up to {MOST_CHANNELS}; without --channels they are mixed.",
            )
        async with transcriber.connect(channels=count, on_event=lambda event: note(event_line(event))) as session:
            try:
                await run_session(session, source, output)
            finally:
                note(cost_note(session))
    finally:
        await source.aclose()
    if not output.count:
        raise NoSpeechError(f"There is no speech in {source.name}.", advice=_NO_SPEECH_ADVICE)


async def run_session(
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


def price_note(transcriber: Transcriber, *, channels: bool = False) -> str:
    """Who gets the sound, and what a minute costs; "" where it goes to nobody.

    Args:
        channels: whether each channel goes there by itself, and is paid for.
    """
    if transcriber.service.offline:
        return ""
    each = " of each channel" if channels else ""
    price = f", for ${transcriber.minute_price:.4g} a minute{each}" if transcriber.minute_price else ""
    return f"Note: {transcriber.provider} ({transcriber.model}) transcribes on its servers{price}."


def cost_note(session: TranscriptionSession) -> str:
    """What it has cost, if anything."""
    cost = session.usage.cost_usd
    return f"Cost: ${cost:.4f}" if cost else ""


def tell_files(files: Sequence[CaptionFile]) -> None:
    """Say on standard error where captions are."""
    for file in files:
        if file.count and file.path is not None:
            tell(f"{file.count} caption{'s' * (file.count > 1)} in {file.path}")
