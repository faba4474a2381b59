"""The Gemini Live protocol, sans-I/O.

The conversation outlives its sockets, which Google closes after about ten minutes: the codec resumes with the newest
handle the server gave, and tells in writing what that handle is too old to know of; without a handle, all of the
history. When a connection is lost, a reply of which anything had come is final with what had come; one of which
nothing had come is asked for again, under the same response id. A turn of the user's that neither a transcript nor a
reply stands for yet is sent again as audio. A function that ran when the connection was lost runs once: its result is
told in writing.

There is no message that cancels a reply: a cancelled one is muted here until the server's turn is over.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

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
)
from voicecli.config import VADMode
from voicecli.errors import ProtocolError, RealtimeConnectionError, RealtimeError
from voicecli.events import (
    CONNECTION_LOST,
    ErrorOccurred,
    Event,
    Notice,
    ResponseStarted,
    SessionStarted,
    ToolCallCancelled,
    ToolCallRequest,
)
from voicecli.ports import ConversationSetup, Expiring
from voicecli.pricing import with_cost
from voicecli.providers.fields import JsonObject
from voicecli.providers.gemini.endpoint import Endpoint
from voicecli.providers.gemini.errors import NEED_MORE_INPUT, close_error, http_error, turn_end
from voicecli.providers.gemini.fields import boolean, child, children, parse, seconds, sound, text, texts
from voicecli.providers.gemini.function_calls import FunctionCalls, read_calls
from voicecli.providers.gemini.held_commands import HeldCommands
from voicecli.providers.gemini.input import INPUT_RATE, UserInput, as_json, is_speech
from voicecli.providers.gemini.models import find_model, prices_for
from voicecli.providers.gemini.output import ModelOutput, first_unanswered
from voicecli.providers.gemini.setup import history_turns, notices, setup_message, tool_behaviors, voice_name
from voicecli.providers.gemini.usage import read_usage
from voicecli.transcript import Transcript, Turn

__all__ = ["OUTPUT_RATE", "GeminiCodec"]

OUTPUT_RATE = 24_000

_WAITS = Notice("waiting_for_input", "The model waits for you to go on.")
_SEARCHES = "webSearchQueries"
_TOOL_CANCELLED = "The user has stopped this reply."


class GeminiCodec:
    """A Gemini Live conversation; implements `Codec`."""

    def __init__(self, setup: ConversationSetup, endpoint: Endpoint) -> None:
        self._setup = setup
        self._config = setup.config
        self._endpoint = endpoint
        self._model = find_model(endpoint.model)
        self._prices = prices_for(endpoint.model, setup.config.prices)
        self._server_detects = setup.config.vad_mode is VADMode.SERVER
        self._out: list[bytes] = []
        self._events: list[Event | Expiring] = []
        self._history = Transcript(setup.history)
        self._user = UserInput(self._out, setup.config, vertex=endpoint.vertex)
        self._turns = ModelOutput(self._tell, OUTPUT_RATE, server_detects=self._server_detects)
        self._calls = FunctionCalls(tool_behaviors(setup, self._model), scheduling=self._model.scheduling)
        self._handle: str | None = None
        self._tried_handle = False
        self._known_turns = 0  # of the history, by the session that the handle stands for
        self._opened = False
        self._established = False  # some socket was ready
        self._ready = False  # this socket is
        self._ask_again = False
        self._asked_from = 0
        self._held = HeldCommands()
        # What the server owes.
        self._owed = False
        self._turn_from: int | None = None  # in the history, the first turn of the user's without a complete answer
        self._answers_writing = False  # the next reply answers nothing that was spoken
        self._answered_to = 0  # in the history, where the last reply began
        self._model_waits = False  # for the user to go on: it will not answer what was said so far
        self._silent_before = False  # the last socket brought no answer to this either

    # -- what the connection asks

    @property
    def url(self) -> str:
        return self._endpoint.url

    @property
    def headers(self) -> Mapping[str, str]:
        return {**self._config.headers, **self._endpoint.headers}

    @property
    def server(self) -> Mapping[str, str]:
        return {"model": self._endpoint.model} | ({"vertex": "true"} if self._endpoint.vertex else {})

    @property
    def awaiting_reply(self) -> bool:
        # That a model does not answer is legal, so a second socket is not suspected because of the same turn.
        if self._calls.blocking or self._silent_before:
            return False
        return self._owed or self._turns.generating

    @property
    def busy(self) -> bool:
        return (
            self._owed
            or self._turns.running
            or self._turns.hearing
            or self._calls.pending
            or bool(self._held)
            or self._user.speaking
            # The server is about to give a handle that knows of the last turn.
            or (self._handle is not None and self._known_turns < len(self._history.turns))
        )

    def open(self) -> None:
        self._out.clear()
        if self._opened and self._ready:
            self._lose_socket()
        self._opened = True
        self._ready = False
        self._calls.declared(tool_behaviors(self._setup, self._model))
        self._user.restart()
        self._tried_handle = self._handle is not None
        seeded = self._handle is None and bool(history_turns(self._turns_told()))
        self._queue(setup_message(self._setup, self._model, self._endpoint.model, handle=self._handle, seeded=seeded))

    def data_to_send(self) -> list[bytes]:
        out = self._out.copy()
        self._out.clear()
        return out

    def refused(self, status: int, body: bytes) -> RealtimeConnectionError:
        return http_error(status, self._redacted(body.decode(errors="replace")).encode())

    def closed(self, code: int, reason: str) -> RealtimeConnectionError:
        error = close_error(code, self._redacted(reason), model=self._model.info.name)
        if not self._ready and self._tried_handle and error.code == "invalid_argument":
            # A handle that is too old looks like anything wrong: the next try does without.
            self._handle = None
            return RealtimeConnectionError(
                f"Gemini does not resume the conversation: {error.message}", close_code=code, retryable=True
            )
        return error

    # -- commands

    def send(self, command: Command) -> None:
        # The server may end the conversation when it hears something while it waits for a function.
        if self._calls.blocking and not isinstance(command, ToolResult | CancelResponse | AnswerApproval | OfferTools):
            self._held.put(command)
        else:
            self._perform(command)

    def _perform(self, command: Command) -> None:
        match command:
            case AppendAudio(audio):
                self._append(audio)
            case StartTurn():
                if not self._server_detects:
                    self._turns.user_turn_begins()
                    self._user.start_turn()
            case EndTurn(input_id):
                if self._user.end_turn():
                    self._owed, self._model_waits = True, False
                    self._asks(input_id)
            case ClearAudio():
                self._user.clear()
            case PauseAudio():
                self._user.pause()
            case SendText(said, input_id=input_id):
                self._note(command)
                self._asks(input_id)
                self._say(said)
            case SendImage():
                self._user.show(command)
            case CancelResponse():
                self._cancel(command)
            case ToolResult():
                self._answer_call(command)
            case OfferTools(tools):
                self._setup = replace(self._setup, tools=tools)  # the next setup has them; there is no other way
            case AnswerApproval() | RequestReply():
                pass  # Gemini runs no tools that ask for approval, and answers activities only

    def _append(self, audio: bytes) -> None:
        if not self._server_detects and not self._user.speaking:
            self._turns.user_turn_begins()
        elif not self._answers_writing:
            self._turns.voiced = True
        if self._server_detects and not self._turns.user_spoke:
            self._turns.user_spoke = is_speech(audio)
        self._user.append(audio)

    def _say(self, said: str) -> None:
        self._expect_reply_to_writing()
        self._user.say(said)

    def _expect_reply_to_writing(self) -> None:
        self._answers_writing = self._owed = self._turns.user_spoke = True
        self._turns.voiced = self._model_waits = False

    def _asks(self, input_id: str) -> None:
        if input_id:
            self._turns.asked.append(input_id)

    def _cancel(self, command: CancelResponse) -> None:
        if command.response_id is None and command.scope == "reply":
            self._owed = False  # what comes of it will be cancelled by name
        elif self._turns.cancel(command):
            self._owed = False
            self._turn_from = self._next_turn()
            if not self._calls.blocking:
                self._user.interrupt()

    def _answer_call(self, result: ToolResult) -> None:
        self._note(result)
        self._asks(result.input_id)
        if (response := self._calls.answered(result)) is not None:
            self._queue({"toolResponse": {"functionResponses": [response]}})
            self._expect_reply_to_writing()
        self._tell_if_possible()
        self._release()

    def _release(self) -> None:
        """Send what waited for a function, unless another one is waited for."""
        while self._held and not self._calls.blocking:
            self._perform(self._held.pop())
        if not self._held and (lost_s := self._held.take_dropped_s()):
            message = f"{lost_s:.1f} s of your speech were dropped: a function took too long."
            self._tell(Notice("audio_dropped", message))

    # -- messages

    def receive(self, message: bytes) -> list[Event | Expiring]:
        try:
            self._receive(parse(message))
        except (ValueError, RecursionError) as error:
            raise ProtocolError(f"Gemini sent a malformed message ({type(error).__name__}).") from error
        # After a ProtocolError, what was understood of the message comes with the next one.
        events, self._events = self._events, []
        return events

    def _receive(self, message: JsonObject) -> None:
        for name, read in (
            ("setupComplete", self._set_up),
            ("sessionResumptionUpdate", self._keep_handle),
            ("usageMetadata", self._turns_cost),
            ("serverContent", self._read_content),
            ("toolCall", self._call_functions),
            ("toolCallCancellation", self._cancel_calls),
            ("goAway", lambda going: self._events.append(Expiring(seconds(going, "timeLeft")))),
            ("error", self._read_error),
        ):
            if (body := child(message, name)) is not None:
                read(body)

    def _turns_cost(self, metadata: Mapping[str, Any]) -> None:
        self._turns.usage += with_cost(read_usage(metadata), self._prices)

    def _set_up(self, done: Mapping[str, Any]) -> None:
        if self._ready:
            return
        self._ready = True
        resumed, self._established = self._established, True
        told = self._turns_told()
        if self._handle is None:
            self._known_turns = 0
            if turns := history_turns(told):
                self._queue({"clientContent": {"turns": turns, "turnComplete": True}})
        elif self._model.client_content and (turns := history_turns(told[self._known_turns :])):
            # Held by the server until the user's next turn; completed, it would be answered.
            self._queue({"clientContent": {"turns": turns, "turnComplete": False}})
        name, voice = self._model.info.name, voice_name(self._config)
        self._tell(SessionStarted(text(done, "sessionId"), name, voice, INPUT_RATE, OUTPUT_RATE, resumed))
        if not resumed:
            for notice in notices(self._config, self._model):
                self._tell(notice)
        self._owed = self._user.restore() or self._owed
        self._tell_if_possible()
        self._release()

    def _keep_handle(self, update: Mapping[str, Any]) -> None:
        handle = text(update, "newHandle")
        if not handle or not boolean(update, "resumable"):
            return
        self._handle = handle
        if not self._turns.generating and not self._owed:
            self._known_turns = len(self._history.turns) if self._turn_from is None else self._turn_from

    def _read_content(self, content: Mapping[str, Any]) -> None:
        turns = self._turns
        if boolean(content, "interrupted"):
            # First: what comes with it is either dropped, or the beginning of the next turn.
            self._interrupted()
        if (words := child(content, "inputTranscription")) is not None:
            self._hear(text(words, "text"), finished=boolean(words, "finished"))
        if (preview := child(content, "interimInputTranscription")) is not None and (said := text(preview, "text")):
            turns.user_may_have_said(said)
        # The words before the sound: both tell of the same moment, and a screen that is late is worse.
        if (words := child(content, "outputTranscription")) is not None:
            self._read_words(text(words, "text"), finished=boolean(words, "finished"), sounds="modelTurn" in content)
        if (turn := child(content, "modelTurn")) is not None:
            self._read_parts(turn)
        if (grounding := child(content, "groundingMetadata")) is not None and (searched := texts(grounding, _SEARCHES)):
            self._tell(Notice("web_search", f"Searched the web for: {'; '.join(searched)}."))
        if boolean(content, "generationComplete"):
            turns.generated()
        if boolean(content, "waitingForInput"):
            self._owed, self._model_waits = False, True
            self._tell(_WAITS)
        self._read_end(content)

    def _read_words(self, said: str, *, finished: bool, sounds: bool) -> None:
        """Words of a reply; `sounds`: sound of it is beside them."""
        turns = self._turns
        late = not (turns.running or self._owed or sounds) and turns.said_late(said)
        if not late and (said or (finished and turns.running)):
            self._answers()
            turns.said(said, finished=finished)

    def _hear(self, said: str, *, finished: bool) -> None:
        if not said and not (finished and self._turns.hearing):
            return
        unanswered = self._turns.user_said(said, finished=finished)
        if self._server_detects and unanswered and not self._turns.running:
            self._answers_writing = self._model_waits = False
            self._owed = True

    def _read_parts(self, turn: Mapping[str, Any]) -> None:
        for part in children(turn, "parts"):
            blob = child(part, "inlineData")
            if blob is None:
                self._read_text(part)
            elif audio := sound(blob, OUTPUT_RATE):
                self._answers()
                self._turns.sounded(audio)

    def _read_text(self, part: Mapping[str, Any]) -> None:
        """A text is not spoken: where there is sound, the transcript tells what is. A thought is never shown."""
        said = text(part, "text")
        if not said or boolean(part, "thought"):
            return
        if self._turns.running or self._owed:
            self._answers()
            self._turns.wrote(said)

    def _answers(self) -> None:
        """Something of a reply came."""
        if not self._turns.muted:
            self._owed = self._silent_before = False

    def _interrupted(self) -> None:
        # What was said before the reply has had its answer.
        if self._turns.running:
            self._turn_from = self._next_turn()
        self._turns.interrupted()

    def _read_end(self, content: Mapping[str, Any]) -> None:
        interaction = text(content, "interactionStatus")
        if not boolean(content, "turnComplete"):
            return
        turns = self._turns
        if interaction == "IN_PROGRESS" and not turns.was_interrupted:
            turns.utterance_ends()
            return
        status, reason = turn_end(code := text(content, "turnCompleteReason").removeprefix("TURN_COMPLETE_REASON_"))
        if code == NEED_MORE_INPUT:
            self._tell(_WAITS)
        awaits_tools = self._calls.followed_by_response or turns.ends_with_call
        if not turns.turn_ends(status, reason, owed=self._owed, awaits_tools=awaits_tools):
            # Nothing ended, or a reply that was cut: what the user said meanwhile has yet to be answered.
            asks = self._turn_from is not None and not self._user.speaking and not self._model_waits
            self._owed = self._owed or asks
            return
        self._calls.response_ends()
        self._turn_from = self._turn_from if awaits_tools else self._next_turn()
        if not awaits_tools:
            self._owed = self._answers_writing = False
        self._tell_if_possible()

    def _call_functions(self, message: Mapping[str, Any]) -> None:
        answers: list[dict[str, Any]] = []
        for call in read_calls(message):
            if not self._turns.calls_function():
                answers.append(self._calls.refused(call, _TOOL_CANCELLED))
                continue
            self._answers()
            if isinstance(known := self._calls.requested(call), ToolCallRequest):
                self._tell(known)
            elif known is not None:
                answers.append(known)
        if answers:
            self._queue({"toolResponse": {"functionResponses": answers}})
            self._owed = self._owed or not self._turns.muted

    def _cancel_calls(self, cancellation: Mapping[str, Any]) -> None:
        for wire_id in texts(cancellation, "ids"):
            if (told := self._calls.cancelled(wire_id)) is not None:
                self._events += told
                self._turns.call_withdrawn()
        self._release()

    def _read_error(self, failure: Mapping[str, Any]) -> None:
        said = self._redacted(text(failure, "message")) or "an error without words"
        error = close_error(0, said, model=self._model.info.name)
        if not error.retryable:
            raise error
        self._tell(ErrorOccurred(RealtimeError(f"Gemini reports: {said}")))

    # -- one socket after another

    def _lose_socket(self) -> None:
        """The last socket is gone: end what it had begun, and decide what is asked again."""
        turns, calls = self._turns, self._calls
        if turns.muted:
            for call_id in calls.abandoned():
                self._tell(ToolCallCancelled(call_id))
        awaits_tools = calls.awaited or (turns.ends_with_call and not turns.muted)
        # A spoken turn whose words are not all here is said again instead.
        in_words = self._owed and not turns.running and not turns.hearing and self._in_words()
        self._silent_before = self._owed
        turns.socket_lost(CONNECTION_LOST, awaits_tools=awaits_tools)
        calls.socket_lost()
        self._ask_again = in_words or awaits_tools or turns.running
        if in_words:
            self._user.written()
        if self._ask_again:
            self._asked_from = max(self._turn_from or 0, first_unanswered(self._history.turns))
        elif not turns.hearing:
            self._turn_from = self._next_turn()
        turns.forget_line()
        self._owed = False

    def _in_words(self) -> bool:
        """True when the text is known of what the user waits to have answered."""
        turns = self._history.turns
        return self._turn_from is not None and any(turn.text.strip() for turn in turns[self._turn_from :])

    def _turns_told(self) -> list[Turn]:
        """The turns that the server is to know before it hears more."""
        return self._history.turns[: self._asked_from if self._ask_again else self._turn_from]

    def _tell_if_possible(self) -> None:
        """Tell the server what it cannot know: the turn that the last socket took along, results it awaits no more."""
        if self._ask_again and not self._calls.lost:
            self._ask_again = False
            told = history_turns(self._history.turns[self._asked_from :])
            if said := "\n".join(part["text"] for turn in told for part in turn["parts"] if turn["role"] == "user"):
                self._say(said)
        busy = self._owed or self._turns.running or self._turns.hearing or self._user.speaking
        if self._ready and not busy and (said := self._calls.take_late()):
            self._say(said)

    def _next_turn(self) -> int | None:
        """In the history, the first turn of the user's that came after the last reply began."""
        turns = self._history.turns
        return next((index for index in range(self._answered_to, len(turns)) if turns[index].role == "user"), None)

    # -- small things

    def _tell(self, event: Event) -> None:
        self._events.append(event)
        self._note(event)

    def _note(self, happened: Event | Command) -> None:
        if isinstance(happened, ResponseStarted):
            self._answered_to = len(self._history.turns)
            self._user.answered()
        before = len(self._history.turns)
        turn = self._history.apply(happened)
        is_new = turn is not None and len(self._history.turns) > before
        if turn is not None and is_new and turn.role == "user" and self._turn_from is None:
            self._turn_from = before

    def _queue(self, message: Mapping[str, Any]) -> None:
        self._out.append(as_json(message))

    def _redacted(self, said: str) -> str:
        secret = self._endpoint.secret
        return said.replace(secret, "***") if secret else said
