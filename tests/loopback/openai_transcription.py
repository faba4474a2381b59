"""OpenAI's side of a transcription session, sans-I/O and as strict as the real one is known to be.

`receive()` takes a frame of the client and returns those that answer it at once; finished transcriptions come out of
`step()`, one after the other, in the order that the test wants.
"""

import base64
import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

from tests.loopback.openai_wire import Frame, RefusedError, check_client_frame, check_server_frame
from tests.loopback.spoken_words import words_in

__all__ = ["MODELS", "Item", "TranscriptionSession"]

MODELS = {"gpt-transcribe", "gpt-live-transcribe", "gpt-realtime-whisper", "whisper-1"}
_LIVE = {"gpt-live-transcribe", "gpt-realtime-whisper"}
_LISTS = {"gpt-transcribe", "gpt-live-transcribe"}
_BYTES_PER_MS = 48
_LISTENS = 200 * _BYTES_PER_MS  # a live model looks for more words so often
_KINDS = {"session.update", "input_audio_buffer.append", "input_audio_buffer.commit", "input_audio_buffer.clear"}
_TRANSCRIPTION = "conversation.item.input_audio_transcription"
_ids = count(1)


@dataclass
class Item:
    """A commit."""

    id: str
    audio: bytes
    heard: str
    told: str = ""  # of it, by deltas


