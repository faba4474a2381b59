"""The protocol of GPT-Live, sans-I/O.

The server knows no responses and no turns: `replies` and `user_speech` make them of the endless output and of fragments
of transcripts, by the session's clock, which is how much output has come. A lost session cannot be gone on with: the
next one begins with what was said so far, and what was asked in it and not answered is asked again.
"""

import json
from binascii import b2a_base64
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from voicecli.commands import (
    AnswerApproval,
    AppendAudio,
    CancelResponse,
    Command,
    EndTurn,
    OfferTools,
    RequestReply,
    SendImage,
    SendText,
    ToolResult,
)
from voicecli.errors import ProtocolError, RealtimeConnectionError
from voicecli.events import CONTENT_FILTER, ErrorOccurred, Event, Notice, SessionStarted, Usage, UsageUpdated
from voicecli.pcm16 import PcmFormat
from voicecli.ports import ConversationSetup, Ended, Expiring
from voicecli.pricing import Prices
from voicecli.providers.fields import at, decoded, identifier, number, text
from voicecli.providers.openai.endpoint import Endpoint, find_endpoint
from voicecli.providers.openai.errors import Server, ServerError, close_error, error_for, handshake_error
from voicecli.providers.openai.fields import Frame
from voicecli.providers.openai.live.appends import LONGEST_TOOL_OUTPUT
from voicecli.providers.openai.live.backend import Backend
from voicecli.providers.openai.live.errors import HARMLESS, closed_error, fails_handoff, is_fatal, is_moderation
from voicecli.providers.openai.live.replies import Replies
from voicecli.providers.openai.live.seeding import seed
from voicecli.providers.openai.live.setup import backend_model, live_notices, live_session, tool_policy
from voicecli.providers.openai.live.usage import SessionTime, seconds_of
from voicecli.providers.openai.live.user_speech import UserSpeech
from voicecli.providers.openai.live.utterance import Fragment, fragment_of
from voicecli.providers.openai.live.wire import Wire
from voicecli.providers.openai.models import DEFAULT_VOICE, prices_of, voice_name
from voicecli.providers.openai.settings import OpenAISettings
from voicecli.providers.openai.setup import chosen_settings, offered_tools
from voicecli.text import valid_text
from voicecli.transcript import Transcript, Turn

__all__ = ["LiveCodec"]

_SESSION_S = 7_200.0
"""A session lasts two hours at most (measured by others)."""
_REWIND_MS = 5_000
"""Fragments come late and out of order, but not by as much: then the clock of the words began anew."""
_LAG_MS = 1_800.0
"""How long after it was said a word was seen to come."""
_REMEMBERED_EVENTS = 512
_NEARLY_FULL = 0.9
_IMAGES_KEPT = 4
_STOP = "Stop speaking now and wait."
_TYPED = "The user typed: {said}"
_TYPED_ALONE = "The user typed: {said}\nReply to them now, do not wait for them to speak first."
_SPOKEN = "The user said, before the connection was lost: {said}"
_SPOKEN_ALONE = "The user said, before the connection was lost: {said}\nReply to that now."
_GO_ON = "Answer now what the user said last."
_IMAGE = "The user shows a picture. The backend sees it: delegate what is asked about it."
_NOT_AVAILABLE = "That is not available: there is nobody to do it. Tell the user so."


