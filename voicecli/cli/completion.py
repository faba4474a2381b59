"""Completion of a command line: the words that can stand where the cursor is.

The shells' scripts (`completion_scripts.py`) run `voice` with the words so far and the variable `_VOICE_COMPLETION`,
and get a line for each candidate: the word, a tab, and what it is. A first line `:files` asks the shell for its own
completion of paths.
"""

import contextlib
import os
import shlex
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from voicecli.ports import Provider
from voicecli.terminal.printable import printable

__all__ = ["Candidate", "candidates", "complete"]

_FILES = ":files"
_EMPTY = '""'  # an empty word, for shells that leave those out
_WIDEST_HELP = 60  # columns
_MOST_CONVERSATIONS = 50


@dataclass(frozen=True, slots=True)
class Candidate:
    """A word that can stand at the cursor.

    Attributes:
        help: what it is; "" where that is plain.
    """

    word: str
    help: str = ""


def complete(words: Sequence[str], shell: str) -> str:
    """The answer to a shell: a line for each candidate, whatever goes wrong.

    Args:
        words: of the command line, after `voice`; the last is the one under the cursor, "" for a new one.
        shell: "bash", "zsh", "fish" or "powershell".
    """
    # Nobody wants to read an error in the middle of typing.
    with contextlib.suppress(Exception):
        words = [_unquoted(word) for word in words] if shell == "bash" else list(words)
        found = candidates(words)
        if found is None:
            return f"{_FILES}\n"
        return "".join(f"{candidate.word}\t{candidate.help}\n" for candidate in found)
    return ""


def candidates(words: Sequence[str]) -> list[Candidate] | None:
    """The words that can stand at the end of these, or None where that is a path.

    Args:
        words: as for `complete`.
    """
    *before, current = _joined(words) or [""]
    command, before = _find_command(before)
    if hasattr(command, "list_commands") and not current.startswith("-"):
        known = all(word.startswith("-") for word in before)
        return _fitting(_subcommands(command), current) if known else []
    option, equals, value = current.partition("=")
    if option.startswith("--") and equals:
        return _prefixed(f"{option}=", _values(command, _option(command, option), before, value))
    waiting = _option(command, before[-1]) if before else None
    may_do_without = waiting is not None and (waiting.metavar or "")[:1] == "[" and current.startswith("-")
    if waiting is not None and not getattr(waiting, "is_flag", False) and not may_do_without:
        return _values(command, waiting, before, current)
    if current.startswith("-"):
        return _fitting(_options(command), current)
    return _values(command, _argument(command, before), before, current)


def _find_command(words: list[str]) -> tuple[Any, list[str]]:
    """The command that the words name, and those of them that follow its name."""
    import typer

    from voicecli.cli.app import app

    command: Any = typer.main.get_command(app)
    while hasattr(command, "get_command"):
        place = next((at for at, word in enumerate(words) if not word.startswith("-")), None)
        found = command.get_command(None, words[place]) if place is not None else None
        if place is None or found is None:
            break
        command, words = found, words[place + 1 :]
    return command, words


def _subcommands(command: Any) -> Iterator[Candidate]:
    from voicecli.cli.app import COMMANDS

    for name in command.list_commands(None):
        line = COMMANDS[name][1] if name in COMMANDS else command.get_command(None, name).get_short_help_str(200)
        yield Candidate(name, line)


def _options(command: Any) -> Iterator[Candidate]:
    import typer

    for parameter in command.get_params(typer.Context(command)):
        if parameter.param_type_name == "option" and not getattr(parameter, "hidden", False):
            for name in (*parameter.opts, *parameter.secondary_opts):
                if name.startswith("--"):
                    yield Candidate(name, getattr(parameter, "help", "") or "")


def _option(command: Any, name: str) -> Any:
    """The option of that name; None where there is none."""
    if not name.startswith("-"):
        return None
    return next((parameter for parameter in command.params if name in parameter.opts), None)


