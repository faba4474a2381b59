"""The language model of a server on this machine: how it is chosen, loaded, kept from thinking, and done without."""

from collections.abc import Iterator
from contextlib import ExitStack, aclosing
from typing import Any

import pytest

from tests.loopback.llm_server import LLMServer, Model
from tests.providers.local.fakes import Events
from tests.support.settings import config_of
from voicecli.config import RealtimeConfig
from voicecli.errors import ConfigurationError, RealtimeConnectionError, RealtimeError
from voicecli.events import Notice, SessionStarted, Usage
from voicecli.ports import ConversationSetup
from voicecli.providers.local import LOCAL
from voicecli.providers.local.chat_endpoint import EndpointModel
from voicecli.providers.local.chat_model import Delta, Finish, Message, Thought, ToolCall
from voicecli.providers.local.language_model import LanguageModel, load_language_model
from voicecli.providers.local.server_search import find_servers
from voicecli.providers.local.settings import LocalSettings

ASK = [Message("system", "Be brief."), Message("user", "What is the capital of France?")]
KEY = "sk-secret-0123456789"


async def connected(server: LLMServer, **settings: Any) -> EndpointModel:
    return await EndpointModel.connect(server.url, config_of(LocalSettings, **settings))


async def answer(model: EndpointModel) -> list[Delta]:
    async with aclosing(model.stream(ASK)) as deltas:
        return [delta async for delta in deltas]


# -- a server that the user names


async def test_of_several_models_the_loaded_one_is_taken_and_named() -> None:
    with LLMServer("Ollama", [Model("llama3-instruct"), Model("qwen3", loaded=True)]).running() as server:
        model = await connected(server)
        assert model.name == "qwen3"
        (notice,) = model.notices
        assert (notice.code, "qwen3 answers" in notice.message) == ("language_model", True)
        await model.aclose()


async def test_the_models_name_may_stand_where_other_providers_have_it() -> None:
    with LLMServer("Ollama", [Model("gemma"), Model("qwen3", loaded=True)]).running() as server:
        for settings in ({"llm_model": "gemma"}, {"llm": server.url, "model": "gemma"}):
            model = await connected(server, **settings)
            assert (model.name, model.notices) == ("gemma", ())
            await model.aclose()


async def test_the_only_model_needs_no_word() -> None:
    with LLMServer("LM Studio", [Model("qwen3")]).running() as server:
        model = await connected(server)
        assert (model.name, model.notices) == ("qwen3", ())
        await model.aclose()


async def test_what_ollama_computes_elsewhere_is_taken_only_by_its_name() -> None:
    with LLMServer("Ollama", [Model("kimi-k2:cloud"), Model("glm:cloud")]).running() as server:
        with pytest.raises(ConfigurationError, match="Name one of: kimi-k2:cloud, glm:cloud"):
            await connected(server)
        model = await connected(server, llm_model="glm:cloud")
        assert model.name == "glm:cloud"
        await model.aclose()


async def test_an_unknown_server_on_this_machine_has_one_chosen_by_name() -> None:
    with LLMServer("proxy", [Model("text-embedding-3"), Model("a"), Model("b-instruct")]).running() as server:
        model = await connected(server)
        assert model.name == "b-instruct"
        await model.warm_up(ASK[:1])
        assert server.questions == []  # it may have to be paid for
        await model.aclose()


@pytest.mark.parametrize("kind", ["Ollama", "LM Studio", "llama.cpp"])
async def test_warming_up_lets_the_server_load_the_model_and_read_the_head(kind: Any) -> None:
    with LLMServer(kind, [Model("qwen3")]).running() as server:
        model = await connected(server)
        await model.warm_up(ASK[:1])
        (question,) = server.questions
        assert question["model"] == "qwen3"
        assert question["messages"][0] == {"role": "system", "content": "Be brief."}
        assert question["reasoning_effort"] == "none"
        await model.aclose()


