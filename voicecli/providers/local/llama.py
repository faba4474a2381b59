"""Language models in this process, with llama.cpp (xllamacpp): the built-in one and any other .gguf file."""

import asyncio
import contextlib
import math
import os
import secrets
import shutil
import tempfile
import threading
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import xllamacpp

from voicecli.errors import ConfigurationError, RealtimeError
from voicecli.events import Usage
from voicecli.providers.local.chat_model import Delta, Finish, Message, Thought
from voicecli.providers.local.model_file import BUILT_IN
from voicecli.providers.local.prompt_templates import PromptTemplates
from voicecli.threads import Worker
from voicecli.tools import ToolSchema

__all__ = ["LlamaModel"]

# Small batches: a generation is stopped between two of them, and one takes up to 0.5 s.
_BATCH_TOKENS = 64

# What can come after a sentence is among the likeliest of its next tokens, or too unlikely to count.
_PROBABLE_TOKENS = 50
_SENTENCE_ENDS = ("", ".", "?", "!")

# SmolLM2 drifts into essays without them. Of eleven pairs tried, these made it remember best what it was told.
_EXAMPLES = (
    Message("user", "Who wrote Romeo and Juliet?"),
    Message("assistant", "William Shakespeare wrote Romeo and Juliet."),
    Message("user", "I live in Rome."),
    Message("assistant", "Rome is a beautiful city."),
)


