"""`voice translate`: its command line, and recordings translated by loopback servers."""

import asyncio
import io
import json
import wave
from pathlib import Path

import pytest

from tests.audio.devices.fake_portaudio import FakePortAudio
from tests.cli.conftest import Voice, interrupted
from tests.interpreting.stage import PROVIDERS, interpreter_for, make_server
from tests.loopback.gemini_session import tone
from tests.loopback.interpreting import Sentence
from tests.loopback.openai_translation import KEY, Fault, OpenAITranslationServer
from tests.support.commands import Commands
from tests.support.virtual_time import virtual_time
from tests.test_readme import flowing
from voicecli.audio import EchoMode
from voicecli.audio.files.source import WavSource
from voicecli.cli.live_translation import Plan, Translation
from voicecli.cli.options import Devices
from voicecli.cli.reply_sound import ReplySound
from voicecli.cli.translation_lines import TranslationLines
from voicecli.errors import ConfigurationError
from voicecli.events import Event, Notice, SessionEnded, SessionStarted, TranscriptUpdate

STARTED = SessionStarted("s", "m", "", 24_000, 24_000)


def write_speech(path: Path, *, speech_ms: int = 600) -> str:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(tone(speech_ms, rate=16_000) if speech_ms else bytes(16_000))
    return str(path)


def of(server: OpenAITranslationServer) -> dict[str, str]:
    return {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.url}


def test_a_recording_becomes_words_and_sound(voice: Voice, tmp_path: Path) -> None:
    name = write_speech(tmp_path / "talk.wav")
    with OpenAITranslationServer.in_thread(sentences=[Sentence(lag_s=0.2)]) as server:
        result = voice("translate", "--to", "es", "-i", name, "-o", "es.wav", **of(server))
    assert (result.code, result.lines) == (0, ["Buenos días."]), result.stderr
    assert "Note: gpt-realtime-translate costs $0.034 a minute, silence included." in result.stderr
    assert (tmp_path / "es.wav").read_bytes()[44:] == tone(200) * 2
    assert server.received("session.close")


def test_ctrl_c_ends_within_seconds_with_a_whole_file(commands: Commands, tmp_path: Path) -> None:
    output = tmp_path / "es.wav"
    with OpenAITranslationServer.in_thread(sentences=[Sentence(lag_s=0.2)]) as server:
        arguments = ["translate", "--to", "es", "-i", "-"]
        code, _ = interrupted(commands, arguments, output, "session_started", **of(server))
    assert code == 130
    assert server.received("session.close")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "name the language to translate to, such as --to es"),
        (["--to", "Spanish"], 2, "Write es for Spanish"),
        (["--to", "es", "-p", "local"], 2, "Choose one that does: openai or gemini"),
        (["--to", "es", "-p", "openai", "-m", "gpt-realtime-2.1"], 2, "take gpt-realtime-translate"),
        (["--to", "es", "-p", "openai", "-o", "-", "--captions"], 2, "there is no sound"),
        (["--to", "es", "-p", "openai", "-i", "missing.wav"], 2, "missing.wav"),
        (["--to", "es", "-p", "openai", "-i", ""], 2, "No such file"),
        (["--to", "es", "-p", "openai", "-i", "one.wav", "-i", "two.wav"], 2, "one recording is translated at a time"),
        (["--to", "es"], 3, "No provider that translates is set up"),
        (["--to", "es", "--voice", "marin"], 2, "No such option: --voice"),
    ],
)
def test_what_is_wrong_is_told_with_what_to_do(voice: Voice, arguments: list[str], code: int, words: str) -> None:
    result = voice("translate", *arguments, OPENAI_API_KEY=KEY if "openai" in arguments else "")
    assert (result.code, result.stdout) == (code, b"")
    assert words in " ".join(result.stderr.split())


def test_a_text_is_not_translated(voice: Voice) -> None:
    result = voice("translate", "--to", "es", "-p", "openai", stdin=b"Good morning, everybody.", OPENAI_API_KEY=KEY)
    assert result.code == 2
    assert "sound is translated" in result.stderr


def test_settings_choose_who_translates_but_a_model_for_conversations_is_not_meant(
    voice: Voice, tmp_path: Path
) -> None:
    (tmp_path / "config.toml").write_text('provider = "openai"\nmodel = "gpt-realtime-2.1"\nvoice = "cedar"\n')
    with OpenAITranslationServer.in_thread(refuse=[(401, "invalid_api_key")]) as server:
        name = write_speech(tmp_path / "talk.wav")
        result = voice("translate", "--to", "es", "-i", name, VOICECLI_CONFIG=str(tmp_path), **of(server))
    assert result.code == 3, result.stderr
    assert server.paths == ["/v1/realtime/translations?model=gpt-realtime-translate"]


