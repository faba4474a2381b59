"""The order in which a conversation is printed: each entry once, when nothing of it can change any more. Pure."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from voicecli.events import Role
from voicecli.terminal.entries import ApprovalQuestion, Entry, Remark, ToolCall, ToolOutcome, Utterance

__all__ = ["Scrollback"]

# How long a remark, or a tool's line, waits for words that were begun before it, in seconds: an error must not stay
# untold, and the words may never come.
_WAIT_S = 2.0
# The same for a remark that waited for an answer: an interrupted one may take 3 s to tell what was heard of it.
_HELD_WAIT_S = 4.0

_Key = tuple[str, str]
_RESERVED: _Key = ("user", "")


@dataclass(slots=True)
class _Slot:
    """An entry's place.

    Attributes:
        due: when it is printed whatever is open before it; never while it is not complete in itself.
        at_once: whether it is printed in the middle of an answer, too.
    """

    entry: Entry
    due: float = math.inf
    at_once: bool = False


class Scrollback:
    """Entries that have not been printed yet, in the order in which they began. Times are in seconds, of one clock."""

    def __init__(self) -> None:
        self._slots: dict[_Key, _Slot] = {}
        self._printed: set[_Key] = set()
        self._added = 0

    def utterance(self, role: Role, item_id: str) -> Utterance | None:
        """The utterance, begun now if it is new; None when it was printed, which cannot be changed."""
        key = (role, item_id)
        if key in self._printed:
            return None
        if role == "user" and key not in self._slots and _RESERVED in self._slots:
            self._slots = {key if other == _RESERVED else other: slot for other, slot in self._slots.items()}
        entry = self._slots.setdefault(key, _Slot(Utterance(role))).entry
        if not isinstance(entry, Utterance):
            return None
        entry.item_id = item_id
        return entry

    def forget_names(self) -> None:
        """Another session begins, which may name its utterances as the one before did."""
        self._printed.clear()
        slots = list(self._slots.values())
        self._slots = {("", str(self._added + number)): slot for number, slot in enumerate(slots, 1)}
        self._added += len(slots)

    def reserve_user(self) -> None:
        """Keep a place for words of the user's that were said and are still to come, unless some are open.

        Tools that these words call stand below it.
        """
        if all(words.role != "user" or words.final for words in self.utterances):
            self._slots[_RESERVED] = _Slot(Utterance("user"))

    def release_user(self) -> None:
        """Keep that place no longer: there were no words."""
        self._slots.pop(_RESERVED, None)

    def begin_tool(self, call_id: str, call: ToolCall) -> None:
        self._slots["tool", call_id] = _Slot(call)

    def ask_for_tool(self, call_id: str, asked: bool, now: float) -> None:
        """A call waits for the user to allow it, or does so no more: only now it begins to run."""
        slot = self._slots.get(("tool", call_id))
        if slot is not None and isinstance(slot.entry, ToolCall):
            slot.entry.asked, slot.entry.since = asked, now

    def finish_tool(self, call_id: str, outcome: ToolOutcome, now: float, output: str = "") -> None:
        """Set the outcome of a call; without effect when its line was printed."""
        slot = self._slots.get(("tool", call_id))
        if slot is not None and isinstance(slot.entry, ToolCall):
            slot.entry.outcome, slot.due = outcome, now + _WAIT_S
            slot.entry.output = output if slot.entry.server else ""

    def add(self, entry: ApprovalQuestion | Remark, now: float, *, at_once: bool = False) -> None:
        """Add an entry that is complete in itself.

        Args:
            at_once: whether to print it before words that began earlier and are not finished; otherwise it waits for
                them, at most two seconds.
        """
        self._added += 1
        self._slots["", str(self._added)] = _Slot(entry, now if at_once else now + _WAIT_S, at_once)

    @property
    def utterances(self) -> list[Utterance]:
        return [slot.entry for slot in self._slots.values() if isinstance(slot.entry, Utterance)]

    @property
    def running_tools(self) -> list[ToolCall]:
        entries = (slot.entry for slot in self._slots.values())
        return [entry for entry in entries if isinstance(entry, ToolCall) and entry.outcome is None]

    @property
    def waiting_remarks(self) -> list[Remark]:
        """Remarks that are not printed yet."""
        return [slot.entry for slot in self._slots.values() if isinstance(slot.entry, Remark)]

    def take(self, is_complete: Callable[[Utterance], bool], now: float, *, answering: bool = False) -> list[Entry]:
        """Take out what can be printed.

        Args:
            is_complete: whether nothing more can come of the utterance.
            answering: whether an answer is on its way or being heard: remarks wait for its end, so that none stands
                between a turn and its answer.
        """
        last = self._last_ready(is_complete, now)
        behind_open = False  # whether something ahead stays
        taken: list[Entry] = []
        for place, (key, slot) in enumerate(list(self._slots.items())):
            entry = slot.entry
            # Final words, and what is complete in itself, do not wait when something after them is ready.
            overtaken = place <= last
            match entry:
                case Utterance():
                    leaves = is_complete(entry) or (overtaken and (entry.final or key == _RESERVED))
                case ToolCall(outcome=outcome):
                    leaves = overtaken and outcome is not None
                case Remark() if answering and not slot.at_once:
                    slot.due = now + _HELD_WAIT_S
                    self._slots[key] = self._slots.pop(key)  # behind the answer
                    continue
                case _:
                    leaves = overtaken or not behind_open or now >= slot.due
            if not leaves:
                behind_open = behind_open or key != _RESERVED
                continue
            self._remove(key)
            if not isinstance(entry, Utterance) or entry.text.strip():
                taken.append(entry)
        return taken

    def _last_ready(self, is_complete: Callable[[Utterance], bool], now: float) -> int:
        """The place of the last words that are complete, or tool call that need not wait for words; -1 for none."""
        last, behind_words = -1, False
        for place, slot in enumerate(self._slots.values()):
            match slot.entry:
                case Utterance() as words:
                    last = place if is_complete(words) else last
                    behind_words = behind_words or not words.final
                case ToolCall(outcome=str()) if not behind_words or now >= slot.due:
                    last = place
        return last

    def _remove(self, key: _Key) -> None:
        del self._slots[key]
        if key[0] and key != _RESERVED:
            self._printed.add(key)
