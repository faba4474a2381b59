"""Chat endpoints as they are: whatever one sends, it is answered, or there is one clear error."""

import asyncio
import copy
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from tests.providers.local.loose_endpoint import Chunk, Endpoint, Reply, sse
from voicecli.config import RealtimeConfig
from voicecli.errors import AuthenticationError, QuotaExceededError, RealtimeError
from voicecli.providers.local.chat_endpoint import EndpointModel
from voicecli.providers.local.chat_model import Finish, Message, ToolCall
from voicecli.providers.local.filtered_model import FilteredModel
from voicecli.providers.local.settings import LocalSettings
from voicecli.tools import ToolSchema

ASK = [Message("user", "Hi")]
TOOLS = [ToolSchema("weather", "The weather.", {"type": "object", "properties": {"city": {"type": "string"}}})]
KEY = "sk-secret-0123456789"
PARIS = '{"city": "Paris"}'


@pytest.fixture(scope="module")
def running() -> Iterator[Endpoint]:
    with Endpoint.running() as endpoint:
        yield endpoint


@pytest.fixture
def endpoint(running: Endpoint) -> Endpoint:
    running.requests.clear()
    return running


def config(*, llm_api_key: str | None = None, **settings: Any) -> RealtimeConfig:
    return RealtimeConfig(provider_settings=LocalSettings(llm_model="m", llm_api_key=llm_api_key), **settings)


async def ask(
    endpoint: Endpoint, *replies: Reply, questions: int = 1, tools: Sequence[ToolSchema] = (), **settings: Any
) -> tuple[str, list[tuple[str, Any]], Finish]:
    """The last answer: its text, calls and end. The last reply is given again and again."""
    left = list(replies)
    endpoint.reply = lambda request: left.pop(0) if len(left) > 1 else left[0]
    async with asyncio.timeout(20):
        model = await EndpointModel.connect(endpoint.url, config(**settings))
        filtered = FilteredModel(model, thinking_timeout_s=5)
        try:
            for _ in range(questions):
                answer = [delta async for delta in filtered.stream(ASK, tools)]
        finally:
            await filtered.aclose()
    *rest, finish = answer
    assert isinstance(finish, Finish)
    calls = [(delta.name, json.loads(delta.arguments)) for delta in rest if isinstance(delta, ToolCall)]
    return "".join(delta for delta in rest if isinstance(delta, str)), calls, finish


def chunk(delta: Chunk, finish: str | None = None, **fields: Any) -> Chunk:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    head = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "system_fingerprint": "f",
    }
    return {**head, "choices": [choice], "usage": None, **fields}


