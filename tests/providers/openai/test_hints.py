"""What the session is told of the voice, of noise, and of what the user is likely to say; and which models go away."""

from typing import Any

import pytest

from tests.loopback.openai_wire import RefusedError, check_client_frame
from tests.providers.openai.conversation import Conversation
from tests.providers.openai.live.talk import MODEL, LiveTalk
from tests.support.settings import config_of
from voicecli.config import RealtimeConfig
from voicecli.errors import ConfigurationError, RealtimeConnectionError
from voicecli.events import Notice, SessionStarted
from voicecli.providers.openai import OPENAI
from voicecli.providers.openai.models import TRANSCRIPTION_MODELS
from voicecli.providers.openai.settings import OpenAISettings

HINTS: dict[str, Any] = {
    "transcription_keywords": ("voicecli", "Grace Hopper"),
    "transcription_languages": ("en-US", "de", "zh-TW", "EN"),
    "transcription_prompt": "Ships of the navy.",
}
KEYWORDS = ["voicecli", "Grace Hopper"]
LANGUAGES = ["en", "de", "zh-tw"]


def audio_of(conversation: Conversation) -> dict[str, Any]:
    (update,) = conversation.sent_of("session.update")
    audio: dict[str, Any] = update["session"]["audio"]
    return audio


def notices(conversation: Conversation, code: str) -> list[str]:
    return [notice.message for notice in conversation.all(Notice) if notice.code == code]


