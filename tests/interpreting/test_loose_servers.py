"""Interpreters as they are: whatever is wrong with one kind of message, the rest is told."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from tests.loopback.loose import Fault, LooseServer, as_json, faults_of
from tests.loopback.loose_translation import LooseGeminiTranslation, LooseOpenAITranslation
from voicecli.commands import AppendAudio, EndTurn
from voicecli.config import RealtimeConfig
from voicecli.errors import ProtocolError, RealtimeConnectionError
from voicecli.events import AudioChunk, Event, SessionStarted, TranscriptUpdate
from voicecli.ports import ClosesGracefully, Codec, Ended, Expiring, InterpreterSetup, StartsUnconfirmed
from voicecli.providers.gemini.endpoint import Endpoint
from voicecli.providers.gemini.translation import GeminiTranslation
from voicecli.providers.openai.translation import OpenAITranslation

SETUP = InterpreterSetup(
    config=RealtimeConfig(api_key="sk-test-0123456789", base_url="http://127.0.0.1:9"), target_language="es"
)
SERVERS: dict[str, Callable[[Fault | None], LooseServer]] = {
    "openai": LooseOpenAITranslation,
    "gemini": LooseGeminiTranslation,
}


def codec_of(provider: str) -> Codec:
    if provider == "openai":
        return OpenAITranslation(SETUP)
    return GeminiTranslation(SETUP, Endpoint("wss://x", "models/m", "", {}))


@dataclass
class Outcome:
    events: list[Event | Expiring | Ended] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)

    def text(self, role: str) -> str:
        return "".join(
            event.text for event in self.events if isinstance(event, TranscriptUpdate) and event.role == role
        )

    @property
    def sound(self) -> bytes:
        return b"".join(event.audio for event in self.events if isinstance(event, AudioChunk))

    @property
    def began(self) -> bool:
        return any(isinstance(event, SessionStarted) for event in self.events)


def outcome_of(provider: str, fault: Fault | None) -> tuple[Outcome, LooseServer]:
    """What comes of a second of audio and a goodbye."""
    server = SERVERS[provider](fault)
    codec, outcome = codec_of(provider), Outcome()
    codec.open()

    def exchange(frames: list[dict[str, object]]) -> None:
        while True:
            for frame in frames:
                try:
                    outcome.events += codec.receive(as_json(frame))
                except (ProtocolError, RealtimeConnectionError) as error:
                    outcome.errors.append(error)
            messages = [json.loads(data) for data in codec.data_to_send()]
            if not messages:
                return
            frames = [frame for message in messages for frame in server.take(message)]

    exchange(server.open())
    for _ in range(3):  # as often as the connection would ask
        if not outcome.began and isinstance(codec, StartsUnconfirmed):
            outcome.events += codec.start_unconfirmed()
            exchange([])
    if outcome.began:
        codec.send(AppendAudio(bytes(2_000)))
        exchange([])
        codec.send(EndTurn())
        if isinstance(codec, ClosesGracefully):
            codec.close()
        exchange([])
    return outcome, server


def all_faults(provider: str) -> list[Fault]:
    _, server = outcome_of(provider, None)
    return list(faults_of(server))


@pytest.mark.parametrize("provider", SERVERS)
def test_without_a_fault_all_is_told(provider: str) -> None:
    outcome, _ = outcome_of(provider, None)
    assert (outcome.text("user")[:6], outcome.text("assistant")[:5]) == ("Hello.", "Hola.")
    assert outcome.sound == bytes(range(1, 241)) * 20
    assert outcome.errors == []
    assert len(all_faults(provider)) > 40


BEARERS = {
    "Hello.": {"session.input_transcript.delta", "inputTranscription"},
    "Hola.": {"session.output_transcript.delta", "outputTranscription"},
    "sound": {"session.output_audio.delta", "modelTurn"},
}
"""What is told, and the kinds of messages that carry it."""


@pytest.mark.parametrize("provider", SERVERS)
def test_a_fault_costs_no_more_than_what_it_hits(provider: str) -> None:
    lost = []
    for fault in all_faults(provider):
        outcome, _ = outcome_of(provider, fault)
        if not outcome.began:
            # Gemini says in no other way that it is ready.
            lost += [] if fault.kind == "setupComplete" else [f"{fault}: it does not begin"]
            continue
        told = {"Hello.": outcome.text("user"), "Hola.": outcome.text("assistant")}
        came = {words for words, text in told.items() if words in text} | ({"sound"} if outcome.sound else set())
        lost += [f"{fault}: {words}" for words in BEARERS if words not in came and fault.kind not in BEARERS[words]]
        assert len(outcome.errors) <= 1, f"{fault}: {outcome.errors}"
    assert lost == []
