"""A full-duplex model with the whole command: devices, a terminal, and a server whose clock is the microphone."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.live_talk import RATE, sound_ms, user_speech
from tests.live.test_live import environment
from tests.loopback.live_server import KEY, LiveReply, LiveServer
from tests.support.terminal import Tmux, needs_tmux
from tests.virtual_audio import SoundServer, wait_until

pytest_plugins = ["tests.virtual_audio.fixture"]
pytestmark = needs_tmux

ANSWER = "It is Paris, and there is much more to say about it than I can in three seconds."


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[Tmux]:
    terminal = Tmux(tmp_path / "socket")
    yield terminal
    terminal.close()


@pytest.mark.usefixtures("patient")
def test_both_speak_at_once_and_the_end_is_soon(tmux: Tmux, sound_server: SoundServer, tmp_path: Path) -> None:
    served = LiveServer.in_thread(replies=[LiveReply(text=ANSWER)], hears=["Where?", "I see."])
    with served as server, sound_server.record(RATE) as recording:
        tmux.resize(100, 30)
        own = environment(sound_server, HOME=str(tmp_path), OPENAI_API_KEY=KEY, OPENAI_BASE_URL=server.url)
        tmux.run("voicecli", "chat", "-p", "openai", "-m", "gpt-live-1.1", "--echo", "off", environment=own)
        tmux.wait_for("● Listening")
        tmux.wait_for("This costs $0.05 a minute, $3.00 an hour, also while nobody speaks.")
        said = user_speech()[: RATE * 2]  # a second
        sound_server.say(said, RATE)
        tmux.wait_for("● Speaking")
        speaking = threading.Thread(target=sound_server.say, args=(said, RATE))
        speaking.start()
        tmux.wait_for("● Both speaking")
        speaking.join()
        screen = tmux.wait(lambda screen: ANSWER in " ".join(screen.split()))
        assert "Where?" in screen
        # A word takes 200 ms; where a busy machine leaves a gap, sound fades in and out.
        wait_until(lambda: sound_ms(recording.audio) > len(ANSWER.split()) * 190, "all of it was heard", 10)
        began = time.monotonic()
        tmux.keys("C-c")
        screen = tmux.wait_for("status 130")
        assert time.monotonic() - began < 5
        assert " min, $0.0" in " ".join(screen.split()), "the time until the goodbye"
    assert server.received("session.close")
    tmux.check_given_back()
