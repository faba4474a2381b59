"""Runs one conversation for a command: opens what it needs, shows what happens, tells how it ended."""

import asyncio
import contextlib
import sys
from collections.abc import Coroutine, Iterator, Sequence

from voicecli.audio.devices.stderr_guard import quiet_stderr
from voicecli.audio.files.sink import WavSink
from voicecli.audio.files.source import WavSource
from voicecli.cli.daily_notices import once_a_day
from voicecli.cli.destinations import Destinations
from voicecli.cli.event_lines import JsonLines, PlainLines
from voicecli.cli.inputs import Input
from voicecli.cli.keeping import Keeping
from voicecli.cli.lasting_lines import LastingLines
from voicecli.cli.options import Choices, Devices, Sleep
from voicecli.cli.outcome import Outcome
from voicecli.cli.prepare import prepare
from voicecli.cli.recordings import Recordings
from voicecli.cli.reply_sound import ReplySound
from voicecli.cli.standard_output import columns, own_descriptor, own_stdout, started
from voicecli.cli.tool_file import chosen_tools
from voicecli.cli.unused import unused_options
from voicecli.cli.wrapping import wrapped
from voicecli.config import VADMode
from voicecli.conversation.duplex import Observer, converse
from voicecli.errors import AudioDeviceError, ConfigurationError
from voicecli.events import Event, Notice
from voicecli.ports import ConversationLog
from voicecli.terminal.printable import printable
from voicecli.voice import RealtimeVoice

__all__ = ["run_conversation", "run_live"]


def run_conversation(
    choices: Choices, inputs: Sequence[Input], destinations: Destinations, speaker: str | int | None = None
) -> None:
    """Hold the conversation and return when it is over and each turn got a complete answer.

    What takes the answer and fails, such as a file on a full disk, is left out; the conversation goes on without it.

    Args:
        inputs: what the user says, one after the other.
        speaker: the loudspeaker, by number or a part of its name, where one plays; None for the default.

    Raises:
        RealtimeError: as `converse` and `Outcome.check` do, and when something named on the command line cannot be
            used.
        OSError: words could not be written.
    """
    voice = _voice(choices)
    files = [each for each in inputs if isinstance(each, WavSource)]
    capabilities = choices.provider.capabilities_of(choices.config)
    rate = capabilities.output_rate
    alone = destinations.sound is None and not destinations.aloud
    lines = LastingLines(_lines(destinations, [each for each in inputs if isinstance(each, str)]), alone=alone)
    _tell_unused(unused_options(choices, spoken=bool(files), destinations=destinations), [lines])
    sound = ReplySound(rate)
    if destinations.sound is not None:
        # Before anything is asked of the provider: an answer must not be lost because it cannot be written.
        sound.add(WavSink(destinations.sound, rate, sources=files, stdout=own_descriptor()))
    kept = Recordings(choices.record)
    prepare(choices)
    outcome = Outcome()
    add_speaker = None
    if destinations.aloud:
        duplex = capabilities.full_duplex
        add_speaker = _add_speaker(sound, speaker, lines, kept, asked="play" in choices.given, full_duplex=duplex)
    try:
        silenced = quiet_stderr() if destinations.aloud else contextlib.nullcontext()
        with _sessions_told(voice, quiet=destinations.quiet), silenced:
            asyncio.run(_converse(voice, inputs, sound, lines, outcome, add_speaker, choices.keeping, kept))
    finally:
        if not (destinations.quiet or destinations.as_json):
            kept.tell_files()
    outcome.check()
    if failure := sound.failure or lines.failure or kept.failure:
        raise failure


def run_live(
    choices: Choices, devices: Devices, output: str | None, *, as_json: bool, quiet: bool, sleep: Sleep | None = None
) -> None:
    """Hold a live conversation and return when it is over.

    Args:
        output: where the reply's sound goes instead of the loudspeaker, "-" for standard output; or None.
        sleep: has it begin asleep, and sleep between conversations.

    Raises:
        RealtimeError: a device cannot be used, or as `run_conversation` does; or nobody could end a turn.
        KeyboardInterrupt: the user ended it by Ctrl-C.
    """
    from voicecli.cli.live import talk
    from voicecli.terminal.live_view import can_show

    voice = _voice(choices)
    lines: list[Observer] = []
    if as_json:
        lines = [JsonLines(own_stdout(), started())]
    elif quiet or output == "-" or not can_show(sys.stdin, own_stdout()):
        lines = [once_a_day(PlainLines(None if output == "-" else own_stdout(), quiet=quiet, live=True))]
    if lines and choices.config.vad_mode is VADMode.NONE:
        raise ConfigurationError(
            "vad_mode: only the live view has a key to talk with.", advice="Choose server or client, or show the view."
        )
    # Before the view takes the terminal.
    unused = unused_options(choices, live=True, destinations=Destinations(output), sleeps=sleep is not None)
    _tell_unused(unused, lines or [PlainLines(None)])
    kept = Recordings(choices.record)
    prepare(choices, sleep.wake_word if sleep is not None else "")
    sound: ReplySound | None = None
    if output is not None:
        rate = choices.provider.capabilities_of(choices.config).output_rate
        sound = ReplySound(rate)
        sound.add(WavSink(output, rate, stdout=own_descriptor()))
    try:
        with _sessions_told(voice, quiet=quiet):
            interrupted = asyncio.run(talk(voice, choices, devices, lines, sink=sound, sleep=sleep, kept=kept))
    finally:
        if not (quiet or as_json):
            kept.tell_files()
    if failure := (sound.failure if sound is not None else None) or kept.failure:
        raise failure
    if interrupted:
        raise KeyboardInterrupt


