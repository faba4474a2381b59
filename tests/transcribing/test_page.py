"""The program of docs/transcribe.md runs as it stands there."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cli.conftest import DATA, ROOT
from tests.transcribing.fakes import CommittingService
from voicecli.captions import srt
from voicecli.errors import ConfigurationError
from voicecli.ports import Connection, Service, TranscriberSetup
from voicecli.providers.gemini import GEMINI
from voicecli.providers.local import LOCAL
from voicecli.transcriber import Transcriber


@pytest.fixture(autouse=True)
def service(monkeypatch: pytest.MonkeyPatch) -> None:
    async def connect(setup: TranscriberSetup) -> Connection:
        return CommittingService()

    service = Service[TranscriberSetup](
        capabilities=CommittingService().capabilities, default_model="", models=(), connect=connect, offline=True
    )
    local = replace(LOCAL, transcriber=service, is_configured=lambda: True)
    monkeypatch.setattr("voicecli.transcriber.PROVIDERS", (local,))


def test_the_program_of_the_page(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(DATA / "question.wav", tmp_path)
    page = (ROOT / "docs" / "transcribe.md").read_text()
    (program,) = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    exec(compile(program, "transcribe_page.py", "exec"), {"__name__": "transcribe_page"})
    out = capsys.readouterr().out
    assert re.fullmatch(r"1\n00:00:0.*\nsaid 0-\d+\n\nWEBVTT\n +\d\.\d s said .*\n\n00:.*\nsaid 0-\d+\n\[\]\n", out), (
        out
    )


async def test_channels_of_a_program(speech: bytes) -> None:
    async with Transcriber().connect(channels=2) as session:
        for channel in (2, 1):
            await session.send_audio(speech, sample_rate=16_000, channel=channel)
        await session.finish()
        cues = [caption.cue() async for caption in session]
    assert sorted(cue.speaker for cue in cues) == ["Channel 1", "Channel 2"]
    assert "Channel 2: said" in srt(cues)


async def test_a_transcription_that_is_left_is_closed(speech: bytes) -> None:
    async for caption in Transcriber().captions(DATA / "three_questions.wav"):
        assert caption.final
        break


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"provider": "nobody"}, "no provider 'nobody'"),
        ({"provider": replace(GEMINI, transcriber=None)}, "provider: Gemini Live does not transcribe"),
        ({"languages": "de"}, "languages: a list of texts is wanted, not str"),
        ({"keywords": ["a", " "]}, "keywords: each is a text that is not empty"),
        ({"config": 3}, "config: a RealtimeConfig is wanted, not int"),
    ],
)
def test_what_cannot_be_is_told(arguments: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        Transcriber(**arguments)  # type: ignore[arg-type]


async def test_more_channels_than_can_be_are_told() -> None:
    with pytest.raises(ConfigurationError, match="channels: 9 cannot be told apart"):
        async with Transcriber().connect(channels=9):
            pass
