"""Errors of the server: how they are told, and which are tried again."""

import pytest

from tests.loopback.openai_script import Reply
from tests.providers.openai.conversation import Conversation
from tests.support.settings import config_of
from voicecli.commands import SendText
from voicecli.errors import AuthenticationError, ProtocolError, QuotaExceededError, RealtimeConnectionError
from voicecli.events import CONTENT_FILTER, OUTPUT_LIMIT, ErrorOccurred, Event, Notice, ResponseDone, ResponseStarted
from voicecli.ports import Expiring
from voicecli.providers.openai.errors import close_error, handshake_error
from voicecli.providers.openai.settings import OpenAISettings

GOOD = Reply(text="Here I am.")


def ask(*replies: Reply) -> Conversation:
    conversation = Conversation(replies=replies)
    conversation.send(SendText("Hi"))
    return conversation


@pytest.mark.parametrize("code", ["server_error", "rate_limit_exceeded", "inference_rate_limit_exceeded"])
def test_a_failed_response_is_tried_again_once_under_its_name(code: str) -> None:
    conversation = ask(Reply(fails_with=code), GOOD)
    conversation.settle()
    assert [notice.code for notice in conversation.all(Notice)] == ["response_retried"]
    assert len(conversation.all(ResponseStarted)) == 1
    (done,) = conversation.all(ResponseDone)
    assert (done.response_id, done.status) == (conversation.all(ResponseStarted)[0].response_id, "completed")
    assert conversation.said("assistant") == ["Here I am."]


def test_a_rate_limit_that_lasts_is_an_error_the_conversation_survives() -> None:
    conversation = ask(Reply(fails_with="rate_limit_exceeded"), Reply(fails_with="rate_limit_exceeded"))
    conversation.settle()
    (occurred,) = conversation.all(ErrorOccurred)
    assert isinstance(occurred.error, QuotaExceededError)
    assert occurred.error.advice
    (done,) = conversation.all(ResponseDone)
    assert (done.status, done.reason) == ("failed", "rate_limit_exceeded")
    assert not conversation.codec.busy
    conversation.send(SendText("Again"))
    conversation.settle()
    assert conversation.all(ResponseDone)[1].status == "completed"


def test_a_server_that_fails_twice_is_dialled_again_and_then_given_up() -> None:
    conversation = ask(*[Reply(fails_with="server_error")] * 3)
    with pytest.raises(RealtimeConnectionError) as caught:
        conversation.settle()
    assert caught.value.retryable
    conversation.dial()
    assert [done.status for done in conversation.all(ResponseDone)] == ["failed"]
    assert len(conversation.all(ErrorOccurred)) == 1


@pytest.mark.parametrize(
    ("code", "kind"), [("insufficient_quota", QuotaExceededError), ("model_not_found", RealtimeConnectionError)]
)
def test_a_failure_that_lasts_ends_the_conversation(code: str, kind: type[RealtimeConnectionError]) -> None:
    conversation = ask(Reply(fails_with=code))
    with pytest.raises(kind) as caught:
        conversation.settle()
    assert not caught.value.retryable
    assert caught.value.advice


def test_a_new_code_of_a_known_type_ends_the_conversation() -> None:
    conversation = Conversation()
    error = {"type": "insufficient_quota", "code": "no_coins_left", "message": "Pay.", "param": None, "event_id": None}
    with pytest.raises(QuotaExceededError):
        conversation.give({"type": "error", "event_id": "e1", "error": error})


@pytest.mark.parametrize(("code", "reason"), [("max_output_tokens", OUTPUT_LIMIT), ("content_filter", CONTENT_FILTER)])
def test_a_response_that_stops_early_says_why(code: str, reason: str) -> None:
    conversation = ask(Reply(stops_for=code))
    conversation.settle()
    (done,) = conversation.all(ResponseDone)
    assert (done.status, done.reason) == ("incomplete", reason)
    assert conversation.finals("assistant")


