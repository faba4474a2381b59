"""Settings as fields of frozen dataclasses: described once, checked when they are made.

    @dataclass(frozen=True, kw_only=True)
    class ParrotSettings(ProviderSettings):
        pitch: float = setting(1.0, between=(0.5, 2.0), help="How high the voice is.")

The command's options, their help, and the notices about settings without effect follow from these descriptions.
"""

import dataclasses
import enum
import os
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass
from typing import Any, ClassVar, Literal, Self, Union
from urllib.parse import urlsplit

from voicecli.errors import ConfigurationError
from voicecli.text import nearest

__all__ = ["ProviderSettings", "Setting", "Settings", "alternatives", "check_url", "choices_of", "setting"]

_KEY = "voicecli"


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """The description of a setting.

    Attributes:
        help: what it does, as a sentence.
        option: the command's option for it, without the dashes in front; None to name it as its field, "" for none.
        short: the option's other name, a letter; "" for none.
        metavar: how the help calls its value.
        group: the heading it stands under; "" for the first. A provider's own settings stand under its title.
        between: the least and the greatest value.
        secret: it has no option, as other users can see a command line: the command takes VOICE_<NAME> from the
            environment.
        parse: makes a value (an item, of several) of what stands on a command line. Raises ConfigurationError.
        value: what an option that takes no value chooses.
        common: whether many people use it: the short help shows it.
    """

    help: str = ""
    option: str | None = None
    short: str = ""
    metavar: str | None = None
    group: str = ""
    between: tuple[float, float] | None = None
    secret: bool = False
    parse: Callable[[str], Any] | None = None
    value: Any = None
    common: bool = False

    @classmethod
    def of(cls, field: "dataclasses.Field[Any]") -> "Setting | None":
        """The description of a field, if it has one."""
        found = field.metadata.get(_KEY)
        return found if isinstance(found, cls) else None


def setting(default: Any = MISSING, *, factory: Any = MISSING, shown: bool = True, **description: Any) -> Any:
    """A field with a description; see `Setting` for the keywords.

    Args:
        default: its value where none is given; or `factory`, a function that makes one.
        shown: whether it is in the repr; what is secret is not.
    """
    described = Setting(**description)
    return dataclasses.field(
        default=default, default_factory=factory, repr=shown and not described.secret, metadata={_KEY: described}
    )


class Settings:
    """Base of all settings: frozen dataclasses that are made by keyword, and checked by their fields' types.

    A wrong name or value raises ConfigurationError; it begins with the setting's name and a colon.

    Args:
        prefix: what stands before the fields' names in errors, such as "client_vad".
    """

    _prefix: ClassVar[str] = ""
    _hints: ClassVar[dict[str, Any]]

    def __init_subclass__(cls, prefix: str = "") -> None:
        cls._prefix = f"{prefix}." if prefix else ""

    def __new__(cls, *unnamed: object, **given: object) -> Self:
        # copy and pickle call it without arguments.
        if unnamed:
            raise ConfigurationError(
                f"{cls.__name__}: settings are given by name.", advice=f"Write {cls.__name__}(name=value)."
            )
        names = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
        for name, value in given.items():
            if name not in names:
                raise cls._unknown(name, value)
        return super().__new__(cls)

    def __post_init__(self) -> None:
        hints = type(self).hints()
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value, described = getattr(self, field.name), Setting.of(field) or Setting()
            checked = _checked(f"{self._prefix}{field.name}", value, hints[field.name], described)
            if checked is not value:
                object.__setattr__(self, field.name, checked)

    @classmethod
    def _spelled_as(cls, option: str) -> str:
        """The setting, or one inside a setting, that has this name or whose option has it; "" where there is none."""
        for field in dataclasses.fields(cls):  # type: ignore[arg-type]
            described = Setting.of(field) or Setting()
            if option and option in (described.option, field.name.replace("_", "-")):
                return field.name
            for kind in alternatives(cls.hints()[field.name]):
                if isinstance(kind, type) and issubclass(kind, Settings) and (inner := kind._spelled_as(option)):
                    return f"{field.name}={kind.__name__}({inner}=...)"
        return ""

    @classmethod
    def hints(cls) -> dict[str, Any]:
        """The types of the fields."""
        if "_hints" not in cls.__dict__:
            cls._hints = typing.get_type_hints(cls)
        return cls._hints

    @classmethod
    def _unknown(cls, name: str, value: object) -> ConfigurationError:
        names = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
        near = cls._spelled_as(name.replace("_", "-")) or nearest(name, names)
        advice = f"Did you mean {near}?" if near else f"There are {', '.join(names)}." if names else ""
        return ConfigurationError(f"{cls.__name__} has no setting {name!r}.", advice=advice)


