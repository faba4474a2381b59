"""Secrets kept out of what is written about a conversation, found without knowing whose they are."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

__all__ = ["HIDDEN", "Redaction", "header_secrets", "hidden", "setting_secrets"]

HIDDEN = "(hidden)"
"""What stands in the place of a secret."""

# A shorter "key" is a placeholder for a server that wants none; hiding it would garble ordinary words.
_SHORTEST_SECRET = 6
# Keys that are not the user's own: with the usual beginnings (secret, public, restricted, ephemeral key), behind the
# name of a scheme, and in the query of an address.
_KEY_LIKE = re.compile(
    r"\b[sper]k[-_][\w-]{8,}|(?<=\bBearer )\S+|(?<=\bBasic )\S+|(?<=\bToken )\S+|(?<=[?&]key=)[^&\s\"']+"
    r"|(?<=[?&]token=)[^&\s\"']+|(?<=[?&]api[-_]key=)[^&\s\"']+|(?<=[?&]access_token=)[^&\s\"']+"
)
_SECRET_FIELD = re.compile(
    r"(?i:(?:^|[-_])(?:key|token|secret|password|authorization|cookie|headers))$|[a-z](?:Key|Token|Secret|Password)$"
)
# Sound and pictures. Nothing that is like a key can stand in it, which has a dash, a blank or a question mark; and to
# look for one there takes long.
_DATA = re.compile(r"(?:data:[\w/+.-]+;base64,)?[A-Za-z0-9+/]{64,}={0,2}")


class Redaction:
    """Hides secrets in text, and in JSON.

    Args:
        secrets: strings that never appear, unless they are shorter than a key can be.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: list[str] = []
        self.hide(secrets)

    def hide(self, secrets: Iterable[str]) -> None:
        """From now on these strings never appear, either."""
        known = {*self._secrets, *(secret for secret in secrets if len(secret) >= _SHORTEST_SECRET)}
        # The longest first, so that no secret is left half hidden because it contains another one.
        self._secrets = sorted(known, key=len, reverse=True)

    def text(self, text: str) -> str:
        """The text without secrets."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text if _DATA.fullmatch(text) else _KEY_LIKE.sub(HIDDEN, text)

    def value(self, value: Any, *, by_name: bool = True) -> Any:
        """Parsed JSON without secrets.

        Args:
            by_name: whether nothing is shown, either, of what stands in fields whose name says that it is secret.
        """
        match value:
            case str():
                return self.text(value)
            case list():
                return [self.value(item, by_name=by_name) for item in value]
            case dict():
                return {
                    name: hidden(item) if by_name and _SECRET_FIELD.search(name) else self.value(item, by_name=by_name)
                    for name, item in value.items()
                }
        return value


def hidden(value: Any) -> Any:
    """The same shape with every string hidden."""
    match value:
        case dict():
            return {name: hidden(item) for name, item in value.items()}
        case list():
            return [hidden(item) for item in value]
        case str():
            return HIDDEN
    return value


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
