"""`voice setup`: three questions for a new user. What was answered is saved at the end, all at once."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace

import typer

from voicecli.cli.devices import test_audio
from voicecli.cli.keys import ask_for_key, clean_key, key_variable, told_where
from voicecli.cli.layers import device_of_settings, every_provider
from voicecli.cli.standard_input import is_terminal
from voicecli.cli.standard_output import columns
from voicecli.cli.wrapping import wrapped
from voicecli.config import RealtimeConfig
from voicecli.errors import AuthenticationError, ConfigurationError, RealtimeError
from voicecli.ports import Provider
from voicecli.settings.edit import change_entries
from voicecli.settings.file import SettingsFile, settings_path
from voicecli.settings.folder import exclusively
from voicecli.settings.keys import has_key, store_key, stored_keys
from voicecli.settings.loading import PROVIDER
from voicecli.terminal.printable import printable

__all__ = ["setup"]

_ATTEMPTS = 3
_CHECK_S = 5.0


def setup() -> None:
    """Choose who answers, store the key, and try the microphone: three questions."""
    if not (is_terminal() and sys.stdout.isatty()):
        raise ConfigurationError(
            "`voice setup` asks questions, which needs a terminal.",
            advice="In scripts: `voice config set provider NAME`, and `voice keys set NAME < FILE`.",
        )
    # What could not be saved is told before anything is asked.
    SettingsFile.read()
    stored_keys()
    with exclusively():
        pass
    try:
        _say("Three questions. Ctrl-C leaves everything as it is.")
        provider = _ask_provider()
        key = _ask_key(provider)
        _try_microphone()
    except (KeyboardInterrupt, typer.Abort):
        typer.echo("\nNothing was changed.", err=True)
        raise typer.Abort from None
    with _uninterrupted():
        _save(provider, key)


def _ask_provider() -> Provider:
    providers = every_provider()
    # What works at once comes first, and of that what needs no key.
    providers.sort(key=lambda provider: (not provider.is_configured(), bool(provider.key_url)))
    _head("1. Who is to answer?")
    width = max(len(provider.title) for provider in providers)
    for number, provider in enumerate(providers, 1):
        _say(f"{number}  {provider.title:<{width}}  {_state(provider)}", indent=2, hanging=width + 7)
    names = [name for provider in providers for name in (provider.name, *provider.aliases)]
    while True:
        answer = str(typer.prompt("  Number", default="1")).strip().lower()
        if answer.isdecimal() and len(answer) < 5 and 1 <= int(answer) <= len(providers):
            return providers[int(answer) - 1]
        if answer in names:
            return next(provider for provider in providers if answer in (provider.name, *provider.aliases))
        _say(f"Type a number from 1 to {len(providers)}.", indent=2)


def _state(provider: Provider) -> str:
    needs = "needs a key" if provider.key_url else "needs no key"
    if not provider.is_configured():
        return needs if provider.key_url else f"{needs}, but more packages"
    if variable := key_variable(provider):
        return f"ready, with {variable}"
    return f"{needs}, which is stored" if provider.key_url else f"{needs}, ready"


def _ask_key(provider: Provider) -> str | None:
    """The key to store, or None."""
    _head("2. The key")
    if not provider.key_url:
        _say(f"{provider.title} needs none.", indent=2)
        if not provider.is_configured():
            _say(provider.setup_advice, indent=2)
        return None
    if variable := key_variable(provider):
        _say(f"It comes from the variable {variable}.", indent=2)
        return None
    _say(f"You get one at {provider.key_url}", indent=2)
    if has_key(provider.name):
        _say("One is stored. Enter keeps it.", indent=2)
    else:
        _say("Enter leaves it for later.", indent=2)
    for _ in range(_ATTEMPTS):
        given = _paused_prompt(provider)
        if not given:
            return None
        try:
            key = clean_key(given, provider)
        except ConfigurationError as error:
            _say(str(error), indent=2)
            continue
        if _is_accepted(provider, key):
            return key
    _say(f"Later: voice keys set {provider.name}", indent=2)
    return None


def _paused_prompt(provider: Provider) -> str:
    sys.stderr.write("  ")
    sys.stderr.flush()
    return ask_for_key(provider).strip()


def _is_accepted(provider: Provider, key: str) -> bool:
    """Ask the provider; False when it refuses the key."""
    if provider.fetch_models is None:
        return True
    typer.echo("  Checking it ... ", nl=False)
    try:
        asyncio.run(provider.fetch_models(replace(RealtimeConfig(), api_key=key, connect_timeout_s=_CHECK_S)))
    except AuthenticationError as error:
        typer.echo("refused.")
        _say(printable(error.message).replace(key, "..."), indent=2)
        return False
    except RealtimeError as error:
        typer.echo("not possible now.")
        _say(f"{printable(error.message).replace(key, '...')} It is taken as it is.", indent=2)
        return True
    typer.echo("it works.")
    return True


def _try_microphone() -> None:
    _head("3. The microphone")
    if not typer.confirm("  Try it now? You speak, and hear yourself.", default=True):
        return
    try:
        test_audio(device_of_settings("input-device"), device_of_settings("output-device"))
    except typer.Exit:  # it has told what is wrong
        _say("Another one: voice config set input-device NAME (voice list-devices).", indent=2)
    except RealtimeError as error:
        _say(printable(f"{error.message} {error.advice}"), indent=2)
        _say("Text and recordings work without: voice send-text, voice chat --input FILE.", indent=2)


def _save(provider: Provider, key: str | None) -> None:
    typer.echo()
    if key is not None:
        _say(told_where(provider, *store_key(provider.name, key)))
    change_entries({PROVIDER.name: provider.name})
    _say(f"{provider.title} is set as the provider in {settings_path()}.")
    typer.echo()
    if provider.is_configured():
        _say("Now talk: voice")
    elif provider.key_url:
        _say(f"What is missing is the key: voice keys set {provider.name}")
    else:
        _say(f"What is missing: {provider.setup_advice} Then talk: voice")


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Keep Ctrl-C from coming between what belongs together; it lasts some ms, or 2 s with a keyring that hangs."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _head(text: str) -> None:
    typer.echo()
    typer.secho(text, bold=True)


def _say(text: str, *, indent: int = 0, hanging: int | None = None) -> None:
    first, others = " " * indent, " " * min(indent if hanging is None else hanging, 30)
    for line in wrapped(text, max(columns(), 20), first, others):
        typer.echo(line)
