"""OpenAI's Realtime translation, sans-I/O: a session that interprets all that it hears into one language.

It has no turns, no responses and no items. Its time is that of the audio that is sent: a gap in that is no pause to it.
"""

import json
from binascii import b2a_base64
from collections.abc import Callable, Mapping
from typing import Any

from voicecli.commands import AppendAudio, Command
from voicecli.errors import ProtocolError, RealtimeConnectionError
from voicecli.events import AudioChunk, ErrorOccurred, Event, Notice, SessionStarted, UsageUpdated
from voicecli.pcm16 import SampleAligner, is_silent
from voicecli.ports import Capabilities, Connection, Ended, Expiring, InterpreterSetup, ModelInfo, Service
from voicecli.pricing import Prices
from voicecli.providers.fields import at, decoded, identifier, number, parse_object, text
from voicecli.providers.interpreting import RESPONSE_ID, Pieces, Progress, RunningText
from voicecli.providers.openai.endpoint import Endpoint, find_endpoint
from voicecli.providers.openai.errors import FATAL, Server, ServerError, close_error, error_for, handshake_error
from voicecli.providers.openai.fields import Frame, delta
from voicecli.providers.openai.settings import OpenAISettings
from voicecli.threads import run_in_thread

__all__ = ["INTERPRETER", "OpenAITranslation"]

_RATE = 24_000
_MODEL = "gpt-realtime-translate"
_SOURCE_MODEL = "gpt-live-transcribe"
_PATH = "/translations"
_APPEND = b'{"type":"session.input_audio_buffer.append","audio":"'
# The engine works on frames of 200 ms; what is shorter it collects, what is longer it splits.
_LEAST_MS, _MOST_MS = 20, 200
# After the last word this much quiet means that all has come.
_QUIET_S = 3.0
# How long a session lasts is not published; it is at least replaced as early as one of the Realtime API.
_SESSION_S = 3_600.0
_CONFIRMED_WITHIN_S = 2.0


