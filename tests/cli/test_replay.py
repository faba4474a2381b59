"""`--record-session` and `voice replay`, through the command."""

import json
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import DATA, Voice, clean_environment
from tests.cli.test_network_chat import gemini, openai
from tests.loopback import gemini_server, openai_server
from tests.loopback.gemini_server import GeminiServer
from tests.loopback.openai_server import OpenAIServer
from tests.support.virtual_time import run_without_io
from voicecli import RealtimeConfig, RealtimeVoice
from voicecli.cli import execute
from voicecli.testing import reply, scripted_provider, tool_call

Run = Callable[..., tuple[int, str, str]]

TOOLS = '''
def weather(city: str) -> str:
    """Tell the weather."""
    return f"It is sunny in {city}."
'''


def test_a_spoken_conversation_is_recorded_and_replayed_without_a_key(voice: Voice, tmp_path: Path) -> None:
    (tmp_path / "tools.py").write_text(TOOLS)
    replies = [
        openai_server.Reply(text="", calls=(openai_server.Call(name="weather", arguments='{"city": "Rome"}'),)),
        openai_server.Reply(text="It is Paris."),
    ]
    arguments = ("--record-session", "talk.jsonl", "--tools", "tools.py")
    with OpenAIServer.in_thread(replies=replies, hears=["Which city?"]) as server:
        recorded = voice("chat", "-i", str(DATA / "question.wav"), "-o", "r.wav", *arguments, **openai(server))
    assert recorded.code == 0, recorded.stderr
    path = tmp_path / "talk.jsonl"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert openai_server.KEY not in path.read_text()
    told = recorded.stderr.splitlines()[-1]
    assert told.startswith("Recorded in talk.jsonl: ")
    assert "2.4 s of your voice" in told
    assert "1 tool call and no keys" in told
    played = voice("replay", "talk.jsonl")
    assert played.code == 0, played.stderr
    assert played.lines == ["You: Which city?", "Assistant: It is Paris."]
    assert played.stderr.splitlines()[-1].endswith("events, all as they were recorded.")


def test_gemini_in_writing_as_json_and_described(voice: Voice, tmp_path: Path) -> None:
    with GeminiServer.in_thread(replies=[gemini_server.Reply(text="It is Paris.")]) as server:
        recorded = voice(
            *("send-text", "-p", "gemini", "Which city?", "--json", "--system", "Be brief."),
            *("--record-session", "talk.jsonl"),
            **gemini(server),
        )
    assert recorded.code == 0, recorded.stderr
    assert "2 words that you wrote, the system prompt and no keys" not in recorded.stdout.decode()
    assert "words that you wrote, the system prompt and no keys" in recorded.stderr
    runs = [voice("replay", "talk.jsonl", "--json", PYTHONHASHSEED=seed) for seed in ("1", "2")]
    assert runs[0] == runs[1], "it is the same in each process"
    lines = [json.loads(line) for line in runs[0].lines]
    assert [line["text"] for line in lines if line["type"] == "transcript" and line["final"]] == [
        "Which city?",
        "It is Paris.",
    ]
    times = [line["time_ms"] for line in lines[:-1]]
    assert times == sorted(times)
    assert lines[-1] == {
        **{"type": "replay", "events": lines[-1]["events"], "compared": True},
        **{"differences": [], "sent_differences": 0, "finished": True},
    }


