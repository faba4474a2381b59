"""Bad input gets a message that names it, and its exit code; never a traceback."""

import json
import re
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import DATA, ROOT, Voice, clean_environment
from tests.loopback.openai_server import KEY, OpenAIServer

QUESTION = str(DATA / "question.wav")


def file(name: str, content: bytes) -> Callable[[Path], None]:
    def prepare(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return prepare


def nothing(folder: Path) -> None:
    return


WAV = (DATA / "question.wav").read_bytes()
NO_FACT = b"RIFF" + struct.pack("<I", 36) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 16_000, 32_000, 2, 16)

CASES = [
    # what, preparation, arguments, exit code, what the message names
    ("not a sound file", file("x.wav", b"Dear diary, " * 50), ["chat", "-i", "x.wav"], 2, r"x\.wav.* is no sound file"),
    ("empty file", file("x.wav", b""), ["chat", "-i", "x.wav"], 2, r"x\.wav.* is empty"),
    ("truncated header", file("x.wav", WAV[:30]), ["chat", "-i", "x.wav"], 2, r"x\.wav.*"),
    ("header without audio", file("x.wav", NO_FACT), ["chat", "-i", "x.wav"], 2, r"x\.wav.*"),
    ("a name that is empty", nothing, ["chat", "-i", ""], 2, r"Cannot read .*No such file"),
    ("missing file", nothing, ["chat", "-i", "x.wav"], 2, r"x\.wav.*No such file"),
    ("a directory", lambda folder: (folder / "x.wav").mkdir(), ["chat", "-i", "x.wav"], 2, r"x\.wav.* is a directory"),
    ("output in no folder", nothing, ["chat", "-i", QUESTION, "-o", "no/r.wav"], 2, r"no/r\.wav"),
    ("output is a folder", lambda folder: (folder / "r").mkdir(), ["chat", "-i", QUESTION, "-o", "r"], 2, "'r'"),
    ("output is the input", file("x.wav", WAV), ["chat", "-i", "x.wav", "-o", "x.wav"], 2, "is the input"),
    ("sound and JSON in one", nothing, ["chat", "-i", QUESTION, "-o", "-", "--json"], 2, "--output"),
    ("unknown provider", nothing, ["chat", "-p", "alexa", "-i", QUESTION], 2, r"no provider 'alexa'.*openai, gemini"),
    ("unknown turn detection", nothing, ["chat", "--vad", "psychic", "-i", QUESTION], 2, "'psychic'.*server.*client"),
    ("unknown option", nothing, ["chat", "--loud"], 2, "--loud"),
    ("unknown command", nothing, ["sing"], 2, "sing"),
    ("impossible rate", nothing, ["chat", "-i", QUESTION, "--input-rate", "-1"], 2, "--input-rate.*-1.*whole number"),
    ("impossible truncation", nothing, ["send-text", "x", "-p", "openai", "--truncation", "half"], 2, "--truncation"),
    ("header without colon", nothing, ["chat", "-i", QUESTION, "--header", "secret"], 2, "NAME:VALUE"),
    ("header of no HTTP", nothing, ["chat", "-i", QUESTION, "--header", "X:secr\xe9t"], 2, "--header.*HTTP"),
    (
        "server without address",
        nothing,
        ["chat", "-p", "openai", "-i", QUESTION, "--openai-mcp", "docs"],
        2,
        "--openai-mcp: 'docs'.*LABEL=URL",
    ),
    (
        "a server for OpenAI to call, as it was once given",
        nothing,
        ["chat", "-i", QUESTION, "--mcp", "docs=https://docs.example"],
        2,
        "--mcp: .*Write --openai-mcp LABEL=URL for a server that OpenAI calls",
    ),
    ("unknown voice", nothing, ["chat", "--voice", "elvis", "-i", QUESTION], 2, "--voice.*elvis.*joe"),
    ("unknown model", nothing, ["chat", "--model", "hal9000", "-i", QUESTION], 2, "--model.*hal9000"),
    ("unknown language model", nothing, ["chat", "--llm", "hal9000", "-i", QUESTION], 2, "--llm.*hal9000"),
    ("language model not there", nothing, ["chat", "--llm", "hal.gguf", "-i", QUESTION], 2, "--llm.*hal.gguf"),
    ("no OpenAI key", nothing, ["chat", "-p", "openai", "-i", QUESTION], 3, "OPENAI_API_KEY"),
    ("no Gemini key", nothing, ["chat", "-p", "gemini", "-i", QUESTION], 3, "GEMINI_API_KEY"),
    ("tools file missing", nothing, ["chat", "--tools", "t.py", "-i", QUESTION], 3, r"no file t\.py"),
    ("tools file broken", file("t.py", b"def ("), ["chat", "--tools", "t.py", "-i", QUESTION], 3, "t.py.*SyntaxError"),
    ("tools file fails", file("t.py", b"1/0"), ["chat", "--tools", "t.py", "-i", QUESTION], 3, "t.py.*ZeroDivision"),
    (
        "tools file exits",
        file("t.py", b"raise SystemExit"),
        ["chat", "--tools", "t.py", "-i", QUESTION],
        3,
        "SystemExit",
    ),
    (
        "tools file empty",
        file("t.py", b"import os"),
        ["chat", "--tools", "t.py", "-i", QUESTION],
        3,
        "no public function",
    ),
    (
        "tools file not Python",
        file("t.txt", b"x"),
        ["chat", "--tools", "t.txt", "-i", QUESTION],
        3,
        "not a Python file",
    ),
    (
        "unfit tool",
        file("t.py", b"def f(*a): ..."),
        ["chat", "--tools", "t.py", "-i", QUESTION],
        3,
        "f cannot be a tool",
    ),
    ("nothing to say", nothing, ["send-text", " "], 2, "nothing to say"),
    ("models of nobody", nothing, ["list-models", "alexa"], 2, "alexa"),
    ("models live without key", nothing, ["list-models", "openai", "--live"], 3, "OPENAI_API_KEY"),
    ("models live of none", nothing, ["list-models", "local", "--live"], 3, "--live"),
]


