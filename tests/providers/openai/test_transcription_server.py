"""The loopback server of transcriptions, by those who talk to it: the official client, and what we send to it."""

import base64
from typing import Any

import openai
import pytest

from tests.loopback.openai_transcription_server import KEY, TranscriptionServer
from tests.loopback.spoken_words import pause, word
from tests.providers.openai.transcribing import RATE, Transcribing
from tests.support.settings import config_of
from voicecli.config import RealtimeConfig
from voicecli.errors import AuthenticationError, ConfigurationError
from voicecli.events import Notice, SessionStarted
from voicecli.ports import TranscriberSetup
from voicecli.providers.openai import OPENAI
from voicecli.providers.openai.settings import OpenAISettings
from voicecli.providers.openai.transcription import find_transcription_endpoint

# The official client


@pytest.mark.parametrize("model", ["gpt-transcribe", "gpt-live-transcribe"])
async def test_the_official_client_talks_to_it(model: str) -> None:
    async with TranscriptionServer() as server:
        client = openai.AsyncOpenAI(api_key=KEY, base_url=server.url)
        async with client.realtime.connect(extra_query={"intent": "transcription"}) as connection:
            transcription: Any = {"model": model, "languages": ["en", "de"], "keywords": ["voicecli"]}
            audio_in: Any = {"turn_detection": None, "transcription": transcription}
            await connection.session.update(session={"type": "transcription", "audio": {"input": audio_in}})
            for number in (0, 1):
                for sound in (word(number, RATE), pause(RATE)):
                    await connection.input_audio_buffer.append(audio=base64.b64encode(sound).decode())
            await connection.input_audio_buffer.commit()
            kinds, words, said = [], "", ""
            async for event in connection:
                kinds.append(event.type)
                if event.type == "conversation.item.input_audio_transcription.delta":
                    words += event.delta or ""
                elif event.type == "conversation.item.input_audio_transcription.completed":
                    said = event.transcript
                    assert event.usage.type == "duration"
                    assert event.usage.seconds == pytest.approx(0.8)
                    break
    assert kinds[:2] == ["session.created", "session.updated"]
    assert said == "w0 w1"
    assert words.startswith("w0 ")
    early = kinds.index("conversation.item.input_audio_transcription.delta") < kinds.index(
        "input_audio_buffer.committed"
    )
    assert early == (model == "gpt-live-transcribe")


@pytest.mark.parametrize(
    ("transcription", "param"),
    [
        ({"model": "gpt-live-transcribe", "language": "en", "languages": ["en"]}, "languages"),
        ({"model": "gpt-live-transcribe", "languages": []}, "languages"),
        ({"model": "gpt-live-transcribe", "languages": None}, "languages"),
        ({"model": "gpt-transcribe", "keywords": ["<b>"]}, "keywords"),
        ({"model": "gpt-realtime-whisper", "prompt": "Hm"}, "prompt"),
        ({"model": "gpt-9-transcribe"}, "model"),
    ],
)
async def test_the_official_client_is_told_of_its_mistakes(transcription: dict[str, Any], param: str) -> None:
    async with TranscriptionServer(forgiving=True) as server:
        client = openai.AsyncOpenAI(api_key=KEY, base_url=server.url)
        async with client.realtime.connect(extra_query={"intent": "transcription"}) as connection:
            audio_in: Any = {"transcription": transcription}
            await connection.session.update(session={"type": "transcription", "audio": {"input": audio_in}})
            params = []
            async for event in connection:
                if event.type == "error":
                    params.append(event.error.param or "")
                    break
                assert event.type == "session.created"
    assert param in params[0]


# Settings


def sent(model: str | None = None, settings: dict[str, Any] | None = None, **setup: Any) -> dict[str, Any]:
    """The part of the settings that is about audio, as a strict server took it."""
    talk = Transcribing(config_of(OpenAISettings, api_key="sk-test", model=model, **(settings or {})), setup=setup)
    assert talk.all(SessionStarted)
    (update,) = [frame for frame in talk.session.received if frame["type"] == "session.update"]
    assert update["session"]["type"] == "transcription"
    given = update["session"]["audio"]["input"]
    assert given.pop("turn_detection", "none") is None
    assert given.pop("format") == {"type": "audio/pcm", "rate": 24_000}
    return dict(given)


