"""Conversations of the command are kept, and continued: what a new user sees of it."""

import asyncio
import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer

from tests.cli.conftest import DATA, Result, Voice, clean_environment
from tests.history.conftest import ROWS, conversation
from tests.history.test_log import scripted
from tests.loopback import gemini_server, openai_server
from tests.loopback.gemini_server import GeminiServer
from tests.loopback.openai_server import OpenAIServer
from tests.support.systems import may_everything
from voicecli.cli import ExitStatus, execute
from voicecli.cli.app import load_command
from voicecli.cli.keeping import Keeping, look_up
from voicecli.cli.options import Choices, with_conversation_options
from voicecli.events import Event, Notice
from voicecli.history.records import ConversationRecord
from voicecli.history.store import Store
from voicecli.testing import reply

ANSWER, QUESTION = "It is Paris.", "Which city?"
NOTE = "Note: Conversations are kept on this machine, for you alone: `voice logs` shows and deletes them, "


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """The environment of a new user, who has not been told of anything."""
    (tmp_path / "home").mkdir()
    unset = dict.fromkeys(("VOICECLI_CONFIG", "VOICECLI_HISTORY", "XDG_CONFIG_HOME", "XDG_DATA_HOME"), "")
    return {"HOME": str(tmp_path / "home"), **unset}


def openai(server: OpenAIServer) -> dict[str, str]:
    return {"OPENAI_API_KEY": openai_server.KEY, "OPENAI_BASE_URL": server.url}


def say(voice: Voice, *arguments: str, **environment: str) -> Result:
    said = voice("send-text", *arguments, **environment)
    assert said.code == 0, said.stderr
    return said


@pytest.mark.skipif(sys.platform != "linux", reason="the place is another one on other systems")
def test_a_new_user_is_told_once_and_finds_it_all_again(voice: Voice, home: dict[str, str]) -> None:
    replies = [openai_server.Reply(text=ANSWER)] * 3
    with OpenAIServer.in_thread(replies=replies, hears=[QUESTION] * 3) as server:
        environment = home | openai(server)
        first = say(voice, QUESTION, **environment)
        assert first.lines == [ANSWER]
        assert first.stderr == f"{NOTE}`voice logs off` keeps none.\n"
        second = voice("chat", "-i", str(DATA / "question.wav"), "--no-play", "-o", "r.wav", **environment)
        assert (second.code, second.stderr) == (0, "")
        assert say(voice, QUESTION, "--no-log", **environment).stderr == ""
    folder = Path(home["HOME"], ".local/share/voicecli/history")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    with Store(folder / "history.db") as store:
        listed = list(store.conversations())
        assert [store.opening(each.id) for each in listed] == [(2, QUESTION)] * 2
    assert {(each.provider, each.end, each.ended_at is None) for each in listed} == {("openai", "closed", False)}
    done = voice("logs", "show", "--json", **home)
    assert done.code == 0, done.stderr
    shown = json.loads(done.stdout)
    assert [(turn["role"], turn["text"]) for turn in shown["turns"]] == [("user", QUESTION), ("assistant", ANSWER)]
    assert shown["turns"][0]["ended_ms"] > shown["turns"][0]["started_ms"]
    assert shown["responses"][0]["metrics"]["audio_ms"] > 0
    assert shown["usage"]["cost_usd"] == pytest.approx(listed[0].usage.cost_usd)
    assert openai_server.KEY.encode() not in b"".join(file.read_bytes() for file in folder.iterdir())


def test_a_conversation_goes_on_with_another_provider(voice: Voice) -> None:
    with OpenAIServer.in_thread(replies=[openai_server.Reply(text=ANSWER)]) as server:
        say(voice, QUESTION, **openai(server))
    with GeminiServer.in_thread(replies=[gemini_server.Reply(text="It is Rome.")]) as google:
        environment = {"GEMINI_API_KEY": gemini_server.KEY, "GOOGLE_GEMINI_BASE_URL": google.url}
        assert say(voice, "--continue", "And of Italy?", **environment).lines == ["It is Rome."]
        heard = json.dumps([frame for frame in google.frames if "setup" not in frame], default=repr)
    assert heard.index(QUESTION) < heard.index(ANSWER) < heard.index("And of Italy?")
    with Store() as store:
        last, first = store.conversations()
        assert (last.provider, last.continues, first.continues) == ("gemini", first.id, "")
        assert store.opening(last.id) == (2, "And of Italy?")  # its own words alone
        assert [turn.text for turn in store.turns_before(last.id)] == [QUESTION, ANSWER, "And of Italy?", "It is Rome."]


