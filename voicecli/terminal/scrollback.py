"""What is said and done in a conversation, in order, until it is finished and can be printed for good. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from voicecli.events import Role

__all__ = ["Asked", "Entry", "OpenEntries", "Remark", "RemarkKind", "Said", "ToolRun"]

RemarkKind = Literal["note", "warning", "error", "help"]
# A remark waits so long for words that were begun before it, in seconds: an error must not stay untold.
_REMARK_WAIT_S = 2.0

_Key = tuple[str, str]


@dataclass(slots=True)
class Said:
    """An utterance.

    Attributes:
        latency_ms: on the first reply to a turn, how long it took from the turn's end to its first sound.
        flaw: why it is not complete, for people; "" where nothing is to be said.
    """

    role: Role
    text: str = ""
    final: bool = False
    interrupted: bool = False
    latency_ms: int | None = None
    flaw: str = ""


@dataclass(slots=True)
class ToolRun:
    """A call of a tool.

    Attributes:
        arguments: JSON, as the model wrote it.
        since: when it began, by the view's clock.
        outcome: "" while it runs.
    """

    name: str
    arguments: str
    since: float
    outcome: Literal["", "done", "failed", "cancelled"] = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """The provider asked for leave to run a tool of its own.

    Attributes:
        arguments: JSON, as the model wrote it.
    """

    name: str
    arguments: str
    server: str


@dataclass(frozen=True, slots=True)
class Remark:
    """A line beside the conversation."""

    kind: RemarkKind
    text: str


Entry = Said | ToolRun | Asked | Remark


class OpenEntries:
    """What has not been printed yet, in the order in which it began."""

    def __init__(self) -> None:
        self._open: dict[_Key, Entry] = {}
        self._due: dict[_Key, float] = {}  # when what is not an utterance or a tool is printed, whatever is open then
        self._closed: set[_Key] = set()
        self._added = 0

    def said(self, role: Role, item_id: str) -> Said | None:
        """The utterance, begun now if it is new; None when it was printed, which cannot be changed."""
        key = (role, item_id)
        if key in self._closed:
            return None
        said = self._open.setdefault(key, Said(role))
        return said if isinstance(said, Said) else None

    def tool(self, call_id: str) -> ToolRun | None:
        """The call, while it has not been printed."""
        run = self._open.get(("tool", call_id))
        return run if isinstance(run, ToolRun) else None

    def begin_tool(self, call_id: str, run: ToolRun) -> None:
        self._open["tool", call_id] = run

    def add(self, entry: Asked | Remark, now: float, *, at_once: bool = False) -> None:
        """Add what is complete in itself.

        Args:
            at_once: whether to print it before words that began earlier and are not finished; otherwise it waits for
                them, but not for long.
        """
        self._added += 1
        key = ("", str(self._added))
        self._open[key] = entry
        self._due[key] = now if at_once else now + _REMARK_WAIT_S

    @property
    def utterances(self) -> list[Said]:
        return [entry for entry in self._open.values() if isinstance(entry, Said)]

    @property
    def running_tools(self) -> list[ToolRun]:
        return [entry for entry in self._open.values() if isinstance(entry, ToolRun) and not entry.outcome]

    def take(self, is_ready: Callable[[Said], bool], now: float) -> list[Entry]:
        """Take out what can be printed.

        Args:
            is_ready: whether nothing more can come of the utterance.
            now: the time of the same clock as that of `add`.
        """
        ready = {key for key, entry in self._open.items() if _is_finished(entry, is_ready)}
        keys = list(self._open)
        # Finished words, and remarks, need not wait when something that came after them is ready.
        last = max((keys.index(key) for key in ready), default=0)
        waits = False
        taken: list[Entry] = []
        for place, key in enumerate(keys):
            entry = self._open[key]
            overtaken = place < last and (entry.final if isinstance(entry, Said) else key in self._due)
            if key in ready or overtaken or (key in self._due and (not waits or now >= self._due[key])):
                self._close(key)
                if not isinstance(entry, Said) or entry.text.strip():
                    taken.append(entry)
            elif key not in self._due:
                waits = True
        return taken

    def _close(self, key: _Key) -> None:
        del self._open[key]
        if self._due.pop(key, None) is None and key[1]:
            self._closed.add(key)


def _is_finished(entry: Entry, is_ready: Callable[[Said], bool]) -> bool:
    match entry:
        case Said():
            return is_ready(entry)
        case ToolRun():
            return bool(entry.outcome)
        case _:
            return False
