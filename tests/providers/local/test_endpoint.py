"""The chat endpoint's client, against a real HTTP server on loopback."""

import asyncio
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.support.serving import serving
from tests.support.settings import config_of
from voicecli.config import RealtimeConfig
from voicecli.errors import (
    AuthenticationError,
    ConfigurationError,
    ProtocolError,
    QuotaExceededError,
    RealtimeConnectionError,
    RealtimeError,
)
from voicecli.events import Usage
from voicecli.pricing import Prices
from voicecli.providers.local.chat_endpoint import EndpointModel
from voicecli.providers.local.chat_model import Delta, Finish, Message, ToolCall
from voicecli.providers.local.settings import LocalSettings
from voicecli.tools import ToolSchema

KEY = "sk-secret-0123456789"
ASK = [Message("system", "Be brief."), Message("user", "Hi")]


class Server(ThreadingHTTPServer):
    """Answers `/v1/models` with `models`, and each question with `reply`: its status, type and pieces."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.models: tuple[int, Any] = (200, {"data": [{"id": "llama:latest"}]})
        self.reply: tuple[int, str, Sequence[str]] = (200, "text/event-stream", ())
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.go_on = threading.Event()
        self.gone = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def stream(self, *chunks: object) -> None:
        """Answer with these as server-sent events."""
        data = [chunk if isinstance(chunk, str) else f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
        self.reply = (200, "text/event-stream; charset=utf-8", [*data, "data: [DONE]\n\n"])


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.keys.append(self.headers.get("Authorization"))
        status, answer = self.server.models
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.server.requests.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        status, kind, pieces = self.server.reply
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.end_headers()
        try:
            for piece in pieces:
                if piece == "WAIT":
                    self.server.go_on.wait(10)
                    continue
                self.wfile.write(piece.encode())
                self.wfile.flush()
        except OSError:
            self.server.gone.set()

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(Server()) as server:
        yield server
        server.go_on.set()


def text(content: str) -> dict[str, Any]:
    return {"choices": [{"delta": {"content": content}}]}


def end(reason: str = "stop") -> dict[str, Any]:
    return {"choices": [{"delta": {}, "finish_reason": reason}]}


def call(index: int, **parts: str) -> dict[str, Any]:
    entry: dict[str, Any] = {"index": index, "function": {k: parts[k] for k in ("name", "arguments") if k in parts}}
    if "id" in parts:
        entry["id"] = parts["id"]
    return {"choices": [{"delta": {"tool_calls": [entry]}}]}


async def ask(server: Server, tools: Sequence[ToolSchema] = (), **settings: Any) -> list[Delta]:
    model = await EndpointModel.connect(server.url, config_of(LocalSettings, **settings))
    try:
        return [delta async for delta in model.stream(ASK, tools)]
    finally:
        await model.aclose()


@pytest.mark.parametrize("key", ["sk-\u00e9", "sk-a\nb", "sk a"])
async def test_a_key_that_no_header_can_hold_is_refused(server: Server, key: str) -> None:
    with pytest.raises(ConfigurationError, match="The key for the endpoint has characters that no key has") as caught:
        await ask(server, llm_api_key=key)
    assert key not in str(caught.value)


async def test_a_surrogate_pair_that_two_chunks_split_is_joined(server: Server) -> None:
    server.stream(text("Hi \ud83d"), text("\ude00!"), text("\ude00."), text("\ud83d"), end())
    assert await ask(server) == ["Hi ", "\U0001f600!", "\ufffd.", Finish()]


async def test_the_answer_comes_as_it_is_made(server: Server) -> None:
    server.stream(
        text("Hel"),
        ": a comment\n\n",
        "WAIT",
        text("lo."),
        end(),
        {
            "choices": [],
            "usage": {"prompt_tokens": 7, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 5}},
        },
    )
    model = await EndpointModel.connect(server.url, RealtimeConfig())
    async with aclosing(model.stream(ASK)) as answer:
        assert await anext(answer) == "Hel"  # the server waits before the next
        server.go_on.set()
        rest = [delta async for delta in answer]
    await model.aclose()
    assert rest == ["lo.", Finish(Usage(input_text_tokens=7, cached_text_tokens=5, output_text_tokens=2))]
    request = server.requests[0]
    assert request["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    assert request["model"] == "llama:latest"
    assert request["stream"] is True
    assert "tools" not in request
    assert "temperature" not in request


async def test_settings_reach_the_server(server: Server) -> None:
    server.stream(text("Hi."), end("length"))
    answer = await ask(server, llm_api_key=KEY, llm_model="llama", temperature=0.5, max_output_tokens=10)
    assert answer == ["Hi.", Finish(truncated=True)]
    request = server.requests[0]
    assert (request["model"], request["temperature"], request["max_tokens"]) == ("llama", 0.5, 10)
    assert server.keys == [f"Bearer {KEY}"]


async def test_tool_calls_are_put_together_from_their_pieces(server: Server) -> None:
    server.stream(
        call(0, id="a", name="weather", arguments=""),
        call(0, arguments='{"city": '),
        call(0, arguments='"Paris"}'),
        call(1, id="b", name="clock", arguments="{}"),
        end("tool_calls"),
    )
    tool = ToolSchema("weather", "The weather.", {"type": "object", "properties": {"city": {"type": "string"}}})
    answer = await ask(server, [tool], tool_choice="weather")
    assert answer[:2] == [ToolCall("a", "weather", '{"city": "Paris"}'), ToolCall("b", "clock", "{}")]
    assert server.requests[0]["tools"] == [
        {
            "type": "function",
            "function": {"name": "weather", "description": "The weather.", "parameters": tool.parameters},
        }
    ]
    assert server.requests[0]["tool_choice"] == {"type": "function", "function": {"name": "weather"}}


async def test_calls_that_are_all_numbered_zero_stay_apart(server: Server) -> None:
    server.stream(call(0, id="a", name="x", arguments="{}"), call(0, id="b", name="y", arguments="{}"), end())
    assert (await ask(server))[:2] == [ToolCall("a", "x", "{}"), ToolCall("b", "y", "{}")]


async def test_calls_and_results_are_told_to_the_model(server: Server) -> None:
    server.stream(text("Sunny."), end())
    model = await EndpointModel.connect(server.url, RealtimeConfig())
    calls = (ToolCall("a", "weather", "{}"),)
    conversation = [*ASK, Message("assistant", "", calls=calls), Message("tool", "sun", "a")]
    async with aclosing(model.stream(conversation)) as answer:
        assert await anext(answer) == "Sunny."
    await model.aclose()
    assert server.requests[0]["messages"][2:] == [
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "a", "type": "function", "function": {"name": "weather", "arguments": "{}"}}],
        },
        {"role": "tool", "content": "sun", "tool_call_id": "a"},
    ]


async def test_stopping_closes_the_connection(server: Server) -> None:
    server.stream(text("One"), "WAIT", *[text("more " * 10_000)] * 100)
    model = await EndpointModel.connect(server.url, RealtimeConfig())
    async with aclosing(model.stream(ASK)) as answer:
        assert await anext(answer) == "One"
    server.go_on.set()
    assert await asyncio.to_thread(server.gone.wait, 10)
    await model.aclose()


async def test_the_only_model_is_taken(server: Server) -> None:
    model = await EndpointModel.connect(server.url + "/", RealtimeConfig())
    assert model.name == "llama:latest"
    await model.aclose()


@pytest.mark.parametrize(
    ("models", "name", "says"),
    [
        ({"data": [{"id": "bge-m3"}, {"id": "text-embedding-3"}]}, None, "Name one of: bge-m3, text-embedding-3"),
        ({"data": [{"id": "a"}, {"id": "b"}]}, "c", "has no model 'c'. It has: a, b"),
        ({"data": []}, None, "--llm-model"),
        (b"<html>", None, "--llm-model"),
        ([1], None, "--llm-model"),
    ],
)
async def test_which_model(server: Server, models: Any, name: str | None, says: str) -> None:
    server.models = (200, models)
    with pytest.raises(ConfigurationError, match=says):
        await EndpointModel.connect(server.url, config_of(LocalSettings, llm_model=name))


@pytest.mark.parametrize(
    "models",
    [
        {"data": [{"id": "m"}]},
        {"data": [{"id": "m", "object": "model"}, {"id": None}, None, 3]},
        {"object": "list", "data": ["m"]},
        {"models": [{"name": "m"}]},
        [{"id": "m"}],
    ],
)
async def test_lists_of_models_as_servers_write_them(server: Server, models: Any) -> None:
    server.models = (200, models)
    model = await EndpointModel.connect(server.url, RealtimeConfig())
    assert model.name == "m"
    await model.aclose()


async def test_a_server_that_lists_no_models_is_taken_at_its_word(server: Server) -> None:
    server.models = (404, {})
    server.stream(text("Hi."), end())
    assert (await ask(server, llm_model="m"))[0] == "Hi."


async def test_a_refused_key_is_named_and_not_shown(server: Server) -> None:
    server.models = (401, {"error": {"message": "Invalid key."}})
    with pytest.raises(AuthenticationError, match="Invalid key") as caught:
        await EndpointModel.connect(server.url, config_of(LocalSettings, llm_api_key=KEY))
    assert KEY not in str(caught.value)


async def test_a_password_in_the_address_is_used_and_not_logged(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    model = await EndpointModel.connect(server.url.replace("127.0.0.1", "user:hunter2@127.0.0.1"), RealtimeConfig())
    await model.aclose()
    assert server.keys == ["Basic dXNlcjpodW50ZXIy"]
    assert "/v1/models" in caplog.text
    assert "hunter2" not in caplog.text


async def test_nothing_listens(server: Server) -> None:
    url = server.url.replace("127.0.0.1", "user:hunter2@127.0.0.1")
    server.shutdown()  # while it polls, the kernel still takes connections
    server.server_close()
    with pytest.raises(
        RealtimeConnectionError, match=r"Nothing answers at http://127.0.0.1:\d+/v1\. Start that server"
    ) as caught:
        await EndpointModel.connect(url, RealtimeConfig())
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://", "http://[::bad/v1", "http://127.0.0.1:99999999/v1"])
async def test_what_is_no_address(url: str) -> None:
    with pytest.raises(ConfigurationError, match="not valid"):
        await EndpointModel.connect(url, RealtimeConfig())


async def test_a_query_in_the_address_is_refused_and_not_shown(server: Server) -> None:
    with pytest.raises(ConfigurationError, match=r"the URL has a query.*llm_api_key") as caught:
        await EndpointModel.connect(f"{server.url}?key={KEY}", RealtimeConfig())
    assert KEY not in str(caught.value)


JSON, EVENTS = "application/json", "text/event-stream"
UNKNOWN_MODEL = '{"error": {"message": "model not found"}}'
OUT_OF_MEMORY = 'data: {"error": {"message": "out of memory"}}\n\n'
HALF = 'data: {"choices": [{"delta": {"content": "Hel"}}]}\n\n'


@pytest.mark.parametrize(
    ("reply", "error", "says"),
    [
        ((404, JSON, [UNKNOWN_MODEL]), RealtimeConnectionError, "model not found.*--llm-model"),
        ((404, "text/plain", ["no"]), RealtimeConnectionError, "ends in /v1"),
        ((401, JSON, ["{}"]), AuthenticationError, "refuses the key"),
        ((429, JSON, ['{"error": "slow down"}']), QuotaExceededError, "slow down"),
        ((500, "text/html", ["<html>"]), RealtimeConnectionError, "status 500"),
        ((200, JSON, ['{"choices": []}']), ProtocolError, "not answer as a chat endpoint"),
        ((200, EVENTS, ["data: {oops\n\n"]), ProtocolError, "no JSON"),
        ((200, EVENTS, ["data: 3\n\n"]), ProtocolError, "no object"),
        ((200, EVENTS, ['data: {"choices": [3]}\n\n']), ProtocolError, "form of its own"),
        ((200, EVENTS, ['data: {"choices": 3}\n\n']), ProtocolError, "form of its own"),
        ((200, EVENTS, ['data: {"choices": [{"delta": 3}]}\n\n']), ProtocolError, "form of its own"),
        ((200, EVENTS, ['data: {"choices": [{"delta": {"tool_calls": "x"}}]}\n\n']), ProtocolError, "form of its own"),
        ((200, EVENTS, [OUT_OF_MEMORY]), RealtimeConnectionError, "out of memory"),
        ((200, EVENTS, [HALF]), RealtimeConnectionError, "broke off"),
    ],
)
async def test_answers_that_are_errors(
    server: Server, reply: tuple[int, str, list[str]], error: type[RealtimeError], says: str
) -> None:
    server.reply = reply
    with pytest.raises(error, match=says):
        await ask(server)


async def test_a_server_that_falls_silent(server: Server) -> None:
    server.stream(text("Hel"), "WAIT")
    with pytest.raises(RealtimeConnectionError, match="too long"):
        await ask(server, response_timeout_s=0.1)


@pytest.mark.parametrize(
    ("prices", "here", "cost"),
    [
        ({}, True, 0.0),
        ({}, False, None),
        ({"tiny": Prices(text_in=1, text_cached=0.5, text_out=4)}, True, (2 * 1 + 5 * 0.5 + 2 * 4) / 1e6),
        ({"tiny": Prices(text_in=1, text_cached=0.5, text_out=4)}, False, (2 * 1 + 5 * 0.5 + 2 * 4) / 1e6),
    ],
)
async def test_what_an_endpoint_costs_is_known_here_or_by_its_prices(
    server: Server, monkeypatch: pytest.MonkeyPatch, prices: dict[str, Prices], here: bool, cost: float | None
) -> None:
    monkeypatch.setattr("voicecli.providers.local.chat_endpoint.is_loopback", lambda host: here)
    counts = {"prompt_tokens": 7, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 5}}
    server.models = 200, {"data": [{"id": "tiny"}]}
    server.stream(text("Hello."), end(), {"choices": [], "usage": counts})
    *_, finish = await ask(server, llm_model="tiny", prices=prices)
    assert isinstance(finish, Finish)
    assert finish.usage.cost_usd == pytest.approx(cost)
