"""Options made of the fields of settings classes, and settings made of what was given for options.

The command offers each on its command line, the settings file as an entry, the environment as VOICE_<NAME>.
"""

import dataclasses
import enum
import os
import typing
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, TypeVar

from voicecli.config import RealtimeConfig, Setting
from voicecli.ports import Provider
from voicecli.setting_fields import Settings, alternatives, choices_of

__all__ = ["Option", "make_config", "setting_options", "variable_of"]

_S = TypeVar("_S", bound=Settings)

_WRITTEN = (str, bool, int, float, enum.Enum, PurePath)


@dataclass(frozen=True, slots=True)
class _Target:
    """A setting that an option makes.

    Attributes:
        path: as errors name it: "client_vad.hangover_ms", "speed".
        owner: the provider whose own setting it is; None for a common one.
        shown: whether its value can be shown; it may hold a secret otherwise.
        note: which providers have it, or "some models", where not all do.
    """

    path: str
    described: Setting
    hint: Any
    default: Any
    shown: bool = True
    owner: Provider | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Option:
    """An option of the command.

    Attributes:
        name: of its parameter: "silence_ms" for --silence-ms.
        targets: the settings it makes, one for each class that has it; all of one type.
    """

    name: str
    targets: list[_Target]

    @property
    def entry(self) -> str:
        """The name as it is written: "silence-ms"."""
        return self.name.replace("_", "-")

    @property
    def owners(self) -> list[Provider]:
        """The providers whose own setting it is; none for a common one."""
        return [target.owner for target in self.targets if target.owner is not None]

    @property
    def described(self) -> Setting:
        return self._first.described

    @property
    def hint(self) -> Any:
        """The type of the setting."""
        return self._first.hint

    @property
    def default(self) -> Any:
        return self._first.default

    @property
    def shown(self) -> bool:
        """Whether its value can be shown; it may hold a secret otherwise."""
        return all(target.shown for target in self.targets)

    @property
    def switches(self) -> bool:
        """Whether it takes no value."""
        return self.described.value is not None or alternatives(self.hint) == (bool,)

    @property
    def switches_both_ways(self) -> bool:
        """Whether it has a `--no-NAME` beside it, as what it switches is on by default."""
        return self.switches and self.described.value is None and self.default is not False

    @property
    def repeated(self) -> Any:
        """`tuple` or `Mapping` when it may be given several times, else None."""
        origins = {typing.get_origin(kind) for kind in alternatives(self.hint)}
        return tuple if tuple in origins else Mapping if origins & {Mapping, dict} else None

    @property
    def type(self) -> Any:
        """The type of what is given for it."""
        if self.switches:
            return bool
        if self.repeated is not None:
            return list[str]
        kinds = alternatives(self.hint)
        return str if self.described.parse is not None or len(kinds) > 1 else kinds[0]

    @property
    def help(self) -> str:
        """What it does, its choices, and who has it."""
        text = self.described.help
        if any(target.described.help != text for target in self.targets):
            named = [(target.described.help, target.owner) for target in self.targets]
            text = " ".join(_noted(help, owner.name if owner else "") for help, owner in named)
        untold = [str(choice) for choice in choices_of(self.hint) if str(choice) not in text]
        if untold and not self.switches:
            text = f"{text} One of {', '.join(untold)}.".strip()
        return _noted(text, self._first.note)

    @property
    def choices(self) -> list[str]:
        """The values that it can have, where they are listed."""
        values = choices_of(self._first.hint)
        for kind in alternatives(self._first.hint):
            if isinstance(kind, type) and issubclass(kind, enum.Enum):
                values = (*values, *(member.value for member in kind))
        return [str(value) for value in values]

    def value(self, given: Any) -> Any:
        """The setting. Raises ConfigurationError."""
        if self.described.value is not None:
            return self.described.value
        parse = self.described.parse or (lambda text: text)
        if isinstance(given, list):
            items: list[Any] = [parse(item) for item in given]
            return dict(items) if self.repeated is Mapping else tuple(items)
        return parse(given)

    @property
    def _first(self) -> _Target:
        return self.targets[0]


def setting_options(providers: Sequence[Provider], taken: Collection[str] = ()) -> list[Option]:
    """The options for the common settings, and for the own settings of these providers.

    Own settings of one name and type share an option.

    Args:
        taken: names of parameters that the command has besides; a provider's setting of that name gets the
            provider's in front.
    """
    options: dict[str, Option] = {}
    lacking = {provider.name: _lacks_by_model(provider) for provider in providers}
    for target in _targets(RealtimeConfig):
        note = _which_providers(lacking, target.path)
        options.setdefault(_name(target), Option(_name(target), [])).targets.append(
            dataclasses.replace(target, note=note)
        )
    for provider in providers:
        for target in _targets(provider.settings):
            own = dataclasses.replace(target, owner=provider, note=_which_models(lacking[provider.name], target.path))
            name = _name(own)
            there = options.get(name)
            if name in taken or (there and (not there.owners or there._first.hint != own.hint)):
                name = f"{provider.name}_{name}"
            options.setdefault(name, Option(name, [])).targets.append(own)
    return list(options.values())


