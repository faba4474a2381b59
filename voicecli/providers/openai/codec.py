"""The GA Realtime protocol of OpenAI, sans-I/O.

When a connection is lost, a reply of which anything had come is final with what had come; one of which nothing had
come is asked for again, under the same response id. A turn of the user's that neither a transcript nor a reply
stands for yet is sent again as audio.
"""

import json
from binascii import b2a_base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from voicecli.commands import (
    AnswerApproval,
    AppendAudio,
    CancelResponse,
    ClearAudio,
    Command,
    EndTurn,
    OfferTools,
    PauseAudio,
    RequestReply,
    SendImage,
    SendText,
    StartTurn,
    ToolResult,
    ToolSchema,
)
from voicecli.config import VADMode
from voicecli.errors import ProtocolError, RealtimeConnectionError
from voicecli.events import ErrorOccurred, Event, Notice, SessionStarted
from voicecli.ports import ConversationSetup, Expiring
from voicecli.pricing import Prices
from voicecli.providers.fields import at, identifier, objects, text
from voicecli.providers.openai.endpoint import Endpoint, find_endpoint
from voicecli.providers.openai.errors import (
    HARMLESS,
    Server,
    ServerError,
    close_error,
    error_for,
    handshake_error,
)
from voicecli.providers.openai.fields import Frame
from voicecli.providers.openai.history import recent, text_items
from voicecli.providers.openai.input import UserInput
from voicecli.providers.openai.models import DEFAULT_MODEL, DEFAULT_VOICE, prices_of, voice_name
from voicecli.providers.openai.output import Replies
from voicecli.providers.openai.queues import WIRE_AUDIO, Wire
from voicecli.providers.openai.rate_limits import RateLimits
from voicecli.providers.openai.response_gate import ResponseGate
from voicecli.providers.openai.settings import OpenAISettings
from voicecli.providers.openai.setup import chosen_settings, offered_tools, session_settings
from voicecli.providers.openai.tool_calls import ToolCalls
from voicecli.text import valid_text
from voicecli.transcript import Transcript

__all__ = ["RATE", "OpenAICodec"]

RATE = WIRE_AUDIO.sample_rate
"""The rate of the PCM16 audio both ways, in Hz: the only one the API has."""
_SESSION_S = 3_600.0
"""A session ends 60 minutes after it began, whatever happens in it."""
_CONFIRMED_WITHIN_S = 2.0
"""How long a server takes at most to greet, and then to confirm the settings: both take a round trip."""


