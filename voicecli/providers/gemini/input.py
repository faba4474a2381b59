"""The user's side of the wire: activities, audio, texts and pictures."""

import base64
import json
from binascii import b2a_base64
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from voicecli.commands import SendImage
from voicecli.config import RealtimeConfig, VADMode
from voicecli.pcm16 import PcmFormat, peak

__all__ = ["INPUT_RATE", "WIRE_AUDIO", "UserInput", "as_json", "audio_message", "is_speech"]

INPUT_RATE = 16_000

WIRE_AUDIO = PcmFormat(INPUT_RATE)
_AUDIO_HEAD = b'{"realtimeInput":{"audio":{"mimeType":"audio/pcm;rate=%d","data":"' % INPUT_RATE
_AUDIO_TAIL = b'"}}}'
_ACTIVITY_START = b'{"realtimeInput":{"activityStart":{}}}'
_ACTIVITY_END = b'{"realtimeInput":{"activityEnd":{}}}'
_AUDIO_STREAM_END = b'{"realtimeInput":{"audioStreamEnd":true}}'
# How much of a turn is kept; of a longer one the end.
_KEPT_BYTES = WIRE_AUDIO.size(30_000)
# Quieter sound is no speech into a microphone: 1.5% of full scale.
_SPEECH_PEAK = 500
# What is sent again begins so long before the first sound of speech.
_LEAD_MS = 300


class UserInput:
    """Turns what the user does into messages, and keeps the audio of the turn that nothing else stands for yet.

    With VADMode.SERVER the server looks for turns in one stream of audio. Otherwise activities mark them; one may be
    opened to interrupt the server, and then waits, without an end, for what the user says next: an empty activity
    would be answered.

    Args:
        out: takes the messages.
        vertex: whether Vertex AI is spoken to, which knows no `audioStreamEnd`.
    """

    def __init__(self, out: list[bytes], config: RealtimeConfig, *, vertex: bool) -> None:
        self._out = out
        self._server_detects = config.vad_mode is VADMode.SERVER
        self._vertex = vertex
        self._activity = False
        self._stream_open = False
        self._voiced = False  # audio came since the turn began
        self._pictures: list[SendImage] = []  # to be shown with the next activity
        self._shown: list[SendImage] = []  # with the turn that has no answer yet
        self._kept: deque[bytes] = deque()
        self._kept_bytes = 0
        self._ended = False

    @property
    def speaking(self) -> bool:
        """Whether the user is in the middle of a marked turn."""
        return self._activity and self._voiced

    # -- what the user does

    def start_turn(self) -> None:
        self._forget_audio()
        self._start_activity()

    def append(self, audio: bytes) -> None:
        if not self._server_detects and not self._activity:
            self._start_activity()
        self._voiced = self._stream_open = True
        self._kept.append(audio)
        self._kept_bytes += len(audio)
        while self._kept_bytes > _KEPT_BYTES:
            self._kept_bytes -= len(self._kept.popleft())
        self._send(audio)

    def end_turn(self) -> bool:
        """The user has finished; whether there is something to answer."""
        if not self._voiced:
            return False  # an activityEnd by itself can swallow the next utterance
        if self._server_detects:
            self._end_stream()
        else:
            self._end_activity()
        self._voiced = False
        self._ended = True
        return True

    def clear(self) -> None:
        """Forget the audio: it was no speech. It cannot be taken back; the turn stays open for what is said next."""
        self._voiced = False
        self._forget_audio()

    def pause(self) -> None:
        """No audio comes for a while: have the server work on what it has. Later audio opens the stream again."""
        self._end_stream()

    def say(self, said: str) -> None:
        """A whole turn in writing."""
        if not self._server_detects:
            # Without the server's detection a text is no activity by itself.
            self._start_activity()
        self._out.append(as_json({"realtimeInput": {"text": said}}))
        if not self._server_detects:
            self._end_activity()
            self._voiced = False

    def show(self, picture: SendImage) -> None:
        if self._server_detects or self.speaking:
            self._send_picture(picture)
        else:
            # Outside of an activity it might be left out.
            self._pictures.append(picture)

    def interrupt(self) -> None:
        """Make the server stop its reply, where that is possible."""
        if not self._server_detects and not self._activity:
            self._start_activity()

    # -- what becomes of it

    def answered(self) -> None:
        """A reply begins: what was said and shown before is the server's now."""
        self._forget_audio()
        self._shown.clear()

    def written(self) -> None:
        """Forget the audio of a turn that is known as text, which is enough to ask it again."""
        self._forget_audio()

    def restart(self) -> None:
        """The next socket knows of no audio and no activity."""
        self._activity = self._stream_open = self._voiced = False

    def restore(self) -> bool:
        """Show and say again what the last socket took along; whether a turn ended with it."""
        pictures, self._shown = [*self._shown, *self._pictures], []
        self._pictures = []
        for picture in pictures:
            self.show(picture)
        pieces, ended = list(self._speech()), self._ended
        self._forget_audio()
        for piece in pieces:
            self.append(piece)
        return ended and bool(pieces) and self.end_turn()

    # -- inside

    def _start_activity(self) -> None:
        if not self._activity:
            self._activity = True
            self._voiced = False
            self._out.append(_ACTIVITY_START)
        pictures, self._pictures = self._pictures, []
        for picture in pictures:
            self._send_picture(picture)

    def _end_activity(self) -> None:
        self._out.append(_ACTIVITY_END)
        self._activity = False

    def _end_stream(self) -> None:
        if self._server_detects and self._stream_open and not self._vertex:
            self._out.append(_AUDIO_STREAM_END)
        self._stream_open = False

    def _send(self, audio: bytes) -> None:
        self._out.append(audio_message(audio))

    def _send_picture(self, picture: SendImage) -> None:
        self._shown.append(picture)
        encoded = base64.b64encode(picture.data).decode()
        self._out.append(as_json({"realtimeInput": {"video": {"mimeType": picture.mime_type, "data": encoded}}}))

    def _forget_audio(self) -> None:
        self._kept.clear()
        self._kept_bytes = 0
        self._ended = False

    def _speech(self) -> Iterator[bytes]:
        """The audio that was kept, without the silence before it that a continuous stream holds."""
        first, lead = len(self._kept), 0
        if not self._server_detects:
            first = 0
        else:
            first = next((index for index, audio in enumerate(self._kept) if is_speech(audio)), first)
            while 0 < first < len(self._kept) and lead < WIRE_AUDIO.size(_LEAD_MS):
                first -= 1
                lead += len(self._kept[first])
        return iter(list(self._kept)[first:])


def audio_message(audio: bytes) -> bytes:
    """The message that sends audio: PCM16 mono at INPUT_RATE."""
    # The hot path: put together from bytes, not by json.
    return b"".join((_AUDIO_HEAD, b2a_base64(audio, newline=False), _AUDIO_TAIL))


def is_speech(audio: bytes) -> bool:
    """True when it is loud enough to be speech into a microphone."""
    return peak(audio) > _SPEECH_PEAK


def as_json(message: Mapping[str, Any]) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode()