@pytest.mark.parametrize(
    ("model", "sent", "left_out"),
    [
        (
            None,
            {"keywords": KEYWORDS, "languages": LANGUAGES, "prompt": HINTS["transcription_prompt"]},
            {"language"},
        ),
        (
            "gpt-live-transcribe",
            {"keywords": KEYWORDS, "languages": LANGUAGES, "prompt": HINTS["transcription_prompt"]},
            {"language"},
        ),
        (
            "gpt-4o-transcribe",
            {"language": "fr", "prompt": HINTS["transcription_prompt"]},
            {"transcription_keywords", "transcription_languages"},
        ),
        (
            "my-deployment",
            {"language": "fr", "prompt": HINTS["transcription_prompt"]},
            {"transcription_keywords", "transcription_languages"},
        ),
        ("gpt-realtime-whisper", {"language": "fr"}, {*HINTS}),
        ("gpt-4o-transcribe-diarize", {"language": "fr"}, {*HINTS}),
        ("none", None, {*HINTS, "language"}),
    ],
)
def test_a_transcription_model_gets_the_hints_that_it_takes(
    model: str | None, sent: dict[str, Any] | None, left_out: set[str]
) -> None:
    conversation = Conversation(config_of(OpenAISettings, transcription_model=model, language="fr-CA", **HINTS))
    expected = sent and {"model": model or "gpt-transcribe", **sent}
    assert audio_of(conversation)["input"].get("transcription") == expected
    assert {told.split()[0] for told in notices(conversation, "setting_ignored")} == left_out


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"transcription_keywords": ("a\nb",)}, "transcription_keywords"),
        ({"transcription_keywords": ("a<b",)}, "<"),
        ({"transcription_keywords": ("b>",)}, ">"),
        ({"transcription_keywords": ("good", " ")}, "empty"),
        ({"transcription_languages": ("en", "")}, "transcription_languages"),
        ({"transcription_languages": ("english",)}, "english"),
        ({"transcription_languages": ("en,de",)}, "en,de"),
        ({"noise_reduction_strength": 0.5}, "near_field"),
        ({"noise_reduction": "near_field", "noise_reduction_strength": -0.1}, "noise_reduction_strength"),
        ({"noise_reduction": "near_field", "noise_reduction_strength": float("inf")}, "noise_reduction_strength"),
        ({"noise_reduction": "near_field", "noise_reduction_strength": float("nan")}, "noise_reduction_strength"),
    ],
)
def test_hints_that_no_server_takes_are_an_error_at_once(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        OpenAISettings(**settings)


@pytest.mark.parametrize("strength", [None, 0, 0.4, 2])
def test_how_much_noise_is_reduced(strength: float | None) -> None:
    own = config_of(OpenAISettings, noise_reduction="far_field", noise_reduction_strength=strength)
    expected = {"type": "far_field"} | ({} if strength is None else {"strength": strength})
    assert audio_of(Conversation(own))["input"]["noise_reduction"] == expected


@pytest.mark.parametrize(
    ("transcription", "refused"),
    [
        ({"model": "gpt-transcribe", "keywords": "one"}, "keywords"),
        ({"model": "gpt-transcribe", "languages": "en"}, "languages"),
    ],
)
def test_hints_have_the_types_of_the_official_client(transcription: dict[str, Any], refused: str) -> None:
    session = {"type": "realtime", "audio": {"input": {"transcription": transcription}}}
    with pytest.raises(RefusedError) as caught:
        check_client_frame({"type": "session.update", "session": session})
    assert refused in (caught.value.param or "")


@pytest.mark.parametrize(("voice", "sent"), [("voice_1234", {"id": "voice_1234"}), ("my_voice", "my_voice")])
def test_a_custom_voice_is_named_by_its_id(voice: str, sent: object) -> None:
    conversation = Conversation(RealtimeConfig(voice=voice))
    assert audio_of(conversation)["output"]["voice"] == sent
    assert [started.voice for started in conversation.all(SessionStarted)] == [voice]
    assert not conversation.all(Notice)


def test_another_custom_voice_than_asked_for_is_said() -> None:
    conversation = Conversation(RealtimeConfig(voice="voice_1"), start=False)
    conversation.give(conversation.inbox.popleft())
    updated = conversation.inbox.popleft()
    updated["session"]["audio"]["output"]["voice"] = {"id": "voice_2"}
    conversation.give(updated)
    assert "voice_2" in conversation.all(Notice)[0].message


@pytest.mark.parametrize(
    ("field", "setting"),
    [
        ("transcription.keywords[0]", "transcription_keywords"),
        ("transcription.languages", "transcription_languages"),
        ("transcription.language", "language"),
        ("transcription.prompt", "transcription_prompt"),
        ("noise_reduction.strength", "noise_reduction_strength"),
    ],
)
def test_a_hint_that_is_refused_is_named(field: str, setting: str) -> None:
    conversation = Conversation(start=False)
    conversation.give(conversation.inbox.popleft())
    update = conversation.sent[0]["event_id"]
    with pytest.raises(RealtimeConnectionError, match=repr(setting)):
        conversation.give(conversation.session.error("invalid_value", "No.", f"session.audio.input.{field}", update))


ENDS = ["whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe-2025-12-15", "gpt-4o-transcribe-diarize"]


@pytest.mark.parametrize("model", ENDS)
def test_a_transcription_model_that_goes_away_is_said_once(model: str) -> None:
    conversation = Conversation(config_of(OpenAISettings, transcription_model=model))
    (told,) = notices(conversation, "model_deprecated")
    assert model in told
    assert "2027-02-26" in told
    conversation.dial()
    assert len(notices(conversation, "model_deprecated")) == 1


@pytest.mark.parametrize("model", [None, "none", "gpt-live-transcribe", "gpt-realtime-whisper", "my-deployment"])
def test_a_transcription_model_that_stays_is_not(model: str | None) -> None:
    assert not Conversation(config_of(OpenAISettings, transcription_model=model)).all(Notice)


def test_the_models_of_another_server_do_not_go_away_with_those_of_openai() -> None:
    config = config_of(
        OpenAISettings, base_url="http://127.0.0.1:9/v1", model="gpt-realtime-mini", transcription_model="whisper-1"
    )
    assert not Conversation(config).all(Notice)
    assert not OPENAI.findings(config)


def test_the_doctor_finds_a_transcription_model_that_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    (found,) = OPENAI.findings(config_of(OpenAISettings, transcription_model="whisper-1"))
    assert (found.name, found.verdict) == ("openai", "warn")
    assert "whisper-1" in found.value
    assert not OPENAI.findings(RealtimeConfig())
    assert not OPENAI.findings(config_of(OpenAISettings, transcription_model="none"))
    monkeypatch.setenv("OPENAI_BASE_URL", "nonsense")
    assert not OPENAI.findings(config_of(OpenAISettings, transcription_model="whisper-1")), "told of the address"


def test_the_list_tells_which_transcription_models_stay() -> None:
    assert OPENAI.transcription_models == TRANSCRIPTION_MODELS
    assert {model.name for model in TRANSCRIPTION_MODELS if not model.deprecated} == {
        "gpt-transcribe",
        "gpt-live-transcribe",
        "gpt-realtime-whisper",
    }


def test_gpt_live_takes_custom_voices_too_and_none_of_the_hints() -> None:
    own = OpenAISettings(
        transcription_model="whisper-1", noise_reduction="near_field", noise_reduction_strength=0.5, **HINTS
    )
    config = RealtimeConfig(model=MODEL, voice="voice_1234", provider_settings=own)
    talk = LiveTalk(config)
    (start,) = talk.sent_of("session.start")
    assert start["session"]["audio"]["output"] == {"voice": {"id": "voice_1234"}}
    assert [started.voice for started in talk.all(SessionStarted)] == ["voice_1234"]
    told = [notice.message.split()[0] for notice in talk.all(Notice) if notice.code == "setting_ignored"]
    assert {*told} == {"transcription_model", "noise_reduction", "noise_reduction_strength", *HINTS}
    assert not OPENAI.findings(config), "it writes down by itself"
