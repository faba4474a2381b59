import asyncio
import os
import pty
import select
import termios
import threading
from collections.abc import Iterator

import pytest
from prompt_toolkit.input import create_pipe_input

from voicecli.events import ApprovalRequest, SessionStarted
from voicecli.terminal.key_bindings import KeyCommands, PushToTalk
from voicecli.terminal.key_decoder import Key, KeyDecoder
from voicecli.terminal.keyboard_posix import TerminalKeyboard
from voicecli.terminal.keyboard_windows import ConsoleKeyboard
from voicecli.terminal.line_editor import LineEditor
from voicecli.terminal.view_model import Sound, State, View


@pytest.mark.parametrize(
    ("sent", "keys"),
    [
        ("m?é日", [Key("m", "m"), Key("?", "?"), Key("é", "é"), Key("日", "日")]),
        (" \r\n\t\x7f", [Key("space", " "), Key("enter"), Key("enter"), Key("tab"), Key("backspace")]),
        ("\x01\x15\x1c", [Key("ctrl+a"), Key("ctrl+u"), Key("ctrl+\\")]),
        ("\x1b[A\x1bOB\x1b[1;5C\x1b[3~", [Key("up"), Key("down"), Key("ctrl+right"), Key("delete")]),
        ("\x1bb\x1b\x7f", [Key("alt+b"), Key("alt+backspace")]),
        ("\x1b[200~two\nlines m\x1b[201~x", [Key("paste", "two\nlines m"), Key("x", "x")]),
        ("\x1b[99~\x1b[<0;1;2M\x1b[5;7R", [Key("unknown")] * 3),
        ("\x1b[\x01m", [Key("unknown"), Key("ctrl+a"), Key("m", "m")]),
        # The kitty keyboard protocol: space held and let go; m; M; an accent; Ctrl-C; Escape; a Shift key alone.
        (
            "\x1b[32;;32u\x1b[32;1:2;32u\x1b[32;1:3u",
            [Key("space", " "), Key("space", " ", "repeat"), Key("space", "", "release")],
        ),
        ("\x1b[109u\x1b[109;2;77u\x1b[0;;233u", [Key("m", "m"), Key("M", "M"), Key("é", "é")]),
        ("\x1b[99;5u\x1b[27u\x1b[57441;2u", [Key("ctrl+c"), Key("escape"), Key("unknown")]),
        ("\x1b[47:63;2;63u\x1b[57414u\x1b[97;65u", [Key("?", "?"), Key("enter"), Key("a", "a")]),
        ("\x1b[1;1:3A\x1b[3;1:2~", [Key("up", "", "release"), Key("delete", "", "repeat")]),
        ("\x1b[99999999999u\x1b[0;;55296:1114112u", [Key("unknown"), Key("unknown")]),
    ],
)
def test_what_a_terminal_sends_is_decoded_however_it_is_cut(sent: str, keys: list[Key]) -> None:
    assert KeyDecoder().feed(sent) == keys
    decoder = KeyDecoder()
    assert [key for char in sent for key in decoder.feed(char)] == keys
    assert not decoder.waiting


def test_a_lone_escape_is_the_key_when_nothing_follows() -> None:
    decoder = KeyDecoder()
    assert decoder.feed("\x1b") == []
    assert decoder.waiting
    assert decoder.flush() == [Key("escape")]
    assert decoder.feed("\x1b\x1b[A") == [Key("escape"), Key("up")]
    assert decoder.feed("\x1b[1;") == []
    assert decoder.flush() == [Key("unknown")], "a broken sequence types nothing"
    assert decoder.flush() == []


def test_a_paste_without_an_end_waits_for_it_and_does_not_grow_for_ever() -> None:
    decoder = KeyDecoder()
    assert decoder.feed("\x1b[200~q") == []
    assert not decoder.waiting
    assert decoder.flush() == []
    assert decoder.feed("x" * (1 << 20)) == [Key("unknown")]
    assert decoder.feed("m") == [Key("m", "m")]


def test_the_terminal_tells_what_it_can() -> None:
    decoder = KeyDecoder()
    assert not decoder.speaks_kitty
    assert decoder.feed("\x1b[?62;4c\x1b[?0u") == []
    assert decoder.speaks_kitty