class OpenAICodec:
    """One conversation; `voicecli.ports.Codec` and `StartsUnconfirmed` say how it is driven.

    Raises:
        ConfigurationError: no key, or a setting that cannot be.
    """

    def __init__(self, setup: ConversationSetup, endpoint: Endpoint | None = None) -> None:
        config = setup.config
        self._setup = setup
        self._model = config.model or DEFAULT_MODEL
        self._voice = config.voice
        self._given_prices = config.prices
        self._endpoint = endpoint or find_endpoint(config, self._model)
        self._settings = session_settings(setup, self._model, is_openai=self._endpoint.is_openai)
        detection = self._settings.turn_detection
        self._server_vad = config.vad_mode is VADMode.SERVER
        self._auto_interrupt = bool(detection and detection["interrupt_response"])
        server = Server(
            self._endpoint.server,
            self._endpoint.is_openai,
            chosen_settings(config),
            self._settings.transcription_model or "",
        )
        self._wire = Wire(Transcript(setup.history), server)
        self._gate = ResponseGate(self._wire, auto_reply=bool(detection and detection["create_response"]))
        self._user = UserInput(self._wire, self._gate, config, self._settings.transcription_model)
        labels = [server.label for server in config.own(OpenAISettings).mcp_servers]
        self._calls = ToolCalls(self._wire, self._gate, config.background_tools, labels)
        self._replies = Replies(self._wire, self._gate, self._calls, self._prices(self._model))
        self._limits = RateLimits(self._wire)
        self._images: list[Frame] = []
        self._started = False
        self.confirmed_within_s = _CONFIRMED_WITHIN_S
        self._greeted = False  # the server has said something on this socket
        self._update_id = ""
        self._update_late = False
        self._last_error: ServerError | None = None
        self._handlers = self._dispatch_table()

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
        return self._gate.awaiting_reply

    @property
    def busy(self) -> bool:
        gate = self._gate
        return gate.awaiting_reply or gate.wanted or gate.speaking or self._user.turn_open or self._calls.pending

    def open(self) -> None:
        self._wire.restart()
        self._replies.restart()
        self._user.restart()
        self._gate.restart()
        self._greeted = self._update_late = False
        self._update_id = ""
        self._last_error = None

    def send(self, command: Command) -> None:
        match command:
            case AppendAudio(audio):
                self._user.append(audio)
            case ToolResult():
                self._calls.result(command)
            case SendText(said, item_id, input_id):
                self._wire.transcript.apply(command)
                content = [{"type": "input_text", "text": valid_text(said)}]
                message = {"type": "message", "role": "user", "content": content}
                self._wire.create_item(message, item_id, input_id)
                self._gate.want()
            case CancelResponse():
                self._replies.cancel(command)
            case StartTurn():
                self._user.start_turn()
            case EndTurn(input_id):
                self._user.end_turn(input_id)
            case PauseAudio():
                self._user.pause()
            case RequestReply():
                self._gate.want()
            case ClearAudio():
                self._user.clear()
                self._gate.turn_open = False
                self._gate.flush()
            case SendImage(data, mime_type):
                url = f"data:{mime_type};base64,{b2a_base64(data, newline=False).decode()}"
                image = {"type": "input_image", "image_url": url, "detail": "auto"}
                self._images.append({"type": "message", "role": "user", "content": [image]})
                self._wire.create_item(self._images[-1])
            case OfferTools(tools):
                self._offer(tools)
            case AnswerApproval(approval_id, approve):
                answer = {"type": "mcp_approval_response", "approval_request_id": approval_id, "approve": approve}
                self._wire.create_item(answer)
                if not approve:  # an approved call has a result first, which then is answered
                    self._gate.want()

    def receive(self, message: bytes) -> list[Event | Expiring]:
        try:
            frame = json.loads(message.decode())  # of bytes it would guess the encoding
            kind = frame["type"] if "type" in frame or "error" not in frame else "error"
            if kind != "error":
                self._last_error = None
                self._greet()
            if handler := self._handlers.get(kind):
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

    def start_unconfirmed(self) -> list[Event | Expiring]:
        if not self._update_id:
            self._update()  # some servers wait for the client to begin
        elif self._greeted and not self._update_late:
            self._update_late = True
        elif self._greeted and not self._gate.ready:
            self._begin({})
            name = self._wire.server.name
            message = f"{name} does not say that it took the settings: it may speak with another voice, for example."
            self._wire.events.append(Notice("settings_unconfirmed", message))
        return self._take_events()

    def _take_events(self) -> list[Event | Expiring]:
        if not self._gate.ready:
            return []  # what the last socket left behind must survive one that breaks before it is ready
        events, self._wire.events = self._wire.events, []
        return events

    def data_to_send(self) -> list[bytes]:
        data, self._wire.out = self._wire.out, []
        return data

    def refused(self, status: int, body: bytes) -> RealtimeConnectionError:
        return handshake_error(status, body, self._wire.server)

    def closed(self, code: int, reason: str) -> RealtimeConnectionError:
        return close_error(code, reason, self._last_error, self._wire.server)

    def _dispatch_table(self) -> dict[str, Callable[[Frame], None]]:
        user, replies = self._user, self._replies
        transcription = "conversation.item.input_audio_transcription"
        table: dict[str, Callable[[Frame], None]] = {
            "session.updated": self._session_updated,
            "error": self._error,
            "input_audio_buffer.speech_started": self._speech_started,
            "input_audio_buffer.speech_stopped": user.speech_stopped,
            "input_audio_buffer.timeout_triggered": user.timeout_triggered,
            "input_audio_buffer.committed": user.committed,
            f"{transcription}.delta": user.transcript_delta,
            f"{transcription}.completed": self._transcript_completed,
            f"{transcription}.failed": user.transcript_failed,
            "conversation.item.added": self._item_added,
            "conversation.item.done": self._item_added,
            "response.created": self._response_created,
            "response.done": self._response_done,
            "response.cancelled": self._response_cancelled,
            "response.output_item.added": replies.output_item_added,
            "response.output_item.done": replies.output_item_done,
            "response.output_audio.delta": replies.audio_delta,
            "response.output_audio_transcript.delta": replies.transcript_delta,
            "response.output_audio_transcript.done": replies.text_done,
            "response.output_text.delta": replies.text_delta,
            "response.output_text.done": replies.text_done,
            "response.content_part.done": replies.part_done,
            "response.function_call_arguments.done": replies.arguments_done,
            "response.mcp_call_arguments.done": self._calls.mcp.arguments_done,
            "response.mcp_call.in_progress": self._calls.mcp.call_started,
            "response.mcp_call.completed": self._calls.mcp.call_over,
            "response.mcp_call.failed": self._calls.mcp.call_over,
            "mcp_list_tools.failed": self._calls.mcp.list_failed,
            "rate_limits.updated": self._limits.updated,
        }
        # Names of the beta, which compatible servers still use.
        for beta, name in (
            ("conversation.item.created", "conversation.item.added"),
            ("response.audio.delta", "response.output_audio.delta"),
            ("response.audio_transcript.delta", "response.output_audio_transcript.delta"),
            ("response.audio_transcript.done", "response.output_audio_transcript.done"),
            ("response.text.delta", "response.output_text.delta"),
            ("response.text.done", "response.output_text.done"),
        ):
            table[beta] = table[name]
        return table

    def _greet(self) -> None:
        """The server is there: it is told the settings."""
        self._greeted = True
        if not self._update_id:
            self._update()

    def _update(self) -> None:
        session = self._settings.session
        if self._user.to_restore and self._server_vad:
            # Turns that are committed again must not be taken apart, nor answered, by the turn detection.
            audio = session["audio"]
            session = session | {"audio": audio | {"input": audio["input"] | {"turn_detection": None}}}
        self._update_id = self._wire.queue("session.update", session=session)

    def _offer(self, tools: Sequence[ToolSchema]) -> None:
        """Other tools from now on; a server that knows the session already is told at once."""
        setup = replace(self._setup, tools=tools)
        offered = offered_tools(setup)
        self._setup = setup
        # A list that is left out stays as it was.
        self._settings = replace(self._settings, session=self._settings.session | offered)
        if self._update_id:
            self._wire.queue("session.update", session={"type": "realtime", **offered})

    def _session_updated(self, frame: Frame) -> None:
        if not self._gate.ready:
            self._begin(at(frame, "session"))

    def _begin(self, session: Frame) -> None:
        """The settings hold: the conversation begins, or goes on; `session` is what the server says of them."""
        self._gate.ready = True
        model = text(session, "model") or self._model
        self._replies.prices = self._prices(model)
        voice = voice_name(at(session, "audio", "output").get("voice"))
        spoken = voice or self._voice or DEFAULT_VOICE
        self._wire.events.append(Expiring(_SESSION_S))
        self._wire.events.append(
            SessionStarted(identifier(session, "id"), model, spoken, RATE, RATE, resumed=self._started)
        )
        if not self._started:
            self._wire.events.extend(self._settings.notices)
            if voice and self._voice and voice != self._voice:
                self._wire.events.append(
                    Notice("setting_ignored", f"{self._wire.server.name} speaks with the voice {voice} instead.")
                )
        self._started = True
        self._restore()

    def _prices(self, model: str) -> Prices | None:
        """The prices of the model that the server says answers; those given for the one asked for come first."""
        given = self._given_prices
        return given.get(self._model) or given.get(model) or prices_of(model)

    def _restore(self) -> None:
        """Tell the session of the conversation so far, of which there is none when it is new."""
        user, withheld = self._user, self._user.to_restore and self._server_vad
        for turn in recent(self._wire.transcript.turns):
            if turn.role != "user" or not user.commit_again(turn.item_id):
                for item in text_items(turn):
                    name = self._replies.restored(turn.item_id) if turn.role == "assistant" else {}
                    self._wire.queue("conversation.item.create", item={**name, **item})
        user.commit_rest_again()
        for image in self._images:
            self._wire.create_item(image)
        if withheld:
            audio = {"input": {"turn_detection": self._settings.turn_detection}}
            self._wire.queue("session.update", session={"type": "realtime", "audio": audio})
        user.resume_turn()
        # A user in the middle of a turn gets one reply, at its end.
        if self._gate.owed and not user.turn_open:
            self._gate.want()

    def _speech_started(self, frame: Frame) -> None:
        self._user.speech_started(frame)
        active = self._gate.active
        if self._auto_interrupt and active is not None and not active.interrupted:
            self._replies.interrupt(active)
        elif self._auto_interrupt and not self._gate.creating:
            # The answer to this turn is no second attempt at the one that it interrupts.
            self._replies.give_up_retry("cancelled", "turn_detected")

    def _transcript_completed(self, frame: Frame) -> None:
        self._replies.pending_usage += self._user.transcript_completed(frame)

    def _item_added(self, frame: Frame) -> None:
        item = at(frame, "item")
        item_id, role = identifier(item, "id"), text(item, "role")
        spoken = role == "user" and any(text(part, "type") == "input_audio" for part in objects(item, "content"))
        # Some servers give what was sent to them a name of their own.
        sent = (role == "user" and not spoken) or text(item, "type") == "function_call_output"
        self._wire.confirm(item_id, sent=sent and frame["type"] != "conversation.item.done")
        if spoken:
            self._user.reserve(item_id)
        self._calls.mcp.item(item)

    def _response_created(self, frame: Frame) -> None:
        # It would talk over a user who began to speak after it was asked for.
        talks_over = self._gate.speaking and self._auto_interrupt
        self._replies.response_created(frame, wanted=not talks_over)
        self._user.unanswered = False

    def _response_done(self, frame: Frame) -> None:
        self._replies.response_done(frame)
        self._limits.response_done(frame)
        self._calls.mcp.response_done()
        if not self._gate.owed:
            self._images.clear()

    def _response_cancelled(self, frame: Frame) -> None:
        """Some servers tell a cancelled response by an event of its own."""
        self._response_done({**frame, "response": {**at(frame, "response"), "status": "cancelled"}})

    def _error(self, frame: Frame) -> None:
        error = ServerError.of_event(frame)
        self._last_error = error
        refused_update = bool(self._update_id) and error.event_id == self._update_id
        if not self._gate.ready or refused_update or error.is_fatal:
            raise error_for(error, self._wire.server)
        if error.code == "conversation_already_has_active_response":
            self._gate.already_responding()
        elif error.code == "input_audio_buffer_commit_empty":
            self._user.commit_rejected()
        elif error.event_id not in self._wire.optional and error.code not in HARMLESS:
            if self._gate.creating:
                self._replies.create_rejected(error)
            else:
                self._wire.events.append(ErrorOccurred(error_for(error, self._wire.server)))