def _argument(command: Any, before: Sequence[str] = ()) -> Any:
    """The argument that follows these words; None where none does."""
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    given = 0
    for place, word in enumerate(before):
        option = _option(command, before[place - 1]) if place else None
        given += not word.startswith("-") and (option is None or getattr(option, "is_flag", False))
    if given < len(arguments):
        return arguments[given]
    return arguments[-1] if arguments and arguments[-1].nargs < 0 else None


def _values(command: Any, parameter: Any, before: Sequence[str], current: str) -> list[Candidate] | None:
    """The values of an option or argument; None where that is a path."""
    if parameter is None:
        return []
    given = _given(command, before)
    find = _FINDERS.get(f"{command.name} {parameter.name}") or _FINDERS.get(parameter.name)
    if find is not None:
        return _fitting(find(given), current)
    metavar = parameter.metavar or ""
    if "FILE" in metavar or "FOLDER" in metavar:
        return None
    choices = getattr(parameter.type, "choices", None) or _choices(parameter)
    return _fitting((Candidate(str(choice)) for choice in choices), current)


def _given(command: Any, before: Sequence[str]) -> dict[str, str]:
    """The options on the command line that have a value, by their parameters."""
    given: dict[str, str] = {}
    for place, word in enumerate(before):
        name, equals, value = word.partition("=")
        parameter = _option(command, name)
        if parameter is not None and not getattr(parameter, "is_flag", False):
            given[parameter.name] = value if equals else next(iter(before[place + 1 : place + 2]), "")
    argument = _argument(command)
    if argument is not None and argument.name == "provider" and before and not before[-1].startswith("-"):
        given["provider"] = before[-1]
    return given


def _choices(parameter: Any) -> Iterable[str]:
    """The values that the setting of the option's name lists."""
    from voicecli.providers import PROVIDERS
    from voicecli.settings.options import setting_options

    for option in setting_options(PROVIDERS):
        if option.name == parameter.name:
            return option.choices
    return ()


# -- Values that are looked up


def _providers(given: Mapping[str, str]) -> Iterator[Candidate]:
    from voicecli.providers import PROVIDERS
    from voicecli.providers.plugins import plugin_names

    for provider in PROVIDERS:
        yield Candidate(provider.name, provider.title)
    for name in plugin_names():
        yield Candidate(name, "installed")


def _chosen(given: Mapping[str, str]) -> Sequence[Provider]:
    """The provider that the line or the environment names; all where none does."""
    from voicecli.errors import ConfigurationError
    from voicecli.providers import PROVIDERS, find_provider

    name = given.get("provider") or os.environ.get("VOICE_PROVIDER")
    if not name:
        return PROVIDERS
    try:
        return (find_provider(name),)
    except ConfigurationError:
        return ()


def _models(given: Mapping[str, str]) -> Iterator[Candidate]:
    for provider in _chosen(given):
        for model in provider.models:
            yield Candidate(model.name, "; ".join(filter(None, (model.note, model.deprecated))))


def _transcriber_models(given: Mapping[str, str]) -> Iterator[Candidate]:
    for provider in _chosen(given):
        for model in provider.transcriber.models if provider.transcriber is not None else ():
            yield Candidate(model.name, "; ".join(filter(None, (model.note, model.deprecated))))


def _transcription_models(given: Mapping[str, str]) -> Iterator[Candidate]:
    for provider in _chosen(given):
        for model in provider.transcription_models:
            yield Candidate(model.name, "; ".join(filter(None, (model.note, model.deprecated))))


def _interpreters(given: Mapping[str, str]) -> Iterator[Candidate]:
    from voicecli.providers import PROVIDERS

    for provider in PROVIDERS:
        if provider.interpreter is not None:
            yield Candidate(provider.name, provider.title)


def _interpreter_models(given: Mapping[str, str]) -> Iterator[Candidate]:
    for provider in _chosen(given):
        for model in provider.interpreter.models if provider.interpreter is not None else ():
            yield Candidate(model.name, model.note)


def _voices(given: Mapping[str, str]) -> Iterator[Candidate]:
    for provider in _chosen(given):
        for voice in provider.voices:
            yield Candidate(voice.name, voice.note)


def _microphones(given: Mapping[str, str]) -> Iterator[Candidate]:
    return _devices("input")


