"""A question of a tool's in the live view, through the real command in a terminal."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.test_live import environment, keys_of
from tests.loopback.openai_server import Call, OpenAIServer, Reply
from tests.support.terminal import Tmux, needs_tmux
from tests.virtual_audio import SoundServer

pytest_plugins = ["tests.virtual_audio.fixture"]
pytestmark = needs_tmux


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[Tmux]:
    terminal = Tmux(tmp_path / "socket")
    yield terminal
    terminal.close()


def test_a_tool_is_allowed_refused_and_always_allowed(tmux: Tmux, sound_server: SoundServer) -> None:
    sums = [Call(name="calculate", arguments=f'{{"expression": "{n} + 1"}}') for n in range(4)]
    replies = [
        reply for n, call in enumerate(sums) for reply in (Reply(text="", calls=(call,)), Reply(text=f"Sum {n}."))
    ]
    with OpenAIServer.in_thread(replies=replies) as server:
        tmux.resize(100, 60)
        options = ("--tools", "builtin", "--approve", "always", "--vad", "none")
        tmux.run("voicecli", "chat", *options, environment=environment(sound_server, **keys_of(server)))
        tmux.wait_for("Ready")

        def ask(number: int) -> None:
            tmux.keys("t")
            tmux.wait_for("enter send")
            tmux.keys(f"Add {number}", "Enter")

        def answer(key: str) -> None:
            """Press it when the question could have been read: before, keys do not count."""
            time.sleep(0.5)
            tmux.keys(key)

        ask(0)
        screen = tmux.wait_for("y allow  n refuse  a always allow")
        assert "● Allow calculate?\n  expression=0 + 1\n" in screen
        tmux.wait_for("● Asking")
        answer("n")
        tmux.wait_for("Refused: calculate")
        tmux.wait_for("Sum 0.")
        for number, (key, told) in enumerate([("y", "Allowed: "), ("a", "Allowed for this conversation: ")], 1):
            tmux.wait_for("● Ready")
            ask(number)
            tmux.wait_for(f"expression={number} + 1\n")
            answer(key)
            tmux.wait_for(f"{told}calculate")
            tmux.wait_for(f"Sum {number}.")
        tmux.wait_for("● Ready")
        ask(3)
        screen = tmux.wait_for("Sum 3.")
        tmux.keys("q")
        tmux.wait_for("status 0")
        outputs = [
            frame["item"]["output"]
            for frame in server.received("conversation.item.create")
            if frame["item"]["type"] == "function_call_output"
        ]
    assert screen.count("Allow calculate?") == 3
    assert outputs == ['{"error": "calculate was not run: the user did not allow it."}', "2", "3", "4"]