@pytest.mark.parametrize(
    ("prepare", "arguments", "code", "names"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_bad_input(
    voice: Voice, tmp_path: Path, prepare: Callable[[Path], None], arguments: list[str], code: int, names: str
) -> None:
    prepare(tmp_path)
    result = voice(*arguments, VOICE_PROVIDER="local")
    assert result.code == code, result.stderr
    assert re.search(names, result.stderr, re.DOTALL), result.stderr
    assert "Traceback" not in result.stderr
    assert "defect" not in result.stderr
    assert "secret" not in result.stderr


def test_standard_input_can_be_wrong_too(voice: Voice) -> None:
    for stdin, told in ((b"", "is empty"), (b"\0\1junk" * 50, "is no sound file")):
        result = voice("chat", "-p", "local", stdin=stdin)
        assert result.code == 2
        assert f"Standard input {told}" in result.stderr


JSON_CASES = [
    (["chat", "-i", "none.wav"], 2, "AudioFormatError", "none.wav"),
    (["chat", "-i", "/dev/null"], 2, "AudioFormatError", "'/dev/null' is empty"),
    (["chat", "-i", "caf\udce9.wav"], 2, "AudioFormatError", "No such file"),
    (["chat", "-i", QUESTION, "-o", "no/r.wav"], 2, "AudioFormatError", "no/r.wav"),
    (["chat", "-i", QUESTION, "--loud"], 2, "UsageError", "--loud"),
    (["chat", "-i", QUESTION, "--silence-ms", "x"], 2, "UsageError", "--silence-ms"),
    (["chat", "-i", QUESTION, "--silence-ms", "5"], 2, "UsageError", "from 100 to 10000"),
    (["chat", "-i", QUESTION, "--input-rate", "1"], 2, "UsageError", "A sample rate of 1 Hz"),
    (["chat", "-i", QUESTION, "--system", "caf\udce9"], 2, "UsageError", "--system: this is not UTF-8"),
    (["send-text"], 2, "UsageError", "nothing to say"),
    (["send-text", "Hi", "-p", "alexa"], 2, "UsageError", "alexa"),
    (["send-text", "Hi", "-p", "openai"], 3, "ConfigurationError", "OPENAI_API_KEY"),
    (["send-text", "Hi", "--tools", "t.py"], 3, "ToolError", "no file t.py"),
]


@pytest.mark.parametrize(("arguments", "code", "error", "told"), JSON_CASES, ids=[" ".join(c[0]) for c in JSON_CASES])
def test_with_json_every_failure_has_its_line(
    voice: Voice, arguments: list[str], code: int, error: str, told: str
) -> None:
    result = voice(*arguments, "--json", VOICE_PROVIDER="local")
    assert result.code == code, result.stderr
    (line,) = map(json.loads, result.lines)
    assert (line["type"], line["error"], line["fatal"], line["exit_code"]) == ("error", error, True, code)
    assert told in f"{line['message']} {line['advice']}"
    assert line["time_ms"] >= 0
    line["message"].encode()


def test_a_name_of_json_is_no_wish_for_it(voice: Voice) -> None:
    assert voice("chat", "-i", "none.wav", VOICE_PROVIDER="local").stdout == b""
    assert voice("list-models", "alexa", "--json").stdout == b""


def test_notices_about_the_input_are_told(voice: Voice, tmp_path: Path) -> None:
    (tmp_path / "cut.wav").write_bytes(WAV[: len(WAV) * 9 // 10])
    (tmp_path / "open.wav").write_bytes(WAV[:40] + bytes(4) + WAV[44:])
    for name, told in (("cut.wav", ["input_truncated"]), ("open.wav", [])):
        with OpenAIServer.in_thread() as server:
            environment = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.url}
            result = voice("chat", "-i", name, "--json", **environment)
        assert result.code == 0, result.stderr
        lines = [json.loads(line) for line in result.lines]
        assert [line["code"] for line in lines if line["type"] == "notice"] == told
        assert any(line["type"] == "response_done" for line in lines)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["chat", "-i", QUESTION, "--system", "caf\udce9"], "--system"),
        (["chat", "-i", QUESTION, "--voice", "\udcff"], "--voice"),
        (["chat", "-i", QUESTION, "--header", "X: \udcff"], "--header"),
        (["chat", "-i", QUESTION, "-p", "\udcff"], "--provider"),
        (["chat", "-i", QUESTION, "--llm", "\udcff"], "--llm"),
        (["send-text", "caf\udce9"], "TEXT"),
        (["list-models", "\udcff"], "PROVIDER"),
        (["test-audio", "--input-device", "\udcff"], "--input-device"),
    ],
)
def test_arguments_that_are_no_text(voice: Voice, arguments: list[str], told: str) -> None:
    result = voice(*arguments, VOICE_PROVIDER="local")
    assert result.code == 2, result.stderr
    assert f"{told}: this is not UTF-8 text" in result.stderr


