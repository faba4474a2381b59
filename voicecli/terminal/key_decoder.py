"""Decoding of what a terminal sends when keys are pressed: pure, text in, keys out.

Understands the sequences of VT100 and xterm, bracketed paste, and the kitty keyboard protocol
(https://sw.kovidgoyal.net/kitty/keyboard-protocol/), which also tells when a key is let go.
"""

import re
from dataclasses import dataclass
from typing import Literal

__all__ = ["Key", "KeyDecoder"]

Action = Literal["press", "repeat", "release"]

_ESCAPE = "\x1b"
_PASTE_START, _PASTE_END = "\x1b[200~", "\x1b[201~"
# What is pasted is typed as a whole; this bounds what a paste without an end can hold back.
_MAX_PASTE = 1 << 20

_CSI = re.compile(r"\x1b\[([\x30-\x3f]*)([\x20-\x2f]*)([\x40-\x7e])")
_CSI_BEGUN = re.compile(r"\x1b(\[[\x30-\x3f]*[\x20-\x2f]*)?")
_SS3_FINALS = {"A": "up", "B": "down", "C": "right", "D": "left", "F": "end", "H": "home", "M": "enter"}
_CSI_FINALS = {"A": "up", "B": "down", "C": "right", "D": "left", "F": "end", "H": "home"}
_TILDES = {1: "home", 2: "insert", 3: "delete", 4: "end", 5: "pageup", 6: "pagedown", 7: "home", 8: "end"}
_NAMED = {9: "tab", 13: "enter", 27: "escape", 32: "space", 127: "backspace", 57414: "enter"}
_CONTROLS = {"\r": "enter", "\n": "enter", "\t": "tab", "\x7f": "backspace", "\b": "backspace", " ": "space"}
_ACTIONS: dict[int, Action] = {1: "press", 2: "repeat", 3: "release"}
# The protocol's modifier bits. Caps lock and num lock (64, 128) are no modifiers of a command.
_SHIFT = 1
_MODIFIERS = {4: "ctrl+", 2: "alt+", 8: "super+"}
# The protocol names the keys that make no text by code points of this private area.
_FUNCTIONAL = range(57344, 63744)
_JOINERS = "\u200c\u200d"  # invisible characters that people type: they part and join letters


@dataclass(frozen=True, slots=True)
class Key:
    """One thing that happened at the keyboard.

    Attributes:
        name: the character ("m", "?"), or "space", "enter", "escape", "backspace", "left" ..., with "ctrl+", "alt+"
            before it where held; "paste" for pasted text; "unknown" for what no program here uses.
        text: what it types, or "".
        action: "repeat" and "release" come only from terminals that tell them.
    """

    name: str
    text: str = ""
    action: Action = "press"


class KeyDecoder:
    """Cuts what the terminal sends into keys.

    Attributes:
        speaks_kitty: whether it has said that it knows the kitty keyboard protocol.
    """

    def __init__(self) -> None:
        self.speaks_kitty = False
        self._pending = ""

    @property
    def waiting(self) -> bool:
        """True while what came last may be the beginning of something longer; `flush()` decides that it is not."""
        return bool(self._pending) and not self._pending.startswith(_PASTE_START)

    def feed(self, text: str) -> list[Key]:
        """The keys that are complete now."""
        self._pending += text
        keys: list[Key] = []
        while self._pending:
            taken = self._take()
            if taken is None:
                break
            size, key = taken
            self._pending = self._pending[size:]
            if key is not None:
                keys.append(key)
        return keys

    def flush(self) -> list[Key]:
        """No more comes for now: a lone escape was the key of that name."""
        if not self.waiting:
            return []
        pending, self._pending = self._pending, ""
        return [Key("escape")] if pending == _ESCAPE else [Key("unknown")]

    def _take(self) -> tuple[int, Key | None] | None:
        """The first key of what is pending and its length; None when its end has not come yet."""
        pending = self._pending
        if pending[0] != _ESCAPE:
            return 1, _typed(pending[0])
        if pending.startswith(_PASTE_START):
            return self._paste()
        if match := _CSI.match(pending):
            return match.end(), self._sequence(match[1], match[3])
        if _CSI_BEGUN.fullmatch(pending):
            return None
        if pending[1] == "O":
            return (3, Key(_SS3_FINALS.get(pending[2], "unknown"))) if len(pending) > 2 else None
        if pending[1] == _ESCAPE:
            return 1, Key("escape")
        if pending[1] == "[":
            return 2, Key("unknown")  # broken off by a character that no sequence has
        return 2, Key(f"alt+{_typed(pending[1]).name}")

    def _paste(self) -> tuple[int, Key] | None:
        end = self._pending.find(_PASTE_END)
        if end >= 0:
            return end + len(_PASTE_END), Key("paste", self._pending[len(_PASTE_START) : end])
        if len(self._pending) > _MAX_PASTE:
            return len(self._pending), Key("unknown")
        return None

    def _sequence(self, parameters: str, final: str) -> Key | None:
        if parameters.startswith("?"):
            if final == "u":
                self.speaks_kitty = True
            return None  # an answer of the terminal's, not a key
        code, modifiers, text = [*parameters.split(";"), "", ""][:3]
        number = _number(code.partition(":")[0])
        if final == "u":
            name, typed = _kitty_key(number, text)
        elif final == "~":
            name, typed = _TILDES.get(number, "unknown"), ""
        else:
            name, typed = _CSI_FINALS.get(final, "unknown"), ""
        held, _, event = modifiers.partition(":")
        action = _ACTIONS.get(_number(event), "press")
        bits = max(_number(held) - 1, 0)
        prefix = "".join(word for bit, word in _MODIFIERS.items() if bits & bit)
        if prefix and name != "unknown":
            return Key(prefix + name, "", action)
        if len(name) == 1 and not typed:
            typed = name.upper() if bits & _SHIFT else name
        if len(typed) == 1 and not typed.isspace():
            name = typed  # "?" is a command, wherever the layout has it
        return Key(name, "" if action == "release" else typed, action)


def _kitty_key(code: int, text: str) -> tuple[str, str]:
    points = [_number(point) for point in text.split(":")]
    typed = "".join(chr(point) for point in points if point < 0x110000 and _is_text(chr(point)))
    if code in _NAMED:
        return _NAMED[code], typed or (" " if code == 32 else "")
    if code in _FUNCTIONAL or not 0 < code < 0x110000:
        return "unknown", typed
    return chr(code), typed


def _typed(char: str) -> Key:
    if char in _CONTROLS:
        return Key(_CONTROLS[char], " " if char == " " else "")
    if char < " ":
        return Key(f"ctrl+{chr(ord(char) + 96)}" if "\x01" <= char <= "\x1a" else f"ctrl+{chr(ord(char) + 64)}")
    return Key(char, char) if _is_text(char) else Key("unknown")


def _is_text(char: str) -> bool:
    return char.isprintable() or char in _JOINERS


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0