def test_other_errors_are_told_and_the_conversation_goes_on() -> None:
    conversation = Conversation()
    told = conversation.give(conversation.session.error("something_new", "It is odd.", "item.content"))
    (occurred,) = [event for event in told if isinstance(event, ErrorOccurred)]
    assert "It is odd" in str(occurred.error)


def test_a_refused_request_for_a_reply_leaves_nothing_waiting() -> None:
    conversation = Conversation()
    conversation.session.ignores.add("response.create")
    conversation.send(SendText("Hi"))
    conversation.deliver()
    conversation.give(conversation.session.error("invalid_value", "No.", None, conversation.sent[-1]["event_id"]))
    assert not conversation.codec.busy
    assert len(conversation.all(ErrorOccurred)) == 1
    (started,), (done,) = conversation.all(ResponseStarted), conversation.all(ResponseDone)
    assert (done.response_id, done.status, done.reason) == (started.response_id, "failed", "invalid_value")


@pytest.mark.parametrize(
    ("code", "kind", "retryable"),
    [
        ("invalid_api_key", AuthenticationError, False),
        ("insufficient_quota", QuotaExceededError, False),
        ("invalid_model", RealtimeConnectionError, False),
        ("beta_api_shape_disabled", RealtimeConnectionError, False),
        ("session_expired", RealtimeConnectionError, True),
        ("server_error", RealtimeConnectionError, True),
    ],
)
def test_an_error_instead_of_a_session(code: str, kind: type[RealtimeConnectionError], retryable: bool) -> None:
    conversation = Conversation(start=False)
    with pytest.raises(kind) as caught:
        conversation.give(conversation.session.error(code, "Sorry: sk-abc***xyz."))
    assert (caught.value.code, caught.value.retryable) == (code, retryable)
    assert "xyz" not in str(caught.value)


@pytest.mark.parametrize("code", [1001, 1005, 1006, 1011, 1012, 1013, 1015])
def test_closes_after_which_it_is_worth_dialling_again(code: int) -> None:
    error = Conversation().codec.closed(code, "")
    assert (error.retryable, error.close_code) == (True, code)


@pytest.mark.parametrize("code", [1000, 1002, 1008, 1009, 3000, 4000, 4004])
def test_closes_that_are_the_end(code: int) -> None:
    error = Conversation().codec.closed(code, "so it is")
    assert (error.retryable, error.close_code, error.code) == (False, code, "")
    assert "so it is" in error.message


def test_a_close_is_explained_by_the_error_just_before_it() -> None:
    conversation = Conversation()
    conversation.give(conversation.session.error("odd_thing", "The moon is full."))
    error = conversation.codec.closed(1011, "")
    assert "The moon is full" in error.message
    assert error.retryable
    conversation.give({"type": "rate_limits.updated", "rate_limits": []})
    assert "moon" not in conversation.codec.closed(1011, "").message


@pytest.mark.parametrize(
    ("close", "reason", "kind", "retryable"),
    [
        (3000, "invalid_request_error.invalid_api_key", AuthenticationError, False),
        (4004, "invalid_request_error.model_not_found", RealtimeConnectionError, False),
        (1001, "invalid_request_error.session_expired", RealtimeConnectionError, True),
        (1011, "server_error.odd", RealtimeConnectionError, True),
    ],
)
def test_a_close_is_explained_by_its_reason(
    close: int, reason: str, kind: type[RealtimeConnectionError], retryable: bool
) -> None:
    error = Conversation().codec.closed(close, reason)
    assert isinstance(error, kind)
    assert (error.retryable, error.code) == (retryable, reason.split(".")[1])


