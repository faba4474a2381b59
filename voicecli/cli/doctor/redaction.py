"""Redaction: what is the user's own is taken out of a text, wherever it stands.

It is the second line of defence. The first is that a report is made of findings' `shared` texts, of numbers, and of
names that voicecli itself has given.
"""

import getpass
import os
import platform
import re
import socket
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from voicecli.errors import ConfigurationError
from voicecli.settings.file import SettingsFile
from voicecli.settings.keys import stored_file_keys

__all__ = ["Redactor", "private_texts"]

_SECRET_NAMES = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL|PROXY|_URL|ENDPOINT|HOST|^VOICE|_PROJECT|_ORG", re.I)
_LEAST = 4  # characters of a value; shorter ones would be found in everything
_HARMLESS = {"true", "false", "localhost"}


class Redactor:
    """Replaces texts, the longest first, whatever their case.

    Args:
        private: texts, and what is to stand in their place.
    """

    def __init__(self, private: Mapping[str, str]) -> None:
        self._places = {text.casefold(): place for text, place in private.items() if text.strip()}
        longest_first = sorted(self._places, key=len, reverse=True)
        # A short name is not looked for inside of words.
        parts = [rf"(?<!\w){re.escape(text)}(?!\w)" if text.isalnum() else re.escape(text) for text in longest_first]
        self._pattern = re.compile("|".join(parts), re.IGNORECASE) if parts else None

    def __call__(self, text: str) -> str:
        """The text without what is private."""
        if self._pattern is None:
            return text
        return self._pattern.sub(lambda match: self._places.get(match[0].casefold(), "<hidden>"), text)


def private_texts(file: SettingsFile, public: Collection[str]) -> dict[str, str]:
    """The user's own texts that can be known: home, names, keys, and what is set, in files and in the environment.

    Args:
        public: texts that are nobody's own, whatever they were found as.
    """
    public = {text.casefold() for text in public} | _HARMLESS
    found: dict[str, str] = {}
    secret = [value for name, value in os.environ.items() if _SECRET_NAMES.search(name)]
    with suppress(ConfigurationError):
        secret += stored_file_keys()
    secret += [text for table in file.tables.values() for text in _texts(table)]
    secret += [name for name in file.tables if name]  # of profiles
    for text in (part for value in secret for part in _parts(value)):
        if len(text) >= _LEAST and text.casefold() not in public:
            found[text] = "<hidden>"
    found |= dict.fromkeys(_host_names(), "<host>")
    found |= dict.fromkeys(_user_names(), "<user>")
    return found | dict.fromkeys(_homes(), "~")


def _parts(value: str) -> Iterator[str]:
    """The value, its lines, and of an address what may be private."""
    yield value.strip()
    yield from map(str.strip, value.splitlines())
    with suppress(ValueError):
        parts = urlsplit(value)
        yield from filter(None, (parts.hostname, parts.username, parts.password, parts.query))


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case Mapping():
            yield from (text for each in value.values() for text in _texts(each))
        case list():
            yield from (text for each in value for text in _texts(each))


def _homes() -> Iterator[str]:
    for path in (os.environ.get("HOME"), os.environ.get("USERPROFILE")):
        if path and len(path) >= _LEAST:
            yield path
    with suppress(RuntimeError, OSError):
        yield from {str(Path.home()), str(Path.home().resolve())}


def _user_names() -> Iterator[str]:
    for name in ("USER", "LOGNAME", "USERNAME", "LNAME", "SUDO_USER"):
        if value := os.environ.get(name):
            yield value
    with suppress(Exception):  # there is no such user
        yield getpass.getuser()
    yield from (name for home in _homes() if (name := Path(home).name))


def _host_names() -> Iterator[str]:
    names = [os.environ.get("HOSTNAME"), os.environ.get("COMPUTERNAME"), platform.node()]
    with suppress(OSError):
        names.append(socket.gethostname())
    for name in filter(None, names):
        if name.casefold() not in _HARMLESS:
            yield from {name, name.partition(".")[0]}
