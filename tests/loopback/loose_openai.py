"""A loose server of OpenAI's protocol."""

import base64
from typing import Any

from tests.loopback.loose import Fault, Frame, spoil

__all__ = ["LooseOpenAI"]

_TRANSCRIPTION = "conversation.item.input_audio_transcription"


class LooseOpenAI:
    """Hears "What is it?" in any speech, and answers everything with "It is three." and a sound.

    Attributes:
        tool: the function that it calls first; "" for none.
        called: whether it has called it.
    """

    def __init__(self, fault: Fault | None = None, *, tool: str = "") -> None:
        self.fault = fault
        self.tool = tool
        self.called = False
        self.results: list[str] = []
        self.said: list[Frame] = []
        self._responses = self._turns = 0
        self._speaking = self._detects = False

    def kind(self, frame: Frame) -> str:
        return str(frame["type"])

    def open(self) -> list[Frame]:
        return self._spoiled([{"type": "session.created", "session": {"id": "sess_1", "model": "m"}}])

    def take(self, message: Frame) -> list[Frame]:
        return self._spoiled(self._answer(message))

    def _spoiled(self, frames: list[Frame]) -> list[Frame]:
        return spoil(self, frames, self.fault)

    def _answer(self, message: Frame) -> list[Frame]:
        match message:
            case {"type": "session.update", "session": wanted}:
                self._detects = wanted["audio"]["input"]["turn_detection"] is not None
                session = {"id": "sess_1", "model": "m", "audio": {"output": {"voice": "marin"}}}
                return [{"type": "session.updated", "session": session}]
            case {"type": "conversation.item.create", "item": item}:
                if item["type"] == "function_call_output":
                    self.results.append(item["output"])
                return [{"type": "conversation.item.added", "item": item}]
            case {"type": "input_audio_buffer.append", "audio": audio} if self._detects:
                return self._listen(base64.b64decode(audio))
            case {"type": "input_audio_buffer.commit"}:
                return self._committed()
            case {"type": "response.create"}:
                return self._respond()
        return []

    def _listen(self, audio: bytes) -> list[Frame]:
        """Its own turn detection: a turn ends with half a second of silence."""
        frames: list[Frame] = []
        speech = any(audio)
        if speech and not self._speaking:
            self._speaking = True
            started = {"audio_start_ms": 0, "item_id": f"user_{self._turns + 1}"}
            frames.append({"type": "input_audio_buffer.speech_started", **started})
        if self._speaking and not any(audio[-24_000:]):
            self._speaking = False
            stopped = {"audio_end_ms": 300, "item_id": f"user_{self._turns + 1}"}
            frames.append({"type": "input_audio_buffer.speech_stopped", **stopped})
            frames += [*self._committed(), *self._respond()]
        return frames

    def _committed(self) -> list[Frame]:
        self._turns += 1
        item_id = f"user_{self._turns}"
        content = [{"type": "input_audio", "transcript": None}]
        item = {"id": item_id, "type": "message", "role": "user", "content": content}
        usage = {"type": "duration", "seconds": 1.0}
        ids = {"item_id": item_id, "content_index": 0}
        return [
            {"type": "input_audio_buffer.committed", "item_id": item_id},
            {"type": "conversation.item.added", "item": item},
            {"type": f"{_TRANSCRIPTION}.delta", **ids, "delta": "What is it?"},
            {"type": f"{_TRANSCRIPTION}.completed", **ids, "transcript": "What is it?", "usage": usage},
        ]

    def _respond(self) -> list[Frame]:
        self._responses += 1
        response_id = f"resp_{self._responses}"
        if self.tool and not self.called:
            self.called = True
            middle, output = self._call(response_id)
        else:
            middle, output = self._speak(response_id)
        usage = {
            "input_tokens": 3,
            "output_tokens": 4,
            "input_token_details": {"text_tokens": 3, "cached_tokens": 1, "cached_tokens_details": {"text_tokens": 1}},
            "output_token_details": {"text_tokens": 1, "audio_tokens": 3},
        }
        done = {"id": response_id, "status": "completed", "status_details": None, "output": [output], "usage": usage}
        created = {"id": response_id, "status": "in_progress", "output": []}
        return [
            {"type": "response.created", "response": created},
            *middle,
            {"type": "response.done", "response": done},
        ]

    def _speak(self, response_id: str) -> tuple[list[Frame], dict[str, Any]]:
        item_id = f"item_{self._responses}"
        ids = {"response_id": response_id, "item_id": item_id, "content_index": 0}
        part = {"type": "audio", "transcript": "It is three."}
        message = {"id": item_id, "type": "message", "role": "assistant", "status": "completed"}
        item: Frame = {**message, "content": [{"type": "output_audio", "transcript": "It is three."}]}
        sound = base64.b64encode(bytes(range(1, 241)) * 20).decode()
        frames: list[Frame] = [
            {"type": "response.output_item.added", "response_id": response_id, "item": {**message, "content": []}},
            {"type": "response.output_audio_transcript.delta", **ids, "delta": "It is"},
            {"type": "response.output_audio.delta", **ids, "delta": sound},
            {"type": "response.output_audio_transcript.delta", **ids, "delta": " three."},
            {"type": "response.output_audio.delta", **ids, "delta": sound},
            {"type": "response.output_audio_transcript.done", **ids, "transcript": "It is three."},
            {"type": "response.content_part.done", **ids, "part": part},
            {"type": "response.output_item.done", "response_id": response_id, "item": item},
        ]
        return frames, item

    def _call(self, response_id: str) -> tuple[list[Frame], dict[str, Any]]:
        ids = {"response_id": response_id, "item_id": "item_call"}
        call = {"call_id": "call_1", "name": self.tool, "arguments": '{"number": 3}'}
        item: Frame = {"id": "item_call", "type": "function_call", **call}
        begun = {**item, "status": "in_progress", "arguments": ""}
        finished: Frame = {**item, "status": "completed"}
        frames: list[Frame] = [
            {"type": "response.output_item.added", "response_id": response_id, "item": begun},
            {"type": "response.function_call_arguments.done", **ids, **call},
            {"type": "response.output_item.done", "response_id": response_id, "item": finished},
        ]
        return frames, finished
