"""The model's side of the conversation: responses, their audio and words, and interruptions."""

from voicecli.commands import CancelResponse
from voicecli.errors import ProtocolError
from voicecli.events import (
    CONNECTION_LOST,
    AudioChunk,
    ErrorOccurred,
    Interrupted,
    Notice,
    ResponseDone,
    ResponseStarted,
    ResponseStatus,
    TranscriptUpdate,
    Usage,
)
from voicecli.pricing import Prices
from voicecli.providers.fields import at, decoded, identifier, number, objects, text
from voicecli.providers.heard import heard_by_item
from voicecli.providers.openai.errors import RETRYABLE_RESPONSES, ServerError, error_for
from voicecli.providers.openai.fields import Frame, delta
from voicecli.providers.openai.history import text_items
from voicecli.providers.openai.models import response_usage
from voicecli.providers.openai.output_items import ResponseItem, WireResponse
from voicecli.providers.openai.queues import Wire
from voicecli.providers.openai.response_gate import ResponseGate
from voicecli.providers.openai.tool_calls import ToolCalls
from voicecli.transcript import Turn

__all__ = ["Replies"]

_ITEMS_KEPT = 64
"""Items that can still be cut; no listener is that far behind."""
_STATUSES: dict[str, ResponseStatus] = {
    "completed": "completed",
    "cancelled": "cancelled",
    "canceled": "cancelled",
    "error": "failed",
    "incomplete": "incomplete",
    "failed": "failed",
}


