"""Runs one conversation for a command: opens what it needs, shows what happens, tells how it ended."""

import asyncio
import sys

from voicecli.audio.files.sink import WavSink
from voicecli.audio.files.source import WavSource
from voicecli.cli.event_lines import JsonLines, PlainLines
from voicecli.cli.options import Choices, Devices, Sleep
from voicecli.cli.outcome import Outcome
from voicecli.cli.prepare import prepare
from voicecli.cli.standard_output import own_descriptor, own_stdout, started
from voicecli.cli.tool_file import load_tools
from voicecli.cli.unused import unused_options
from voicecli.config import VADMode
from voicecli.conversation.duplex import Observer, converse
from voicecli.errors import ConfigurationError
from voicecli.events import Event, Notice
from voicecli.voice import RealtimeVoice

__all__ = ["run_conversation", "run_live"]


def run_conversation(
    choices: Choices, source: WavSource | str, output: str | None, *, as_json: bool, quiet: bool
) -> None:
    """Hold the conversation and return when it is over and each turn got a complete answer.

    Args:
        source: the user's voice, or one turn in writing.
        output: the WAV file for the reply, "-" for standard output, None for nowhere.

    Raises:
        RealtimeError: as `converse` and `Outcome.check` do, and when something named on the command line cannot be
            used.
    """
    voice = _voice(choices)
    # Standard output carries the sound when that is piped on; words then go to standard error.
    words = None if output == "-" else own_stdout()
    lines: list[Observer] = [JsonLines(own_stdout(), started()) if as_json else PlainLines(words, quiet=quiet)]
    outcome = Outcome(spoken=isinstance(source, WavSource))
    _tell_unused(unused_options(choices, spoken=isinstance(source, WavSource)), lines)
    sink = None
    if output is not None:
        # Before anything is asked of the provider: an answer must not be lost because it cannot be written.
        file = source if isinstance(source, WavSource) else None
        sink = WavSink(output, choices.provider.capabilities.output_rate, source=file, stdout=own_descriptor())
    prepare(choices)
    asyncio.run(_converse(voice, source, sink, [*lines, outcome]))
    outcome.check()


def run_live(
    choices: Choices, devices: Devices, output: str | None, *, as_json: bool, quiet: bool, sleep: Sleep | None = None
) -> None:
    """Hold a live conversation and return when it is over.

    Args:
        output: where the reply's sound goes instead of the loudspeaker, as for `run_conversation`; or None.
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
        lines = [PlainLines(None if output == "-" else own_stdout(), quiet=quiet, live=True)]
    if lines and choices.config.vad_mode is VADMode.NONE:
        raise ConfigurationError(
            "vad_mode: only the live view has a key to talk with.", advice="Choose server or client, or show the view."
        )
    # Before the view takes the terminal.
    _tell_unused(unused_options(choices, live=True, output=output), lines or [PlainLines(None)])
    prepare(choices)
    sink = None
    if output is not None:
        sink = WavSink(output, choices.provider.capabilities.output_rate, stdout=own_descriptor())
    interrupted = asyncio.run(talk(voice, choices.provider, devices, lines, sink=sink, sleep=sleep))
    if interrupted:
        raise KeyboardInterrupt


def _voice(choices: Choices) -> RealtimeVoice:
    tools = load_tools(choices.tools) if choices.tools else []
    return RealtimeVoice(choices.provider, config=choices.config, tools=tools)


def _tell_unused(options: list[str], lines: list[Observer]) -> None:
    for option in options:
        _tell(Notice("setting_ignored", option), lines)


def _tell(event: Event, observers: list[Observer]) -> None:
    for observer in observers:
        observer(event)


async def _converse(
    voice: RealtimeVoice, source: WavSource | str, sink: WavSink | None, observers: list[Observer]
) -> None:
    try:
        if isinstance(source, WavSource):
            source.on_notice = lambda code, message: _tell(Notice(code, message), observers)
            await source.open()
        async with voice.connect() as session:
            await converse(session, source, sink, observers)
    finally:
        if isinstance(source, WavSource):
            await source.aclose()
        if sink is not None:
            await sink.aclose()
