"""The models of a server such as Ollama, LM Studio or llama.cpp: which can hold a conversation, the best one first."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

__all__ = ["Fetch", "ServerModels", "best_first", "look_at", "model_names"]

Fetch = Callable[[str], Awaitable[Any]]
"""Gets the JSON at a path below the server's root; None where there is none."""

_NOT_FOR_CHAT = re.compile(r"embed|rerank|minilm|whisper|(^|[-_/:])(bert|bge|e5|gte|tts|clip|ocr|guard\d*)([-_.:]|$)")
_INSTRUCT = re.compile(r"instruct|assistant|(^|[-_/:])(chat|it)([-_.:]|$)")
# Raw text, reasoning that cannot be turned off, programs: not for talking.
_LAST = re.compile(r"think|reason|coder|(^|[-_/:])(base|text|r1|qwq|code|math)([-_.:]|$)")
_EMBEDDING_FAMILIES = ("bert", "nomic-bert", "nomic-bert-moe")


@dataclass(frozen=True, slots=True)
class ServerModels:
    """The models of a server that was recognised.

    Attributes:
        title: its program.
        names: those that can hold a conversation, the best first; none of them runs elsewhere as far as is told.
        loaded: whether the first is in memory.
    """

    title: str
    names: tuple[str, ...]
    loaded: bool


@dataclass(frozen=True, slots=True)
class _Model:
    name: str
    loaded: bool


async def look_at(fetch: Fetch, listing: Any = None) -> ServerModels | None:
    """Recognise a server by what it says of its models; None if it is none of those known.

    It is asked for lists only.

    Args:
        listing: the answer to `v1/models`, where it is known already.
    """
    if listing is None:
        listing = await fetch("v1/models")
    if not isinstance(listing, dict) or listing.get("object") != "list":
        return None
    entries = _objects(listing.get("data"))
    if entries and all(entry.get("owned_by") == "llamacpp" for entry in entries):
        return _ranked("llama.cpp", (_of_llama_cpp(entry) for entry in entries))
    tags, running, native = await asyncio.gather(fetch("api/tags"), fetch("api/ps"), fetch("api/v0/models"))
    if (models := _of_ollama(tags, running)) is not None:
        return _ranked("Ollama", models)
    models = _of_lm_studio(native)
    if models is None:
        models = _of_newer_lm_studio(await fetch("api/v1/models"))
    return None if models is None else _ranked("LM Studio", models)


def best_first(names: Iterable[str]) -> list[str]:
    """Names of models, those that follow instructions first; without those that hold no conversation."""
    return sorted((name for name in names if not _NOT_FOR_CHAT.search(name.lower())), key=_rank)


def model_names(listing: Any) -> list[str]:
    """The names in a list of models, in whatever form a server writes it."""
    if isinstance(listing, dict):
        listing = listing.get("data") or listing.get("models")
    if not isinstance(listing, list):
        return []
    entries = [entry.get("id") or entry.get("name") if isinstance(entry, dict) else entry for entry in listing]
    return [entry for entry in entries if isinstance(entry, str) and entry]


def _rank(name: str) -> int:
    name = name.lower()
    if _INSTRUCT.search(name):
        return 0
    return 2 if _LAST.search(name) else 1


def _ranked(title: str, models: Iterable[_Model]) -> ServerModels:
    fit = [model for model in models if not _NOT_FOR_CHAT.search(model.name.lower())]
    fit.sort(key=lambda model: (not model.loaded, _rank(model.name)))
    return ServerModels(title, tuple(model.name for model in fit), bool(fit) and fit[0].loaded)


def _of_llama_cpp(entry: dict[str, Any]) -> _Model:
    """A model of llama.cpp; one that serves several tells which are loaded."""
    status = entry.get("status")
    state = status.get("value") if isinstance(status, dict) else "loaded"
    return _Model(_text(entry, "id"), state in ("loaded", "sleeping"))


def _of_ollama(tags: Any, running: Any) -> list[_Model] | None:
    listed = tags.get("models") if isinstance(tags, dict) else None
    if not isinstance(listed, list) or not all("digest" in entry for entry in _objects(listed)):
        return None
    loaded = {_text(entry, "name") for entry in _objects(running.get("models") if isinstance(running, dict) else None)}
    return [
        _Model(name, name in loaded)
        for entry in _objects(listed)
        if (name := _text(entry, "name", "model")) and _runs_here(entry, name) and _chats(entry)
    ]


def _runs_here(entry: dict[str, Any], name: str) -> bool:
    """False for a model that Ollama lists, but has computed elsewhere."""
    tag = name.rpartition(":")[2]
    elsewhere = entry.get("remote_host") or entry.get("remote_model")
    return not elsewhere and tag != "cloud" and not tag.endswith("-cloud")


def _chats(entry: dict[str, Any]) -> bool:
    can, details = entry.get("capabilities"), entry.get("details")
    if isinstance(can, list) and can and "completion" not in can:
        return False
    return not isinstance(details, dict) or details.get("family") not in _EMBEDDING_FAMILIES


def _of_lm_studio(answer: Any) -> list[_Model] | None:
    entries = _objects(answer.get("data") if isinstance(answer, dict) else None)
    if not entries or not all("type" in entry and "state" in entry for entry in entries):
        return None
    return [
        _Model(_text(entry, "id"), entry["state"] == "loaded") for entry in entries if entry["type"] in ("llm", "vlm")
    ]


def _of_newer_lm_studio(answer: Any) -> list[_Model] | None:
    entries = _objects(answer.get("models") if isinstance(answer, dict) else None)
    if not entries or not all("type" in entry and "loaded_instances" in entry for entry in entries):
        return None
    return [_Model(_text(entry, "key"), bool(entry["loaded_instances"])) for entry in entries if entry["type"] == "llm"]


def _objects(value: Any) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _text(entry: dict[str, Any], *keys: str) -> str:
    return next((entry[key] for key in keys if isinstance(entry.get(key), str)), "")