class LlamaModel:
    """ChatModel of a .gguf file, on llama.cpp. One answer at a time; a stopped one ends within some 10 ms."""

    tools = False

    def __init__(self, path: Path, worker: Worker, *, temperature: float | None, max_tokens: int | None) -> None:
        built_in = path.name == BUILT_IN.name
        self.name = "smollm2" if built_in else path.name
        self.context_tokens = 2048 if built_in else 4096
        self.examples: Sequence[Message] = _EXAMPLES if built_in else ()
        # Of two cores, speech needs one: with both, the answer's first sound comes 0.1 s later. The built-in model
        # gains nothing from more than two.
        cores = os.cpu_count() or 2
        self._threads = max(1, min(cores // 2, 2 if built_in else 8))
        self._worker = worker
        self._folder = ""
        self._server: Any = None
        self._templates: PromptTemplates | None = None
        self._sampling = {
            # Greedy decoding: a small model that samples talks nonsense.
            "temperature": temperature or 0.0,
            "repeat_penalty": 1.1,
            "repeat_last_n": 64,
            "max_tokens": max_tokens or (96 if built_in else 256),
        }

    @classmethod
    async def load(cls, path: Path, *, temperature: float | None = None, max_tokens: int | None = None) -> "LlamaModel":
        """Load the file: 0.5 s and 200 MB for the built-in model.

        Raises:
            ConfigurationError: it is no model that llama.cpp can run.
        """
        model = cls(path, Worker("llm"), temperature=temperature, max_tokens=max_tokens)
        try:
            await model._worker.run(lambda: model._start_server(path))
        except BaseException:
            await model.aclose()
            raise
        return model

    def _start_server(self, path: Path) -> None:
        params = xllamacpp.CommonParams()
        params.model.path = str(path)
        params.n_ctx = self.context_tokens
        params.n_parallel = 1
        params.n_batch = params.n_ubatch = _BATCH_TOKENS
        params.cpuparams.n_threads = self._threads
        params.cache_ram_mib = 0  # copies of earlier prompts; ours only grows
        params.verbosity = -1
        params.use_jinja = True
        # The library serves HTTP whether one wants it or not: nobody else shall be able to use it.
        key = secrets.token_urlsafe(24)
        params.api_keys = [key]
        if os.name == "posix":
            self._folder = _short_private_folder()
            params.hostnames = [f"{self._folder}/llm.sock"]
        else:
            params.port = 0
        try:
            self._server = xllamacpp.Server(params)
        except RuntimeError as error:
            raise ConfigurationError(
                f"llm: {path} is no language model that can be loaded.", advice="Give a .gguf file that llama.cpp runs."
            ) from error
        # The server's loop starts when its constructor has returned. A destructor that comes first waits for it for
        # ever, and holds Python's lock meanwhile: nothing could bound that. Any answer (20 ms) shows that it runs.
        with contextlib.suppress(Exception):  # an error is an answer, too
            self._server.handle_completions({"prompt": "a", "max_tokens": 1})
        self._templates = PromptTemplates(self._server.listening_address, key)

    async def warm_up(self, messages: Sequence[Message]) -> None:
        """Read the constant head once, so that each answer begins sooner."""
        stream = self.stream([*messages, Message("user", "Hello.")])
        async for _ in stream:
            break
        await stream.aclose()

    async def stream(
        self, messages: Sequence[Message], tools: Sequence[ToolSchema] = ()
    ) -> AsyncGenerator[Delta, None]:
        loop = asyncio.get_running_loop()
        deltas: asyncio.Queue[Delta | RealtimeError] = asyncio.Queue()
        stop = threading.Event()

        def on_thread(item: Delta | RealtimeError) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
                loop.call_soon_threadsafe(deltas.put_nowait, item)

        request = {
            "messages": [message.to_json() for message in messages],
            "stream": True,
            "return_progress": True,  # calls back while it reads the prompt, too, so that it can be stopped there
            "chat_template_kwargs": {"enable_thinking": False},  # a silence, where a model's template knows it
            **self._sampling,
        }
        running = asyncio.ensure_future(self._worker.run(lambda: self._generate(request, stop, on_thread)))
        try:
            while True:
                item = await deltas.get()
                if isinstance(item, RealtimeError):
                    raise item
                yield item
                if isinstance(item, Finish):
                    return
        finally:
            stop.set()
            running.cancel()

    async def read_ahead(self, messages: Sequence[Message]) -> None:
        await self._worker.run(lambda: self._read_ahead([message.to_json() for message in messages]))

    def _read_ahead(self, messages: list[dict[str, Any]]) -> None:
        if self._templates is None or (prompt := self._templates.open_prompt(messages)) is None:
            return
        # What fails here fails again, and is told, when there is something to answer.
        with contextlib.suppress(Exception):
            self._server.handle_completions({"prompt": prompt, "max_tokens": 0})

    async def end_chance(self, messages: Sequence[Message]) -> float | None:
        """The chance, 0 to 1, that the last message ends where it does; None where the template hides that.

        10 ms where the last answer or score began with the same messages; reading other ones anew takes as long as for
        an answer. The answer to the messages then finds them read.
        """
        return await self._worker.run(lambda: self._end_chance([message.to_json() for message in messages]))

    def _end_chance(self, messages: list[dict[str, Any]]) -> float | None:
        if self._templates is None or (prompt := self._templates.open_prompt(messages)) is None:
            return None
        request = {"prompt": prompt, "max_tokens": 1, "temperature": 0.0, "n_probs": _PROBABLE_TOKENS}
        try:
            answer = self._server.handle_completions(request)
            tokens = answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
            # A token that ends the message has no text.
            ends = [token["logprob"] for token in tokens if token["token"].strip()[:2] in _SENTENCE_ENDS]
        except Exception as error:  # the library documents none
            raise _failure(str(error)) from error
        return float(sum(map(math.exp, ends)))

    def _generate(self, request: dict[str, Any], stop: threading.Event, on_thread: Any) -> None:
        finished = False

        def on_chunk(chunk: dict[str, Any]) -> bool:
            nonlocal finished
            if stop.is_set():
                return True
            if "error" in chunk:
                finished = True
                on_thread(_failure(chunk["error"].get("message", "no reason given")))
                return True
            choice = chunk["choices"][0] if chunk.get("choices") else {}
            delta = choice.get("delta", {})
            if delta.get("reasoning_content"):
                on_thread(Thought())
            if text := delta.get("content"):
                on_thread(text)
            if reason := choice.get("finish_reason"):
                finished = True
                on_thread(Finish(_usage(chunk.get("timings", {})), truncated=reason == "length"))
            return False

        if stop.is_set():
            return
        try:
            self._server.handle_chat_completions(request, on_chunk)
        except Exception as error:  # the library documents none; whatever it is, the answer must end
            on_thread(_failure(str(error)))
            return
        if not finished and not stop.is_set():
            on_thread(Finish())

    async def aclose(self) -> None:
        def release() -> None:
            if self._templates is not None:
                self._templates.close()
            self._server = None  # its destructor ends its threads
            if self._folder:
                shutil.rmtree(self._folder, ignore_errors=True)

        await self._worker.aclose(release)


def _short_private_folder() -> str:
    """Make a folder only this user can enter; its path leaves room for a socket's name (104 bytes on macOS)."""
    folder = tempfile.mkdtemp(prefix="voicecli-")
    if len(folder) > 80:
        os.rmdir(folder)
        folder = tempfile.mkdtemp(prefix="voicecli-", dir="/tmp")
    return folder


def _usage(timings: dict[str, Any]) -> Usage:
    cached = int(timings.get("cache_n", 0))
    return Usage(
        input_text_tokens=cached + int(timings.get("prompt_n", 0)),
        cached_text_tokens=cached,
        output_text_tokens=int(timings.get("predicted_n", 0)),
    )


def _failure(reason: str) -> RealtimeError:
    return RealtimeError(
        f"The language model failed: {reason}.", advice="A shorter system prompt or question may help."
    )
