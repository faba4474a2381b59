"""Commands, events and settings as JSON, and back."""

import dataclasses
import enum
import functools
import hashlib
import inspect
import types
import typing
from binascii import a2b_base64, b2a_base64
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, Literal

from voicecli import errors
from voicecli.errors import RealtimeError
from voicecli.redaction import HIDDEN, hidden
from voicecli.setting_fields import alternatives

__all__ = ["CLASS", "decoded", "digest", "encoded", "encoded_error"]

CLASS = "class"
"""The key of a class's name: no field can have it."""

# A hidden value while its class checks it: most texts will do, and addresses.
_PLACEHOLDER = "https://hidden.invalid"


def encoded(value: Any) -> Any:
    """The value as JSON.

    Bytes are base64. An instance of a dataclass is an object of its class and those fields that differ from their
    defaults, so that fields which are added later leave it as it is; of what its repr does not show, every text is
    hidden.
    """
    match value:
        case enum.Enum():
            return value.value
        case bytes():
            return b2a_base64(value, newline=False).decode()
        case Mapping():
            return {str(name): encoded(item) for name, item in value.items()}
        case list() | tuple():
            return [encoded(item) for item in value]
        case set() | frozenset():
            return sorted(encoded(item) for item in value)
        case PurePath():
            return str(value)
        case Exception():
            return encoded_error(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {CLASS: type(value).__name__} | {
            field.name: encoded(given) if field.repr else hidden(encoded(given))
            for field in dataclasses.fields(value)
            if (given := getattr(value, field.name)) != _default(field)
        }
    return value


def encoded_error(error: Exception) -> dict[str, Any]:
    """An error as JSON: its class, what it says, and what a program may look at."""
    said = {"message": getattr(error, "message", str(error)), "advice": getattr(error, "advice", "")}
    details = vars(error).items() if isinstance(error, RealtimeError) else ()
    return {CLASS: type(error).__name__, **said} | {name: encoded(value) for name, value in details if value}


def digest(audio: bytes) -> dict[str, Any]:
    """What stands for sound that can be made again: its length in bytes, and a checksum."""
    return {"bytes": len(audio), "blake2b": hashlib.blake2b(audio, digest_size=8).hexdigest()}


def decoded(value: Any, hint: Any) -> Any:
    """The value of this type that JSON stands for. Fields that the class does not have are left out.

    Raises:
        ValueError: there is none.
    """
    if hint is Any or (value is None and types.NoneType in typing.get_args(hint)):
        return value
    for kind in alternatives(hint):
        found = _decoded_as(value, kind)
        if found is not None:
            return found
    raise ValueError(f"{str(value)[:60]!r} is none of {hint}")


def _decoded_as(value: Any, kind: Any) -> Any:
    """The value, if it is one of this type; else None."""
    plain = typing.get_origin(kind) or kind
    if plain is Literal:
        return value if value in typing.get_args(kind) else None
    if not isinstance(plain, type):
        return None
    if isinstance(value, dict):
        return _decoded_object(value, kind, plain)
    if issubclass(plain, enum.Enum):
        return plain(value)
    if plain is bytes and isinstance(value, str):
        return a2b_base64(value, strict_mode=True)
    if plain in (tuple, list, frozenset) and isinstance(value, list):
        item = (*typing.get_args(kind), Any)[0]
        return plain(decoded(each, item) for each in value)
    if plain is float and isinstance(value, int):
        return float(value)
    return value if isinstance(value, plain) else None


def _decoded_object(value: dict[str, Any], kind: Any, plain: type) -> Any:
    if plain in (dict, Mapping):
        of_key, of_value = typing.get_args(kind) or (Any, Any)
        return {decoded(name, of_key): decoded(item, of_value) for name, item in value.items()}
    name = value.get(CLASS)
    if issubclass(plain, RealtimeError):
        made = getattr(errors, name, None) if isinstance(name, str) and name in errors.__all__ else None
        return _error(made or RealtimeError, value)
    if not dataclasses.is_dataclass(plain) or name != plain.__name__:
        return None
    given: dict[str, Any] = {}
    secret: dict[str, Any] = {}
    for field in dataclasses.fields(plain):
        if field.name in value:
            given[field.name] = decoded(value[field.name], _hints(plain)[field.name])
            if not field.repr:
                secret[field.name] = given[field.name]
                given[field.name] = _PLACEHOLDER if given[field.name] == HIDDEN else given[field.name]
    instance = plain(**given)
    for field_name, item in secret.items():
        object.__setattr__(instance, field_name, item)  # as it stands in what was sent, too
    return instance


def _error(kind: type[RealtimeError], value: Mapping[str, Any]) -> RealtimeError:
    details = {name: value[name] for name in inspect.signature(kind).parameters if name in value}
    return kind(**{"message": "", **details})


def _default(field: "dataclasses.Field[Any]") -> Any:
    return field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)
