"""The command with OpenAI and Gemini on loopback."""

import contextlib
import json
import socket
import subprocess
import sys
import wave
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import DATA, Voice, clean_environment, interrupted
from tests.loopback import gemini_server, openai_server
from tests.loopback.gemini_server import GeminiServer
from tests.loopback.openai_server import OpenAIServer
from tests.support.commands import Commands
from tests.support.serving import serving
from voicecli.cli.destinations import Destinations
from voicecli.cli.options import Choices
from voicecli.cli.run import run_conversation
from voicecli.config import RealtimeConfig
from voicecli.errors import RealtimeConnectionError
from voicecli.events import CONNECTION_LOST, ResponseDone, ResponseStarted, ToolCallRequest
from voicecli.testing import Step, reply, scripted_provider

QUESTION = str(DATA / "question.wav")


def openai(server: OpenAIServer, key: str = openai_server.KEY) -> dict[str, str]:
    return {"OPENAI_API_KEY": key, "OPENAI_BASE_URL": server.url}


def gemini(server: GeminiServer, key: str = gemini_server.KEY) -> dict[str, str]:
    return {"GEMINI_API_KEY": key, "GOOGLE_GEMINI_BASE_URL": server.url}


def finals(stdout: bytes) -> list[tuple[str, str]]:
    lines = [json.loads(line) for line in stdout.decode().splitlines()]
    return [(line["role"], line["text"]) for line in lines if line["type"] == "transcript" and line["final"]]


def write_silence(path: Path) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(bytes(64_000))


@pytest.mark.parametrize("vad", ["client", "none"])
def test_a_recording_is_answered_by_openai(voice: Voice, tmp_path: Path, vad: str) -> None:
    replies = [openai_server.Reply(text="It is Paris.")]
    with OpenAIServer.in_thread(replies=replies, hears=["Which city?"]) as server:
        result = voice("chat", "-i", QUESTION, "-o", "r.wav", "--json", "--vad", vad, **openai(server))
    assert result.code == 0, result.stderr
    assert finals(result.stdout) == [("user", "Which city?"), ("assistant", "It is Paris.")]
    assert (tmp_path / "r.wav").read_bytes()[44:] == openai_server.Reply().sound("It is Paris.")


def test_a_recording_is_answered_by_gemini(voice: Voice, tmp_path: Path) -> None:
    replies = [gemini_server.Reply(text="It is Paris.")]
    with GeminiServer.in_thread(replies=replies, hears=["Which city?"]) as server:
        result = voice("chat", "-i", QUESTION, "-o", "r.wav", "--json", **gemini(server))
    assert result.code == 0, result.stderr
    assert finals(result.stdout) == [("user", "Which city?"), ("assistant", "It is Paris.")]
    assert (tmp_path / "r.wav").stat().st_size > 5_000


def test_a_server_may_need_more_silence_than_a_recording_ends_with(voice: Voice) -> None:
    """It has told of speech, so the answer is waited for."""
    replies = [openai_server.Reply(text="It is Paris.")]
    with OpenAIServer.in_thread(replies=replies, hears=["Which city?"], needs_silence_ms=4_500) as server:
        result = voice("chat", "-i", QUESTION, "--json", "--vad", "server", **openai(server))
    assert result.code == 0, result.stderr
    assert finals(result.stdout) == [("user", "Which city?"), ("assistant", "It is Paris.")]


@pytest.mark.parametrize("speech", [True, False])
def test_a_recording_that_gemini_finds_the_turns_in(voice: Voice, tmp_path: Path, speech: bool) -> None:
    write_silence(tmp_path / "silence.wav")
    source = QUESTION if speech else "silence.wav"
    with GeminiServer.in_thread(replies=[gemini_server.Reply(text="It is Paris.")], hears=["Which city?"]) as server:
        result = voice("chat", "-i", source, "--json", "--vad", "server", **gemini(server))
    assert result.code == (0 if speech else 6), result.stderr
    assert finals(result.stdout) == ([("user", "Which city?"), ("assistant", "It is Paris.")] if speech else [])


