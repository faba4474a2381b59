"""The address and the credentials of a connection, and the errors of a refused one."""

import sys

import pytest

from tests.providers.gemini.conversation import make_codec
from tests.support.settings import config_of
from voicecli.config import RealtimeConfig
from voicecli.errors import AuthenticationError, ConfigurationError, QuotaExceededError
from voicecli.providers.gemini.endpoint import find_endpoint, is_configured
from voicecli.providers.gemini.errors import close_error, http_error
from voicecli.providers.gemini.settings import GeminiSettings

KEY = "AIza-secret-0123456789"
SERVICE = "google.ai.generativelanguage"


def test_the_key_goes_into_a_header_only() -> None:
    codec = make_codec(api_key=KEY)
    assert codec.url == (
        f"wss://generativelanguage.googleapis.com/ws/{SERVICE}.v1beta.GenerativeService.BidiGenerateContent"
    )
    assert codec.headers == {"x-goog-api-key": KEY}
    assert KEY not in repr(find_endpoint(RealtimeConfig(api_key=KEY), {}))


@pytest.mark.parametrize(
    ("environ", "key"),
    [
        ({"GEMINI_API_KEY": "one"}, "one"),
        ({"GOOGLE_API_KEY": "two"}, "two"),
        ({"GEMINI_API_KEY": " one\n", "GOOGLE_API_KEY": "two"}, "one"),
    ],
)
def test_keys_of_the_environment(environ: dict[str, str], key: str) -> None:
    assert is_configured(environ)
    assert find_endpoint(RealtimeConfig(), environ).headers == {"x-goog-api-key": key}


@pytest.mark.parametrize("key", [None, "   ", "smart\u2019quote"])
def test_without_a_usable_key_the_variables_are_named(key: str | None) -> None:
    with pytest.raises(ConfigurationError, match="GEMINI_API_KEY"):
        find_endpoint(RealtimeConfig(api_key=key), {})


def test_an_ephemeral_token() -> None:
    endpoint = find_endpoint(RealtimeConfig(api_key="auth_tokens/abc"), {})
    assert endpoint.url.endswith(f"/ws/{SERVICE}.v1alpha.GenerativeService.BidiGenerateContentConstrained")
    assert endpoint.headers["Authorization"] == "Token auth_tokens/abc"


@pytest.mark.parametrize(
    ("settings", "environ", "url"),
    [
        ({"api_version": "v1"}, {}, f"wss://generativelanguage.googleapis.com/ws/{SERVICE}.v1."),
        ({"base_url": "http://127.0.0.1:9/p/"}, {}, f"ws://127.0.0.1:9/p/ws/{SERVICE}.v1beta."),
        ({}, {"GOOGLE_GEMINI_BASE_URL": "https://proxy.example"}, f"wss://proxy.example/ws/{SERVICE}.v1beta."),
        ({"affective_dialog": True}, {}, f"wss://generativelanguage.googleapis.com/ws/{SERVICE}.v1beta."),
        (
            {"affective_dialog": True, "model": "gemini-2.5-flash-native-audio-latest"},
            {},
            f"wss://generativelanguage.googleapis.com/ws/{SERVICE}.v1alpha.",
        ),
    ],
)
def test_addresses(settings: dict[str, str], environ: dict[str, str], url: str) -> None:
    endpoint = find_endpoint(config_of(GeminiSettings, api_key=KEY, **settings), environ)
    assert endpoint.url == f"{url}GenerativeService.BidiGenerateContent"


@pytest.mark.parametrize(
    ("location", "host"),
    [
        ("us-central1", "us-central1-aiplatform.googleapis.com"),
        ("eu", "aiplatform.eu.rep.googleapis.com"),
        (None, "aiplatform.googleapis.com"),
    ],
)
def test_vertex_ai(location: str | None, host: str) -> None:
    endpoint = find_endpoint(config_of(GeminiSettings, project="p", location=location), {"GEMINI_API_KEY": "unused"})
    assert endpoint.url == f"wss://{host}/ws/google.cloud.aiplatform.v1beta1.LlmBidiService/BidiGenerateContent"
    assert endpoint.model == f"projects/p/locations/{location or 'global'}/publishers/google/models/gemini-3.8-live"
    assert endpoint.vertex


