"""A loose server of Gemini's protocol."""

import base64

from tests.loopback.loose import Fault, Frame, spoil

__all__ = ["LooseGemini"]


class LooseGemini:
    """Answers everything with "It is three." and a sound; calls the tool first, if it has one."""

    def __init__(self, fault: Fault | None = None, *, tool: str = "") -> None:
        self.fault = fault
        self.tool = tool
        self.said: list[Frame] = []
        self._called = False
        self._speaking = False

    def kind(self, frame: Frame) -> str:
        """Its first field; for content, what it holds."""
        name = next(iter(frame))
        return f"{name}.{next(iter(frame[name]))}" if name == "serverContent" else name

    def open(self) -> list[Frame]:
        return []

    def take(self, message: Frame) -> list[Frame]:
        return spoil(self, self._answer(message), self.fault)

    def _answer(self, message: Frame) -> list[Frame]:
        match message:
            case {"setup": _}:
                return [{"setupComplete": {"sessionId": "s"}}]
            case {"realtimeInput": {"text": _}} | {"clientContent": {"turnComplete": True}} | {"toolResponse": _}:
                return self._respond()
            case {"realtimeInput": {"audio": {"data": audio}}}:
                return self._listen(base64.b64decode(audio))
            case {"realtimeInput": {"audioStreamEnd": True}} if self._speaking:
                self._speaking = False
                return self._respond()
        return []

    def _listen(self, audio: bytes) -> list[Frame]:
        if any(audio) and not self._speaking:
            self._speaking = True
            return [{"serverContent": {"inputTranscription": {"text": "What is it?"}}}]
        if self._speaking and not any(audio):
            self._speaking = False
            return self._respond()
        return []

    def _respond(self) -> list[Frame]:
        if self.tool and not self._called:
            self._called = True
            return [{"toolCall": {"functionCalls": [{"id": "call_1", "name": self.tool, "args": {"number": 3}}]}}]
        sound = base64.b64encode(bytes(range(1, 241)) * 20).decode()
        blob = {"mimeType": "audio/pcm;rate=24000", "data": sound}
        turn = {"role": "model", "parts": [{"inlineData": blob}]}
        details = [{"modality": "TEXT", "tokenCount": 2}]
        usage = {"promptTokenCount": 2, "promptTokensDetails": details, "responseTokenCount": 9}
        return [
            {"sessionResumptionUpdate": {"newHandle": "handle_1", "resumable": True}},
            {"serverContent": {"outputTranscription": {"text": "It is"}}},
            {"serverContent": {"modelTurn": turn}},
            {"serverContent": {"outputTranscription": {"text": " three."}}},
            {"serverContent": {"modelTurn": turn}},
            {"serverContent": {"generationComplete": True}},
            {"serverContent": {"turnComplete": True}, "usageMetadata": usage},
        ]
