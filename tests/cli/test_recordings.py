"""`--record` and `voice logs export`: through the real command in a home of its own, and in this process."""

import io
import json
import os
import subprocess
import sys
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import webvtt

from tests.cli.conftest import DATA, Voice, clean_environment
from tests.loopback import openai_server
from tests.loopback.openai_server import OpenAIServer, Reply
from tests.recording.virtual_devices import near, recorded, stretches, tone
from tests.support.full_disk import files_of_at_most
from tests.virtual_audio import wait_until
from voicecli import RealtimeConfig
from voicecli.cli import execute
from voicecli.cli.destinations import Destinations
from voicecli.cli.exit import ExitStatus
from voicecli.cli.options import Choices
from voicecli.cli.run import run_conversation
from voicecli.errors import AudioFormatError
from voicecli.events import AudioChunk, AudioDone, ResponseDone, ResponseStarted, TranscriptUpdate
from voicecli.history.store import Store
from voicecli.testing import Step, scripted_provider

QUESTION = str(DATA / "question.wav")
KEY = {"OPENAI_API_KEY": openai_server.KEY}


def test_a_conversation_is_recorded_kept_and_exported(voice: Voice, tmp_path: Path) -> None:
    replies = [Reply(text="It is Paris."), Reply(text="It is Rome.")]
    home = tmp_path / "home"
    home.mkdir()
    environment = {"HOME": str(home), "VOICECLI_HISTORY": str(home / "history")}
    with OpenAIServer.in_thread(replies=replies, hears=["Which city?"] * 2) as server:
        asked = ("chat", "-i", QUESTION, "-i", QUESTION, "--record", "talks", "-o", "reply.wav")
        result = voice(*asked, **KEY, OPENAI_BASE_URL=server.url, **environment)
    assert (result.code, result.lines) == (0, ["It is Paris.", "It is Rome."]), result.stderr
    (path,) = (tmp_path / "talks").iterdir()
    assert f"Recorded in {path}" in result.stderr.splitlines()
    rate, user, assistant = recorded(path)
    spoken, played = stretches(user, rate, least=1), stretches(assistant, rate, least=1)
    assert played[0][1] < spoken[-1][0]  # the second question comes when the first answer has been heard
    assert stretches(user, rate, least=3_000)
    exported = voice("logs", "export", "-o", "talk.srt", **environment)
    assert (exported.code, exported.stdout) == (0, b""), exported.stderr
    captions = webvtt.from_srt(str(tmp_path / "talk.srt")).captions
    assert [caption.text for caption in captions] == [
        *("You: Which city?", "Assistant: It is Paris.", "You: Which city?", "Assistant: It is Rome.")
    ]
    # The captions are where it is heard, though all of it was sent and answered in a moment.
    starts = [caption.start_in_seconds + int(caption.start[-3:]) / 1000 for caption in captions]
    assert starts[1] == pytest.approx(played[0][0] / 1000, abs=0.1)
    assert starts[1] < starts[2] < starts[3]
    if os.name == "posix":
        assert (tmp_path / "talk.srt").stat().st_mode & 0o777 == 0o600


# -- in this process


def answer(text: str, audio: bytes, name: str = "r") -> list[Step]:
    words = TranscriptUpdate("assistant", f"{name}_item", text, final=True)
    sound = AudioChunk(audio, name, f"{name}_item")
    return [ResponseStarted(name), sound, AudioDone(name), words, ResponseDone(name)]


def ask(*script: list[Step], record: Path | None, quiet: bool = True, **more: Any) -> None:
    choices = Choices(scripted_provider(*script), RealtimeConfig(), (), vad_given=True, record=record, **more)
    run_conversation(choices, ["Which city?"] * len(script), Destinations(None, quiet=quiet))


def test_without_a_loudspeaker_answers_come_one_after_the_other(tmp_path: Path) -> None:
    ask(answer("Paris.", tone(700)), answer("Rome.", tone(500), "s"), record=tmp_path)
    (path,) = tmp_path.iterdir()
    rate, user, assistant = recorded(path)
    assert not user.any()
    ((begin, end),) = stretches(assistant, rate)
    assert (begin, end) == near(0, 1_200, 250)
    assert end - begin == pytest.approx(1_200, abs=1)


@pytest.mark.parametrize("quiet", [True, False])
def test_the_file_is_told_on_standard_error(tmp_path: Path, quiet: bool, capsys: pytest.CaptureFixture[str]) -> None:
    ask(answer("Paris.", tone(100)), record=tmp_path / "made", quiet=quiet)
    (path,) = (tmp_path / "made").iterdir()
    told = capsys.readouterr()
    assert (f"Recorded in {path}\n" in told.err) is not quiet
    assert "Recorded" not in told.out


def test_a_folder_that_cannot_be_written_is_told_before_the_provider_is_asked(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Exception, match=r"^record: nothing can be written in ") as refused:
        ask(record=tmp_path / "file")  # a script without entries would fail otherwise
    assert "it is made if it is not there" in str(refused.value)


