"""OpenAI's translation: the official client and our codec against the strict server, and the codec by itself."""

import asyncio
import base64
import contextlib
import json
from typing import Any

import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.loopback.openai_script import tone
from tests.loopback.openai_translation import KEY, OpenAITranslationServer, Sentence
from tests.support.settings import config_of
from tests.support.virtual_time import virtual_time
from voicecli.commands import AppendAudio
from voicecli.config import RealtimeConfig
from voicecli.errors import ProtocolError, QuotaExceededError, RealtimeConnectionError
from voicecli.events import AudioChunk, ErrorOccurred, Event, SessionStarted, TranscriptUpdate, UsageUpdated
from voicecli.ports import Ended, InterpreterSetup
from voicecli.providers.openai.settings import OpenAISettings
from voicecli.providers.openai.translation import OpenAITranslation


def codec_for(*, to: str = "es", source_text: bool = True, **settings: Any) -> OpenAITranslation:
    config = config_of(OpenAISettings, **{"api_key": KEY, "base_url": "http://127.0.0.1:9/v1", **settings})
    return OpenAITranslation(InterpreterSetup(config=config, target_language=to, source_text=source_text))


def frame(kind: str, **fields: Any) -> bytes:
    return json.dumps({"type": kind, "event_id": "e", **fields}).encode()


def started(codec: OpenAITranslation) -> OpenAITranslation:
    """The codec on a socket on which the server is ready."""
    codec.open()
    codec.receive(frame("session.created", session={}))
    codec.data_to_send()
    assert any(isinstance(event, SessionStarted) for event in codec.receive(frame("session.updated", session={})))
    return codec


def sent(codec: OpenAITranslation) -> list[dict[str, Any]]:
    return [json.loads(data) for data in codec.data_to_send()]


@virtual_time
async def test_the_official_client_talks_to_the_server() -> None:
    async with OpenAITranslationServer(sentences=[Sentence()]) as server:
        client = openai.AsyncOpenAI(api_key=KEY, base_url=server.url)
        heard, said, sound = "", "", b""
        async with client.realtime.translations.connect(model="gpt-realtime-translate") as connection:
            await connection.session.update(
                session={
                    "audio": {
                        "input": {"transcription": {"model": "gpt-live-transcribe"}},
                        "output": {"language": "es"},
                    }
                }
            )

            async def speak() -> None:
                for chunk in (tone(200), tone(200), *[bytes(9_600)] * 10):
                    await connection.session.input_audio_buffer.append(audio=base64.b64encode(chunk).decode())
                    await asyncio.sleep(0.2)
                await connection.session.close()

            speaking = asyncio.create_task(speak())
            async for event in connection:
                if event.type == "session.input_transcript.delta":
                    heard += event.delta
                elif event.type == "session.output_transcript.delta":
                    said += event.delta
                elif event.type == "session.output_audio.delta":
                    sound += base64.b64decode(event.delta)
                elif event.type == "session.closed":
                    break
            await speaking
    assert (heard, said, len(sound)) == ("Good morning.", "Buenos días.", 2 * 9_600)


@virtual_time
async def test_the_server_refuses_what_the_service_would() -> None:
    async with OpenAITranslationServer(forgiving=True) as server:
        client = openai.AsyncOpenAI(api_key=KEY, base_url=server.url)
        async with client.realtime.translations.connect(model="gpt-realtime-translate") as connection:
            audio = base64.b64encode(bytes(9_600)).decode()
            await connection.session.input_audio_buffer.append(audio=audio)
            await connection.session.update(session={"audio": {}})
            await connection.send_raw('{"type":"session.update","session":{"voice":"marin"}}')
            await connection.send_raw('{"type":"input_audio_buffer.append","audio":""}')
            await connection.session.update(session={"audio": {"output": {"language": "es"}}})
            for _ in range(10):
                await connection.session.input_audio_buffer.append(audio=audio)
            await asyncio.sleep(4)
            await connection.session.input_audio_buffer.append(audio=base64.b64encode(bytes(9_800)).decode())
            await connection.session.close()
            async for event in connection:
                if event.type == "session.closed":
                    break
        await server.until(lambda: not server.connections)
    told = "\n".join(server.violations)
    for words in ("before the target", "Missing 'session.audio.output", "voice", "input_audio_buffer.append"):
        assert words in told
    for words in ("too early", "no audio, and no silence", "a chunk of 204 ms"):
        assert words in told


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, {"input": {"transcription": {"model": "gpt-live-transcribe"}}, "output": {"language": "es"}}),
        ({"source_text": False}, {"output": {"language": "es"}}),
        ({"transcription_model": "none", "to": "pt-BR"}, {"output": {"language": "pt-BR"}}),
        (
            {"source_text": False, "noise_reduction": "far_field", "noise_reduction_strength": 0.5},
            {"input": {"noise_reduction": {"type": "far_field", "strength": 0.5}}, "output": {"language": "es"}},
        ),
    ],
)
def test_the_settings_say_what_was_asked_for_and_nothing_else(options: dict[str, Any], wanted: Any) -> None:
    codec = codec_for(**options)
    codec.open()
    codec.receive(frame("session.created", session={}))
    assert sent(codec) == [{"type": "session.update", "session": {"audio": wanted}}]


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("https://api.openai.com/v1", "wss://api.openai.com/v1/realtime/translations?model=gpt-realtime-translate"),
        (
            "https://a.openai.azure.com",
            "wss://a.openai.azure.com/openai/v1/realtime/translations?model=gpt-realtime-translate",
        ),
        ("http://127.0.0.1:9/own/realtime", "ws://127.0.0.1:9/own/realtime/translations?model=gpt-realtime-translate"),
        ("http://127.0.0.1:9/own/path", "ws://127.0.0.1:9/own/path?model=gpt-realtime-translate"),
    ],
)
def test_the_address(base: str, url: str) -> None:
    codec = codec_for(base_url=base)
    assert codec.url == url
    assert ("api-key" if "azure" in base else "Authorization") in codec.headers