def test_when_the_environment_means_vertex_ai() -> None:
    cloud = {"GOOGLE_CLOUD_PROJECT": "p", "GOOGLE_CLOUD_LOCATION": "eu"}
    assert is_configured(cloud)
    assert find_endpoint(RealtimeConfig(), cloud).vertex
    assert not find_endpoint(RealtimeConfig(), {**cloud, "GOOGLE_API_KEY": "k"}).vertex
    assert find_endpoint(RealtimeConfig(), {**cloud, "GOOGLE_API_KEY": "k", "GOOGLE_GENAI_USE_VERTEXAI": "true"}).vertex
    assert not is_configured({"GOOGLE_CLOUD_PROJECT": "p"})
    with pytest.raises(ConfigurationError, match="GOOGLE_CLOUD_PROJECT"):
        find_endpoint(RealtimeConfig(), {"GOOGLE_GENAI_USE_VERTEXAI": "1"})


async def test_vertex_ai_without_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = find_endpoint(config_of(GeminiSettings, project="p"), {})
    assert endpoint.credentials is not None
    assert endpoint.headers == {}
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/does/not/exist.json")
    with pytest.raises(AuthenticationError, match="gcloud auth"):
        await endpoint.credentials()
    monkeypatch.setitem(sys.modules, "google.auth", None)
    with pytest.raises(ConfigurationError, match=r"voicecli\[vertex\]"):
        await endpoint.credentials()


# Refusals

CLOSES = [
    (1000, "", True, ""),
    (1001, "going away", True, ""),
    (1006, "", True, ""),
    (1011, "Internal error encountered.", True, ""),
    (1011, "keepalive ping timeout", True, ""),
    (1012, "", True, ""),
    (1007, "Request contains an invalid argument.", False, "invalid_argument"),
    (
        1007,
        "Invalid JSON payload received. Unknown name \"x\" at 'setup': Cannot find field.",
        False,
        "invalid_argument",
    ),
    (1007, "The requested combination of response modalities (TEXT) is not supported", False, "invalid_argument"),
    (1007, "Thinking level must be specified for this model", False, "invalid_argument"),
    (1007, "BLOCKING function calls are not supported for this model", False, "invalid_argument"),
    (1008, "models/x is not found for API version v1beta, or is not supported", False, "model_not_found"),
    (1008, "Publisher model projects/p was not found", False, "model_not_found"),
    (1008, "Connection aborted because the client failed to close the connection after", True, ""),
    (1008, "Operation is not implemented, or supported, or enabled.", True, ""),
    (1008, "The operation was aborted.", True, ""),
    (1008, "a policy", False, "invalid_argument"),
]


@pytest.mark.parametrize(("code", "reason", "retryable", "name"), CLOSES)
def test_closes(code: int, reason: str, retryable: bool, name: str) -> None:
    error = make_codec().closed(code, reason)
    assert (error.retryable, error.code, error.close_code) == (retryable, name, code)
    assert not isinstance(error, AuthenticationError | QuotaExceededError)
    assert retryable or error.advice or reason == "a policy"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (1007, "API key not valid. Please pass a valid API key."),
        (1008, "Method doesn't allow unregistered callers (callers without established identity)."),
        (1008, "Request had invalid authentication credentials. Expected OAuth 2 access token"),
    ],
)
def test_a_bad_key_is_recognised(code: int, reason: str) -> None:
    error = make_codec().closed(code, reason)
    assert isinstance(error, AuthenticationError)
    assert not error.retryable
    assert "GEMINI_API_KEY" in error.advice


def test_a_spent_quota_is_recognised() -> None:
    error = make_codec().closed(1011, "You exceeded your current quota, please check your plan and billing details")
    assert isinstance(error, QuotaExceededError)
    assert not error.retryable


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (401, AuthenticationError, False),
        (403, AuthenticationError, False),
        (404, Exception, False),
        (429, QuotaExceededError, True),
        (500, Exception, True),
        (503, Exception, True),
        (418, Exception, False),
    ],
)
def test_http_refusals(status: int, kind: type[Exception], retryable: bool) -> None:
    for body in (b"", b"<html>", b'{"error":{"message":"Sorry."}}', b"[[" * 100_000, b"\xff"):
        error = make_codec().refused(status, body)
        assert isinstance(error, kind)
        assert (error.retryable, error.code) == (retryable, str(status))
    assert "Sorry." in make_codec().refused(status, b'{"error":{"message":"Sorry."}}').message


def test_the_key_is_never_repeated() -> None:
    codec = make_codec(api_key=KEY)
    assert KEY not in str(codec.closed(1007, f"Bad key {KEY}."))
    assert KEY not in str(codec.refused(400, f'{{"error":{{"message":"Bad key {KEY}."}}}}'.encode()))


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1007, 1008, 1011])
def test_every_close_comes_with_advice(code: int) -> None:
    assert close_error(code, "for a reason", model="m").advice


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 429, 500, 503])
def test_every_refusal_comes_with_advice(status: int) -> None:
    assert http_error(status, b"").advice
