"""Gemini's side of a Live session, sans-I/O and as strict as the real one is known to be.

`receive()` takes a message of the client and returns what answers it at once; what the model says comes out of
`step()`, one message after the other, so that a test can act in the middle of a reply.
"""

import base64
import json
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from tests.loopback.gemini_rules import check_setup, enum_value
from tests.loopback.gemini_wire import INVALID, Frame, RefusedError, check_client_frame, check_server_frame
from tests.loopback.turn_detector import HeardFrame, TurnDetector

__all__ = ["INPUT_BYTES_PER_MS", "Call", "GeminiSession", "Google", "Reply", "tone"]

INPUT_BYTES_PER_MS = 32
OUTPUT_BYTES_PER_MS = 48
_LOUD = 500
# What a client that ends a turn by silence, 100 ms each 100 ms, may have sent before it learns of a call.
_SILENCE_ON_ITS_WAY_MS = 300
_MAX_RESULT = 41_000


def tone(ms: int, *, rate: int = 24_000, level: int = 8_000) -> bytes:
    """Something loud enough to be speech: a square wave of 200 Hz."""
    half = rate // 400
    wave = array("h", ([level] * half + [-level] * half) * (ms // 5 + 1))
    return wave[: ms * rate // 1000].tobytes()


def _is_loud(piece: bytes) -> bool:
    return max(array("h", piece), default=0) > _LOUD


@dataclass(frozen=True, kw_only=True)
class Call:
    name: str
    args: dict[str, Any] = field(default_factory=dict)
    call_id: str = ""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """The next thing that the model does.

    Attributes:
        text: what it says, before any calls; "" for nothing.
        audio: how that sounds; None for 60 ms a word.
        piece_bytes: of audio in one message.
        calls: functions it calls then.
        after: what it says once they are answered.
        utterances: what it goes on to say by itself (extended thinking).
        together: whether words, sound and flags come in as few messages as possible.
        reason: why the turn ends.
        silent: it does not answer at all.
    """

    text: str = "Hello there, how are you?"
    audio: bytes | None = None
    piece_bytes: int = 9_600
    calls: tuple[Call, ...] = ()
    after: str = "That is what I found."
    utterances: tuple[str, ...] = ()
    together: bool = False
    reason: str = ""
    silent: bool = False


@dataclass
class Google:
    """The part of a conversation that outlives a socket.

    Attributes:
        replies: what the model does, in order; then it greets.
        hears: what it understands of spoken turns, in order.
        handles: the turns that each handle stands for.
        keeps_handles: whether they are honoured.
        gives_handles: whether they are given.
        late_words: whether the user's words come after the reply has begun.
        finished: whether transcripts say that they are.
        holds_end: whether turnComplete waits until the reply would have been played.
    """

    replies: deque[Reply] = field(default_factory=deque)
    hears: deque[str] = field(default_factory=deque)
    handles: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    keeps_handles: bool = True
    gives_handles: bool = True
    late_words: bool = False
    finished: bool = False
    holds_end: bool = False
    ids: Iterator[int] = field(default_factory=lambda: count(1))


class GeminiSession:
    """One socket's session.

    Args:
        google: what outlives it.
        key_is_good, has_key: of the client's key.
        is_voice: whether 20 ms at 16 kHz are of a voice, for the detection of turns; by default, whether they are loud.

    Attributes:
        received, sent: all messages; those received in camelCase, with bytes decoded.
        turns: what it knows of the conversation: (role, text).
        heard: the audio that counted as speech or came within an activity.
        violations: what a client of ours must never do.
        close: code and reason, once the socket is to be closed.
    """

    def __init__(
        self,
        google: Google | None = None,
        *,
        key_is_good: bool = True,
        has_key: bool = True,
        is_voice: Callable[[bytes], bool] | None = None,
    ) -> None:
        self.google = google or Google()
        self.received: list[Frame] = []
        self.sent: list[Frame] = []
        self.turns: list[tuple[str, str]] = []
        self.heard = bytearray()
        self.violations: list[str] = []
        self.close: tuple[int, str] | None = None
        self.setup: Frame | None = None
        self.pending: dict[str, str] = {}
        self._silence_on_its_way_ms = 0
        self.results: list[Frame] = []
        self.pictures: list[Frame] = []
        self.speaking = False
        self.replying = False
        self._key = key_is_good, has_key
        self._detector = TurnDetector(is_voice or _is_loud, bytes_per_ms=INPUT_BYTES_PER_MS)
        self._seeding = False
        self._audio = bytearray()  # of an activity
        self._steps: Iterator[list[Frame]] | None = None
        self._said = ""
        self.played_s = 0.0  # how long the sound of the reply lasts
        self._words = ""
        self._tokens_in = 0
        self._follow_up: list[str] = []
        self._waiting_for_turn = False

    # -- what the client sends

    def receive(self, message: str | bytes) -> list[Frame]:
        """The messages that answer one at once."""
        try:
            key, body = check_client_frame(json.loads(message))
            self.received.append({key: body})
            frames = self._take(key, body)
        except RefusedError as refused:
            self.close = refused.code, refused.reason[:123]
            return []
        except ValueError:
            self.close = 1007, "Invalid JSON payload received."
            return []
        return self._checked(frames)

    def _take(self, key: str, body: Frame) -> list[Frame]:
        if key == "setup":
            return self._set_up(body)
        if self.setup is None:
            raise RefusedError("First message must be setup.", 1007)
        match key:
            case "clientContent":
                return self._client_content(body)
            case "realtimeInput":
                return self._realtime(body)
            case "toolResponse":
                return self._tool_response(body)
        return []

    def _set_up(self, setup: Frame) -> list[Frame]:
        good, present = self._key
        if not present:
            raise RefusedError(
                "Method doesn't allow unregistered callers (callers without established identity).", 1008
            )
        if not good:
            raise RefusedError("API key not valid. Please pass a valid API key.")
        if self.setup is not None:
            raise RefusedError(INVALID)
        check_setup(setup)
        self.setup = setup
        self._seeding = bool(setup.get("historyConfig", {}).get("initialHistoryInClientContent"))
        handle = setup.get("sessionResumption", {}).get("handle")
        if handle is not None:
            if not self.google.keeps_handles or handle not in self.google.handles:
                raise RefusedError(INVALID)
            self.turns = list(self.google.handles[handle])
        return [{"setupComplete": {}}]

    def _client_content(self, content: Frame) -> list[Frame]:
        frames: list[Frame] = []
        if not self._seeding:
            if self._model.startswith("gemini-3.1"):
                raise RefusedError(INVALID)
            frames = self._interrupt()
        for turn in content.get("turns", []):
            if turn.get("role") not in {"user", "model"} or any(set(part) != {"text"} for part in turn["parts"]):
                raise RefusedError(INVALID)
            self.turns.append((turn["role"], "\n".join(part["text"] for part in turn["parts"])))
        if content.get("turnComplete"):
            if not self._seeding:
                self._answer()
            self._seeding = False
        return frames

    def _realtime(self, given: Frame) -> list[Frame]:  # noqa: C901 - one rule of the service after the other
        if self._seeding:
            self.violations.append("real-time input before the history was complete")
        key, value = next(iter(given.items()))
        if key in {"activityStart", "activityEnd"} and not self._manual:
            raise RefusedError(INVALID)
        if "BLOCKING" in self.pending.values() and not self._is_on_its_way(given):
            self.violations.append(f"{key} while a blocking function was called")
        match key:
            case "activityStart":
                if self.speaking:
                    self.violations.append("activityStart within an activity")
                self.speaking = True
                self._audio.clear()
                return self._interrupt()
            case "activityEnd":
                if not self.speaking:
                    self.violations.append("activityEnd without an activity")
                if not self._audio and not self._waiting_for_turn:
                    self.violations.append("an empty activity")
                self.speaking = False
                self._turn_ends()
            case "audio":
                if value["mimeType"] != "audio/pcm;rate=16000":
                    self.violations.append(f"audio as {value['mimeType']}")
                return self._hear(value["data"])
            case "audioStreamEnd":
                if self._manual:
                    self.violations.append("audioStreamEnd without automatic detection")
                elif self.speaking:
                    self._turn_ends()
            case "text":
                self.turns.append(("user", value))
                if self._manual:
                    self._waiting_for_turn = True
                    if not self.speaking:
                        self.violations.append("text outside of an activity")
                    return []
                frames = self._interrupt()
                self._answer()
                return frames
            case "video":
                if self._manual and not self.speaking:
                    self.violations.append("a picture outside of an activity")
                self.pictures.append(value)
        return []

    def _is_on_its_way(self, given: Frame) -> bool:
        """Whether this may have been sent before the client knew of the call."""
        audio = given.get("audio", {}).get("data", b"")
        if not audio or any(audio):
            return False
        self._silence_on_its_way_ms -= len(audio) // INPUT_BYTES_PER_MS
        return self._silence_on_its_way_ms >= 0

    def _hear(self, audio: bytes) -> list[Frame]:
        self._tokens_in += len(audio) // (40 * INPUT_BYTES_PER_MS)
        if self._manual:
            if self.speaking:
                self._audio += audio
                self.heard += audio
            return []
        frames: list[Frame] = []
        for heard in self._detector.hear(audio, silence_ms=self._silence_ms):
            frames += self._detect(heard)
        return frames

    def _detect(self, heard: HeardFrame) -> list[Frame]:
        if heard.voiced or self.speaking:
            self.heard += heard.audio
        if heard.speech_start_ms is not None:
            self.speaking = True
            return self._interrupt()
        if heard.speech_end_ms is not None:
            self._turn_ends()
        return []

    @property
    def _silence_ms(self) -> int:
        assert self.setup is not None
        detection = self.setup.get("realtimeInputConfig", {}).get("automaticActivityDetection", {})
        return int(detection.get("silenceDurationMs", 500))

    @property
    def _manual(self) -> bool:
        assert self.setup is not None
        detection = self.setup.get("realtimeInputConfig", {}).get("automaticActivityDetection", {})
        return bool(detection.get("disabled"))

    @property
    def _model(self) -> str:
        assert self.setup is not None
        return str(self.setup["model"]).rpartition("/")[2]

    def _turn_ends(self) -> None:
        self.speaking = False
        self._detector.reset()
        self._audio.clear()
        if self._waiting_for_turn:
            self._waiting_for_turn = False
        else:
            self._words = self.google.hears.popleft() if self.google.hears else "Hello."
            self.turns.append(("user", self._words))
        self._answer()

    def _tool_response(self, body: Frame) -> list[Frame]:
        for response in body["functionResponses"]:
            if not response.get("id") or not isinstance(response.get("response"), dict):
                raise RefusedError(INVALID)
            if response["id"] not in self.pending or len(json.dumps(response["response"])) > _MAX_RESULT:
                raise RefusedError(INVALID)
            behavior = self.pending.pop(response["id"])
            self.results.append(response)
            self.turns.append(("user", f"result: {json.dumps(response['response'])}"))
            if behavior == "NON_BLOCKING" and not self.pending:
                self._follow_up.append("")
        return []

    # -- what the model does

    def step(self) -> list[Frame]:
        """The next messages of the reply; none when it is over, or waits for a function."""
        if self._steps is None and self._follow_up:
            self._follow_up.clear()
            self._steps = self._speak(Reply(text=self._after))
        if self._steps is None:
            return []
        frames = next(self._steps, None)
        if frames is None:
            self._steps = None
            return self.step()
        return self._checked(frames)

    def _answer(self) -> None:
        reply = self.google.replies.popleft() if self.google.replies else Reply()
        self._after = reply.after
        self._steps = None if reply.silent else self._speak(reply)

    _after = ""

    def _speak(self, reply: Reply) -> Iterator[list[Frame]]:
        self.replying = True
        self.played_s = 0.0
        words, self._words = self._words, ""
        if words and not self.google.late_words:
            yield self._input_words(words)
            words = ""
        yield from self._utter(reply.text, reply)
        if words:
            yield self._input_words(words)
        if reply.calls:
            behavior = self._behavior(reply.calls[0].name)
            calls = [
                {"id": call.call_id or f"call-{next(self.google.ids)}", "name": call.name, "args": call.args}
                for call in reply.calls
            ]
            self.pending.update({str(call["id"]): behavior for call in calls})
            self._silence_on_its_way_ms = _SILENCE_ON_ITS_WAY_MS
            yield [{"toolCall": {"functionCalls": calls}}, {"sessionResumptionUpdate": {"resumable": False}}]
            if behavior == "BLOCKING":
                while self.pending:
                    yield []
                yield from self._utter(reply.after, reply)
        for utterance in reply.utterances:
            yield [self._content(turnComplete=True, interactionStatus="IN_PROGRESS")]
            yield from self._utter(utterance, reply)
        yield [self._content(generationComplete=True)]
        yield self._ends(reply)

    def _ends(self, reply: Reply) -> list[Frame]:
        flags: Frame = {"turnComplete": True}
        if reply.utterances:
            flags["interactionStatus"] = "IDLE"
        if reply.reason:
            flags["turnCompleteReason"] = reply.reason
        self.replying = False
        if self._said:
            self.turns.append(("model", self._said))
            self._said = ""
        return [{**self._content(**flags), "usageMetadata": self._usage()}, *self._handle()]

    def _utter(self, text: str, reply: Reply) -> Iterator[list[Frame]]:
        if not text:
            return
        audio = reply.audio if reply.audio is not None else tone(60 * len(text.split()))
        pieces = [audio[start : start + reply.piece_bytes] for start in range(0, len(audio), reply.piece_bytes)]
        shares = _shares(text, len(pieces))
        for piece, share in zip(pieces, shares, strict=True):
            blob = {"mimeType": "audio/pcm;rate=24000", "data": base64.b64encode(piece).decode()}
            sound = {"modelTurn": {"role": "model", "parts": [{"inlineData": blob}]}}
            said = {"outputTranscription": {"text": share}} if share else {}
            self._said += share
            self.played_s += len(piece) / OUTPUT_BYTES_PER_MS / 1000
            if reply.together:
                yield [self._content(**sound, **said)]
            else:
                yield [self._content(**sound)]
                if said:
                    yield [self._content(**said)]

    def _input_words(self, words: str) -> list[Frame]:
        # In two pieces, which carry their own spaces.
        middle = words.find(" ", len(words) // 2)
        parts = [words] if middle < 0 else [words[:middle], words[middle:]]
        frames = [self._content(inputTranscription={"text": part}) for part in parts]
        if self.google.finished:
            frames[-1]["serverContent"]["inputTranscription"]["finished"] = True
        return frames

    def _interrupt(self) -> list[Frame]:
        assert self.setup is not None
        handling = enum_value(self.setup.get("realtimeInputConfig", {}).get("activityHandling"))
        if self._steps is None or not self.replying or handling == "NO_INTERRUPTION":
            return []
        self._steps = None
        self.replying = False
        if self._said:
            self.turns.append(("model", self._said))
            self._said = ""
        frames: list[Frame] = [self._content(interrupted=True)]
        if self.pending:
            frames.append({"toolCallCancellation": {"ids": list(self.pending)}})
            self.pending.clear()
        return [*frames, {**self._content(turnComplete=True), "usageMetadata": self._usage()}, *self._handle()]

    def _behavior(self, name: str) -> str:
        assert self.setup is not None
        for tool in self.setup.get("tools", []):
            for function in tool.get("functionDeclarations", []):
                if function["name"] == name:
                    return enum_value(function.get("behavior")) or "NON_BLOCKING"
        return "NON_BLOCKING"

    def _handle(self) -> list[Frame]:
        if not self.google.gives_handles or self.pending:
            return []
        handle = f"handle-{next(self.google.ids)}"
        self.google.handles[handle] = list(self.turns)
        return [{"sessionResumptionUpdate": {"newHandle": handle, "resumable": True}}]

    def _usage(self) -> Frame:
        heard, self._tokens_in = self._tokens_in, 0
        return {
            "promptTokenCount": 100 + heard,
            "promptTokensDetails": [
                {"modality": "TEXT", "tokenCount": 100},
                {"modality": "AUDIO", "tokenCount": heard},
            ],
            "responseTokenCount": 50,
            "responseTokensDetails": [{"modality": "AUDIO", "tokenCount": 50}],
            "totalTokenCount": 150 + heard,
        }

    def _content(self, **fields: Any) -> Frame:
        return {"serverContent": fields}

    def _checked(self, frames: Iterable[Frame]) -> list[Frame]:
        checked = list(frames)
        for frame in checked:
            check_server_frame(frame)
        self.sent += checked
        return checked


def _shares(text: str, pieces: int) -> list[str]:
    """The text in as many parts, whole words with the space before them; empty ones where there are too few."""
    words = [f" {word}" for word in text.split()]
    words[0] = words[0].strip()
    each = -(-len(words) // pieces)
    return ["".join(words[index * each : (index + 1) * each]) for index in range(pieces)]
