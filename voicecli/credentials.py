"""Checks of keys and headers before they are sent. Their values are secret: no message repeats them."""

import re
from collections.abc import Mapping

from voicecli.errors import ConfigurationError

__all__ = ["check_headers", "checked_key", "is_header_text"]


_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A token of RFC 9110."""


def checked_key(key: str, owner: str, *, advice: str = "Copy it again, without quotes or blanks.") -> str:
    """The key without blanks around it.

    Args:
        owner: whose key it is, for people, such as "OpenAI".
        advice: what to do about a key that cannot be one.

    Raises:
        ConfigurationError: it is empty, or has characters that no header can hold.
    """
    key = key.strip()
    if not key or not is_header_text(key) or " " in key:
        raise ConfigurationError(f"The key for {owner} has characters that no key has.", advice=advice)
    return key


def check_headers(headers: Mapping[str, str]) -> None:
    """Raise ConfigurationError for a header that HTTP does not allow; `advice` says what may have happened."""
    for name, value in headers.items():
        if not all(isinstance(part, str) for part in (name, value)):
            raise ConfigurationError(f"The header {name!r} is no text.", advice="Give names and values as text.")
        if not _HEADER_NAME.fullmatch(name) or not is_header_text(value):
            raise ConfigurationError(
                f"The header {name!r} has characters that HTTP does not allow.",
                advice="Was a key copied with a line break or a quotation mark?",
            )


def is_header_text(text: str) -> bool:
    """True when a header's name or value may be this: printable ASCII."""
    return text.isascii() and text.isprintable()
