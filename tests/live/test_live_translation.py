"""`voice translate` with a microphone and a loudspeaker, in a real terminal."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.test_live import environment, loud_ms
from tests.loopback.gemini_session import tone
from tests.loopback.openai_translation import KEY, OpenAITranslationServer, Sentence
from tests.support.terminal import Tmux, needs_tmux
from tests.virtual_audio import SoundServer

pytest_plugins = ["tests.virtual_audio.fixture"]
pytestmark = needs_tmux

RATE = 24_000


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[Tmux]:
    terminal = Tmux(tmp_path / "socket")
    yield terminal
    terminal.close()


def test_what_is_said_is_heard_and_read_in_another_language(
    tmux: Tmux, sound_server: SoundServer, tmp_path: Path
) -> None:
    with OpenAITranslationServer.in_thread(sentences=[Sentence()], chatters=True, forgiving=True) as server:
        tmux.resize(100, 30)
        keys = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.url}
        variables = environment(sound_server, HOME=str(tmp_path), **keys)
        tmux.run("voicecli", "translate", "--to", "es", environment=variables)
        screen = tmux.wait_for("● Listening")
        assert "OpenAI Realtime  gpt-realtime-translate  mic Remapped" in screen
        assert "gpt-realtime-translate costs $0.034 a minute" in screen
        with sound_server.record(RATE) as heard:
            sound_server.say(tone(800, rate=RATE), RATE)
            screen = tmux.wait_for("Buenos días.")
            tmux.wait(lambda screen: "lag " in screen)
        assert loud_ms(heard.audio) >= 200
        (line,) = [line for line in screen.splitlines() if "Good morning." in line]
        assert line.split() == ["Good", "morning.", "Buenos", "días."]
        assert "to es" in screen
        tmux.keys("m")
        tmux.wait_for("● Muted")
        tmux.keys("C-c")
        screen = tmux.wait_for("status 130")
        assert "Good morning." in screen
        assert "min, translated" in screen
    assert [words for words in server.violations if "early" not in words] == []
    assert server.received("session.close"), "it says goodbye"
