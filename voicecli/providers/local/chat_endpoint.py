"""Language models behind an OpenAI-compatible chat endpoint: Ollama, LM Studio, llama.cpp, vLLM and others."""

import contextlib
import ipaddress
from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Any

import httpx

from voicecli.config import RealtimeConfig
from voicecli.credentials import checked_key
from voicecli.errors import (
    AuthenticationError,
    ConfigurationError,
    ProtocolError,
    QuotaExceededError,
    RealtimeConnectionError,
)
from voicecli.events import Usage
from voicecli.providers.fields import error_message, parse_object
from voicecli.providers.local.chat_model import Delta, Finish, Message, ToolCall, tool_json
from voicecli.providers.local.settings import LocalSettings
from voicecli.text import valid_text
from voicecli.tools import ToolSchema

__all__ = ["EndpointModel"]


class EndpointModel:
    """ChatModel behind an endpoint, streamed, with its native tool calls."""

    tools = True
    examples: Sequence[Message] = ()
    # What servers hold varies and is not told; Ollama drops what is too much, others have more.
    context_tokens = 8192

    def __init__(self, client: httpx.AsyncClient, config: RealtimeConfig, address: str) -> None:
        self.name = config.own(LocalSettings).llm_model or ""
        self._client = client
        self._config = config
        self._address = address

    @classmethod
    async def connect(cls, url: str, config: RealtimeConfig) -> "EndpointModel":
        """Connect, when the endpoint answers and has the model; without `llm_model`, take the only one it has.

        Raises:
            RealtimeConnectionError: it does not answer (AuthenticationError: it refuses the key).
            ConfigurationError: it does not have the model, or has several and none is named; or the URL has a query.
        """
        try:
            base = httpx.URL(url.rstrip("/") + "/")
        except httpx.InvalidURL as error:
            raise _no_address() from error
        if not base.host or not 0 < (base.port or 80) < 65_536:
            raise _no_address()
        if "?" in url or "#" in url:
            raise ConfigurationError(
                "llm: the URL has a query, which is not supported.",
                advice="Give it up to the `?` or `#`; a key goes into llm_api_key (VOICE_LLM_API_KEY).",
            )
        key = config.own(LocalSettings).llm_api_key
        if key:
            key = checked_key(key, "the endpoint", advice="Set llm_api_key (VOICE_LLM_API_KEY) to one it knows.")
        client = httpx.AsyncClient(
            base_url=base.copy_with(userinfo=b""),  # httpx logs URLs
            auth=(base.username, base.password) if base.userinfo else None,
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(config.response_timeout_s, connect=config.connect_timeout_s),
            trust_env=not _is_loopback(base.host),  # a proxy cannot reach this machine's own servers
        )
        model = cls(client, config, str(base.copy_with(userinfo=None, query=None)).rstrip("/"))
        try:
            model.name = await model._check_model()
        except BaseException:
            await client.aclose()
            raise
        return model

    async def _check_model(self) -> str:
        with self._errors_translated():
            response = await self._client.get("models", timeout=self._config.connect_timeout_s)
            if response.status_code in (401, 403):
                raise self._refused(response.status_code, response.content)
            try:
                names = [entry["id"] for entry in response.json()["data"]] if response.is_success else []
            except (ValueError, LookupError, TypeError):
                names = []  # not every server lists its models; the first question will tell
        listed = ", ".join(names[:20])
        if self.name:
            # Ollama lists "llama3.2:latest" and also answers to "llama3.2".
            if names and not any(name in (self.name, f"{self.name}:latest") for name in names):
                raise ConfigurationError(
                    f"llm_model: {self._address} has no model {self.name!r}.", advice=f"It has: {listed}."
                )
            return self.name
        if len(names) == 1:
            return str(names[0])
        raise ConfigurationError(
            f"llm_model: which model of {self._address}?",
            advice=f"Name one of: {listed}." if names else "Name one: --llm-model NAME.",
        )

    async def warm_up(self, messages: Sequence[Message]) -> None:
        """Do nothing: the server keeps its own caches."""

    async def stream(
        self, messages: Sequence[Message], tools: Sequence[ToolSchema] = ()
    ) -> AsyncGenerator[Delta, None]:
        answer = _Answer(self._address)
        with self._errors_translated():
            async with self._client.stream("POST", "chat/completions", json=self._request(messages, tools)) as response:
                if response.status_code != 200:
                    raise self._refused(response.status_code, await response.aread())
                if "text/event-stream" not in response.headers.get("content-type", ""):
                    raise ProtocolError(
                        f"{self._address} does not stream its answers.", advice="Is this an OpenAI-compatible endpoint?"
                    )
                async for line in response.aiter_lines():
                    field, _, data = line.partition(":")
                    if field != "data":
                        continue
                    if data.strip() == "[DONE]":
                        answer.done = True
                        break
                    if text := answer.take(data):
                        yield text
        for delta in answer.end():
            yield delta

    def _request(self, messages: Sequence[Message], tools: Sequence[ToolSchema]) -> dict[str, Any]:
        config = self._config
        request: dict[str, Any] = {
            "model": self.name,
            "messages": [message.to_json() for message in messages],
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if config.temperature is not None:
            request["temperature"] = config.temperature
        if config.max_output_tokens is not None:
            request["max_tokens"] = config.max_output_tokens
        if tools:
            request["tools"] = [tool_json(tool) for tool in tools]
            named = {"type": "function", "function": {"name": config.tool_choice}}
            request["tool_choice"] = config.tool_choice if config.tool_choice in _TOOL_CHOICES else named
        return request

    @contextlib.contextmanager
    def _errors_translated(self) -> Any:
        try:
            yield
        except httpx.ConnectError as error:
            raise RealtimeConnectionError(
                f"Nothing answers at {self._address}.", advice="Start that server, or correct --llm.", retryable=True
            ) from error
        except httpx.TimeoutException as error:
            raise RealtimeConnectionError(f"{self._address} took too long to answer.", retryable=True) from error
        except httpx.HTTPError as error:
            raise RealtimeConnectionError(f"{self._address} broke off: {error}.", retryable=True) from error

    def _refused(self, status: int, body: bytes) -> RealtimeConnectionError:
        reason = _shortened(error_message(body))
        said = f": {reason}" if reason else ""
        if status in (401, 403):
            return AuthenticationError(
                f"{self._address} refuses the key{said}.", advice="Set llm_api_key to one it knows.", code=str(status)
            )
        if status == 404:
            return RealtimeConnectionError(
                f"{self._address} does not know the model {self.name!r}, or that address{said}.",
                advice="Correct --llm-model; the URL usually ends in /v1.",
                code="404",
            )
        if status == 429:
            return QuotaExceededError(f"{self._address} has had too many requests{said}.", code="429", retryable=True)
        return RealtimeConnectionError(
            f"{self._address} answered with HTTP status {status}{said}.", code=str(status), retryable=status >= 500
        )

    async def aclose(self) -> None:
        await self._client.aclose()


_TOOL_CHOICES = ("auto", "none", "required")


def _no_address() -> ConfigurationError:
    return ConfigurationError("llm: the URL is not valid.", advice="Give one such as http://localhost:11434/v1.")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _shortened(reason: str) -> str:
    return reason[:300].rstrip(".")


class _Answer:
    """Collects a streamed answer from its chunks.

    Attributes:
        done: whether its end was told.
    """

    def __init__(self, address: str) -> None:
        self.done = False
        self._address = address
        self._usage = Usage()
        self._truncated = False
        self._calls: dict[int, dict[str, str]] = {}
        self._half_pair = ""  # a high surrogate, whose low one comes with the next chunk

    def take(self, data: str) -> str:
        """Take a chunk; its text, possibly "".

        Raises:
            ProtocolError: it is malformed.
            RealtimeConnectionError: it tells of a failure.
        """
        chunk = parse_object(data, self._address)
        if chunk.get("error"):
            reason = _shortened(error_message(data))
            raise RealtimeConnectionError(f"{self._address} failed: {reason}.", retryable=True)
        try:
            self._usage = _usage(chunk) or self._usage
            choice = (chunk.get("choices") or [{}])[0]  # no more than one was asked for
            delta = choice.get("delta") or {}
            text = self._paired(str(delta.get("content") or ""))
            self._collect_calls(delta.get("tool_calls") or [])
            reason = choice.get("finish_reason")
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise ProtocolError(f"{self._address} sent an answer in a form of its own.") from error
        if reason:
            self._truncated, self.done = reason == "length", True
        return text

    def end(self) -> Iterator[Delta]:
        """The calls and the end of the answer. Raises RealtimeConnectionError when the answer was broken off."""
        if not self.done:
            raise RealtimeConnectionError(f"{self._address} broke off its answer.", retryable=True)
        for index, call in sorted(self._calls.items()):
            yield ToolCall(call["id"] or f"call_{index}", call["name"], valid_text(call["arguments"]))
        yield Finish(self._usage, self._truncated)

    def _paired(self, text: str) -> str:
        text, self._half_pair = self._half_pair + text, ""
        if text and "\ud800" <= text[-1] <= "\udbff":
            text, self._half_pair = text[:-1], text[-1]
        return valid_text(text)

    def _collect_calls(self, deltas: list[dict[str, Any]]) -> None:
        calls = self._calls
        for delta in deltas:
            index = delta.get("index", len(calls))
            if index in calls and delta.get("id", calls[index]["id"]) != calls[index]["id"]:
                index = len(calls)  # some servers number every call 0
            call = calls.setdefault(index, {"id": "", "name": "", "arguments": ""})
            function = delta.get("function") or {}
            call["id"] = delta.get("id") or call["id"]
            call["name"] = str(function.get("name") or call["name"])
            call["arguments"] += function.get("arguments") or ""


def _usage(chunk: dict[str, Any]) -> Usage | None:
    counts = chunk.get("usage")
    if not isinstance(counts, dict):
        return None
    details = counts.get("prompt_tokens_details") or {}
    return Usage(
        input_text_tokens=int(counts.get("prompt_tokens") or 0),
        cached_text_tokens=int(details.get("cached_tokens") or 0),
        output_text_tokens=int(counts.get("completion_tokens") or 0),
    )
