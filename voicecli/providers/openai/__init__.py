"""OpenAI's Realtime API: the provider entry."""

import asyncio
import json
import urllib.error
import urllib.request

from voicecli.config import RealtimeConfig
from voicecli.errors import RealtimeConnectionError
from voicecli.providers.base import Capabilities, Connection, ConversationSetup, ModelInfo, Provider
from voicecli.providers.openai.codec import RATE, OpenAICodec
from voicecli.providers.openai.endpoint import SETUP_ADVICE, find_endpoint, is_configured
from voicecli.providers.openai.errors import handshake_error
from voicecli.providers.openai.models import DEFAULT_MODEL, DEFAULT_VOICE, MODELS, VOICES

__all__ = ["OPENAI", "OpenAICodec"]

_CAPABILITIES = Capabilities(input_rate=RATE, output_rate=RATE)
_FETCH_TIMEOUT_S = 15.0


async def _connect(setup: ConversationSetup) -> Connection:
    codec = OpenAICodec(setup)  # a missing key is found before the libraries for the network are loaded
    from voicecli.websocket import WebSocketConnection

    return await WebSocketConnection.open(codec, _CAPABILITIES, setup.config)


async def _fetch_models(config: RealtimeConfig) -> list[ModelInfo]:
    endpoint = find_endpoint(config, DEFAULT_MODEL)
    request = urllib.request.Request(endpoint.models_url, headers=dict(endpoint.headers))
    names = await asyncio.to_thread(_model_names, request)
    known = {model.name: model for model in MODELS}
    return [known.get(name) or ModelInfo(name) for name in sorted(names) if "realtime" in name]


def _model_names(request: urllib.request.Request) -> list[str]:
    try:
        with urllib.request.urlopen(request, timeout=_FETCH_TIMEOUT_S) as response:
            listed = json.load(response)
        return [str(model["id"]) for model in listed["data"]]
    except urllib.error.HTTPError as error:
        with error:
            raise handshake_error(error.code, error.read()) from None
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise RealtimeConnectionError(f"OpenAI cannot be reached: {reason}.", retryable=True) from error
    except (ValueError, KeyError, TypeError) as error:
        raise RealtimeConnectionError(
            "This server has no list of models that can be read.", advice="Check the base URL."
        ) from error


OPENAI = Provider(
    name="openai",
    title="OpenAI Realtime",
    capabilities=_CAPABILITIES,
    default_model=DEFAULT_MODEL,
    default_voice=DEFAULT_VOICE,
    models=MODELS,
    voices=VOICES,
    is_configured=is_configured,
    setup_advice=SETUP_ADVICE,
    connect=_connect,
    fetch_models=_fetch_models,
)
