"""`voice logs`: the conversations that are kept on this machine."""

import json
import os
import sys
from datetime import datetime, time
from typing import Annotated

import typer

from voicecli.cli.command import command_group
from voicecli.cli.lists import JsonObjectOption, JsonOption
from voicecli.cli.log_costs import LONGEST, By, cost_sums, day_of
from voicecli.cli.log_export import Format, choose_format, export_conversation
from voicecli.cli.log_lines import conversation_json, cost_words, found_json, length_ms, length_words, plain_lines
from voicecli.cli.standard_input import is_terminal
from voicecli.cli.table import show_table, size_text
from voicecli.errors import ConfigurationError
from voicecli.history.store import NoConversationError, Store, history_path
from voicecli.terminal.printable import printable

__all__ = ["Id", "find_conversation", "logs"]

logs = command_group("Show, search and delete the conversations that are kept on this machine.", default="list")

Id = Annotated[
    str, typer.Argument(metavar="ID", help="A conversation's id in `voice logs`, or a beginning of it; or latest.")
]
Ids = Annotated[
    list[str] | None, typer.Argument(metavar="[ID]...", help="Ids in `voice logs`, or beginnings of them; or latest.")
]
_MOST = 2**62  # as a database counts
_WIDEST_WORDS = 60  # letters
_LONGEST_WORD = 24  # letters, that the table fits into 80 columns
_MANY = ("id", "began", "length", "turns", "provider", "model", "cost", "first words")
_FEW = ("id", "began", "length", "provider", "cost", "first words")


@logs.command("list")
def list_(
    count: Annotated[
        int, typer.Option("--count", "-n", min=0, max=_MOST, metavar="N", help="No more than so many; 0: all.")
    ] = 20,
    as_json: JsonOption = False,
) -> None:
    """Show the conversations, the last one first. That is what `voice logs` does, too."""
    with Store() as store:
        kept = [(each, *store.opening(each.id)) for each in store.conversations(limit=count or None)]
    if as_json:
        rows = [
            conversation_json(each, whole=False) | {"turns": turns, "first_words": words} for each, turns, words in kept
        ]
        typer.echo(json.dumps(rows, indent=2))
        return
    on_terminal = sys.stdout.isatty()
    show_table(
        _FEW if on_terminal else _MANY,
        [
            {
                "id": each.id,
                "began": _short_time(each.started_at) if on_terminal else f"{each.started_at:%Y-%m-%d %H:%M}",
                "length": length_words(length_ms(each)),
                "turns": turns,
                "provider": printable(each.provider),
                "model": printable(each.model),
                "cost": cost_words(each.usage),
                "first words": _shortened(words),
            }
            for each, turns, words in kept
        ],
        as_json,
    )
    if not kept:
        typer.echo("No conversation is kept yet.", err=True)


@logs.command("show")
def show(id_: Id = "latest", as_json: JsonObjectOption = False) -> None:
    """Show a conversation: the words, the calls of tools, times and costs. Without an id the last one."""
    with Store() as store:
        conversation = store.conversation(find_conversation(store, id_))
    if as_json:
        typer.echo(json.dumps(conversation_json(conversation), indent=2))
    elif sys.stdout.isatty():
        from voicecli.cli.log_view import draw_conversation

        draw_conversation(conversation)
    else:
        for line in plain_lines(conversation):
            typer.echo(line)


@logs.command("search")
def search(
    words: Annotated[list[str], typer.Argument(metavar="WORDS...", help="All must be in what one of you said.")],
    count: Annotated[
        int, typer.Option("--count", "-n", min=0, max=_MOST, metavar="N", help="No more than so many; 0: all.")
    ] = 50,
    as_json: JsonOption = False,
) -> None:
    """Find words in what was said, in any case of letters; beginnings of words are enough."""
    with Store() as store:
        found = store.search(words, limit=count or -1)
    if as_json:
        typer.echo(json.dumps([found_json(each) for each in found], indent=2))
    elif sys.stdout.isatty() and found:
        from voicecli.cli.log_view import draw_found

        draw_found(found)
    else:
        for each in found:
            told = (each.conversation.id, f"{each.conversation.started_at:%Y-%m-%d %H:%M}", each.turn.role)
            typer.echo("\t".join((*told, printable("".join(piece for piece, _ in each.excerpt)))))
    if not found and not as_json:
        typer.echo("Nobody said that.", err=True)


