"""Gemini Live: Google's speech-to-speech models, on the Developer API or Vertex AI."""

import os
from collections.abc import Mapping

from voicecli.config import RealtimeConfig
from voicecli.ports import Capabilities, Codec, Connection, ConversationSetup, ModelInfo, Provider
from voicecli.pricing import Prices
from voicecli.providers.gemini.endpoint import (
    KEY_VARIABLES,
    NAME,
    Endpoint,
    doubts_key,
    find_address,
    find_endpoint,
    is_configured,
)
from voicecli.providers.gemini.errors import KEY_ADVICE
from voicecli.providers.gemini.models import DEFAULT_MODEL, DEFAULT_VOICE, MODELS, VOICES, find_model, prices_for
from voicecli.providers.gemini.settings import GeminiSettings
from voicecli.providers.gemini.setup import lacks
from voicecli.providers.gemini.transcription import TRANSCRIBER
from voicecli.providers.gemini.translation import INTERPRETER
from voicecli.threads import run_in_thread

__all__ = ["GEMINI"]

_TITLE = "Gemini Live"
# The input is at the rate the models work with; the server would convert any other.
_CAPABILITIES = Capabilities(input_rate=16_000, output_rate=24_000, reports_speech=False)


async def _connect(setup: ConversationSetup) -> Connection:
    from voicecli.connection.websocket import WebSocketConnection
    from voicecli.providers.gemini.codec import GeminiCodec

    endpoint = await run_in_thread(find_endpoint, setup.config)  # the keyring may keep one waiting
    codec = GeminiCodec(setup, endpoint)
    return await WebSocketConnection.open(
        codec, _CAPABILITIES, setup.config, credentials=endpoint.credentials, recorder=setup.recorder
    )


def _replay(setup: ConversationSetup, server: Mapping[str, str]) -> Codec:
    from voicecli.providers.gemini.codec import GeminiCodec

    return GeminiCodec(setup, Endpoint("", server["model"], "", {}, vertex="vertex" in server))


async def _fetch_models(config: RealtimeConfig) -> list[ModelInfo]:
    """The Live models that the key may use. Raises RealtimeError."""
    from voicecli.providers.gemini.errors import http_error
    from voicecli.providers.http import fetch_json, unreadable

    endpoint = await run_in_thread(find_endpoint, config)
    if not endpoint.api:
        return [model.info for model in MODELS]  # Vertex AI lists no Live models
    address = endpoint.api.replace("wss://", "https://", 1).replace("ws://", "http://", 1)
    listed = await fetch_json(
        f"{address}/models?pageSize=1000",
        {**config.headers, **endpoint.headers},
        timeout_s=config.connect_timeout_s,
        title=_TITLE,
        refused=http_error,
    )
    try:
        live = {
            str(model["name"]).removeprefix("models/"): model.get("displayName")
            for model in listed["models"]
            if "bidiGenerateContent" in model.get("supportedGenerationMethods", ())
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise unreadable(_TITLE) from error
    return [_model_info(name, live[name]) for name in sorted(live)]


def _model_info(name: str, title: object) -> ModelInfo:
    known = find_model(name).info
    return known if known.note else ModelInfo(name, title if isinstance(title, str) else "")


def _priced_models(config: RealtimeConfig) -> Mapping[str, Prices | None]:
    model = config.model or DEFAULT_MODEL
    return {model: prices_for(model, config.prices)}


GEMINI = Provider(
    name=NAME,
    title=_TITLE,
    aliases=("google", "google_genai"),
    capabilities=_CAPABILITIES,
    default_model=DEFAULT_MODEL,
    default_voice=DEFAULT_VOICE,
    models=tuple(model.info for model in MODELS),
    voices=VOICES,
    is_configured=lambda: is_configured(os.environ),
    setup_advice=KEY_ADVICE,
    key_variables=KEY_VARIABLES,
    key_url="https://aistudio.google.com/apikey",
    settings=GeminiSettings,
    lacks=lacks,
    connect=_connect,
    replay=_replay,
    fetch_models=_fetch_models,
    address=find_address,
    doubts_key=doubts_key,
    priced_models=_priced_models,
    interpreter=INTERPRETER,
    transcriber=TRANSCRIBER,
)