class Replies:
    """Follows the model's responses, and tells and cuts them.

    Attributes:
        prices: of the model that answers.
        pending_usage: what is to be added to the usage of the next response.
    """

    def __init__(self, wire: Wire, gate: ResponseGate, calls: ToolCalls, prices: Prices | None) -> None:
        self._wire = wire
        self._gate = gate
        self._calls = calls
        self.prices = prices
        self.pending_usage = Usage()
        self._retried: WireResponse | None = None  # the next response continues this one, under its name
        self._retries = 0
        self._begun = 0
        self._items: dict[str, ResponseItem] = {}  # over sockets: what was lost may still be heard, and cut
        self._reset()

    def _reset(self) -> None:
        self._responses: dict[str, WireResponse] = {}
        self._finished: set[str] = set()
        self._cancel_created = False

    # Responses

    def response_created(self, frame: Frame, *, wanted: bool = True) -> None:
        """`wanted`: whether it is welcome; one that we asked for before the user began to speak is not."""
        gate, response_id = self._gate, identifier(at(frame, "response"), "id") or identifier(frame, "response_id")
        if response_id in self._responses or response_id in self._finished:
            return
        mine, gate.creating, gate.expected, gate.blocked = gate.creating, False, False, False
        response = self._begin(response_id or self._wire.id("response"))
        response.named = bool(response_id)
        response.covers_queue = not (self._wire.unconfirmed or self._wire.open_commits)
        if response.covers_queue:
            gate.wanted = False
        if self._cancel_created or (mine and not wanted):
            response.interrupted = True
            self._stop(response)
        self._cancel_created = False

    def _stop(self, response: WireResponse) -> None:
        """Have the server end the response."""
        name = {"response_id": response.id} if response.named else {}
        self._wire.queue_optional("response.cancel", **name)

    def _begin(self, response_id: str) -> WireResponse:
        retried, self._retried = self._retried, None
        self._begun += 1
        response = WireResponse(response_id, retried.public_id if retried else response_id, self._begun)
        if retried:
            response.usage = retried.usage
        else:
            self._wire.events.append(ResponseStarted(response_id, self._wire.take_answered()))
        self._gate.active = self._responses[response_id] = response
        self._gate.called_for = False
        for old in list(self._items)[:-_ITEMS_KEPT]:
            del self._items[old]
        return response

    def _response(self, frame: Frame) -> WireResponse | None:
        """The response that an event is part of; None for one that is over.

        An event that does not say of which is part of the one under way, or begins one that was called for.
        """
        response_id, active = identifier(frame, "response_id"), self._gate.active
        if not response_id and (active is not None or not self._gate.called_for):
            return active
        response = self._responses.get(response_id)
        if response is not None or response_id in self._finished:
            return response
        if active is not None and not active.named:
            del self._responses[active.id]
            active.id, active.named = response_id, True
            self._responses[response_id] = active
            return active
        self.response_created({"response": {"id": response_id}})  # its beginning was never told
        return self._gate.active

    def response_done(self, frame: Frame) -> None:
        body, gate = at(frame, "response"), self._gate
        response_id = identifier(body, "id") or identifier(frame, "response_id")
        if not response_id and gate.active is None:
            raise ProtocolError(f"{self._wire.server.name} ended a response without saying which.")
        response = self._response({"response_id": response_id})
        if response is None:
            return
        del self._responses[response.id]
        self._finished.add(response.id)
        response.done, gate.blocked = True, False
        if gate.active is response:
            gate.active = None
        status = _STATUSES.get(text(body, "status"), "completed")
        details = at(body, "status_details")
        error = ServerError.parse(details.get("error") or body.get("error"))
        response.usage += response_usage(body.get("usage"), self.prices)
        if status == "failed" and self._fails(response, error):
            return
        if status == "cancelled" and not response.interrupted:
            self.interrupt(response)
        if response.interrupted:
            status = "cancelled"
        self._collect(response, body, complete=status == "completed")
        for item in response.items:
            self._finish(item, interrupted=response.interrupted)
        if response.cut_told:
            self._forget_dropped(response)
        awaits_tools = response.awaits_tools and not response.interrupted
        if response.interrupted:
            self._calls.cancel(response)
        gate.answered()
        if status != "failed":
            self._retries = 0
        reason = "" if status == "completed" else text(details, "reason") or error.name
        self._end(response, status, reason, awaits_tools=awaits_tools)
        self._calls.continue_reply(response)
        gate.flush()

    def _end(self, response: WireResponse, status: ResponseStatus, reason: str, *, awaits_tools: bool = False) -> None:
        usage, self.pending_usage = response.usage + self.pending_usage, Usage()
        self._wire.events.append(ResponseDone(response.public_id, status, reason, usage, awaits_tools=awaits_tools))

    def _fails(self, response: WireResponse, error: ServerError) -> bool:
        """Deal with a failed response; whether it is tried again, so that it is not over."""
        if error.is_fatal:
            raise error_for(error, self._wire.server)
        if error.name in RETRYABLE_RESPONSES and not response.has_content and not response.interrupted:
            self._retries += 1
            if self._retries == 1:
                # At once, as a codec knows no time: most of these are over by the next attempt.
                message = f"{self._wire.server.name} failed to answer ({error.name}) and is asked once more."
                self._wire.events.append(Notice("response_retried", message))
                self._retried = response
                self._gate.want()
                return True
            if self._retries == 2 and error.name == "server_error":
                self._retried, self._gate.owed = response, True
                raise error_for(error, self._wire.server)
        self._retries = 0
        self._wire.events.append(ErrorOccurred(error_for(error, self._wire.server)))
        return False

    def create_rejected(self, error: ServerError) -> None:
        """The server does not want to answer."""
        self._gate.creating = False
        self._gate.answered()
        self._wire.events.append(ErrorOccurred(error_for(error, self._wire.server)))
        if self._retried is None:  # the user waits for a reply: it is told as one that failed
            name = self._wire.id("refused")
            self._retried = WireResponse(name, name)
            self._wire.events.append(ResponseStarted(name, self._wire.take_answered()))
        self.give_up_retry("failed", error.name)

    def give_up_retry(self, status: ResponseStatus, reason: str) -> None:
        """The response that is to be asked for again is over as it is."""
        if self._retried is not None:
            response, self._retried = self._retried, None
            self._end(response, status, reason)
            self._gate.wanted = bool(self._wire.asked)  # by other inputs
            self._gate.answered()

    # What is said

    def _item(self, frame: Frame) -> ResponseItem | None:
        """The message that a delta belongs to, or None when the delta is to be dropped."""
        item_id = identifier(frame, "item_id")
        item = self._items.get(item_id)
        if item is None:
            response = self._response(frame)
            if response is None:
                return None
            item = self._message(response, item_id or response.message_id)
        if item.response.interrupted:
            item.dropped = True
            return None
        return None if item.response.done else item

    def _message(self, response: WireResponse, item_id: str) -> ResponseItem:
        """The message of a response under that name, or one without a name, which is told as one all the same."""
        last = response.items[-1] if response.items else None
        if last is not None and (not item_id or item_id == last.id or not last.named):
            if item_id and item_id != last.id:
                self._items[item_id] = last
            return last
        item = ResponseItem(item_id or self._wire.id("message"), response, named=bool(item_id))
        self._items[item.id] = item
        response.items.append(item)
        if not response.interrupted:
            self._wire.transcript.apply(TranscriptUpdate("assistant", item.id, "", False))
            self._gate.answered()
        return item

    def audio_delta(self, frame: Frame) -> None:
        sound = decoded(frame.get("delta"))
        item = self._item(frame) if sound else None
        if item is not None:
            self._add_audio(item, sound, _index(frame))

    def _add_audio(self, item: ResponseItem, sound: bytes, index: int) -> None:
        if audio := item.aligner.push(sound):
            if not item.received:
                item.spoken, item.content_index = True, index
            item.received += len(audio)
            self._wire.events.append(AudioChunk(audio, item.response.public_id, item.id))

    def transcript_delta(self, frame: Frame) -> None:
        self._add_text(frame, spoken=True)

    def text_delta(self, frame: Frame) -> None:
        self._add_text(frame, spoken=False)

    def _add_text(self, frame: Frame, *, spoken: bool) -> None:
        said = delta(frame)
        item = self._item(frame) if said else None
        if item is not None:
            index = _index(frame)
            item.spoken = item.spoken or spoken
            if index not in item.complete:
                item.texts[index] = item.texts.get(index, "") + said
                self._wire.events.append(TranscriptUpdate("assistant", item.id, item.text, False))

    def text_done(self, frame: Frame) -> None:
        said = text(frame, "text") or text(frame, "transcript")
        item = self._item(frame)
        if item is not None:
            if said:
                index = _index(frame)
                if index not in item.texts and len(item.texts) == 1:
                    index = next(iter(item.texts))  # an index that is missing in some events means no second part
                item.texts[index] = said
                item.complete.add(index)
            self._finish(item, interrupted=False)

    def part_done(self, frame: Frame) -> None:
        """A part of a message is complete: some servers tell its words only here."""
        said = _words(at(frame, "part"))
        item = self._item(frame) if said else None
        if item is not None and not item.texts:
            item.texts[_index(frame)] = said
            self._wire.events.append(TranscriptUpdate("assistant", item.id, item.text, False))

    def _finish(self, item: ResponseItem, *, interrupted: bool) -> None:
        final = item.heard, interrupted
        # What was said to its end stays so when its response is cut off later, unless it was not heard to its end.
        if item.told is None or (item.told != final and (item.cut_ms is not None or not interrupted)):
            item.told = final
            self._wire.tell("assistant", item.id, item.heard, final=True, interrupted=interrupted)

    def _collect(self, response: WireResponse, body: Frame, *, complete: bool) -> None:
        """Take from the finished response what its events did not tell."""
        has_words = any(item.texts for item in response.items)
        for entry in objects(body, "output"):
            self._calls.item_done(entry, response, complete=complete)
            if text(entry, "type") == "message" or "content" in entry:
                self._collect_message(entry, response, has_words=has_words)
        if complete and not response.interrupted:
            self._calls.call_told(response)

    def _collect_message(self, entry: Frame, response: WireResponse, *, has_words: bool) -> None:
        item_id = identifier(entry, "id")
        is_known = item_id in self._items
        if response.interrupted or text(entry, "role") not in {"", "assistant"} or (has_words and not is_known):
            return
        parts = dict(enumerate(objects(entry, "content")))
        words = {index: said for index, part in parts.items() if (said := _words(part))}
        sounds = {index: sound for index, part in parts.items() if (sound := _sound(part))}
        if said := text(entry, "content"):
            words = {0: said}
        if is_known or words or sounds:
            item = self._items.get(item_id) or self._message(response, item_id)
            item.texts = item.texts or words
            if not item.received:
                for index, sound in sounds.items():
                    self._add_audio(item, sound, index)

    # Calls of tools

    def output_item_added(self, frame: Frame) -> None:
        response, item = self._response(frame), at(frame, "item")
        if response is None:
            return
        if text(item, "type") == "message":
            response.message_id = identifier(item, "id")
        else:
            self._calls.item_added(item, response)

    def output_item_done(self, frame: Frame) -> None:
        response = self._response(frame)
        if response is not None:
            self._calls.item_done(at(frame, "item"), response)

    def arguments_done(self, frame: Frame) -> None:
        """A call's arguments are written: whether it is to be made is told by its item, or by the response's end."""
        response = self._response(frame)
        if response is not None:
            self._calls.note(response, identifier(frame, "item_id") or identifier(frame, "call_id"), frame)

    # Interruption

    def interrupt(self, response: WireResponse) -> None:
        """The server cut the response off."""
        response.interrupted = True
        last = response.items[-1].id if response.items else None
        self._wire.events.append(Interrupted(response.public_id, last))

    def cancel(self, command: CancelResponse) -> None:
        """Cut the response that the command names: the server may have ended it by now, and begun another one."""
        if command.scope == "reply":
            self._cancel_pending() if command.response_id is None else self._cancel_response(command.response_id)
        item = self._items.get(command.item_id or "")
        responses = [*self._responses.values(), *(other.response for other in self._items.values())]
        named = [response for response in responses if response.public_id == command.response_id]
        if item is not None:
            last = max((response.number for response in named), default=item.response.number)
            cuttable = (other.id for other in self._items.values() if other.response.number <= last)
            for item_id, heard_ms in heard_by_item(cuttable, item.id, command.played_ms).items():
                self._cut(self._items[item_id], heard_ms)
        for response in named:
            if not response.cut_told:
                response.cut_told = True
                if response.done:
                    self._forget_dropped(response)

    def _cancel_response(self, public_id: str) -> None:
        gate, active, retried = self._gate, self._gate.active, self._retried
        if active is not None and active.public_id == public_id:
            if not active.interrupted:
                active.interrupted = True
                self._stop(active)
            gate.answered()
        elif retried is not None and retried.public_id == public_id:
            if gate.creating:
                self._cancel_created = True
            else:
                self.give_up_retry("cancelled", "client_cancelled")

    def _cancel_pending(self) -> None:
        """Give up the answers that were asked for and have not begun."""
        gate = self._gate
        if self._retried is None:
            self._cancel_created = gate.creating
            gate.wanted = False
            gate.answered()

    def _forget_dropped(self, response: WireResponse) -> None:
        """The server said more than was played, and must not believe that it was heard."""
        for item in response.items:
            if item.dropped and item.received and item.cut_ms is None:
                self._truncate(item, item.received_ms)

    def _cut(self, item: ResponseItem, played_ms: int) -> None:
        """Make the server forget what was not heard of the item."""
        cut_ms = max(min(played_ms, item.received_ms), 0)
        # Of a response that was cut off the server may have said more than came.
        complete = item.response.done and not item.response.interrupted
        heard_all = item.received > 0 and cut_ms == item.received_ms and complete
        if item.cut_ms is not None or not item.spoken or heard_all:
            return
        item.cut_ms = cut_ms
        if item.written is not None:
            self._rewrite(item)
        elif cut_ms:
            self._truncate(item, cut_ms)
        else:
            self._wire.queue_optional("conversation.item.delete", item_id=item.id)
        self._finish(item, interrupted=True)

    def _rewrite(self, item: ResponseItem) -> None:
        """Put what was heard in the place of what this session was told in writing."""
        if not item.written:
            return
        if item.heard:
            message = text_items(Turn("assistant", item.id, item.heard))[0]
            place, name = item.written, self.restored(item.id)
            self._wire.queue_optional("conversation.item.create", previous_item_id=place, item={**name, **message})
            self._wire.queue_optional("conversation.item.delete", item_id=place)
        else:
            self._wire.queue_optional("conversation.item.delete", item_id=item.written)

    def restored(self, item_id: str) -> Frame:
        """The session is told of an item of an earlier one in writing: under which name, if it can be cut later."""
        item = self._items.get(item_id)
        if item is None:
            return {}
        item.written = self._wire.id("vc_said")
        return {"id": item.written}

    def _truncate(self, item: ResponseItem, audio_end_ms: int) -> None:
        self._wire.queue_optional(
            "conversation.item.truncate",
            item_id=item.id,
            content_index=item.content_index,
            audio_end_ms=audio_end_ms,
        )

    # A lost socket

    def restart(self) -> None:
        """The socket is gone: what came of a reply is all of it; one of which nothing came is asked for again."""
        for response in self._responses.values():
            response.done = True
            response.open_mcp_calls.clear()
            if not response.has_content and not response.interrupted:
                self._retried, self._gate.owed = response, True
                continue
            for item in response.items:
                self._finish(item, interrupted=True)
            status: ResponseStatus = "cancelled" if response.interrupted else "incomplete"
            self._end(response, status, CONNECTION_LOST, awaits_tools=response.calls_tools or response.calls_aside)
            if response.calls_tools and not response.open_calls:
                response.calls_tools, self._gate.owed = False, True
        for item in self._items.values():
            item.written = ""
        self._calls.mcp.restart()
        self._reset()


def _index(frame: Frame) -> int:
    return number(frame, "content_index") or 0


def _words(part: Frame) -> str:
    return text(part, "transcript") or text(part, "text")


def _sound(part: Frame) -> bytes:
    try:
        return decoded(part.get("audio"))
    except ValueError:
        return b""
