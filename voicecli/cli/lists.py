"""`voice list-providers`, `list-models`, `list-voices`."""

from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from voicecli.cli.table import show_table
from voicecli.config import RealtimeConfig
from voicecli.errors import ConfigurationError
from voicecli.ports import ModelInfo, Provider
from voicecli.pricing import Prices
from voicecli.providers import PROVIDERS, all_providers, find_provider
from voicecli.settings.file import SettingsFile
from voicecli.settings.prices import price_entries
from voicecli.terminal.printable import printable

__all__ = ["JsonObjectOption", "JsonOption", "list_models", "list_providers", "list_voices"]

ProviderArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[PROVIDER]",
        help=f"{', '.join(provider.name for provider in PROVIDERS)}, or one that is installed; all without it.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON array.")]
JsonObjectOption = Annotated[bool, typer.Option("--json", help="One JSON object.")]


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
                "images": provider.capabilities.images,
                "tools": provider.capabilities.tools,
            }
            for provider in _providers(None)
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
    """Show the models of a provider, or of all.

    Prices are in US dollars for a million tokens, or for a minute where that is said; those of [prices] come first.
    """
    own_prices = _own_prices()
    rows = [
        {
            "provider": each.name,
            "model": model.name,
            "default": model.name == _default_model(each, use),
            "note": model.note,
            "deprecated": model.deprecated,
            "price": _price_text(prices),
            "prices": price_entries(prices) if prices is not None else None,
            "use": use,
        }
        for each in _providers(provider)
        for use, models in _models(each, live=live).items()
        for model in models
        for prices in (own_prices.get(model.name, model.prices),)
    ]
    columns = ("provider", "model", "default", "note", "deprecated", "price", "use")
    show_table(columns, rows, as_json, noted="deprecated")


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


def _own_prices() -> Mapping[str, Prices]:
    """Those of the settings file."""
    try:
        return SettingsFile.read().prices
    except ConfigurationError as error:  # whoever needs its settings fails
        typer.echo(f"voice: {printable(str(error))}", err=True)
        return {}


def _price_text(prices: Prices | None) -> str:
    if prices is None:
        return ""
    words = []
    for kind, given, made in (("audio", prices.audio_in, prices.audio_out), ("text", prices.text_in, prices.text_out)):
        if given or made:
            words.append(f"{kind} ${given or 0:g} in, ${made or 0:g} out")
    for what, per_minute in (("", prices.session_minute), (" transcribed", prices.transcription_minute)):
        if per_minute:
            words.append(f"${per_minute:g} a minute{what}")
    return "; ".join(words) or "free"


def _providers(name: str | None) -> Sequence[Provider]:
    if not name:
        return all_providers(lambda message: typer.echo(f"voice: {printable(message)}", err=True))
    try:
        return (find_provider(name),)
    except ConfigurationError as error:
        raise typer.BadParameter(str(error)) from error


def _models(provider: Provider, *, live: bool) -> Mapping[str, Sequence[ModelInfo]]:
    """The models by what they are for."""
    others = {
        "translation": provider.interpreter.models if provider.interpreter is not None else (),
        "transcription": (
            *(provider.transcriber.models if provider.transcriber is not None else ()),
            *provider.transcription_models,
        ),
    }
    if not live:
        named = {use: tuple({model.name: model for model in models}.values()) for use, models in others.items()}
        return {"conversation": provider.models, **named}
    fetched = _fetch(provider)
    uses = {model.name: use for use, models in others.items() for model in models}
    return {
        use: [model for model in fetched if uses.get(model.name, "conversation") == use]
        for use in ("conversation", *others)
    }


def _default_model(provider: Provider, use: str) -> str:
    service = {"translation": provider.interpreter, "transcription": provider.transcriber}.get(use)
    return service.default_model if service is not None else provider.default_model


def _fetch(provider: Provider) -> list[ModelInfo]:
    if provider.fetch_models is None:
        raise ConfigurationError(f"{provider.title} has no list of models to ask for.", advice="Leave out --live.")
    import asyncio

    return asyncio.run(provider.fetch_models(RealtimeConfig()))
