"""A finding about this machine: a figure that was measured, or a thing that is there or missing, and what to do."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["Finding", "Verdict"]

Verdict = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Judgement of one thing.

    Attributes:
        value: what was found, in words for people.
        verdict: "warn" for what could be better or may be missed, "fail" for what does not work.
        fix: what to do about it, best a command; "" where there is nothing to do.
        shared: what of `value` may stand in a report that others read; None for all of it. Where it is given, `fix`
            stays out of the report, too.
    """

    name: str
    value: str
    verdict: Verdict = "ok"
    fix: str = ""
    shared: str | None = None

    def told(self) -> dict[str, str]:
        """The finding for a program that reads JSON."""
        return {"name": self.name, "value": self.value, "verdict": self.verdict, "fix": self.fix}
