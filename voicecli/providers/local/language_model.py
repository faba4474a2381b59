"""Loads the language model that the settings name, or the one that a server on this machine has."""

import contextlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from voicecli.config import RealtimeConfig
from voicecli.errors import ConfigurationError, RealtimeError
from voicecli.events import Notice
from voicecli.ports import ConversationSetup
from voicecli.providers.local.chat_endpoint import EndpointModel
from voicecli.providers.local.chat_model import ChatModel, Message
from voicecli.providers.local.downloads.catalogue import known
from voicecli.providers.local.downloads.store import checked_path
from voicecli.providers.local.filtered_model import FilteredModel
from voicecli.providers.local.llama import LlamaModel
from voicecli.providers.local.memory import Memory
from voicecli.providers.local.model_file import ensure_model
from voicecli.providers.local.server_search import LocalServer
from voicecli.providers.local.settings import BUILT_IN, LocalSettings
from voicecli.providers.local.setup import is_url
from voicecli.threads import Worker, run_in_thread

__all__ = ["LanguageModel", "load_language_model", "memory_for"]

_BUILT_IN_PROMPT = "You are a friendly voice assistant. Your answers are spoken, so keep them short."
_PROMPT = f"{_BUILT_IN_PROMPT} Use plain sentences: no lists, no Markdown, no emoji."


@dataclass(frozen=True, slots=True)
class LanguageModel:
    """A language model that is loaded and can answer.

    Attributes:
        unfiltered: the model below the filter of its answers.
        llm: "smollm2", the name of a download, the path of a .gguf file, or an endpoint's URL.
        setup: the conversation's, with the settings that lead to this model.
        notices: about how it was chosen.
    """

    model: ChatModel
    unfiltered: ChatModel
    llm: str
    setup: ConversationSetup
    notices: tuple[Notice, ...] = ()


async def load_language_model(
    setup: ConversationSetup, llm: str | None, servers: Sequence[LocalServer] = ()
) -> LanguageModel:
    """Load the model and warm it up.

    Args:
        llm: as of LanguageModel; None for the model of one of `servers`, or else the built-in one.
        servers: those on this machine, the best first.

    Raises:
        RealtimeError: it cannot be loaded, fetched or reached, or cannot answer.
    """
    if llm is not None:
        return await _load(setup, llm)
    own = setup.config.own(LocalSettings)
    notices: list[Notice] = []
    for server in _with_model(servers, own.llm_model):
        found = replace(
            own,
            llm=server.url,
            llm_model=server.models[0],
            llm_api_key=None,  # that is for an endpoint that the user names
        )
        theirs = replace(setup, config=replace(setup.config, model=None, provider_settings=found))
        try:
            loaded = await _load(theirs, server.url)
        except RealtimeError as error:
            if own.llm_model is not None:
                raise
            notices.append(Notice("language_model", f"{server.title} on this machine is not used: {error.message}"))
            continue
        choice = Notice(
            "language_model",
            f"Language model: {server.models[0]} ({server.title} on this machine). "
            f"Another: --llm-model NAME; the built-in one: --llm {BUILT_IN}",
        )
        return replace(loaded, notices=(*notices, choice))
    return replace(await _load(setup, BUILT_IN), notices=tuple(notices))


def memory_for(setup: ConversationSetup, llm: str, model: ChatModel) -> Memory:
    """The memory that a conversation with this model begins with."""
    prompt = setup.config.system_prompt or (_BUILT_IN_PROMPT if llm == BUILT_IN else _PROMPT)
    head = [Message("system", prompt), *model.examples]
    return Memory(head, setup.history, context_tokens=model.context_tokens)


def _with_model(servers: Sequence[LocalServer], name: str | None) -> Sequence[LocalServer]:
    """The servers that have the model of this name, with it alone; all of them if it is None.

    Raises:
        ConfigurationError: none has it.
    """
    if name is None:
        return servers
    fit = [
        replace(server, models=(model,))
        for server in servers
        for model in server.models
        if model in (name, f"{name}:latest")
    ]
    if not fit:
        there = ", ".join(f"{model} ({server.title})" for server in servers for model in server.models[:20])
        raise ConfigurationError(
            f"llm_model: no server on this machine has a model {name!r}.",
            advice=f"There are: {there}." if there else "Start Ollama, LM Studio or llama.cpp, or name one: --llm URL.",
        )
    return fit


async def _load(setup: ConversationSetup, llm: str) -> LanguageModel:
    config = setup.config
    async with contextlib.AsyncExitStack() as opened:
        inner, notices = await _open(config, llm)
        model = FilteredModel(inner, thinking_timeout_s=config.response_timeout_s)
        opened.push_async_callback(model.aclose)
        await model.warm_up(memory_for(setup, llm, model).messages())
        opened.pop_all()
        return LanguageModel(model, inner, llm, setup, notices)


async def _open(config: RealtimeConfig, llm: str) -> tuple[ChatModel, tuple[Notice, ...]]:
    if is_url(llm):
        endpoint = await EndpointModel.connect(llm, config)
        return endpoint, endpoint.notices
    path = Path(llm)
    if (download := known(llm, "language model")) is not None:
        path = await run_in_thread(checked_path, download)
    elif llm == BUILT_IN:
        fetching, stop = Worker("fetch"), threading.Event()
        try:
            path = await fetching.run(partial(ensure_model, stop=stop))
        finally:
            stop.set()
            await fetching.aclose()
    return await LlamaModel.load(path, temperature=config.temperature, max_tokens=config.max_output_tokens), ()
