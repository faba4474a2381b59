"""The import paths that programs rely on: a name that comes or goes is a change of the API, and of CHANGELOG.md."""

import importlib
import re

import pytest

from tests.test_imports import HEAVY, loaded_after

PUBLIC = {
    "voicecli": """
        AudioDeviceError AudioFormatError AuthenticationError ClientVAD ConfigurationError GeminiSettings
        Interpreter InterpreterSession LimitReachedError LocalSettings MCPServer OpenAIMCPServer OpenAISettings Prices
        ProtocolError ProviderSettings
        QuotaExceededError RealtimeConfig RealtimeConnectionError RealtimeError RealtimeVoice Reconnect
        Response Retention SemanticVAD ServerVAD ToolError Transcriber VADMode VoiceSession ask converse open_devices
    """,
    "voicecli.audio": """
        AudioSink AudioSource EchoMode Microphone Playhead Speaker WakeWord chunk_audio float32_to_pcm16
        pcm16_to_float32 resample_pcm16
    """,
    "voicecli.commands": """
        AnswerApproval AppendAudio CancelResponse CancelScope ClearAudio Command EndTurn OfferTools PauseAudio
        RequestReply SendImage SendText
        StartTurn ToolResult ToolSchema
    """,
    "voicecli.config": """
        ClientVAD Prices ProviderSettings RealtimeConfig Reconnect SemanticVAD ServerVAD Setting VADMode check_url
        setting
    """,
    "voicecli.errors": """
        AudioDeviceError AudioFormatError AuthenticationError ConfigurationError LimitReachedError NoSpeechError
        ProtocolError
        QuotaExceededError
        RealtimeConnectionError RealtimeError ToolError
    """,
    "voicecli.events": """
        CONNECTION_LOST CONTENT_FILTER INVALID_TOOL_CALL OUTPUT_LIMIT RETRIES_EXHAUSTED ApprovalAnswered
        ApprovalOutcome ApprovalRequest Asleep
        AssistantState AudioChunk AudioDone Awake ErrorOccurred Event Interrupted Notice Reconnecting ResponseDone
        ResponseStarted ResponseStatus Role SessionEnded SessionStarted SpeechStarted SpeechStopped StateChanged
        ToolCallCancelled ToolCallFinished ToolCallRequest TranscriptUpdate TurnMetrics Usage UsageUpdated
        UserState
    """,
    "voicecli.history": """
        ConversationRecord FoundTurn HistoryLog NoConversationError ResponseRecord Store ToolCallRecord TurnRecord
        UsageRecord
    """,
    "voicecli.providers": """
        PROVIDERS BrokenProviderWarning Capabilities ClosesGracefully Codec Connection ConversationSetup Ended Finishing
        GeminiSettings InterpreterSetup
        LocalSettings ModelInfo OpenAIMCPServer OpenAISettings Prices Provider Retention Service TranscriberSetup
        VoiceInfo all_providers choose_provider find_provider is_built_in
    """,
    "voicecli.captions": "Caption CaptionFormat CaptionText Cue readable srt vtt",
    "voicecli.recording": "ConversationRecorder",
    "voicecli.testing": """
        ScriptedConnection check_provider recorded_audio replayed reply scripted_provider tool_call
    """,
    "voicecli.tools": "Tool ToolOutput ToolSchema make_tools tool_output",
    "voicecli.transcript": "Transcript Turn heard_text",
}


def order(name: str) -> tuple[int, str]:
    """Constants, then classes, then functions; each by name."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2), name


@pytest.mark.parametrize("module", PUBLIC)
def test_a_public_module_has_these_names_in_order(module: str) -> None:
    assert importlib.import_module(module).__all__ == sorted(PUBLIC[module].split(), key=order)


@pytest.mark.parametrize("module", PUBLIC)
def test_each_public_name_is_there_and_listed(module: str) -> None:
    loaded = importlib.import_module(module)
    for name in loaded.__all__:
        assert getattr(loaded, name) is not None
        assert name in dir(loaded)


@pytest.mark.parametrize("module", ["voicecli", "voicecli.audio", "voicecli.history"])
def test_where_names_are_loaded_late_nothing_else_is_listed(module: str) -> None:
    loaded = importlib.import_module(module)
    assert {name for name in dir(loaded) if not re.fullmatch(r"__\w+__", name)} == set(loaded.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = loaded.nothing


def test_no_public_module_loads_what_is_heavy() -> None:
    assert loaded_after(f"import {', '.join(PUBLIC)}") & HEAVY == set()
