"""The items of a conversation, as OpenAI's side of a Realtime session keeps them, sans-I/O."""

import json
from collections.abc import Iterable, Iterator
from itertools import count

from tests.loopback.openai_rules import check_content
from tests.loopback.openai_wire import Frame, RefusedError

__all__ = ["BYTES_PER_MS", "Conversation", "new_id"]

BYTES_PER_MS = 48
_ids = count(1)


def new_id(prefix: str) -> str:
    """An id that nothing else has."""
    return f"{prefix}_{next(_ids):020d}"


class Conversation:
    """Items in order, their audio, and the calls that wait for an output.

    Attributes:
        items: by id.
        audio: PCM16 at 24 kHz of the items that have any, by id.
        unanswered_calls: ids of function calls without an output.
    """

    def __init__(self) -> None:
        self.items: dict[str, Frame] = {}
        self.audio: dict[str, bytes] = {}
        self.unanswered_calls: set[str] = set()

    @property
    def last_item(self) -> str | None:
        """The id of the last item; None when there is none."""
        return next(reversed(self.items), None)

    def add(self, item: Frame, *, done: bool = True, after: str | None = None) -> Iterator[Frame]:
        """Put in an item, behind the one named by `after` or at the end, and tell that it is in."""
        previous = after or self.last_item
        behind: list[str] = list(self.items)[list(self.items).index(after) + 1 :] if after else []
        self.items[item["id"]] = item
        for item_id in behind:
            self.items[item_id] = self.items.pop(item_id)
        yield {"type": "conversation.item.added", "item": item, "previous_item_id": previous}
        if done:
            yield {"type": "conversation.item.done", "item": item, "previous_item_id": previous}

    def check(self, item: Frame) -> None:
        """Refuse an item of the client that cannot be created; take note of calls and their outputs.

        Raises:
            RefusedError: it cannot be created.
        """
        if not 0 < len(item["id"]) <= 32:
            raise RefusedError("string_above_max_length", "Invalid 'item.id': string too long.", "item.id")
        if item["id"] in self.items:
            raise RefusedError("duplicate_item_id", "An item with this id exists.", "item.id")
        match item["type"]:
            case "message":
                check_content(item)
            case "function_call":
                self.unanswered_calls.add(item["call_id"])
            case "function_call_output":
                call_id = item["call_id"]
                if call_id not in self.unanswered_calls:
                    raise RefusedError("invalid_tool_call_id", f"Tool call ID '{call_id}' not found.", "item.call_id")
                self.unanswered_calls.discard(call_id)

    def truncate(self, frame: Frame) -> Iterator[Frame]:
        """Cut the audio of a message of the model, as `conversation.item.truncate` asks. Raises RefusedError."""
        item = self.items.get(frame["item_id"])
        if item is None:
            raise RefusedError("item_truncate_invalid_item_id", "Item not found.", "item_id")
        parts = item.get("content") or []
        index = frame["content_index"]
        if item.get("role") != "assistant" or not 0 <= index < len(parts) or parts[index]["type"] != "output_audio":
            raise RefusedError("unsupported_content_type", "Only model output audio messages can be truncated.", None)
        held, wanted = len(self.audio[item["id"]]) // BYTES_PER_MS, frame["audio_end_ms"]
        if wanted < 0:
            raise RefusedError("invalid_value", "Negative.", "audio_end_ms")
        if wanted > held:
            message = f"Audio content of {held}ms is already shorter than {wanted}ms"
            raise RefusedError("invalid_value_truncate", message, "audio_end_ms")
        self.audio[item["id"]] = self.audio[item["id"]][: wanted * BYTES_PER_MS]
        parts[index]["transcript"] = None
        at = {name: frame[name] for name in ("item_id", "content_index", "audio_end_ms")}
        yield {"type": "conversation.item.truncated", **at}

    def delete(self, frame: Frame) -> Iterator[Frame]:
        """Remove an item, as `conversation.item.delete` asks. Raises RefusedError."""
        if self.items.pop(frame["item_id"], None) is None:
            raise RefusedError("item_delete_invalid_item_id", "Item not found.", "item_id")
        yield {"type": "conversation.item.deleted", "item_id": frame["item_id"]}

    def retrieve(self, frame: Frame) -> Iterator[Frame]:
        """Tell an item, as `conversation.item.retrieve` asks. Raises RefusedError."""
        if frame["item_id"] not in self.items:
            raise RefusedError("item_retrieve_invalid_item_id", "Item not found.", "item_id")
        yield {"type": "conversation.item.retrieved", "item": self.items[frame["item_id"]]}

    def audio_ms(self, items: Iterable[Frame]) -> int:
        """How long the audio of these items lasts."""
        return sum(len(self.audio.get(item["id"], b"")) for item in items) // BYTES_PER_MS

    def usage(self, output: Iterable[Frame]) -> Frame:
        """The tokens that a response with these items took."""
        text = sum(len(json.dumps(item)) for item in self.items.values()) // 16
        heard = sum(len(sound) for sound in self.audio.values()) // BYTES_PER_MS // 100
        said = self.audio_ms(output) // 50
        given: Frame = {"text_tokens": text, "audio_tokens": heard, "image_tokens": 0, "cached_tokens": text // 2}
        given["cached_tokens_details"] = {"text_tokens": text // 2, "audio_tokens": 0, "image_tokens": 0}
        return {
            "total_tokens": text + heard + said + 10,
            "input_tokens": text + heard,
            "output_tokens": said + 10,
            "input_token_details": given,
            "output_token_details": {"text_tokens": 10, "audio_tokens": said},
        }