async def test_a_model_that_cannot_answer_is_told_while_it_warms_up() -> None:
    with LLMServer("Ollama", [Model("qwen3")], fails=(500, "not enough memory")).running() as server:
        model = await connected(server)
        with pytest.raises(RealtimeConnectionError, match="not enough memory"):
            await model.warm_up(ASK[:1])
        await model.aclose()


# -- thinking


async def test_a_model_that_would_think_does_not() -> None:
    with LLMServer("Ollama", [Model("qwen3", thinks=True)]).running() as server:
        model = await connected(server)
        await model.warm_up(ASK[:1])
        assert await answer(model) == ["It is ", "Paris.", Finish()]
        assert {path for path, body in server.requests if body} == {"/v1/chat/completions"}
        await model.aclose()


async def test_one_that_refuses_to_be_asked_not_to_is_asked_without() -> None:
    with LLMServer("Ollama", [Model("llama3")], knows_effort="refuses").running() as server:
        model = await connected(server)
        await model.warm_up(ASK[:1])
        assert await answer(model) == ["It is ", "Paris.", Finish()]
        assert ["reasoning_effort" in body for body in server.questions] == [True, False, False]
        await model.aclose()


@pytest.mark.parametrize("knows_effort", ["no", "refuses"])
async def test_where_it_thinks_all_the_same_ollamas_own_format_is_used(knows_effort: Any) -> None:
    with LLMServer("Ollama", [Model("qwen3", thinks=True)], knows_effort=knows_effort).running() as server:
        model = await connected(server, temperature=0.5, max_output_tokens=50)
        await model.warm_up(ASK[:1])
        calls = (ToolCall("a", "weather", '{"city": "Oslo"}'),)
        told = [*ASK, Message("assistant", "", calls=calls), Message("tool", "sun", "a")]
        async with aclosing(model.stream(told)) as deltas:
            said = [delta async for delta in deltas]
        assert said == ["It is ", "Paris.", Finish(Usage(input_text_tokens=7, output_text_tokens=4))]
        path, body = server.requests[-1]
        assert path == "/api/chat"
        assert body["options"] == {"temperature": 0.5, "num_predict": 50}
        assert body["messages"][2]["tool_calls"][0]["function"]["arguments"] == {"city": "Oslo"}
        await model.aclose()


async def test_where_that_is_refused_it_is_used_no_more() -> None:
    models = [Model("gpt-oss", thinks=True)]
    with LLMServer("Ollama", models, knows_effort="no", knows_think=False).running() as server:
        model = await connected(server)
        await model.warm_up(ASK[:1])
        for _ in range(2):
            assert await answer(model) == [Thought(), Thought(), "It is ", "Paris.", Finish()]
        assert [path for path, body in server.requests if body].count("/api/chat") == 1
        await model.aclose()


async def test_a_user_who_wants_thinking_has_it() -> None:
    with LLMServer("Ollama", [Model("qwen3", thinks=True)]).running() as server:
        model = await connected(server, reasoning_effort="low")
        await model.warm_up(ASK[:1])
        assert await answer(model) == [Thought(), Thought(), "It is ", "Paris.", Finish()]
        assert server.requests[-1][0] == "/v1/chat/completions"
        await model.aclose()


# -- a server that is found


