"""Notices that are worth telling once a day. Which were told is kept as the times of empty files."""

import datetime
import re

from voicecli.conversation.duplex import Observer
from voicecli.errors import ConfigurationError
from voicecli.events import Event, Notice
from voicecli.user_folders import state_dir

__all__ = ["once_a_day"]


def once_a_day(observer: Observer) -> Observer:
    """The observer without the daily notices that somebody was told today.

    Where that cannot be kept, as on a read-only disk, they are told each time.
    """

    def tell(event: Event) -> None:
        if not (isinstance(event, Notice) and event.daily and _told_today(event.code)):
            observer(event)

    return tell


def _told_today(code: str) -> bool:
    """True when a notice has been told today; from now on it has."""
    if not re.fullmatch(r"\w{1,64}", code, re.ASCII):  # it becomes a file's name
        return False
    try:
        mark = state_dir() / "told" / code
        if mark.exists():
            told = datetime.date.fromtimestamp(mark.stat().st_mtime) == datetime.date.today()
            if not told:
                mark.touch()
            return told
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
    except (ConfigurationError, OSError, OverflowError, ValueError):  # no home, or no place there
        pass
    return False
