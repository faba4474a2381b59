"""Names of the keys that do something now, for the footer and for the help."""

from voicecli.terminal.view_model import State, ViewModel

__all__ = ["KEYS", "key_help", "key_hints"]

_TALK = ("space", "talk: tap to begin and tap to send, or hold; unmutes the microphone")
_WAKE = ("space or Enter", "wake it; it also wakes for a line you type")
_MICROPHONE = ("m", "mute the microphone, or unmute it")
_SPEAKER = ("s", "speaker off, or on again")
_ALWAYS = (
    ("i or Esc", "interrupt the reply"),
    ("t", "type while voice goes on: Enter sends, Esc drops, Ctrl-C clears"),
    ("q or Ctrl-C", "end; Ctrl-C twice ends at once"),
)
KEYS = (
    *(_MICROPHONE, _SPEAKER, *_ALWAYS[:2], ("?", "explain the keys that work now"), *_ALWAYS[2:]),
    ("y, n, a", "a tool asks: allow it once, refuse it, or allow it until the conversation ends"),
    *((key, f"{option}: {what}") for option, (key, what) in {"--vad none": _TALK, "--wake": _WAKE}.items()),
)
"""All keys, and what they do."""


def key_hints(view: ViewModel) -> list[tuple[str, str]]:
    """The keys that do something now, most needed first, and what they do."""
    state = view.state
    if state in {State.ENDING, State.ENDED}:
        return []
    if view.editor is not None:
        return [("enter", "send"), ("esc", "cancel"), ("ctrl-c", "clear")]
    hints = _answers(view, "allow", "refuse", "always allow")
    if view.asleep and not view.push_to_talk:
        hints.append(("space", "wake"))
    if view.push_to_talk:
        hints.append(("space", "send" if view.talking else "talk"))
    hints.append(("m", "unmute" if view.microphone_muted else "mute"))
    if state in {State.SPEAKING, State.BOTH, State.THINKING}:
        hints.append(("i", "interrupt"))
    hints += [("t", "type"), ("q", "end")]
    if view.has_speaker:
        hints.append(("s", "speaker on" if view.speaker_muted else "speaker off"))
    return [*hints, ("?", "help")]


def key_help(view: ViewModel) -> str:
    """The explanation of the keys, a line for each."""
    keys = _answers(view, "allow what is asked, once", "refuse it", "allow this tool until the conversation ends")
    keys += [_TALK] if view.push_to_talk else []
    if view.wake_word:
        keys.append(("Enter", _WAKE[1]) if view.push_to_talk else _WAKE)
    keys += [_MICROPHONE, *([_SPEAKER] if view.has_speaker else []), *_ALWAYS]
    width = max(len(key) for key, _ in keys)
    return "\n".join(f"{key:<{width}}  {what}" for key, what in keys)


def _answers(view: ViewModel, once: str, refuse: str, always: str) -> list[tuple[str, str]]:
    """The keys that answer a question, where one is asked."""
    request = view.questions.first
    if request is None:
        return []
    return [("y", once), ("n", refuse), *([("a", always)] if request.tool_id else [])]
