"""The commands that keys give in a live conversation: pure but for the calls to `Controls`."""

import math
from typing import Protocol

from voicecli.events import ApprovalOutcome
from voicecli.terminal.key_decoder import Key
from voicecli.terminal.key_hints import key_help
from voicecli.terminal.line_editor import LineEditor
from voicecli.terminal.view_model import ViewModel

__all__ = ["Controls", "KeyCommands", "PushToTalk"]

# A terminal that does not tell when a key is let go repeats it meanwhile: 25 to 40 times a second, 10 at the least.
# A second press followed by another within this time is such a repetition; alone it is a second tap.
_REPEAT_S = 0.15
# Silence of a repeated key that means it was let go; a remote line makes the repetitions uneven.
_LET_GO_S = 0.3
# A key held less than this was tapped: the turn stays open until the next tap.
_TAP_S = 0.3
# A key that is held comes again after half a second, then many times a second.
_HELD_KEY_S = 1.0
_OUTCOMES: dict[str, ApprovalOutcome] = {"y": "once", "n": "denied", "a": "always"}


class Controls(Protocol):
    """Actions of keys on the conversation. Called in the event loop; nothing here may wait."""

    def mute_microphone(self, muted: bool) -> None: ...
    def mute_speaker(self, muted: bool) -> None: ...
    def talk(self, talking: bool) -> None:
        """Push-to-talk: the user's turn begins, which stops a reply; or it ends, to be answered."""

    def wake(self) -> None:
        """Begin a conversation, where none goes on."""

    def interrupt(self) -> None:
        """Stop the reply."""

    def say(self, text: str) -> None:
        """Send a line the user typed."""

    def approve(self, approval_id: str, allowed: bool, *, always: bool = False) -> None:
        """Answer an ApprovalRequest, `always` for all calls of its tool in this conversation."""

    def end(self) -> None:
        """End the conversation."""


class PushToTalk:
    """Tells taps from holds of the talk key, also where the terminal only repeats a held key.

    A tap opens the turn and the next one ends it; holding keeps it open and letting go ends it. Times are in seconds.
    """

    def __init__(self) -> None:
        self.talking = False
        self._pressed_at = 0.0
        self._again_at: float | None = None
        self._repeating = False

    def key(self, key: Key, now: float) -> None:
        """The talk key was pressed, repeated or let go."""
        if key.action == "release":
            if self.talking and now - self._pressed_at >= _TAP_S:
                self._stop()
        elif key.action == "repeat":
            return
        elif not self.talking:
            self.talking, self._pressed_at = True, now
        elif self._again_at is not None and now - self._again_at <= (_LET_GO_S if self._repeating else _REPEAT_S):
            self._repeating, self._again_at = True, now
        else:
            self._again_at = now

    def tick(self, now: float) -> None:
        """Time has passed: called about every 80 ms."""
        if self._again_at is not None and now - self._again_at > (_LET_GO_S if self._repeating else _REPEAT_S):
            self._stop()

    def _stop(self) -> None:
        self.talking, self._again_at, self._repeating = False, None, False


class KeyCommands:
    """Hands keys to the line being typed, or does what they stand for."""

    def __init__(self, view: ViewModel, controls: Controls) -> None:
        self._view = view
        self._controls = controls
        self._push = PushToTalk()
        self._told_of_unmuting = False
        self._help_at = -math.inf  # when its key was pressed last

    def press(self, key: Key) -> None:
        """Take a key."""
        view = self._view
        if view.editor is not None and key.action != "release":
            self._type(key, view.editor)
        elif key.name == "space":
            if view.push_to_talk:
                self._push.key(key, view.clock())
                self._follow_push()
            else:
                self._wake(key)
        elif key.name == "enter":
            self._wake(key)
        elif key.action == "press":
            self._command(key)

    def tick(self) -> None:
        """Time has passed: called about every 80 ms."""
        self._push.tick(self._view.clock())
        self._follow_push()

    def end(self) -> None:
        """End the conversation."""
        self._view.end_asked()
        self._controls.end()

    def clear_line(self) -> None:
        """Ctrl-C while a line is being typed: clear it, or leave it when it is empty."""
        editor = self._view.editor
        self._view.editor = LineEditor() if editor is not None and editor.text else None

    def _follow_push(self) -> None:
        if self._push.talking == self._view.talking:
            return
        if self._push.talking and self._view.microphone_muted:
            self._mute_microphone(False)  # a turn of silence is nobody's wish
            if not self._told_of_unmuting:
                self._told_of_unmuting = True
                self._view.note("The talk key has unmuted the microphone.")
        self._view.set_talking(self._push.talking)
        self._controls.talk(self._push.talking)

    def _wake(self, key: Key) -> None:
        if self._view.asleep and key.action == "press":
            self._controls.wake()

    def _mute_microphone(self, muted: bool) -> None:
        self._view.microphone_muted = muted
        self._controls.mute_microphone(muted)

    def _type(self, key: Key, editor: LineEditor) -> None:
        if key.name == "enter":
            self._view.editor = None
            if text := editor.text.strip():
                self._view.turn_ended()
                self._controls.say(text)
        elif key.name == "escape":
            self._view.editor = None
        else:
            editor.press(key)

    def _command(self, key: Key) -> None:
        view, controls = self._view, self._controls
        match key.name.lower():
            case "m":
                self._mute_microphone(not view.microphone_muted)
            case "s" if view.has_speaker:
                view.speaker_muted = not view.speaker_muted
                controls.mute_speaker(view.speaker_muted)
            case "i" | "escape":
                view.answer_given_up()
                controls.interrupt()
            case "t":
                view.editor = LineEditor()
            case "?" | "h":
                self._show_help()
            case "q":
                self.end()
            case "y" | "n" | "a" as answer if view.questions:
                outcome = _OUTCOMES[answer]
                if (request := view.answer_question(outcome)) is not None:
                    controls.approve(request.approval_id, outcome != "denied", always=outcome == "always")

    def _show_help(self) -> None:
        """Explain the keys; once, while the key for it is held."""
        now, before = self._view.clock(), self._help_at
        self._help_at = now
        if now - before >= _HELD_KEY_S:
            self._view.note(key_help(self._view), "help")