def _lines(destinations: Destinations, typed: Sequence[str]) -> Observer:
    if destinations.as_json:
        return JsonLines(own_stdout(), started())
    words = own_stdout() if destinations.sound != "-" else None
    lines = PlainLines(words, bare=destinations.bare, quiet=destinations.quiet, typed=typed)
    return lines if destinations.quiet else once_a_day(lines)


def _voice(choices: Choices) -> RealtimeVoice:
    functions = chosen_tools(choices.tools)
    return RealtimeVoice(choices.provider, config=choices.config, tools=[*functions, *choices.servers])


@contextlib.contextmanager
def _sessions_told(voice: RealtimeVoice, *, quiet: bool) -> Iterator[None]:
    """Says at the end which conversations were recorded, and what is in the files: somebody may give them away."""
    try:
        yield
    finally:
        for recorder in () if quiet else voice.recorders:
            told = f"Recorded in {recorder.path}: {recorder.contents.sentence()}. `voice replay --describe` says more."
            lines = wrapped(printable(told), columns(sys.stderr)) if sys.stderr.isatty() else [printable(told)]
            with contextlib.suppress(OSError):
                sys.stderr.write("".join(f"{line}\n" for line in lines))
                sys.stderr.flush()


def _tell_unused(options: list[str], lines: list[Observer]) -> None:
    for option in options:
        _tell(Notice("setting_ignored", option), lines)


def _tell(event: Event, observers: list[Observer]) -> None:
    for observer in observers:
        observer(event)


async def _converse(
    voice: RealtimeVoice,
    inputs: Sequence[Input],
    sound: ReplySound,
    lines: Observer,
    outcome: Outcome,
    add_speaker: Coroutine[None, None, None] | None,
    keeping: Keeping,
    kept: Recordings,
) -> None:
    files = [each for each in inputs if isinstance(each, WavSource)]
    for each in files:
        each.on_notice = lambda code, message: lines(Notice(code, message))

    def said() -> Iterator[Input]:
        for each in inputs:
            outcome.begin(each.name if isinstance(each, WavSource) else None)
            yield each

    # While the provider is dialled.
    opening = asyncio.create_task(add_speaker) if add_speaker is not None else None
    try:
        if isinstance(inputs[0], WavSource):
            await inputs[0].open()
        history = keeping.logs(voice.provider, lines)
        logs: list[ConversationLog] = [*kept.begin(history, lines), *history]
        async with voice.connect(history=keeping.past.turns, logs=logs) as session:
            session.can_ask = False
            if opening is not None:
                await opening
            await converse(session, said(), sound, [lines, outcome])
    finally:
        if opening is not None:
            opening.cancel()
            await asyncio.wait([opening])
        for each in files:
            await each.aclose()
        await sound.aclose()


async def _add_speaker(
    sound: ReplySound,
    device: str | int | None,
    observer: Observer,
    kept: Recordings,
    *,
    asked: bool,
    full_duplex: bool,
) -> None:
    """Have a loudspeaker play it, too. Without one there are words only, and a note; a daily one, unless it was asked
    for."""
    from voicecli.audio.devices.speaker import Speaker

    speaker = Speaker(
        sound.sample_rate,
        device=device,
        on_notice=lambda code, told: observer(Notice(code, told)),
        on_rendered=kept.on_rendered,
        full_duplex=full_duplex,
    )
    try:
        await speaker.open()
    except AudioDeviceError as error:
        await speaker.aclose()
        observer(Notice("not_played", f"The answer is not played: {error.message}", daily=not asked))
    except BaseException:
        await speaker.aclose()
        raise
    else:
        sound.add(speaker)