# -- in this process


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """A recording of a provider without a wire."""
    path = tmp_path / "talk.jsonl"
    script = [tool_call("weather", {"city": "Rome"}), reply("It is sunny.", user="And there?")]
    voice = RealtimeVoice(scripted_provider(*script), config=RealtimeConfig(session_file=str(path)))
    voice.on_tool_call(lambda name, arguments: "sunny")

    async def talk() -> None:
        async with voice.connect() as session:
            await session.send_text("The weather?", wait=True)

    run_without_io(talk())
    return path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `voice replay`: exit code, standard output and standard error."""

    def replay(*arguments: str) -> tuple[int, str, str]:
        code = execute(["replay", *arguments])
        return code, *capsys.readouterr()

    return replay


def test_what_has_no_wire_is_told_as_it_was(run: Run, recording: Path) -> None:
    code, said, told = run(str(recording))
    assert (code, said) == (0, "You: The weather?\nYou: And there?\nAssistant: It is sunny.\n")
    assert "Tool: weather" in told
    assert told.endswith("events, as they were recorded: this provider has no messages to replay.\n")


def test_a_description_says_what_is_in_it(run: Run, recording: Path) -> None:
    code, said, _ = run(str(recording), "--describe")
    assert code == 0
    lines = dict(line.split("  ", 1) for line in said.splitlines()[2:])
    assert {name: text.strip() for name, text in lines.items()} == {
        "Your voice": "0.0 s, 2 words written down",
        "The model's": "0.1 s, 3 words",
        "You wrote": "2 words",
        "Pictures": "0",
        "Tools called": "weather (1)",
        "System prompt": "none",
        "Earlier turns": "0",
        "Keys": "none: they are hidden",
    }
    code, said, _ = run(str(recording), "--describe", "--json")
    described = json.loads(said)
    assert (described["provider"], described["written_words"], described["tools"]) == ("scripted", 2, {"weather": 1})
    assert described["keys"] is False


def test_a_recording_that_breaks_off_is_replayed_and_said_to(run: Run, recording: Path) -> None:
    recording.write_bytes(recording.read_bytes()[:-40])
    code, said, told = run(str(recording))
    assert code == 0
    assert "It is sunny." in said
    assert "Note: the recording breaks off" in told
    assert "It breaks off" in run(str(recording), "--describe")[1]
    assert json.loads(run(str(recording), "--json")[1].splitlines()[-1])["finished"] is False


@pytest.mark.parametrize("option", ["--describe", "--json"])
def test_a_damaged_file_is_a_wrong_file(run: Run, recording: Path, option: str) -> None:
    recording.write_bytes(recording.read_bytes().replace(b'"kind":"command"', b'"kind":"comman"', 1))
    code, said, told = run(str(recording), option)
    assert code == 2
    assert "line 4 is damaged" in told
    assert "comman" not in said


def test_a_provider_that_is_not_here_is_named(run: Run, recording: Path) -> None:
    text = recording.read_text().replace('"provider":"scripted"', '"provider":"parrot"')
    lines = text.splitlines()
    connection = json.loads(lines[1]) | {"server": {}}
    recording.write_text("\n".join([lines[0], json.dumps(connection), *lines[2:], ""]))
    code, _, told = run(str(recording))
    assert code == 2
    assert "There is no provider 'parrot'" in told


def test_differences_end_with_an_exit_code_and_their_places(run: Run, tmp_path: Path) -> None:
    with OpenAIServer.in_thread(replies=[openai_server.Reply(text="It is Paris.")] * 2) as server:
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", "voicecli", "send-text", "Which?", "--record-session", "talk.jsonl"],
                cwd=tmp_path,
                env=clean_environment(**openai(server)),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
            for _ in range(2)
        ]
        told = sorted(process.communicate(timeout=110)[1].decode() for process in processes)
    assert [process.returncode for process in processes] == [0, 0], told
    assert sorted(path.name for path in tmp_path.iterdir()) == ["talk-2.jsonl", "talk.jsonl"]
    for path in tmp_path.iterdir():
        assert run(str(path))[0] == 0, "each process has a file of its own"
    text = (tmp_path / "talk.jsonl").read_text()
    event = '"class":"ResponseDone"'
    (tmp_path / "talk.jsonl").write_text(text.replace(event, f'{event},"awaits_tools":true'))
    code, said, shown = run(str(tmp_path / "talk.jsonl"))
    assert code == 1
    assert "It is Paris." in said
    assert 'recorded {"class": "ResponseDone", "awaits_tools": true' in shown
    assert shown.endswith("events, and 1 differences from those recorded.\n")
    code, said, _ = run(str(tmp_path / "talk.jsonl"), "--json")
    result = json.loads(said.splitlines()[-1])
    assert (code, len(result["differences"]), result["differences"][0]["kind"]) == (1, 1, "event")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full disk to be had")
def test_a_full_disk_is_a_note_and_the_answer_comes(voice: Voice) -> None:
    with OpenAIServer.in_thread(replies=[openai_server.Reply(text="It is Paris.")]) as server:
        result = voice("send-text", "Which city?", "--record-session", "/dev/full", **openai(server))
        refused = voice("send-text", "Which city?", "--record-session", "/proc/talk.jsonl", **openai(server))
    assert (result.code, result.lines) == (0, ["It is Paris."])
    assert "Note: The recording /dev/full stops here: No space left on device." in result.stderr
    assert "given up" not in result.stderr, "told once"
    assert refused.code == 2
    assert "--record-session: cannot write '/proc/talk.jsonl'" in refused.stderr