class LiveCodec:
    """One conversation; `voicecli.ports.Codec` and `ClosesGracefully` say how it is driven.

    Raises:
        ConfigurationError: no key, or a setting that cannot be.
    """

    quiet_s = 0.0

    def __init__(self, setup: ConversationSetup, endpoint: Endpoint | None = None) -> None:
        config = setup.config
        self._setup = setup
        self._model = config.model or ""
        self._given_prices = config.prices
        self._endpoint = endpoint or find_endpoint(config, self._model)
        live_session(setup, self._model, ())  # raises what cannot be before anything is dialled
        self._audio = PcmFormat(config.own(OpenAISettings).live_sample_rate)
        server = Server(self._endpoint.server, self._endpoint.is_openai, chosen_settings(config))
        self._wire = Wire(Transcript(setup.history), server, self._audio)
        self._replies = Replies(self._wire)
        self._user = UserSpeech(self._wire, self._replies.sound_between)
        backend = backend_model(config)
        self._backend = Backend(
            self._wire,
            enabled=backend is not None,
            background=config.background_tools,
            prices=self._prices(backend) if backend else None,
        )
        self._time = SessionTime(self._prices(self._model))
        self._images: deque[Frame] = deque(maxlen=_IMAGES_KEPT)
        self._typed: list[Turn] = []  # what was written and is not answered
        self._said = ""  # what was said and not answered when the last session was lost
        self._seen: deque[str] = deque(maxlen=_REMEMBERED_EVENTS)
        self._latest_ms = 0  # where the latest words began, on their own clock
        self._clock_ms = 0.0  # where that clock began, on the session's
        self._lag_ms = _LAG_MS  # how long after they were said words come
        self._started = self._ready = False
        self._told_full = False
        self._closed: RealtimeConnectionError | None = None  # what the service said of the end
        self._last_error: ServerError | None = None
        self._handlers: dict[str, Callable[[Frame], None]] = {
            "session.started": self._session_started,
            "session.output_audio.delta": self._output,
            "session.output_transcript.delta": self._model_words,
            "session.input_transcript.delta": self._user_words,
            "session.delegation.created": self._handed_over,
            "response.event": self._backend_event,
            "session.usage.updated": self._usage,
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
    def server(self) -> Mapping[str, str]:
        return {"host": self._endpoint.host}

    @property
    def awaiting_reply(self) -> bool:
        """The output never ends: once it flows, more of it is owed."""
        return self._ready and (self._wire.now_ms > 0 or self._backend.working or bool(self._typed))

    @property
    def busy(self) -> bool:
        return self._replies.unfinished or self._user.speaking or self._backend.working or self._backend.calls_open

    def open(self) -> None:
        if self._ready:
            self._sync()
            if self._replies.has_come:
                self._answered()
            self._replies.lost()
            self._said = self._user.lost()
        self._time.restart(self._wire.now_ms / 1000)
        self._wire.restart()
        self._backend.restart()
        self._seen.clear()
        self._latest_ms = 0
        self._clock_ms, self._lag_ms = 0.0, _LAG_MS
        self._ready, self._closed, self._last_error = False, None, None
        session = live_session(self._setup, self._model, self._history())
        self._wire.queue("session.start", session=session)

    def _history(self) -> list[dict[str, Any]]:
        """The conversation so far, without what is asked again."""
        turns = [turn for turn in self._wire.transcript.turns if not any(turn is asked for asked in self._typed)]
        if self._said and turns and turns[-1].role == "user" and turns[-1].text == self._said:
            turns.pop()
        return seed(turns)

    def send(self, command: Command) -> None:
        match command:
            case AppendAudio(audio):
                self._wire.append_audio(audio)
            case SendText(said, input_id=input_id):
                if turn := self._wire.transcript.apply(command):
                    self._typed.append(turn)
                self._note(input_id)
                self._ask(said, _TYPED, _TYPED_ALONE)
            case EndTurn(input_id):
                self._note(input_id)
            case ToolResult(input_id=input_id):
                late = self._backend.result(command)
                # The reply under way goes on with what it waits for, and with nothing else.
                self._note(input_id, given=self._replies.open and not late)
                if late:
                    returned = command.output[:LONGEST_TOOL_OUTPUT]
                    self._wire.append_context("thinking", f"A tool has answered: {returned}")
                    self._backend.want()
            case SendImage(data, mime_type):
                url = f"data:{mime_type};base64,{b2a_base64(data, newline=False).decode()}"
                self._images.append({"type": "input_image", "image_url": url, "detail": "auto"})
                self._show(self._images[-1])
            case CancelResponse():
                self._cancel(command)
            case AnswerApproval(approval_id, approve):
                self._backend.approve(approval_id, approve=approve)
            case OfferTools(tools):
                self._offer(replace(self._setup, tools=tools))
            case RequestReply():
                self._wire.append_context("instructions", _GO_ON)
            case _:
                pass  # the model alone finds the turns, in audio that always flows

    def close(self) -> None:
        """Say that the session ends; the service answers with what it lasted."""
        if self._ready and self._closed is None:
            # In whole seconds, as the service counts, which has the last word.
            self._tell_usage(self._time.report(self._wire.now_ms // 1000))
            self._wire.queue("session.close")
            self._wire.closing = True

    def receive(self, message: bytes) -> list[Event | Expiring | Ended]:
        try:
            frame = json.loads(message.decode())  # of bytes it would guess the encoding
            kind = frame["type"] if "type" in frame or "error" not in frame else "error"
            if kind != "error":
                self._last_error = None
            if handler := self._handlers.get(kind):
                if self._is_new(frame):
                    handler(frame)
            elif not isinstance(kind, str):
                raise TypeError(kind)
        except (ProtocolError, RealtimeConnectionError):
            raise
        except Exception as error:
            # The one place that catches malformed input, of which any field may be missing or of any type.
            raise ProtocolError(
                f"{self._wire.server.name} sent a malformed message ({type(error).__name__})."
            ) from error
        return self._take_events()

    def data_to_send(self) -> list[bytes]:
        data, self._wire.out = self._wire.out, []
        return data

    def refused(self, status: int, body: bytes) -> RealtimeConnectionError:
        return handshake_error(status, body, self._wire.server)

    def closed(self, code: int, reason: str) -> RealtimeConnectionError:
        return self._closed or close_error(code, reason, self._last_error, self._wire.server)

    # -- what the program does

    def _note(self, input_id: str, *, given: bool = False) -> None:
        if input_id:
            (self._wire.given if given else self._wire.asked)[input_id] = None

    def _ask(self, said: str, told: str, told_alone: str) -> None:
        """Have something answered that the user did not say aloud."""
        said = valid_text(said)
        if self._backend.enabled:
            self._backend.say([{"type": "input_text", "text": said}])
            # Without this the answer of the backend is not told.
            self._wire.append_context("thinking", told.format(said=said))
            self._backend.want()
        else:
            self._wire.append_context("instructions", told_alone.format(said=said))

    def _show(self, image: Frame) -> None:
        if self._backend.enabled:
            self._backend.say([image])
            self._wire.append_context("thinking", _IMAGE)

    def _cancel(self, command: CancelResponse) -> None:
        if command.response_id is None:
            given_up = bool(self._wire.asked or self._backend.working)
            self._wire.asked.clear()
            self._typed.clear()
        else:
            given_up = self._replies.cancel(command)
        if given_up:
            self._wire.append_context("instructions", _STOP)
            self._backend.cancel_calls()

    def _offer(self, setup: ConversationSetup) -> None:
        """Other tools from now on; a session that is under way is told at once."""
        offered = offered_tools(setup)
        self._setup = setup
        if self._ready and self._backend.enabled:
            update = {"delegation": {"type": "responses", "responses": offered}}
            self._wire.queue("session.update", session=update)
            self._wire.append_context("instructions", tool_policy(setup.tools))

    # -- what comes

    def _take_events(self) -> list[Event | Expiring | Ended]:
        if not self._ready:
            return []  # what the last socket left behind must survive one that breaks before it is ready
        events, self._wire.events = self._wire.events, []
        return events

    def _is_new(self, frame: Frame) -> bool:
        """Whether an event comes for the first time."""
        event_id = identifier(frame, "event_id")
        if not event_id:
            return True  # sound has none
        if event_id in self._seen:
            return False
        self._seen.append(event_id)
        return True

    def _session_started(self, frame: Frame) -> None:
        if self._ready:
            return
        self._ready = True
        session = at(frame, "session")
        model = text(session, "model") or self._model
        spoken = voice_name(at(session, "audio", "output").get("voice"))
        rate = self._audio.sample_rate
        chosen = self._setup.config.voice or DEFAULT_VOICE
        events = self._wire.events
        events.append(Expiring(_SESSION_S, number(session, "expires_at")))
        started = SessionStarted(identifier(session, "id"), model, spoken or chosen, rate, rate, resumed=self._started)
        events.append(started)
        if not self._started:
            events.extend(live_notices(self._setup.config))
        self._started = True
        self._restore()

    def _restore(self) -> None:
        """Ask again what was asked and not answered."""
        for image in self._images:
            self._show(image)
        for turn in self._typed:
            self._ask(turn.text, _TYPED, _TYPED_ALONE)
        if self._said:
            self._ask(self._said, _SPOKEN, _SPOKEN_ALONE)
            self._said = ""

    def _output(self, frame: Frame) -> None:
        self._replies.audio(decoded(frame.get("delta")))
        self._tick()

    def _tick(self) -> None:
        """The session's clock went on."""
        if self._backend.tick():
            self._replies.failed("the backend does not answer")
        self._sync()
        self._replies.tick()
        self._user.tick()

    def _sync(self) -> None:
        """The replies know of the work."""
        self._replies.working, self._replies.open_calls = self._backend.working, self._backend.calls_open
        usage = self._backend.take_usage()
        if usage is not None:
            if self._replies.open:
                self._replies.usage += usage
            else:
                self._tell_usage(usage)

    def _model_words(self, frame: Frame) -> None:
        if fragment := self._fragment(frame):
            self._replies.words(fragment)
            self._answered()

    def _user_words(self, frame: Frame) -> None:
        if fragment := self._fragment(frame):
            self._user.add(fragment)
            self._replies.user_spoke(fragment.start_ms)

    def _fragment(self, frame: Frame) -> Fragment | None:
        """The words in an event, with their times on the session's clock, whatever clock the service has begun."""
        fragment = fragment_of(frame, self._wire.now_ms)
        if fragment is None:
            return None
        lag_ms = self._wire.now_ms - self._clock_ms - fragment.end_ms
        if fragment.start_ms < self._latest_ms - _REWIND_MS or lag_ms > self._lag_ms + _REWIND_MS:
            self._user.close()
            self._replies.rewound()
            # They come as late after they were said as they did before.
            self._clock_ms = max(self._wire.now_ms - self._lag_ms - fragment.end_ms, 0)
            self._latest_ms = 0
        self._latest_ms = max(self._latest_ms, fragment.start_ms)
        begun_ms = round(self._clock_ms)
        fragment = Fragment(fragment.start_ms + begun_ms, fragment.end_ms + begun_ms, fragment.text)
        self._lag_ms = self._wire.now_ms - fragment.end_ms
        return fragment

    def _answered(self) -> None:
        """The model tells something: what was asked is answered."""
        if not self._backend.working:
            self._typed.clear()
            self._user.answered()

    def _handed_over(self, frame: Frame) -> None:
        task_id = self._backend.handed_over(frame)
        if task_id:
            own = text(at(frame, "delegation"), "target") == "client"
            self._wire.append_context("commentary", _NOT_AVAILABLE, task_id if own else None)
        self._sync()
        if self._replies.working:
            self._replies.begin()

    def _backend_event(self, frame: Frame) -> None:
        begins, why = self._backend.event(frame)
        self._sync()
        if begins:
            self._replies.answer()
        if why:
            self._fail(RealtimeConnectionError(f"{self._wire.server.name}: the backend failed: {why}."))

    def _fail(self, error: RealtimeConnectionError) -> None:
        self._wire.events.append(ErrorOccurred(error))
        self._sync()
        if not self._backend.working:
            self._replies.failed(error.message)

    def _usage(self, frame: Frame) -> None:
        self._tell_usage(self._time.report(seconds_of(frame)))
        ratio = at(frame, "context_window").get("usage_ratio")
        if isinstance(ratio, int | float) and ratio >= _NEARLY_FULL and not self._told_full:
            self._told_full = True
            message = f"The conversation fills {ratio:.0%} of the model's context: it will be shortened by the service."
            self._wire.events.append(Notice("context_nearly_full", message))

    def _tell_usage(self, usage: Usage | None) -> None:
        if usage is not None:
            self._wire.events.append(UsageUpdated(usage))

    def _session_closed(self, frame: Frame) -> None:
        self._tell_usage(self._time.report(seconds_of(frame)))
        self._closed = closed_error(text(frame, "reason"), self._wire.server)
        if not self._ready:
            raise self._closed
        self._wire.events.append(Ended(self._closed))

    def _error(self, frame: Frame) -> None:
        error = ServerError.of_event(frame)
        client_id = identifier(at(frame, "error"), "client_event_id") or identifier(frame, "client_event_id")
        self._last_error = error
        if not self._ready or is_fatal(error):
            raise error_for(error, self._wire.server)
        asked = self._backend.refused(client_id)
        if fails_handoff(error):
            self._backend.settle_oldest()
            self._fail(error_for(error, self._wire.server))
        elif is_moderation(error):
            if not self._replies.stopped(CONTENT_FILTER):
                self._wire.events.append(ErrorOccurred(error_for(error, self._wire.server)))
        elif asked:
            self._fail(error_for(error, self._wire.server))
        elif error.name not in HARMLESS:
            self._wire.events.append(ErrorOccurred(error_for(error, self._wire.server)))

    def _prices(self, model: str) -> Prices | None:
        """The prices of a model; those given come first."""
        return self._given_prices.get(model) or prices_of(model)