def test_long_audio_is_sent_in_frames_of_200_ms_and_short_audio_is_collected() -> None:
    codec = started(codec_for())
    codec.send(AppendAudio(bytes(48 * 500)))
    codec.send(AppendAudio(bytes(48 * 10)))
    codec.send(AppendAudio(bytes(48 * 10)))
    codec.send(AppendAudio(bytes(48 * 7)))
    codec.close()
    *audio, last = sent(codec)
    assert {each["type"] for each in audio} == {"session.input_audio_buffer.append"}
    assert [len(base64.b64decode(each["audio"])) // 48 for each in audio] == [200, 200, 100, 20, 20]
    assert last == {"type": "session.close"}
    codec.close()
    assert sent(codec) == []


def test_sound_is_passed_on_in_whole_samples() -> None:
    codec = started(codec_for())
    events: list[Event] = []
    for piece in (b"\1\2\3", b"\4", b"\5\6"):
        delta = base64.b64encode(piece).decode()
        events += [
            event
            for event in codec.receive(frame("session.output_audio.delta", delta=delta, sample_rate=24_000))
            if isinstance(event, AudioChunk)
        ]
    assert [event.audio for event in events if isinstance(event, AudioChunk)] == [b"\1\2", b"\3\4", b"\5\6"]
    with pytest.raises(ProtocolError, match="16000 Hz"):
        codec.receive(frame("session.output_audio.delta", delta="AAAA", sample_rate=16_000))
    with pytest.raises(ProtocolError, match="2 channels"):
        codec.receive(frame("session.output_audio.delta", delta="AAAA", sample_rate=24_000, channels=2))


def test_the_last_message_brings_the_last_words_and_seconds() -> None:
    codec = started(codec_for())
    codec.send(AppendAudio(bytes(48 * 300)))
    codec.receive(frame("session.output_transcript.delta", delta="Adiós"))
    codec.close()
    words, usage, ended = codec.receive(frame("session.closed"))
    assert words == TranscriptUpdate("assistant", "translated_1", "Adiós", True)
    assert isinstance(usage, UsageUpdated)
    assert usage.usage.session_seconds == pytest.approx(0.3)
    assert isinstance(ended, Ended)
    assert (ended.error.close_code, ended.error.code, ended.error.retryable) == (1000, "", False)


def test_an_end_that_nobody_asked_for_is_dialled_again() -> None:
    with pytest.raises(RealtimeConnectionError) as caught:
        started(codec_for()).receive(frame("session.closed"))
    assert caught.value.retryable


def test_an_error_in_between_is_told_and_one_of_the_account_is_the_end() -> None:
    codec = started(codec_for())
    (told,) = codec.receive(frame("error", error={"type": "server_error", "code": None, "message": "Oops."}))
    assert isinstance(told, ErrorOccurred)
    with pytest.raises(QuotaExceededError):
        codec.receive(frame("error", error={"type": "insufficient_quota", "code": "insufficient_quota"}))


def test_a_language_that_the_service_does_not_have_is_named() -> None:
    codec = codec_for(to="xx")
    codec.open()
    codec.receive(frame("session.created", session={}))
    error = {"code": "invalid_value", "message": "No such language.", "param": "session.audio.output.language"}
    with pytest.raises(RealtimeConnectionError, match="it refused 'to'"):
        codec.receive(frame("error", error=error))


def test_a_server_that_never_confirms_the_settings_is_used_all_the_same() -> None:
    codec = codec_for()
    codec.open()
    assert codec.start_unconfirmed() == []
    assert [each["type"] for each in sent(codec)] == ["session.update"]
    assert codec.receive(frame("session.output_transcript.delta", delta="Hola")) == []
    events = codec.start_unconfirmed()
    assert any(isinstance(event, SessionStarted) for event in events)
    assert any(isinstance(event, TranscriptUpdate) for event in events)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
NAMES = sorted(codec_for()._handlers)
FRAME = st.fixed_dictionaries(
    {"type": st.sampled_from(NAMES) | JSON},
    optional=dict.fromkeys(("delta", "session", "error", "sample_rate", "channels", "elapsed_ms", "event_id"), JSON),
)


@settings(max_examples=50)
@given(st.lists(st.binary(max_size=20) | FRAME.map(lambda each: json.dumps(each).encode()) | st.none(), max_size=8))
def test_whatever_comes_in_only_two_kinds_of_errors_come_out(messages: list[bytes | None]) -> None:
    codec = codec_for()
    codec.open()
    for message in messages:
        with contextlib.suppress(ProtocolError, RealtimeConnectionError):
            if message is None:
                codec.send(AppendAudio(bytes(4_800)))
            else:
                codec.receive(message)
        for data in codec.data_to_send():
            json.loads(data)


def test_the_default_config_needs_nothing_but_a_key() -> None:
    setup = InterpreterSetup(config=RealtimeConfig(api_key=KEY), target_language="es")
    assert OpenAITranslation(setup).url.startswith("wss://api.openai.com/v1/realtime/translations")
