"""Ollama, LM Studio and llama.cpp on loopback, as far as their lists of models and their chat endpoints go.

Written after their documentation and source of 2026. What a request may not hold, they refuse as the real ones do.
"""

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

from tests.support.serving import serving

__all__ = ["Kind", "LLMServer", "Model"]

Kind = Literal["Ollama", "LM Studio", "LM Studio 0.5", "llama.cpp", "llama.cpp router", "proxy", "page"]
"""The last two are none that may be taken: a proxy that speaks OpenAI's protocol, and a server of web pages."""

_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "ultra", "max")


@dataclass(frozen=True)
class Model:
    """A model that a server has.

    Attributes:
        loaded: whether it is in memory.
        embeds: whether it makes embeddings instead of answers.
        runs_at: the host that computes it; "" for this machine.
        thinks: whether it thinks unless told not to.
    """

    name: str
    loaded: bool = False
    embeds: bool = False
    runs_at: str = ""
    thinks: bool = False


class LLMServer(ThreadingHTTPServer):
    """One of the servers; `requests` holds the path and the body of each request, `headers` its headers.

    Args:
        knows_effort: whether `reasoning_effort` is obeyed; "no" ignores it, "refuses" answers 400.
        knows_think: whether Ollama's own format may say not to think; if not, that is answered with 400.
        fails: the status and text of each answer to a question, in place of an answer.
        endless: it begins to answer, and goes on for ever.
    """

    daemon_threads = True

    def __init__(
        self,
        kind: Kind,
        models: Sequence[Model] = (),
        *,
        knows_effort: Literal["yes", "no", "refuses"] = "yes",
        knows_think: bool = True,
        fails: tuple[int, str] | None = None,
        endless: bool = False,
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.kind = kind
        self.models = list(models)
        self.knows_effort = knows_effort
        self.knows_think = knows_think
        self.fails = fails
        self.endless = endless
        self.requests: list[tuple[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.over = threading.Event()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    @property
    def url(self) -> str:
        return f"http://{self.address}/v1"

    @property
    def questions(self) -> list[Any]:
        """The bodies of the requests that held words."""
        return [body for _, body in self.requests if body is not None]

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: clients may leave."""

    @contextmanager
    def running(self) -> Iterator["LLMServer"]:
        with serving(self):
            try:
                yield self
            finally:
                self.over.set()


class _Handler(BaseHTTPRequestHandler):
    server: LLMServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._note(None)
        if self.server.endless:
            self._answer_for_ever()
            return
        lists = _LISTS[self.server.kind]
        if self.server.kind == "page":
            self._send(200, b"<html>Welcome</html>", "text/html")
        elif self.path in lists:
            self._send_json(200, lists[self.path](self.server.models))
        elif self.server.kind.startswith("LM Studio"):
            self._send_json(200, {"error": f"Unexpected endpoint or method. (GET {self.path})"})
        else:
            self._send_json(404, {"error": {"message": "not found"}})

    def _answer_for_ever(self) -> None:
        self.close_connection = True
        try:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while not self.server.over.wait(0.02):
                self.wfile.write(b"a")
        except OSError:
            return

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._note(body)
        native = self.path == "/api/chat" and self.server.kind == "Ollama"
        if not native and (self.path != "/v1/chat/completions" or self.server.kind == "page"):
            self._send_json(404, {"error": {"message": "not found"}})
            return
        if self.server.fails is not None:
            status, text = self.server.fails
            self._send_json(status, {"error": {"message": text}})
            return
        if "think" in body and not self.server.knows_think:
            self._send_json(400, {"error": f'"{body["model"]}" does not support thinking'})
            return
        effort = body.get("reasoning_effort")
        refuses = self.server.knows_effort == "refuses" and effort == "none"
        if refuses or effort not in (None, *_EFFORTS):
            self._send_json(400, {"error": {"message": f"invalid reasoning value: '{effort}'"}})
            return
        model = next((model for model in self.server.models if model.name == body["model"]), None)
        if model is None or model.embeds:
            self._send_json(404, {"error": {"message": f'model "{body["model"]}" not found'}})
            return
        told = body.get("think") is False if native else effort == "none" and self.server.knows_effort == "yes"
        thoughts = ["Hm. ", "They greet me."] if model.thinks and not told else []
        self._answer_natively(thoughts) if native else self._answer(thoughts)

    def _answer(self, thoughts: list[str]) -> None:
        deltas = [{"role": "assistant", "content": "", "reasoning": thought} for thought in thoughts]
        deltas += [{"role": "assistant", "content": text} for text in ("It is ", "Paris.")]
        chunks: list[dict[str, Any]] = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
        chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
        self._send(200, "".join([*lines, "data: [DONE]\n\n"]).encode(), "text/event-stream")

    def _answer_natively(self, thoughts: list[str]) -> None:
        messages = [{"role": "assistant", "content": "", "thinking": thought} for thought in thoughts]
        messages += [{"role": "assistant", "content": text} for text in ("It is ", "Paris.")]
        lines: list[dict[str, Any]] = [{"message": message, "done": False} for message in messages]
        end = {"done": True, "done_reason": "stop", "prompt_eval_count": 7, "eval_count": 4}
        lines.append({"message": {"role": "assistant", "content": ""}, **end})
        self._send(200, "".join(json.dumps(line) + "\n" for line in lines).encode(), "application/x-ndjson")

    def _note(self, body: Any) -> None:
        self.server.requests.append((self.path, body))
        self.server.headers.append(dict(self.headers.items()))

    def _send_json(self, status: int, value: object) -> None:
        self._send(status, json.dumps(value).encode(), "application/json")

    def _send(self, status: int, body: bytes, kind: str) -> None:
        try:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        return


def _openai(models: Sequence[Model], owner: str) -> dict[str, Any]:
    entries = [{"id": model.name, "object": "model", "created": 1, "owned_by": owner} for model in models]
    return {"object": "list", "data": entries or None}  # Ollama's, without any


def _ollama_entry(model: Model) -> dict[str, Any]:
    family = "nomic-bert" if model.embeds else "qwen3"
    entry = {"name": model.name, "model": model.name, "size": 1, "digest": "0" * 64, "details": {"family": family}}
    if model.runs_at:
        entry |= {"remote_model": model.name, "remote_host": model.runs_at}
    return entry


def _lm_studio_entry(model: Model) -> dict[str, Any]:
    return {
        "id": model.name,
        "object": "model",
        "type": "embeddings" if model.embeds else "llm",
        "state": "loaded" if model.loaded else "not-loaded",
    }


def _newer_lm_studio_entry(model: Model) -> dict[str, Any]:
    return {
        "key": model.name,
        "type": "embedding" if model.embeds else "llm",
        "loaded_instances": [{"id": model.name}] if model.loaded else [],
    }


def _router_entry(model: Model) -> dict[str, Any]:
    status: dict[str, Any] = {"value": "loaded" if model.loaded else "unloaded", "args": []}
    return {"id": model.name, "object": "model", "owned_by": "llamacpp", "status": status}


_LISTS: dict[Kind, dict[str, Any]] = {
    "Ollama": {
        "/v1/models": lambda models: _openai(models, "library"),
        "/api/tags": lambda models: {"models": [_ollama_entry(model) for model in models]},
        "/api/ps": lambda models: {"models": [_ollama_entry(model) for model in models if model.loaded]},
    },
    "LM Studio": {
        "/v1/models": lambda models: _openai(models, "organization_owner"),
        "/api/v0/models": lambda models: {"object": "list", "data": [_lm_studio_entry(model) for model in models]},
    },
    "LM Studio 0.5": {
        "/v1/models": lambda models: _openai(models, "organization_owner"),
        "/api/v1/models": lambda models: {"models": [_newer_lm_studio_entry(model) for model in models]},
    },
    "llama.cpp": {"/v1/models": lambda models: _openai(models, "llamacpp")},
    "llama.cpp router": {
        "/v1/models": lambda models: {"object": "list", "data": [_router_entry(model) for model in models]}
    },
    "proxy": {"/v1/models": lambda models: _openai(models, "openai")},
    "page": {},
}