def test_without_hints_only_the_model_is_sent() -> None:
    assert sent() == {"transcription": {"model": "gpt-transcribe"}}
    assert sent("gpt-live-transcribe") == {"transcription": {"model": "gpt-live-transcribe"}}


@pytest.mark.parametrize("model", ["gpt-transcribe", "gpt-live-transcribe"])
def test_hints_go_to_the_models_that_take_them(model: str) -> None:
    hints: dict[str, Any] = {"languages": ("en-US", "de", "en", "zh-TW"), "keywords": ("voicecli",), "prompt": "Tea."}
    assert sent(model, **hints)["transcription"] == {
        "model": model,
        "languages": ["en", "de", "zh-tw"],
        "keywords": ["voicecli"],
        "prompt": "Tea.",
    }


def test_other_models_get_what_they_take_and_the_rest_is_told() -> None:
    assert sent("whisper-1", languages=("de",), prompt="Tea.")["transcription"] == {
        "model": "whisper-1",
        "language": "de",
        "prompt": "Tea.",
    }
    hints: dict[str, Any] = {"languages": ("en", "de"), "keywords": ("a",), "prompt": "Tea."}
    assert sent("gpt-realtime-whisper", **hints)["transcription"] == {"model": "gpt-realtime-whisper"}
    config = RealtimeConfig(api_key="sk-test", model="gpt-realtime-whisper")
    told = [notice.message.partition(" ")[0] for notice in Transcribing(config, setup=hints).all(Notice)]
    assert told == ["languages", "keywords", "prompt"]


def test_noise_reduction_is_kept_and_the_end_of_a_model_told() -> None:
    settings = {"noise_reduction": "far_field", "noise_reduction_strength": 0.5}
    assert sent(settings=settings)["noise_reduction"] == {"type": "far_field", "strength": 0.5}
    talk = Transcribing(RealtimeConfig(api_key="sk-test", model="whisper-1"))
    (notice,) = talk.all(Notice)
    assert notice.code == "model_deprecated"
    talk.dial()
    assert len(talk.all(Notice)) == 1


@pytest.mark.parametrize(
    "hints",
    [
        {"languages": ("German",)},
        {"languages": ("",)},
        {"keywords": ("a\nb",)},
        {"keywords": ("<a>",)},
        {"keywords": ("",)},
    ],
)
def test_hints_that_cannot_be_are_refused(hints: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(hints))):
        sent(**hints)


@pytest.mark.parametrize("model", ["gpt-realtime-2.1", "gpt-live-1.1", "gpt-audio-mini", "gpt-realtime-mini"])
def test_a_model_of_conversations_is_refused_by_name(model: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{model}.*transcribes nothing"):
        sent(model)


@pytest.mark.parametrize(
    ("base", "url"),
    [
        (None, "wss://api.openai.com/v1/realtime?intent=transcription"),
        ("https://api.openai.com/v1", "wss://api.openai.com/v1/realtime?intent=transcription"),
        ("http://localhost:8000", "ws://localhost:8000/realtime?intent=transcription"),
        ("https://me.openai.azure.com", "wss://me.openai.azure.com/openai/v1/realtime?intent=transcription"),
        ("https://x.example/v1?model=mine", "wss://x.example/v1/realtime?intent=transcription&model=mine"),
        ("https://x.example/speech?a=", "wss://x.example/speech?intent=transcription&a="),
    ],
)
@pytest.mark.parametrize("model", [None, "gpt-live-transcribe"])
def test_the_address_is_found_as_for_conversations(base: str | None, url: str, model: str | None) -> None:
    config = RealtimeConfig(api_key="sk-test", base_url=base, model=model)
    assert find_transcription_endpoint(config).url == url


async def test_without_a_key_nothing_is_dialled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert OPENAI.transcriber is not None
    with pytest.raises((AuthenticationError, ConfigurationError), match="key"):
        await OPENAI.transcriber.connect(TranscriberSetup(config=RealtimeConfig()))
