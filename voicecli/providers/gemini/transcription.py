"""Transcription by Gemini, sans-I/O: the Live API, with a model that only writes down what it hears.

It finds the utterances itself, and says where they lie in the audio of its socket. Google closes each socket after
about ten minutes: the next one is sent what no words were told of, and its times go on where that begins. Words that
were told are never asked for again.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from voicecli.commands import AppendAudio, ClearAudio, Command, EndTurn, PauseAudio, StartTurn
from voicecli.config import VADMode
from voicecli.errors import ConfigurationError, ProtocolError, RealtimeConnectionError, RealtimeError
from voicecli.events import (
    ErrorOccurred,
    Event,
    SessionStarted,
    SpeechStarted,
    SpeechStopped,
    TranscriptUpdate,
    UsageUpdated,
)
from voicecli.ports import Capabilities, Connection, Ended, Expiring, ModelInfo, Service, TranscriberSetup
from voicecli.pricing import with_cost
from voicecli.providers.fields import JsonObject
from voicecli.providers.gemini.endpoint import Endpoint, find_endpoint
from voicecli.providers.gemini.errors import KEY_ADVICE, close_error, http_error
from voicecli.providers.gemini.fields import child, offset_ms, parse, seconds, text
from voicecli.providers.gemini.input import INPUT_RATE, WIRE_AUDIO, as_json, audio_message
from voicecli.providers.gemini.usage import read_usage
from voicecli.providers.gemini.utterances import HeardAudio
from voicecli.providers.ignored import ignored_setting
from voicecli.threads import run_in_thread

__all__ = ["TRANSCRIBER", "GeminiTranscription"]

_MODEL = "gemini-3.5-transcribe-live"
_QUIET_S = 3.0
"""Others have measured that the last words come within half a second of the end; a slow line takes longer."""
_SETTLED_S = 0.5
"""Where words were told of all sound."""
_AUDIO_STREAM_END = as_json({"realtimeInput": {"audioStreamEnd": True}})
_CODE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{1,8})*", re.IGNORECASE)


class GeminiTranscription:
    """One transcription; `Codec` and `ClosesGracefully` say how it is driven."""

    def __init__(self, setup: TranscriberSetup, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._config = setup.config
        self._name = endpoint.model.rpartition("/")[2]
        self._setup = _setup_message(setup, endpoint.model)
        self._prompted = bool(setup.prompt)
        given = setup.config.prices
        self._prices = given.get(endpoint.model) or given.get(self._name)
        self._audio = HeardAudio()
        self._out: list[bytes] = []
        self._events: list[Event | Expiring | Ended] = []
        self._count = 0  # of utterances
        self._item_id = ""  # of the utterance that is being said; "" between two
        self._said = ""  # of it, by pieces that are not all of it
        self._told_end_ms = 0
        self._final: tuple[object, ...] = ()  # the last words that were told, as they came
        self._started = False  # on some socket
        self._flush = False  # the audio so far ends an utterance
        self._reset()

    def _reset(self) -> None:
        self._ready = False
        self._flowing = False  # audio was sent since the stream was ended
        self._closing = False
        self._speech_ms: tuple[int | None, int | None] = (None, None)  # of the utterance, by the server's detection
        self._speaking = False

    @property
    def url(self) -> str:
        return self._endpoint.url

    @property
    def headers(self) -> Mapping[str, str]:
        return {**self._config.headers, **self._endpoint.headers}

    @property
    def quiet_s(self) -> float:
        return _QUIET_S if self._item_id or self._audio.has_sound else _SETTLED_S

    @property
    def awaiting_reply(self) -> bool:
        return bool(self._item_id)  # what has begun has an end; of a noise it is legal to say nothing

    @property
    def busy(self) -> bool:
        return bool(self._item_id) or self._speaking or self._audio.speaking

    def open(self) -> None:
        self._reset()
        self._said = ""
        self._out.clear()
        self._out.append(as_json(self._setup))

    def send(self, command: Command) -> None:
        match command:
            case AppendAudio(audio):
                if audio:
                    self._audio.append(audio)
                    self._send_audio(audio)
                    self._flush = False
            case EndTurn() | PauseAudio():
                self._end_stream()
            case StartTurn() | ClearAudio():
                pass
            case _:
                raise ProtocolError(f"A transcription takes audio, and no {type(command).__name__}.")

    def close(self) -> None:
        self._closing = True
        if self._item_id or self._audio.has_sound:  # else there are no words that could still come
            self._end_stream()

    def data_to_send(self) -> list[bytes]:
        data, self._out = self._out, []
        return data

    def refused(self, status: int, body: bytes) -> RealtimeConnectionError:
        return http_error(status, self._redacted(body.decode(errors="replace")).encode())

    def closed(self, code: int, reason: str) -> RealtimeConnectionError:
        return close_error(code, self._redacted(reason), model=self._name)

    def receive(self, message: bytes) -> Sequence[Event | Expiring | Ended]:
        try:
            self._receive(parse(message))
        except (ValueError, RecursionError) as error:
            raise ProtocolError(f"Gemini sent a malformed message ({type(error).__name__}).") from error
        if not self._ready:
            return []
        events, self._events = self._events, []
        return events

    # -- what is sent

    def _send_audio(self, audio: bytes) -> None:
        self._flowing = True
        self._out.append(audio_message(audio))

    def _end_stream(self) -> None:
        """Have the server tell the words of what it has; audio that comes later opens the stream again."""
        self._flush = True
        if self._flowing:
            self._flowing = False
            self._out.append(_AUDIO_STREAM_END)

    # -- what comes

    def _receive(self, message: JsonObject) -> None:
        if (done := child(message, "setupComplete")) is not None and not self._ready:
            self._begin(done)
        if (activity := child(message, "voiceActivity")) is not None:
            self._read_activity(activity)
        if (content := child(message, "serverContent")) is not None:
            if (preview := child(content, "interimInputTranscription")) is not None:
                self._preview(text(preview, "text"), preview)
            if (words := child(content, "inputTranscription")) is not None:
                self._read_words(words)
        if (metadata := child(message, "usageMetadata")) is not None:
            self._events.append(UsageUpdated(with_cost(read_usage(metadata), self._prices)))
        if (going := child(message, "goAway")) is not None:
            self._events.append(Expiring(seconds(going, "timeLeft")))
        if (failure := child(message, "error")) is not None:
            said = self._redacted(text(failure, "message")) or "an error without words"
            error = close_error(0, said, model=self._name)
            if not error.retryable:
                raise error
            self._events.append(ErrorOccurred(RealtimeError(f"Gemini reports: {said}")))

    def _begin(self, done: Mapping[str, Any]) -> None:
        self._ready = True
        started = SessionStarted(text(done, "sessionId"), self._name, "", INPUT_RATE, INPUT_RATE, self._started)
        self._events.append(started)
        if self._prompted and not self._started:
            self._events.append(ignored_setting("prompt", "Gemini takes keywords instead"))
        self._started = True
        for piece in self._audio.restart():
            self._send_audio(piece)
        if self._flush:
            self._end_stream()

    def _read_activity(self, activity: JsonObject) -> None:
        at = self._since_first_byte(offset_ms(activity, "audioOffset"))
        kind = text(activity, "voiceActivityType")
        if kind.endswith("ACTIVITY_START"):
            self._speech_ms = (at, None)
            self._speech_begins()
        elif kind.endswith("ACTIVITY_END"):
            self._speech_ms = (self._speech_ms[0], at)
            self._speech_ends()

    def _preview(self, said: str, words: JsonObject) -> None:
        """The utterance so far: it replaces what was told of it."""
        if not said.strip():
            return
        self._open_utterance()
        start_ms, _ = self._times(words)
        now_ms = int(WIRE_AUDIO.duration_ms(self._audio.position))
        self._events.append(TranscriptUpdate("user", self._item_id, said.strip(), False, False, start_ms, now_ms))

    def _read_words(self, words: JsonObject) -> None:
        said = text(words, "text")
        # What goes on comes in pieces, as of other models, or each time whole.
        self._said = said if said.startswith(self._said) else self._said + said
        if words.get("finished") in (False, "false"):
            self._preview(self._said, words)
            return
        said, self._said = self._said.strip(), ""
        final = (said, words.get("startOffset"), words.get("endOffset"))
        # Some servers tell it twice; somebody who says it twice is heard twice.
        again = final == self._final and not self._item_id and (final[1] is not None or not self._audio.has_sound)
        self._final = final
        if (said or self._item_id) and not again:
            self._open_utterance()
            self._finish(said, *self._times(words))

    def _finish(self, said: str, start_ms: int, end_ms: int) -> None:
        self._told_end_ms = end_ms
        self._audio.tell(WIRE_AUDIO.size(end_ms))
        self._speech_ends()
        self._events.append(TranscriptUpdate("user", self._item_id, said, True, False, start_ms, end_ms))
        self._item_id = ""
        self._speech_ms = (None, None)
        if self._closing:
            self._events.append(Ended(RealtimeConnectionError("Gemini has written down everything.", close_code=1000)))

    def _open_utterance(self) -> None:
        if not self._item_id:
            self._count += 1
            self._item_id = f"utterance_{self._count}"
            if self._speech_ms[1] is None:
                self._speech_begins()

    def _speech_begins(self) -> None:
        if not self._speaking:
            self._speaking = True
            self._events.append(SpeechStarted())

    def _speech_ends(self) -> None:
        if self._speaking:
            self._speaking = False
            self._events.append(SpeechStopped())

    def _times(self, words: JsonObject) -> tuple[int, int]:
        """Where an utterance lies in all audio, in ms: as the words say, else its speech, else its sound. Never before
        the end of the last one, and never beyond what was sent."""
        sound = [int(WIRE_AUDIO.duration_ms(place)) for place in self._audio.sound]
        now_ms = int(WIRE_AUDIO.duration_ms(self._audio.position))
        bounds: list[int] = []
        for name, heard, sounded in zip(("startOffset", "endOffset"), self._speech_ms, sound, strict=True):
            said = self._since_first_byte(offset_ms(words, name))
            found = next(place for place in (said, heard, sounded) if place is not None)
            bounds.append(min(max(found, self._told_end_ms), now_ms))
        return bounds[0], max(bounds)

    def _since_first_byte(self, offset: int | None) -> int | None:
        """The time in all audio of one in the audio of this socket, in ms."""
        return None if offset is None else int(WIRE_AUDIO.duration_ms(self._audio.socket_start)) + offset

    def _redacted(self, said: str) -> str:
        secret = self._endpoint.secret
        return said.replace(secret, "***") if secret else said


def _setup_message(setup: TranscriberSetup, resource: str) -> dict[str, Any]:
    """The first message. Its mode is left at what it is by itself, word for word: the other one has no times.

    Raises:
        ConfigurationError: a language or a keyword that cannot be.
    """
    transcription: dict[str, Any] = {}
    if languages := [_language(code) for code in dict.fromkeys(setup.languages)]:
        transcription["languageCodes"] = languages
    if keywords := [_keyword(word) for word in dict.fromkeys(setup.keywords)]:
        transcription["customVocabulary"] = keywords
    body = {
        "model": resource,
        "generationConfig": {"responseModalities": ["TEXT"]},
        "inputAudioTranscription": transcription,
    }
    return {"setup": body}


def _language(given: str) -> str:
    code = given.strip().replace("_", "-")
    if not _CODE.fullmatch(code):
        raise ConfigurationError(f"languages: {given!r} is no code of a language.", advice="Write codes: en, pt-BR.")
    return code


def _keyword(given: str) -> str:
    word = given.strip()
    if not word or not word.isprintable():
        raise ConfigurationError(f"keywords: {given!r} is no word or phrase.", advice="Write them on a line each.")
    return word


def _endpoint_of(setup: TranscriberSetup) -> Endpoint:
    """Raises ConfigurationError."""
    model = setup.config.model or _MODEL
    endpoint = find_endpoint(replace(setup.config, model=model))
    if endpoint.vertex:
        raise ConfigurationError(
            "Vertex AI has no live transcription that voicecli knows of.", advice=f"Use a key instead. {KEY_ADVICE}"
        )
    if endpoint.secret and ".googleapis.com" in endpoint.url and "transcribe" not in model:
        raise ConfigurationError(
            f"model: {model!r} makes conversation, and transcribes nothing by itself.",
            advice=f"Leave it out, or choose {_MODEL}.",
        )
    return endpoint


async def _connect(setup: TranscriberSetup) -> Connection:
    endpoint = await run_in_thread(_endpoint_of, setup)  # the keyring may keep one waiting
    codec = GeminiTranscription(setup, endpoint)
    from voicecli.connection.websocket import WebSocketConnection

    # Nobody finds turns: the silence that a conversation sends for that would move the clock of the audio.
    config = replace(setup.config, vad_mode=VADMode.NONE)
    return await WebSocketConnection.open(
        codec, TRANSCRIBER.capabilities, config, recorder=setup.recorder, is_full=lambda: False
    )


TRANSCRIBER = Service[TranscriberSetup](
    # It finds the utterances in audio that comes as it is spoken; whether it does so in faster audio is not known.
    capabilities=Capabilities(
        input_rate=INPUT_RATE, output_rate=INPUT_RATE, images=False, tools=False, input_must_flow=True
    ),
    default_model=_MODEL,
    models=(ModelInfo(_MODEL, "while one speaks; finds the utterances itself"),),  # no price is published
    connect=_connect,
)
