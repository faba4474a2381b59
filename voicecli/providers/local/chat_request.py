"""Requests to a chat endpoint: what every one takes, what most take, and what is left out for those that do not."""

import json
from collections.abc import Sequence
from typing import Any

from voicecli.config import RealtimeConfig
from voicecli.events import Notice
from voicecli.providers.local.chat_model import Message, tool_json
from voicecli.tools import ToolSchema

__all__ = ["ChatRequests", "for_ollama"]

_TOOL_CHOICES = ("auto", "none", "required")
# Thinking is a silence in a conversation. Ollama and OpenAI know the first of these, llama.cpp, vLLM and SGLang the
# second; others ignore both, or refuse them.
_NO_THINKING: dict[str, Any] = {"reasoning_effort": "none", "chat_template_kwargs": {"enable_thinking": False}}
# In the order in which they are given up when an endpoint refuses a request without saying why.
_GIVEN_UP = (*_NO_THINKING, "stream_options")
_BAD_REQUEST = (400, 422)
_UNSUPPORTED = ("support", "unknown", "unrecognized", "unexpected", "not permitted", "not allowed", "require", "extra")


class ChatRequests:
    """Makes requests, and learns what of them an endpoint refuses.

    Args:
        model: its name there.
    """

    def __init__(self, config: RealtimeConfig, model: str) -> None:
        self._config = config
        self._model = model
        self._left_out: frozenset[str] = frozenset()
        self._trial: frozenset[str] = frozenset()

    def body(self, messages: Sequence[Message], tools: Sequence[ToolSchema]) -> dict[str, Any]:
        """The request, without what was refused."""
        config = self._config
        request: dict[str, Any] = {
            "model": self._model,
            "messages": [message.to_json() for message in messages],
            "stream": True,
            "stream_options": {"include_usage": True},
            **(_NO_THINKING if config.reasoning_effort is None else {"reasoning_effort": config.reasoning_effort}),
        }
        if config.temperature is not None:
            request["temperature"] = config.temperature
        if config.max_output_tokens is not None:
            request["max_tokens"] = config.max_output_tokens
            if "max_tokens" in self._trial:
                request["max_completion_tokens"] = config.max_output_tokens
        if tools:
            request["tools"] = [tool_json(tool) for tool in tools]
            named = {"type": "function", "function": {"name": config.tool_choice}}
            request["tool_choice"] = config.tool_choice if config.tool_choice in _TOOL_CHOICES else named
        return {name: value for name, value in request.items() if name not in self._trial}

    def give_up(self, body: dict[str, Any], status: int, reason: str) -> bool:
        """Leave out of the next request what the endpoint refused with this status and reason.

        Returns:
            Whether there is something to leave out. If not, all of it is sent again the next time.
        """
        named = self._named(body, reason.lower())
        if not named and status in _BAD_REQUEST:
            named = next(({name} for name in _GIVEN_UP if name in body), set())
            if named & _NO_THINKING.keys():
                named = set(_NO_THINKING)
        if not named or (status not in _BAD_REQUEST and status < 500):
            self._trial = self._left_out
            return False
        self._trial |= named
        return True

    def accepted(self) -> tuple[Notice, ...]:
        """The request went through: remember what was left out. What of it the user is to know."""
        news = self._trial - self._left_out
        self._left_out = self._trial
        notices = []
        if "tools" in news:
            notices.append(Notice("tools_unsupported", f"{self._model} cannot call tools there; it answers without."))
        if "temperature" in news:
            notices.append(Notice("setting_ignored", f"{self._model} does not take a temperature there."))
        if "reasoning_effort" in news and self._config.reasoning_effort is not None:
            notices.append(Notice("setting_ignored", f"{self._model} does not take a reasoning effort there."))
        return tuple(notices)

    def _named(self, body: dict[str, Any], reason: str) -> set[str]:
        """The parts of the request that the reason names as not supported."""
        if not any(word in reason for word in _UNSUPPORTED):
            return set()
        if "max_completion_tokens" in reason and "max_tokens" in body:
            return {"max_tokens"}
        for name in (*_GIVEN_UP, "tool_choice", "temperature"):
            if name in reason and name in body:
                return {name} | (set(_NO_THINKING) if name in _NO_THINKING else set())
        if "think" in reason and _NO_THINKING.keys() & body.keys():
            return set(_NO_THINKING)
        return {"tools", "tool_choice"} if "tool" in reason and "tools" in body else set()


def for_ollama(body: dict[str, Any]) -> dict[str, Any]:
    """A request in Ollama's own format, in which it is told not to think."""
    request: dict[str, Any] = {name: body[name] for name in ("model", "stream", "tools") if name in body}
    request["messages"] = [_ollama_message(message) for message in body["messages"]]
    request["think"] = False
    names = {"temperature": "temperature", "max_tokens": "num_predict"}
    if options := {theirs: body[ours] for ours, theirs in names.items() if ours in body}:
        request["options"] = options
    return request


def _ollama_message(message: dict[str, Any]) -> dict[str, Any]:
    """A message in which the arguments of calls are objects, not JSON in strings."""
    if "tool_calls" not in message:
        return message
    calls = [{"function": {**call["function"], "arguments": _object(call)}} for call in message["tool_calls"]]
    return {**message, "tool_calls": calls}


def _object(call: dict[str, Any]) -> dict[str, Any]:
    try:
        arguments = json.loads(call["function"]["arguments"])
    except ValueError:  # as the model wrote it
        return {}
    return arguments if isinstance(arguments, dict) else {}