def typed(*names: str) -> LineEditor:
    editor = LineEditor()
    for name in names:
        editor.press(Key(name, name if len(name) == 1 else ""))
    return editor


@pytest.mark.parametrize(
    ("names", "text", "cursor"),
    [
        ([*"one two"], "one two", 7),
        ([*"abc", "left", "left", "X"], "aXbc", 2),
        ([*"abc", "home", "delete", "end", "backspace"], "b", 1),
        ([*"one two  ", "ctrl+w", "x"], "one x", 5),
        ([*"one two", "alt+b", "ctrl+k"], "one ", 4),
        ([*"one two", "ctrl+left", "ctrl+u"], "two", 0),
        ([*"one two", "home", "ctrl+right", "!"], "one! two", 4),
        (["left", "backspace", "delete", "right"], "", 0),
        ([*"e\u0301x", "left", "backspace"], "x", 0),
        ([*"👩\u200d👧", "backspace"], "", 0),
        ([*"👩\u200d👧", "home", "right", "z"], "👩\u200d👧z", 4),
    ],
)
def test_a_line_is_edited(names: list[str], text: str, cursor: int) -> None:
    editor = typed(*names)
    assert (editor.text, editor.cursor) == (text, cursor)


def test_a_line_stays_one_line() -> None:
    editor = LineEditor()
    editor.press(Key("paste", "one\r\ntwo\nthree"))
    assert editor.text == "one two three"
    assert not editor.press(Key("up"))


