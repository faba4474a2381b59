"""Limits of a live conversation: the whole command, with devices and a terminal that are no fakes of ours."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.live_talk import assistant_speech, eventually, talking
from tests.live.test_live import environment
from tests.loopback import openai_server
from tests.loopback.openai_server import OpenAIServer, Reply
from tests.support.terminal import Tmux, needs_tmux
from tests.virtual_audio import SoundServer
from voicecli import LimitReachedError
from voicecli.events import SessionEnded

pytest_plugins = ["tests.virtual_audio.fixture"]
REPLY_S = 3.0


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[Tmux]:
    terminal = Tmux(tmp_path / "socket")
    yield terminal
    terminal.close()


@needs_tmux
def test_the_command_says_which_limit_ended_it_and_exits_with_7(tmux: Tmux, sound_server: SoundServer) -> None:
    tmux.resize(100, 30)
    with OpenAIServer.in_thread(replies=[Reply(text="It is Paris.")]) as server:
        own = environment(sound_server, OPENAI_API_KEY=openai_server.KEY, OPENAI_BASE_URL=server.url)
        tmux.run("voicecli", "chat", "-p", "openai", "--max-cost", "0.0001", environment=own)
        tmux.wait_for("Listening")
        tmux.keys("t")
        tmux.keys("Which city?", "Enter")
        screen = tmux.wait_for("status 7")
        assert "It is Paris." in screen
        assert "voice: The limit of $0.0001 is reached: the conversation has cost $0." in screen
        assert "Allow more with --max-cost." in screen

        tmux.run("voicecli", "chat", "-p", "openai", "-q", "--idle-minutes", "0.02", environment=own)
        screen = tmux.wait_for("status 7")
        assert "voice: Nobody has spoken for 1.2 s." in screen
        assert "Allow more with --idle-minutes; 0 sets no limit." in screen
    tmux.check_given_back()


async def test_the_last_reply_is_heard_to_its_end(sound_server: SoundServer) -> None:
    replies = [Reply(text="A story.", audio=assistant_speech(REPLY_S))]
    ended = []
    async with OpenAIServer(replies=replies) as server:
        with pytest.raises(LimitReachedError):
            async with talking(server.url, max_cost=0.0001) as talk:
                talk.live.say("Tell me a story.")
                await eventually(lambda: talk.played_ms > 300, "the reply is heard")
                talk.live.say("Another one!")  # nothing more is sent
                await eventually(lambda: bool(talk.of(SessionEnded)), "the conversation has ended")
                ended.append(talk.speaker.playhead)
    assert ended == [None]
    assert len(server.received("response.create")) == 1
