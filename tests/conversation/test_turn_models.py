"""Turns that end by the sound of the voice where the session finds them, and the setting where it has no effect."""

import asyncio
import importlib.util
from typing import Any

import pytest

from tests.conversation.scripted import collect, conversation, until
from voicecli import ConfigurationError, RealtimeConfig, RealtimeError, VADMode
from voicecli.audio.smart_turn import SmartTurn
from voicecli.commands import AppendAudio, EndTurn
from voicecli.conversation.turn_models import turn_model_unused
from voicecli.events import Notice, ResponseDone
from voicecli.ports import Capabilities
from voicecli.testing import reply

SMART = RealtimeConfig(vad_mode=VADMode.CLIENT, turn_model="smart-turn")
CHUNK = 640


class Listens:
    """In place of the model: says the next of `verdicts`."""

    def __init__(self, *verdicts: bool | Exception) -> None:
        self.verdicts: list[bool | Exception] = list(verdicts)
        self.heard: list[tuple[bytes, int]] = []
        self.closed = False

    async def is_finished(self, audio: bytes, sample_rate: int) -> bool:
        self.heard.append((audio, sample_rate))
        verdict = self.verdicts.pop(0)
        if isinstance(verdict, Exception):
            raise verdict
        return verdict

    async def aclose(self) -> None:
        self.closed = True


@pytest.fixture
def listens(monkeypatch: pytest.MonkeyPatch) -> Listens:
    model = Listens()

    async def load() -> Any:
        return model

    monkeypatch.setattr(SmartTurn, "load", load)
    return model


async def say(session: Any, audio: bytes) -> None:
    for start in range(0, len(audio), CHUNK):
        await session.send_audio(audio[start : start + CHUNK], sample_rate=16_000, wait=False)
        await asyncio.sleep(0)


def ends(commands: list[Any]) -> int:
    return sum(isinstance(command, EndTurn) for command in commands)


async def test_a_pause_of_somebody_who_has_not_finished_may_last_longer(listens: Listens, speech: bytes) -> None:
    listens.verdicts += [False] * 9
    voice, connection = conversation(reply("Yes."), config=SMART)
    async with voice.connect() as session:
        session.realtime = True
        spoken = speech.rstrip(b"\0")
        await say(session, spoken + bytes(32 * 1200))
        judged = len(listens.heard)
        assert judged >= 1
        assert ends(connection.commands) == 0
        await say(session, bytes(32 * 500))  # a second more than the usual silence
        assert ends(connection.commands) == 1
    audio, rate = listens.heard[-1]
    sent = b"".join(command.audio for command in connection.commands if isinstance(command, AppendAudio))
    assert rate == session.input_rate
    assert audio in sent
    assert listens.closed


async def test_a_pause_of_which_all_comes_at_once_is_judged_too(listens: Listens, speech: bytes) -> None:
    """As after the program was held up."""
    listens.verdicts += [False] * 9
    voice, connection = conversation(reply("Yes."), config=SMART)
    async with voice.connect() as session:
        session.realtime = True
        audio = speech.rstrip(b"\0") + bytes(32 * 700)
        for start in range(0, len(audio), CHUNK):
            await session.send_audio(audio[start : start + CHUNK], sample_rate=16_000, wait=False)
        await asyncio.sleep(0)
        assert ends(connection.commands) == 0


@pytest.mark.parametrize("verdict", [True, RealtimeError("It broke.")])
async def test_who_has_finished_waits_no_longer_than_without_the_model(
    listens: Listens, speech: bytes, verdict: bool | Exception
) -> None:
    listens.verdicts += [verdict] * 9
    voice, connection = conversation(reply("Yes."), config=SMART)
    async with voice.connect() as session:
        session.realtime = True
        await say(session, speech + bytes(32 * 700))
        assert ends(connection.commands) == 1


async def test_the_latency_counts_from_the_end_of_speech(listens: Listens, speech: bytes) -> None:
    listens.verdicts += [False] * 9
    voice, _ = conversation(reply("Yes."), config=SMART)
    async with voice.connect() as session:
        session.realtime = True
        events = asyncio.create_task(collect(session))
        await asyncio.sleep(0)
        await say(session, speech + bytes(32 * 1700))
        await session.wait_for_reply()
    (done,) = [event for event in await events if isinstance(event, ResponseDone)]
    assert done.metrics.first_audio_ms is not None
    assert done.metrics.first_audio_ms >= 1500


async def test_recordings_and_whole_utterances_are_not_listened_to(listens: Listens, speech: bytes) -> None:
    voice, connection = conversation(reply("Yes."), reply("Yes."), config=SMART)
    async with voice.connect() as session:
        await say(session, speech + bytes(32 * 700))
        await until(lambda: ends(connection.commands) == 1)
        session.realtime = True
        await session.send_audio(speech + bytes(32 * 1200) + speech, sample_rate=16_000, wait=True)
        assert ends(connection.commands) == 2
    assert listens.heard == []


async def test_without_the_extra_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "onnxruntime" else find_spec(name))
    voice, connection = conversation(config=SMART)
    with pytest.raises(ConfigurationError, match=r"smart-turn.*onnxruntime.*install.*voicecli\[.*turn"):
        async with voice.connect():
            pass
    assert connection.commands == []


@pytest.mark.parametrize(
    ("model", "mode", "follows", "why"),
    [
        ("auto", VADMode.SERVER, set(), ""),
        ("silence", VADMode.NONE, set(), ""),
        ("smart-turn", VADMode.SERVER, set(), "the provider ends the turns by rules of its own"),
        ("words", VADMode.SERVER, {"words"}, ""),
        ("smart-turn", VADMode.CLIENT, set(), ""),
        ("llm", VADMode.CLIENT, {"llm"}, "this program, which ends the turns, knows no words"),
        ("smart-turn", VADMode.NONE, {"smart-turn"}, "only you end a turn"),
    ],
)
def test_where_the_setting_has_no_effect(model: Any, mode: VADMode, follows: set[str], why: str) -> None:
    capabilities = Capabilities(input_rate=16_000, output_rate=24_000, turn_models=frozenset(follows))
    assert turn_model_unused(RealtimeConfig(turn_model=model, vad_mode=mode), capabilities) == why


async def test_a_setting_without_effect_is_told() -> None:
    voice, _ = conversation(config=RealtimeConfig(turn_model="words"))
    told = []
    async with voice.connect() as session:
        async for event in session:
            if isinstance(event, Notice):
                told.append(event)
                break
    assert [(notice.code, "turn_model" in notice.message) for notice in told] == [("setting_ignored", True)]
