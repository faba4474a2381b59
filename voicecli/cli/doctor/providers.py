"""Providers: who would answer, keys (never shown, not even a part of one), and what each finds on this machine."""

from collections.abc import Iterator, Mapping
from functools import partial

from voicecli.cli.doctor.area import Scope, config_of, of_provider
from voicecli.cli.keys import key_variable
from voicecli.cli.layers import provider_of_settings
from voicecli.config import RealtimeConfig
from voicecli.credentials import checked_key
from voicecli.errors import ConfigurationError
from voicecli.finding import Finding
from voicecli.ports import Provider
from voicecli.providers import choose_provider, find_provider, is_built_in
from voicecli.settings.keys import find_key, how_to_protect, stored_keys, unsafe_permissions

__all__ = ["look_at_providers"]


def look_at_providers(scope: Scope) -> Iterator[Finding]:
    """Look at each provider, and at the keys."""
    broken: list[str] = []
    providers = scope.providers(broken.append)
    for message in broken:
        told = "a provider that a package brings cannot be used"
        yield Finding("Package", message, "warn", "Update the package, or uninstall it.", shared=told)
    stored: Mapping[str, str] | None = None
    try:
        stored = stored_keys()
    except ConfigurationError as error:
        yield Finding("Stored keys", error.message, "fail", error.advice, shared="their file cannot be read")
    if unsafe_permissions():
        yield Finding("Stored keys", "others may read the file", "warn", how_to_protect())
    answering = None
    if scope.provider is None:
        try:
            answering = find_provider(named) if (named := provider_of_settings(None)) else choose_provider()
            told = f"{answering.title}{', as settings say' if named else ', the first that is set up'}"
            yield Finding("Answers", told, shared=None if is_built_in(answering.name) else "a provider of a package")
        except ConfigurationError as error:
            advice = "voice setup" if error.advice.startswith("Run `voice setup`") else error.advice
            yield Finding("Answers", error.message, "fail", advice, shared="no provider that can be used")
    for provider in providers:
        needed = scope.provider is not None or (answering is not None and provider.name == answering.name)
        yield from of_provider(provider, partial(_one, provider, stored, needed=needed))


def _one(provider: Provider, stored: Mapping[str, str] | None, *, needed: bool) -> Iterator[Finding]:
    """The findings about a provider.

    Args:
        stored: where keys are stored, by provider; None where their file cannot be read, which was told.
    """
    config = config_of(provider)
    if provider.is_configured():
        if stored is not None or key_variable(provider):
            yield _key(provider, config, (stored or {}).get(provider.name, ""))
    elif needed:
        yield Finding(provider.name, f"{provider.title} is not set up", "fail", provider.setup_advice)
    else:
        command = f"voice keys set {provider.name}" if provider.key_url else ""
        yield Finding(provider.name, "not set up", fix=command or provider.setup_advice)
    model = next((each for each in provider.models if each.name == (config.model or provider.default_model)), None)
    if model is not None and model.deprecated and needed:
        told = f"the model {model.name} goes away: {model.deprecated}"
        yield Finding(provider.name, told, "warn", f"voice list-models {provider.name}")
    yield from provider.findings(config)


def _key(provider: Provider, config: RealtimeConfig, place: str) -> Finding:
    """The finding about a provider's key; of one that works without, that it is ready."""
    variable = key_variable(provider)
    try:
        key = find_key(provider.name, provider.key_variables) if provider.key_variables else None
        if key is None:
            return Finding(provider.name, "ready, without a key")
        checked_key(key, provider.title)
        doubt = provider.doubts_key(key.strip(), config)
    except ConfigurationError as error:
        told = f"the key {_origin(variable, place)} cannot be used"
        return Finding(provider.name, error.message, "fail", error.advice, shared=told)
    told = f"there is a key, {_origin(variable, place)}"
    if variable and place:
        told += f"; another is stored in the {place}, and comes after it"
    if doubt:
        renew = f"Set {variable} anew" if variable else f"voice keys set {provider.name}"
        where = f"; you get one at {provider.key_url}" if provider.key_url else ""
        return Finding(provider.name, f"{told}, but {doubt}", "warn", f"{renew}{where}")
    return Finding(provider.name, told)


def _origin(variable: str, place: str) -> str:
    return f"from {variable}" if variable else f"stored in the {place or 'file'}"