@dataclass(frozen=True, kw_only=True)
class ProviderSettings(Settings):
    """Base of a provider's own settings: what no other provider has."""


def alternatives(hint: Any) -> tuple[Any, ...]:
    """The types that a field's type allows, None left out."""
    union = isinstance(hint, types.UnionType) or typing.get_origin(hint) is Union
    return tuple(kind for kind in (typing.get_args(hint) if union else (hint,)) if kind is not types.NoneType)


def choices_of(hint: Any) -> tuple[Any, ...]:
    """The values that a field's type lists."""
    return tuple(
        choice for kind in alternatives(hint) if typing.get_origin(kind) is Literal for choice in typing.get_args(kind)
    )


def check_url(name: str, url: str) -> None:
    """Raises ConfigurationError when that is not the URL of a server; it is not repeated, as it may hold a key."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        host.encode("idna")  # UnicodeError, a ValueError, for what no name server can be asked
        valid = parts.scheme in ("http", "https", "ws", "wss") and host != "" and parts.port != 0
        valid = valid and host.isprintable() and " " not in host
    except ValueError:
        valid = False
    if not valid:
        raise ConfigurationError(
            f"{name}: not a URL.", advice="It looks like https://host/path; http, ws and wss will do, too."
        )


def _checked(name: str, value: object, hint: Any, described: Setting) -> object:
    """The value as its type wants it: a list becomes a tuple, "client" the member of an enumeration, a mapping a dict
    of its own."""
    if hint is Any or (value is None and types.NoneType in typing.get_args(hint)):
        return value
    choices = choices_of(hint)
    if isinstance(value, str | int) and value in choices:
        return value
    kinds = tuple(kind for kind in alternatives(hint) if typing.get_origin(kind) is not Literal)
    for kind in kinds:
        plain = typing.get_origin(kind) or kind
        if plain is tuple and isinstance(value, tuple | list):
            item = typing.get_args(kind)[0]
            return tuple(_checked(name, each, item, described) for each in value)
        if plain in (Mapping, dict) and isinstance(value, Mapping):
            of_key, of_value = typing.get_args(kind) or (Any, Any)
            return {
                _checked(name, key, of_key, described): _checked(name, each, of_value, described)
                for key, each in value.items()
            }
        if isinstance(plain, type) and issubclass(plain, enum.Enum):
            return _member(name, value, plain)
        if plain in (int, float):
            return _number(name, value, plain, described.between)
        if isinstance(value, plain):
            return value
        if plain is str and isinstance(value, os.PathLike):
            return os.fspath(value)
    if choices and (not kinds or isinstance(value, str)):
        raise ConfigurationError(f"{name}: {value!r} is not possible.", advice=f"Choose one of {_listed(choices)}.")
    names = " or ".join((typing.get_origin(kind) or kind).__name__ for kind in kinds)
    raise ConfigurationError(f"{name}: this is a {type(value).__name__}.", advice=f"Give a {names}.")


def _member(name: str, value: object, kind: type[enum.Enum]) -> enum.Enum:
    try:
        return kind(value)
    except ValueError:
        options = _listed(tuple(member.value for member in kind))
        raise ConfigurationError(f"{name}: {value!r} is not possible.", advice=f"Choose one of {options}.") from None


def _number(name: str, value: object, kind: type, between: tuple[float, float] | None) -> float:
    low, high = between or (float("-inf"), float("inf"))
    if isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high:
        if kind is float or isinstance(value, int):
            return value
        if value.is_integer():
            return int(value)
    what = "whole number" if kind is int else "number"
    limits = f" from {low} to {high}" if between else ""
    raise ConfigurationError(f"{name}: {value!r} is not possible.", advice=f"Give a {what}{limits}.")


def _listed(values: tuple[object, ...]) -> str:
    return ", ".join(map(repr, values))
