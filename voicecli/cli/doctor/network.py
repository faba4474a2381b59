"""Network, for `--online` only: whether each provider is reached and takes the key, and this computer's clock."""

import asyncio
import dataclasses
from collections.abc import Iterator
from functools import partial
from urllib.parse import urlsplit

from voicecli.cli.doctor.area import Scope, config_of, of_provider
from voicecli.config import RealtimeConfig
from voicecli.errors import AuthenticationError, ConfigurationError, RealtimeError
from voicecli.finding import Finding, Verdict
from voicecli.ports import Provider
from voicecli.threads import TooLateError, call_within

__all__ = ["look_at_network"]

_TIMEOUT_S = 5.0
_STEP_S = 8.0  # with the search for the name, which has no limit of its own
_MOST_SKEW_S = 60.0  # a token or a certificate may already be refused; the header has whole seconds


def look_at_network(scope: Scope) -> Iterator[Finding]:
    """Ask the providers that are set up, or the one that is named, and nobody else."""
    asked = False
    for provider in scope.providers():
        if scope.provider is None and not provider.is_configured():
            continue
        found = of_provider(provider, partial(_one, provider))
        asked = asked or bool(found)
        yield from found
    if not asked:
        yield Finding("Network", "no provider that is set up leads to another machine")


def _one(provider: Provider) -> Iterator[Finding]:
    """The findings about a provider; none where a conversation stays on this machine."""
    from voicecli.providers.reachability import ask_server, proxy_for

    config = config_of(provider)
    if not (address := provider.address(config)):
        return
    if proxy := urlsplit(proxy_for(address)).hostname:
        yield Finding(provider.name, f"through the proxy {proxy}", shared="through a proxy")
    try:
        answer = call_within(_STEP_S, lambda: ask_server(address, timeout_s=_TIMEOUT_S))
    except TooLateError:
        told = f"does not answer within {_STEP_S:.0f} s"
        yield Finding(provider.name, told, "fail", "Check the network, and the name server.")
        return
    except RealtimeError as error:
        verdict: Verdict = "warn" if isinstance(error, ConfigurationError) else "fail"
        yield Finding(provider.name, error.message, verdict, error.advice, shared="is not reached")
        return
    told = f"answers, {answer.tls or 'without TLS'}, after {answer.took_ms:.0f} ms"
    yield Finding(provider.name, f"{answer.place} {told}", shared=told)
    if answer.skew_s is not None:
        yield _clock(provider, answer.skew_s)
    if provider.fetch_models is not None and provider.is_configured():
        yield _key(provider, config)


def _clock(provider: Provider, skew_s: float) -> Finding:
    if abs(skew_s) <= _MOST_SKEW_S:
        return Finding("Clock", f"as that of {provider.name}, within {max(abs(skew_s), 1):.0f} s")
    told = f"{_duration(abs(skew_s))} {'ahead of' if skew_s > 0 else 'behind'} that of {provider.name}"
    return Finding("Clock", told, "warn", "Set it: sudo timedatectl set-ntp true (or in the system's settings)")


def _duration(seconds: float) -> str:
    for size, unit in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"


def _key(provider: Provider, config: RealtimeConfig) -> Finding:
    assert provider.fetch_models is not None
    fetch = provider.fetch_models
    brief = dataclasses.replace(config, connect_timeout_s=_TIMEOUT_S)
    try:
        models = call_within(_STEP_S, lambda: asyncio.run(fetch(brief)))
    except TooLateError:
        return Finding(provider.name, f"gives no list of models within {_STEP_S:.0f} s", "warn")
    except AuthenticationError as error:
        return Finding(provider.name, error.message, "fail", error.advice, shared="refuses the key")
    except RealtimeError as error:
        return Finding(provider.name, error.message, "warn", error.advice, shared="gives no list of models")
    wanted = config.model or provider.default_model
    if models and wanted not in {model.name for model in models}:
        told = f"takes the key, but lists no model {wanted}"
        fix = f"voice list-models {provider.name} --live"
        return Finding(provider.name, told, "warn", fix, shared="takes the key, but lists another model")
    return Finding(provider.name, f"takes the key, and lists {len(models)} models for conversations")
