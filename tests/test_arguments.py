"""Mistakes of a program: each is said in a sentence, before anything is sent."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import voicecli
from tests.cli.conftest import DATA
from voicecli import AudioFormatError, ConfigurationError, RealtimeConfig, RealtimeVoice, VADMode, VoiceSession
from voicecli.commands import SendImage, SendText
from voicecli.testing import ScriptedConnection, reply, scripted_provider
from voicecli.transcript import Turn

MANUAL = RealtimeConfig(vad_mode=VADMode.NONE)


def look() -> str:
    """Look."""
    return "sun"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"provider": "opnai"}, r"There is no provider 'opnai'\. .*openai, gemini, local"),
        ({"tools": look}, r"^tools: a list of functions is wanted, not function\. Give tools=\[function"),
        ({"tools": "look"}, r"tools: .* not str"),
        ({"tools": 3}, r"tools: .* not int"),
    ],
)
def test_a_voice_names_what_is_wrong(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        RealtimeVoice(**arguments)


@pytest.mark.parametrize("lists", [RealtimeVoice.list_models, RealtimeVoice.list_voices])
def test_what_is_listed_belongs_to_a_name(lists: Any) -> None:
    with pytest.raises(ConfigurationError, match="provider: a name is wanted, not int"):
        lists(3)


@pytest.mark.parametrize("history", ["hello", [("user", "hello")], 3])
async def test_history_is_made_of_turns(history: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"history: turns are wanted, not (str|tuple|int)"):
        async with RealtimeVoice(scripted_provider()).connect(history=history):
            pass


async def test_history_may_come_from_anything_that_yields_turns() -> None:
    async with RealtimeVoice(scripted_provider()).connect(history=(Turn("user", "1", "Hi") for _ in "1")) as session:  # type: ignore[arg-type]
        assert [turn.text for turn in session.history] == ["Hi"]


SAID: list[tuple[str, Any, str]] = [
    ("send_audio", "q.wav", r"bytes, not as str\. A sound file: session\.ask\(Path\('q\.wav'\)\)"),
    ("send_audio", Path("q.wav"), r"not as (Posix|Windows)Path\. A sound file: session\.ask"),
    ("send_audio", 3, r"^Sound is wanted as bytes, not as int\. Give PCM16 mono"),
    ("send_audio", [b"\0\0"], "not as list"),
    ("send_audio", np.zeros(10, np.float32), r"not as ndarray\. Floats: voicecli\.audio\.float32_to_pcm16"),
    ("send_audio", None, "not as NoneType"),
    ("send_text", 3, r"^Text is wanted as str, not as int\. Give the words"),
    ("send_text", b"Hello", r"not as bytes\. Sound goes into send_audio"),
    ("send_text", None, "not as NoneType"),
    ("send_text", " ", "empty"),
    ("send_image", 3, r"^A picture is wanted as bytes or by its path, not as int\. Give the bytes of a PNG"),
    ("send_image", None, "not as NoneType"),
    ("send_image", "a\0b.png", "Cannot read the picture"),
    ("ask", 3, r"A question is wanted as text, as the Path of a sound file, or as bytes, not as int"),
    ("ask", "question.wav", r"'question\.wav' would be asked as words\. A file: Path\('question\.wav'\)"),
    ("ask", " ", "empty"),
]


@pytest.mark.parametrize(("method", "value", "says"), SAID, ids=[f"{method}-{value!r}" for method, value, _ in SAID])
async def test_a_session_names_what_is_wrong(method: str, value: Any, says: str) -> None:
    connection = ScriptedConnection()
    async with RealtimeVoice(scripted_provider(connection=connection), config=MANUAL).connect() as session:
        with pytest.raises(ConfigurationError, match=says):
            await getattr(session, method)(value)
    assert connection.commands == []


@pytest.mark.parametrize("rate", ["24000", 0, -1, 16_000.5])
async def test_a_rate_is_a_whole_number(rate: Any) -> None:
    async with RealtimeVoice(scripted_provider(), config=MANUAL).connect() as session:
        with pytest.raises(ConfigurationError, match=r"sample_rate: .* is not possible"):
            await session.send_audio(bytes(100), sample_rate=rate)


@pytest.mark.parametrize("audio", [bytearray(48_000), memoryview(bytes(48_000))])
async def test_other_kinds_of_bytes_are_sound_too(audio: Any) -> None:
    connection = ScriptedConnection([reply("Yes.")])
    async with RealtimeVoice(scripted_provider(connection=connection), config=MANUAL).connect() as session:
        assert (await session.ask(audio, sample_rate=np.int64(24_000))).transcript == "Yes."  # type: ignore[arg-type]
    assert connection.audio == bytes(48_000)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
async def test_other_kinds_of_bytes_are_a_picture_too(kind: Any) -> None:
    connection = ScriptedConnection()
    png = b"\x89PNG\r\n\x1a\nrest"
    async with RealtimeVoice(scripted_provider(connection=connection), config=MANUAL).connect() as session:
        await session.send_image(kind(png))
    assert connection.commands == [SendImage(png, "image/png")]


# -- ask


async def chunks() -> AsyncIterator[bytes]:
    for _ in range(10):
        yield bytes(960)


async def asked(question: Any, *, listened_to: bool = False, **options: Any) -> tuple[str, ScriptedConnection]:
    connection = ScriptedConnection([reply("Paris.")])
    voice = RealtimeVoice(scripted_provider(connection=connection), config=MANUAL)
    if listened_to:
        voice.on_audio(lambda audio: None)
    async with voice.connect() as session:
        assert isinstance(session, VoiceSession)
        return (await session.ask(question, **options)).transcript, connection


@pytest.mark.parametrize("listened_to", [False, True])
async def test_whatever_is_asked_is_answered(listened_to: bool) -> None:
    answer, connection = await asked("Which city?", listened_to=listened_to)
    assert answer == "Paris."
    assert [command.text for command in connection.commands if isinstance(command, SendText)] == ["Which city?"]
    for question in (bytes(9_600), chunks()):
        answer, connection = await asked(question, listened_to=listened_to)
        assert answer == "Paris."
        assert connection.audio == bytes(9_600)


async def test_a_sound_file_of_any_format_is_asked(tmp_path: Path, speech: bytes) -> None:
    import soundfile

    samples = np.frombuffer(speech, "<i2")
    for name in ("question.flac", "question.ogg"):
        soundfile.write(tmp_path / name, np.stack([samples, samples], axis=1), 16_000)
        answer, connection = await asked(tmp_path / name)
        assert answer == "Paris."
        assert len(connection.audio) == pytest.approx(len(speech) * 1.5, abs=4)  # at the provider's rate
    with pytest.raises(AudioFormatError, match="missing"):
        await asked(tmp_path / "missing.wav")


async def test_a_rate_belongs_to_samples_alone() -> None:
    with pytest.raises(ConfigurationError, match="sample_rate: a sound file says its own"):
        await asked(DATA / "question.wav", sample_rate=16_000)
    with pytest.raises(ConfigurationError, match="sample_rate: text has none"):
        await asked("Hello", sample_rate=16_000)


def test_a_script_asks_without_an_event_loop() -> None:
    provider = scripted_provider(reply("Paris."))
    assert voicecli.ask("Which city?", provider, config=MANUAL).transcript == "Paris."
    assert voicecli.ask(DATA / "question.wav", provider).transcript == "Paris."
    assert voicecli.ask(bytes(4_800), provider, sample_rate=8_000).transcript == "Paris."
    with pytest.raises(ConfigurationError, match="PCM16 does not say its rate"):
        voicecli.ask(bytes(4_800), provider)
    with pytest.raises(ConfigurationError, match="not as int"):
        voicecli.ask(3, provider)  # type: ignore[arg-type]


async def test_in_an_event_loop_the_script_is_told_what_to_use() -> None:
    with pytest.raises(ConfigurationError, match=r"hold up the event loop.*await session\.ask"):
        voicecli.ask("Which city?", scripted_provider(reply("Paris.")))
    assert len(asyncio.all_tasks()) == 1


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize(
    ("source", "says"),
    [
        (None, r"^source: .* not NoneType\. Give one of these"),
        (Path("a.wav"), r"not \w+Path\. A recording: session\.ask"),
        (bytes(960), r"not bytes\. A recording"),
    ],
)
async def test_what_is_no_source_is_told(source: Any, says: str, several: bool) -> None:
    async with RealtimeVoice(scripted_provider()).connect() as session:
        with pytest.raises(ConfigurationError, match=says):
            await voicecli.converse(session, [source] if several else source)
