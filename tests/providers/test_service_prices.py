"""What a translation or a transcription costs: by the user's prices, else by those that are known."""

import pytest

from tests.support.settings import config_of
from voicecli.commands import AppendAudio
from voicecli.config import Prices, RealtimeConfig
from voicecli.events import Usage, UsageUpdated
from voicecli.interpreter import Interpreter
from voicecli.ports import Codec, InterpreterSetup, Provider
from voicecli.providers.gemini import GEMINI
from voicecli.providers.gemini.endpoint import Endpoint
from voicecli.providers.gemini.translation import GeminiTranslation
from voicecli.providers.openai import OPENAI
from voicecli.providers.openai.settings import OpenAISettings
from voicecli.providers.openai.translation import OpenAITranslation
from voicecli.transcriber import Transcriber

OWN = 1.2  # US dollars a minute
OPENAI_MODEL, GEMINI_MODEL = "gpt-realtime-translate", "gemini-3.5-live-translate-preview"


def of_openai(prices: dict[str, Prices]) -> Codec:
    config = config_of(OpenAISettings, api_key="sk-test", base_url="http://127.0.0.1:9/v1", prices=prices)
    codec = OpenAITranslation(InterpreterSetup(config=config, target_language="es"))
    codec.open()
    codec.receive(b'{"type": "session.created", "event_id": "1", "session": {}}')
    codec.receive(b'{"type": "session.updated", "event_id": "2", "session": {}}')
    return codec


def of_gemini(prices: dict[str, Prices]) -> Codec:
    setup = InterpreterSetup(config=RealtimeConfig(prices=prices), target_language="es")
    codec = GeminiTranslation(setup, Endpoint("wss://x", f"models/{GEMINI_MODEL}", "", {}))
    codec.open()
    codec.receive(b'{"setupComplete": {}}')
    return codec


def usage_of_a_minute(codec: Codec, rate: int) -> Usage:
    used = Usage()
    silence = AppendAudio(bytes(rate * 2 // 10))
    nothing = b'{"type": "rate_limits.updated", "event_id": "3"}' if rate == 24_000 else b'{"serverContent": {}}'
    for _ in range(600):
        codec.send(silence)
        for event in codec.receive(nothing):
            if isinstance(event, UsageUpdated):
                used += event.usage
    return used


@pytest.mark.parametrize("name", [GEMINI_MODEL, f"models/{GEMINI_MODEL}"])
def test_a_translation_by_gemini_costs_what_the_user_says(name: str) -> None:
    used = usage_of_a_minute(of_gemini({name: Prices(session_minute=OWN)}), 16_000)
    assert used.session_seconds > 40
    assert used.cost_usd == pytest.approx(OWN * used.session_seconds / 60)


def test_a_translation_by_openai_costs_what_the_user_says() -> None:
    used = usage_of_a_minute(of_openai({OPENAI_MODEL: Prices(session_minute=OWN)}), 24_000)
    assert used.session_seconds > 40
    assert used.cost_usd == pytest.approx(OWN * used.session_seconds / 60)


def test_otherwise_it_costs_what_is_known() -> None:
    used = usage_of_a_minute(of_openai({}), 24_000)
    assert used.cost_usd == pytest.approx(0.034 * used.session_seconds / 60)
    assert Interpreter(OPENAI, to="es").prices == Prices(session_minute=0.034)


@pytest.mark.parametrize(("provider", "model"), [(OPENAI, OPENAI_MODEL), (GEMINI, GEMINI_MODEL)])
def test_the_interpreter_tells_the_users_prices(provider: Provider, model: str) -> None:
    own = Prices(session_minute=OWN)
    assert Interpreter(provider, to="es", config=RealtimeConfig(prices={model: own})).prices == own


def test_the_transcriber_tells_the_users_prices() -> None:
    own = {"gpt-transcribe": Prices(transcription_minute=OWN)}
    assert Transcriber("openai", config=RealtimeConfig(prices=own)).minute_price == OWN
    assert Transcriber("openai").minute_price == 0.0045