HELLO: list[Chunk] = [
    chunk({"role": "assistant", "content": ""}),
    chunk({"content": "Hello"}),
    chunk({"content": " there."}),
    chunk({}, "stop"),
    chunk({}, choices=[], usage={"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}),
]


def called(**head: Any) -> list[Chunk]:
    """The stream of one call of a tool; `head` is what tells in each piece which call it belongs to."""
    pieces = [{"name": "weather", "arguments": ""}, {"arguments": '{"city": '}, {"arguments": '"Paris"}'}]
    first, *rest = [{**head, "type": "function", "function": function} for function in pieces]
    return [
        chunk({"role": "assistant", "content": None, "tool_calls": [{"id": "a", **first}]}),
        *(chunk({"tool_calls": [entry]}) for entry in rest),
        chunk({}, "tool_calls"),
    ]


# Each field of a chunk, and what it may be instead. The answer must come where a field is not the answer itself.
OUTSIDE = ("id", "object", "created", "model", "system_fingerprint", "usage")
ODD: dict[str, Callable[[Chunk, str], None]] = {
    "missing": lambda holder, field: holder.pop(field, None) and None,
    "null": lambda holder, field: holder.update({field: None}),
    "empty": lambda holder, field: holder.update({field: ""}),
    "an empty list": lambda holder, field: holder.update({field: []}),
    "an empty object": lambda holder, field: holder.update({field: {}}),
    "a number": lambda holder, field: holder.update({field: 3}),
    "a text": lambda holder, field: holder.update({field: "x"}),
    "true": lambda holder, field: holder.update({field: True}),
    "nested": lambda holder, field: holder.update({field: {"x": [{"y": None}]}}),
}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("field", OUTSIDE)
async def test_fields_that_are_not_the_answer_may_be_anything(endpoint: Endpoint, field: str, odd: str) -> None:
    chunks = copy.deepcopy(HELLO)
    for each in chunks:
        ODD[odd](each, field)
    assert (await ask(endpoint, Reply(sse(chunks))))[0] == "Hello there."


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("field", ["prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details"])
async def test_counts_may_be_anything(endpoint: Endpoint, field: str, odd: str) -> None:
    chunks = copy.deepcopy(HELLO)
    ODD[odd](chunks[-1]["usage"], field)
    assert (await ask(endpoint, Reply(sse(chunks))))[0] == "Hello there."


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("field", ["finish_reason", "index", "logprobs", "delta"])
@pytest.mark.parametrize("done", [True, False])
async def test_fields_around_the_answer(endpoint: Endpoint, field: str, odd: str, done: bool) -> None:
    """In the last chunk of the choice, where nothing of the answer is."""
    chunks = copy.deepcopy(HELLO)
    ODD[odd](chunks[3]["choices"][0], field)
    assert await text_or_error(endpoint, Reply(sse(chunks, done=done))) in ("Hello there.", "Hello there.x", "error")


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("at", [0, 1, 3])
async def test_choices(endpoint: Endpoint, at: int, odd: str) -> None:
    chunks = copy.deepcopy(HELLO)
    ODD[odd](chunks[at], "choices")
    rest = " there." if at == 1 else "Hello there."
    assert await text_or_error(endpoint, Reply(sse(chunks))) in (rest, "Hello there.", "x there.", "error")


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("field", ["content", "role", "tool_calls", "reasoning_content", "refusal", "function_call"])
async def test_fields_of_a_delta(endpoint: Endpoint, field: str, odd: str) -> None:
    chunks = copy.deepcopy(HELLO)
    ODD[odd](chunks[0]["choices"][0]["delta"], field)
    text = await text_or_error(endpoint, Reply(sse(chunks)))
    assert text.removeprefix("3").removeprefix("x") in ("Hello there.", "error")


async def text_or_error(endpoint: Endpoint, reply: Reply, **settings: Any) -> str:
    try:
        return (await ask(endpoint, reply, **settings))[0]
    except RealtimeError as error:
        assert_clear(error)
        return "error"


def assert_clear(error: RealtimeError) -> None:
    text = str(error)
    assert len(text.splitlines()) == 1
    assert 20 < len(text) < 500
    assert KEY not in text
    assert "Traceback" not in text


# -- the same answer in other words


def content(*parts: Any) -> list[Chunk]:
    return [chunk({"content": part}) for part in parts] + [chunk({}, "stop")]


@pytest.mark.parametrize(
    "chunks",
    [
        content("Hello", None, " there.", ""),
        content([{"type": "text", "text": "Hello"}, {"type": "text", "text": " there."}]),
        content([{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}], "Hello there."),
        content(["Hello", " there."]),
        content({"type": "text", "text": "Hello there."}),
        content({"text": {"value": "Hello there."}}),
        content("<think>Hm.</think>", "Hello there."),
        content("Hello there.<|im_end|>"),
        [chunk({"reasoning_content": "Hm."}), chunk({"reasoning": "Hm."}), *HELLO],
        [chunk({"content": None, "reasoning_details": [{"text": "Hm."}]}), *HELLO],
        [chunk({}, choices=[{"text": "Hello there.", "finish_reason": "stop"}])],
        [chunk({}, choices=[{"message": {"role": "assistant", "content": "Hello there."}, "finish_reason": "stop"}])],
        [chunk({}, choices={"delta": {"content": "Hello there."}, "finish_reason": "stop"})],
        [chunk({}, choices=[{"index": 1, "delta": {"content": "No."}}]), *HELLO],
        [*HELLO, *HELLO[-2:]],
        [chunk({}, choices=[]), *HELLO],
        [{"error": None, **each} for each in HELLO],
        [{"type": "ping"}, *HELLO, {"x_extra": 1}],
        [*HELLO[:3], chunk({"content": None}, "stop", usage={"completion_tokens": 2})],
        [{"message": {"content": "Hello "}, "done": False}, {"message": {"content": "there."}, "done": True}],
    ],
)
async def test_an_answer_in_other_words(endpoint: Endpoint, chunks: list[Chunk]) -> None:
    assert (await ask(endpoint, Reply(sse(chunks))))[0] == "Hello there."


@pytest.mark.parametrize(
    ("finish", "truncated"), [("length", True), ("stop", False), ("eos", False), ("content_filter", True)]
)
async def test_ends(endpoint: Endpoint, finish: str, truncated: bool) -> None:
    chunks = [*HELLO[:3], chunk({}, finish)]
    assert (await ask(endpoint, Reply(sse(chunks))))[2].truncated is truncated


@pytest.mark.parametrize("head", [{"index": 0}, {"index": 0, "id": None}, {"index": 0, "id": ""}, {"index": None}, {}])
async def test_calls_in_pieces(endpoint: Endpoint, head: Chunk) -> None:
    _, calls, _ = await ask(endpoint, Reply(sse(called(**head))), tools=TOOLS)
    assert calls == [("weather", {"city": "Paris"})]


@pytest.mark.parametrize(
    "delta",
    [
        {"tool_calls": [{"function": {"name": "weather", "arguments": {"city": "Paris"}}}]},
        {"tool_calls": {"function": {"name": "weather", "arguments": PARIS}}},
        {"tool_calls": [{"name": "weather", "arguments": PARIS}]},
        {"tool_calls": [None, {"id": 1, "index": 0, "function": {"name": "weather", "arguments": PARIS}}]},
        {"function_call": {"name": "weather", "arguments": PARIS}},
        {"content": f'<tool_call>{{"name": "weather", "arguments": {PARIS}}}</tool_call>'},
        {"content": f'{{"name": "weather", "parameters": {PARIS}}}'},
    ],
)
@pytest.mark.parametrize("finish", ["tool_calls", "stop", None])
async def test_calls_in_other_words(endpoint: Endpoint, delta: Chunk, finish: str | None) -> None:
    text, calls, _ = await ask(endpoint, Reply(sse([chunk(delta), chunk({}, finish)])), tools=TOOLS)
    assert (text, calls) == ("", [("weather", {"city": "Paris"})])


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("field", ["index", "id", "type", "function"])
async def test_fields_of_a_call(endpoint: Endpoint, field: str, odd: str) -> None:
    chunks = called(index=0)
    ODD[odd](chunks[0]["choices"][0]["delta"]["tool_calls"][0], field)
    if field == "function":
        text = await text_or_error(endpoint, Reply(sse(chunks)), tools=TOOLS)
        assert text in ("", "error")
    else:
        assert (await ask(endpoint, Reply(sse(chunks)), tools=TOOLS))[1] == [("weather", {"city": "Paris"})]


# -- the same answer in another wrapping

WHOLE = {
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello there."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 7, "completion_tokens": 2},
}
LINES = "".join(f"{json.dumps(each)}\n" for each in HELLO).encode()
PRETTY = "".join(f"data: {line}\n" for line in json.dumps(HELLO[1], indent=1).splitlines()).encode()
STREAM = sse(HELLO)


@pytest.mark.parametrize(
    "body",
    [
        STREAM,
        STREAM.replace(b"\n", b"\r\n"),
        STREAM.replace(b"\n", b"\r"),
        STREAM.replace(b"data: ", b"data:"),
        STREAM.replace(b"\n\n", b"\n"),
        STREAM.replace(b"\n\n", b"\n\n\n\n"),
        b"\xef\xbb\xbf" + STREAM,
        b"\n\n" + STREAM,
        b": hello\n\n" + STREAM.replace(b"\n\n", b"\n: keep-alive\n\n"),
        STREAM.replace(b"data: {", b"event: message\nid: 1\nretry: 10\ndata: {"),
        STREAM.replace(b"data: {", b"data\n\ndata: {"),
        PRETTY + b"\n" + sse(HELLO[2:]),
        STREAM.replace(b"[DONE]", b" [DONE] "),
        STREAM.rstrip(),
        sse(HELLO, done=False),
        sse(HELLO, done=False).rstrip(),
        sse(HELLO[:3]),
        LINES,
        LINES.rstrip(),
        json.dumps(WHOLE).encode(),
        json.dumps(WHOLE, indent=2).encode(),
        b"\n " + json.dumps(WHOLE).encode() + b"\n",
        json.dumps([WHOLE]).encode(),
        sse([WHOLE]),
    ],
)
@pytest.mark.parametrize("kind", ["text/event-stream", "application/json", None])
@pytest.mark.parametrize("size", [7, 100_000])
async def test_wrappings(endpoint: Endpoint, body: bytes, kind: str | None, size: int) -> None:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    assert (await ask(endpoint, Reply(*pieces, kind=kind)))[0] == "Hello there."


@pytest.mark.parametrize("framing", ["chunked", "length", "none"])
@pytest.mark.parametrize("kind", ["text/plain", "application/x-ndjson", "application/octet-stream"])
async def test_framings(endpoint: Endpoint, framing: str, kind: str) -> None:
    assert (await ask(endpoint, Reply(STREAM, kind=kind, framing=framing)))[0] == "Hello there."


async def test_a_letter_may_be_cut_by_the_pieces(endpoint: Endpoint) -> None:
    body = sse([*content("Grüße 🎉.")]).replace(json.dumps("Grüße 🎉.").encode(), '"Grüße 🎉."'.encode())
    pieces = [body[at : at + 1] for at in range(len(body))]
    assert (await ask(endpoint, Reply(*pieces)))[0] == "Grüße 🎉."


# -- what is no answer

HALF = sse(HELLO[:2], done=False)


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (Reply(HALF, framing="none"), "broke off"),
        (Reply(HALF, b""), "broke off"),
        (Reply(HALF + b'data: {"choices": [{"del', framing="none"), "broke off"),
        (Reply(HALF + b'data: {"choices": [{"del'), "broke off"),
        (Reply(HALF + b"data: {oops}\n\n", b"\n"), "no JSON"),
        (Reply(HALF + b"data: 3\n\n"), "no object"),
        (Reply(HALF + b"event: error\ndata: out of memory\n\n"), "failed: out of memory"),
        (Reply(HALF + b'event: error\ndata: "out of memory"\n\n'), "failed: out of memory"),
        (Reply(HALF + b'event: error\ndata: {"message": "out of memory"}\n\n'), "failed: out of memory"),
        (Reply(HALF + b'event: error\ndata: {"error": {"message": "out of memory"}}\n\n'), "failed: out of memory"),
        (Reply(HALF + b'data: {"error": "out of memory"}\n\n'), "failed: out of memory"),
        (Reply(HALF + b'data: {"error": {"code": 500, "message": "out of memory"}}\n\n'), "failed: out of memory"),
        (Reply(HALF + b'data: {"error": {"code": 500}}\n\n'), "failed: no reason given"),
        (Reply(HALF + b'data: {"error": true}\n\n'), "failed: no reason given"),
        (Reply(HALF + b'data: {"object": "error", "message": "out of memory"}\n\n'), "failed: out of memory"),
        (Reply(b'data: {"detail": "out of memory"}\n\n'), "failed: out of memory"),
        (Reply(HALF + b'error: {"message": "x"}\n\n', framing="none"), "broke off"),
        (Reply(b'{"error": {"message": "out of memory"}}', kind="application/json"), "failed: out of memory"),
        (Reply(b'[{"error": {"message": "out of memory"}}]', kind="application/json"), "failed: out of memory"),
        (Reply(b'{"detail": [{"msg": "out of memory"}]}', kind="application/json"), "failed: out of memory"),
        (Reply(b'{"status": "ok"}', kind="application/json"), "chat endpoint"),
        (Reply(b'{"choices"', kind="application/json"), "no JSON|broke off"),
        (Reply(b"[" * 100_000, kind="application/json"), "nested too deeply|no JSON"),
        (Reply(b"<html>Log in</html>", kind="text/html"), "chat endpoint"),
        (Reply(b"<!doctype html>", kind="text/event-stream"), "chat endpoint"),
        (Reply(b"OK", kind="text/plain"), "chat endpoint"),
        (Reply(), "chat endpoint"),
        (Reply(sse([])), "empty answer"),
        (Reply(sse([chunk({}, "stop")])), "empty answer"),
        (Reply(sse(content("<think>Hm."))), "thought, and did not answer"),
        (Reply(sse([chunk({"reasoning_content": "Hm."}), chunk({}, "stop")])), "thought, and did not answer"),
        (Reply(sse([chunk({"reasoning_content": "Hm."}), chunk({}, "length")])), "limit of tokens"),
        (Reply(sse([chunk({"tool_calls": [{"function": {"arguments": PARIS}}]}, "tool_calls")])), "without its name"),
        (Reply(sse([chunk({}, "error", error={"message": "overloaded"})])), "overloaded"),
    ],
)
async def test_what_is_no_answer_is_one_clear_error(endpoint: Endpoint, reply: Reply, says: str) -> None:
    with pytest.raises(RealtimeError, match=says) as caught:
        await ask(endpoint, reply)
    assert_clear(caught.value)


