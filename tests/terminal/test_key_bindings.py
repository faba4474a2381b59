"""The commands that keys give."""

import pytest

from voicecli.events import Asleep, Awake, SessionStarted, StateChanged
from voicecli.terminal.key_bindings import KeyCommands, PushToTalk
from voicecli.terminal.key_decoder import Key, KeyDecoder
from voicecli.terminal.key_hints import key_hints
from voicecli.terminal.view_model import AudioStatus, State, ViewModel


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

    def wake(self) -> None:
        self.calls.append("wake")

    def interrupt(self) -> None:
        self.calls.append("interrupt")

    def say(self, text: str) -> None:
        self.calls.append(f"say {text}")

    def approve(self, approval_id: str, allowed: bool, *, always: bool = False) -> None:
        self.calls.append(f"approve {approval_id} {allowed}{' always' if always else ''}")

    def end(self) -> None:
        self.calls.append("end")


class Hands:
    """Keys pressed at set times."""

    def __init__(self, *, push_to_talk: bool = False) -> None:
        self.now = 0.0
        self.view = ViewModel(push_to_talk=push_to_talk, clock=lambda: self.now)
        self.view.apply(SessionStarted("", "", "", 24_000, 24_000))
        self.view.apply(StateChanged("silent", "listening"))
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
    hands.view.audio = AudioStatus(speaker="Headphones")
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
    assert hands.press("tnever mind\x1b") == []
    assert hands.press("t  \r") == [], "nothing to say"
    assert hands.press("q") == ["end"]


def test_space_is_no_command_where_voice_finds_the_turns() -> None:
    assert Hands().press(" ") == []


@pytest.mark.parametrize("key", [" ", "\r"])
def test_space_and_enter_wake_what_is_asleep(key: str) -> None:
    hands = Hands()
    hands.view.wake_word = "computer"
    assert hands.press(key) == []
    hands.view.apply(Asleep("computer"))
    assert hands.press(key) == ["wake"]
    hands.view.apply(Awake("key"))
    assert hands.press(key) == []


def test_asleep_the_other_keys_do_what_they_do() -> None:
    hands = Hands(push_to_talk=True)
    hands.view.wake_word = "computer"
    hands.view.apply(Asleep("computer"))
    assert hands.press(" ") == ["talk True"]
    assert hands.press("m") == ["mute_microphone True"]
    assert hands.press("tHello\r") == ["say Hello"]
    assert hands.press("q") == ["end"]


def test_taps_of_the_talk_key_begin_and_end_a_turn() -> None:
    hands = Hands(push_to_talk=True)
    assert hands.view.state_words == "Ready"
    assert hands.press(" ") == ["talk True"]
    assert hands.view.state_words == "Hearing you"
    assert hands.wait(5) == []
    assert hands.press(" ") == []
    assert hands.wait(0.2) == ["talk False"]
    assert hands.view.state_words == "Ready"


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
    assert ("space", "talk") in key_hints(hands.view)
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


def test_giving_up_an_answer_that_is_only_waited_for_is_told() -> None:
    hands = Hands()
    assert hands.press("i") == ["interrupt"]
    assert hands.view.take_entries() == []
    hands.view.apply(StateChanged("silent", "thinking"))
    assert hands.press("i") == ["interrupt"]
    assert "The answer is given up." in str(hands.view.take_entries())


def test_help_is_shown_once_while_its_key_is_held() -> None:
    hands = Hands()
    for _ in range(30):
        hands.press("?")
        hands.wait(0.1)
    assert [str(entry).count("q or Ctrl-C") for entry in hands.view.take_entries()] == [1]
    hands.wait(1)
    hands.press("?")
    assert len(hands.view.take_entries()) == 1


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