@logs.command("export")
def export(
    id_: Id = "latest",
    form: Annotated[
        Format | None,
        typer.Option(
            "--format",
            "-f",
            metavar="FORMAT",
            help="srt, vtt (captions), md, json or html (one page with everything); by default that of FILE, or md.",
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE|-", help="Where it goes, if not to standard output."),
    ] = None,
    sound: Annotated[
        bool, typer.Option("--sound/--no-sound", help="Whether a page has the sound of what was recorded.")
    ] = True,
) -> None:
    """Write a conversation in another form. Without an id the last one.

    Where it was recorded, its times are those of the recording. A page has up to 10 minutes of sound in it, and
    otherwise plays the recording's file.
    """
    form = choose_format(form, output)
    with Store() as store:
        conversation = store.conversation(find_conversation(store, id_))
    export_conversation(conversation, form, output, sound=sound)


@logs.command("delete")
def delete(
    ids: Ids = None,
    everything: Annotated[bool, typer.Option("--all", help="Delete every conversation.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete conversations, with all that was said in them. Recordings are files of yours, and stay."""
    if everything == bool(ids):
        raise typer.BadParameter("give ids, or --all for every conversation", param_hint="ID")
    with Store() as store:
        found = [each.id for each in store.conversations()] if everything else []
        if everything and found and not yes:
            _confirm(len(found))
        for id_ in ids or ():
            found.append(find_conversation(store, id_))
        count = store.delete_all() if everything else store.delete(dict.fromkeys(found))
        typer.echo(f"{count} conversation{'' if count == 1 else 's'} deleted.", err=True)


@logs.command("cost")
def cost(
    by: Annotated[By, typer.Option("--by", metavar="WHAT", help="day, provider or model.")] = "day",
    since: Annotated[
        str | None, typer.Option(metavar="DAY", help="Only from then on: 2026-11-28, today, yesterday, or 7d.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Sum up what the conversations have cost, by day, provider or model."""
    first, begin = None, None
    if since is not None:
        try:
            first = day_of(since, datetime.now().astimezone().date())
        except ConfigurationError as error:
            raise typer.BadParameter(str(error), param_hint="--since") from error
        begin = datetime.combine(first, time()).astimezone() - LONGEST if first.year > 1 else None
    with Store() as store:
        sums, total = cost_sums(store.conversations(since=begin), by, first)
    rows = [each.row(by, printable(name)) for name, each in sums.items()]
    if rows and sys.stdout.isatty() and not as_json:
        rows.append(total.row(by, "all"))
    show_table((by, "conversations", "answers", "cost", "without price"), rows, as_json)
    if not rows and not as_json:
        typer.echo("No conversation is kept yet that was answered then.", err=True)


@logs.command("path")
def path() -> None:
    """Show where the conversations are kept, and on standard error how much there is."""
    typer.echo(history_path())
    with Store() as store:
        typer.echo(f"{size_text(store.size)} in {len(list(store.conversations()))} conversations.", err=True)


@logs.command("on")
def on() -> None:
    """Keep conversations from now on."""
    _switch(True)


@logs.command("off")
def off() -> None:
    """Keep no conversations from now on; those that are kept stay, until `voice logs delete`."""
    _switch(False)


def find_conversation(store: Store, id_: str) -> str:
    """The whole id for what the command line names. Raises typer.BadParameter when that is not one conversation."""
    try:
        return store.find(id_)
    except NoConversationError as error:
        raise typer.BadParameter(f"{error.message} {error.advice}", param_hint="ID") from error


def _confirm(count: int) -> None:
    if not is_terminal():
        raise typer.BadParameter("this asks first, which takes a terminal: add --yes", param_hint="--all")
    if not typer.confirm(f"Delete all {count} conversations for good?", err=True):
        raise typer.Abort


def _switch(on: bool) -> None:
    from voicecli.settings.edit import change_entries
    from voicecli.settings.file import settings_path

    change_entries({"log": on})
    typer.echo(f"Conversations are {'' if on else 'not '}kept from now on  ({settings_path()})", err=True)
    if os.environ.get("VOICE_LOG"):
        typer.echo("The variable VOICE_LOG is set, too, and comes first.", err=True)


def _short_time(moment: datetime) -> str:
    return f"{moment:%d %b %H:%M}" if moment.year == datetime.now(moment.tzinfo).year else f"{moment:%d %b %Y}"


def _shortened(words: str) -> str:
    each = (word if len(word) <= _LONGEST_WORD else f"{word[: _LONGEST_WORD - 1]}…" for word in words.split())
    line = printable(" ".join(each))
    return line if len(line) <= _WIDEST_WORDS else f"{line[: _WIDEST_WORDS - 2].rstrip()} …"
