"""Gemini's live translation: Google's client and our codec against the strict server, and the codec by itself."""

import asyncio
import contextlib
import json
import warnings
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.loopback.gemini_session import tone
from tests.loopback.gemini_translation import KEY, GeminiTranslationServer, Sentence
from tests.support.virtual_time import virtual_time
from voicecli.commands import AppendAudio, EndTurn
from voicecli.config import RealtimeConfig
from voicecli.errors import AuthenticationError, ProtocolError, RealtimeConnectionError
from voicecli.events import TranscriptUpdate
from voicecli.ports import Expiring, InterpreterSetup
from voicecli.providers.gemini.endpoint import Endpoint
from voicecli.providers.gemini.translation import GeminiTranslation

MODEL = "models/gemini-3.5-live-translate-preview"


def codec_for(to: str = "es", *, source_text: bool = True, vertex: bool = False) -> GeminiTranslation:
    setup = InterpreterSetup(config=RealtimeConfig(), target_language=to, source_text=source_text)
    return GeminiTranslation(setup, Endpoint("wss://x", MODEL, "", {"x-goog-api-key": KEY}, secret=KEY, vertex=vertex))


def started(codec: GeminiTranslation) -> GeminiTranslation:
    codec.open()
    codec.data_to_send()
    codec.receive(b'{"setupComplete":{}}')
    return codec


def content(**fields: Any) -> bytes:
    return json.dumps({"serverContent": fields}).encode()


def sent(codec: GeminiTranslation) -> list[dict[str, Any]]:
    return [json.loads(data) for data in codec.data_to_send()]


async def translated_by_google(server: GeminiTranslationServer) -> tuple[str, str, bytes]:
    """What Google's own client is told of half a second of speech: the words of both sides, and the sound."""
    from google import genai
    from google.genai import types

    client = genai.Client(api_key=KEY, http_options=types.HttpOptions(api_version="v1beta"))
    # The SDK insists on TLS; these two private attributes make it speak without.
    api = client._api_client
    api._websocket_base_url = lambda http_options=None: server.url.replace("http", "ws")  # type: ignore[method-assign]
    api._websocket_ssl_ctx = {}
    config = types.LiveConnectConfig(
        response_modalities=[types.Modality.AUDIO],
        translation_config=types.TranslationConfig(target_language_code="es", echo_target_language=False),
        input_audio_transcription=types.AudioTranscriptionConfig(),
        output_audio_transcription=types.AudioTranscriptionConfig(),
    )
    heard, said, sound = "", "", b""
    async with client.aio.live.connect(model=MODEL.removeprefix("models/"), config=config) as session:

        async def speak() -> None:
            for chunk in [tone(100, rate=16_000)] * 5 + [bytes(3_200)] * 20:
                await session.send_realtime_input(audio=types.Blob(data=chunk, mime_type="audio/pcm;rate=16000"))
                await asyncio.sleep(0.1)
            await session.send_realtime_input(audio_stream_end=True)

        speaking = asyncio.create_task(speak())
        while said.count(" ") < 1:  # each message ends a turn
            async for message in session.receive():
                told = message.server_content
                if told and told.input_transcription:
                    heard += told.input_transcription.text or ""
                if told and told.output_transcription:
                    said += told.output_transcription.text or ""
                sound += message.data or b""
        await speaking
    return heard, said, sound


@virtual_time
async def test_googles_own_client_talks_to_the_server() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        async with GeminiTranslationServer(sentences=[Sentence()]) as server:
            heard, said, sound = await translated_by_google(server)
            await asyncio.sleep(1)  # for what the client closes when nobody holds it any more
    assert (heard, said) == ("Good morning.", "Buenos días.")
    assert len(sound) >= 9_600


@virtual_time
async def test_the_server_refuses_a_setup_that_the_service_would_not_translate_with() -> None:
    from websockets.asyncio.client import connect
    from websockets.exceptions import ConnectionClosed

    translation = {"targetLanguageCode": "es"}
    wrong: list[dict[str, Any]] = [
        {"generationConfig": {"responseModalities": ["AUDIO"]}},
        {"generationConfig": {"translationConfig": translation, "inputAudioTranscription": {}}},
        {"generationConfig": {"translationConfig": translation}, "systemInstruction": {"parts": []}},
        {"generationConfig": {"translationConfig": translation, "speechConfig": {}}},
    ]
    path = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
    async with GeminiTranslationServer(forgiving=True) as server:
        for place, setup in enumerate(wrong):
            url = server.url.replace("http", "ws") + path
            async with connect(url, additional_headers={"x-goog-api-key": KEY}) as socket:
                await socket.send(json.dumps({"setup": {"model": MODEL, **setup}}))
                if place:
                    with pytest.raises(ConnectionClosed):
                        await socket.recv()
            await server.until(lambda place=place: len(server.violations) > place)  # type: ignore[misc]
    assert "silent for ever" in server.violations[0]


