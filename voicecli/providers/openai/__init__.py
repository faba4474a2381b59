"""OpenAI's Realtime API and GPT-Live: the provider entry."""

from collections.abc import Mapping, Sequence

from voicecli.config import RealtimeConfig
from voicecli.errors import ConfigurationError
from voicecli.finding import Finding
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
from voicecli.providers.openai import setup as realtime_setup
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
from voicecli.providers.openai.live import LiveCodec
from voicecli.providers.openai.live import setup as live_setup
from voicecli.providers.openai.models import (
    DEFAULT_MODEL,
    DEFAULT_TRANSCRIPTION_MODEL,
    DEFAULT_VOICE,
    MODELS,
    TRANSCRIPTION_MODELS,
    VOICES,
    deprecation,
    is_live,
    prices_of,
)
from voicecli.providers.openai.settings import OpenAISettings
from voicecli.providers.openai.translation import INTERPRETER
from voicecli.threads import run_in_thread

__all__ = ["OPENAI", "OpenAICodec"]

_CAPABILITIES = Capabilities(input_rate=RATE, output_rate=RATE, changes_tools=True)
_TITLE = "OpenAI Realtime"


async def _connect(setup: ConversationSetup) -> Connection:
    # A missing key is found before the libraries for the network are loaded. The keyring may keep one waiting.
    endpoint = await run_in_thread(find_endpoint, setup.config, setup.config.model or DEFAULT_MODEL)
    codec = _codec(setup, endpoint)
    from voicecli.connection.websocket import WebSocketConnection

    return await WebSocketConnection.open(
        codec, _model_capabilities(setup.config), setup.config, recorder=setup.recorder
    )


def _replay(setup: ConversationSetup, server: Mapping[str, str]) -> Codec:
    return _codec(setup, Endpoint(url=f"wss://{server['host']}", models_url="", headers={}))


def _codec(setup: ConversationSetup, endpoint: Endpoint) -> OpenAICodec | LiveCodec:
    """The codec of the protocol that the model speaks."""
    if is_live(setup.config.model or DEFAULT_MODEL):
        return LiveCodec(setup, endpoint)
    return OpenAICodec(setup, endpoint)


def _model_capabilities(config: RealtimeConfig) -> Capabilities:
    return live_setup.capabilities(config) if is_live(config.model or DEFAULT_MODEL) else _CAPABILITIES


def _lacks(config: RealtimeConfig) -> dict[str, str]:
    return live_setup.lacks(config) if is_live(config.model or DEFAULT_MODEL) else realtime_setup.lacks(config)


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
    known = {model.name: model for model in (*MODELS, *TRANSCRIPTION_MODELS, *INTERPRETER.models)}
    return [
        known.get(name) or ModelInfo(name)
        for name in sorted(names)
        if name in known or "realtime" in name or is_live(name)
    ]


def _priced_models(config: RealtimeConfig) -> Mapping[str, Prices | None]:
    models = [config.model or DEFAULT_MODEL]
    besides = live_setup.backend_model if is_live(models[0]) else realtime_setup.transcription_model
    if (model := besides(config)) is not None:
        models.append(model)
    return {model: prices_of(model) for model in models}


async def _transcribe(setup: TranscriberSetup) -> Connection:
    from voicecli.providers.openai.transcription import connect

    return await connect(setup, _TRANSCRIBER.capabilities)


_TRANSCRIBER = Service[TranscriberSetup](
    capabilities=Capabilities(input_rate=RATE, output_rate=RATE, images=False, tools=False, reports_speech=False),
    default_model=DEFAULT_TRANSCRIPTION_MODEL,
    models=TRANSCRIPTION_MODELS,
    connect=_transcribe,
)


def _findings(config: RealtimeConfig) -> Sequence[Finding]:
    """The transcription model goes away: nothing else of the settings tells that it will be missed."""
    if is_live(config.model or DEFAULT_MODEL):
        return ()  # it has no transcription model
    model = realtime_setup.transcription_model(config)
    try:
        is_openai = Endpoint(url=find_address(config), models_url="", headers={}).is_openai
    except ConfigurationError:  # told of the address
        return ()
    if not model or not is_openai or not (goes_away := deprecation(model)):
        return ()
    told = f"the transcription model {model} goes away: {goes_away}"
    return (Finding(NAME, told, "warn", f"voice list-models {NAME}", shared="its transcription model goes away"),)


OPENAI = Provider(
    name=NAME,
    title=_TITLE,
    capabilities=_CAPABILITIES,
    default_model=DEFAULT_MODEL,
    default_voice=DEFAULT_VOICE,
    models=MODELS,
    transcription_models=TRANSCRIPTION_MODELS,
    voices=VOICES,
    is_configured=is_configured,
    setup_advice=SETUP_ADVICE,
    key_variables=KEY_VARIABLES,
    key_url="https://platform.openai.com/api-keys",
    settings=OpenAISettings,
    lacks=_lacks,
    connect=_connect,
    replay=_replay,
    fetch_models=_fetch_models,
    address=find_address,
    doubts_key=doubts_key,
    findings=_findings,
    priced_models=_priced_models,
    interpreter=INTERPRETER,
    transcriber=_TRANSCRIBER,
    model_capabilities=_model_capabilities,
)
