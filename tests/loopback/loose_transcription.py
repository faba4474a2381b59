"""Loose servers of transcriptions: OpenAI's and Gemini's, each with one fault in one kind of message."""

import base64

from tests.loopback.loose import Fault, Frame, spoil

__all__ = ["SAID", "LooseGeminiTranscription", "LooseOpenAITranscription"]

SAID = ["Good morning.", "Good night."]
_TRANSCRIPTION = "conversation.item.input_audio_transcription"


class LooseOpenAITranscription:
    """Hears the next of SAID in each commit."""

    def __init__(self, fault: Fault | None = None) -> None:
        self.fault = fault
        self.said: list[Frame] = []
        self._heard = 0

    def kind(self, frame: Frame) -> str:
        return str(frame["type"])

    def open(self) -> list[Frame]:
        return spoil(self, [{"type": "session.created", "session": {"id": "s", "type": "transcription"}}], self.fault)

    def take(self, message: Frame) -> list[Frame]:
        return spoil(self, self._answer(message), self.fault)

    def _answer(self, message: Frame) -> list[Frame]:
        match message["type"]:
            case "session.update":
                return [{"type": "session.updated", "session": {"id": "s", "audio": message["session"]["audio"]}}]
            case "input_audio_buffer.clear":
                return [{"type": "input_audio_buffer.cleared"}]
            case "input_audio_buffer.commit":
                return self._transcribe()
        return []

    def _transcribe(self) -> list[Frame]:
        words, name, before = SAID[self._heard], f"item_{self._heard}", f"item_{self._heard - 1}"
        self._heard += 1
        place = {"item_id": name, "content_index": 0}
        usage = {"type": "duration", "seconds": 0.5}
        return [
            {"type": "input_audio_buffer.committed", "item_id": name, "previous_item_id": before},
            {"type": f"{_TRANSCRIPTION}.delta", **place, "delta": words[:5]},
            {"type": f"{_TRANSCRIPTION}.delta", **place, "delta": words[5:]},
            {"type": f"{_TRANSCRIPTION}.completed", **place, "transcript": words, "usage": usage},
        ]


class LooseGeminiTranscription:
    """Hears the next of SAID before each end of the stream."""

    def __init__(self, fault: Fault | None = None) -> None:
        self.fault = fault
        self.said: list[Frame] = []
        self._heard = 0
        self._ms = 0.0
        self._from_ms = 0.0

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
            case {"realtimeInput": {"audio": {"data": audio}}}:
                self._ms += len(base64.b64decode(audio)) / 32
            case {"realtimeInput": {"audioStreamEnd": True}}:
                return self._transcribe()
        return []

    def _transcribe(self) -> list[Frame]:
        words, start, self._from_ms = SAID[self._heard], self._from_ms, self._ms
        self._heard += 1
        offsets = {"startOffset": f"{start / 1000:g}s", "endOffset": f"{self._ms / 1000:g}s"}
        activity = {"voiceActivityType": "ACTIVITY_START", "audioOffset": offsets["startOffset"]}
        return [
            {"voiceActivity": activity},
            {"serverContent": {"interimInputTranscription": {"text": words[:5]}}},
            {"voiceActivity": activity | {"voiceActivityType": "ACTIVITY_END", "audioOffset": offsets["endOffset"]}},
            {"serverContent": {"inputTranscription": {"text": words, "finished": True, **offsets}}},
            {"usageMetadata": {"promptTokenCount": 20, "responseTokenCount": 4}},
        ]