@pytest.mark.parametrize(
    ("body", "kind", "says"),
    [
        (b'{"error": {"message": "no room"}}', "application/json", "no room"),
        (b'{"error": "no room"}', "application/json", "no room"),
        (b'{"detail": "no room"}', "application/json", "no room"),
        (b'{"detail": [{"loc": ["body"], "msg": "no room"}]}', "application/json", "no room"),
        (b'[{"error": {"message": "no room"}}]', "application/json", "no room"),
        (b'{"message": "no\\nroom."}', "text/html", "no room"),
        (b"no room", "text/plain", "no room"),
        (b"<html><p>no room", "text/html", None),
        (b"", None, None),
        (b'{"error": null}', "application/json", None),
        (b'{"error": "' + b"x" * 200_000 + b'"}', "application/json", None),
        (f'{{"error": "Incorrect key {KEY}"}}'.encode(), "application/json", "Incorrect key"),
    ],
)
@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422, 429, 500, 502, 503])
async def test_refusals(endpoint: Endpoint, status: int, body: bytes, kind: str | None, says: str | None) -> None:
    with pytest.raises(RealtimeError, match=says) as caught:
        pieces = [body] if body else []
        await ask(endpoint, Reply(*pieces, status=status, kind=kind, framing="length"), llm_api_key=KEY)
    assert_clear(caught.value)
    kinds = {401: AuthenticationError, 403: AuthenticationError, 429: QuotaExceededError}
    assert isinstance(caught.value, kinds.get(status, RealtimeError))
    assert getattr(caught.value, "code", "") == str(status)


