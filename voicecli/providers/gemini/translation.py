"""Gemini's live translation, sans-I/O: the Live API, with a model that interprets all that it hears into one language.

It has no turns to wait for, no tools and no prompt; its voice imitates the speaker's. Google closes each socket after
about ten minutes: the next one needs to know nothing of it.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from voicecli.commands import AppendAudio, Command, EndTurn
from voicecli.errors import ProtocolError, RealtimeConnectionError, RealtimeError
from voicecli.events import AudioChunk, ErrorOccurred, Event, Role, SessionStarted, UsageUpdated
from voicecli.pcm16 import SampleAligner, is_silent
from voicecli.ports import Capabilities, Connection, Expiring, InterpreterSetup, ModelInfo, Service
from voicecli.pricing import Prices
from voicecli.providers.fields import JsonObject
from voicecli.providers.gemini.endpoint import Endpoint, find_endpoint
from voicecli.providers.gemini.errors import close_error, http_error
from voicecli.providers.gemini.fields import child, children, parse, seconds, sound, text
from voicecli.providers.gemini.input import INPUT_RATE, as_json, audio_message
from voicecli.providers.interpreting import RESPONSE_ID, Pieces, Progress, RunningText
from voicecli.threads import run_in_thread

__all__ = ["INTERPRETER", "GeminiTranslation"]

_OUTPUT_RATE = 24_000
_MODEL = "gemini-3.5-live-translate-preview"
_LEAST_MS, _MOST_MS = 20, 100
# After the last word this much quiet means that all has come; while none has, words may be as late as that.
_QUIET_S, _LATEST_S = 5.0, 20.0
_TAG = r"[A-Za-z]{2,3}(?:-[A-Za-z]{4})?"
# A transcript may begin with the language's code: in brackets, or bare where it names a region, too.
_CODE = re.compile(rf"\s*(?:[\[<(]{_TAG}(?:-\w{{2,3}})?[\])>]:?|{_TAG}-(?:[A-Z]{{2}}|\d{{3}})\b:?)\s*")


class GeminiTranslation:
    """One translation; `Codec` and `ClosesGracefully` say how it is driven."""

    def __init__(self, setup: InterpreterSetup, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._config = setup.config
        self._name = endpoint.model.rpartition("/")[2]
        self._setup = _setup_message(setup, endpoint.model)
        prices = setup.config.prices.get(endpoint.model) or INTERPRETER.prices(replace(setup.config, model=self._name))
        self._progress = Progress(INPUT_RATE, prices)
        self._pieces = Pieces(INPUT_RATE, _LEAST_MS, _MOST_MS)
        self._aligner = SampleAligner()
        self._captions: dict[Role, RunningText] = {"user": RunningText("user"), "assistant": RunningText("assistant")}
        # Such as "es:", which is a word in no text that has just begun.
        self._target = re.compile(rf"\s*{re.escape(setup.target_language.partition('-')[0])}\s*:\s*")
        self._out: list[bytes] = []
        self._events: list[Event | Expiring] = []
        self._started = False  # on some socket
        self._ready = False  # on this one
        self._stream_over = False

    @property
    def quiet_s(self) -> float:
        return _LATEST_S if self._progress.owes else _QUIET_S

    @property
    def url(self) -> str:
        return self._endpoint.url

    @property
    def headers(self) -> Mapping[str, str]:
        return {**self._config.headers, **self._endpoint.headers}

    @property
    def awaiting_reply(self) -> bool:
        return False  # to say nothing is legal: it may have heard no words

    @property
    def busy(self) -> bool:
        return self._progress.busy

    def open(self) -> None:
        self._finish_captions()  # the last socket took along the rest
        self._out.clear()
        self._pieces.clear()
        self._aligner.clear()
        self._progress.restart()
        self._ready = self._stream_over = False
        self._out.append(as_json(self._setup))

    def send(self, command: Command) -> None:
        match command:
            case AppendAudio(audio) if not self._stream_over:
                for piece in self._pieces.add(audio):
                    self._append(piece)
            case EndTurn():
                self._end_stream()

    def close(self) -> None:
        """Do nothing: there is no goodbye."""

    def data_to_send(self) -> list[bytes]:
        data, self._out = self._out, []
        return data

    def refused(self, status: int, body: bytes) -> RealtimeConnectionError:
        return http_error(status, self._redacted(body.decode(errors="replace")).encode())

    def closed(self, code: int, reason: str) -> RealtimeConnectionError:
        return close_error(code, self._redacted(reason), model=self._name)

    def receive(self, message: bytes) -> list[Event | Expiring]:
        try:
            self._receive(parse(message))
        except (ValueError, RecursionError) as error:
            raise ProtocolError(f"Gemini sent a malformed message ({type(error).__name__}).") from error
        if not self._ready:
            return []
        if (usage := self._progress.take_usage()) is not None:
            self._events.append(UsageUpdated(usage))
        events, self._events = self._events, []
        return events

    # -- inside

    def _end_stream(self) -> None:
        """The input is over: have what is left translated. Vertex AI knows no such message, and hears silence."""
        if rest := self._pieces.flush():
            self._append(rest)
        if not (self._endpoint.vertex or self._stream_over):
            self._stream_over = True
            self._out.append(as_json({"realtimeInput": {"audioStreamEnd": True}}))

    def _append(self, audio: bytes) -> None:
        self._progress.sent(audio)
        self._out.append(audio_message(audio))

    def _receive(self, message: JsonObject) -> None:
        if (done := child(message, "setupComplete")) is not None and not self._ready:
            self._ready = True
            started = SessionStarted(text(done, "sessionId"), self._name, "", INPUT_RATE, _OUTPUT_RATE, self._started)
            self._events.append(started)
            self._started = True
        if (content := child(message, "serverContent")) is not None:
            self._read_content(content)
        if (going := child(message, "goAway")) is not None:
            self._events.append(Expiring(seconds(going, "timeLeft")))
        if (failure := child(message, "error")) is not None:
            said = self._redacted(text(failure, "message")) or "an error without words"
            error = close_error(0, said, model=self._name)
            if not error.retryable:
                raise error
            self._events.append(ErrorOccurred(RealtimeError(f"Gemini reports: {said}")))

    def _read_content(self, content: JsonObject) -> None:
        """What is said of turns in it counts for nothing: their ends come late, or in the middle of a sentence."""
        if (words := child(content, "inputTranscription")) is not None:
            self._read_words("user", text(words, "text"))
        if (words := child(content, "outputTranscription")) is not None and (said := text(words, "text")):
            self._progress.output()
            self._read_words("assistant", said)
        for part in children(child(content, "modelTurn") or {}, "parts"):
            blob = child(part, "inlineData")
            if blob is not None and (audio := self._aligner.push(sound(blob, _OUTPUT_RATE))):
                if not is_silent(audio):
                    self._progress.output()
                self._events.append(AudioChunk(audio, RESPONSE_ID, RESPONSE_ID))

    def _read_words(self, role: Role, said: str) -> None:
        caption = self._captions[role]
        if caption.is_new(self._progress.sent_ms):
            code = _CODE.match(said) or (self._target.match(said) if role == "assistant" else None)
            said = said[code.end() :] if code else said
        if said:
            self._events += caption.add(said, self._progress.sent_ms)

    def _finish_captions(self) -> None:
        for caption in self._captions.values():
            self._events += caption.finish()

    def _redacted(self, said: str) -> str:
        secret = self._endpoint.secret
        return said.replace(secret, "***") if secret else said


def _setup_message(setup: InterpreterSetup, resource: str) -> dict[str, Any]:
    """The first message. Without a target language the service is silent and says nothing of it: it has one always."""
    translation = {"targetLanguageCode": setup.target_language, "echoTargetLanguage": False}
    body: dict[str, Any] = {
        "model": resource,
        "generationConfig": {"responseModalities": ["AUDIO"], "translationConfig": translation},
        "outputAudioTranscription": {},
    }
    if setup.source_text:
        body["inputAudioTranscription"] = {}
    return {"setup": body}


def _endpoint_of(setup: InterpreterSetup) -> Endpoint:
    return find_endpoint(replace(setup.config, model=setup.config.model or _MODEL))


async def _connect(setup: InterpreterSetup) -> Connection:
    from voicecli.connection.websocket import WebSocketConnection

    endpoint = await run_in_thread(_endpoint_of, setup)  # the keyring may keep one waiting
    return await WebSocketConnection.open(
        GeminiTranslation(setup, endpoint),
        INTERPRETER.capabilities,
        setup.config,
        credentials=endpoint.credentials,
        recorder=setup.recorder,
    )


# Not on Google's own pages: what a third party pays.
_MODELS = (ModelInfo(_MODEL, "interprets, in the speaker's own voice; preview", prices=Prices(session_minute=0.037)),)


INTERPRETER = Service[InterpreterSetup](
    capabilities=Capabilities(
        input_rate=INPUT_RATE,
        output_rate=_OUTPUT_RATE,
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
