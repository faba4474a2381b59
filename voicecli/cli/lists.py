"""`voice list-providers`, `list-models`, `list-voices`."""

import json
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from voicecli.config import RealtimeConfig
from voicecli.errors import ConfigurationError
from voicecli.providers import PROVIDERS, find_provider
from voicecli.providers.base import ModelInfo, Provider

__all__ = ["JsonOption", "list_models", "list_providers", "list_voices", "show_table"]

_WIDEST_NAME = 30  # columns; a longer one is folded

ProviderArgument = Annotated[
    str | None, typer.Argument(metavar="[PROVIDER]", help="openai, gemini or local; all without it.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON array.")]


def list_providers(as_json: JsonOption = False) -> None:
    """Show the providers, and which are set up."""
    show_table(
        ("provider", "configured", "default model", "default voice", "set up by"),
        [
            {
                "provider": provider.name,
                "configured": provider.is_configured(),
                "default model": provider.default_model,
                "default voice": provider.default_voice,
                "set up by": "" if provider.is_configured() else provider.setup_advice,
            }
            for provider in PROVIDERS
        ],
        as_json,
    )


def list_models(
    provider: ProviderArgument = None,
    live: Annotated[
        bool, typer.Option("--live", help="Ask the provider's server instead of the built-in table.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show the models of a provider, or of all."""
    rows = [
        {
            "provider": each.name,
            "model": model.name,
            "default": model.name == each.default_model,
            "note": model.note,
            "deprecated": model.deprecated,
        }
        for each in _providers(provider)
        for model in (_fetch(each) if live else each.models)
    ]
    show_table(("provider", "model", "default", "note", "deprecated"), rows, as_json)


def list_voices(provider: ProviderArgument = None, as_json: JsonOption = False) -> None:
    """Show the voices of a provider, or of all."""
    rows = [
        {
            "provider": each.name,
            "voice": voice.name,
            "default": voice.name == each.default_voice,
            "note": voice.note,
        }
        for each in _providers(provider)
        for voice in each.voices
    ]
    show_table(("provider", "voice", "default", "note"), rows, as_json)


def _providers(name: str | None) -> Sequence[Provider]:
    if not name:
        return PROVIDERS
    try:
        return (find_provider(name),)
    except ConfigurationError as error:
        raise typer.BadParameter(str(error)) from error


def _fetch(provider: Provider) -> list[ModelInfo]:
    if provider.fetch_models is None:
        raise ConfigurationError(f"{provider.title} has no list of models to ask for.", advice="Leave out --live.")
    import asyncio

    return asyncio.run(provider.fetch_models(RealtimeConfig()))


def show_table(columns: tuple[str, ...], rows: list[dict[str, Any]], as_json: bool) -> None:
    """Write rows as a table on a terminal, as JSON, or as lines with tabs.

    Args:
        rows: what is in each of the columns; JSON has what is there besides, too.
    """
    if as_json:
        keyed = [{key.replace(" ", "_"): value for key, value in row.items()} for row in rows]
        typer.echo(json.dumps(keyed, indent=2))
    elif sys.stdout.isatty():
        from rich.box import SIMPLE
        from rich.console import Console
        from rich.table import Column, Table

        # Names are what other commands take: they are folded, and all else gives way to them.
        wide = [Column(name, overflow="fold", min_width=_name_width(name, rows)) for name in columns]
        table = Table(*wide, box=SIMPLE, pad_edge=False, collapse_padding=True)
        for row in rows:
            style = "dim" if row.get("deprecated") else "bold" if row.get("default") else None
            table.add_row(*(_cell(row[column], "yes", "") for column in columns), style=style)
        Console().print(table)
    else:
        # For grep and cut: the same columns, whatever they hold.
        for row in rows:
            typer.echo("\t".join(_cell(row[column], column, "-") for column in columns))


def _name_width(column: str, rows: list[dict[str, Any]]) -> int | None:
    if column != "name":
        return None
    return min(_WIDEST_NAME, max((len(str(row[column])) for row in rows), default=0))


def _cell(value: Any, yes: str, no: str) -> str:
    if isinstance(value, bool):
        return yes if value else no
    return str(value) or no