def test_two_conversations_at_once(tmp_path: Path) -> None:
    words = ["And of Italy?", QUESTION]
    with OpenAIServer.in_thread(replies=[openai_server.Reply(text=ANSWER)] * 2) as server:
        environment = clean_environment(**openai(server))
        command = [sys.executable, "-m", "voicecli", "send-text"]
        talks = [
            subprocess.Popen([*command, text], env=environment, cwd=tmp_path, stderr=subprocess.PIPE) for text in words
        ]
        for talk in talks:
            _, complaint = talk.communicate(timeout=100)
            assert (talk.returncode, complaint) == (0, b"")
    with Store() as store:
        assert sorted(store.opening(each.id)[1] for each in store.conversations()) == words


def _no_room() -> None:
    if sys.platform == "win32":
        raise NotImplementedError("Windows limits no files")
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (16_384, 16_384))


def _read_only(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o500)


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param("full", marks=pytest.mark.skipif(os.name != "posix", reason="no limits here")),
        pytest.param("read-only", marks=pytest.mark.skipif(may_everything(), reason="root may")),
    ],
)
def test_a_disk_that_takes_nothing_costs_nothing_but_the_history(tmp_path: Path, wrong: str) -> None:
    folder = tmp_path / "history"
    if wrong == "read-only":
        _read_only(folder)
    with OpenAIServer.in_thread(replies=[openai_server.Reply(text=ANSWER)]) as server:
        done = subprocess.run(
            [sys.executable, "-m", "voicecli", "send-text", QUESTION],
            env=clean_environment(**openai(server), VOICECLI_HISTORY=str(folder)),
            preexec_fn=_no_room if wrong == "full" else None,
            capture_output=True,
            timeout=100,
            text=True,
        )
    assert (done.returncode, done.stdout) == (0, f"{ANSWER}\n")
    assert done.stderr.startswith("Note: This conversation is not kept. ")
    assert done.stderr.count("\n") == 1


