"""Strings that must not appear in a trace, found without knowing whose they are."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass

__all__ = ["header_secrets", "setting_secrets"]


def header_secrets(headers: Mapping[str, str]) -> Iterator[str]:
    """All values, with and without the word in front of them ("Bearer")."""
    for value in headers.values():
        yield value
        yield value.rpartition(" ")[2]


def setting_secrets(settings: object) -> Iterator[str]:
    """The strings in those fields of a settings class, and of settings inside it, that its repr does not show."""
    if is_dataclass(settings) and not isinstance(settings, type):
        for field in fields(settings):
            value = getattr(settings, field.name)
            yield from setting_secrets(value) if field.repr else _strings(value)
    elif isinstance(settings, list | tuple):
        for item in settings:
            yield from setting_secrets(item)


def _strings(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case Mapping():
            for item in value.values():
                yield from _strings(item)
        case list() | tuple():
            for item in value:
                yield from _strings(item)
        case _ if is_dataclass(value) and not isinstance(value, type):
            for field in fields(value):
                yield from _strings(getattr(value, field.name))