def test_a_variable_that_is_no_text(voice: Voice) -> None:
    result = voice("chat", "-i", QUESTION, VOICE_PROVIDER="\udcff")
    assert result.code == 3, result.stderr
    assert "VOICE_PROVIDER: this is not UTF-8 text" in result.stderr


def test_files_may_have_any_name(voice: Voice, tmp_path: Path) -> None:
    (tmp_path / "caf\udce9.wav").write_bytes(WAV)
    (tmp_path / "caf\udce9.py").write_text("def quick() -> str:\n    return ''\n")
    with OpenAIServer.in_thread() as server:
        options = ["-i", "caf\udce9.wav", "-o", "th\udce9.wav", "--tools", "caf\udce9.py", "--debug", "d\udce9.jsonl"]
        result = voice("chat", *options, OPENAI_API_KEY=KEY, OPENAI_BASE_URL=server.url)
    assert result.code == 0, result.stderr
    assert (tmp_path / "th\udce9.wav").stat().st_size > 44
    assert (tmp_path / "d\udce9.jsonl").stat().st_size > 0


def test_text_that_nobody_takes_is_not_even_read_to_its_end(tmp_path: Path) -> None:
    """The writer has 70 MB, and gets rid of little of it."""
    command = f"head -c 70000000 /dev/zero | tr '\\0' x | {sys.executable} -m voicecli send-text - -p local --json"
    done = subprocess.run(["sh", "-c", command], capture_output=True, cwd=tmp_path, env=clean_environment(), timeout=60)
    assert done.returncode == 2
    assert b"more than 1000000 bytes" in done.stderr
    assert json.loads(done.stdout)["error"] == "UsageError"


