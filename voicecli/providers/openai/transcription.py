"""Transcription by OpenAI's Realtime API, sans-I/O: a session without model and replies, that writes down what is said.

The service tells no times. Utterances are committed here, where an EndTurn says that one ends: its times are those of
the samples of its commit. What a lost, or replaced, socket had not answered is sent to the next one: the utterances
whose words are awaited, and what has been said since. Words that came for one are never asked for again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from voicecli.commands import AppendAudio, ClearAudio, Command, EndTurn, PauseAudio, StartTurn
from voicecli.config import RealtimeConfig, VADMode
from voicecli.errors import ProtocolError, RealtimeConnectionError
from voicecli.events import ErrorOccurred, Event, Notice, SessionStarted, UsageUpdated
from voicecli.ports import Capabilities, Connection, Ended, Expiring, TranscriberSetup
from voicecli.pricing import with_cost
from voicecli.providers.fields import at, identifier, parse_object, text
from voicecli.providers.openai.endpoint import Endpoint, find_endpoint
from voicecli.providers.openai.errors import (
    FATAL,
    HARMLESS,
    Server,
    ServerError,
    close_error,
    error_for,
    handshake_error,
)
from voicecli.providers.openai.fields import Frame, delta
from voicecli.providers.openai.models import DEFAULT_TRANSCRIPTION_MODEL, prices_of, transcription_usage
from voicecli.providers.openai.queues import WIRE_AUDIO, Wire
from voicecli.providers.openai.transcription_setup import (
    check_model,
    setting_refused,
    transcription_notices,
    transcription_session,
    writes_meanwhile,
)
from voicecli.providers.openai.utterances import Utterance, Utterances
from voicecli.threads import run_in_thread
from voicecli.transcript import Transcript

__all__ = ["OpenAITranscription", "connect", "find_transcription_endpoint"]

_SESSION_S = 3_600.0
"""A session ends 60 minutes after it began, whatever happens in it."""
_CONFIRMED_WITHIN_S = 2.0
"""How long a server takes at most to greet, and then to confirm the settings: both take a round trip."""
_TRANSCRIPTION = "conversation.item.input_audio_transcription"


def find_transcription_endpoint(config: RealtimeConfig) -> Endpoint:
    """The endpoint that the settings and the environment name, by the same rules as for conversations.

    The address says what the session is for, and the session's settings name the model. Raises ConfigurationError.
    """
    endpoint = find_endpoint(config, "")
    url = urlsplit(endpoint.url)
    given = {name: value for name, value in parse_qsl(url.query, keep_blank_values=True) if (name, value) != _NO_MODEL}
    query = urlencode({"intent": "transcription"} | given)
    return replace(endpoint, url=urlunsplit(url._replace(query=query)))


_NO_MODEL = ("model", "")


async def connect(setup: TranscriberSetup, capabilities: Capabilities) -> Connection:
    """Begin a transcription; returns when the service is ready. Raises RealtimeError."""
    # A missing key is found before the libraries for the network are loaded. The keyring may keep one waiting.
    endpoint = await run_in_thread(find_transcription_endpoint, setup.config)
    codec = OpenAITranscription(setup, endpoint)
    from voicecli.connection.websocket import WebSocketConnection

    # Nobody finds turns: the silence that a conversation sends for that would move the clock of the audio.
    config = replace(setup.config, vad_mode=VADMode.NONE)
    # How fast the models take audio that write down while one speaks is not known. For the others a commit is a file.
    capabilities = replace(capabilities, input_must_flow=writes_meanwhile(codec.model))
    return await WebSocketConnection.open(
        codec, capabilities, config, recorder=setup.recorder, is_full=lambda: codec.full
    )


class OpenAITranscription:
    """One transcription; `voicecli.ports.Codec`, `StartsUnconfirmed` and `ClosesGracefully` say how it is driven.

    Attributes:
        model: that was asked for.

    Raises:
        ConfigurationError: no key, or something that the service does not take.
    """

    def __init__(self, setup: TranscriberSetup, endpoint: Endpoint | None = None) -> None:
        config = setup.config
        self._endpoint = endpoint or find_transcription_endpoint(config)
        self.model = config.model or DEFAULT_TRANSCRIPTION_MODEL
        if self._endpoint.is_openai:  # others name their models as they like
            check_model(self.model)
        self._session = transcription_session(setup, self.model)
        self._notices = transcription_notices(setup, self.model, is_openai=self._endpoint.is_openai)
        self._prices = config.prices.get(self.model) or prices_of(self.model)
        self._wire = Wire(Transcript(), Server(self._endpoint.server, self._endpoint.is_openai))
        self._utterances = Utterances(lambda: self._wire.id("utterance"))
        self.confirmed_within_s = _CONFIRMED_WITHIN_S
        self.quiet_s = 0.0  # words come of what was committed, and it is known what is
        self._started = False  # on some socket
        self._reset()

    def _reset(self) -> None:
        self._ready = self._greeted = self._update_late = False
        self._update_id = self._close_id = ""
        self._cleared = False  # the server has answered the goodbye
        self._last_error: ServerError | None = None

    @property
    def url(self) -> str:
        return self._endpoint.url

    @property
    def headers(self) -> Mapping[str, str]:
        return self._endpoint.headers

    @property
    def awaiting_reply(self) -> bool:
        return self._utterances.unanswered

    @property
    def busy(self) -> bool:
        return self._utterances.unanswered or self._utterances.speaking

    @property
    def full(self) -> bool:
        """Whether so much audio waits for its words that there should be no more."""
        return self._utterances.full

    def open(self) -> None:
        self._reset()
        self._wire.restart()
        self._utterances.restart()

    def send(self, command: Command) -> None:
        match command:
            case AppendAudio(audio):
                self._append(audio)
            case EndTurn(input_id):
                self._end_utterance(input_id)
            case ClearAudio():
                self._utterances.drop()
                self._wire.queue_optional("input_audio_buffer.clear")
            case StartTurn() | PauseAudio():
                pass
            case _:
                raise ProtocolError(f"A transcription takes audio, and no {type(command).__name__}.")

    def close(self) -> None:
        # It does not close the socket by itself, but it answers this; what is not committed is asked again elsewhere.
        self._close_id = self._wire.queue("input_audio_buffer.clear")

    def receive(self, message: bytes) -> Sequence[Event | Expiring | Ended]:
        try:
            frame = parse_object(message, self._wire.server.name)
            kind = frame["type"] if "type" in frame or "error" not in frame else "error"
            if kind != "error":
                self._last_error = None
                self._greet()
            self._dispatch(kind, frame)
        except (ProtocolError, RealtimeConnectionError):
            raise
        except Exception as error:
            # The one place that catches malformed input, of which any field may be missing or of any type.
            raise ProtocolError(
                f"{self._wire.server.name} sent a malformed message ({type(error).__name__})."
            ) from error
        return self._take_events()

    def start_unconfirmed(self) -> Sequence[Event | Expiring | Ended]:
        if not self._update_id:
            self._update()  # some servers wait for the client to begin
        elif self._greeted and not self._update_late:
            self._update_late = True
        elif self._greeted and not self._ready:
            self._begin({})
            message = f"{self._wire.server.name} does not say that it took the settings, of the language for example."
            self._wire.events.append(Notice("settings_unconfirmed", message))
        return self._take_events()

    def data_to_send(self) -> list[bytes]:
        data, self._wire.out = self._wire.out, []
        return data

    def refused(self, status: int, body: bytes) -> RealtimeConnectionError:
        return handshake_error(status, body, self._wire.server)

    def closed(self, code: int, reason: str) -> RealtimeConnectionError:
        return close_error(code, reason, self._last_error, self._wire.server)

    # What is sent

    def _append(self, audio: bytes) -> None:
        if audio:
            self._utterances.append(audio)
            self._wire.append_audio(audio)
            if self._utterances.current.is_too_long:
                self._end_long()

    def _end_long(self) -> None:
        """Nobody says where the utterance ends: there is none, or it goes on without a pause."""
        if self._utterances.current.loud:
            self._commit(self._utterances.commit())
        else:  # the noise of a room, of which models make words
            self._wire.queue_optional("input_audio_buffer.clear")
            self._append_again(self._utterances.skip())

    def _end_utterance(self, input_id: str) -> None:
        current = self._utterances.current
        if not current.audible:
            self._wire.events.append(Notice("no_speech", "There was nothing to be heard.", input_id))
        elif not current.is_long_enough:  # it stays, as the beginning of what follows
            self._wire.events.append(Notice("no_speech", "That was too short to be understood.", input_id))
            return
        if current.audible:
            self._commit(self._utterances.commit())
        elif self._utterances.drop().size:  # models make words of silence
            self._wire.queue_optional("input_audio_buffer.clear")

    def _commit(self, utterance: Utterance) -> None:
        utterance.event_id = self._wire.queue("input_audio_buffer.commit")
        self._wire.events.append(utterance.update(final=False))

    def _greet(self) -> None:
        """The server is there: it is told the settings."""
        self._greeted = True
        if not self._update_id:
            self._update()

    def _update(self) -> None:
        self._update_id = self._wire.queue("session.update", session=self._session)

    # What comes

    def _dispatch(self, kind: object, frame: Frame) -> None:
        match kind:
            # The other name is that of the beta, which compatible servers still use.
            case "session.updated" | "transcription_session.updated":
                if not self._ready:
                    self._begin(at(frame, "session"))
            case "input_audio_buffer.committed":
                self._utterances.named(identifier(frame, "item_id"), identifier(frame, "previous_item_id"))
            case "input_audio_buffer.cleared":
                self._cleared = bool(self._close_id)
            case "error":
                self._error(ServerError.of_event(frame))
            case str() if kind.startswith(_TRANSCRIPTION):
                if (utterance := self._utterances.find(identifier(frame, "item_id"))) is not None:
                    self._take_words(kind.removeprefix(_TRANSCRIPTION), utterance, frame)
            case str():
                pass
            case _:
                raise TypeError(kind)

    def _begin(self, session: Frame) -> None:
        """The settings hold: the transcription begins, or goes on; `session` is what the server says of them."""
        self._ready = True
        self._wire.events.append(Expiring(_SESSION_S))
        rate = WIRE_AUDIO.sample_rate
        model = text(at(session, "audio", "input", "transcription"), "model") or self.model
        started = SessionStarted(identifier(session, "id"), model, "", rate, rate, resumed=self._started)
        self._wire.events.append(started)
        if not self._started:
            self._wire.events.extend(self._notices)
        self._started = True
        for utterance in self._utterances.waiting:
            if not utterance.done:
                self._append_again(utterance)
                self._commit(utterance)
        self._append_again(self._utterances.current)

    def _append_again(self, utterance: Utterance) -> None:
        for piece in utterance.pieces():
            self._wire.append_audio(piece)

    def _take_words(self, kind: str, utterance: Utterance, frame: Frame) -> None:
        match kind:
            case ".delta":
                utterance.said += delta(frame)
                self._wire.events.append(utterance.update(final=False))
            case ".completed" if utterance.event_id:
                # It replaces the deltas, also by no words; where it is no text, it corrects nothing.
                given = frame.get("transcript", frame.get("text"))
                utterance.said = given if isinstance(given, str) else utterance.said
                self._tell_usage(utterance, frame)
                self._finish(utterance)
            case ".failed" if utterance.event_id:
                self._fail(utterance, ServerError.parse(frame.get("error")))

    def _tell_usage(self, utterance: Utterance, frame: Frame) -> None:
        usage = transcription_usage(frame.get("usage"), self._prices)
        if usage == type(usage)():
            seconds = WIRE_AUDIO.duration_ms(utterance.size) / 1000
            usage = with_cost(replace(usage, transcription_seconds=seconds, approximate=True), self._prices)
        self._wire.events.append(UsageUpdated(usage))

    def _fail(self, utterance: Utterance, error: ServerError) -> None:
        reason = (error.message or error.name or "no reason given").rstrip(".")
        name = self._wire.server.name
        place = f"from {utterance.start_ms / 1000:.1f} s to {utterance.end_ms / 1000:.1f} s"
        self._wire.events.append(
            Notice("transcription_failed", f"{name} could not transcribe what was said {place}: {reason}.")
        )
        self._finish(utterance)

    def _finish(self, utterance: Utterance) -> None:
        self._wire.events.extend(self._utterances.finish(utterance))
        if (overdue := self._utterances.overdue()) is not None:
            self._fail(overdue, ServerError(message="its words did not come"))

    def _error(self, error: ServerError) -> None:
        self._last_error = error
        server = self._wire.server
        refused_update = bool(self._update_id) and error.event_id == self._update_id
        if not self._ready or refused_update or error.code in FATAL:
            raise setting_refused(error, server) or error_for(error, server)
        if error.event_id and error.event_id == self._close_id:
            self._cleared = True
        elif error.event_id and (utterance := self._utterances.committed_by(error.event_id)) is not None:
            self._fail(utterance, error)
        elif error.event_id not in self._wire.optional and error.code not in HARMLESS:
            self._wire.events.append(ErrorOccurred(error_for(error, server)))

    def _take_events(self) -> Sequence[Event | Expiring | Ended]:
        if not self._ready:
            return []  # what the last socket left behind must survive one that breaks before it is ready
        events, self._wire.events = self._wire.events, []
        if not self._cleared or self._utterances.waiting:
            return events
        message = f"{self._wire.server.name} has written down everything."
        return [*events, Ended(RealtimeConnectionError(message, close_code=1000))]
