"""A chat endpoint's answer, whatever it is wrapped in: server-sent events, lines of JSON, or one object."""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

import httpx
from httpx_sse import EventSource

from voicecli.errors import ProtocolError, RealtimeConnectionError

__all__ = ["Ended", "not_a_chat_endpoint", "read_chunks"]

# More than the longest answer, and the largest chunk that any server sends.
_MOST_BYTES = 32 << 20
_BOM = b"\xef\xbb\xbf"


class Ended:
    """The end of a stream.

    Attributes:
        by_mark: `[DONE]` came.
        in_order: the connection told the length of the body, and all of it came.
    """

    by_mark = False
    in_order = False


async def read_chunks(response: httpx.Response, ended: Ended, *, address: str) -> AsyncGenerator[dict[str, Any], None]:
    """The JSON objects of a streamed or whole answer, as they come.

    Args:
        ended: filled when the stream is over.
        address: for errors.

    Raises:
        ProtocolError: it is something else.
        RealtimeConnectionError: it breaks off within an object, or the server reports an error as text.
    """
    body = _bytes(response, address)
    async with aclosing(body):
        head = b""
        async for block in body:
            head = (head + block).removeprefix(_BOM).lstrip()
            if head and not _BOM.startswith(head):
                break
        if head[:1] in (b"{", b"["):
            chunks = _json_chunks(head, body, address)
        elif head[:1] == b"<" or "html" in response.headers.get("content-type", ""):
            raise not_a_chat_endpoint(address)
        else:
            chunks = _event_chunks(head, body, ended, address)
        async with aclosing(chunks):
            async for chunk in chunks:
                yield chunk
        # JSON tells its own end.
        ended.in_order = head[:1] == b"{" or _tells_its_length(response)


async def _bytes(response: httpx.Response, address: str) -> AsyncGenerator[bytes, None]:
    size = 0
    blocks = response.aiter_bytes()
    async for block in blocks:
        size += len(block)
        if size > _MOST_BYTES:
            raise ProtocolError(f"{address} sent more than {_MOST_BYTES >> 20} MB for one answer.")
        yield block


def _tells_its_length(response: httpx.Response) -> bool:
    headers = response.headers
    chunked = "chunked" in headers.get("transfer-encoding", "")
    return chunked or "content-length" in headers or response.http_version == "HTTP/2"


async def _event_chunks(
    head: bytes, body: AsyncIterator[bytes], ended: Ended, address: str
) -> AsyncGenerator[dict[str, Any], None]:
    all_came = False

    async def stream() -> AsyncIterator[bytes]:
        nonlocal all_came
        yield head
        async for block in body:
            yield block
        all_came = True
        yield b"\n\n"  # the last event may lack its end

    # The reader looks at the header; not every server sends the right one.
    source = EventSource(httpx.Response(200, headers={"Content-Type": "text/event-stream"}, content=stream()))
    events = source.aiter_sse()
    found = False
    async for event in events:
        for data in _parts(event.data):
            found = True
            if data == "[DONE]":
                ended.by_mark = True
                return
            value = _parse(data, address, complete=not all_came, is_error=event.event == "error")
            if event.event == "error" and "error" not in value:
                value = {"error": value}
            yield value
    if not found and head:
        raise not_a_chat_endpoint(address)


def _parts(data: str) -> list[str]:
    """The objects in an event's data: one, or one each line where a server leaves out the empty lines."""
    data = data.strip()
    lines = [line for line in data.split("\n") if line.strip()]
    if len(lines) > 1 and all(line.strip() == "[DONE]" or _is_object(line) for line in lines):
        return [line.strip() for line in lines]
    return [data] if data else []


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


async def _json_chunks(head: bytes, body: AsyncIterator[bytes], address: str) -> AsyncGenerator[dict[str, Any], None]:
    """A whole answer as one object, or one object after the other."""
    text = head
    async for block in body:
        *lines, last = (text + block).split(b"\n") if b"\n" in block else [text + block]
        for index, line in enumerate(lines):
            if not line.strip():
                continue
            if not _is_object(line.decode("utf-8", "replace")):  # one object that is laid out in lines
                last = b"\n".join([*lines[index:], last])
                break
            yield _parse(line.decode("utf-8", "replace"), address)
        text = last
    rest = text.decode("utf-8", "replace").strip()
    if rest:
        for data in [rest] if _is_object(rest) else rest.splitlines():
            if data.strip():
                yield _parse(data, address, complete=len(rest.splitlines()) == 1 and rest.endswith("}"))


def _parse(data: str, address: str, *, complete: bool = True, is_error: bool = False) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except ValueError as error:
        if is_error:
            return {"error": data}
        if not complete:
            raise RealtimeConnectionError(f"{address} broke off its answer.", retryable=True) from error
        raise ProtocolError(f"{address} sent what is no JSON.") from error
    except RecursionError:
        raise ProtocolError(f"{address} sent JSON that is nested too deeply.") from None
    if isinstance(value, list) and len(value) == 1:  # some wrap an error
        value = value[0]
    if is_error and not isinstance(value, dict):
        return {"error": value}
    if not isinstance(value, dict):
        raise ProtocolError(f"{address} sent JSON that is no object.")
    return value


def not_a_chat_endpoint(address: str) -> ProtocolError:
    """The error for an answer that is none."""
    return ProtocolError(
        f"{address} does not answer as a chat endpoint does.", advice="Is this an OpenAI-compatible endpoint?"
    )
