"""OpenAI's side of a Realtime session, sans-I/O and as strict as the real one is known to be.

`receive()` takes a frame of the client and returns those that answer it at once; what the model says comes out of
`step()`, one frame after the other, so that a test can act in the middle of a reply.
"""

import base64
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.loopback.openai_conversation import BYTES_PER_MS, Conversation, new_id
from tests.loopback.openai_rules import check_session
from tests.loopback.openai_script import Call, McpCall, Reply, begun_response, default_session
from tests.loopback.openai_wire import Frame, RefusedError, check_client_frame, check_server_frame
from tests.loopback.turn_detector import HeardFrame, TurnDetector

__all__ = ["OpenAISession"]

_LOUD = 500.0


def _is_loud(frame: bytes) -> bool:
    samples = np.frombuffer(frame, dtype="<i2").astype(np.float64)
    return float(np.sqrt(np.mean(samples**2))) > _LOUD


@dataclass
class _Response:
    id: str
    frame: Frame
    steps: Iterator[list[Frame]]
    items: list[Frame] = field(default_factory=list)
    open_item: Frame | None = None


class OpenAISession:
    """One socket's session.

    Args:
        model: from the URL.
        replies: what the model does, in order; then it greets.
        hears: transcripts of what the user says, in order; "" makes the transcription fail.
        transcribe: when transcripts come: "commit", "reply" (after the first sound of it) or "done".
        late_deltas: how many deltas of audio still come after a cancellation.
        ignores: names of client events that are not answered.
        needs_silence_ms: ends a turn, whatever was configured; None for what was.
        needs_idle_ms: as `idle_timeout_ms`, and shorter than any that can be configured.
        is_voice: whether 20 ms at 24 kHz are of a voice, for the detector of turns; by default, whether they are loud.

    Attributes:
        received, sent: all frames.
        violations: what a client of ours must never do; tests fail when there is any.
        close: code and reason, once the session wants the socket closed.
        items, audio, unanswered_calls: those of the conversation.
        limits: what `rate_limits.updated` tells.
    """

    def __init__(
        self,
        *,
        model: str = "gpt-realtime-2.1",
        replies: Iterable[Reply] = (),
        hears: Iterable[str] = (),
        transcribe: str = "reply",
        late_deltas: int = 0,
        ignores: Iterable[str] = (),
        needs_silence_ms: int | None = None,
        needs_idle_ms: int | None = None,
        is_voice: Callable[[bytes], bool] | None = None,
    ) -> None:
        self.model = model
        self.replies = replies if isinstance(replies, deque) else deque(replies)
        self.hears = hears if isinstance(hears, deque) else deque(hears)
        self.transcribe = transcribe
        self.late_deltas = late_deltas
        self.ignores = set(ignores)
        self.needs_silence_ms = needs_silence_ms
        self.needs_idle_ms = needs_idle_ms
        self._detector = TurnDetector(is_voice or _is_loud, bytes_per_ms=BYTES_PER_MS)
        self.received: list[Frame] = []
        self.sent: list[Frame] = []
        self.violations: list[str] = []
        self.close: tuple[int, str] | None = None
        self.conversation = Conversation()
        self.items, self.audio = self.conversation.items, self.conversation.audio
        self.unanswered_calls = self.conversation.unanswered_calls
        self.config = default_session(model, new_id("sess"))
        self.active: _Response | None = None
        self.spoke = False
        self._approvals: dict[str, McpCall] = {}
        self._transcripts: deque[tuple[str, bytes]] = deque()
        self._after: deque[list[Frame]] = deque()
        self._idle_from_ms = 1 << 60  # the idle time begins with the first reply's end
        self.limits = [{"name": "tokens", "limit": 200_000, "remaining": 199_000, "reset_seconds": 0.3}]
        self._buffer = bytearray()
        self.speech: tuple[str, int] | None = None  # item and start in ms of what the user is saying

    # Both ways

    def start(self) -> list[Frame]:
        return self._send({"type": "session.created", "session": self.config})

    def receive(self, message: str | bytes) -> list[Frame]:
        if isinstance(message, bytes):
            self.violations.append("a binary frame")
            return self._send(self.error("invalid_event", "Binary frames are not supported."))
        try:
            frame = json.loads(message)
        except ValueError:
            self.violations.append(f"broken JSON: {message[:80]}")
            return self._send(self.error("invalid_json", "We could not parse the JSON body of your event."))
        self.received.append(frame)
        event_id = frame.get("event_id") if isinstance(frame, dict) else None
        try:
            check_client_frame(frame)
            if frame["type"] in self.ignores:
                return []
            return self._send(*self._handlers[frame["type"]](self, frame))
        except RefusedError as refusal:
            harmless = {
                "input_audio_buffer_commit_empty" if self._detection else "",
                "invalid_value_truncate",
                "response_cancel_not_active",
                "conversation_already_has_active_response",
            }
            if refusal.code not in harmless and not refusal.code.startswith("item_"):
                self.violations.append(f"{frame['type']}: {refusal}")
            code = refusal.code.removesuffix("_truncate")
            return self._send(self.error(code, refusal.message, refusal.param, event_id))

    def step(self) -> list[Frame]:
        """The next frame or frames of what the model says; nothing when it has nothing to say."""
        if self.active is not None:
            return self._send(*next(self.active.steps, []))
        if self._transcripts:
            return self._send(*self._transcribed())
        return self._send(*self._after.popleft()) if self._after else []

    def run(self) -> list[Frame]:
        """All the model has to say."""
        frames: list[Frame] = []
        while new := self.step():
            frames += new
        return frames

    def error(
        self, code: str, message: str, param: str | None = None, event_id: str | None = None, kind: str = ""
    ) -> Frame:
        kind = kind or ("server_error" if code == "server_error" else "invalid_request_error")
        error = {"type": kind, "code": code, "message": message, "param": param, "event_id": event_id}
        return {"type": "error", "error": error}

    def _send(self, *frames: Frame) -> list[Frame]:
        sent = [{"type": frame["type"], "event_id": new_id("event"), **frame} for frame in frames]
        for frame in sent:
            check_server_frame(frame)
        self.sent += sent
        return sent

    # Events of the client

    def _session_update(self, frame: Frame) -> Iterator[Frame]:
        update = frame["session"]
        spoken_in = self.config["audio"]["output"]["voice"] if self.spoke else None
        check_session(update, self.model, spoken_in)
        merged = _merge(self.config, update)
        self.config = merged
        yield {"type": "session.updated", "session": self.config}

    def _append(self, frame: Frame) -> Iterator[Frame]:
        audio = base64.b64decode(frame["audio"])
        self._buffer += audio
        detection = self._detection
        if detection is None:
            self._detector.skip(audio)
            return
        silence_ms = self.needs_silence_ms or detection.get("silence_duration_ms", 600)
        for heard in self._detector.hear(audio, silence_ms=silence_ms):
            yield from self._detect(heard, detection)

    @property
    def _detection(self) -> Frame | None:
        detection: Frame | None = self.config["audio"]["input"]["turn_detection"]
        return detection

    def _detect(self, heard: HeardFrame, detection: Frame) -> Iterator[Frame]:
        if heard.speech_start_ms is not None:
            onset = heard.speech_start_ms - detection.get("prefix_padding_ms", 300)
            start = max(onset, (self._detector.received - len(self._buffer)) // BYTES_PER_MS, 0)
            item_id = new_id("item")
            self.speech = item_id, start
            yield {"type": "input_audio_buffer.speech_started", "audio_start_ms": start, "item_id": item_id}
            if self.active is not None and detection.get("interrupt_response", True):
                yield from self._cancel_active("turn_detected")
        elif heard.speech_end_ms is not None:
            assert self.speech is not None
            item_id, _ = self.speech
            end = heard.speech_end_ms
            yield {"type": "input_audio_buffer.speech_stopped", "audio_end_ms": end, "item_id": item_id}
            yield from self._commit_speech()
            if detection.get("create_response", True) and self.active is None:
                yield from self._create_response()
        elif self.speech is None:
            yield from self._idle(heard.end_ms)

    def _idle(self, now_ms: int) -> Iterator[Frame]:
        """Nobody has spoken since the last reply was played."""
        timeout_ms = self.needs_idle_ms or (self._detection or {}).get("idle_timeout_ms")
        if timeout_ms is None or self.active is not None or now_ms < self._idle_from_ms + timeout_ms:
            return
        start, item_id = self._idle_from_ms, new_id("item")
        times = {"audio_start_ms": start, "audio_end_ms": now_ms, "item_id": item_id}
        yield {"type": "input_audio_buffer.timeout_triggered", **times}
        self._buffer = bytearray(self._detector.pending)
        yield from self._commit_item(item_id, bytes((now_ms - start) * BYTES_PER_MS))
        yield from self._create_response()

    def _commit_speech(self) -> Iterator[Frame]:
        assert self.speech is not None
        item_id, start = self.speech
        held, pending = bytes(self._buffer), len(self._detector.pending)
        audio = held[max(start * BYTES_PER_MS - (self._detector.received - len(held)), 0) :]
        audio = audio[: len(audio) - pending]
        self._buffer = self._buffer[len(held) - pending :]
        self.speech = None
        self._detector.end_speech()
        yield from self._commit_item(item_id, audio)

    def _commit(self, frame: Frame) -> Iterator[Frame]:
        if self._detection is not None:
            if self.speech is None:
                raise RefusedError("input_audio_buffer_commit_empty", "The detector has dropped the buffer.")
            yield from self._commit_speech()
            return
        if len(self._buffer) < 100 * BYTES_PER_MS:
            held = len(self._buffer) / BYTES_PER_MS
            message = f"Expected at least 100ms of audio, but buffer only has {held:.2f}ms of audio."
            raise RefusedError("input_audio_buffer_commit_empty", message)
        audio = bytes(self._buffer)
        self._buffer.clear()
        yield from self._commit_item(new_id("item"), audio)

    def _commit_item(self, item_id: str, audio: bytes) -> Iterator[Frame]:
        self.audio[item_id] = audio
        previous = self.conversation.last_item
        yield {"type": "input_audio_buffer.committed", "item_id": item_id, "previous_item_id": previous}
        content = [{"type": "input_audio", "transcript": None}]
        item = {"id": item_id, "object": "realtime.item", "type": "message", "role": "user", "content": content}
        yield from self.conversation.add(item | {"status": "completed"})
        if self.config["audio"]["input"]["transcription"]:
            self._transcripts.append((item_id, audio))
            if self.transcribe == "commit":
                yield from self._transcribed()

    def _transcribed(self) -> Iterator[Frame]:
        item_id, audio = self._transcripts.popleft()
        said = self.hears.popleft() if self.hears else f"I spoke for {len(audio) // BYTES_PER_MS} ms."
        kind = "conversation.item.input_audio_transcription"
        ids = {"item_id": item_id, "content_index": 0}
        if not said:
            error = {"type": "transcription_error", "code": "audio_unintelligible", "message": "Unintelligible."}
            yield {"type": f"{kind}.failed", **ids, "error": error | {"param": None}}
            return
        half = len(said) // 2
        for part in filter(None, (said[:half], said[half:])):
            yield {"type": f"{kind}.delta", **ids, "delta": part}
        usage = {"type": "duration", "seconds": len(audio) / BYTES_PER_MS / 1000}
        yield {"type": f"{kind}.completed", **ids, "transcript": said, "usage": usage}

    def _clear(self, frame: Frame) -> Iterator[Frame]:
        self._buffer.clear()
        self._detector.reset()
        self.speech = None
        yield {"type": "input_audio_buffer.cleared"}

    def _create_item(self, frame: Frame) -> Iterator[Frame]:
        item = {"id": new_id("item"), **frame["item"]}
        self.conversation.check(item)
        if item["type"] == "mcp_approval_response":
            call = self._approvals.pop(item["approval_request_id"], None)
            if call is None:
                raise RefusedError("invalid_value", "No such approval request.", "item.approval_request_id")
            if item["approve"]:
                self._after.extend([frame] for frame in self._mcp_frames(call, 0))
        if item["type"] in {"message", "function_call"}:
            item |= {"object": "realtime.item", "status": "completed"}
        after = frame.get("previous_item_id")
        if after is not None and after not in self.items:
            raise RefusedError("invalid_value", "No such previous item.", "previous_item_id")
        yield from self.conversation.add(item, after=after)

    def _response_create(self, frame: Frame) -> Iterator[Frame]:
        if self.active is not None:
            message = f"Conversation already has an active response in progress: {self.active.id}."
            raise RefusedError("conversation_already_has_active_response", message)
        yield from self._create_response()

    def _response_cancel(self, frame: Frame) -> Iterator[Frame]:
        if self.active is None or frame.get("response_id", self.active.id) != self.active.id:
            raise RefusedError("response_cancel_not_active", "Cancellation failed: no active response found")
        yield from self._cancel_active("client_cancelled")

    # The model

    def _create_response(self) -> Iterator[Frame]:
        reply = self.replies.popleft() if self.replies else Reply()
        frame = begun_response(new_id("resp"), self.config)
        self.active = response = _Response(frame["id"], frame, iter(()))
        response.steps = self._speak(response, reply)
        yield {"type": "response.created", "response": dict(frame)}

    def _speak(self, response: _Response, reply: Reply) -> Iterator[list[Frame]]:
        if reply.fails_with:
            error = {"type": "server_error", "code": reply.fails_with, "message": f"It failed: {reply.fails_with}."}
            yield self._end(response, "failed", {"type": "failed", "error": error})
            return
        index = 0
        for phase, text in (("commentary", reply.commentary), ("final_answer", reply.text)):
            if text:
                yield from self._say(response, reply, index, phase, text)
                index += 1
                if reply.stops_for:
                    details = {"type": "incomplete", "reason": reply.stops_for}
                    yield self._end(response, "incomplete", details)
                    return
        for call in reply.calls:
            yield from self._call(response, call, index)
            index += 1
        if reply.mcp is not None:
            frames = self._mcp_request(response, reply.mcp, index)
            for frame in frames:
                yield [frame]
        yield self._end(response, "completed", None)

    def _say(self, response: _Response, reply: Reply, index: int, phase: str, text: str) -> Iterator[list[Frame]]:
        spoken = self.config["output_modalities"] == ["audio"]
        item_id = new_id("item")
        item: Frame = {"id": item_id, "object": "realtime.item", "type": "message", "role": "assistant", "content": []}
        item |= {"status": "in_progress", "phase": phase}
        at = {"response_id": response.id, "output_index": index}
        ids = at | {"item_id": item_id, "content_index": 0}
        yield self._begin_item(response, item, index)
        key = "transcript" if spoken else "text"
        item["content"].append({"type": "output_audio" if spoken else "output_text", key: ""})
        self.audio[item_id] = b""
        part = {"type": "audio", "transcript": ""} if spoken else {"type": "text", "text": ""}
        yield [{"type": "response.content_part.added", **ids, "part": part}]
        kind = "response.output_audio_transcript" if spoken else "response.output_text"
        sound = reply.sound(text) if spoken else b""
        words = text.split(" ")
        deltas = [sound[i : i + reply.delta_bytes] for i in range(0, len(sound), reply.delta_bytes)]
        for turn in range(max(len(words), len(deltas))):
            if turn < len(words):
                word = words[turn] if turn == 0 else f" {words[turn]}"
                if item["content"][0][key] is not None:  # it was truncated while it is said
                    item["content"][0][key] += word
                yield [{"type": f"{kind}.delta", **ids, "delta": word}]
            if turn < len(deltas):
                self.spoke = True
                self.audio[item_id] += deltas[turn]
                delta = base64.b64encode(deltas[turn]).decode()
                yield [{"type": "response.output_audio.delta", **ids, "delta": delta}]
            if turn == 0 and self.transcribe == "reply":
                while self._transcripts:
                    yield list(self._transcribed())
        if spoken:
            yield [{"type": "response.output_audio.done", **ids}]
        yield [{"type": f"{kind}.done", **ids, key: text}]
        yield [{"type": "response.content_part.done", **ids, "part": part | {key: text}}]
        yield self._item_over(response, "incomplete" if reply.stops_for else "completed")

    def _begin_item(self, response: _Response, item: Frame, index: int) -> list[Frame]:
        response.open_item = item
        response.items.append(item)
        at = {"response_id": response.id, "output_index": index}
        added = {"type": "response.output_item.added", **at, "item": dict(item)}
        return [added, *self.conversation.add(item, done=False)]

    def _item_over(self, response: _Response, status: str) -> list[Frame]:
        item, response.open_item = response.open_item, None
        assert item is not None
        item["status"] = status
        at = {"response_id": response.id, "output_index": response.items.index(item)}
        frames: list[Frame] = [{"type": "response.output_item.done", **at, "item": dict(item)}]
        if item["id"] in self.items:
            frames.insert(0, {"type": "conversation.item.done", "item": dict(item), "previous_item_id": None})
        return frames

    def _call(self, response: _Response, call: Call, index: int) -> Iterator[list[Frame]]:
        call_id, item_id = call.call_id or new_id("call"), new_id("item")
        item = {"id": item_id, "object": "realtime.item", "type": "function_call", "name": call.name}
        item |= {"call_id": call_id, "arguments": "", "status": "in_progress"}
        at = {"response_id": response.id, "output_index": index}
        yield self._begin_item(response, item, index)
        ids = at | {"item_id": item_id, "call_id": call_id}
        if call.arguments:
            delta = {"type": "response.function_call_arguments.delta", **ids, "delta": call.arguments}
            yield [delta]
        item["arguments"] = call.arguments
        done = {"type": "response.function_call_arguments.done", **ids, "name": call.name, "arguments": call.arguments}
        yield [done]
        self.unanswered_calls.add(call_id)
        yield self._item_over(response, "incomplete" if call.incomplete else "completed")

    def _mcp_request(self, response: _Response, call: McpCall, index: int) -> Iterator[Frame]:
        if not call.needs_approval:
            yield from self._mcp_frames(call, index, response)
            return
        item_id = new_id("mcpr")
        self._approvals[item_id] = call
        item = {"id": item_id, "type": "mcp_approval_request", "name": call.name, "arguments": call.arguments}
        item |= {"server_label": "docs"}
        at = {"response_id": response.id, "output_index": index}
        response.items.append(item)
        yield {"type": "response.output_item.added", **at, "item": item}
        yield from self.conversation.add(item)
        yield {"type": "response.output_item.done", **at, "item": item}

    def _mcp_frames(self, call: McpCall, index: int, response: _Response | None = None) -> Iterator[Frame]:
        item_id = new_id("mcp")
        item: Frame = {"id": item_id, "type": "mcp_call", "name": call.name, "arguments": ""}
        item |= {"server_label": "docs", "output": None}
        at = {"output_index": index, "item_id": item_id}
        ids = {"response_id": response.id if response else "", **at}
        if response is not None:
            response.items.append(item)
            place = {"response_id": response.id, "output_index": index}
            yield {"type": "response.output_item.added", **place, "item": item}
        yield from self.conversation.add(item, done=False)
        yield {"type": "response.mcp_call_arguments.delta", **ids, "delta": call.arguments}
        yield {"type": "response.mcp_call_arguments.done", **ids, "arguments": call.arguments}
        yield {"type": "response.mcp_call.in_progress", **at}
        came = {"error": call.error} if call.error else {"output": call.output}
        item = item | {"arguments": call.arguments} | came
        self.items[item_id] = item
        done: list[Frame] = [{"type": f"response.mcp_call.{'failed' if call.error else 'completed'}", **at}]
        done.append({"type": "conversation.item.done", "item": item, "previous_item_id": None})
        if response is None:
            yield from done
        else:  # the response is over before the call is
            self._after.append(done)

    def _cancel_active(self, reason: str) -> Iterator[Frame]:
        response = self.active
        assert response is not None
        for _ in range(self.late_deltas):
            yield from next(response.steps, [])
            if self.active is not response:
                return
        if response.open_item is not None:
            yield from self._item_over(response, "incomplete")
        yield from self._end(response, "cancelled", {"type": "cancelled", "reason": reason})

    def _end(self, response: _Response, status: str, details: Frame | None) -> list[Frame]:
        self.active = None
        played_ms = self.conversation.audio_ms(response.items)
        self._idle_from_ms = self._detector.received // BYTES_PER_MS + played_ms
        usage = None if status == "failed" else self.conversation.usage(response.items)
        output = [dict(item) for item in response.items]
        over = {"status": status, "status_details": details, "output": output, "usage": usage}
        return [
            {"type": "response.done", "response": response.frame | over},
            {"type": "rate_limits.updated", "rate_limits": self.limits},
        ]

    def _unused(self, frame: Frame) -> Iterator[Frame]:
        raise RefusedError("invalid_value", "Only for WebRTC and SIP.", "type")

    _handlers: dict[str, Callable[["OpenAISession", Frame], Iterator[Frame]]] = {  # noqa: RUF012
        "session.update": _session_update,
        "input_audio_buffer.append": _append,
        "input_audio_buffer.commit": _commit,
        "input_audio_buffer.clear": _clear,
        "conversation.item.create": _create_item,
        "conversation.item.truncate": lambda self, frame: self.conversation.truncate(frame),
        "conversation.item.delete": lambda self, frame: self.conversation.delete(frame),
        "conversation.item.retrieve": lambda self, frame: self.conversation.retrieve(frame),
        "response.create": _response_create,
        "response.cancel": _response_cancel,
        "output_audio_buffer.clear": _unused,
    }


def _merge(old: Any, new: Any) -> Any:
    if not isinstance(old, dict) or not isinstance(new, dict) or ("type" in new and old.get("type") != new["type"]):
        return new
    return old | {name: _merge(old.get(name), value) for name, value in new.items()}