@pytest.mark.parametrize("vad", ["client", "server"])
def test_an_empty_answer_is_none(voice: Voice, vad: str) -> None:
    with OpenAIServer.in_thread(replies=[openai_server.Reply(text="")]) as server:
        result = voice("chat", "-i", QUESTION, "--json", "--vad", vad, **openai(server))
    assert result.code == 4, result.stderr
    assert "The answer is empty" in result.stderr
    assert json.loads(result.lines[-1])["exit_code"] == 4


def test_several_questions_are_one_conversation(voice: Voice, tmp_path: Path) -> None:
    """And the output holds the answers in their order."""
    texts = ["It is one.", "It is two.", "It is three."]
    replies = [openai_server.Reply(text=text) for text in texts]
    with OpenAIServer.in_thread(replies=replies, hears=["One?", "Two?", "Three?"]) as server:
        result = voice("chat", "-i", str(DATA / "three_questions.wav"), "-o", "r.wav", "--json", **openai(server))
    said = [text for _, text in finals(result.stdout)]
    assert said == ["One?", "It is one.", "Two?", "It is two.", "Three?", "It is three."]
    sound = b"".join(openai_server.Reply().sound(text) for text in texts)
    assert (tmp_path / "r.wav").read_bytes()[44:] == sound


@pytest.mark.parametrize("vad", ["client", "server"])
def test_silence_is_no_question(voice: Voice, tmp_path: Path, vad: str) -> None:
    write_silence(tmp_path / "silence.wav")
    with OpenAIServer.in_thread() as server:
        result = voice("chat", "-i", "silence.wav", "--json", "--vad", vad, **openai(server))
    assert result.code == 6, result.stderr
    assert "no speech in the input" in result.stderr
    assert finals(result.stdout) == []
    last = json.loads(result.lines[-1])
    assert (last["type"], last["error"], last["exit_code"]) == ("error", "NoSpeechError", 6)


def test_half_a_sample_is_no_sound(voice: Voice) -> None:
    with OpenAIServer.in_thread() as server:
        result = voice("chat", "--json", "--input-rate", "16000", stdin=bytes(32_001), **openai(server))
    assert result.code == 2
    assert "amid a sample" in result.stderr
    last = json.loads(result.lines[-1])
    assert (last["type"], last["error"], last["fatal"]) == ("error", "AudioFormatError", True)