@pytest.fixture
def serving(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Runs servers, and lets the search find them."""
    with ExitStack() as running:

        def serve(*servers: LLMServer) -> None:
            for server in servers:
                running.enter_context(server.running())
            monkeypatch.setenv("VOICECLI_LLM_PORTS", ",".join(str(server.server_port) for server in servers))
            monkeypatch.setenv("VOICECLI_LLM_SEARCH_S", "20")

        yield serve


async def loaded(**settings: Any) -> LanguageModel:
    setup = ConversationSetup(config_of(LocalSettings, **settings))
    language = await load_language_model(setup, None, await find_servers())
    await language.model.aclose()
    return language


async def test_a_server_on_this_machine_is_taken_and_named(serving: Any) -> None:
    server = LLMServer("LM Studio", [Model("gemma-it"), Model("qwen3", loaded=True)])
    serving(server)
    language = await loaded()
    assert (language.llm, language.model.name) == (server.url, "qwen3")
    (notice,) = language.notices
    assert notice.message.startswith("Language model: qwen3 (LM Studio on this machine). ")
    assert "--llm smollm2" in notice.message
    assert [body["model"] for body in server.questions] == ["qwen3"]


async def test_a_key_for_another_endpoint_is_not_sent_to_it(serving: Any) -> None:
    server = LLMServer("Ollama", [Model("qwen3")])
    serving(server)
    await loaded(llm_api_key=KEY)
    assert server.questions
    assert KEY not in str(server.headers)


async def test_a_model_by_name_is_taken_from_the_server_that_has_it(serving: Any) -> None:
    serving(LLMServer("Ollama", [Model("qwen3", loaded=True)]), LLMServer("LM Studio", [Model("gemma"), Model("phi")]))
    assert (await loaded(llm_model="phi")).model.name == "phi"


async def test_a_model_that_no_server_has_is_an_error(serving: Any) -> None:
    serving(LLMServer("Ollama", [Model("qwen3")]))
    with pytest.raises(ConfigurationError, match=r"no server .* has a model 'phi'\. There are: qwen3 \(Ollama\)"):
        await loaded(llm_model="phi")
    serving()
    with pytest.raises(ConfigurationError, match=r"'phi'\. Start Ollama"):
        await loaded(llm_model="phi")


async def test_a_model_by_name_that_cannot_answer_is_not_replaced(serving: Any) -> None:
    serving(LLMServer("Ollama", [Model("qwen3")], fails=(500, "not enough memory")))
    with pytest.raises(RealtimeError, match="not enough memory"):
        await loaded(llm_model="qwen3")


async def test_where_one_fails_the_next_is_taken(serving: Any) -> None:
    broken = LLMServer("Ollama", [Model("qwen3", loaded=True)], fails=(500, "not enough memory"))
    serving(broken, LLMServer("LM Studio", [Model("gemma")]))
    language = await loaded()
    assert language.model.name == "gemma"
    first, second = (notice.message for notice in language.notices)
    assert first.startswith("Ollama on this machine is not used: ")
    assert "not enough memory" in first
    assert second.startswith("Language model: gemma")


@pytest.mark.usefixtures("shared_models")
async def test_where_all_fail_the_built_in_model_answers(serving: Any) -> None:
    serving(LLMServer("llama.cpp", [Model("qwen3")], fails=(501, "does not support chat")), LLMServer("proxy"))
    language = await loaded()
    assert language.llm == "smollm2"
    (notice,) = language.notices
    assert "does not support chat" in notice.message


@pytest.mark.usefixtures("shared_models")
async def test_the_built_in_model_can_be_forced(serving: Any) -> None:
    server = LLMServer("Ollama", [Model("qwen3", loaded=True)])
    serving(server)
    connection = await LOCAL.connect(ConversationSetup(config_of(LocalSettings, llm="smollm2")))
    events = Events(connection)
    await connection.aclose()
    await events.until_over()
    assert isinstance(events.seen[0], SessionStarted)
    assert events.seen[0].model == "smollm2"
    assert server.requests == []


@pytest.mark.usefixtures("shared_models")
async def test_a_conversation_is_held_with_the_server_that_is_found(serving: Any) -> None:
    server = LLMServer("Ollama", [Model("qwen3", loaded=True)])
    serving(server)
    connection = await LOCAL.connect(ConversationSetup(RealtimeConfig()))
    events = Events(connection)
    await connection.aclose()
    await events.until_over()
    assert isinstance(events.seen[0], SessionStarted)
    assert events.seen[0].model == "qwen3"
    assert [event.code for event in events.seen if isinstance(event, Notice)] == ["language_model"]