def test_what_is_wrong_with_the_folder_is_the_option_s(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("OPENAI_API_KEY", openai_server.KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9")
    code = execute(["send-text", "Hi", "-p", "openai", "--no-log", "--record", str(tmp_path / "file")])
    assert code == ExitStatus.USAGE
    assert "Invalid value for --record: nothing can be written in" in capsys.readouterr().err


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file may become larger than 50 kB, as on a disk that is full by then."""
    with files_of_at_most(50_000):
        yield


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on files")
@pytest.mark.usefixtures("small_files")
def test_a_full_disk_costs_the_recording_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(AudioFormatError, match="Cannot write"):  # at the end, as what was asked for is not there
        ask(answer("Paris.", tone(5_000)), answer("Rome.", tone(5_000), "s"), record=tmp_path, quiet=False)
    told = capsys.readouterr()
    assert "Paris." in told.out
    assert "Rome." in told.out
    assert "The recording ends here." in told.err


# -- exports


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a recording, of a conversation that is kept."""
    from voicecli.cli.keeping import Keeping

    monkeypatch.setenv("VOICECLI_HISTORY", str(tmp_path / "history"))
    monkeypatch.chdir(tmp_path)
    ask(answer("It is </script> Paris.", tone(700)), record=tmp_path / "talks", keeping=Keeping(on=True, quiet=True))
    return tmp_path


def export(*options: str) -> None:
    assert execute(["logs", "export", *options]) == ExitStatus.OK


def test_the_history_knows_the_recording(kept: Path) -> None:
    (path,) = (kept / "talks").iterdir()
    with Store() as store:
        assert store.conversation("latest").recording == path


def test_a_file_s_ending_tells_the_format(kept: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    beginnings = {"vtt": "WEBVTT\n\n", "srt": "1\n00:00:0", "md": "# Conversation of 20", "JSON": '{\n  "id": "'}
    for ending, begins in {**beginnings, "htm": "<!doctype html>"}.items():
        name = f"a.{ending}"
        export("latest", "-o", name)
        assert (kept / name).read_text(encoding="utf-8").startswith(begins)
    assert capsysbinary.readouterr().out == b""
    export("--format", "vtt", "-o", "a.txt")
    assert webvtt.from_buffer(io.StringIO((kept / "a.txt").read_text()), format="vtt").captions[1].voice == "Assistant"


def test_standard_output_gets_markdown(kept: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    export()
    text = capsysbinary.readouterr().out.decode()
    assert text.startswith("# Conversation of 20")
    assert "It is \\</script\\> Paris." in text
    export("-o", "-", "-f", "json")
    assert json.loads(capsysbinary.readouterr().out)["turns"][1]["text"] == "It is </script> Paris."


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["-o", "talk.docx"], "'talk.docx' does not tell: give one of srt, vtt, md, json, html"),
        (["-o", "no/where/talk.md"], None),
        (["-o", "talks"], "does not tell"),
        (["-f", "docx"], "docx"),
        (["zzz"], "There is no conversation 'zzz'."),
    ],
)
def test_what_cannot_be_exported_is_told(
    kept: Path, options: list[str], said: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    code = execute(["logs", "export", *options])
    if said is None:  # its folder is made
        assert code == ExitStatus.OK
        return
    assert code == ExitStatus.USAGE
    assert said in capsys.readouterr().err


def test_a_page_has_the_sound_or_leads_to_it_or_does_without(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (path,) = (kept / "talks").iterdir()
    page = kept / "talks" / "talk.html"
    export("-o", str(page))
    assert '<audio controls preload="metadata" src="data:audio/mpeg;base64,' in page.read_text()
    assert page.read_text().count("<svg") == 2
    export("-o", str(page), "--no-sound")
    assert "<audio" not in page.read_text()
    assert page.read_text().count("<svg") == 2
    with wave.open(str(path), "wb") as long:
        long.setparams((2, 2, 1_000, 0, "NONE", ""))
        long.writeframes(bytes(4 * 1_000 * 601))
    export("-o", str(page))
    assert f'src="{path.name}"' in page.read_text()  # beside it, wherever both are moved
    path.unlink()
    capsys.readouterr()
    export("-o", str(page))
    assert "The page is without its recording: Cannot read" in capsys.readouterr().err
    assert "<svg" not in page.read_text()
    assert "It is &lt;/script&gt; Paris." in page.read_text()


@pytest.mark.skipif(sys.platform == "win32", reason="no kill -9")
def test_what_was_heard_before_the_command_is_killed_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    talks = tmp_path / "talks"
    monkeypatch.setenv("VOICECLI_HISTORY", str(tmp_path / "history"))
    reply = Reply(text="It is long.", audio=tone(20_000))
    with OpenAIServer.in_thread(replies=[reply], hears=["Which city?"], delay_s=0.2, forgiving=True) as server:
        command = [sys.executable, "-m", "voicecli", "chat", "-i", QUESTION, "--record", str(talks), "-o", "reply.wav"]
        environment = clean_environment(**KEY, OPENAI_BASE_URL=server.url)
        with subprocess.Popen(command, cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL) as process:
            wait_until(lambda: any(has_both_sides(path) for path in talks.glob("*.wav")), "both are recorded", 60)
            wait_until(has_times_of_a_recording, "the history knows of it", 60)
            process.kill()
    (path,) = talks.iterdir()
    rate, user, assistant = recorded(path)
    spoken, played = stretches(user, rate, least=1), stretches(assistant, rate, least=1)
    assert spoken[-1][1] <= played[0][0]
    with Store() as store:
        record = store.conversation("latest")
    assert record.recording == path
    assert record.recording_times


def has_times_of_a_recording() -> bool:
    with Store() as store:
        return any(store.conversation(kept.id).recording_times for kept in store.conversations())


def has_both_sides(path: Path) -> bool:
    try:
        _, user, assistant = recorded(path)
    except (EOFError, wave.Error):
        return False
    return bool(user.any() and assistant.any())
