"""`voice replay`: the recording of a session, put through today's codecs, or described."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from voicecli.cli.event_lines import JsonLines, PlainLines
from voicecli.cli.exit import ExitStatus
from voicecli.cli.standard_output import own_stdout
from voicecli.commands import SendText
from voicecli.errors import ConfigurationError
from voicecli.events import Event, TranscriptUpdate
from voicecli.providers import find_provider
from voicecli.replay.contents import Contents
from voicecli.replay.recording import SessionRecording
from voicecli.replay.replaying import Difference, Replay, replay_of
from voicecli.terminal.printable import printable

__all__ = ["replay"]

_MOST_TOLD = 10
_LONGEST_TOLD = 200


def replay(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A recording that --record-session made.")],
    *,
    describe: Annotated[bool, typer.Option("--describe", help="Say what is in it, and replay nothing.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line for all that happens; one with --describe.")
    ] = False,
) -> None:
    """Replay a recorded session, without network or key, and tell where its events differ today.

    The exit code is 1 where they do.
    """
    try:
        recording = SessionRecording(file)
        if describe:
            _describe(recording, as_json=as_json)
            return
        same = _replay(recording, as_json=as_json)
    except ConfigurationError as error:
        raise typer.BadParameter(str(error), param_hint="FILE") from error
    if not same:
        raise typer.Exit(ExitStatus.ERROR)


def _replay(recording: SessionRecording, *, as_json: bool) -> bool:
    """Tell the events, and whether they are those recorded; True when they are."""
    replayed = replay_of(recording, find_provider)
    at_ms = 0.0
    lines = JsonLines(own_stdout(), 0.0, clock=lambda: at_ms / 1000) if as_json else PlainLines(own_stdout())
    for at_ms, happened in replayed.run():  # noqa: B007  the clock reads it
        if isinstance(happened, Event):
            lines(happened)
        elif isinstance(happened, SendText):  # of which the provider tells nothing
            lines(TranscriptUpdate("user", happened.item_id, happened.text, final=True))
    if as_json:
        told = [asdict(each) for each in replayed.differences]
        result = {"events": replayed.events, "compared": replayed.compares, "differences": told}
        _write_json({"type": "replay", **result, "sent_differences": len(replayed.sent), **_end(recording)})
    else:
        _tell_result(recording, replayed)
    return not replayed.differences


def _tell_result(recording: SessionRecording, replayed: Replay) -> None:
    if replayed.failure is not None:
        _tell(f"The conversation ended by an error: {replayed.failure}")
    for each in replayed.differences[:_MOST_TOLD]:
        _tell(_difference(each))
    if len(replayed.differences) > _MOST_TOLD:
        _tell(f"... and {len(replayed.differences) - _MOST_TOLD} more differences.")
    if replayed.sent:
        _tell(f"Note: {len(replayed.sent)} messages to the server differ; the first: {_difference(replayed.sent[0])}")
    if recording.cut_short or not recording.finished:
        _tell("Note: the recording breaks off: its program was killed, or the disk was full.")
    if not replayed.compares:
        _tell(f"{replayed.events} events, as they were recorded: this provider has no messages to replay.")
    elif replayed.differences:
        _tell(f"{replayed.events} events, and {len(replayed.differences)} differences from those recorded.")
    else:
        _tell(f"{replayed.events} events, all as they were recorded.")


def _end(recording: SessionRecording) -> dict[str, bool]:
    return {"finished": recording.finished}


def _difference(difference: Difference) -> str:
    recorded, replayed = (_short(each) for each in (difference.recorded, difference.replayed))
    place = f"Line {difference.line}, at {difference.at_ms / 1000:.3f} s"
    return f"{place}: recorded {recorded}, replayed {replayed}"


def _short(value: Any) -> str:
    if value is None:
        return "nothing"
    text = json.dumps(value)
    return text if len(text) <= _LONGEST_TOLD else f"{text[:_LONGEST_TOLD]}..."


def _describe(recording: SessionRecording, *, as_json: bool) -> None:
    contents = recording.contents()
    if as_json:
        _write_json(contents.as_json() | _end(recording))
        return
    stream = own_stdout()
    for line in _description(contents):
        stream.write(f"{printable(line)}\n")
    if not recording.finished:
        stream.write("It breaks off: its program was killed, or the disk was full.\n")
    stream.flush()


def _description(contents: Contents) -> list[str]:
    with_whom = f"{contents.provider}, {contents.model}"
    messages = "with all messages" if contents.has_messages else "without messages, as no server was asked"
    calls = ", ".join(f"{name} ({count})" for name, count in contents.tools.items())
    return [
        f"{contents.duration_ms / 1000:.1f} s of a conversation with {with_whom}, {messages}.",
        f"Recorded by voicecli {contents.voicecli}, {contents.began}.",
        f"Your voice      {contents.user_audio_ms / 1000:.1f} s, {contents.user_words} words written down",
        f"The model's     {contents.assistant_audio_ms / 1000:.1f} s, {contents.assistant_words} words",
        f"You wrote       {contents.written_words} words",
        f"Pictures        {contents.pictures}",
        f"Tools called    {calls or 'none'}",
        f"System prompt   {'yes' if contents.has_system_prompt else 'none'}",
        f"Earlier turns   {contents.earlier_turns}",
        "Keys            none: they are hidden",
    ]


def _write_json(line: dict[str, Any]) -> None:
    stream = own_stdout()
    stream.write(json.dumps(line) + "\n")
    stream.flush()


def _tell(line: str) -> None:
    typer.echo(printable(line), err=True)
