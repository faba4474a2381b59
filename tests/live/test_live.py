"""Out loud: the whole command with a microphone, a loudspeaker and a terminal, none of them a fake of ours.

The devices are a private sound server, the terminal is tmux; what was played is recorded, measured and compared.
"""

import json
import re
import sys
import wave
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.conftest import Voice, clean_environment
from tests.cli.conftest import commands as commands  # fixtures
from tests.cli.conftest import voice as voice
from tests.conftest import DATA
from tests.live.live_talk import RATE, Heard
from tests.loopback import gemini_server, openai_server
from tests.loopback.gemini_server import GeminiServer
from tests.loopback.openai_server import OpenAIServer
from tests.support.terminal import Tmux, needs_tmux
from tests.virtual_audio import SoundServer, wait_until
from voicecli.audio import resample_pcm16

pytest_plugins = ["tests.virtual_audio.fixture"]
pytestmark = needs_tmux


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[Tmux]:
    terminal = Tmux(tmp_path / "socket")
    yield terminal
    terminal.close()


def question() -> tuple[bytes, int]:
    with wave.open(str(DATA / "question.wav")) as file:
        return bytes(file.readframes(file.getnframes())), int(file.getframerate())


def short_question() -> tuple[bytes, int]:
    """For those who are told what they hear; with the silence that ends a turn."""
    audio, rate = question()
    return audio[: rate * 2] + bytes(rate * 2), rate


def environment(sound: SoundServer, **more: str) -> dict[str, str]:
    """Only what the program needs, so that the command line stays readable."""
    return sound.environment | {name: value for name, value in clean_environment(**more).items() if name in more}


