"""A conversation as one HTML page: its time line, its waveform and sound where it was recorded, and its words.

The page loads nothing: styles, script, waveform and, where it is small, the sound are in it. All that was said by
people, models and tools is text in it, never markup.
"""

import base64
import hashlib
import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources

from voicecli.history.exports.facts import facts, told_at
from voicecli.history.exports.timeline import SPEAKERS, Timeline, clock_text
from voicecli.history.records import ConversationRecord, ToolCallRecord, TurnRecord, in_order
from voicecli.text import valid_text, without_controls

__all__ = ["Waveform", "page"]

_TICKS_S = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600)
_MOST_TICKS = 8
_HEIGHT = 100  # of the waveform's picture


@dataclass(frozen=True, slots=True)
class Waveform:
    """The loudness of both sides of a recording, in pieces of equal length.

    Attributes:
        user, assistant: the peak of each piece, 0 to 1; as many of one as of the other.
        length_ms: of the recording.
    """

    user: Sequence[float]
    assistant: Sequence[float]
    length_ms: int


def page(record: ConversationRecord, waveform: Waveform | None = None, sound: str = "") -> str:
    """The conversation as an HTML page.

    Args:
        waveform: of its recording.
        sound: the address of the recording, beside the page or in it ("data:..."); "" for none.
    """
    title = f"Conversation of {told_at(record.started_at)}"
    style, script = _file("page.css"), _file("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    # Nothing is fetched, and no other script runs, whatever may be in the words.
    policy = (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        "media-src 'self' data: file:; base-uri 'none'; form-action 'none'"
    )
    body = _Body(record, waveform, sound)
    lines = [
        "<!doctype html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_text(policy)}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="referrer" content="no-referrer">',
        f"<title>{_text(title)}</title>",
        f"<style>\n{style}</style>",
        "</head>",
        "<body>",
        f"<h1>{_text(title)}</h1>",
        *body.head(),
        *body.time_line(),
        *body.talk(),
        f"<script>{script}</script>",
        "</body>",
        "</html>",
    ]
    return "\n".join(lines) + "\n"


class _Body:
    """The parts of the page."""

    def __init__(self, record: ConversationRecord, waveform: Waveform | None, sound: str) -> None:
        self._record = record
        self._waveform = waveform
        self._sound = sound
        self._time = Timeline(record)
        self._length_ms = max(1_000, self._time.length_ms, waveform.length_ms if waveform else 0)
        self._happened = in_order(record)

    def head(self) -> Iterator[str]:
        yield '<dl class="facts">'
        for name, value in facts(self._record):
            yield f"<div><dt>{_text(name)}</dt><dd>{_text(value)}</dd></div>"
        yield "</dl>"
        if self._sound:
            yield f'<audio controls preload="metadata" src="{_text(self._sound)}"></audio>'
        elif self._record.recording is not None:
            yield '<p class="note">The recording is not part of this page.</p>'

    # -- the time line

    def time_line(self) -> Iterator[str]:
        recorded = " recorded" if self._waveform is not None else ""
        yield "<h2>Time line</h2>"
        yield '<div class="bar"><span class="key user">You</span><span class="key assistant">Assistant</span>'
        if self._record.tool_calls:
            yield '<span class="key tool">Tool</span>'
        yield '<span class="key cut">Interrupted</span><span>┄ Waited for the answer</span>'
        yield (
            '<span class="zoom"><button type="button" data-zoom="0.5" aria-label="Zoom out">\u2212</button> '
            '<button type="button" data-zoom="2" aria-label="Zoom in">+</button></span></div>'
        )
        yield f'<div class="scroll{recorded}" tabindex="0" role="group" aria-label="Time line">'
        yield f'<div class="lanes" data-seconds="{self._length_ms / 1000:.3f}">'
        for role in ("user", "assistant"):
            yield from self._lane(role)
        if self._record.tool_calls:
            yield '<div class="lane tool"><span class="name">Tools</span>'
            for number, each in enumerate(self._happened, 1):
                if isinstance(each, ToolCallRecord):
                    yield self._mark(number, *self._span(each), f"{each.name}", "tool")
            yield "</div>"
        yield from self._ticks()
        yield '<div class="head" hidden></div>'
        yield "</div></div>"

    def _lane(self, role: str) -> Iterator[str]:
        yield f'<div class="lane {role}"><span class="name">{SPEAKERS[role]}</span>'
        for number, each in enumerate(self._happened, 1):
            if not isinstance(each, TurnRecord) or each.role != role:
                continue
            begin, end = self._span(each)
            waited = self._time.waited_ms(each)
            if waited:
                yield (
                    f'<span class="wait" style="{self._place(max(0, begin - waited), begin)}" '
                    f'title="{_text(_seconds(waited))}"></span>'
                )
            yield self._mark(number, begin, end, each.text, f"{role}{' cut' if each.interrupted else ''}")
        if self._waveform is not None:
            peaks = self._waveform.user if role == "user" else self._waveform.assistant
            yield _picture(peaks, self._waveform.length_ms, self._length_ms)
        yield "</div>"

    def _mark(self, number: int, begin: int, end: int, text: str, kind: str) -> str:
        words = text if len(text) <= 200 else f"{text[:200]} …"
        label = f"{clock_text(begin)} {words}"
        return (
            f'<a class="mark {kind}" href="#t{number}" tabindex="-1" style="{self._place(begin, end)}" '
            f'title="{_text(label)}" aria-label="{_text(label)}"></a>'
        )

    def _ticks(self) -> Iterator[str]:
        wanted = self._length_ms / 1000 / _MOST_TICKS
        step_s = next((step for step in _TICKS_S if step >= wanted), _TICKS_S[-1])
        while step_s < wanted:
            step_s *= 2
        for second in range(0, self._length_ms // 1000 + 1, step_s):
            left = second * 1000 / self._length_ms * 100
            if left < 92:  # its text would stand beside the time line
                yield f'<span class="tick" style="left:{left:.3f}%">{clock_text(second * 1000)}</span>'

    def _place(self, begin: int, end: int) -> str:
        left = begin / self._length_ms * 100
        width = max(0, end - begin) / self._length_ms * 100
        return f"left:{left:.3f}%;width:{width:.3f}%"

    def _span(self, each: TurnRecord | ToolCallRecord) -> tuple[int, int]:
        if isinstance(each, TurnRecord):
            return self._time.span(each)
        begin = self._time.at(each.started_ms)
        return begin, begin if each.ended_ms is None else self._time.at(each.ended_ms)

    # -- the words

    def talk(self) -> Iterator[str]:
        yield "<h2>Words</h2>"
        keys = "Keys: j and k go to the next and the previous one, + and - zoom"
        yield f'<p class="note keys">{keys}{", p plays and pauses" if self._sound else ""}.</p>'
        yield '<ol class="talk">'
        for number, each in enumerate(self._happened, 1):
            begin, end = self._span(each)
            kind = each.role if isinstance(each, TurnRecord) else "tool"
            yield (
                f'<li id="t{number}" class="{_text(kind)}" tabindex="-1" data-from="{begin / 1000:.3f}" '
                f'data-to="{end / 1000:.3f}">'
            )
            when = clock_text(begin)
            if self._sound:
                when = (
                    f'<button type="button" data-at="{begin / 1000:.3f}" aria-label="Play from {when}">{when}</button>'
                )
            yield f'<span class="when">{when}</span>'
            yield from self._turn(each) if isinstance(each, TurnRecord) else self._call(each)
            yield "</li>"
        yield "</ol>"

    def _turn(self, turn: TurnRecord) -> Iterator[str]:
        badges = ""
        if waited := self._time.waited_ms(turn):
            badges += f'<span class="badge">after {_seconds(waited)}</span>'
        if turn.interrupted:
            badges += '<span class="badge cut">interrupted</span>'
        yield f'<div><span class="who">{_text(SPEAKERS.get(turn.role, turn.role))}</span>{badges}'
        yield f'<div class="words" dir="auto">{_text(turn.text.strip())}</div></div>'

    def _call(self, call: ToolCallRecord) -> Iterator[str]:
        badges = ""
        if call.ended_ms is not None:
            badges += f'<span class="badge">{_seconds(call.ended_ms - call.started_ms)}</span>'
        if call.is_error or call.cancelled:
            badges += f'<span class="badge cut">{"taken back" if call.cancelled else "failed"}</span>'
        yield f'<details><summary><span class="who">Tool {_text(call.name)}</span>{badges}</summary>'
        yield f"<pre>{_text(call.arguments)}</pre>"
        if call.output is not None:
            yield f"<pre>{_text(call.output)}</pre>"
        yield "</details>"


def _picture(peaks: Sequence[float], length_ms: int, of_ms: int) -> str:
    """The waveform of one side, as wide as its part of the time line."""
    middle = _HEIGHT // 2
    heights = [round(min(1.0, max(0.0, peak)) * middle) for peak in peaks]
    # Upper edge to the right, lower edge back: one line, as wide as it is loud.
    upper = "".join(f"L{place} {middle - height}h1" for place, height in enumerate(heights))
    lower = "".join(f"L{place + 1} {middle + height}h-1" for place, height in reversed(list(enumerate(heights))))
    width = length_ms / of_ms * 100
    return (
        f'<svg aria-hidden="true" viewBox="0 0 {max(1, len(peaks))} {_HEIGHT}" preserveAspectRatio="none" '
        f'style="width:{width:.3f}%"><path d="M0 {middle}{upper}{lower}Z"/></svg>'
    )


def _seconds(ms: int) -> str:
    return f"{ms} ms" if ms < 1000 else f"{ms / 1000:.1f} s"


def _text(text: str) -> str:
    """Text as HTML shows it, in an attribute too; characters that no page may hold are replaced."""
    return html.escape(valid_text(without_controls(text)), quote=True)


def _file(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