def test_failures_are_told_as_json_too(voice: Voice, tmp_path: Path) -> None:
    name = write_speech(tmp_path / "talk.wav")
    with OpenAITranslationServer.in_thread(refuse=[(429, "insufficient_quota")] * 3) as server:
        result = voice("translate", "--to", "es", "-i", name, "--json", **of(server))
    assert result.code == 4
    last = json.loads(result.lines[-1])
    assert (last["type"], last["error"], last["fatal"]) == ("error", "QuotaExceededError", True)


@pytest.mark.parametrize("provider", PROVIDERS)
@virtual_time
async def test_all_of_a_recording_is_translated_however_late(provider: str, tmp_path: Path) -> None:
    plan = Plan(to="es", source=WavSource(write_speech(tmp_path / "talk.wav")))
    events: list[Event] = []
    async with make_server(provider, sentences=[Sentence(lag_s=15.0)]) as server:
        translation = Translation(interpreter_for(server), plan, ReplySound(24_000))
        await translation.hold([events.append])
    finals = [event.text for event in events if isinstance(event, TranscriptUpdate) and event.final]
    assert finals == ["Good morning.", "Buenos días."]
    assert translation.translated
    assert translation.position_s == pytest.approx(0.6)
    assert isinstance(events[-1], SessionEnded)


@virtual_time
async def test_it_is_known_whether_anything_was_translated(tmp_path: Path) -> None:
    plan = Plan(to="es", source=WavSource(write_speech(tmp_path / "talk.wav", speech_ms=0)))
    async with make_server("openai", chatters=True) as server:
        translation = Translation(interpreter_for(server), plan, ReplySound(24_000))
        await translation.hold([])
    assert not translation.translated


@virtual_time
async def test_the_user_ends_it_while_the_provider_does_not_answer(tmp_path: Path) -> None:
    plan = Plan(to="es", source=WavSource(write_speech(tmp_path / "talk.wav")))
    async with make_server("openai", faults=[Fault(stage="before_updated", silent=True)]) as server:
        translation = Translation(interpreter_for(server), plan, ReplySound(24_000))
        holding = asyncio.create_task(translation.hold([]))
        await asyncio.sleep(1)
        translation.end()
        await holding


@virtual_time
async def test_the_user_ends_it_amid_a_recording(tmp_path: Path) -> None:
    plan = Plan(to="es", source=WavSource(write_speech(tmp_path / "talk.wav", speech_ms=20_000)))
    events: list[Event] = []
    async with make_server("openai") as server:
        translation = Translation(interpreter_for(server), plan, ReplySound(24_000))
        holding = asyncio.create_task(translation.hold([events.append]))
        await asyncio.sleep(5)
        translation.end()
        await holding
    assert events[-1] == SessionEnded("closed")


def test_lines_for_people_and_for_pipes(capsys: pytest.CaptureFixture[str]) -> None:
    said: list[Event] = [
        TranscriptUpdate("user", "1", "Good", False),
        TranscriptUpdate("user", "1", "Good morning.", True),
        TranscriptUpdate("assistant", "2", "Buenos\ndías.\x1b[31m", True),
        Notice("some", "Something."),
    ]
    people, pipe = io.StringIO(), io.StringIO()
    for lines in (
        TranslationLines(people, to="es", live=True),
        TranslationLines(pipe, to="es", bare=True, quiet=True, live=True),
    ):
        for event in (STARTED, *said, SessionEnded("closed")):
            lines(event)
    assert people.getvalue().splitlines() == ["    Good morning.", r"es: Buenos días.\x1b[31m"]
    assert pipe.getvalue().splitlines() == [r"Buenos días.\x1b[31m"]
    assert capsys.readouterr().err.splitlines() == [
        "Listening, and translating to es. Ctrl-C ends.",
        "Note: Something.",
    ]


@pytest.mark.parametrize(("echo", "notes"), [("auto", 1), ("off", 0)])
async def test_without_a_canceller_the_microphone_is_gated_with_a_note(
    monkeypatch: pytest.MonkeyPatch, echo: EchoMode, notes: int
) -> None:
    def missing(*rates: int) -> None:
        raise ConfigurationError("There is none here.")

    monkeypatch.setattr("voicecli.audio.echo.control.EchoCanceller", missing)
    portaudio = FakePortAudio()
    portaudio.use(monkeypatch, inline=False)
    told: list[Event] = []
    with flowing(portaudio):
        async with asyncio.timeout(20), make_server("openai", forgiving=True) as server:
            plan = Plan(to="es", devices=Devices(echo=echo), plays=True)
            translation = Translation(interpreter_for(server), plan, ReplySound(24_000))

            def observe(event: Event) -> None:
                told.append(event)
                if isinstance(event, SessionStarted):
                    assert translation.audio().echo == ("gate" if echo == "auto" else "off")
                    translation.mute_microphone(True)
                    translation.mute_speaker(True)
                    translation.end()

            await translation.hold([observe])
    assert [event.code for event in told if isinstance(event, Notice)].count("echo_gate") == notes
    assert not portaudio.running