def loud_ms(audio: bytes, rate: int = RATE) -> int:
    """The part of a recording that is no silence, in 10 ms steps."""
    samples = np.frombuffer(audio, "<i2").astype(float)
    size = rate // 100
    frames = samples[: len(samples) // size * size].reshape(-1, size)
    return int((np.sqrt((frames**2).mean(axis=1)) > 100).sum()) * 10


def test_a_spoken_question_is_answered_aloud(
    tmux: Tmux, sound_server: SoundServer, voice: Voice, tmp_path: Path
) -> None:
    """With the offline engine; out of the loudspeaker comes what it writes into a file when it answers from one."""
    tmux.resize(100, 30)
    tmux.run("voicecli", "chat", "-p", "local", environment=environment(sound_server))
    tmux.wait_for("Listening")
    with sound_server.record(RATE) as recording:
        audio, rate = question()
        sound_server.say(audio, rate)
        tmux.wait_for("What is the capital of France?")
        tmux.wait_for("● Assistant")
        tmux.wait_for("The capital of France is Paris.\n")
        tmux.wait_for("● Listening")
        said = recording.audio
    tmux.keys("q")
    assert re.search(r"1 turn in .* latency median \d+ ms", tmux.wait_for("status 0"))
    assert 800 < loud_ms(said) < 6_000
    voice("chat", "-p", "local", "-i", str(DATA / "question.wav"), "-o", "unplayed.wav")
    with wave.open(str(tmp_path / "unplayed.wav")) as file:
        unplayed = resample_pcm16(file.readframes(file.getnframes()), file.getframerate(), RATE)
    assert Heard(said, unplayed).missing == []


def test_the_offline_engine_does_not_interrupt_itself(tmux: Tmux, sound_server: SoundServer) -> None:
    """On open loudspeakers: its voice comes back into the microphone as loud as it is played."""
    tmux.resize(100, 30)
    tmux.run("voicecli", "chat", "-p", "local", environment=environment(sound_server))
    tmux.wait_for("Listening")
    with sound_server.echo(120, 0.0), sound_server.record(RATE) as recording:
        tmux.keys("t", "Tell me a long story about a dog.", "Enter")
        wait_until(lambda: loud_ms(recording.audio) > 4_000, "it speaks for four seconds", 20)
        screen = tmux.screen()
    tmux.keys("q")
    tmux.wait_for("status 0")
    assert "● Speaking" in screen
    assert screen.count("● You") == 1
    assert " …\n" not in screen, "it was interrupted"


def test_a_wake_word_begins_a_conversation_that_falls_asleep_again(tmux: Tmux, sound_server: SoundServer) -> None:
    tmux.resize(100, 30)
    replies = [openai_server.Reply(text="The capital of France is Paris.", audio=openai_server.tone(500))]
    hears = ["Computer, what is the capital of France?"]
    with OpenAIServer.in_thread(replies=replies, hears=hears) as server:
        options = ["-p", "openai", "--vad", "client", "--wake", "computer", "--sleep-after", "5"]
        tmux.run("voicecli", "chat", *options, environment=environment(sound_server, **keys_of(server)))
        tmux.wait_for('Say "computer", or press Space to wake it')
        audio, rate = short_question()
        sound_server.say(audio, rate)
        assert "● Asleep" in tmux.screen()
        assert server.handshakes == []
        with wave.open(str(DATA / "computer.wav")) as file:
            spoken, rate = file.readframes(file.getnframes()), file.getframerate()
        sound_server.say(spoken + bytes(rate * 3), rate)
        tmux.wait_for("The capital of France is Paris.")
        heard_ms = sum(len(turn) for session in server.sessions for turn in session.audio.values()) / 48
        assert heard_ms > 2_400, "with the wake word"
        tmux.wait_for("● Asleep")
        wait_until(lambda: not server.connections, "the connection is closed")
        assert len(server.handshakes) == 1
        tmux.keys("q")
        assert "1 turn in" in tmux.wait_for("status 0")


OPENAI = {"kind": OpenAIServer, "reply": openai_server.Reply}
GEMINI = {"kind": GeminiServer, "reply": gemini_server.Reply}


def keys_of(server: Any) -> dict[str, str]:
    if isinstance(server, OpenAIServer):
        return {"OPENAI_API_KEY": openai_server.KEY, "OPENAI_BASE_URL": server.url}
    return {"GEMINI_API_KEY": gemini_server.KEY, "GOOGLE_GEMINI_BASE_URL": server.url}


@pytest.mark.parametrize(
    ("provider", "vad"),
    [(OPENAI, "server"), (GEMINI, "client"), (OPENAI, "none")],
    ids=["openai-server", "gemini-client", "openai-none"],
)
def test_voice_and_keys_with_the_networked_providers(
    tmux: Tmux, sound_server: SoundServer, provider: dict[str, Any], vad: str
) -> None:
    """A spoken turn, pushed to talk where nobody listens, and a typed one; then the end by Ctrl-C."""
    replies = [provider["reply"](text="It is Paris."), provider["reply"](text="You are welcome.")]
    with provider["kind"].in_thread(replies=replies, hears=["Which city?"]) as server:
        tmux.resize(100, 30)
        tmux.run("voicecli", "chat", "--vad", vad, environment=environment(sound_server, **keys_of(server)))
        tmux.wait_for("Ready" if vad == "none" else "Listening")
        if vad == "none":
            tmux.keys("Space")
            tmux.wait_for("Hearing you")
        sound_server.say(*short_question())
        if vad == "none":
            tmux.keys("Space")
        tmux.wait_for("● You\n  Which city?\n")
        tmux.wait_for("It is Paris.\n")
        tmux.keys("t")
        tmux.wait_for("enter send")
        tmux.keys("Thank you", "Enter")
        tmux.wait_for("● You\n  Thank you\n")
        tmux.wait_for("You are welcome.\n")
        tmux.keys("C-c")
        tmux.wait_for("status 130")


def test_mute_and_interrupt_keys(tmux: Tmux, sound_server: SoundServer) -> None:
    replies = [openai_server.Reply(text="word " * 200, audio=openai_server.tone(30_000))]
    with OpenAIServer.in_thread(replies=replies) as server:
        tmux.run("voicecli", "chat", environment=environment(sound_server, **keys_of(server)))
        tmux.wait_for("Listening")
        tmux.keys("m")
        tmux.wait_for("Muted")
        tmux.keys("m")
        tmux.wait_for("Listening")
        tmux.keys("t", "Talk", "Enter")
        with sound_server.record(RATE) as recording:
            wait_until(lambda: loud_ms(recording.audio) > 500, "the reply is heard")
            tmux.keys("i")
            tmux.wait_for("● Listening")
            heard = loud_ms(recording.audio)
            wait_until(lambda: loud_ms(recording.audio[-RATE:]) == 0, "the reply stops")
        (cut,) = server.received("conversation.item.truncate")
        tmux.keys("q")
        tmux.wait_for("status 0")
    assert abs(cut["audio_end_ms"] - heard) < 200


def test_json_lines_live(sound_server: SoundServer, tmp_path: Path, tmux: Tmux) -> None:
    """A terminal to speak at, and a file that gets the events."""
    output = tmp_path / "events.jsonl"
    with OpenAIServer.in_thread(replies=[openai_server.Reply(text="Yes.")], hears=["Hello?"]) as server:
        variables = " ".join(f"{k}={v}" for k, v in environment(sound_server, **keys_of(server)).items())
        tmux.keys(f"{variables} {sys.executable} -m voicecli chat --json > {output}; echo status $?", "Enter")
        wait_until(lambda: output.exists() and "session_started" in output.read_text(), "it begins", 30)
        sound_server.say(*short_question())
        wait_until(lambda: "response_done" in output.read_text(), "the answer is complete", 30)
        tmux.keys("C-c")
        tmux.wait_for("status 130")
    lines = [json.loads(line) for line in output.read_text().splitlines()]
    assert [line["text"] for line in lines if line["type"] == "transcript" and line["final"]] == ["Hello?", "Yes."]
    assert lines[-1]["type"] == "session_ended"


def test_words_where_there_is_no_view(sound_server: SoundServer, tmp_path: Path, tmux: Tmux) -> None:
    """The reply's sound goes into a pipe, its words to the terminal; and on a terminal that obeys no escape codes."""
    replies = [openai_server.Reply(text="Yes."), openai_server.Reply(text="No.")]
    with OpenAIServer.in_thread(replies=replies, hears=["Hello?", "Really?"]) as server:
        variables = " ".join(f"{k}={v}" for k, v in environment(sound_server, **keys_of(server)).items())
        command = f"{sys.executable} -m voicecli chat"
        piped, plain = f"{variables} {command} | cat > {tmp_path / 'r.wav'}", f"{variables} TERM=dumb {command}"
        for line, answer in ((piped, "Yes."), (plain, "No.")):
            before = len(server.sessions)
            tmux.keys(f"clear; {line}", "Enter")
            wait_until(partial(_connected, server, before + 1), "it is connected", 30)
            sound_server.say(*short_question())
            tmux.wait_for(f"Assistant: {answer}")
            tmux.keys("C-c")
            tmux.wait(lambda screen: screen.rstrip().endswith("$"))
    assert (tmp_path / "r.wav").stat().st_size > 44


def _connected(server: OpenAIServer, times: int) -> bool:
    return len(server.sessions) == times


def test_a_conversation_that_fails_is_summed_up(sound_server: SoundServer, tmux: Tmux) -> None:
    faults = [openai_server.Fault(stage="idle", close=4000, reason="why")] * 9
    with OpenAIServer.in_thread(faults=faults) as server:
        variables = environment(sound_server, **keys_of(server))
        tmux.run("voicecli", "chat", "--reconnects", "0", environment=variables)
        screen = tmux.wait_for("status 4")
    assert "0 turns in" in screen


def test_no_device_is_one_clear_error(tmux: Tmux, sound_server: SoundServer) -> None:
    sound_server.kill()
    with OpenAIServer.in_thread() as server:
        tmux.run("voicecli", "chat", environment=environment(sound_server, **keys_of(server)))
        screen = tmux.wait_for("status 5")
    assert "Traceback" not in screen
    assert "microphone" in screen


def test_it_ends_though_the_sound_server_hangs(tmux: Tmux, sound_server: SoundServer) -> None:
    with OpenAIServer.in_thread() as server:
        tmux.run("voicecli", "chat", environment=environment(sound_server, **keys_of(server)))
        tmux.wait_for("Listening")
        with sound_server.frozen():
            tmux.keys("C-c")
            screen = tmux.wait_for("status 130")
    assert "Traceback" not in screen


def test_what_tools_print_becomes_lines_of_the_view(sound_server: SoundServer, tmux: Tmux, tmp_path: Path) -> None:
    """Also what goes past Python: the view stays whole."""
    (tmp_path / "noisy.py").write_text(
        "import os, subprocess\n"
        "print('noise: import')\n"
        "def noisy() -> str:\n"
        "    print('noise: print')\n"
        "    os.write(1, b'noise: by its number\\n')\n"
        "    subprocess.run(['echo', 'noise: a child'])\n"
        "    return 'done'\n"
    )
    call = openai_server.Reply(text="", calls=(openai_server.Call(name="noisy", arguments="{}"),))
    with OpenAIServer.in_thread(replies=[call, openai_server.Reply(text="All done.")]) as server:
        variables = environment(sound_server, **keys_of(server))
        tmux.run("voicecli", "chat", "--tools", str(tmp_path / "noisy.py"), environment=variables)
        tmux.wait_for("Listening")
        tmux.keys("t", "Go", "Enter")
        tmux.wait_for("All done.\n")
        noises = [rf"^\W*noise: {noise}$" for noise in ("import", "print", "by its number", "a child")]
        tmux.wait(lambda screen: all(re.search(noise, screen, re.MULTILINE) for noise in noises))
        tmux.keys("q")
        assert "turn" in tmux.wait_for("status 0")
