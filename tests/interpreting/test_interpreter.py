"""The door, and what needs no network: languages, the choice of a provider, captions, the lag."""

import pytest

from voicecli import ConfigurationError, Interpreter, RealtimeConfig, RealtimeVoice
from voicecli.events import TranscriptUpdate
from voicecli.interpreter import choose_interpreter, language_code
from voicecli.interpreting.captions import CaptionClock
from voicecli.interpreting.lag import Lag
from voicecli.pricing import Prices

KEY = RealtimeConfig(api_key="sk-test-0123456789")


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY", "VOICE_PROVIDER", "AZURE_OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("text", "code"), [("es", "es"), (" pt_BR ", "pt-BR"), ("zh-Hans-CN", "zh-Hans-CN"), ("yue", "yue")]
)
def test_a_language_is_a_code(text: str, code: str) -> None:
    assert language_code(text) == code


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Spanish", "Write es for Spanish"),
        ("germann", "Write de for German"),
        ("Catalan", "Write ca for Catalan"),
        ("Deutsch", "Write de for Deutsch"),
        ("Galician", "Write es, pt-BR"),
        ("Armenian", "Write es, pt-BR"),
        ("", "Write es, pt-BR"),
        (None, "NoneType"),
    ],
)
def test_what_is_no_code_is_told_with_the_likeliest(text: object, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        language_code(text)


def test_a_provider_that_does_not_translate_is_refused_where_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="does not translate live"):
        Interpreter("local", to="es")
    with pytest.raises(ConfigurationError, match="does not translate live"):
        Interpreter(to="es", config=RealtimeConfig(provider="local"))
    monkeypatch.setenv("VOICE_PROVIDER", "local")
    with pytest.raises(ConfigurationError, match="does not translate live"):
        Interpreter(to="es")


def test_where_none_is_named_the_first_that_is_set_up_and_translates_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="No provider that translates is set up") as caught:
        choose_interpreter(None)
    assert "local" not in caught.value.advice
    monkeypatch.setenv("GEMINI_API_KEY", "AIza-test")
    assert Interpreter(to="es").provider == "gemini"


def test_a_model_that_translates_holds_no_conversation() -> None:
    with pytest.raises(ConfigurationError, match="translates, and holds no conversation"):
        RealtimeVoice("gemini", config=RealtimeConfig(model="gemini-3.5-live-translate-preview"))


def test_what_an_interpreter_says_of_itself() -> None:
    interpreter = Interpreter("openai", to="es", config=KEY)
    assert (interpreter.model, interpreter.rates, interpreter.to) == ("gpt-realtime-translate", (24_000, 24_000), "es")
    assert interpreter.prices == Prices(session_minute=0.034)
    assert repr(interpreter) == "Interpreter(provider='openai', to='es')"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"config": RealtimeConfig(session_file="x")}, "session_file"),
        ({"config": RealtimeConfig(model="unheard-of", max_cost=1.0)}, "What unheard-of costs is not known"),
        ({"config": "openai"}, "config: a RealtimeConfig"),
        ({"provider": 3}, "provider: a name"),
    ],
)
def test_what_cannot_be_is_told_at_once(options: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        Interpreter(**{"provider": "openai", "to": "es", **options})  # type: ignore[arg-type]


def update(text: str, *, final: bool = False, item_id: str = "a") -> TranscriptUpdate:
    return TranscriptUpdate("assistant", item_id, text, final)


def test_an_utterance_ends_a_second_after_its_last_word() -> None:
    captions = CaptionClock()
    captions.apply(update("one"), 0.0)
    captions.apply(update("one two"), 0.5)
    assert captions.deadline() == 1.5
    assert captions.due(1.4) == []
    assert captions.due(1.5) == [update("one two", final=True)]
    assert captions.deadline() is None


def test_what_comes_of_an_ended_utterance_is_another_one() -> None:
    captions = CaptionClock()
    captions.apply(update("one"), 0.0)
    captions.due(1.0)
    assert captions.apply(update("one two"), 2.0) == update("two", item_id="a.2")
    assert captions.due(3.0) == [update("two", item_id="a.2", final=True)]
    assert captions.apply(update("one two three"), 4.0) == update("three", item_id="a.3")
    assert captions.apply(update("one two three", final=True), 4.1) == update("three", item_id="a.3", final=True)
    assert captions.deadline() is None


def test_the_providers_own_end_of_an_ended_utterance_adds_nothing() -> None:
    captions = CaptionClock()
    captions.apply(update("one"), 0.0)
    captions.due(1.0)
    assert captions.apply(update("one", final=True), 1.1) is None


def test_at_the_end_all_that_is_open_is_ended() -> None:
    captions = CaptionClock()
    captions.apply(update("one"), 0.0)
    captions.apply(update("uno", item_id="b"), 0.0)
    assert captions.close() == [update("one", final=True), update("uno", item_id="b", final=True)]
    assert captions.close() == []


def test_the_lag_is_measured_when_both_pause() -> None:
    lag = Lag()
    assert lag.seconds(0) is None
    lag.translated(0.5)  # before anybody spoke
    for at in (1.0, 1.5, 2.0):
        lag.spoke(at)
    assert lag.seconds(2.0) is None
    lag.translated(4.0)
    assert lag.seconds(4.5) is None  # there may be more
    lag.translated(5.0)
    assert lag.seconds(7.0) == 3.0
    lag.spoke(8.0)
    assert lag.seconds(8.0) == 3.0  # until there is another one
    lag.translated(8.2)
    assert lag.seconds(8.3) == 3.0
