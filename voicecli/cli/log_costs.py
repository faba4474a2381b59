"""Sums of what kept conversations have cost: by day, provider or model."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Literal

from voicecli.errors import ConfigurationError
from voicecli.events import Usage
from voicecli.history.records import ConversationRecord

__all__ = ["LONGEST", "By", "CostSum", "cost_sums", "day_of"]

By = Literal["day", "provider", "model"]
LONGEST = timedelta(days=7)
"""How long before a day a conversation may have begun that has answers on it. None known lasted a tenth of that."""
_DAYS = re.compile(r"(\d{1,5})\s*d(?:ays?)?", re.IGNORECASE)


@dataclass(slots=True)
class CostSum:
    """What the answers of one day, provider or model have cost, and the time between them where that is billed.

    Attributes:
        usage: as far as its cost is known.
        unknown: the number of answers whose cost is not known.
    """

    usage: Usage = field(default_factory=Usage)
    answers: int = 0
    unknown: int = 0
    conversations: set[str] = field(default_factory=set)

    @property
    def cost_words(self) -> str:
        """The cost for people; "at least" so much where some of it is not known."""
        known = f"{'~' if self.usage.approximate else ''}${self.usage.cost_usd or 0:.4f}"
        if not self.unknown:
            return known
        return f"at least {known}" if self.usage.cost_usd else "unknown"

    def add(self, conversation: str, usage: Usage, *, is_answer: bool = True) -> None:
        """Take an answer into account, or what was used between two."""
        self.conversations.add(conversation)
        self.answers += is_answer
        if usage.cost_usd is None:
            self.unknown += 1
        else:
            self.usage += usage

    def row(self, by: str, name: str) -> dict[str, Any]:
        """A row of the table; JSON has `cost_usd`, and the tokens of the answers whose cost is known."""
        return {
            by: name,
            "conversations": len(self.conversations),
            "answers": self.answers,
            "cost": self.cost_words,
            "without price": self.unknown,
            "cost_usd": round(self.usage.cost_usd or 0.0, 9),
            "approximate": self.usage.approximate,
            "input_tokens": self.usage.input_tokens,
            "output_tokens": self.usage.output_tokens,
        }


def cost_sums(
    conversations: Iterable[ConversationRecord], by: By, since: date | None = None
) -> tuple[dict[str, CostSum], CostSum]:
    """The sums by day, provider or model, in their order, and the sum of all.

    Args:
        since: answers of that day and later ones. A day is one of the clock that the user had at the time, and an
            answer belongs to the day on which it was complete.
    """
    sums: dict[str, CostSum] = {}
    total = CostSum()
    for conversation in conversations:
        answers = [(response.done_ms, response.usage, True) for response in conversation.responses]
        between = [(used.at_ms, used.usage, False) for used in conversation.usages]
        for at_ms, usage, is_answer in answers + between:
            day = (conversation.started_at + timedelta(milliseconds=at_ms)).date()
            if since is not None and day < since:
                continue
            names = {"day": day.isoformat(), "provider": conversation.provider, "model": conversation.model}
            for each in (sums.setdefault(names[by], CostSum()), total):
                each.add(conversation.id, usage, is_answer=is_answer)
    return dict(sorted(sums.items())), total


def day_of(text: str, today: date) -> date:
    """The day that a text means: 2026-11-28, today, yesterday, or 7d for the last seven days, this one included.

    Raises:
        ConfigurationError: it means none.
    """
    word = text.strip().lower()
    named = {"today": 0, "yesterday": 1}
    days = named.get(word)
    if days is None and (found := _DAYS.fullmatch(word)) and int(found[1]):
        days = int(found[1]) - 1
    try:
        return today - timedelta(days=days) if days is not None else datetime.strptime(word, "%Y-%m-%d").date()
    except (ValueError, OverflowError):
        raise ConfigurationError(f"{text!r} is no day.", advice="Write 2026-11-28, today, yesterday or 7d.") from None
