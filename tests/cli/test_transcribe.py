"""`voice transcribe` with recordings and pipes: where captions go, what is told, and with which exit code."""

import json
import sys
import wave
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pysubs2
import pytest
import webvtt

from tests.transcribing.fakes import RATE, CommittingService
from voicecli.captions import Caption
from voicecli.cli import execute
from voicecli.cli.caption_output import CaptionOutput
from voicecli.cli.exit import ExitStatus
from voicecli.errors import AuthenticationError, ConfigurationError, RealtimeConnectionError
from voicecli.ports import Connection, ModelInfo, Provider, Service, TranscriberSetup
from voicecli.pricing import Prices
from voicecli.providers.local import LOCAL
from voicecli.providers.openai import OPENAI

Run = Callable[..., tuple[int, str, str]]


class Services:
    """The services that were begun, and with what; `error` keeps another one from beginning."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, TranscriberSetup]] = []
        self.error: Exception | None = None

    def of(self, provider: Provider, *, offline: bool, installed: bool = True) -> Provider:
        async def connect(setup: TranscriberSetup) -> Connection:
            if self.error is not None:
                raise self.error
            self.begun.append((provider.name, setup))
            return CommittingService()

        models = (ModelInfo("hearer", prices=Prices(session_minute=0.017)),)
        capabilities = CommittingService().capabilities
        service = Service[TranscriberSetup](
            capabilities=capabilities, default_model="hearer", models=models, connect=connect, offline=offline
        )
        return replace(provider, transcriber=service, is_configured=lambda: installed)


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> Services:
    services = Services()
    install(services, monkeypatch)
    return services


def install(services: Services, monkeypatch: pytest.MonkeyPatch, *, offline: bool = True) -> None:
    openai = services.of(OPENAI, offline=False)
    local = services.of(LOCAL, offline=True, installed=offline)
    monkeypatch.setattr("voicecli.transcriber.PROVIDERS", (openai, local))
    found = {"openai": openai, "local": local}
    monkeypatch.setattr("voicecli.transcriber.find_provider", found.__getitem__)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*args: str) -> tuple[int, str, str]:
        code = execute(["transcribe", *args])
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def recording(tmp_path: Path, speech: bytes) -> Callable[..., Path]:
    def write(name: str, *channels: bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        sides = channels or (bytes(RATE) + speech + bytes(2 * RATE) + speech,)
        length = max(map(len, sides))
        padded = [side.ljust(length, b"\0") for side in sides]
        frames = b"".join(side[at : at + 2] for at in range(0, length, 2) for side in padded)
        with wave.open(str(path), "wb") as file:
            file.setnchannels(len(sides))
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(frames)
        return path

    return write


def test_bare_text_goes_to_standard_output(services: Services, run: Run, recording: Callable[..., Path]) -> None:
    recording("meeting.wav")
    code, out, err = run("meeting.wav")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("said ") for line in lines)
    assert services.begun[0][0] == "local"


def test_captions_are_valid_for_those_who_read_them(
    services: Services, run: Run, recording: Callable[..., Path], tmp_path: Path
) -> None:
    recording("meeting.wav")
    code, out, err = run("meeting.wav", "--srt", "--vtt", "other.vtt")
    assert (code, out) == (0, "")
    assert err.splitlines() == ["2 captions in meeting.srt", "2 captions in other.vtt"]
    srt, vtt = pysubs2.load("meeting.srt"), webvtt.read("other.vtt")
    assert [pysubs2.time.ms_to_str(event.start, fractions=True) for event in srt] == [
        cue.start.removeprefix("0") for cue in vtt.captions
    ]
    assert [event.plaintext for event in srt] == [cue.text for cue in vtt.captions]
    assert len(webvtt.from_srt("meeting.srt").captions) == 2
    assert (tmp_path / "meeting.srt").stat().st_mode & 0o077 == 0, "a meeting is not everybody's to read"


def test_json_has_an_object_for_each(services: Services, run: Run, recording: Callable[..., Path]) -> None:
    recording("meeting.wav")
    code, out, _ = run("--json", "meeting.wav")
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [sorted(line) for line in lines] == [["end_ms", "final", "start_ms", "text"]] * 2
    assert lines[0]["start_ms"] < lines[0]["end_ms"] <= lines[1]["start_ms"]
    assert all(line["final"] for line in lines)


def test_channels_are_speakers(services: Services, run: Run, recording: Callable[..., Path], speech: bytes) -> None:
    recording("call.wav", speech, bytes(3 * len(speech)) + speech)
    code, out, _ = run("--channels", "call.wav", "--json")
    assert code == 0
    assert [json.loads(line)["channel"] for line in out.splitlines()] == [1, 2]
    code, out, _ = run("--channels", "call.wav")
    assert [line.split(": said")[0] for line in out.splitlines()] == ["Channel 1", "Channel 2"]
    assert "for $0.017 a minute of each channel." in run("--channels", "call.wav", "-p", "openai")[2]
    run("--channels", "call.wav", "--vtt")
    assert [cue.voice for cue in webvtt.read("call.vtt").captions] == ["Channel 1", "Channel 2"]


def test_several_recordings_have_a_file_each_and_none_is_lost(
    services: Services, run: Run, recording: Callable[..., Path], tmp_path: Path
) -> None:
    recording("a/talk.wav")
    recording("b/talk.wav")
    code, out, _ = run("a/talk.wav", "b/talk.wav", "--srt", "captions/")
    assert (code, out) == (0, "")
    assert sorted(path.name for path in (tmp_path / "captions").iterdir()) == ["talk-2.srt", "talk.srt"]
    run("a/talk.wav", "b/talk.wav", "--srt")
    assert (tmp_path / "a" / "talk.srt").exists()
    assert (tmp_path / "b" / "talk.srt").exists()
    _, _, err = run("a/talk.wav", "--srt")
    assert "talk-2.srt" in err, "what somebody may have corrected is kept"


def test_a_file_that_is_named_is_replaced_when_there_is_something_to_write(
    services: Services, run: Run, recording: Callable[..., Path], tmp_path: Path
) -> None:
    kept = tmp_path / "mine.srt"
    kept.write_text("before")
    kept.chmod(0o644)
    recording("silence.wav", bytes(2 * RATE))
    code, _, err = run("silence.wav", "--srt", "mine.srt")
    assert code == ExitStatus.NO_SPEECH
    assert "There is no speech in 'silence.wav'" in err
    assert kept.read_text() == "before"
    recording("meeting.wav")
    assert run("meeting.wav", "--srt", "mine.srt")[0] == 0
    assert len(pysubs2.load(str(kept))) == 2
    assert kept.stat().st_mode & 0o777 == 0o644
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_damaged_recording_does_not_keep_the_others_from_it(
    services: Services, run: Run, recording: Callable[..., Path], tmp_path: Path
) -> None:
    recording("one.wav")
    (tmp_path / "two.wav").write_bytes(b"RIFF no sound")
    recording("three.wav", bytes(2 * RATE))
    recording("four.wav")
    code, _, err = run("one.wav", "two.wav", "three.wav", "four.wav", "missing.wav", "--srt")
    assert code == ExitStatus.USAGE, "that of the first"
    assert [name for name in ("one", "two", "three", "four") if (tmp_path / f"{name}.srt").exists()] == ["one", "four"]
    assert "'two.wav'" in err
    assert "no speech in 'three.wav'" in err
    assert "'missing.wav'" in err


def test_what_is_wrong_for_all_is_told_once(services: Services, run: Run, recording: Callable[..., Path]) -> None:
    recording("one.wav")
    recording("two.wav")
    services.error = AuthenticationError("The key is refused.")
    code, _, err = run("one.wav", "two.wav", "--provider", "openai")
    assert code == ExitStatus.CONFIGURATION
    assert err.count("The key is refused") == 1
    services.error = RealtimeConnectionError("The line is dead.")
    code, _, err = run("one.wav", "two.wav", "--provider", "openai")
    assert code == ExitStatus.CONNECTION
    assert err.count("The line is dead") == 2


@pytest.mark.parametrize("installed", [True, False])
def test_nothing_is_sent_away_unless_the_command_line_says_so(
    run: Run, recording: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, installed: bool
) -> None:
    services = Services()
    install(services, monkeypatch, offline=installed)
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "config.toml").write_text('provider = "openai"\n[profiles.work]\nprovider = "openai"\n')
    monkeypatch.setenv("VOICECLI_CONFIG", str(folder))
    monkeypatch.setenv("VOICE_PROVIDER", "openai")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    recording("meeting.wav")
    for options in ([], ["--profile", "work"]):
        code, out, err = run("meeting.wav", *options)
        if installed:
            assert code == 0
        else:
            assert (code, out) == (ExitStatus.CONFIGURATION, "")
            assert "voicecli[local]" in err
            assert "--provider openai" in err
    assert {name for name, _ in services.begun} == ({"local"} if installed else set())
    code, _, err = run("meeting.wav", "--provider", "openai")
    assert code == 0
    assert services.begun[-1][0] == "openai"
    assert "Note: openai (hearer) transcribes on its servers, for $0.017 a minute." in err


def test_what_is_known_of_the_sound_is_handed_on(
    services: Services, run: Run, recording: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOICE_MODEL", "a-model-for-conversations")
    recording("meeting.wav")
    options = ["--language", "en, de", "--keyword", "voicecli", "--keyword", "Zoë", "--prompt", "A talk."]
    assert run("meeting.wav", *options, "-p", "openai")[0] == 0
    setup = services.begun[0][1]
    assert (setup.languages, setup.keywords, setup.prompt) == (("en", "de"), ("voicecli", "Zoë"), "A talk.")
    assert setup.config.model is None
    run("meeting.wav", "-p", "openai", "--model", "gpt-transcribe")
    assert services.begun[1][1].config.model == "gpt-transcribe"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--srt", "meeting.wav"], "name recordings first: voice transcribe meeting.wav --srt"),
        (["meeting.wav", "other.wav", "--srt", "one.srt"], "several recordings need a directory"),
        (["meeting.wav", "other.wav", "--vtt", "-"], "captions of several recordings are several files"),
        (["meeting.wav", "--json", "--srt", "-"], "--json writes to standard output already"),
        (["meeting.wav", "--srt", "x", "--vtt", "x"], "this is the file of --srt, too"),
        (["-", "--srt"], "name the file: --srt captions.srt"),
        (["-", "-"], "standard input can be read only once"),
        (["meeting.wav", "--once"], "it listens to the microphone"),
        (["--once", "--json"], "with --json there is more than the words"),
        (["meeting.wav", "--language", "en,,de"], "give codes, such as en,de"),
        (["meeting.wav", "--input-rate", "16000", "--channels"], "raw input is mono"),
    ],
)
def test_what_goes_not_together_is_told(
    services: Services, run: Run, recording: Callable[..., Path], options: list[str], told: str
) -> None:
    path = recording("meeting.wav")
    before = path.read_bytes()
    code, out, err = run(*options)
    assert (code, out) == (ExitStatus.USAGE, "")
    assert told in err
    assert path.read_bytes() == before
    assert not services.begun


def test_the_recording_itself_is_never_replaced(services: Services, run: Run, tmp_path: Path) -> None:
    (tmp_path / "sound").write_bytes(b"sound")
    code, _, err = run("sound", "--srt", "sound")
    assert code == ExitStatus.USAGE
    assert "'sound' is the recording" in err
    assert (tmp_path / "sound").read_bytes() == b"sound"


def test_links_in_a_circle_are_told(
    services: Services, run: Run, recording: Callable[..., Path], tmp_path: Path
) -> None:
    recording("meeting.wav")
    (tmp_path / "one.srt").symlink_to("two.srt")
    (tmp_path / "two.srt").symlink_to("one.srt")
    code, _, err = run("meeting.wav", "--srt", "one.srt")
    assert code == ExitStatus.USAGE
    assert "Cannot write 'one.srt'" in err


def test_too_many_channels_keep_no_other_recording_from_it(
    services: Services, run: Run, recording: Callable[..., Path], speech: bytes
) -> None:
    recording("orchestra.wav", *[bytes(2 * RATE)] * 9)
    recording("meeting.wav")
    code, out, err = run("--channels", "orchestra.wav", "meeting.wav")
    assert code == ExitStatus.USAGE
    assert len(out.splitlines()) == 2
    assert "'orchestra.wav' has 9 channels, more than can be told apart." in err


def test_a_model_that_it_does_not_have_is_an_error(
    services: Services, run: Run, recording: Callable[..., Path]
) -> None:
    recording("meeting.wav")
    services.error = ConfigurationError("model: 'gpt-realtime' makes conversation.", advice="Leave it out.")
    code, _, err = run("meeting.wav", "-p", "openai", "-m", "gpt-realtime")
    assert code == ExitStatus.USAGE
    assert "Invalid value for --model: 'gpt-realtime' makes conversation." in err


def test_a_full_disk_is_told(services: Services, run: Run, recording: Callable[..., Path]) -> None:
    recording("meeting.wav")
    code, _, err = run("meeting.wav", "--srt", "/dev/full")
    assert code == ExitStatus.USAGE
    assert "No space left" in err


def test_dictated_words_do_not_steer_a_terminal(services: Services, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hear(*args: object, **more: object) -> str:
        return "\x1b[31mred"

    monkeypatch.setattr("voicecli.cli.live_transcription._one_utterance", hear)
    assert run("--once")[:2] == (0, "\\x1b[31mred\n")


def test_words_do_not_steer_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    output = CaptionOutput(words=sys.stdout)
    output(Caption(id="a", start_ms=0, end_ms=1, text="\x1b[31mred", final=True))
    assert capsys.readouterr().out == "\\x1b[31mred\n"