class OpenAITranslation:
    """One translation; `Codec`, `StartsUnconfirmed` and `ClosesGracefully` say how it is driven.

    Raises:
        ConfigurationError: no key.
    """

    quiet_s = _QUIET_S
    confirmed_within_s = _CONFIRMED_WITHIN_S

    def __init__(self, setup: InterpreterSetup, endpoint: Endpoint | None = None) -> None:
        config = setup.config
        self._model = config.model or _MODEL
        self._endpoint = endpoint or find_endpoint(config, self._model, _PATH)
        self._session = _session(setup)
        source_model = at(self._session, "audio", "input", "transcription").get("model", "")
        self._server = Server(self._endpoint.server, self._endpoint.is_openai, transcription_model=source_model)
        self._progress = Progress(_RATE, INTERPRETER.prices(config))
        self._pieces = Pieces(_RATE, _LEAST_MS, _MOST_MS)
        self._aligner = SampleAligner()
        self._heard, self._translated = RunningText("user"), RunningText("assistant")
        self._out: list[bytes] = []
        self._events: list[Event | Expiring | Ended] = []
        self._started = False  # on some socket
        self._ready = False  # on this one
        self._greeted = self._updated = False
        self._closing = self._closed = False
        self._last_error: ServerError | None = None
        self._handlers: dict[str, Callable[[Frame], None]] = {
            "session.created": lambda frame: None,
            "session.updated": self._session_updated,
            "session.output_audio.delta": self._audio,
            "session.output_transcript.delta": self._translated_words,
            "session.input_transcript.delta": self._heard_words,
            "session.closed": self._session_closed,
            "error": self._error,
        }

    @property
    def url(self) -> str:
        return self._endpoint.url

    @property
    def headers(self) -> Mapping[str, str]:
        return self._endpoint.headers

    @property
    def awaiting_reply(self) -> bool:
        return False  # to say nothing is legal: it may have heard no words

    @property
    def busy(self) -> bool:
        return self._progress.busy

    def open(self) -> None:
        self._events += [*self._heard.finish(), *self._translated.finish()]  # the last socket took along the rest
        self._out.clear()
        self._pieces.clear()
        self._aligner.clear()
        self._progress.restart()
        self._ready = self._greeted = self._updated = self._closing = self._closed = False
        self._last_error = None

    def send(self, command: Command) -> None:
        if isinstance(command, AppendAudio):  # there is nothing else that could be said
            for piece in self._pieces.add(command.audio):
                self._append(piece)

    def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        if rest := self._pieces.flush():
            self._append(rest)
        self._queue("session.close")

    def receive(self, message: bytes) -> list[Event | Expiring | Ended]:
        frame = parse_object(message, self._server.name)
        kind = frame.get("type", "error" if "error" in frame else None)
        if not isinstance(kind, str):
            raise ProtocolError(f"{self._server.name} sent a message without a type.")
        if kind != "error":
            self._last_error = None
            self._greet()
        if (handler := self._handlers.get(kind)) is not None:
            handler(frame)
        return self._take_events()

    def start_unconfirmed(self) -> list[Event | Expiring | Ended]:
        if not self._updated:
            self._update()  # some servers wait for the client to begin
        elif self._greeted and not self._ready:
            self._begin({})
        return self._take_events()

    def data_to_send(self) -> list[bytes]:
        data, self._out = self._out, []
        return data

    def refused(self, status: int, body: bytes) -> RealtimeConnectionError:
        return handshake_error(status, body, self._server)

    def closed(self, code: int, reason: str) -> RealtimeConnectionError:
        if self._closed:
            return _complete()
        return close_error(code, reason, self._last_error, self._server)

    # -- what is sent

    def _append(self, audio: bytes) -> None:
        self._progress.sent(audio)
        self._out.append(b'%b%b"}' % (_APPEND, b2a_base64(audio, newline=False)))

    def _queue(self, kind: str, **fields: object) -> None:
        self._out.append(json.dumps({"type": kind, **fields}, separators=(",", ":")).encode())

    def _greet(self) -> None:
        """The server is there: it is told the settings."""
        self._greeted = True
        if not self._updated:
            self._update()

    def _update(self) -> None:
        self._updated = True
        self._queue("session.update", session=self._session)

    # -- what comes

    def _take_events(self) -> list[Event | Expiring | Ended]:
        if not self._ready:
            return []
        if (usage := self._progress.take_usage(least_s=0.0 if self._closed else 1.0)) is not None:
            self._events.append(UsageUpdated(usage))
        if self._closed:
            self._events.append(Ended(_complete()))
        events, self._events = self._events, []
        return events

    def _session_updated(self, frame: Frame) -> None:
        if not self._ready:
            self._begin(at(frame, "session"))

    def _begin(self, session: Frame) -> None:
        self._ready = True
        model = text(session, "model") or self._model
        started = SessionStarted(identifier(session, "id"), model, "", _RATE, _RATE, resumed=self._started)
        self._events += [Expiring(_SESSION_S), started]
        language = text(at(session, "audio", "output"), "language")
        if not self._started and language and language.lower() != self._language.lower():
            said = f"{self._server.name} translates to {language!r} instead of {self._language!r}."
            self._events.append(Notice("language_changed", said))
        self._started = True

    @property
    def _language(self) -> str:
        return str(self._session["audio"]["output"]["language"])

    def _audio(self, frame: Frame) -> None:
        rate = number(frame, "sample_rate")
        if rate not in {None, _RATE}:
            raise ProtocolError(f"{self._server.name} sent audio at {rate} Hz instead of {_RATE} Hz.")
        channels = number(frame, "channels")
        if channels not in {None, 1}:
            raise ProtocolError(f"{self._server.name} sent audio of {channels} channels instead of one.")
        try:
            sound = decoded(frame.get("delta"))
        except ValueError as error:
            raise ProtocolError(f"{self._server.name} sent sound that is no base64.") from error
        if audio := self._aligner.push(sound):
            if not is_silent(audio):
                self._progress.output()
            self._events.append(AudioChunk(audio, RESPONSE_ID, RESPONSE_ID))

    def _translated_words(self, frame: Frame) -> None:
        if words := delta(frame):
            self._progress.output()
            self._events += self._translated.add(words, self._progress.sent_ms)

    def _heard_words(self, frame: Frame) -> None:
        if words := delta(frame):
            self._events += self._heard.add(words, self._progress.sent_ms)

    def _session_closed(self, frame: Frame) -> None:
        if not self._closing:
            why = f"{self._server.name} has ended the translation."
            raise RealtimeConnectionError(why, advice=self._server.later, retryable=True)
        self._closed = True
        self._events += [*self._heard.finish(), *self._translated.finish()]

    def _error(self, frame: Frame) -> None:
        error = ServerError.of_event(frame)
        self._last_error = error
        if not self._ready or error.code in FATAL or error.type in FATAL:
            raise error_for(error, self._server)
        if not self._closing:
            self._events.append(ErrorOccurred(error_for(error, self._server)))


def _session(setup: InterpreterSetup) -> dict[str, Any]:
    """The settings: strict, hence only what was asked for."""
    own = setup.config.own(OpenAISettings)
    given: dict[str, Any] = {}
    if setup.source_text and own.transcription_model != "none":
        given["transcription"] = {"model": own.transcription_model or _SOURCE_MODEL}
    if own.noise_reduction:
        given["noise_reduction"] = {"type": own.noise_reduction}
        if own.noise_reduction_strength is not None:
            given["noise_reduction"]["strength"] = own.noise_reduction_strength
    audio: dict[str, Any] = {"output": {"language": setup.target_language}}
    return {"audio": {"input": given, **audio} if given else audio}


def _complete() -> RealtimeConnectionError:
    return RealtimeConnectionError("The translation is complete.", close_code=1000)


async def _connect(setup: InterpreterSetup) -> Connection:
    # The keyring may keep one waiting.
    endpoint = await run_in_thread(find_endpoint, setup.config, setup.config.model or _MODEL, _PATH)
    codec = OpenAITranslation(setup, endpoint)
    from voicecli.connection.websocket import WebSocketConnection

    return await WebSocketConnection.open(codec, INTERPRETER.capabilities, setup.config, recorder=setup.recorder)


_MODELS = (ModelInfo(_MODEL, "interprets; the voice is the service's own", prices=Prices(session_minute=0.034)),)


INTERPRETER = Service[InterpreterSetup](
    capabilities=Capabilities(
        input_rate=_RATE,
        output_rate=_RATE,
        images=False,
        tools=False,
        reports_speech=False,
        full_duplex=True,
        input_must_flow=True,
    ),
    default_model=_MODEL,
    models=_MODELS,
    connect=_connect,
)