@pytest.mark.parametrize(
    ("status", "body", "kind", "retryable"),
    [
        (401, b"", AuthenticationError, False),
        (401, b'{"error":{"code":"invalid_api_key","message":"Bad key sk-123456."}}', AuthenticationError, False),
        (403, b"", AuthenticationError, False),
        (403, b'{"error":{"message":"Country not supported."}}', RealtimeConnectionError, False),
        (404, b"<html>", RealtimeConnectionError, False),
        (429, b"", QuotaExceededError, True),
        (429, b'{"error":{"code":"insufficient_quota"}}', QuotaExceededError, False),
        (302, b"", RealtimeConnectionError, False),
        (407, b"", RealtimeConnectionError, False),
        (500, b"[1]", RealtimeConnectionError, True),
        (503, b'{"error":"text"}', RealtimeConnectionError, True),
    ],
)
def test_refused_handshakes(status: int, body: bytes, kind: type[RealtimeConnectionError], retryable: bool) -> None:
    error = Conversation().codec.refused(status, body)
    assert type(error) is kind
    assert error.retryable is retryable
    assert "123456" not in str(error)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"null",
        b"3",
        b"{}",
        b'{"type":3}',
        b'{"type":"response.done"}',
        pytest.param(b"[" * 100_000, id="deep"),
        b'{"type":"response.output_audio.delta","response_id":"r","item_id":"i","delta":"a"}',
    ],
)
def test_garbage_is_a_protocol_error_and_harms_nothing(message: bytes) -> None:
    conversation = ask(GOOD)
    with pytest.raises(ProtocolError):
        conversation.codec.receive(message)
    conversation.settle()
    assert conversation.said("assistant")[-1] == "Here I am."


def test_unknown_events_and_fields_are_ignored() -> None:
    conversation = ask(GOOD)
    told: list[Event | Expiring] = conversation.give({"type": "response.sneezed", "loud": True})
    while conversation.inbox or conversation.session.active:
        for frame in [*conversation.inbox, *conversation.session.step()]:
            conversation.give(_with_extras(frame))
        conversation.inbox.clear()
    assert told == []
    assert conversation.said("assistant") == ["Here I am."]


def _with_extras(value: object) -> dict[str, object]:
    assert isinstance(value, dict)
    more = {name: _with_extras(inner) if isinstance(inner, dict) else inner for name, inner in value.items()}
    return more | {"newfangled": {"a": [1]}}


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1008, 1009, 1011, 4000])
def test_every_close_comes_with_advice(code: int) -> None:
    assert close_error(code, "", None).advice


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 407, 429, 500, 503])
def test_every_refusal_comes_with_advice(status: int) -> None:
    assert handshake_error(status, b"").advice


@pytest.mark.parametrize(
    ("given", "error", "advice"),
    [
        ({}, {"param": "session.audio.output.voice"}, "Choose a voice that this server has"),
        ({}, {"param": "session.voice"}, "Choose a voice that this server has"),
        ({}, {"message": "Unknown parameter: 'session.audio.output.voice'."}, "Choose a voice that this server has"),
        ({"voice": "cedar"}, {"param": "session.audio.output.voice"}, "Leave 'voice' out"),
        ({}, {"param": "session.audio.input.turn_detection.type"}, "--vad client"),
        ({}, {"param": "session.audio.input.transcription.model", "code": "model_not_found"}, '"none"'),
        ({}, {"message": "There is no model gpt-transcribe."}, "--transcription-model"),
        ({"transcription_model": "hear-1"}, {"message": "hear-1 is not supported."}, "--transcription-model"),
        ({}, {"message": "No such model.", "code": "model_not_found"}, "Choose a model that 127.0.0.1:9 has"),
    ],
)
def test_advice_is_about_what_was_chosen(given: dict[str, str], error: dict[str, str], advice: str) -> None:
    config = config_of(OpenAISettings, api_key="sk-test-0123456789", base_url="http://127.0.0.1:9", **given)
    conversation = Conversation(config, start=False)
    with pytest.raises(RealtimeConnectionError) as caught:
        conversation.give({"type": "error", "error": {"type": "invalid_request_error", "message": "No.", **error}})
    assert advice in caught.value.advice
    assert "127.0.0.1:9" in caught.value.message


def test_a_transcription_model_that_is_missing_comes_with_advice() -> None:
    conversation = Conversation()
    kind = "conversation.item.input_audio_transcription.failed"
    error = {"code": "model_not_found", "message": "There is no model gpt-transcribe."}
    conversation.give({"type": kind, "item_id": "i", "error": error})
    (notice,) = conversation.all(Notice)
    assert "--transcription-model" in notice.message
