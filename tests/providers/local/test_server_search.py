"""Which server on this machine is taken, which of its models, and what the others are sent: nothing but questions for
their lists."""

import asyncio
from contextlib import ExitStack

import pytest

from tests.loopback.llm_server import Kind, LLMServer, Model
from voicecli.errors import ConfigurationError
from voicecli.providers.local.server_search import LocalServer, addresses, find_servers, search_limit

LONG = 20.0
"""Seconds that a search may take, where it is not about them: the machine may be busy."""


async def found(*servers: LLMServer, limit_s: float = LONG) -> list[LocalServer]:
    with ExitStack() as running:
        for server in servers:
            running.enter_context(server.running())
        return await find_servers([server.address for server in servers], limit_s=limit_s)


@pytest.mark.parametrize(
    ("kind", "title"),
    [
        ("Ollama", "Ollama"),
        ("LM Studio", "LM Studio"),
        ("LM Studio 0.5", "LM Studio"),
        ("llama.cpp", "llama.cpp"),
        ("llama.cpp router", "llama.cpp"),
    ],
)
async def test_each_is_recognised_and_its_loaded_model_is_first(kind: Kind, title: str) -> None:
    models = [Model("gemma3-it"), Model("nomic-embed-text", loaded=True, embeds=True), Model("qwen3", loaded=True)]
    server = LLMServer(kind, models)
    (local,) = await found(server)
    loaded_first = ("gemma3-it", "qwen3") if kind == "llama.cpp" else ("qwen3", "gemma3-it")  # it does not tell
    assert local == LocalServer(title, server.url, loaded_first, True)
    assert server.questions == []


async def test_a_model_that_follows_instructions_comes_before_others() -> None:
    names = ["deepseek-r1:8b", "llama3:text", "qwen3:4b", "qwen3:4b-instruct", "gemma3:4b-it-qat", "qwen3-coder:30b"]
    (local,) = await found(LLMServer("Ollama", [Model(name) for name in names]))
    assert local.models[:3] == ("qwen3:4b-instruct", "gemma3:4b-it-qat", "qwen3:4b")
    assert not local.loaded


async def test_what_ollama_computes_elsewhere_is_never_taken() -> None:
    models = [
        Model("kimi-k2:cloud", loaded=True),
        Model("gpt-oss:120b-cloud", loaded=True),
        Model("my-copy", loaded=True, runs_at="https://ollama.com:443"),
    ]
    assert await found(LLMServer("Ollama", models)) == []
    (local,) = await found(LLMServer("Ollama", [*models, Model("qwen3:4b"), Model("cloudy:latest")]))
    assert local.models == ("qwen3:4b", "cloudy:latest")


@pytest.mark.parametrize(
    "name", ["bge-m3", "all-minilm:l6", "mxbai-embed-large", "Qwen3-Reranker-0.6B", "llama-guard3"]
)
async def test_what_holds_no_conversation_is_not_taken(name: str) -> None:
    assert await found(LLMServer("llama.cpp", [Model(name, loaded=True)])) == []


@pytest.mark.parametrize("kind", ["proxy", "page"])
async def test_a_strange_server_is_asked_for_lists_and_not_taken(kind: Kind) -> None:
    server = LLMServer(kind, [Model("gpt-5", loaded=True)])
    assert await found(server) == []
    assert server.requests
    assert server.questions == []


async def test_a_server_without_models_is_not_taken() -> None:
    assert await found(LLMServer("Ollama"), LLMServer("LM Studio"), LLMServer("llama.cpp")) == []


async def test_the_one_with_a_model_in_memory_is_first() -> None:
    idle, busy = LLMServer("Ollama", [Model("qwen3")]), LLMServer("LM Studio", [Model("gemma", loaded=True)])
    assert [server.title for server in await found(idle, busy)] == ["LM Studio", "Ollama"]
    idle, also = LLMServer("Ollama", [Model("qwen3")]), LLMServer("LM Studio", [Model("gemma")])
    assert [server.title for server in await found(idle, also)] == ["Ollama", "LM Studio"]


async def test_one_that_never_ends_holds_up_no_other_and_no_longer_than_the_limit() -> None:
    endless, quick = LLMServer("Ollama", endless=True), LLMServer("LM Studio", [Model("qwen3", loaded=True)])
    began = asyncio.get_running_loop().time()
    assert [server.title for server in await found(endless, quick, limit_s=3.0)] == ["LM Studio"]
    assert asyncio.get_running_loop().time() - began < 15  # a header of 65536 bytes would take 20 minutes


async def test_nobody_there_and_nowhere_to_look() -> None:
    server = LLMServer("Ollama")
    server.server_close()
    assert await find_servers([server.address], limit_s=LONG) == []
    assert await find_servers([], limit_s=LONG) == []


async def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = LLMServer("page")
    with proxy.running():
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://{proxy.address}")
        monkeypatch.setenv("no_proxy", "")
        assert [server.title for server in await found(LLMServer("Ollama", [Model("qwen3")]))] == ["Ollama"]
        assert proxy.requests == []


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("", "127.0.0.1:11434"),
        ("127.0.0.1", "127.0.0.1:11434"),
        ("127.0.0.1:5000", "127.0.0.1:5000"),
        ("127.0.0.2:5000", "127.0.0.2:5000"),
        ("localhost:5000", "127.0.0.1:5000"),
        ("http://localhost", "127.0.0.1:80"),
        (' "http://localhost:5000/path" ', "127.0.0.1:5000"),
        (":5000", "127.0.0.1:5000"),
        ("0.0.0.0", "127.0.0.1:11434"),
        ("0.0.0.0:5000", "127.0.0.1:5000"),
        ("[::]:5000", "127.0.0.1:5000"),
        ("[::1]:5000", "[::1]:5000"),
        ("::1", "[::1]:11434"),
        ("0.0.0.0:0", "127.0.0.1:11434"),
        ("localhost:many", "127.0.0.1:11434"),
        # Other machines, whatever their names look like.
        ("192.0.2.1:5000", "127.0.0.1:11434"),
        ("http://gpu.example:5000", "127.0.0.1:11434"),
        ("localhost.example:5000", "127.0.0.1:11434"),
        ("ollama.com", "127.0.0.1:11434"),
    ],
)
def test_only_this_machine_is_looked_at(host: str, address: str) -> None:
    assert addresses({"OLLAMA_HOST": host}) == [address, "127.0.0.1:1234", "127.0.0.1:8080"]


def test_ports_that_coincide_are_asked_once() -> None:
    assert addresses({"OLLAMA_HOST": "127.0.0.1:8080"}) == ["127.0.0.1:8080", "127.0.0.1:1234"]


def test_the_variables_of_the_search() -> None:
    assert addresses({"OLLAMA_HOST": ":5000", "VOICECLI_LLM_PORTS": ""}) == []
    assert addresses({"VOICECLI_LLM_PORTS": "5000, 6000"}) == ["127.0.0.1:5000", "127.0.0.1:6000"]
    assert search_limit({}) == 0.2
    assert search_limit({"VOICECLI_LLM_SEARCH_S": "3"}) == 3
    for ports in ("0", "x", "70000", "-1", "example.com:80"):
        with pytest.raises(ConfigurationError, match=f"VOICECLI_LLM_PORTS: '{ports}' is no port"):
            addresses({"VOICECLI_LLM_PORTS": ports})
    for limit in ("0", "x", "-1", "nan", "inf"):
        with pytest.raises(ConfigurationError, match=f"VOICECLI_LLM_SEARCH_S: '{limit}' is no time"):
            search_limit({"VOICECLI_LLM_SEARCH_S": limit})