def test_what_was_said_before_it_was_killed_is_there(tmp_path: Path) -> None:
    """The reply to the second question never ends."""
    replies = [openai_server.Reply(text=ANSWER), openai_server.Reply(text="Never " * 2_000)]
    with OpenAIServer.in_thread(replies=replies, delay_s=0.05, forgiving=True) as server:
        (tmp_path / "one.txt").write_text(QUESTION)
        (tmp_path / "two.txt").write_text("And of Italy?")
        command = [sys.executable, "-m", "voicecli", "chat", "-i", "one.txt", "-i", "two.txt", "--json"]
        with subprocess.Popen(
            command, cwd=tmp_path, env=clean_environment(**openai(server)), stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                told = json.loads(line)
                if told["type"] == "transcript" and told["role"] == "user" and told["text"] == "And of Italy?":
                    break
            kept = _until_kept(3)
            process.kill()
            process.wait(timeout=30)
    assert [turn.text for turn in kept.turns][:3] == [QUESTION, ANSWER, "And of Italy?"]
    with Store() as store:
        killed = store.conversation(kept.id)
        assert killed.turns[:3] == kept.turns[:3]
        assert killed.ended_at is None


def _until_kept(turns: int) -> ConversationRecord:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with Store() as store:
            found = [store.conversation(each.id) for each in store.conversations()]
        if found and len(found[0].turns) >= turns:
            return found[0]
        time.sleep(0.05)
    raise AssertionError("it is not kept")


# -- in this process


@pytest.fixture
def kept() -> str:
    with Store(create=True) as store:
        id_ = store.begin(conversation())
        store.save(id_, ROWS)
    return id_


def test_what_is_continued_is_looked_up(kept: str) -> None:
    past = look_up(kept[:3])
    assert past.id == kept
    assert [turn.role for turn in past.turns] == ["user", "tool", "assistant"]
    assert look_up(None).turns == ()


@pytest.mark.parametrize(
    ("arguments", "id_", "text"),
    [
        (["send-text", "--continue"], "latest", None),
        (["send-text", "--continue", "Which city?"], "latest", "Which city?"),
        (["send-text", "Hello", "--continue"], "latest", "Hello"),
        (["send-text", "--continue", "Hello"], "latest", "Hello"),
        (["send-text", "--continue", "b2c3", "Hello"], "b2c3", "Hello"),
        (["send-text", "--continue=hello", "Hello"], "hello", "Hello"),
        (["send-text", "--continue", "--", "--continue"], "latest", "--continue"),
        (["send-text", "Hello"], None, "Hello"),
        (["chat", "--continue", "--quiet"], "latest", None),
        (["chat", "--continue", "hello"], "hello", None),
        (["chat", "--continue", "b2"], "b2", None),
    ],
)
def test_continue_takes_an_id_or_none(arguments: list[str], id_: str | None, text: str | None) -> None:
    command = load_command(arguments[0])
    context = command.make_context(arguments[0], arguments[1:])
    assert context.params["continue_"] == id_
    assert context.params.get("text") == text


@pytest.mark.parametrize("arguments", [["--continue"], ["--continue", "b2c3d4"], ["--continue=hello"]])
def test_a_conversation_that_is_not_there_is_told(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["send-text", "Hi", *arguments, "-p", "openai"]) == ExitStatus.USAGE
    assert "Invalid value for --continue: " in " ".join(capsys.readouterr().err.split())


def test_where_it_is_off_there_is_no_log() -> None:
    told: list[Event] = []
    assert Keeping().logs("openai", told.append) == []
    assert len(Keeping(on=True).logs("openai", told.append)) == 1
    assert told == []


def test_what_is_kept_comes_from_settings(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    chosen: list[Keeping] = []

    def command(*, choices: Choices) -> ExitStatus:
        chosen.append(choices.keeping)
        return ExitStatus.OK

    app = typer.Typer()
    app.command()(with_conversation_options(command))
    monkeypatch.setenv("VOICE_LOGS_KEEP_DAYS", "7")
    assert execute(["config", "set", "logs.max_mb", "9"]) == 0
    app(["-p", "openai"], standalone_mode=False)
    app(["-p", "openai", "--no-log"], standalone_mode=False)
    assert execute(["logs", "off"]) == 0
    app(["-p", "openai"], standalone_mode=False)
    app(["-p", "openai", "--log", "--logs-max-mb", "8"], standalone_mode=False)
    monkeypatch.setenv("VOICE_LOG", "on")
    app(["-p", "openai"], standalone_mode=False)
    assert [(keeping.on, keeping.keep_days, keeping.max_mb) for keeping in chosen] == [
        (True, 7, 9),
        (False, 7, 9),
        (False, 7, 9),
        (True, 7, 8),
        (True, 7, 9),
    ]
    monkeypatch.setenv("VOICE_LOGS_KEEP_DAYS", "-7")
    assert execute(["send-text", "Hi"]) == ExitStatus.CONFIGURATION
    assert "VOICE_LOGS_KEEP_DAYS: -7 is not possible" in capsys.readouterr().err


def test_it_is_told_once_for_each_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Event] = []

    def hold(keeping: Keeping) -> None:
        async def held() -> None:
            async with scripted(reply("Paris.")).connect(logs=keeping.logs("x", told.append)) as session:
                await session.ask("Hi")

        asyncio.run(held())

    monkeypatch.setenv("VOICECLI_HISTORY", str(tmp_path / "new"))
    hold(Keeping(on=True, quiet=True))
    assert told == []
    hold(Keeping(on=True))
    hold(Keeping(on=True))
    (notice,) = told
    assert isinstance(notice, Notice)
    assert notice.code == "history_kept"
