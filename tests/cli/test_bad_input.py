"""Bad input gets a message that names it, and its exit code; never a traceback."""

import re
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import DATA, ROOT, Voice, clean_environment

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
        "an option's old name",
        nothing,
        ["chat", "-i", QUESTION, "--mcp", "docs=x"],
        2,
        "--mcp: .*called --openai-mcp",
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
    for stdin in (b"", b"Dear diary, " * 50):
        result = voice("chat", "-p", "local", stdin=stdin)
        assert result.code == 2
        assert re.search("standard input.* no sound file", result.stderr, re.IGNORECASE)


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
        "hidden = {'xllamacpp', 'moonshine_voice', 'piper'}\n"
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
