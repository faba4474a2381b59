"""`voice logs export`: a kept conversation in another form."""

import base64
import json
import os
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import quote

import typer

from voicecli.cli.log_lines import conversation_json
from voicecli.errors import AudioFormatError
from voicecli.history.records import ConversationRecord
from voicecli.terminal.printable import printable

__all__ = ["Format", "choose_format", "export_conversation"]

Format = Literal["srt", "vtt", "md", "json", "html"]

_MOST_EMBEDDED_MS = 600_000  # of sound: some 4 MB in the page, for which a processor needs ten seconds
_ENDINGS: dict[str, Format] = {f".{form}": form for form in get_args(Format)} | {".htm": "html", ".markdown": "md"}


def choose_format(form: Format | None, output: str | None) -> Format:
    """The format that was asked for, else that of the file's ending, else Markdown.

    Raises:
        typer.BadParameter: the file has an ending of which that does not follow.
    """
    if form is not None:
        return form
    if output is None or output == "-":
        return "md"
    ending = Path(output).suffix.lower()
    if ending not in _ENDINGS:
        formats = ", ".join(get_args(Format))
        raise typer.BadParameter(f"{output!r} does not tell: give one of {formats}", param_hint="--format")
    return _ENDINGS[ending]


def export_conversation(record: ConversationRecord, form: Format, output: str | None, *, sound: bool = True) -> None:
    """Write a conversation to a file, which only this user may read, or to standard output.

    Args:
        output: the file's name; None or "-" for standard output.
        sound: whether an HTML page has the recording's sound, where there is one.

    Raises:
        typer.BadParameter: the file cannot be written.
    """
    text = _text(record, form, None if output in (None, "-") else output, sound=sound)
    data = text.encode("utf-8", "replace")
    if output is None or output == "-":
        typer.echo(data, nl=False)
        return
    from voicecli.kept_files import replace_file

    try:
        replace_file(Path(output), data)
    except (OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise typer.BadParameter(f"Cannot write {output!r}: {reason}.", param_hint="--output") from error


def _text(record: ConversationRecord, form: Format, output: str | None, *, sound: bool) -> str:
    match form:
        case "srt":
            from voicecli.history.exports.captions import srt

            return srt(record)
        case "vtt":
            from voicecli.history.exports.captions import vtt

            return vtt(record)
        case "md":
            from voicecli.history.exports.markdown import markdown

            return markdown(record)
        case "json":
            return json.dumps(conversation_json(record), indent=2) + "\n"
        case "html":
            return _page(record, output, sound=sound)


def _page(record: ConversationRecord, output: str | None, *, sound: bool) -> str:
    from voicecli.history.exports.page import Waveform, page

    recording = record.recording
    if recording is None:
        return page(record)
    from voicecli.recording.reading import mp3, peaks

    try:
        left, right, length_ms = peaks(recording)
        source = ""
        if sound:
            small = mp3(recording) if length_ms <= _MOST_EMBEDDED_MS else None
            source = (
                f"data:audio/mpeg;base64,{base64.b64encode(small).decode()}" if small else _address(recording, output)
            )
    except AudioFormatError as error:
        typer.echo(f"The page is without its recording: {printable(error.message)}", err=True)
        return page(record)
    return page(record, Waveform(left, right, length_ms), source)


def _address(recording: Path, output: str | None) -> str:
    """Where a page finds a recording that is too long to be in it: beside it, if it is, so that both can be moved."""
    if output is not None:
        folder = Path(output).absolute().parent
        try:
            return quote(Path(os.path.relpath(recording, folder)).as_posix())
        except ValueError:  # on another drive
            pass
    return recording.absolute().as_uri()
