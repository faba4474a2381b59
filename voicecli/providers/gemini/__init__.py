"""Gemini Live: Google's speech-to-speech models, on the Developer API or Vertex AI."""

import asyncio
import json
import os

from voicecli.config import RealtimeConfig
from voicecli.errors import RealtimeConnectionError
from voicecli.providers.base import Capabilities, Connection, ConversationSetup, ModelInfo, Provider
from voicecli.providers.gemini.endpoint import find_endpoint, is_configured
from voicecli.providers.gemini.errors import KEY_ADVICE
from voicecli.providers.gemini.models import DEFAULT_MODEL, DEFAULT_VOICE, MODELS, VOICES, find_model

__all__ = ["GEMINI"]

# The input is at the rate the models work with; the server would convert any other.
_CAPABILITIES = Capabilities(
    input_rate=16_000,
    output_rate=24_000,
    can_cancel=False,
    can_truncate=False,
    text_output=False,
    reports_speech=False,
)


async def _connect(setup: ConversationSetup) -> Connection:
    from voicecli.providers.gemini.codec import GeminiCodec
    from voicecli.websocket import WebSocketConnection

    endpoint = find_endpoint(setup.config)
    # The first token of Google Cloud comes over the network.
    await asyncio.to_thread(endpoint.headers)
    codec = GeminiCodec(setup, endpoint)
    return await WebSocketConnection.open(codec, _CAPABILITIES, setup.config)


async def _fetch_models(config: RealtimeConfig) -> list[ModelInfo]:
    """The Live models that the key may use. Raises RealtimeError."""
    endpoint = find_endpoint(config)
    if not endpoint.api:
        return [model.info for model in MODELS]  # Vertex AI lists no Live models
    headers = {**config.headers, **endpoint.headers()}
    return await asyncio.to_thread(_list_models, endpoint.api, headers, config.connect_timeout_s)


def _list_models(api: str, headers: dict[str, str], timeout_s: float) -> list[ModelInfo]:
    from urllib.error import HTTPError, URLError
    from urllib.request import Request, urlopen

    from voicecli.providers.gemini.errors import http_error

    address = f"{api.replace('wss://', 'https://', 1).replace('ws://', 'http://', 1)}/models?pageSize=1000"
    try:
        with urlopen(Request(address, headers=headers), timeout=timeout_s) as response:
            listed = json.load(response)["models"]
        live = [model for model in listed if "bidiGenerateContent" in model.get("supportedGenerationMethods", ())]
        names = [str(model["name"]).removeprefix("models/") for model in live]
    except HTTPError as error:
        with error:
            raise http_error(error.code, error.read(10_000)) from error
    except (URLError, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", error)
        raise RealtimeConnectionError(f"Gemini's models cannot be listed: {reason}", retryable=True) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RealtimeConnectionError("Gemini's list of models cannot be read.") from error
    notes = {model["name"].removeprefix("models/"): model.get("displayName") for model in live}
    return [_model_info(name, notes[name]) for name in sorted(names)]


def _model_info(name: str, title: object) -> ModelInfo:
    known = find_model(name).info
    return known if known.note else ModelInfo(name, title if isinstance(title, str) else "")


GEMINI = Provider(
    name="gemini",
    title="Gemini Live",
    aliases=("google", "google_genai"),
    capabilities=_CAPABILITIES,
    default_model=DEFAULT_MODEL,
    default_voice=DEFAULT_VOICE,
    models=tuple(model.info for model in MODELS),
    voices=VOICES,
    is_configured=lambda: is_configured(os.environ),
    setup_advice=KEY_ADVICE,
    connect=_connect,
    fetch_models=_fetch_models,
)