def test_whoever_reads_may_leave() -> None:
    """`voice chat | head -c 10`: no traceback, and no failure."""
    replies = [openai_server.Reply(text="word " * 500)]
    with (
        OpenAIServer.in_thread(replies=replies) as server,
        subprocess.Popen(
            [sys.executable, "-m", "voicecli", "send-text", "Tell me about Paris.", "--json"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=clean_environment(**openai(server)),
        ) as process,
    ):
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        message = process.stderr.read().decode()
        assert process.wait(30) == 0, message
    assert "Traceback" not in message
    assert "BrokenPipe" not in message


def test_ctrl_c_ends_cleanly_while_it_listens(commands: Commands, tmp_path: Path) -> None:
    with OpenAIServer.in_thread() as server:
        code, message = interrupted(commands, ["chat"], tmp_path / "r.wav", "session_started", **openai(server))
    assert code == 130, message
    assert "Traceback" not in message


def test_gemini_is_told_which_tools_to_wait_for(voice: Voice, tmp_path: Path) -> None:
    (tmp_path / "tools.py").write_text("def quick() -> str:\n    return ''\ndef slow() -> str:\n    return ''\n")
    with GeminiServer.in_thread() as server:
        options = ["--tools", "tools.py", "--background-tool", "slow", "--google-search"]
        result = voice("send-text", "Hi", *options, **gemini(server))
        tools = server.received("setup")[0]["tools"]
    assert result.code == 0, result.stderr
    declared = next(tool["functionDeclarations"] for tool in tools if "functionDeclarations" in tool)
    assert {each["name"]: each["behavior"] for each in declared} == {"quick": "BLOCKING", "slow": "NON_BLOCKING"}
    assert {"googleSearch": {}} in tools


def test_tools_of_a_file_are_called(voice: Voice, tmp_path: Path) -> None:
    """One that works, one that raises, one that hangs and one that returns what JSON cannot hold."""
    (tmp_path / "tools.py").write_text(
        "import time\n"
        "def good(city: str) -> str:\n    return 'sun in ' + city\n"
        "def bad() -> str:\n    raise LookupError('no window')\n"
        "def hanging() -> str:\n    time.sleep(3600)\n    return ''\n"
        "def strange() -> object:\n    return object()\n"
        "def _private() -> None: ...\n"
    )
    calls = tuple(
        openai_server.Call(name=name, arguments=arguments)
        for name, arguments in (("good", '{"city":"Rome"}'), ("bad", "{}"), ("hanging", "{}"), ("strange", "{}"))
    )
    replies = [openai_server.Reply(text="", calls=calls), openai_server.Reply(text="Done.")]
    with OpenAIServer.in_thread(replies=replies) as server:
        result = voice(
            "send-text", "Go", "--tools", "tools.py", "--tool-timeout", "0.3", "--json", timeout=30, **openai(server)
        )
        offered = [tool["name"] for tool in server.received("session.update")[0]["session"]["tools"]]
    assert result.code == 0, result.stderr
    assert offered == ["good", "bad", "hanging", "strange"]
    lines = [json.loads(line) for line in result.lines]
    outputs = {line["name"]: (line["output"], line["is_error"]) for line in lines if line["type"] == "tool_result"}
    assert outputs["good"] == ("sun in Rome", False)
    assert "no window" in outputs["bad"][0]
    assert "0.3 s" in outputs["hanging"][0]
    assert "JSON cannot hold" in outputs["strange"][0]
    assert sum(line["type"] == "error" for line in lines) == 3
    assert finals(result.stdout)[-1] == ("assistant", "Done.")


def test_options_reach_the_wire(voice: Voice) -> None:
    with OpenAIServer.in_thread() as server:
        result = voice(
            *["send-text", "Hi", "--voice", "cedar", "--system", "Be brief.", "--language", "de", "--speed", "1.2"],
            *["--effort", "high", "--noise-reduction", "far_field", "--truncation", "0.7", "--max-output-tokens", "99"],
            *["--transcription-model", "gpt-4o-transcribe", "--vad", "server", "--eagerness", "low", "--quiet"],
            *[
                "--noise-reduction-strength",
                "0.5",
                "--transcription-prompt",
                "Ships.",
                "--transcription-keyword",
                "Ada",
            ],
            *["--header", "X-Team: blue", "--organization", "org-1", "--project", "proj-1"],
            **openai(server),
        )
        session = server.received("session.update")[0]["session"]
        headers = server.handshakes[0]
    assert result.code == 0, result.stderr
    assert session["instructions"] == "Be brief."
    assert session["audio"]["output"]["voice"] == "cedar"
    assert session["audio"]["output"]["speed"] == 1.2
    hints = {"language": "de", "prompt": "Ships."}  # and no keywords, which that model does not take
    assert session["audio"]["input"]["transcription"] == {"model": "gpt-4o-transcribe", **hints}
    assert session["audio"]["input"]["noise_reduction"] == {"type": "far_field", "strength": 0.5}
    turn_detection = session["audio"]["input"]["turn_detection"]
    assert (turn_detection["type"], turn_detection["eagerness"]) == ("semantic_vad", "low")
    assert session["reasoning"] == {"effort": "high"}
    assert session["truncation"]["retention_ratio"] == 0.7
    assert session["max_output_tokens"] == 99
    assert (headers["X-Team"], headers["OpenAI-Organization"], headers["OpenAI-Project"]) == ("blue", "org-1", "proj-1")


def test_the_trace_holds_every_frame_and_no_secret(voice: Voice, tmp_path: Path) -> None:
    with OpenAIServer.in_thread(replies=[openai_server.Reply(text="Yes.")]) as server:
        secrets = [
            "--header",
            "X-Secret: hush-hush-hush",
            "--openai-mcp",
            "docs=https://docs.example/?token=hush-hush-hush",
        ]
        result = voice("chat", "-i", QUESTION, "--debug", "trace.jsonl", *secrets, **openai(server))
    assert result.code == 0, result.stderr
    trace = (tmp_path / "trace.jsonl").read_text()
    kinds = [
        frame.get("type")
        for line in trace.splitlines()
        for frame in json.loads(line).values()
        if isinstance(frame, dict)
    ]
    assert {"session.created", "session.update", "input_audio_buffer.append", "response.output_audio.delta"} <= set(
        kinds
    )
    assert openai_server.KEY not in trace
    assert "hush-hush-hush" not in trace
    assert max(map(len, trace.splitlines())) < 3_000, "sound is shortened"


def test_what_is_said_can_be_written_wherever(voice: Voice) -> None:
    """In any encoding of the terminal's, and with half a character in it."""
    said = "Caf\xe9 \N{SNOWMAN} \ud83d"
    for options in ([], ["--json"]):
        with OpenAIServer.in_thread(replies=[openai_server.Reply(text=said)]) as server:
            result = voice("send-text", "Hi", "-o", "r.wav", *options, PYTHONIOENCODING="latin-1", **openai(server))
        assert result.code == 0, result.stderr
        if options:
            assert finals(result.stdout)[-1] == ("assistant", "Caf\xe9 \N{SNOWMAN} \ufffd")
        else:
            assert "Caf\xe9 \\u2603 \\ufffd" in result.stdout.decode("latin-1")


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        ({"refuse": [openai_server.Refuse(status=401)]}, 3, "401"),
        ({"refuse": [openai_server.Refuse(status=403)]}, 3, "403"),
        ({"refuse": [openai_server.Refuse(status=404)]}, 4, "404"),
        ({"refuse": [openai_server.Refuse(status=429, headers={"Retry-After": "99"})]}, 4, "429"),
        ({"refuse": [openai_server.Refuse(status=500)] * 9}, 4, "500"),
        ({"replies": [openai_server.Reply(fails_with="insufficient_quota")]}, 4, "quota"),
        ({"refuse": [openai_server.Refuse(status=503)] * 9}, 4, "503"),
        ({"faults": [openai_server.Fault(stage="before_created", close=1008, reason="why")] * 9}, 4, "why"),
        (
            {"faults": [openai_server.Fault(stage="idle", close=1000, reason="why")] * 9},
            4,
            " closed the conversation: why.\n",
        ),
        ({"faults": [openai_server.Fault(stage="mid_response", close=4000, reason="why")] * 9}, 4, "why"),
        ({"replies": [openai_server.Reply(fails_with="invalid_prompt")]}, 4, "It failed: invalid_prompt"),
    ],
)
def test_failures_are_one_clear_error(voice: Voice, options: dict[str, Any], code: int, says: str) -> None:
    with OpenAIServer.in_thread(**options) as server:
        result = voice("send-text", "Hi", "--reconnects", "1", **openai(server))
    assert result.code == code, result.stderr
    assert says in result.stderr
    assert "Traceback" not in result.stderr
    assert openai_server.KEY not in result.stderr


