"""OpenAI's Realtime API: the provider entry."""

from collections.abc import Mapping

from voicecli.config import RealtimeConfig
from voicecli.ports import (
    Capabilities,
    Codec,
    Connection,
    ConversationSetup,
    ModelInfo,
    Provider,
    Service,
    TranscriberSetup,
)
from voicecli.pricing import Prices
from voicecli.providers.openai.codec import RATE, OpenAICodec
from voicecli.providers.openai.endpoint import (
    KEY_VARIABLES,
    NAME,
    SETUP_ADVICE,
    Endpoint,
    doubts_key,
    find_address,
    find_endpoint,
    is_configured,
)
from voicecli.providers.openai.errors import Server, handshake_error
from voicecli.providers.openai.models import (
    DEFAULT_MODEL,
    DEFAULT_TRANSCRIPTION_MODEL,
    DEFAULT_VOICE,
    MODELS,
    TRANSCRIBERS,
    VOICES,
    prices_of,
)
from voicecli.providers.openai.settings import OpenAISettings
from voicecli.providers.openai.setup import lacks, transcription_model
from voicecli.providers.openai.translation import INTERPRETER
from voicecli.threads import run_in_thread

__all__ = ["OPENAI", "OpenAICodec"]

_CAPABILITIES = Capabilities(input_rate=RATE, output_rate=RATE, changes_tools=True)
_TITLE = "OpenAI Realtime"


async def _connect(setup: ConversationSetup) -> Connection:
    # A missing key is found before the libraries for the network are loaded. The keyring may keep one waiting.
    endpoint = await run_in_thread(find_endpoint, setup.config, setup.config.model or DEFAULT_MODEL)
    codec = OpenAICodec(setup, endpoint)
    from voicecli.connection.websocket import WebSocketConnection

    return await WebSocketConnection.open(codec, _CAPABILITIES, setup.config, recorder=setup.recorder)


def _replay(setup: ConversationSetup, server: Mapping[str, str]) -> Codec:
    return OpenAICodec(setup, Endpoint(url=f"wss://{server['host']}", models_url="", headers={}))


async def _fetch_models(config: RealtimeConfig) -> list[ModelInfo]:
    from voicecli.providers.http import fetch_json, unreadable

    endpoint = await run_in_thread(find_endpoint, config, DEFAULT_MODEL)
    server = Server(endpoint.server, endpoint.is_openai)
    listed = await fetch_json(
        endpoint.models_url,
        endpoint.headers,
        timeout_s=config.connect_timeout_s,
        title=_TITLE,
        refused=lambda status, body: handshake_error(status, body, server),
    )
    try:
        names = [str(model["id"]) for model in listed["data"]]
    except (KeyError, TypeError) as error:
        raise unreadable(_TITLE) from error
    known = {model.name: model for model in MODELS}
    return [known.get(name) or ModelInfo(name) for name in sorted(names) if "realtime" in name]


def _priced_models(config: RealtimeConfig) -> Mapping[str, Prices | None]:
    models = [config.model or DEFAULT_MODEL]
    if (transcription := transcription_model(config)) is not None:
        models.append(transcription)
    return {model: prices_of(model) for model in models}


async def _transcribe(setup: TranscriberSetup) -> Connection:
    from voicecli.providers.openai.transcription import connect

    return await connect(setup, _TRANSCRIBER.capabilities)


_TRANSCRIBER = Service[TranscriberSetup](
    capabilities=Capabilities(input_rate=RATE, output_rate=RATE, images=False, tools=False, reports_speech=False),
    default_model=DEFAULT_TRANSCRIPTION_MODEL,
    models=TRANSCRIBERS,
    connect=_transcribe,
)

OPENAI = Provider(
    name=NAME,
    title=_TITLE,
    capabilities=_CAPABILITIES,
    default_model=DEFAULT_MODEL,
    default_voice=DEFAULT_VOICE,
    models=MODELS,
    voices=VOICES,
    is_configured=is_configured,
    setup_advice=SETUP_ADVICE,
    key_variables=KEY_VARIABLES,
    key_url="https://platform.openai.com/api-keys",
    settings=OpenAISettings,
    lacks=lacks,
    connect=_connect,
    replay=_replay,
    fetch_models=_fetch_models,
    address=find_address,
    doubts_key=doubts_key,
    priced_models=_priced_models,
    interpreter=INTERPRETER,
    transcriber=_TRANSCRIBER,
)
