"""A GPT-Live session without a socket: strict about what it is sent, and moved by input audio alone."""

import base64
import heapq
import json
import time
from collections import deque
from itertools import count, pairwise
from typing import Any

from tests.loopback.live_backend import LiveBackend
from tests.loopback.live_script import LiveReply, Loose, Work, tone
from tests.loopback.live_wire import Frame, RefusedError, check_client_frame, check_server_frame, tokens
from voicecli.pcm16 import PcmFormat, peak

__all__ = ["LiveSession"]

STEP_MS = 100
WORD_MS = 200
APPENDED_MS = 600
USAGE_MS = 15_000
SPEECH = 500  # the level that is speech
TURN_MS = 500  # the silence after speech that the model takes for its turn
STOP_MS = 300  # until the model stops when it is told to
TICK_MS = 400
AHEAD_MS = 1_000  # how much audio may be ahead of the clock: what lay in buffers after a stall of the line
EXPIRES_S = 7_200


class LiveSession:
    """`receive()` takes a frame of the client, and returns those of the server.

    Args:
        replies: what the model says, one after the other; both deques go on over sessions.
        hears: the words of what the user says; audio without words is not transcribed.
        loose: how it differs from what is documented.

    Attributes:
        violations: rules that the client broke.
        now_ms: the session's clock.
        longest_gap_s: the longest time without audio after the start.
        ended: whether the session is closed.
        expires_at: what it says of its end, in seconds since 1970.
    """

    def __init__(
        self,
        *,
        replies: deque[LiveReply] | None = None,
        hears: deque[str] | None = None,
        loose: Loose | None = None,
        number: int = 1,
    ) -> None:
        self.replies: deque[LiveReply] = deque() if replies is None else replies
        self.hears: deque[str] = deque() if hears is None else hears
        self.loose = loose or Loose()
        self.number = number
        self.violations: list[str] = []
        self.config: Frame | None = None
        self.backend = LiveBackend("")
        self.now_ms = 0
        self.ended = self.closing = False
        self.expires_at = int(time.time()) + EXPIRES_S
        self.longest_gap_s = 0.0
        self._ids = count(1)
        self._started_at: float | None = None
        self._heard_at = 0.0
        self._came_ms = 0.0
        self._input = bytearray()
        self._voice: deque[tuple[int, bytes]] = deque()  # sound that is to come, by the time from which on
        self._due: list[tuple[int, int, Any]] = []
        self._speech_from: int | None = None
        self._speech_to = 0
        self._speaking: LiveReply | None = None
        self._speaks_until = 0
        self._held: Frame | None = None  # a fragment that is told after the next one
        self._asked_by_client = False
        self._tasks: deque[tuple[str, LiveReply, Work]] = deque()  # work that waits for results, with its reply

    # -- from the client

    def receive(self, message: str | bytes, now_s: float | None = None) -> list[Frame]:
        """Take a frame that comes at that time of a clock, in seconds; None for no check of the pace."""
        frame: Frame = json.loads(message)
        try:
            check_client_frame(frame)
            told = self._take(frame, now_s)
        except RefusedError as refusal:
            if not self.loose.refuses:
                self.violations.append(f"{frame.get('type')}: {refusal}")
            return self._told([self.error(refusal.code, refusal.message, refusal.param, frame.get("event_id"))])
        return self._told(told)

    def _take(self, frame: Frame, now_s: float | None) -> list[Frame]:
        kind = frame["type"]
        if self.ended:
            return []
        if kind == "session.start":
            return self._start(frame, now_s)
        if self.config is None:
            raise RefusedError("invalid_value", f"{kind} before session.started.", "type")
        if kind == "session.input_audio.append":
            return self._append(base64.b64decode(frame["audio"]), now_s)
        if self.closing:
            raise RefusedError("invalid_value", f"{kind} after session.close.", "type")
        handler = getattr(self, "_" + kind.removeprefix("session.").replace(".", "_"), None)
        if handler is None:
            raise RefusedError("invalid_value", f"{kind} is not expected here.", "type")
        answer: list[Frame] = handler(frame)
        return answer

    def _start(self, frame: Frame, now_s: float | None) -> list[Frame]:
        if self.config is not None:
            raise RefusedError("invalid_value", "The session has started.", "type")
        session = frame["session"]
        if self.loose.refuses:
            raise RefusedError(self.loose.refuses, "The start is refused.", "session.audio.output.voice")
        history = session.get("input", [])
        size = sum(tokens(part["text"]) + 8 for item in history for part in item["content"])
        if len(history) > 128 or size > 8_192:
            raise RefusedError("invalid_value", f"{len(history)} messages, {size} tokens.", "session.input")
        for item in history:
            kinds = {"assistant": {"text", "output_text"}}.get(item["role"], {"input_text"})
            if len(item["content"]) != 1 or item["content"][0].get("type") not in kinds:
                raise RefusedError("invalid_value", f"{item['role']} has another content.", "session.input")
        self.config = session
        self.format = PcmFormat(session.get("audio", {}).get("format", {}).get("rate", 24_000))
        self.backend = LiveBackend(self._responses.get("model", ""), 1 + 1_000 * (self.number - 1))
        self._started_at = self._heard_at = now_s or 0.0
        self._after(USAGE_MS, self._tell_usage)
        early = [{"type": "session.weather", "sky": None}] if self.loose.unknown else []
        return [
            *early,
            self._event("session.started", session=self._resource(), client_event_id=frame.get("event_id", "")),
        ]

    @property
    def _responses(self) -> Frame:
        delegation = (self.config or {}).get("delegation") or {}
        found: Frame = delegation.get("responses", {})
        return found

    def _append(self, audio: bytes, now_s: float | None) -> list[Frame]:
        self._came_ms += self.format.duration_ms(len(audio))
        if now_s is not None and self._started_at is not None:
            self.longest_gap_s = max(self.longest_gap_s, now_s - self._heard_at)
            self._heard_at = now_s
            if self._came_ms > (now_s - self._started_at) * 1000 + AHEAD_MS:
                raise RefusedError("invalid_value", "Audio comes faster than real time.", "audio")
        self._input += audio
        told: list[Frame] = []
        size = self.format.size(STEP_MS)
        while len(self._input) >= size and not self.ended:
            step = bytes(self._input[:size])
            del self._input[:size]
            told += self._step(step)
        return told

    def _tell_words(self, text: str, kind: str, start_ms: int, pause_ms: int = 0, lead: str = "") -> None:
        """Tell words, each some time after it was said; the first one after a pause has no space in front."""
        words = text.split()
        for index, word in enumerate(words):
            begins = start_ms + index * WORD_MS + (pause_ms if index >= (len(words) + 1) // 2 else 0)
            spaced = lead + word if index == 0 or (pause_ms and index == (len(words) + 1) // 2) else f" {word}"
            times = {"start_ms": begins, "end_ms": begins + WORD_MS}
            if self.loose.rewinds_ms and begins > self.loose.rewinds_ms:
                times = {name: value - self.loose.rewinds_ms for name, value in times.items()}
            frame = {"type": f"session.{kind}_transcript.delta", "delta": spaced, **times}
            self._at(begins + WORD_MS + self.loose.lag_ms, frame)

    def _update(self, frame: Frame) -> list[Frame]:
        delegation = frame["session"].get("delegation", {})
        mine = (self.config or {}).get("delegation") or {"type": "client"}
        if delegation.get("type") != mine["type"]:
            raise RefusedError("immutable_field_update", "The type cannot change.", "session.delegation.type")
        self._responses.update(delegation.get("responses", {}))
        return [self._event("session.updated", session=self._resource(), client_event_id=frame.get("event_id", ""))]

    def _context(self, frame: Frame) -> list[Frame]:
        if tokens(frame["content"]) > 500:
            raise RefusedError("invalid_value", "Context append text must not exceed 500 tokens.", "content")
        by_client = ((self.config or {}).get("delegation") or {"type": "client"})["type"] == "client"
        if frame["delegation_id"] is not None and not by_client:
            raise RefusedError("invalid_value", "Responses delegation takes no delegation_id.", "delegation_id")
        kind = frame["type"].removesuffix("append") + "appended"
        at = self.now_ms + APPENDED_MS
        self._at(at, self._event(kind, start_ms=at, end_ms=at, client_event_id=frame.get("event_id", "")))
        return []

    def _thinking_append(self, frame: Frame) -> list[Frame]:
        self._asked_by_client = True
        return self._context(frame)

    def _commentary_append(self, frame: Frame) -> list[Frame]:
        if self.replies:
            self._after(850, self._speak)
        return self._context(frame)

    def _instructions_append(self, frame: Frame) -> list[Frame]:
        told = self._context(frame)
        if "Stop speaking" in frame["content"]:
            if self._speaking is not None and not self._speaking.ignores_stop:
                self._after(STOP_MS, self._stop)
        elif "Reply to them now" in frame["content"]:
            self._after(1_000, self._speak)
        return told

    def _input_audio_mute(self, frame: Frame) -> list[Frame]:
        return [self._event("session.input_audio.muted", client_event_id=frame.get("event_id", ""))]

    def _input_audio_unmute(self, frame: Frame) -> list[Frame]:
        return [self._event("session.input_audio.unmuted", client_event_id=frame.get("event_id", ""))]

    def _response_item_create(self, frame: Frame) -> list[Frame]:
        self._needs_responses("response.item.create")
        self.backend.add(frame["item"])
        return []

    def _response_create(self, frame: Frame) -> list[Frame]:
        self._needs_responses("response.create")
        self.backend.check_create()
        if self._tasks:
            return self._go_on()
        reply = self.replies.popleft() if self.replies else LiveReply(text="")
        if not self._asked_by_client:
            reply = LiveReply(text="")  # without it the answer is never told
        self._asked_by_client = False
        return self._respond("", reply, reply.work or Work())

    def _go_on(self) -> list[Frame]:
        """Go on with the tasks whose calls are answered, one after the other."""
        task, reply, work = self._tasks.popleft()
        return self._respond(task, reply, Work(calls=work.then, takes_ms=work.takes_ms))

    def _needs_responses(self, kind: str) -> None:
        if not self._responses:
            raise RefusedError("invalid_value", f"`{kind}` requires Responses delegation.", "type")

    def _close(self, frame: Frame) -> list[Frame]:
        self.closing = True
        if not self.loose.never_closed:
            self._after(200, lambda: self._end("close_requested", frame.get("event_id", "")))
        return []

    # -- the clock

    def _step(self, heard: bytes) -> list[Frame]:
        """100 ms of the session."""
        told: list[Frame] = []
        self.now_ms += STEP_MS
        self._listen(peak(heard) > SPEECH)
        while self._due and self._due[0][0] <= self.now_ms:
            due = heapq.heappop(self._due)[2]
            told += due() if callable(due) else [due]
        if not self.ended:
            told += self._sound()
        if self.loose.quota_ms and self.now_ms >= self.loose.quota_ms:
            told.append(self.error("credit_balance_exhausted", "No credit.", kind="insufficient_quota"))
        return told

    def _listen(self, loud: bool) -> None:
        if loud:
            if self._speech_from is None:
                self._speech_from = self.now_ms - STEP_MS
            self._speech_to = self.now_ms
        elif self._speech_from is not None and self.now_ms - self._speech_to >= TURN_MS:
            began, self._speech_from = self._speech_from, None
            if self.hears:
                self._tell_words(self.hears.popleft(), "input", began)
                self._speak_in(0)

    def _speak_in(self, ms: int) -> None:
        if self.replies:
            self._after(ms + max(self.replies[0].after_ms - TURN_MS, 0), self._speak)

    def _speak(self) -> list[Frame]:
        """The next reply begins."""
        if not self.replies:
            return []
        reply = self.replies.popleft()
        if reply.first:
            self._say(LiveReply(text=reply.first))
        if reply.work is None:
            return self._say(reply)
        return self._hand_over(reply)

    def _say(self, reply: LiveReply) -> list[Frame]:
        begins = max(self.now_ms, self._speaks_until)
        words = len(reply.text.split())
        if not words:
            return []
        first = (words + 1) // 2 if reply.pause_ms else words
        self._speaking = reply
        rate = self.format.sample_rate
        self._voice.append((begins, tone(first * WORD_MS, rate)))
        if reply.pause_ms:
            sound = tone((words - first) * WORD_MS, rate)
            self._voice.append((begins + first * WORD_MS + reply.pause_ms, sound))
        self._speaks_until = begins + words * WORD_MS + reply.pause_ms
        lead = " " if begins > self.now_ms else ""
        self._tell_words(reply.text, "output", begins, reply.pause_ms, lead)
        if reply.moderated_ms:
            self._at(begins + reply.moderated_ms, self._moderate)
        return []

    def _moderate(self) -> list[Frame]:
        self._silence()
        return [self.error("content_policy_violation", "It was stopped.", kind="moderation_error")]

    def _stop(self) -> list[Frame]:
        self._silence()
        return []

    def _silence(self) -> None:
        self._voice.clear()
        self._due = [due for due in self._due if not _is_speech(due[2], self.now_ms)]
        heapq.heapify(self._due)
        self._speaking, self._speaks_until = None, self.now_ms

    def _hand_over(self, reply: LiveReply) -> list[Frame]:
        number = next(self._ids)
        target = "responses" if self._responses else "client"
        task = f"item_{number}"
        told = {"id": task, "target": target, "type": "delegation"}
        frame = self._event("session.delegation.created", delegation=told, offset_ms=self.now_ms)
        again = [frame | {"event_id": self.event_id()}] if self.loose.tells_twice else []
        if target == "client":
            return [frame, *again]
        assert reply.work is not None
        return [frame, *again, *self._respond(task, reply, reply.work)]

    def _respond(self, task: str, reply: LiveReply, work: Work) -> list[Frame]:
        if self.backend.active is not None:  # one after the other
            self._after(STEP_MS, lambda: self._respond(task, reply, work))
            return []
        frames = self.backend.begin(task)

        def finish() -> list[Frame]:
            if work.fails == "handoff":
                self.backend.active = None
                return [self.error("server_error", "Responses handoff incomplete.")]
            done = self.backend.finish(task, work.calls, work.fails, reply.text)
            if work.calls:
                self._tasks.append((task, reply, work))
            elif not work.fails:
                self._after(reply.after_ms, lambda: self._say(reply))
            if self._tasks and not self.backend.unanswered:
                done += self._go_on()
            if self.loose.tells_twice:
                done = [copy for frame in done for copy in (frame, dict(frame))]
            return done

        self._after(work.takes_ms, finish)
        return frames

    def _sound(self) -> list[Frame]:
        size = self.format.size(STEP_MS)
        voice = b""
        while len(voice) < size and self._voice and self._voice[0][0] < self.now_ms:
            begins, sound = self._voice.popleft()
            room = size - len(voice)
            voice += sound[:room]
            if sound[room:]:
                self._voice.appendleft((begins, sound[room:]))
        sound = voice + self._quiet(size - len(voice))
        if not self._voice and self.now_ms > self._speaks_until:
            self._speaking = None
        cuts = [0, 1_001, len(sound)] if self.loose.odd_bytes else [0, len(sound)]
        pieces = [sound[a:b] for a, b in pairwise(cuts)]
        return [{"type": "session.output_audio.delta", "delta": base64.b64encode(piece).decode()} for piece in pieces]

    def _quiet(self, size: int) -> bytes:
        level = self.loose.tick if self.loose.tick and self.now_ms <= TICK_MS else self.loose.dither
        return bytes(level.to_bytes(2, "little") * (size // 2))

    def _tell_usage(self) -> list[Frame]:
        self._after(USAGE_MS, self._tell_usage)
        window = {"usage_ratio": min(self.now_ms / 3_600_000, 1.0)}
        return [self._event("session.usage.updated", usage={"seconds": self.seconds}, context_window=window)]

    @property
    def seconds(self) -> int:
        return round(self.now_ms / 1000)

    def end(self, reason: str) -> list[Frame]:
        """The session ends by itself."""
        return self._told(self._end(reason))

    def _end(self, reason: str, client_event_id: str = "") -> list[Frame]:
        self.ended = True
        usage = {"seconds": self.seconds}
        told = self._event("session.closed", reason=reason, session=self._resource(), usage=usage)
        return [told | ({"client_event_id": client_event_id} if client_event_id else {})]

    # -- to the client

    def _after(self, ms: int, what: Any) -> None:
        self._at(self.now_ms + ms, what)

    def _at(self, ms: int, what: Any) -> None:
        heapq.heappush(self._due, (ms, next(self._ids), what))

    def event_id(self) -> str:
        return f"event_{self.number}_{next(self._ids)}"

    def _event(self, kind: str, *, client_event_id: str = "", **fields: Any) -> Frame:
        named = {"client_event_id": client_event_id} if client_event_id else {}
        return {"type": kind, "event_id": self.event_id(), **fields, **named}

    def error(
        self,
        code: str,
        message: str,
        param: str | None = None,
        client_event_id: str | None = None,
        *,
        kind: str = "invalid_request_error",
    ) -> Frame:
        error: Frame = {"type": kind, "code": code, "message": message}
        if param:
            error["param"] = param
        if client_event_id:
            error["client_event_id"] = client_event_id
        if self.loose.null_codes:
            error |= {"code": None, "param": None}
        return self._event("error", error=error)

    def _resource(self) -> Frame:
        config = {name: value for name, value in (self.config or {}).items() if name != "input"}
        named = {"id": f"live_{self.number}", "expires_at": self.expires_at, "status": "active"}
        return config | named | {"input": []}

    def _told(self, frames: list[Frame]) -> list[Frame]:
        """What really goes to the client: in the order, and as often, as a loose server tells it."""
        told: list[Frame] = []
        for frame in frames:
            if frame["type"] != "session.output_audio.delta":
                frame.setdefault("event_id", self.event_id())
            if not (self.loose.null_codes or self.loose.unknown):
                check_server_frame(frame)
            if self.loose.unknown:
                frame = frame | {"novelty": {"x": [None]}}
            if self.loose.shuffled and frame["type"].endswith("_transcript.delta"):
                if self._held is None:
                    self._held = frame
                    continue
                told += [frame, self._held]
                self._held = None
            else:
                told.append(frame)
            if self.loose.repeated and "event_id" in frame:
                told.append(frame)
        return told


def _is_speech(due: Any, now_ms: int) -> bool:
    return isinstance(due, dict) and due["type"] == "session.output_transcript.delta" and due["start_ms"] >= now_ms
