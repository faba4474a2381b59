"""Settings: all that is wrong in the file, in the environment, and in what they name; each with its place."""

import os
from collections.abc import Iterator

from voicecli.cli.config import chat_entries, missing_files
from voicecli.cli.doctor.area import Scope, short_path
from voicecli.cli.layers import every_provider, provider_of_settings, unknown_settings
from voicecli.config import RealtimeConfig
from voicecli.errors import ConfigurationError
from voicecli.finding import Finding
from voicecli.providers import PROVIDERS
from voicecli.settings.entries import Entry
from voicecli.settings.environment import PROFILE_VARIABLE, read_variable
from voicecli.settings.file import SettingsFile, settings_path
from voicecli.settings.loading import problems_of

__all__ = ["look_at_settings"]


def look_at_settings(scope: Scope) -> Iterator[Finding]:
    """Look at the file, the profiles in it, and the variables."""
    providers = every_provider()
    entries = chat_entries(providers)
    file, wrong = SettingsFile(), False
    try:
        file = SettingsFile.read()
        yield _file(file)
    except ConfigurationError as error:
        wrong = True
        yield Finding("File", error.message, "fail", error.advice, shared="it cannot be read, or is not TOML")
    for line, problem in problems_of(file, entries, lambda: entries):
        wrong = True
        yield Finding("Setting", _brief(problem.message, file), "fail", problem.advice, shared=f"line {line} is wrong")
    for entry in entries:
        try:
            read_variable(entry, os.environ)
        except ConfigurationError as error:
            wrong = True
            yield Finding("Variable", error.message, "fail", error.advice, shared=f"{entry.variable} is wrong")
    for note in unknown_settings(entries, providers):
        yield Finding("Variable", note, "warn", "Unset it, or mend its name.", shared="one is unknown")
    profile = os.environ.get(PROFILE_VARIABLE, "")
    if profile and profile not in file.profiles and not wrong:
        wrong = True
        told = f"{PROFILE_VARIABLE} names a profile that is not there: {profile}"
        fix = "Unset it, or write the profile: voice config edit"
        yield Finding("Profile", told, "fail", fix, shared=f"{PROFILE_VARIABLE} names one that is not there")
    if not wrong:
        yield from _conflicts(file)
        yield from _files(file, entries)


def _file(file: SettingsFile) -> Finding:
    if file.path is None:
        return Finding("File", "none: this user has no home directory", "warn", "Set HOME, or VOICECLI_CONFIG.")
    count = len(file.tables[""])
    if not file.path.exists():
        return Finding("File", f"none, at {short_path(settings_path())}")
    told = f"{count} setting{'' if count == 1 else 's'}"
    if profiles := len(file.profiles):
        told += f", {profiles} profile{'' if profiles == 1 else 's'}"
    return Finding("File", f"{short_path(file.path)}: {told}", shared=told)


def _conflicts(file: SettingsFile) -> Iterator[Finding]:
    """Values that are possible each, but not together."""
    told = set()
    for number, profile in enumerate([None, *file.profiles]):
        try:
            RealtimeConfig.from_settings(
                provider=None if provider_of_settings(profile) else PROVIDERS[0].name, profile=profile
            )
        except ConfigurationError as error:
            if error.message not in told:
                told.add(error.message)
                shared = f"the settings of profile {number} are wrong" if profile else "the settings are wrong"
                yield Finding("Setting", _brief(error.message, file), "fail", error.advice, shared=shared)


def _files(file: SettingsFile, entries: list[Entry]) -> Iterator[Finding]:
    """Files that the settings name, and that are not there."""
    for profile in file.tables:
        for entry in entries:
            for name in missing_files(entry, file.value(entry, profile)):
                told = _brief(f"{file.place(profile, entry.name)}: there is no file {name}", file)
                shared = f"line {file.line(profile, entry.name)} names a file that is not there"
                fix = "Mend the path (voice config edit), or put the file there."
                yield Finding("Setting", told, "fail", fix, shared=shared)


def _brief(message: str, file: SettingsFile) -> str:
    """The message without the folder of the file, which is told once."""
    return message.replace(str(file.path), file.path.name) if file.path else message