@pytest.mark.parametrize("status", [301, 307])
async def test_an_address_that_leads_elsewhere(endpoint: Endpoint, status: int) -> None:
    reply = Reply(status=status, framing="length", headers={"Location": "http://127.0.0.1:1/v1"})
    with pytest.raises(RealtimeError, match="leads to another address"):
        await ask(endpoint, reply)


@pytest.mark.parametrize("sign", [b": alive\n\n", b"\n", b"data: {}\n\n", STREAM[:30]])
async def test_signs_of_life_are_no_answer(endpoint: Endpoint, sign: bytes) -> None:
    with pytest.raises(RealtimeError, match="too long"):
        await ask(endpoint, Reply(sign, "STALL"), response_timeout_s=0.1)
    if sign.endswith(b"\n"):
        with pytest.raises(RealtimeError, match="too long"):
            signs: list[bytes | str] = [sign, "PAUSE"]
            await ask(endpoint, Reply(*signs * 100), response_timeout_s=0.1)


# -- requests that an endpoint does not take


class Picky:
    """Refuses a request that has one of `fields`, by `status` and `error`."""

    def __init__(self, endpoint: Endpoint, fields: Sequence[str], status: int, error: str) -> None:
        self._fields, self._status, self._error = fields, status, error
        self._chunks = HELLO
        self.endpoint = endpoint

    def __call__(self, request: dict[str, Any]) -> Reply:
        if refused := [field for field in self._fields if field in request]:
            body = json.dumps({"error": {"message": self._error.format(field=refused[0])}}).encode()
            return Reply(body, status=self._status, kind="application/json", framing="length")
        return Reply(STREAM)


