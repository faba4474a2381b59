"""Loose servers of interpreters: each says "Hello." and "Hola." with a sound, and means well."""

import base64

from tests.loopback.loose import Fault, Frame, spoil

__all__ = ["LooseGeminiTranslation", "LooseOpenAITranslation"]

SOUND = base64.b64encode(bytes(range(1, 241)) * 20).decode()


class LooseOpenAITranslation:
    """Of OpenAI's protocol."""

    def __init__(self, fault: Fault | None = None) -> None:
        self.fault = fault
        self.said: list[Frame] = []

    def kind(self, frame: Frame) -> str:
        return str(frame["type"])

    def open(self) -> list[Frame]:
        return spoil(self, [{"type": "session.created", "session": {"id": "s", "model": "m"}}], self.fault)

    def take(self, message: Frame) -> list[Frame]:
        return spoil(self, self._answer(message), self.fault)

    def _answer(self, message: Frame) -> list[Frame]:
        match message["type"]:
            case "session.update":
                session = {"id": "s", "model": "m", "audio": message["session"]["audio"]}
                return [{"type": "session.updated", "session": session}]
            case "session.input_audio_buffer.append":
                return [
                    {"type": "session.input_transcript.delta", "delta": "Hello.", "elapsed_ms": 200},
                    {"type": "session.output_transcript.delta", "delta": "Hola.", "elapsed_ms": 200},
                    {"type": "session.output_audio.delta", "delta": SOUND, "sample_rate": 24_000, "channels": 1},
                ]
            case _:
                return [{"type": "session.closed", "event_id": "e"}]


class LooseGeminiTranslation:
    """Of Gemini's protocol."""

    def __init__(self, fault: Fault | None = None) -> None:
        self.fault = fault
        self.said: list[Frame] = []

    def kind(self, frame: Frame) -> str:
        content = frame.get("serverContent")
        return next(iter(content)) if content else next(iter(frame))

    def open(self) -> list[Frame]:
        return []

    def take(self, message: Frame) -> list[Frame]:
        return spoil(self, self._answer(message), self.fault)

    def _answer(self, message: Frame) -> list[Frame]:
        if "setup" in message:
            return [{"setupComplete": {"sessionId": "s"}}]
        if "audio" not in message["realtimeInput"]:
            return []
        parts = [{"inlineData": {"mimeType": "audio/pcm;rate=24000", "data": SOUND}}]
        return [
            {"serverContent": {"inputTranscription": {"text": "Hello."}}},
            {"serverContent": {"outputTranscription": {"text": "Hola."}}},
            {"serverContent": {"modelTurn": {"parts": parts}}},
        ]
