"""Language models behind an OpenAI-compatible chat endpoint: Ollama, LM Studio, llama.cpp, vLLM and others."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from functools import cached_property
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
from voicecli.events import CONTENT_FILTER, Notice, Usage
from voicecli.pricing import with_cost
from voicecli.providers.local.chat_chunk import ChunkParts, WholeCharacters, read_chunk, reason_of
from voicecli.providers.local.chat_model import Delta, Finish, Message, Thought
from voicecli.providers.local.chat_request import ChatRequests, for_ollama
from voicecli.providers.local.chat_stream import Ended, not_a_chat_endpoint, read_chunks
from voicecli.providers.local.server_models import ServerModels, best_first, look_at, model_names
from voicecli.providers.local.settings import LocalSettings
from voicecli.providers.local.setup import is_loopback, model_at_endpoint
from voicecli.providers.local.tool_call_parts import ToolCallParts
from voicecli.settings.keys import stored_key
from voicecli.threads import run_in_thread
from voicecli.tls import tls_context
from voicecli.tools import ToolSchema

__all__ = ["EndpointModel"]


class EndpointModel:
    """ChatModel behind an endpoint, streamed, with its native tool calls."""

    tools = True
    examples: Sequence[Message] = ()
    # What servers hold varies and is not told; Ollama drops what is too much, others have more.
    context_tokens = 8192

    def __init__(self, client: httpx.AsyncClient, config: RealtimeConfig, address: str) -> None:
        self.name = model_at_endpoint(config) or ""
        self.notices: tuple[Notice, ...] = ()  # for the user, about the choice of the model
        self._client = client
        self._config = config
        self._address = address
        self._server: ServerModels | None = None
        self._native = False  # whether Ollama's own format is used, where the common one does not stop the thinking

    @classmethod
    async def connect(cls, url: str, config: RealtimeConfig) -> "EndpointModel":
        """Connect, when the endpoint answers and has the model.

        Without `llm_model` the only one it has is taken; of several the one that is in memory, or else one that follows
        instructions, where the server is known to run them itself or is on this machine.

        Raises:
            RealtimeConnectionError: it does not answer (AuthenticationError: it refuses the key).
            ConfigurationError: it does not have the model, or none is named and none can be chosen; or the URL has a
                query.
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
        own = config.own(LocalSettings)
        # A stored key goes only where the user has sent us, and not to whatever answers on this machine.
        key = own.llm_api_key
        if not key and url in (own.llm, config.model):
            key = await run_in_thread(stored_key, "local")
        if key:
            key = checked_key(key, "the endpoint", advice="Set llm_api_key (VOICE_LLM_API_KEY) to one it knows.")
        client = httpx.AsyncClient(
            base_url=base.copy_with(userinfo=b""),  # httpx logs URLs
            auth=(base.username, base.password) if base.userinfo else None,
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(config.response_timeout_s, connect=config.connect_timeout_s),
            # To load certificates takes 40 ms, and no redirect is followed to where they matter.
            verify=tls_context() if base.scheme == "https" else False,
            trust_env=not is_loopback(base.host),  # a proxy cannot reach this machine's own servers
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
                raise self._refused(response, response.content)
            listing = _parsed(response)
        names = model_names(listing)
        self._server = await self._look_at_server(listing)
        if self.name:
            # Ollama lists "llama3.2:latest" and also answers to "llama3.2".
            if names and not any(name in (self.name, f"{self.name}:latest") for name in names):
                raise ConfigurationError(
                    f"llm_model: {self._address} has no model {self.name!r}.", advice=f"It has: {_listed(names)}."
                )
            return self.name
        if self._server is not None:
            fit = list(self._server.names)
        else:
            fit = best_first(names)
            if len(fit) > 1 and not is_loopback(self._client.base_url.host):
                fit = []  # which may cost money
        if len(names) == 1 and not fit:
            fit = names
        if not fit:
            raise ConfigurationError(
                f"llm_model: which model of {self._address}?",
                advice=f"Name one of: {_listed(names)}." if names else "Name one: --llm-model NAME.",
            )
        if len(names) > 1:
            self.notices = (
                Notice(
                    "language_model", f"Of the models of {self._address}, {fit[0]} answers. Another: --llm-model NAME"
                ),
            )
        return fit[0]

    async def _look_at_server(self, listing: Any) -> ServerModels | None:
        """Recognise the server, where it may be a known one."""
        if not isinstance(listing, dict) or not self._client.base_url.path.endswith("/v1/"):
            return None
        root = self._client.base_url.join("../")

        async def fetch(path: str) -> Any:
            try:
                return _parsed(await self._client.get(root.join(path), timeout=self._config.connect_timeout_s))
            except httpx.HTTPError:
                return None

        return await look_at(fetch, listing)

    async def read_ahead(self, messages: Sequence[Message]) -> None:
        """Nothing: it would be a question to be paid for."""

    async def warm_up(self, messages: Sequence[Message]) -> None:
        """Let a server that loads models when they are needed load this one, and read the constant head.

        Elsewhere this would be a question to be paid for. If Ollama's model thinks though it was asked not to, it is
        asked in Ollama's own format from now on.

        Raises:
            RealtimeError: it cannot answer. That it takes long to load is none.
        """
        if self._server is None:
            return
        stream = self.stream([*messages, Message("user", "Hello.")])
        try:
            async for delta in stream:
                self._native = (
                    isinstance(delta, Thought)
                    and self._server.title == "Ollama"
                    and self._config.reasoning_effort is None
                )
                break
        except RealtimeConnectionError as error:
            if not isinstance(error.__cause__, httpx.TimeoutException | TimeoutError):
                raise
        finally:
            await stream.aclose()

    async def stream(
        self, messages: Sequence[Message], tools: Sequence[ToolSchema] = ()
    ) -> AsyncGenerator[Delta, None]:
        calls = ToolCallParts([tool.name for tool in tools])
        ended, usage, finish, came = Ended(), Usage(), "", False
        whole = WholeCharacters()
        with self._errors_translated():
            async with (
                self._post(messages, tools) as (response, notices),
                contextlib.aclosing(read_chunks(response, ended, address=self._address)) as chunks,
            ):
                clock = asyncio.get_running_loop()
                deadline = clock.time() + self._config.response_timeout_s
                while (chunk := await _next(chunks, deadline)) is not None:
                    parts = self._parts(chunk)
                    if parts.reasoned:
                        yield Thought()
                    if text := whole.push(parts.text):
                        yield text
                    calls.add(parts.calls)
                    if parts.text or parts.calls or parts.reasoned:
                        came, deadline = True, clock.time() + self._config.response_timeout_s
                    usage, finish = parts.usage or usage, parts.finish or finish
        self._check_end(ended, finish, came=came)
        for call in calls.calls():
            yield call
        if calls.nameless and not calls.calls():
            raise ProtocolError(f"{self._address} sent a call of a tool without its name.")
        filtered = finish == CONTENT_FILTER
        yield Finish(self._priced(usage), finish == "length" or filtered, CONTENT_FILTER if filtered else "", notices)

    def _priced(self, usage: Usage) -> Usage:
        """The usage with its cost; without prices it is known to be none on this machine only."""
        given = self._config.prices.get(self.name)
        return usage if given is None and is_loopback(self._client.base_url.host) else with_cost(usage, given)

    @contextlib.asynccontextmanager
    async def _post(
        self, messages: Sequence[Message], tools: Sequence[ToolSchema]
    ) -> AsyncIterator[tuple[httpx.Response, tuple[Notice, ...]]]:
        """The response to the question, and what the user is to know of how it was asked."""
        while True:
            body = self._requests.body(messages, tools)
            if self._native:
                sent, where = for_ollama(body), self._client.base_url.join("../api/chat")
            else:
                sent, where = body, self._client.base_url.join("chat/completions")
            async with self._client.stream("POST", where, json=sent) as response:
                if response.is_success:
                    yield response, self._requests.accepted()
                    return
                answer = await _beginning(response)
            refused = self._refused(response, answer)
            if self._native:
                self._native = False  # it can only be had as it was
                continue
            if not self._requests.give_up(body, response.status_code, refused.message):
                raise refused

    @cached_property
    def _requests(self) -> ChatRequests:
        return ChatRequests(self._config, self.name)

    def _parts(self, chunk: dict[str, Any]) -> ChunkParts:
        if error := chunk.get("error"):
            raise self._failed(error)
        try:
            parts = read_chunk(chunk)
        except (TypeError, ValueError) as error:
            raise ProtocolError(f"{self._address} sent an answer in a form of its own.") from error
        if parts.finish == "error":
            raise self._failed(chunk)
        if not (parts.text or parts.calls or parts.finish) and (chunk.get("object") == "error" or "detail" in chunk):
            raise self._failed(chunk)
        return parts

    def _failed(self, error: Any) -> RealtimeConnectionError:
        reason = self._shown(reason_of(error)) or "no reason given"
        return RealtimeConnectionError(f"{self._address} failed: {reason}.", retryable=True)

    def _check_end(self, ended: Ended, finish: str, *, came: bool) -> None:
        if finish or ended.by_mark:
            return
        if not ended.in_order:
            raise RealtimeConnectionError(f"{self._address} broke off its answer.", retryable=True)
        if not came:
            raise not_a_chat_endpoint(self._address)

    @contextlib.contextmanager
    def _errors_translated(self) -> Iterator[None]:
        try:
            yield
        except httpx.ConnectError as error:
            raise RealtimeConnectionError(
                f"Nothing answers at {self._address}.", advice="Start that server, or correct --llm.", retryable=True
            ) from error
        except (httpx.TimeoutException, TimeoutError) as error:
            raise RealtimeConnectionError(f"{self._address} took too long to answer.", retryable=True) from error
        except httpx.HTTPError as error:
            reason = self._shown(reason_of(str(error))) or type(error).__name__
            raise RealtimeConnectionError(f"{self._address} broke off: {reason}.", retryable=True) from error

    def _refused(self, response: httpx.Response, body: bytes) -> RealtimeConnectionError:
        status = response.status_code
        reason = self._shown(_reason(response, body))
        said = f": {reason}" if reason else ""
        if status in (401, 403):
            return AuthenticationError(
                f"{self._address} refuses the key{said}.",
                advice="Set llm_api_key (VOICE_LLM_API_KEY) to one it knows, or run `voice keys set local`.",
                code=str(status),
            )
        if status == 404:
            return RealtimeConnectionError(
                f"{self._address} does not know the model {self.name!r}, or that address{said}.",
                advice="Correct --llm-model; the URL usually ends in /v1.",
                code="404",
            )
        if status == 429:
            return QuotaExceededError(f"{self._address} has had too many requests{said}.", code="429", retryable=True)
        if response.has_redirect_location:
            return RealtimeConnectionError(
                f"{self._address} leads to another address.", advice="Give that to --llm.", code=str(status)
            )
        return RealtimeConnectionError(
            f"{self._address} answered with HTTP status {status}{said}.", code=str(status), retryable=status >= 500
        )

    def _shown(self, text: str) -> str:
        """A server's words, without the key that it may repeat."""
        authorization = self._client.headers.get("Authorization", "").removeprefix("Bearer ")
        return text.replace(authorization, "(key)") if authorization else text

    async def aclose(self) -> None:
        await self._client.aclose()


_ERROR_BYTES = 65_536


def _parsed(response: httpx.Response) -> Any:
    """The JSON of a list of models; None where it is none: not every server has one, and the first question tells."""
    try:
        return response.json() if response.is_success else None
    except (ValueError, RecursionError):
        return None


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:20])


def _no_address() -> ConfigurationError:
    return ConfigurationError("llm: the URL is not valid.", advice="Give one such as http://localhost:11434/v1.")


async def _next(chunks: AsyncGenerator[dict[str, Any], None], deadline: float) -> dict[str, Any] | None:
    async with asyncio.timeout_at(deadline):  # signs of life may come for ever
        return await anext(chunks, None)


async def _beginning(response: httpx.Response) -> bytes:
    """As much of an error's body as is worth reading."""
    body = b""
    async for block in response.aiter_bytes():
        body += block
        if len(body) > _ERROR_BYTES:
            break
    return body


def _reason(response: httpx.Response, body: bytes) -> str:
    text = body.decode("utf-8", "replace")
    try:
        return reason_of(json.loads(text))
    except (ValueError, RecursionError):
        is_page = "html" in response.headers.get("content-type", "") or text.lstrip().startswith("<")
        return "" if is_page else reason_of(text)