def test_the_setup_says_what_was_asked_for_and_nothing_else() -> None:
    codec = codec_for("pt-BR")
    codec.open()
    translation = {"targetLanguageCode": "pt-BR", "echoTargetLanguage": False}
    generation = {"responseModalities": ["AUDIO"], "translationConfig": translation}
    setup = {"model": MODEL, "generationConfig": generation, "outputAudioTranscription": {}}
    assert sent(codec) == [{"setup": {**setup, "inputAudioTranscription": {}}}]
    codec = codec_for("pt-BR", source_text=False)
    codec.open()
    assert sent(codec) == [{"setup": setup}]


@pytest.mark.parametrize(
    ("role", "words", "shown"),
    [
        ("output", "[es] Hola", "Hola"),
        ("output", "<es-419>Hola", "Hola"),
        ("output", "es-ES Hola", "Hola"),
        ("output", "es: Hola", "Hola"),
        ("output", "Es la hora", "Es la hora"),
        ("output", "es la hora", "es la hora"),
        ("input", "(en-US) Hello", "Hello"),
        ("input", "so: what now", "so: what now"),
        ("input", "[laughs] Hello", "[laughs] Hello"),
    ],
)
def test_a_code_of_a_language_at_the_beginning_is_left_out(role: str, words: str, shown: str) -> None:
    codec = started(codec_for())
    (update, *_) = codec.receive(content(**{f"{role}Transcription": {"text": words}}))
    assert isinstance(update, TranscriptUpdate)
    assert update.text == shown


def test_the_end_of_a_turn_means_nothing() -> None:
    codec = started(codec_for())
    codec.receive(content(outputTranscription={"text": "Buenos"}))
    assert codec.receive(content(turnComplete=True, generationComplete=True, interrupted=True)) == []
    (update,) = codec.receive(content(outputTranscription={"text": " días"}))
    assert update == TranscriptUpdate("assistant", "translated_1", "Buenos días", False)


def test_the_input_ends_once_and_what_comes_after_it_is_not_sent() -> None:
    codec = started(codec_for())
    codec.send(AppendAudio(bytes(3_200 + 320)))
    codec.send(EndTurn())
    codec.send(EndTurn())
    codec.send(AppendAudio(bytes(3_200)))
    kinds = [next(iter(each["realtimeInput"])) for each in sent(codec)]
    assert kinds == ["audio", "audio", "audioStreamEnd"]
    codec.close()
    assert sent(codec) == []


def test_vertex_is_not_told_of_the_end() -> None:
    codec = started(codec_for(vertex=True))
    codec.send(EndTurn())
    codec.send(AppendAudio(bytes(3_200)))
    assert [next(iter(each["realtimeInput"])) for each in sent(codec)] == ["audio"]


def test_the_quiet_at_the_end_is_longer_while_nothing_of_the_translation_has_come() -> None:
    codec = started(codec_for())
    assert codec.quiet_s == 5
    codec.send(AppendAudio(tone(100, rate=16_000)))
    assert codec.quiet_s == 20
    codec.receive(content(outputTranscription={"text": "Hola"}))
    assert codec.quiet_s == 5


def test_a_socket_that_will_be_closed_is_replaced_in_time() -> None:
    assert Expiring(50.0) in started(codec_for()).receive(b'{"goAway":{"timeLeft":"50s"}}')


def test_an_error_never_shows_the_key() -> None:
    codec = codec_for()
    error = codec.closed(1007, f"API key not valid: {KEY}")
    assert isinstance(error, AuthenticationError)
    assert KEY not in str(error)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
WORDS = st.fixed_dictionaries({}, optional={"text": st.text(max_size=8) | JSON}) | JSON
PART = st.fixed_dictionaries({}, optional={"inlineData": st.fixed_dictionaries({}, optional={"data": JSON}) | JSON})
CONTENT = st.fixed_dictionaries(
    {},
    optional={
        "inputTranscription": WORDS,
        "outputTranscription": WORDS,
        "modelTurn": st.fixed_dictionaries({}, optional={"parts": st.lists(PART | JSON, max_size=2) | JSON}) | JSON,
    },
)
MESSAGE = st.fixed_dictionaries(
    {},
    optional={"setupComplete": JSON, "serverContent": CONTENT | JSON, "goAway": JSON, "error": JSON},
)


@settings(max_examples=50)
@given(st.lists(st.binary(max_size=20) | MESSAGE.map(lambda each: json.dumps(each).encode()), max_size=8))
def test_whatever_comes_in_only_two_kinds_of_errors_come_out(messages: list[bytes]) -> None:
    codec = codec_for()
    codec.open()
    for message in messages:
        with contextlib.suppress(ProtocolError, RealtimeConnectionError):
            codec.receive(message)
        codec.send(AppendAudio(bytes(3_200)))
        codec.data_to_send()