def _loudspeakers(given: Mapping[str, str]) -> Iterator[Candidate]:
    return _devices("output")


def _devices(kind: str) -> Iterator[Candidate]:
    from voicecli.audio.devices.quick_listing import device_names

    for number, name in device_names(kind):
        yield Candidate(name, f"number {number}")


def _profiles(given: Mapping[str, str]) -> Iterator[Candidate]:
    from voicecli.settings.file import SettingsFile

    return map(Candidate, SettingsFile.read().profiles)


def _downloads(given: Mapping[str, str]) -> Iterator[Candidate]:
    from voicecli.providers.local.downloads.catalogue import DOWNLOADS

    for download in DOWNLOADS:
        yield Candidate(download.name, download.note)


def _settings(given: Mapping[str, str]) -> Iterator[Candidate]:
    from voicecli.cli.chat import chat
    from voicecli.cli.layers import own_entries
    from voicecli.cli.options import conversation_parameters
    from voicecli.providers import PROVIDERS
    from voicecli.settings.loading import TAKEN
    from voicecli.settings.options import setting_options

    for entry in own_entries(conversation_parameters(chat)).values():
        yield Candidate(entry.name)
    for option in setting_options(PROVIDERS, TAKEN):
        yield Candidate(option.entry, option.described.help)


def _conversations(given: Mapping[str, str]) -> Iterator[Candidate]:
    from voicecli.history.store import Store

    with Store() as store:
        for kept in store.conversations(limit=_MOST_CONVERSATIONS):
            _, words = store.opening(kept.id)
            yield Candidate(kept.id, f"{kept.started_at:%d %b %H:%M} {printable(words)}")


_FINDERS: dict[str, Callable[[Mapping[str, str]], Iterator[Candidate]]] = {
    "provider": _providers,
    "model": _models,
    "transcription_model": _transcription_models,
    "voice": _voices,
    "input_device": _microphones,
    "output_device": _loudspeakers,
    "profile": _profiles,
    "names": _downloads,
    "translate provider": _interpreters,
    "transcribe model": _transcriber_models,
    "translate model": _interpreter_models,
    "set name": _settings,
    "unset name": _settings,
    "path name": _downloads,
    "id_": _conversations,
    "ids": _conversations,
    "continue_": _conversations,
}
"""Parameter, or command and parameter -> what finds its values."""


# -- Words


def _fitting(found: Iterable[Candidate], current: str) -> list[Candidate]:
    """Those that go on from what was typed, each once; in any case of letters where none does exactly."""
    each = list({candidate.word: candidate for candidate in found}.values())
    exact = [candidate for candidate in each if candidate.word.startswith(current)]
    fitting = exact or [each_ for each_ in each if each_.word.casefold().startswith(current.casefold())]
    return [Candidate(candidate.word, _short(candidate.help)) for candidate in fitting]


def _short(text: str) -> str:
    """One short line, as lists of candidates have room for."""
    first = " ".join(text.split()).partition(". ")[0].removesuffix(".")
    width = min(_WIDEST_HELP, max(shutil.get_terminal_size().columns - 30, 20))
    return first if len(first) <= width else f"{first[: width - 3].rstrip()}..."


def _prefixed(prefix: str, found: list[Candidate] | None) -> list[Candidate] | None:
    return found and [Candidate(prefix + candidate.word, candidate.help) for candidate in found]


def _joined(words: Sequence[str]) -> list[str]:
    """The words as the command gets them: bash takes an equals sign for a word of its own."""
    joined: list[str] = []
    for word in words:
        word = "" if word == _EMPTY else word
        last = joined[-1] if joined else ""
        if last.startswith("--") and (word.startswith("=") or last.endswith("=")):
            joined[-1] += word
        else:
            joined.append(word)
    return joined


def _unquoted(word: str) -> str:
    """The word without the quotes and backslashes that bash hands on; one that is not ended yet as it is so far."""
    for ending in ("", '"', "'"):
        with contextlib.suppress(ValueError):
            return next(iter(shlex.split(word + ending)), "")
    return word.rstrip("\\")
