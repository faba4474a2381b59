"""The report of `voice doctor --bundle`: one text, to be read before it is given away."""

import datetime
import os
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from voicecli._version import __version__
from voicecli.cli.config import chat_entries
from voicecli.cli.doctor.installation import package_versions
from voicecli.cli.doctor.redaction import Redactor, private_texts
from voicecli.cli.layers import every_provider
from voicecli.errors import ConfigurationError
from voicecli.finding import Finding
from voicecli.kept_files import replace_file
from voicecli.ports import Provider
from voicecli.settings.entries import Entry
from voicecli.settings.file import SettingsFile
from voicecli.terminal.printable import printable

__all__ = ["report", "write_bundle"]

_INSIDE = "what this command found, versions of packages, names of settings and variables"
_OUTSIDE = (
    "keys, anything that was said or written to a model, prompts, texts of settings, names of you, this computer, its "
    "devices and your folders"
)
_HIDDEN = "(hidden)"
_VARIABLES = (
    *("VOICECLI_CACHE", "VOICECLI_CONFIG", "VOICECLI_HISTORY", "VOICECLI_LLM_PORTS", "VOICECLI_LLM_SEARCH_S"),
    *(
        "VOICECLI_MODELS",
        "VOICECLI_STATE",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
    ),
    *("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NO_COLOR", "LANG", "LC_ALL", "TERM", "COLORTERM", "PULSE_SERVER"),
    *("TMUX", "SSH_CONNECTION", "WSL_DISTRO_NAME", "VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONPATH", "HF_ENDPOINT"),
)
"""Variables of which it matters whether they are set."""


def write_bundle(path: Path, found: Sequence[tuple[str, Sequence[Finding]]]) -> None:
    """Write the report, and say on standard error what is inside.

    Args:
        found: the findings of each area.

    Raises:
        ConfigurationError: it cannot be written.
    """
    text = report(found)
    try:
        replace_file(path, text.encode(), mode=0o600)
    except (OSError, RuntimeError) as error:
        why = getattr(error, "strerror", None) or error
        raise ConfigurationError(f"{path} cannot be written: {why}.", advice="Name another file.") from error
    typer.echo(f"{path}: {_INSIDE}. Not inside: {_OUTSIDE}. Read it before you give it away.", err=True)


def report(found: Sequence[tuple[str, Sequence[Finding]]]) -> str:
    """The text of the report."""
    try:
        file = SettingsFile.read()
    except ConfigurationError:  # of what cannot be read, nothing is told
        file = SettingsFile()
    providers = every_provider()
    known = _known_texts(chat_entries(providers), providers)
    redact = Redactor(private_texts(file, {text for texts in known.values() for text in texts}))
    lines = [f"Report of voicecli {__version__}, {datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC"]
    lines += [f"Inside: {_INSIDE}.", f"Not inside: {_OUTSIDE}."]
    for title, findings in found:
        lines += ["", f"{title}:", *(redact(line) for finding in findings for line in _told(finding))]
    lines += ["", "System:", f"  {redact(_system())}"]
    lines += ["", "Packages:", *(redact(f"  {name} {version}") for name, version in package_versions())]
    lines += ["", "Settings:", *(redact(line) for line in _settings(file, known))]
    lines += ["", "Variables that are set:", *(f"  {name}" for name in _variables(providers))]
    return "\n".join(map(printable, lines)) + "\n"


def _told(finding: Finding) -> Iterator[str]:
    value = finding.value if finding.shared is None else finding.shared
    yield f"  {finding.verdict:<4}  {finding.name}: {value}"
    if finding.fix and finding.shared is None:
        yield f"        {finding.fix}"


def _system() -> str:
    libc = " ".join(platform.libc_ver())
    return f"{platform.system()} {platform.release()} {platform.machine()} {libc}, Python {sys.version.split()[0]}"


def _known_texts(entries: Sequence[Entry], providers: Sequence[Provider]) -> dict[str, set[str]]:
    """The texts that voicecli itself gives to choose from, by the names of entries; the others have none."""
    return {entry.name: set(entry.choices) for entry in entries} | {
        "provider": {name for provider in providers for name in (provider.name, *provider.aliases)},
        "model": {model.name for provider in providers for model in provider.models},
        "voice": {voice.name for provider in providers for voice in provider.voices},
    }


def _settings(file: SettingsFile, known: Mapping[str, set[str]]) -> Iterator[str]:
    for number, table in enumerate(file.tables.values()):
        where = f"profile {number}: " if number else ""
        unknown = sum(name not in known for name in table)
        for name in table:
            if name in known:
                yield f"  {where}{name} = {_presented(table[name], known[name])}"
        if unknown:
            yield f"  {where}{unknown} unknown"


def _presented(value: Any, known: set[str]) -> str:
    """The value, if it is a number, yes or no, or one of those texts."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) or (isinstance(value, str) and value in known) else _HIDDEN


def _variables(providers: Sequence[Provider]) -> list[str]:
    names = {*_VARIABLES, *(entry.variable for entry in chat_entries(providers))}
    names |= {name for provider in providers for name in provider.key_variables}
    return sorted(name for name in names if os.environ.get(name) or os.environ.get(name.lower()))