class Recorder:
    """`Controls` that writes down what it is asked for."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def mute_microphone(self, muted: bool) -> None:
        self.calls.append(f"mute_microphone {muted}")

    def mute_speaker(self, muted: bool) -> None:
        self.calls.append(f"mute_speaker {muted}")

    def talk(self, talking: bool) -> None:
        self.calls.append(f"talk {talking}")

    def interrupt(self) -> None:
        self.calls.append("interrupt")

    def say(self, text: str) -> None:
        self.calls.append(f"say {text}")

    def approve(self, approval_id: str, allowed: bool) -> None:
        self.calls.append(f"approve {approval_id} {allowed}")

    def end(self) -> None:
        self.calls.append("end")


class Hands:
    """Keys pressed at set times."""

    def __init__(self, *, push_to_talk: bool = False) -> None:
        self.now = 0.0
        self.view = View(push_to_talk=push_to_talk, clock=lambda: self.now)
        self.view.apply(SessionStarted("", "", "", 24_000, 24_000))
        self.controls = Recorder()
        self.commands = KeyCommands(self.view, self.controls)

    def press(self, text: str) -> list[str]:
        """Press what a terminal sends for it; what was asked for since the last call."""
        decoder = KeyDecoder()
        for key in [*decoder.feed(text), *decoder.flush()]:
            self.commands.press(key)
        return self.asked()

    def wait(self, seconds: float) -> list[str]:
        """Let time pass in pictures; what was asked for meanwhile."""
        for _ in range(round(seconds / 0.01)):
            self.now += 0.01
            self.commands.tick()
        return self.asked()

    def asked(self) -> list[str]:
        calls, self.controls.calls = self.controls.calls, []
        return calls


def test_each_key_does_what_its_hint_says() -> None:
    hands = Hands()
    assert hands.press("s") == [], "there is no loudspeaker"
    hands.view.set_sound(Sound(speaker="Headphones"))
    assert hands.press("m") == ["mute_microphone True"]
    assert hands.view.state is State.MUTED
    assert hands.press("m") == ["mute_microphone False"]
    assert hands.press("s") == ["mute_speaker True"]
    assert hands.press("S") == ["mute_speaker False"]
    assert hands.press("i") == hands.press("\x1b") == ["interrupt"]
    assert hands.press("q") == ["end"]
    assert hands.view.state_words == "Ending"
    assert hands.press("xyn \x1b[A\x1bm\x1b[200~q\x1b[201~") == [], "other keys, and pasted text, do nothing"
    assert hands.press("?") == []
    assert "mute the microphone" in str(hands.view.take_entries())


def test_only_a_press_is_a_command() -> None:
    assert Hands().press("\x1b[109;1:1;109u\x1b[109;1:2;109u\x1b[109;1:3u") == ["mute_microphone True"]


def test_keys_are_letters_while_a_line_is_typed() -> None:
    hands = Hands(push_to_talk=True)
    assert hands.press("tquiz m s?") == []
    assert hands.view.editor is not None
    assert hands.view.editor.text == "quiz m s?"
    assert hands.press("\r") == ["say quiz m s?"]
    assert hands.view.editor is None
    assert hands.view.state is State.THINKING
    assert hands.press("tnever mind\x1b") == []
    assert hands.press("t  \r") == [], "nothing to say"
    assert hands.press("q") == ["end"]


def test_an_approval_is_given_or_refused() -> None:
    hands = Hands()
    hands.view.apply(ApprovalRequest("a1", "search", "{}", "server"))
    hands.view.apply(ApprovalRequest("a2", "search", "{}", "server"))
    assert hands.press("y") == ["approve a1 True"]
    assert hands.press("n") == ["approve a2 False"]
    assert hands.press("y") == []


def test_space_is_no_command_where_voice_finds_the_turns() -> None:
    assert Hands().press(" ") == []


def test_taps_of_the_talk_key_begin_and_end_a_turn() -> None:
    hands = Hands(push_to_talk=True)
    assert hands.view.state_words == "Ready"
    assert hands.press(" ") == ["talk True"]
    assert hands.view.state_words == "Hearing you"
    assert hands.wait(5) == []
    assert hands.press(" ") == []
    assert hands.wait(0.2) == ["talk False"]
    assert hands.view.state is State.THINKING


@pytest.mark.parametrize(("delay", "every"), [(0.25, 0.03), (0.66, 0.033), (0.5, 0.1)])
def test_a_terminal_that_repeats_a_held_key_can_be_held_to_talk(delay: float, every: float) -> None:
    hands = Hands(push_to_talk=True)
    assert hands.press(" ") == ["talk True"]
    assert hands.wait(delay) == []
    for _ in range(40):
        assert hands.press(" ") == []
        assert hands.wait(every) == []
    assert hands.wait(0.4) == ["talk False"]
    assert hands.wait(2) == []


def test_a_terminal_that_tells_the_release_can_be_held_or_tapped() -> None:
    hands = Hands(push_to_talk=True)
    down, up = "\x1b[32;1:1;32u", "\x1b[32;1:3u"
    assert hands.press(down) == ["talk True"]
    assert hands.wait(1) == []
    assert hands.press("\x1b[32;1:2;32u") == []
    assert hands.press(up) == ["talk False"]
    assert hands.press(down) == ["talk True"]
    assert hands.wait(0.1) == []
    assert hands.press(up) == [], "a tap leaves the turn open"
    assert hands.wait(3) == []
    assert hands.press(down + up) == ["talk False"]


def test_the_talk_key_unmutes_the_microphone_and_says_so_once() -> None:
    hands = Hands(push_to_talk=True)
    hands.press("m")
    assert hands.view.state is State.MUTED
    assert ("space", "talk") in hands.view.key_hints
    assert hands.press(" ") == ["mute_microphone False", "talk True"]
    assert hands.view.state_words == "Hearing you"
    assert "The talk key has unmuted the microphone." in str(hands.view.take_entries())
    hands.press("m")
    assert hands.view.state is State.MUTED, "nothing is heard then, although the turn is open"
    hands.press("m ")
    hands.wait(0.2)
    hands.press("m")
    assert hands.press(" ") == ["mute_microphone False", "talk True"]
    assert hands.view.take_entries() == []


def test_interrupting_what_is_only_waited_for_shows_at_once() -> None:
    hands = Hands()
    hands.press("thello\r")
    assert hands.view.state is State.THINKING
    assert hands.press("i") == ["interrupt"]
    assert hands.view.state_words == "Listening"


def test_a_turn_held_open_ends_although_a_line_is_being_typed() -> None:
    hands = Hands(push_to_talk=True)
    hands.press("\x1b[32;1:1;32u")
    hands.wait(1)
    hands.press("t")
    assert hands.press("\x1b[32;1:3u") == ["talk False"]


def test_push_to_talk_forgets_the_last_turn() -> None:
    push = PushToTalk()
    for start in (0.0, 10.0):
        push.key(Key("space"), start)
        push.tick(start + 1)
        assert push.talking
        push.key(Key("space"), start + 2)
        push.tick(start + 2.1)
        assert push.talking
        push.tick(start + 2.2)
        assert not push.talking


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """The two ends of a pseudo-terminal: what the user's side reads and writes, and the program's."""
    user, program = pty.openpty()
    yield user, program
    os.close(user)
    os.close(program)


async def test_the_keyboard_reads_without_enter_and_gives_the_terminal_back(terminal: tuple[int, int]) -> None:
    user, program = terminal
    keys: asyncio.Queue[Key] = asyncio.Queue()
    keyboard = TerminalKeyboard(program, program, keys.put_nowait)
    before = termios.tcgetattr(program)
    for _ in range(2):  # it can be taken again, as after Ctrl-Z
        keyboard.open()
        assert os.read(user, 100) == b"\x1b[?2004h\x1b[?u"
        assert not termios.tcgetattr(program)[3] & (termios.ECHO | termios.ICANON)
        assert termios.tcgetattr(program)[3] & termios.ISIG, "Ctrl-C must work although the event loop hangs"
        os.write(user, "mé".encode()[:2])
        assert await asyncio.wait_for(keys.get(), 10) == Key("m", "m")
        os.write(user, "é".encode()[1:] + b"\x1b")
        assert await asyncio.wait_for(keys.get(), 10) == Key("é", "é")
        assert await asyncio.wait_for(keys.get(), 10) == Key("escape")
        keyboard.close()
        keyboard.close()
        assert os.read(user, 100) == b"\x1b[?2004l"
        assert termios.tcgetattr(program) == before


@pytest.mark.parametrize("opened_again", [True, False])
async def test_another_reader_of_the_terminal_holds_nothing_up(
    terminal: tuple[int, int], monkeypatch: pytest.MonkeyPatch, opened_again: bool
) -> None:
    def refused(fd: int) -> str:
        raise OSError

    if not opened_again:
        monkeypatch.setattr(os, "ttyname", refused)
    user, program = terminal
    keys: asyncio.Queue[Key] = asyncio.Queue()
    keyboard = TerminalKeyboard(program, program, keys.put_nowait)
    keyboard.open()
    assert os.get_blocking(program), "the shell has it, too"
    loop = asyncio.get_running_loop()
    rescue = threading.Timer(5, os.write, (user, b"late"))
    rescue.start()
    began = loop.time()
    os.write(user, b"x")
    assert select.select([program], [], [], 10)[0]
    loop.call_soon(os.read, program, 10)  # between the keyboard's being told of the key and its reading it
    for _ in range(3):
        await asyncio.sleep(0)
    rescue.cancel()
    assert loop.time() - began < 4
    assert keys.empty()
    os.write(user, b"m")
    assert await asyncio.wait_for(keys.get(), 10) == Key("m", "m")
    keyboard.close()


async def test_the_keyboard_asks_for_releases_only_where_they_are_known(terminal: tuple[int, int]) -> None:
    user, program = terminal
    keys: asyncio.Queue[Key] = asyncio.Queue()
    keyboard = TerminalKeyboard(program, program, keys.put_nowait)
    keyboard.open()
    os.read(user, 100)
    os.write(user, b"\x1b[?0u")
    asked = await asyncio.to_thread(os.read, user, 100)
    assert asked == b"\x1b[>27u"
    os.write(user, b"\x1b[32;1:3u")
    assert await asyncio.wait_for(keys.get(), 10) == Key("space", "", "release")
    keyboard.close()
    assert os.read(user, 100) == b"\x1b[<u\x1b[?2004l"


async def test_a_console_of_prompt_toolkits_gives_the_same_keys() -> None:
    keys: asyncio.Queue[Key] = asyncio.Queue()
    with create_pipe_input() as console:
        keyboard = ConsoleKeyboard(keys.put_nowait, console)
        keyboard.open()
        console.send_text("m? \r\x7f\x01\x1b[D\x1b[3~\x1b[1;5C\x1b[200~pasted\x1b[201~\x1b")
        names = [await asyncio.wait_for(keys.get(), 10) for _ in range(11)]
        keyboard.close()
    assert names == [
        Key("m", "m"),
        Key("?", "?"),
        Key("space", " "),
        Key("enter"),
        Key("backspace"),
        Key("ctrl+a"),
        Key("left"),
        Key("delete"),
        Key("ctrl+right"),
        Key("paste", "pasted"),
        Key("escape"),
    ]