THINKING = ["reasoning_effort", "chat_template_kwargs"]


@pytest.mark.parametrize(
    ("fields", "status", "error", "requests"),
    [
        ([], 400, "", 1),
        (THINKING, 400, "Unrecognized request argument supplied: {field}", 2),
        (THINKING, 422, "Extra inputs are not permitted", 2),
        (THINKING, 400, "Bad Request", 2),
        (THINKING, 400, '"m" does not support thinking', 2),
        (["stream_options"], 400, "Unknown parameter: {field}", 2),
        ([*THINKING, "stream_options"], 400, "no", 3),
        (["max_tokens"], 400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.", 2),
        ([*THINKING, "max_tokens"], 400, "{field} is not supported; use max_completion_tokens", 3),
        (["temperature"], 400, "'temperature' does not support 0.5 with this model.", 2),
        (["tools"], 400, "m does not support tools", 2),
        (["tools"], 400, '"auto" tool choice requires --enable-auto-tool-choice to be set', 2),
        (["tools"], 500, "tools param requires --jinja flag", 2),
        (["tool_choice"], 400, "Unknown field: {field}", 2),
    ],
)
async def test_what_an_endpoint_refuses_is_left_out(
    endpoint: Endpoint, fields: list[str], status: int, error: str, requests: int
) -> None:
    picky = Picky(endpoint, fields, status, error)
    endpoint.reply = picky
    model = await EndpointModel.connect(endpoint.url, config(max_output_tokens=50, temperature=0.5))
    try:
        first = [delta async for delta in model.stream(ASK, TOOLS)]
        assert len(endpoint.requests) == requests
        second = [delta async for delta in model.stream(ASK, TOOLS)]
        assert len(endpoint.requests) == requests + 1  # what was learnt is kept
    finally:
        await model.aclose()
    for answer in (first, second):
        assert "".join(delta for delta in answer if isinstance(delta, str)) == "Hello there."
    last = endpoint.requests[-1]
    assert not set(fields) & set(last)
    assert ("max_completion_tokens" in last) == ("max_tokens" in fields)
    assert ("tools" in last) == ("tools" not in fields)
    told = [notice.code for delta in first if isinstance(delta, Finish) for notice in delta.notices]
    expected = {"tools": ["tools_unsupported"], "temperature": ["setting_ignored"]}
    assert told == [code for field in fields for code in expected.get(field, [])]
    assert isinstance(second[-1], Finish)
    assert second[-1].notices == ()


async def test_a_request_that_is_refused_for_itself_is_an_error_and_teaches_nothing(endpoint: Endpoint) -> None:
    refusals = [
        Reply(b'{"error": "the prompt is too long"}', status=400, kind="application/json", framing="length")
    ] * 3
    model = await EndpointModel.connect(endpoint.url, config())
    try:
        replies = [*refusals, Reply(STREAM)]
        endpoint.reply = lambda request: replies.pop(0)
        with pytest.raises(RealtimeError, match="the prompt is too long"):
            await anext(model.stream(ASK))
        assert [delta async for delta in model.stream(ASK)][:2] == ["Hello", " there."]
    finally:
        await model.aclose()
    assert endpoint.requests[-1]["reasoning_effort"] == "none"
    assert endpoint.requests[-1]["chat_template_kwargs"] == {"enable_thinking": False}


async def test_thinking_that_is_asked_for(endpoint: Endpoint) -> None:
    await ask(endpoint, Reply(STREAM), reasoning_effort="low")
    assert endpoint.requests[0]["reasoning_effort"] == "low"
    assert "chat_template_kwargs" not in endpoint.requests[0]
    refusal = Reply(b'{"error": "unknown field: reasoning_effort"}', status=400, framing="length")
    *_, finish = await ask(endpoint, refusal, Reply(STREAM), reasoning_effort="low")
    assert [notice.code for notice in finish.notices] == ["setting_ignored"]