def test_a_reply_that_a_lost_connection_cut_is_told_by_the_exit_code(voice: Voice, tmp_path: Path) -> None:
    """Its sound is kept as far as it came."""
    faults = [openai_server.Fault(stage="mid_response")]
    with OpenAIServer.in_thread(replies=[openai_server.Reply(text="It is Paris.")], faults=faults) as server:
        result = voice("send-text", "Hi", "-o", "r.wav", **openai(server))
    assert result.code == 4, result.stderr
    assert "the connection was lost" in result.stderr
    assert (tmp_path / "r.wav").stat().st_size > 44


@pytest.mark.parametrize("goes_on", [True, False])
def test_what_a_lost_connection_cut_may_go_on_after_a_function(tmp_path: Path, goes_on: bool) -> None:
    """Then the answer is whole."""
    (tmp_path / "tools.py").write_text("def quick() -> str:\n    return 'sunny'\n")
    call: list[Step] = [ToolCallRequest("c", "quick", "{}")] if goes_on else []
    cut = ResponseDone("r1", "incomplete", CONNECTION_LOST, awaits_tools=goes_on)
    provider = scripted_provider([ResponseStarted("r1"), *call, cut], reply("It is sunny."))
    choices = Choices(provider, RealtimeConfig(), [str(tmp_path / "tools.py")], vad_given=False)
    broken = pytest.raises(RealtimeConnectionError, match="not complete")
    with contextlib.nullcontext() if goes_on else broken:
        run_conversation(choices, ["How is the weather?"], Destinations(quiet=True))


