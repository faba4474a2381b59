"""Gemini's side of a live transcription, sans-I/O, as strict as Google's SDK and what is known of the service.

Utterances end with half a second of silence, or when the client ends the stream. Each is told as it grows, and finally
with the times of its sound in the audio of the socket.
"""

import base64
import json
from collections.abc import Callable
from typing import Any

from tests.loopback.gemini_wire import INVALID, Frame, RefusedError, check_client_frame, check_server_frame
from tests.loopback.spoken_words import words_in

__all__ = ["GeminiTranscribing"]

RATE = 16_000
_MODEL = "models/gemini-3.5-transcribe-live"
_SETUP = {"model", "generationConfig", "inputAudioTranscription"}
_HINTS = {"languageCodes", "customVocabulary", "mode"}
_FRAME = RATE // 50 * 2  # 20 ms
_PAUSE_MS = 500
_TELLS_MS = 200  # an utterance that grows is told again after so much


class GeminiTranscribing:
    """One socket's session.

    Args:
        hears: the words in the audio of an utterance.
        offsets: whether times are told.
        activity: whether speech is told of.

    Attributes:
        setup: the first message.
        audio: all that came.
        violations: what a client of ours must never do.
        close: code and reason, once the session wants the socket closed.
    """

    def __init__(
        self, *, hears: Callable[[bytes], str] = words_in, offsets: bool = True, activity: bool = True
    ) -> None:
        self.setup: Frame | None = None
        self.audio = bytearray()
        self.stream_ends = 0
        self.violations: list[str] = []
        self.close: tuple[int, str] | None = None
        self.finals = 0
        self._hears = hears
        self._offsets = offsets
        self._activity = activity
        self._seen = 0  # bytes that were looked at
        self._start: int | None = None  # of the utterance
        self._end = 0
        self._told_at = 0

    @property
    def speaking(self) -> bool:
        return self._start is not None

    @property
    def previewed(self) -> bool:
        """Whether something was told of the utterance that is being said."""
        return self._start is not None and self._told_at > self._start

    def receive(self, message: str | bytes) -> list[Frame]:
        try:
            kind, body = check_client_frame(json.loads(message))
            if self.setup is None:
                return self._send(self._begin(kind, body))
            if kind != "realtimeInput" or not set(body) <= {"audio", "audioStreamEnd"}:
                raise RefusedError(f"{kind} with {sorted(body)} is not for transcriptions")
            if "audioStreamEnd" in body:
                self.stream_ends += 1
                return self._send(*self._finish())
            return self._send(*self._hear(body["audio"]))
        except (ValueError, RefusedError) as error:
            self.violations.append(str(error))
            self.close = (getattr(error, "code", 1007), str(error)[:120])
            return []

    def _begin(self, kind: str, setup: Frame) -> Frame:
        modalities = setup.get("generationConfig", {})
        hints = setup.get("inputAudioTranscription")
        if kind != "setup" or set(setup) != _SETUP or setup["model"] != _MODEL:
            raise RefusedError(f"a setup with {sorted(setup)}")
        if modalities != {"responseModalities": ["TEXT"]} or hints is None or not set(hints) <= _HINTS:
            raise RefusedError(INVALID)
        self.setup = setup
        return {"setupComplete": {"sessionId": "s1"}}

    def _hear(self, blob: Frame) -> list[Frame]:
        data = blob["data"]
        audio = data if isinstance(data, bytes) else base64.urlsafe_b64decode(data)
        if blob["mimeType"] != "audio/pcm;rate=16000" or len(audio) % 2 or not audio:
            raise RefusedError(f"{len(audio)} bytes of {blob['mimeType']}")
        self.audio += audio
        frames: list[Frame] = []
        while len(self.audio) - self._seen >= _FRAME:
            at, self._seen = self._seen, self._seen + _FRAME
            frames += self._look(any(self.audio[at : self._seen]), at)
        return frames

    def _look(self, sounds: bool, at: int) -> list[Frame]:
        frames: list[Frame] = []
        if sounds:
            if self._start is None:
                self._start = self._told_at = at
                frames += self._tell_activity("ACTIVITY_START", at)
            self._end = self._seen
            if self._ms(self._seen - self._told_at) >= _TELLS_MS:
                self._told_at = self._seen
                heard = self._hears(bytes(self.audio[self._start : self._seen]))
                frames.append({"serverContent": {"interimInputTranscription": {"text": heard + "?"}}})
        elif self._start is not None and self._ms(self._seen - self._end) >= _PAUSE_MS:
            frames += self._finish()
        return frames

    def _finish(self) -> list[Frame]:
        if self._start is None:
            return []
        start, self._start = self._start, None
        self.finals += 1
        words: dict[str, Any] = {"text": self._hears(bytes(self.audio[start : self._end])), "finished": True}
        if self._offsets:
            words["startOffset"] = f"{self._ms(start) / 1000:.3f}s"
            words["endOffset"] = f"{self._ms(self._end) / 1000:.3f}s"
        return [*self._tell_activity("ACTIVITY_END", self._end), {"serverContent": {"inputTranscription": words}}]

    def _tell_activity(self, kind: str, at: int) -> list[Frame]:
        if not self._activity:
            return []
        return [{"voiceActivity": {"voiceActivityType": kind, "audioOffset": f"{self._ms(at) / 1000:.3f}s"}}]

    def _ms(self, size: int) -> float:
        return size * 1000 / (RATE * 2)

    def _send(self, *frames: Frame) -> list[Frame]:
        for frame in frames:
            check_server_frame(frame)
        return list(frames)
