"""Prompts that a model's chat template makes: llama.cpp tells them over its HTTP server only."""

import contextlib
from typing import Any

import httpx

__all__ = ["PromptTemplates"]

# Filling in a template takes milliseconds; a server that hangs is not waited for.
_TIMEOUT_S = 2.0
_UNIX = "unix://"
_MARK = "[voicecli: the end of the text]"


class PromptTemplates:
    """The chat template of a model that a llama.cpp server in this process holds. Blocks.

    Args:
        address: the server's: unix://PATH or http://HOST:PORT.
        key: its API key.
    """

    def __init__(self, address: str, key: str) -> None:
        socket = address.removeprefix(_UNIX) if address.startswith(_UNIX) else None
        # A transport of its own, so that no proxy of the environment's gets in between.
        self._client = httpx.Client(
            base_url="http://localhost" if socket else address,
            headers={"Authorization": f"Bearer {key}"},
            timeout=_TIMEOUT_S,
            transport=httpx.HTTPTransport(uds=socket),
            trust_env=False,
        )

    def open_prompt(self, messages: list[dict[str, Any]]) -> str | None:
        """The prompt for these messages up to the end of the last one's text; None where that cannot be told."""
        *before, last = messages
        # The text alone may stand in the template, too: "is" in "assistant".
        marked = [*before, last | {"content": f"{last['content']}{_MARK}"}]
        with contextlib.suppress(httpx.HTTPError, ValueError, KeyError, TypeError):
            prompt = str(self._client.post("/apply-template", json={"messages": marked}).json()["prompt"])
            text, found, _ = prompt.partition(_MARK)
            return text if found and last["content"] else None
        return None

    def close(self) -> None:
        """Give the connection back."""
        self._client.close()