def test_keys_are_refused_by_name(voice: Voice) -> None:
    with OpenAIServer.in_thread() as server:
        result = voice("send-text", "Hi", **openai(server, "sk-wrong-0123456789"))
    assert result.code == 3
    assert "OPENAI_API_KEY" in result.stderr
    assert "sk-wrong-0123456789" not in result.stderr
    with GeminiServer.in_thread() as gemini_one:
        result = voice("send-text", "Hi", **gemini(gemini_one, "AIza-wrong-0123456789"))
    assert result.code == 3
    assert "GEMINI_API_KEY" in result.stderr
    assert "AIza-wrong-0123456789" not in result.stderr


def test_nobody_answers(voice: Voice) -> None:
    result = voice("send-text", "Hi", OPENAI_API_KEY="sk-x", OPENAI_BASE_URL=f"http://127.0.0.1:{closed_port()}")
    assert result.code == 4
    assert "127.0.0.1" in result.stderr


def test_there_is_no_such_host(voice: Voice) -> None:
    result = voice("send-text", "Hi", OPENAI_API_KEY="sk-x", OPENAI_BASE_URL="https://nowhere.invalid/v1")
    assert result.code == 4
    assert "Cannot reach nowhere.invalid: there is no such host" in result.stderr


def test_models_are_listed_live(voice: Voice) -> None:
    with OpenAIServer.in_thread() as server:
        result = voice("list-models", "openai", "--live", **openai(server))
    assert [line.split("\t")[1] for line in result.lines] == ["gpt-realtime-2.1", "gpt-realtime-9"]
    with GeminiServer.in_thread() as gemini_one:
        result = voice("list-models", "gemini", "--live", **gemini(gemini_one))
    assert "gemini-9-live" in result.stdout.decode()


@pytest.mark.parametrize("provider", ["openai", "gemini"])
def test_an_address_that_cannot_be_is_named(voice: Voice, provider: str) -> None:
    variable = "OPENAI_BASE_URL" if provider == "openai" else "GOOGLE_GEMINI_BASE_URL"
    environment = {f"{provider.upper()}_API_KEY": "k-0123456789", variable: "http://[::1"}
    for command in (["send-text", "Hi", "-p", provider], ["list-models", provider, "--live"]):
        result = voice(*command, **environment)
        assert result.code == 3
        assert variable in result.stderr


def test_a_list_of_models_that_leads_elsewhere_gets_no_key(voice: Voice) -> None:
    """Nor does anybody else: redirects are not followed."""
    asked: list[str] = []

    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(302)
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            return

    with serving(HTTPServer(("127.0.0.1", 0), Elsewhere)) as server:
        url = f"http://127.0.0.1:{server.server_port}"
        one = voice("list-models", "openai", "--live", OPENAI_API_KEY="sk-0123456789", OPENAI_BASE_URL=url)
        two = voice("list-models", "gemini", "--live", GEMINI_API_KEY="k-0123456789", GOOGLE_GEMINI_BASE_URL=url)
    assert [one.code, two.code] == [4, 4]
    assert "302" in one.stderr
    assert "302" in two.stderr
    assert len(asked) == 2


def test_lists_are_made_without_a_network(voice: Voice) -> None:
    models = json.loads(voice("list-models", "--json").stdout)
    defaults = {(row["provider"], row["use"]): row["model"] for row in models if row["default"]}
    assert defaults == {
        ("openai", "conversation"): "gpt-realtime-2.1",
        ("openai", "translation"): "gpt-realtime-translate",
        ("openai", "transcription"): "gpt-transcribe",
        ("gemini", "conversation"): "gemini-3.8-live",
        ("gemini", "translation"): "gemini-3.5-live-translate-preview",
        ("gemini", "transcription"): "gemini-3.5-transcribe-live",
        ("local", "conversation"): "smollm2",
        ("local", "transcription"): "moonshine",
    }
    assert any(row["deprecated"] for row in models)
    voices = voice("list-voices", "google").lines
    assert len(voices) == 30
    assert all(line.startswith("gemini\t") for line in voices)
    providers = [line.split("\t") for line in voice("list-providers", OPENAI_API_KEY="sk-x").lines]
    assert [(name, configured) for name, configured, *_ in providers] == [
        ("openai", "configured"),
        ("gemini", "-"),
        ("local", "configured"),
    ]