def variable_of(name: str) -> str:
    """The variable of the environment for an option or a secret, however its name is written."""
    return f"VOICE_{name.replace('-', '_').upper()}"


def make_config(options: Sequence[Option], given: Mapping[str, Any], provider: Provider) -> RealtimeConfig:
    """The settings for a conversation with that provider.

    A provider's secrets come from the environment: VOICE_<NAME>.

    Args:
        given: by option name; None, empty lists, and switches that are off by default and off, are not given.

    Raises:
        ConfigurationError: a value is wrong.
    """
    common: dict[str, Any] = {}
    own: dict[str, Any] = {}
    for option in options:
        targets = [target for target in option.targets if target.owner in (None, provider)]
        if not targets or (value := given.get(option.name)) is None or value == []:
            continue
        if value is False and option.described.value is not None:
            continue
        made = dict.fromkeys((target.path for target in targets), option.value(value))
        (own if option.owners else common).update(made)
    for field in dataclasses.fields(provider.settings):
        described = Setting.of(field)
        if described and described.secret and (found := os.environ.get(variable_of(field.name))):
            own[field.name] = found
    if own:
        common["provider_settings"] = provider.settings(**own)
    return _build(RealtimeConfig, common)


def _build(kind: type[_S], given: Mapping[str, Any]) -> _S:
    values = {}
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        inner = _settings_classes(kind.hints()[field.name])
        parts = {path.partition(".")[2]: value for path, value in given.items() if path.startswith(f"{field.name}.")}
        if field.name in given:
            values[field.name] = given[field.name]
        elif inner and parts:
            # Of several classes the first serves, unless something was given that only another has.
            first, *others = inner
            chosen = next((other for other in others if parts.keys() & (other.hints().keys() - first.hints())), first)
            values[field.name] = chosen(**{name: value for name, value in parts.items() if name in chosen.hints()})
    return kind(**values)


def _targets(kind: type[Settings], prefix: str = "") -> Iterator[_Target]:
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        hint, described = kind.hints()[field.name], Setting.of(field) or Setting()
        inner = _settings_classes(hint)
        if inner and described.parse is None:
            for each in inner:
                for target in _targets(each, f"{field.name}."):
                    # What only another class than the first has is by default not there.
                    yield target if each is inner[0] else dataclasses.replace(target, default=None)
        elif described.option != "" and not described.secret and _can_be_written(described, hint):
            default = field.default if field.default is not dataclasses.MISSING else None
            shown = field.repr and not any(map(_hides, (each for kind in alternatives(hint) for each in _parts(kind))))
            yield _Target(f"{prefix}{field.name}", described, hint, default, shown)


def _parts(kind: Any) -> tuple[Any, ...]:
    """A type, or those of the items of several."""
    return typing.get_args(kind) if typing.get_origin(kind) is tuple else (kind,)


def _hides(kind: Any) -> bool:
    """Return whether a type is a class of settings with one that is not shown."""
    is_settings = isinstance(kind, type) and issubclass(kind, Settings)
    return is_settings and any(not field.repr for field in dataclasses.fields(kind))


def _can_be_written(described: Setting, hint: Any) -> bool:
    """Return whether the setting can be made of what stands on a command line."""
    if described.parse is not None or choices_of(hint):
        return True
    return all(
        kind == tuple[str, ...] or (isinstance(kind, type) and issubclass(kind, _WRITTEN))
        for kind in alternatives(hint)
    )


def _settings_classes(hint: Any) -> list[type[Settings]]:
    return [kind for kind in alternatives(hint) if isinstance(kind, type) and issubclass(kind, Settings)]


def _name(target: _Target) -> str:
    return (target.described.option or target.path.rpartition(".")[2]).replace("-", "_")


def _noted(sentence: str, note: str) -> str:
    return f"{sentence.removesuffix('.')} ({note})." if note else sentence


def _which_providers(lacking: Mapping[str, Sequence[Collection[str]]], path: str) -> str:
    """Those that have a common setting with some model, unless all do."""
    having = [name for name, by_model in lacking.items() if not all(path in lacks for lacks in by_model)]
    return ", ".join(having) if len(having) < len(lacking) else ""


def _which_models(by_model: Sequence[Collection[str]], path: str) -> str:
    lacking = [path in lacks for lacks in by_model]
    return "some models" if any(lacking) and not all(lacking) else ""


def _lacks_by_model(provider: Provider) -> list[Collection[str]]:
    return [provider.lacks(RealtimeConfig(model=model.name)).keys() for model in provider.models]
