"""The table [prices] of the settings file: what models cost."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from voicecli.errors import ConfigurationError
from voicecli.pricing import Prices
from voicecli.settings.entries import spelled
from voicecli.text import nearest

__all__ = ["PRICES", "price_entries", "read_prices"]

PRICES = "prices"
_NAMES = {field.name.replace("_", "-"): field.name for field in fields(Prices)}


def read_prices(table: Any, place: Callable[[Sequence[str]], str]) -> dict[str, Prices]:
    """The prices by model: `[prices."my-model"]`, and in the lines after it `text-in = 4`.

    Args:
        place: tells where in the file a key stands, for people.

    Raises:
        ConfigurationError: something in it is no price; it says where.
    """
    if not isinstance(table, dict):
        raise _wrong(place((PRICES,)), "this is no table.")
    found: dict[str, Prices] = {}
    for path, entries in _models(table, (PRICES,)):
        given: dict[str, Any] = {}
        for written, price in entries.items():
            where, name = place((*path, written)), spelled(written)
            if name not in _NAMES:
                near = nearest(name, _NAMES)
                raise ConfigurationError(
                    f"{where}: there is no such price.",
                    advice=f"Did you mean {near}?" if near else f"There are {', '.join(_NAMES)}.",
                )
            given[_NAMES[name]] = price
            try:
                Prices(**{_NAMES[name]: price})
            except ConfigurationError as error:
                raise ConfigurationError(f"{where}: {error.message.partition(': ')[2]}", advice=error.advice) from None
        if not given or len(path) == 1:
            raise _wrong(place(path), "there is no price of a model.")
        # A name with dots that stands without quotes is a table in a table.
        found[".".join(path[1:])] = Prices(**given)
    return found


def price_entries(prices: Prices) -> dict[str, float]:
    """The prices that are known, by the names that they have in the file."""
    return {
        name: price
        for name, field in _NAMES.items()
        if (price := getattr(prices, field)) is not None and (price or field != "session_minute")
    }


def _models(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    inner = {name: value for name, value in table.items() if isinstance(value, dict)}
    own = {name: value for name, value in table.items() if name not in inner}
    if own or (not inner and len(path) > 1):
        yield path, own
    for name, value in inner.items():
        yield from _models(value, (*path, name))


def _wrong(place: str, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"{place}: {why}",
        advice=f'Write [{PRICES}."NAME OF THE MODEL"], and in the lines after it text-in = 4 (US dollars per million '
        "tokens) and so on.",
    )
