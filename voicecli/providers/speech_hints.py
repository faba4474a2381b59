"""Checks of what helps a provider to write down speech: words that are likely, and the languages that are spoken."""

import re
from collections.abc import Iterable

from voicecli.errors import ConfigurationError

__all__ = ["check_keywords", "check_languages"]

# A language of two or three letters, and what may follow: script, region, variant (BCP 47).
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8})*", re.IGNORECASE)


def check_keywords(name: str, keywords: Iterable[str], forbidden: str = "") -> None:
    """Raises ConfigurationError when one of the keywords is empty, not on one line, or has one of these characters.

    Args:
        name: the setting's, for the error.
    """
    for keyword in keywords:
        if not keyword.strip():
            raise ConfigurationError(f"{name}: one of them is empty.", advice="Leave it out.")
        if len(keyword.splitlines()) > 1 or not keyword.isprintable():
            raise ConfigurationError(
                f"{name}: {keyword!r} has a line break or another control character.", advice="Give one word or phrase."
            )
        if found := next((character for character in keyword if character in forbidden), ""):
            raise ConfigurationError(f"{name}: {keyword!r} has a {found}.", advice="Write it without.")


def check_languages(name: str, codes: Iterable[str]) -> None:
    """Raises ConfigurationError when one of them is no code of a language.

    Args:
        name: the setting's, for the error.
    """
    for code in codes:
        if not _LANGUAGE.fullmatch(code):
            raise ConfigurationError(f"{name}: {code!r} is no code of a language.", advice="Give en, or pt-BR.")
