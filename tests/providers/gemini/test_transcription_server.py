"""The loopback server of Gemini's transcriptions, by Google's own client; and which endpoints are refused."""

import asyncio
import warnings

import pytest

from tests.loopback.gemini_transcription_server import KEY, GeminiTranscriptionServer
from tests.loopback.spoken_words import pause, word
from tests.support.settings import config_of
from voicecli.errors import ConfigurationError
from voicecli.ports import TranscriberSetup
from voicecli.providers.gemini import GEMINI
from voicecli.providers.gemini.settings import GeminiSettings

RATE = 16_000


@pytest.fixture(autouse=True)
def only_what_the_test_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_GEMINI_BASE_URL", "GOOGLE_GENAI_USE_VERTEXAI"):
        monkeypatch.delenv(name, raising=False)


async def test_googles_client_talks_to_it() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from google import genai
        from google.genai import types
    async with GeminiTranscriptionServer() as server:
        client = genai.Client(api_key=KEY, http_options=types.HttpOptions(api_version="v1beta"))
        # The SDK insists on TLS; these two private attributes make it speak without.
        api = client._api_client
        api._websocket_base_url = lambda http_options=None: server.url.replace("http", "ws")  # type: ignore[method-assign]
        api._websocket_ssl_ctx = {}
        config = types.LiveConnectConfig(
            response_modalities=[types.Modality.TEXT],
            input_audio_transcription=types.AudioTranscriptionConfig(
                language_codes=["en"], custom_vocabulary=["voicecli"]
            ),
        )
        async with client.aio.live.connect(model="gemini-3.5-transcribe-live", config=config) as session:
            for sound in (word(0, RATE, 400), word(1, RATE, 400), pause(RATE, 100)):
                await session.send_realtime_input(audio=types.Blob(data=sound, mime_type="audio/pcm;rate=16000"))
            await session.send_realtime_input(audio_stream_end=True)
            previews, final = [], None
            async with asyncio.timeout(20):
                while final is None:
                    async for message in session.receive():
                        content = message.server_content
                        if content is not None and content.interim_input_transcription is not None:
                            previews.append(content.interim_input_transcription.text)
                        if content is not None and content.input_transcription is not None:
                            final = content.input_transcription
                            break
    assert previews[-1] == "w0 w1?"
    assert (final.text, final.finished) == ("w0 w1", True)
    assert (final.start_offset, final.end_offset) == ("0.000s", "0.800s")
    assert server.sessions[0].setup is not None
    assert server.sessions[0].setup["inputAudioTranscription"]["languageCodes"] == ["en"]


async def test_vertex_ai_is_refused_with_a_way_out() -> None:
    assert GEMINI.transcriber is not None
    with pytest.raises(ConfigurationError, match="Vertex AI") as raised:
        await GEMINI.transcriber.connect(TranscriberSetup(config=config_of(GeminiSettings, project="p")))
    assert "GEMINI_API_KEY" in raised.value.advice


async def test_a_model_of_conversations_is_refused_by_name() -> None:
    assert GEMINI.transcriber is not None
    config = config_of(GeminiSettings, api_key="AIza-x", model="gemini-3.8-live")
    with pytest.raises(ConfigurationError, match=r"gemini-3\.8-live.*transcribes nothing"):
        await GEMINI.transcriber.connect(TranscriberSetup(config=config))


async def test_a_missing_key_is_told() -> None:
    assert GEMINI.transcriber is not None
    with pytest.raises(ConfigurationError, match="No key for Gemini"):
        await GEMINI.transcriber.connect(TranscriberSetup(config=config_of(GeminiSettings)))