def test_a_number_that_python_does_not_read_is_no_defect(voice: Voice) -> None:
    digits = "9" * 5_000
    for command in (["chat", "-i", QUESTION, "--input-rate"], ["test-audio", "--input-device"]):
        result = voice(*command, digits, VOICE_PROVIDER="local")
        assert result.code in (2, 5), result.stderr
        assert "defect" not in result.stderr


def test_text_must_be_text(voice: Voice) -> None:
    for text, stdin in (("-", b"\xff\xfe\xff"), ("caf\udce9", b"")):
        result = voice("send-text", text, "-p", "local", stdin=stdin)
        assert result.code == 2
        assert "not UTF-8" in result.stderr


def test_nothing_set_up_names_every_way() -> None:
    """As on a machine without keys and without the extra: its packages are hidden."""
    script = (
        "from importlib.machinery import PathFinder as P\n"
        "find = P.find_spec\n"
        "hidden = {'xllamacpp', 'piper'}\n"
        "P.find_spec = lambda name, *rest: None if name.partition('.')[0] in hidden else find(name, *rest)\n"
        "from voicecli.cli import main\n"
        "main()"
    )
    for arguments, expected in (
        (["chat", "-i", QUESTION], ["OPENAI_API_KEY", "GEMINI_API_KEY", 'pip install "voicecli[local]"']),
        (["chat", "-p", "local", "-i", QUESTION], ['pip install "voicecli[local]"']),
    ):
        done = subprocess.run(
            [sys.executable, "-c", script, *arguments], capture_output=True, cwd=ROOT, env=clean_environment()
        )
        message = done.stderr.decode()
        assert done.returncode == 3, message
        for text in expected:
            assert text in message
        assert "Traceback" not in message


def test_a_provider_from_the_environment_can_be_wrong(voice: Voice) -> None:
    result = voice("chat", "-i", QUESTION, VOICE_PROVIDER="alexa")
    assert result.code == 3
    assert "VOICE_PROVIDER: There is no provider 'alexa'.\n" in result.stderr
    assert "--provider" not in result.stderr


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(
    ("arguments", "code"), [("list-providers", 0), ("chat -p openai", 2), ("send-text Hi -p openai", 3)]
)
def test_a_closed_stream_is_no_defect(tmp_path: Path, arguments: str, code: int, closed: str) -> None:
    command = ["sh", "-c", f"{sys.executable} -m voicecli {arguments} {closed}"]
    environment = clean_environment()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, cwd=tmp_path, env=environment)
    assert done.returncode == code, done.stderr
    assert b"defect" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_no_defect(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "voicecli", "list-voices"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, cwd=tmp_path, env=clean_environment())
    assert done.returncode == 2
    assert done.stderr.startswith(b"voice: Cannot write the output: No space left")
    assert b"defect" not in done.stderr
