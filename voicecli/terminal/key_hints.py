"""Names of the keys that do something now, for the footer and for the help."""

from voicecli.terminal.view_model import State, ViewModel

__all__ = ["key_help", "key_hints"]


def key_hints(view: ViewModel) -> list[tuple[str, str]]:
    """The keys that do something now, most needed first, and what they do."""
    state = view.state
    if state in {State.ENDING, State.ENDED}:
        return []
    if view.editor is not None:
        return [("enter", "send"), ("esc", "cancel")]
    hints = [("y", "allow"), ("n", "refuse")] if view.approvals else []
    if view.push_to_talk:
        hints.append(("space", "send" if view.talking else "talk"))
    hints.append(("m", "unmute" if view.microphone_muted else "mute"))
    if state in {State.SPEAKING, State.THINKING}:
        hints.append(("i", "interrupt"))
    hints += [("t", "type"), ("q", "end")]
    if view.has_speaker:
        hints.append(("s", "speaker on" if view.speaker_muted else "speaker off"))
    return [*hints, ("?", "help")]


def key_help(view: ViewModel) -> str:
    """The explanation of the keys, a line for each."""
    lines = ["y  allow what is asked\nn  refuse it"] if view.approvals else []
    if view.push_to_talk:
        lines.append("space  talk: tap to begin and tap to send, or hold; unmutes the microphone")
    lines.append("m  mute the microphone")
    if view.has_speaker:
        lines.append("s  speaker off, or on again")
    lines += [
        "i or Esc  interrupt the reply",
        "t  type a line while voice goes on: Enter sends, Esc drops, Ctrl-C clears it",
    ]
    lines.append("q or Ctrl-C  end; Ctrl-C twice ends at once")
    return "\n".join(lines)
