"""The history as far as conversations of the command are concerned: whether they are kept, and what they continue."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from voicecli.events import Event, Notice
from voicecli.transcript import Turn

if TYPE_CHECKING:
    from voicecli.history.log import HistoryLog

__all__ = ["Keeping", "Past", "look_up"]

_MARK = "told"
"""The file beside the database that says that the user knows of it."""


@dataclass(frozen=True, slots=True)
class Past:
    """A conversation that is continued.

    Attributes:
        id: its id; "" where none is.
        turns: what was said in it, and in those that it continued itself.
    """

    id: str = ""
    turns: Sequence[Turn] = ()


@dataclass(frozen=True, slots=True)
class Keeping:
    """What of a conversation is kept.

    Attributes:
        on: whether it is.
        keep_days, max_mb: as for `HistoryLog`.
        past: what it continues.
        quiet: whether notes are not shown, so that the user is told of the history another time.
    """

    on: bool = False
    keep_days: int = 0
    max_mb: int = 0
    past: Past = Past()
    quiet: bool = False

    def logs(self, provider: str, tell: Callable[[Event], None], *, continues: str | None = None) -> "list[HistoryLog]":
        """The log of a conversation, or none.

        Args:
            tell: tells the user of the history.
            continues: the id of the conversation that it continues, where that is not the one of `past`.
        """
        if not self.on:
            return []
        from voicecli.history.log import HistoryLog

        return [
            HistoryLog(
                provider,
                continues=self.past.id if continues is None else continues,
                keep_days=self.keep_days,
                max_mb=self.max_mb,
                on_notice=lambda code, message: tell(Notice(code, message)),
                on_kept=None if self.quiet else partial(_introduce, tell),
            )
        ]


def look_up(id_: str | None) -> Past:
    """The conversation of that id; none without an id.

    Raises:
        typer.BadParameter: there is none.
        ConfigurationError: the history cannot be read.
    """
    if id_ is None:
        return Past()
    from voicecli.history.store import NoConversationError, Store

    try:
        with Store() as store:
            found = store.find(id_)
            return Past(found, store.turns_before(found))
    except NoConversationError as error:
        raise typer.BadParameter(f"{error.message} {error.advice}", param_hint="--continue") from error


def _introduce(tell: Callable[[Event], None], database: Path) -> None:
    """Tell of the history, once."""
    mark = database.with_name(_MARK)
    try:
        mark.touch(mode=0o600, exist_ok=False)
    except FileExistsError:
        return
    except OSError:  # then it is told each time
        pass
    tell(
        Notice(
            "history_kept",
            "Conversations are kept on this machine, for you alone: `voice logs` shows and deletes them, "
            "`voice logs off` keeps none.",
        )
    )
