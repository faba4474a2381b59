"""The offline engine's part of `voice doctor`: which language model would answer, and what it still has to fetch."""

import asyncio
from collections.abc import Callable, Iterator

from voicecli.audio import recogniser_files
from voicecli.config import RealtimeConfig
from voicecli.errors import ConfigurationError
from voicecli.finding import Finding
from voicecli.providers.local.model_file import is_there
from voicecli.providers.local.server_search import LocalServer, addresses, find_servers, search_limit
from voicecli.providers.local.settings import BUILT_IN
from voicecli.providers.local.setup import chosen_llm, chosen_voice

__all__ = ["findings_of"]

_MOST_S = 0.5  # though VOICECLI_LLM_SEARCH_S may allow more


def findings_of(config: RealtimeConfig) -> list[Finding]:
    """The findings for the settings of a conversation. Blocks while servers on this machine are asked: 0.2 s."""
    return [*_settings(config), _recogniser(), *_servers(), _built_in()]


def _settings(config: RealtimeConfig) -> Iterator[Finding]:
    for choose in (chosen_llm, chosen_voice):
        try:
            choose(config)
        except ConfigurationError as error:
            what = "Language model" if choose is chosen_llm else "Offline voice"
            yield Finding(what, error.message, "fail", error.advice, shared="the one that is set cannot be used")


def _servers() -> Iterator[Finding]:
    name = "Model servers"
    try:
        where = addresses()
        limit_s = min(search_limit(), _MOST_S)
        servers = asyncio.run(find_servers(where, limit_s=limit_s))
    except ConfigurationError as error:
        yield Finding(name, error.message, "fail", error.advice, shared="a variable for the search is wrong")
        return
    if not where:
        yield Finding(name, "none is looked for (VOICECLI_LLM_PORTS is empty)")
    elif not servers:
        yield Finding(name, f"none on this machine: {', '.join(where)} did not answer within {limit_s:g} s")
    for server in servers:
        yield Finding(name, _described(server), shared=f"{server.title}: {len(server.models)} models")


def _described(server: LocalServer) -> str:
    first, *others = server.models
    more = f", and {len(others)} more" if others else ""
    return f"{server.title} at {server.url}: {first}{' (in memory)' if server.loaded else ''}{more}"


def _recogniser() -> Finding:
    return _file("Speech recogniser", recogniser_files.is_there, "56 MB")


def _built_in() -> Finding:
    return _file("Built-in model", is_there, "98 MB")


def _file(name: str, is_there: Callable[[], bool], size: str) -> Finding:
    try:
        if is_there():
            return Finding(name, "is there")
    except ConfigurationError as error:  # there is no place for it
        return Finding(name, error.message, "fail", error.advice)
    return Finding(name, f"is fetched when it is first needed ({size})", fix=f"voice models pull {BUILT_IN}")