class TranscriptionSession:
    """One socket's session.

    Args:
        hears: the words in the audio of a commit; "!" and a code makes its transcription fail.
        next_of: which of so many commits whose transcription is not told comes next, from 0.

    Attributes:
        received, sent: all frames.
        items: all commits.
        violations: what a client of ours must never do; tests fail when there is any.
    """

    def __init__(
        self, *, hears: Callable[[bytes], str] = words_in, next_of: Callable[[int], int] = lambda waiting: 0
    ) -> None:
        self.received: list[Frame] = []
        self.sent: list[Frame] = []
        self.items: list[Item] = []
        self.violations: list[str] = []
        self.config: Frame = {"type": "transcription", "audio": {"input": {"transcription": None}}}
        self._hears = hears
        self._next_of = next_of
        self._waiting: deque[Item] = deque()
        self._buffer = bytearray()
        self._open = self._new_item()

    @property
    def model(self) -> str:
        transcription = self.config["audio"]["input"].get("transcription") or {}
        return str(transcription.get("model", ""))

    @property
    def speaking(self) -> bool:
        """Whether something is to be heard in what is not committed."""
        return any(self._buffer)

    # Both ways

    def start(self) -> list[Frame]:
        described = {"id": self._id("sess"), "object": "realtime.transcription_session"}
        return self._send({"type": "session.created", "session": described | self.config})

    def receive(self, message: str | bytes) -> list[Frame]:
        frame = json.loads(message)
        if isinstance(message, bytes):
            self.violations.append("a binary frame")
        self.received.append(frame)
        try:
            check_client_frame(frame)
            if frame["type"] not in _KINDS:
                raise RefusedError("invalid_value", f"{frame['type']} is not for transcription sessions.", "type")
            return self._send(*self._answer(frame))
        except RefusedError as refusal:
            if refusal.code != "forgiven":
                self.violations.append(str(refusal))
            error = self.error(refusal.code, refusal.message, refusal.param)
            error["error"]["event_id"] = frame.get("event_id")
            return self._send(error)

    def step(self) -> list[Frame]:
        """What comes next of a transcription; [] when all is told."""
        if not self._waiting:
            return []
        item = self._waiting[self._next_of(len(self._waiting))]
        self._waiting.remove(item)
        if item.heard.startswith("!"):
            error = {"type": "server_error", "code": item.heard[1:], "message": f"It happened: {item.heard[1:]}."}
            return self._send({"type": f"{_TRANSCRIPTION}.failed", **self._place(item), "error": error})
        frames: list[Frame] = []
        if rest := item.heard[len(item.told) :]:
            # What came by deltas may prove wrong.
            frames.append({"type": f"{_TRANSCRIPTION}.delta", **self._place(item), "delta": rest[:-1] + "?"})
        seconds = len(item.audio) / _BYTES_PER_MS / 1000
        usage = {"type": "duration", "seconds": seconds}
        done = {"type": f"{_TRANSCRIPTION}.completed", **self._place(item), "transcript": item.heard, "usage": usage}
        if self.model == "gpt-transcribe":
            done["languages"] = [{"code": "en"}] if item.heard else []
        return self._send(*frames, done)

    def error(self, code: str, message: str, param: str | None = None) -> Frame:
        return {
            "type": "error",
            "error": {"type": "invalid_request_error", "code": code, "message": message, "param": param},
        }

    # Events of the client

    def _answer(self, frame: Frame) -> list[Frame]:
        match frame["type"]:
            case "session.update":
                return self._update(frame["session"])
            case "input_audio_buffer.append":
                return self._append(base64.b64decode(frame["audio"]))
            case "input_audio_buffer.commit":
                return self._commit()
        self._buffer.clear()
        return [{"type": "input_audio_buffer.cleared"}]

    def _update(self, session: Frame) -> list[Frame]:
        if session["type"] != "transcription":
            raise RefusedError("invalid_value", "Passing a realtime session to a transcription session.", "session")
        given = session.get("audio", {}).get("input", {})
        if given.get("format", {"type": "audio/pcm", "rate": 24_000}) != {"type": "audio/pcm", "rate": 24_000}:
            raise RefusedError("invalid_value", "Only PCM at 24 kHz.", "session.audio.input.format")
        transcription = given.get("transcription")
        if transcription is not None:
            self._check(transcription, given)
        self.config = {"type": "transcription", "audio": {"input": self.config["audio"]["input"] | given}}
        return [{"type": "session.updated", "session": self.config}]

    def _check(self, transcription: Frame, given: Frame) -> None:
        path, model = "session.audio.input.transcription", transcription.get("model")
        if model not in MODELS:
            raise RefusedError("invalid_model", f"The model {model!r} does not exist.", f"{path}.model")
        if "languages" in transcription:
            if "language" in transcription:
                raise RefusedError("invalid_value", "Either 'language' or 'languages'.", f"{path}.languages")
            if model not in _LISTS or not transcription["languages"]:
                raise RefusedError("invalid_value", "At least one language.", f"{path}.languages")
        if "language" in transcription and model == "gpt-live-transcribe":
            raise RefusedError("invalid_value", "Use 'languages'.", f"{path}.language")
        for keyword in transcription.get("keywords", ()):
            if model not in _LISTS or not keyword or set("<>\n\r") & set(keyword):
                raise RefusedError("invalid_value", "Keywords are single lines.", f"{path}.keywords[0]")
        if "prompt" in transcription and model == "gpt-realtime-whisper":
            raise RefusedError("invalid_value", "No prompt.", f"{path}.prompt")
        if given.get("turn_detection") is not None:
            # Some models refuse it; with the others nothing would ever be completed.
            raise RefusedError("invalid_value", "No turn detection.", "session.audio.input.turn_detection")

    def _append(self, audio: bytes) -> list[Frame]:
        if not self.model:
            raise RefusedError("invalid_value", "There is no transcription model yet.")
        before = len(self._buffer) // _LISTENS
        self._buffer += audio
        if self.model not in _LIVE or len(self._buffer) // _LISTENS == before:
            return []
        heard = self._hears(bytes(self._buffer))
        # The last word may go on.
        sure = heard[: heard.rfind(" ") + 1]
        if not sure.startswith(self._open.told) or sure == self._open.told:
            return []
        news, self._open.told = sure[len(self._open.told) :], sure
        return [{"type": f"{_TRANSCRIPTION}.delta", **self._place(self._open), "delta": news}]

    def _commit(self) -> list[Frame]:
        audio = bytes(self._buffer)
        if len(audio) < 100 * _BYTES_PER_MS:
            raise RefusedError("input_audio_buffer_commit_empty", "The buffer has less than 100 ms of audio.")
        self._buffer.clear()
        item, self._open = self._open, self._new_item()
        item.audio, item.heard = audio, self._hears(audio)
        before = self.items[-1].id if self.items else None
        self.items.append(item)
        self._waiting.append(item)
        content = [{"type": "input_audio", "transcript": None}]
        message = {"id": item.id, "type": "message", "role": "user", "status": "completed", "content": content}
        return [
            {"type": "input_audio_buffer.committed", "item_id": item.id, "previous_item_id": before},
            {"type": "conversation.item.added", "item": message, "previous_item_id": before},
        ]

    def _new_item(self) -> Item:
        return Item(self._id("item"), b"", "")

    def _place(self, item: Item) -> dict[str, Any]:
        return {"item_id": item.id, "content_index": 0}

    def _id(self, prefix: str) -> str:
        return f"{prefix}_{next(_ids)}"

    def _send(self, *frames: Frame) -> list[Frame]:
        for frame in frames:
            frame["event_id"] = self._id("event")
            check_server_frame(frame)
        self.sent += frames
        return list(frames)
