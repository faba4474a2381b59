"""The live view of the real command: the first line, the reply as it is heard, and a connection that is lost."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.test_live import environment, keys_of
from tests.loopback import openai_server
from tests.loopback.openai_server import Fault, OpenAIServer
from tests.support.terminal import Tmux, needs_tmux
from tests.virtual_audio import SoundServer

pytest_plugins = ["tests.virtual_audio.fixture"]
pytestmark = needs_tmux

STORY = " ".join(f"word{number}" for number in range(60))


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[Tmux]:
    terminal = Tmux(tmp_path / "socket")
    yield terminal
    terminal.close()


def test_the_reply_is_shown_whole_and_what_was_heard_of_it(
    tmux: Tmux, sound_server: SoundServer, tmp_path: Path
) -> None:
    replies = [openai_server.Reply(text=STORY, audio=openai_server.tone(20_000))]
    with OpenAIServer.in_thread(replies=replies) as server:
        tmux.resize(100, 30)
        variables = environment(sound_server, HOME=str(tmp_path), **keys_of(server))
        tmux.run("voicecli", "chat", environment=variables)
        screen = tmux.wait_for("● Listening")
        assert "OpenAI Realtime  gpt-realtime-2.1  voice marin  mic Remapped" in screen, "by its own name"
        assert "spk Null Output" in screen
        assert "default" not in screen
        tmux.keys("t", "Tell me.", "Enter")

        def is_half_heard(_: str) -> bool:
            heard, to_come = heard_and_to_come(tmux.screen("-e"))
            return "word5" in heard and "word55" in to_come

        tmux.wait(is_half_heard)
        assert all(f"word{number}" in tmux.screen().split() for number in range(60)), "all of it is on the screen"
        tmux.keys("i")
        cut = tmux.wait(lambda screen: " …\n" in screen and "● Listening" in screen)
        assert "word59" not in cut
        tmux.keys("q")
        tmux.wait_for("status 0")


def heard_and_to_come(screen: str) -> tuple[list[str], list[str]]:
    """The story's words on a screen with its escape codes: those in full brightness, and the dim ones."""
    heard: list[str] = []
    to_come: list[str] = []
    dim = False
    for code, text in re.findall(r"\x1b\[([\d;]*)m|([^\x1b]+)", screen):
        if code or not text:
            numbers = code.split(";")
            dim = "2" in numbers or (dim and not {"", "0"} & set(numbers))
        else:
            (to_come if dim else heard).extend(re.findall(r"word\d+", text))
    return heard, to_come


def test_attempts_to_connect_are_counted_down_and_summed_up(
    tmux: Tmux, sound_server: SoundServer, tmp_path: Path
) -> None:
    faults = [Fault(stage="idle", close=1012), Fault(stage="before_created", close=1012)]
    with OpenAIServer.in_thread(faults=faults) as server:
        tmux.resize(100, 30)
        variables = environment(sound_server, HOME=str(tmp_path), **keys_of(server))
        tmux.run("voicecli", "chat", environment=variables)
        tmux.wait_for("● Reconnecting 2/6, next in ")
        tmux.wait_for("Connected again.")
        tmux.wait_for("● Listening")
        tmux.keys("q")
        assert "1 reconnect in 2 attempts" in " ".join(tmux.wait_for("status 0").split())
