"""The command, without `--llm`, beside a server with language models on this machine."""

from pathlib import Path

from tests.cli.conftest import Result, Voice
from tests.loopback.llm_server import LLMServer, Model
from voicecli.audio.recogniser_files import ensure_recogniser


def ask(voice: Voice, tmp_path: Path, server: LLMServer, *options: str) -> Result:
    """Ask where there is no built-in model, and none can be had."""
    cache = tmp_path / "cache"
    cache.mkdir()
    for path in ensure_recogniser():
        (cache / path.name).symlink_to(path)
    nowhere = {"VOICECLI_CACHE": str(cache), "PIP_NO_INDEX": "1", "HTTP_PROXY": "http://127.0.0.1:9"}
    found = {"VOICECLI_LLM_PORTS": str(server.server_port), "VOICECLI_LLM_SEARCH_S": "20"}
    return voice("send-text", "Hi", "-p", "local", "-o", "reply.wav", *options, **nowhere, **found)


def test_it_is_taken_and_named_and_nothing_is_fetched(voice: Voice, tmp_path: Path) -> None:
    with LLMServer("Ollama", [Model("gpt-oss:cloud"), Model("qwen3:4b", thinks=True)]).running() as server:
        result = ask(voice, tmp_path, server)
    assert result.code == 0, result.stderr
    assert "It is Paris." in result.stdout.decode()
    notes = result.stdout.decode() + result.stderr
    assert "Language model: qwen3:4b (Ollama on this machine)" in notes
    assert "tiny" not in notes
    assert {body["model"] for body in server.questions} == {"qwen3:4b"}


def test_a_strange_server_hears_no_word(voice: Voice, tmp_path: Path) -> None:
    with LLMServer("proxy", [Model("gpt-5", loaded=True)]).running() as server:
        result = ask(voice, tmp_path, server)
    assert result.code == 4
    assert "The built-in language model could not be fetched" in result.stderr
    assert server.requests
    assert server.questions == []


def test_a_wrong_variable_is_named(voice: Voice, tmp_path: Path) -> None:
    result = voice("send-text", "Hi", "-p", "local", VOICECLI_LLM_PORTS="ollama", VOICECLI_CACHE=str(tmp_path / "none"))
    assert result.code == 3
    assert "VOICECLI_LLM_PORTS: 'ollama' is no port" in result.stderr
