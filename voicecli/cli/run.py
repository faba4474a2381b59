"""Runs one conversation for a command: opens what it needs, shows what happens, tells how it ended."""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from voicecli.audio.files.sink import WavSink
from voicecli.audio.files.source import WavSource
from voicecli.cli.exit import ExitStatus, status_of
from voicecli.cli.options import Choices, Devices
from voicecli.cli.output import JsonLines, PlainLines
from voicecli.cli.prepare import prepare
from voicecli.cli.tool_file import load_tools
from voicecli.cli.unused import unused_options
from voicecli.config import VADMode
from voicecli.conversation.duplex import Observer, converse
from voicecli.errors import ConfigurationError, RealtimeError
from voicecli.events import CONNECTION_LOST, ErrorOccurred, Event, Notice, ResponseDone
from voicecli.voice import RealtimeVoice

__all__ = ["run_conversation", "run_live"]


class _UnansweredTurns:
    """Observer of turns that got no complete answer.

    Attributes:
        status: the exit code because of the last of them; OK without any.
    """

    def __init__(self) -> None:
        self.status = ExitStatus.OK
        self._error: RealtimeError | None = None

    def __call__(self, event: Event) -> None:
        match event:
            case ErrorOccurred(error):
                self._error = error
            case ResponseDone(status="failed"):
                self.status = status_of(self._error) if self._error is not None else ExitStatus.CONNECTION
            case ResponseDone(status="incomplete", reason=reason, awaits_tools=False) if reason == CONNECTION_LOST:
                self.status = ExitStatus.CONNECTION


def run_conversation(
    choices: Choices, source: WavSource | str, output: str | None, *, as_json: bool, quiet: bool
) -> ExitStatus:
    """Hold the conversation and return when it is over.

    Args:
        source: the user's voice, or one turn in writing.
        output: the WAV file for the reply, "-" for standard output, None for nowhere.

    Returns:
        OK where each turn got a complete answer.

    Raises:
        RealtimeError: as `converse` does, and when something named on the command line cannot be used.
    """
    voice = _voice(choices)
    # Standard output carries the sound when that is piped on; words then go to standard error.
    words = None if output == "-" else sys.stdout
    lines: list[Observer] = [JsonLines(sys.stdout) if as_json else PlainLines(words, quiet=quiet)]
    unanswered = _UnansweredTurns()
    _tell_unused(unused_options(choices, spoken=isinstance(source, WavSource)), lines)
    with _failures_as_json(lines):
        sink = None
        if output is not None:
            # Before anything is asked of the provider: an answer must not be lost because it cannot be written.
            rate = choices.provider.capabilities.output_rate
            sink = WavSink(output, rate, source=source if isinstance(source, WavSource) else None)
        prepare(choices)
        asyncio.run(_converse(voice, source, sink, [*lines, unanswered]))
    return unanswered.status


def run_live(choices: Choices, devices: Devices, output: str | None, *, as_json: bool, quiet: bool) -> None:
    """Hold a live conversation and return when it is over.

    Args:
        output: where the reply's sound goes instead of the loudspeaker, as for `run_conversation`; or None.

    Raises:
        RealtimeError: a device cannot be used, or as `run_conversation` does; or nobody could end a turn.
        KeyboardInterrupt: the user ended it by Ctrl-C.
    """
    from voicecli.cli.live import talk
    from voicecli.terminal.live_view import can_show

    voice = _voice(choices)
    capabilities = choices.provider.capabilities
    lines: list[Observer] = []
    if as_json:
        lines = [JsonLines(sys.stdout)]
    elif quiet or output == "-" or not can_show(sys.stdin, sys.stdout):
        lines = [PlainLines(None if output == "-" else sys.stdout, quiet=quiet, live=True)]
    if lines and choices.config.vad_mode is VADMode.NONE:
        raise ConfigurationError(
            "vad_mode: only the live view has a key to talk with.", advice="Choose server or client, or show the view."
        )
    # Before the view takes the terminal.
    _tell_unused(unused_options(choices, live=True, output=output), lines or [PlainLines(None)])
    with _failures_as_json(lines):
        prepare(choices)
        sink = WavSink(output, capabilities.output_rate) if output is not None else None
        interrupted = asyncio.run(talk(voice, capabilities, devices, lines, sink=sink))
    if interrupted:
        raise KeyboardInterrupt


def _voice(choices: Choices) -> RealtimeVoice:
    tools = load_tools(choices.tools) if choices.tools else []
    return RealtimeVoice(choices.provider, config=choices.config, tools=tools)


def _tell_unused(options: list[str], lines: list[Observer]) -> None:
    for option in options:
        for line in lines:
            line(Notice("setting_ignored", option))


@contextmanager
def _failures_as_json(lines: list[Observer]) -> Iterator[None]:
    """A failure is one more line for whoever reads JSON."""
    try:
        yield
    except RealtimeError as error:
        for line in lines:
            if isinstance(line, JsonLines):
                line.failed(error)
        raise


async def _converse(
    voice: RealtimeVoice, source: WavSource | str, sink: WavSink | None, observers: list[Observer]
) -> None:
    try:
        if isinstance(source, WavSource):
            await source.open()
        async with voice.connect() as session:
            await converse(session, source, sink, observers)
    finally:
        if isinstance(source, WavSource):
            await source.aclose()
        if sink is not None:
            await sink.aclose()
