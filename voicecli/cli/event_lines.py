"""Lines for the events of a conversation: JSON for programs, plain words for people."""

import contextlib
import json
import sys
import time
from collections.abc import Callable, Collection
from dataclasses import asdict
from typing import Any, TextIO

from voicecli.errors import RealtimeError
from voicecli.events import (
    ApprovalAnswered,
    ApprovalRequest,
    Asleep,
    Awake,
    ErrorOccurred,
    Event,
    Interrupted,
    Notice,
    Reconnecting,
    ResponseDone,
    SessionEnded,
    SessionStarted,
    SpeechStarted,
    SpeechStopped,
    StateChanged,
    ToolCallFinished,
    ToolCallRequest,
    TranscriptUpdate,
    UsageUpdated,
)
from voicecli.terminal.printable import printable
from voicecli.terminal.reasons import reason_words
from voicecli.terminal.summary import ConversationSummary
from voicecli.text import valid_text

__all__ = ["JsonLines", "PlainLines"]

_WHOLE: dict[type[Event], str] = {
    ApprovalAnswered: "approval_answered",
    ApprovalRequest: "approval_request",
    Asleep: "asleep",
    Awake: "awake",
    Interrupted: "interrupted",
    Notice: "notice",
    ResponseDone: "response_done",
    SessionStarted: "session_started",
    StateChanged: "state",
    ToolCallFinished: "tool_result",
    ToolCallRequest: "tool_call",
    UsageUpdated: "usage",
}
"""Types of the events that are told with all their fields."""


class JsonLines:
    """One JSON object a line for each event. Times are in ms since the start.

    Args:
        stream: takes the lines; each is flushed, so that a pipe sees it at once.
        start: when the command began, by the clock; None for now.
        clock: tells the time, in seconds.
    """

    def __init__(
        self, stream: TextIO, start: float | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = stream
        self._clock = clock
        self._start = clock() if start is None else start
        self._summary = ConversationSummary(clock)

    def __call__(self, event: Event) -> None:
        self._summary.apply(event)
        line = self._line(event)
        if line is not None:
            self._write(line)

    def failed(self, name: str, message: str, advice: str, status: int) -> None:
        """Tell that the command fails.

        Args:
            name: of the error's class.
            status: the exit code.
        """
        error = {"error": name, "message": valid_text(message), "advice": valid_text(advice)}
        self._write({"type": "error", **error, "fatal": True, "exit_code": status})

    def _write(self, line: dict[str, Any]) -> None:
        line = {"type": line.pop("type"), "time_ms": round((self._clock() - self._start) * 1000), **line}
        self._stream.write(json.dumps(line) + "\n")
        self._stream.flush()

    def _line(self, event: Event) -> dict[str, Any] | None:
        if (name := _WHOLE.get(type(event))) is not None:
            return {"type": name, **asdict(event)}
        match event:
            case SpeechStarted():
                return {"type": "speech_started"}
            case SpeechStopped():
                return {"type": "speech_stopped"}
            case TranscriptUpdate(text=text, final=final) if text or final:
                return {"type": "transcript", **asdict(event)}
            case Reconnecting(attempt, delay_s, reason, attempts):
                wait = {"delay_ms": round(delay_s * 1000), "reason": reason}
                return {"type": "reconnecting", "attempt": attempt, "attempts": attempts, **wait}
            case ErrorOccurred(error):
                return {"type": "error", **_error(error), "fatal": False}
            case SessionEnded():
                totals = {"turns": self._summary.turns, "usage": asdict(self._summary.usage)}
                return {"type": "session_ended", **asdict(event), **totals}
            case _:
                return None


class PlainLines:
    """A line for each finished utterance, and on standard error one for each thing worth knowing.

    Args:
        words: takes what is said; None for standard error.
        bare: whether of that only the reply's words are written, without names.
        quiet: whether only what is said, and errors, are written.
        live: whether somebody sits there and speaks: is told when to begin and how to end, and what it came to.
        typed: what the user said in writing: it is not written again.
    """

    def __init__(
        self,
        words: TextIO | None,
        *,
        bare: bool = False,
        quiet: bool = False,
        live: bool = False,
        typed: Collection[str] = (),
    ) -> None:
        self._words = words
        self._bare = bare
        self._quiet = quiet
        self._live = live
        self._typed = frozenset(text.strip() for text in typed)
        self._listening = False
        self._summary = ConversationSummary()
        self._last = TranscriptUpdate("assistant", "", "", final=True)  # that was written

    def __call__(self, event: Event) -> None:
        self._summary.apply(event)
        match event:
            case TranscriptUpdate(role, text=text, final=True) if text.strip():
                known = role == "user" and (self._bare or text.strip() in self._typed)
                if not known and (said := self._said(event)):
                    _write(self._words, "\n".join(map(printable, said.splitlines())))
            case _ if line := self._line(event):
                after_ctrl_c = isinstance(event, SessionEnded) and sys.stderr.isatty()  # most often ^C stands there
                _write(None, "\n" * after_ctrl_c + printable(line))

    def _said(self, update: TranscriptUpdate) -> str:
        """The words that somebody said; of words that come after the others only those."""
        last, self._last = self._last, update
        speaker, text, before = "You" if update.role == "user" else "Assistant", update.text.strip(), last.text.strip()
        if before and (update.role, update.item_id) == (last.role, last.item_id) and text.startswith(before):
            rest = text.removeprefix(before).strip()
            if not rest:
                return ""
            text = rest if self._bare else f"… {rest}"
        return text if self._bare else f"{speaker}: {text}{' …' if update.interrupted else ''}"

    def _line(self, event: Event) -> str:
        match event:
            case ErrorOccurred(error):
                return f"Error: {error}"
            case _ if self._quiet:
                return ""
            case SessionStarted() if self._live and not self._listening:
                self._listening = True
                return "Listening. Ctrl-C ends."
            case SessionEnded() if self._live:
                return self._summary.line()
            case Asleep(wake_word):
                return f'Asleep. Say "{wake_word}" to wake it; Ctrl-C ends.'
            case Awake():
                return "Awake."
            case ToolCallRequest(name=name, arguments=arguments):
                return f"Tool: {name} {arguments}"
            case ToolCallFinished(name=name, output=output, is_error=is_error):
                return f"Tool: {name} {'failed' if is_error else 'answered'}: {output}"
            case Reconnecting(attempt, delay_s, reason, attempts):
                number = f"{attempt}/{attempts}" if attempts else f"{attempt}"
                return f"Reconnecting {number} in {delay_s:.1f} s: {reason}"
            case Notice(code, message):
                return f"Note: {message}" if code != "backchannel" else ""
            case ResponseDone(status="failed" | "incomplete", reason=reason):
                return f"Note: the answer is not complete: {reason_words(reason)}"
            case _:
                return ""


def _write(stream: TextIO | None, text: str) -> None:
    if stream is not None:
        stream.write(f"{text}\n")
        stream.flush()
        return
    with contextlib.suppress(OSError):  # what nobody can read there keeps nothing else from going on
        sys.stderr.write(f"{text}\n")  # it moves while a device is open
        sys.stderr.flush()


def _error(error: RealtimeError) -> dict[str, str]:
    return {"error": type(error).__name__, "message": error.message, "advice": error.advice}
