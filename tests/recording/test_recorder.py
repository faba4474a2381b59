"""Recordings of conversations: both sides where they were heard, whatever happens to the conversation."""

import asyncio
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conversation.scripted import MANUAL, SERVER
from tests.recording.virtual_devices import (
    CHUNK_MS,
    VirtualLoudspeaker,
    VirtualMicrophone,
    near,
    recorded,
    stretches,
    tone,
)
from tests.support.virtual_time import virtual_time
from voicecli import RealtimeVoice
from voicecli.audio.echo.control import NoEchoControl
from voicecli.audio.ports import EchoControl
from voicecli.commands import AppendAudio
from voicecli.conversation.duplex import converse
from voicecli.conversation.session import VoiceSession
from voicecli.events import AudioChunk, AudioDone, ResponseDone, ResponseStarted, SpeechStarted, SpeechStopped
from voicecli.ports import Capabilities
from voicecli.recording import ConversationRecorder
from voicecli.testing import ScriptedConnection, Step, reply, scripted_provider


def spoken_from_to(*spans: tuple[int, int], rate: int = 24_000) -> Callable[[int], bytes]:
    """The sound of a user who speaks from one ms to another, and is silent otherwise."""

    def sound(until_ms: int) -> bytes:
        speaks = any(begin < until_ms <= end for begin, end in spans)
        return tone(CHUNK_MS, rate) if speaks else bytes(2 * rate * CHUNK_MS // 1000)

    return sound


def answer(audio: bytes, name: str = "r") -> list[Step]:
    return [ResponseStarted(name), AudioChunk(audio, name, f"{name}_item"), AudioDone(name), ResponseDone(name)]


class Talk:
    """A live conversation with a script, recorded."""

    def __init__(self, folder: Path, *, capabilities: Capabilities | None = None) -> None:
        self.connection = ScriptedConnection(capabilities=capabilities)
        self.voice = RealtimeVoice(scripted_provider(connection=self.connection), config=SERVER)
        self.recorder = ConversationRecorder(folder)

    async def hold(
        self,
        microphone: VirtualMicrophone,
        *,
        loudspeaker: bool = True,
        latency_ms: int = 0,
        echo: EchoControl | None = None,
    ) -> None:
        async with self.recorder, self.voice.connect(logs=[self.recorder]) as session:
            session.echo = echo
            sink = VirtualLoudspeaker(self.recorder.rendered, latency_ms=latency_ms) if loudspeaker else None
            await converse(session, microphone, sink)
            if sink is not None:
                await sink.aclose()

    def at(self, seconds: float, *steps: Step) -> None:
        asyncio.get_running_loop().call_later(seconds, self.connection.play, steps)

    @property
    def path(self) -> Path:
        assert self.recorder.path is not None
        return self.recorder.path


@virtual_time
async def test_both_sides_stand_where_they_were_heard(tmp_path: Path) -> None:
    talk = Talk(tmp_path)
    talk.at(2.0, *answer(tone(700)))
    await talk.hold(VirtualMicrophone(spoken_from_to((500, 1_500)), 5_000), latency_ms=60)
    rate, user, assistant = recorded(talk.path)
    assert rate == 24_000
    assert stretches(user, rate) == [(500, 1_500)]
    # The loudspeaker takes its next block, and needs its time until that is heard.
    ((begin, end),) = stretches(assistant, rate)
    assert 2_060 <= begin <= 2_110
    assert end - begin == pytest.approx(700)
    assert len(user) == pytest.approx(5 * rate, abs=rate * 0.15)
    assert talk.recorder.times == ()
    if os.name == "posix":
        assert stat.S_IMODE(talk.path.stat().st_mode) == 0o600


@virtual_time
async def test_what_is_held_back_as_it_may_be_an_echo_stands_where_it_was_said(tmp_path: Path) -> None:
    talk = Talk(tmp_path)
    talk.at(1.0, *answer(tone(3_000)))

    class Canceller(NoEchoControl):
        may_leave_echo = True

    await talk.hold(VirtualMicrophone(spoken_from_to((2_500, 3_500)), 5_000), echo=Canceller())
    rate, user, _ = recorded(talk.path)
    assert stretches(user, rate) == [near(2_500, 3_500, 20)]
    late = [command.late_ms for command in talk.connection.commands if isinstance(command, AppendAudio)]
    assert max(late) == 200
    assert late[-1] == 0  # as the reply is over


@virtual_time
async def test_a_cut_reply_ends_where_the_user_interrupted_it(tmp_path: Path) -> None:
    talk = Talk(tmp_path)
    talk.at(1.0, ResponseStarted("r"), AudioChunk(tone(5_000), "r", "item"))
    talk.at(2.0, SpeechStarted())
    talk.at(2.5, SpeechStopped())
    talk.at(4.0, *answer(tone(300), "s"))
    await talk.hold(VirtualMicrophone(spoken_from_to((1_900, 2_500)), 5_000))
    rate, _, assistant = recorded(talk.path)
    (_, cut), (begin, end) = stretches(assistant, rate)
    assert 1_950 <= cut <= 2_020  # after the block under way, and the 12 ms in which it fades out
    assert (begin, end) == near(4_000, 4_300, 50)


@virtual_time
async def test_a_gap_of_the_network_is_heard_in_the_recording_too(tmp_path: Path) -> None:
    talk = Talk(tmp_path)
    talk.at(1.0, ResponseStarted("r"), AudioChunk(tone(1_000), "r", "item"))
    talk.at(3.0, AudioChunk(tone(1_000), "r", "item"), AudioDone("r"), ResponseDone("r"))
    await talk.hold(VirtualMicrophone(spoken_from_to(), 6_000))
    rate, _, assistant = recorded(talk.path)
    (_, first_end), (second, _) = stretches(assistant, rate)
    assert second - first_end > 800
    assert second >= 3_000


@virtual_time
async def test_without_a_loudspeaker_the_reply_plays_as_it_would(tmp_path: Path) -> None:
    talk = Talk(tmp_path)
    talk.at(1.0, ResponseStarted("r"), AudioChunk(tone(5_000), "r", "item"))
    talk.at(2.0, SpeechStarted())
    await talk.hold(VirtualMicrophone(spoken_from_to((2_000, 2_500)), 4_000), loudspeaker=False)
    rate, _, assistant = recorded(talk.path)
    assert stretches(assistant, rate) == [near(1_000, 2_000, 1)]


@virtual_time
async def test_what_was_said_while_the_provider_was_dialled_stands_before_the_conversation(tmp_path: Path) -> None:
    talk = Talk(tmp_path)
    talk.at(1.0, *answer(tone(500)))
    await talk.hold(VirtualMicrophone(spoken_from_to((-2_000, -1_000)), 3_000, backlog_ms=3_000))
    rate, user, assistant = recorded(talk.path)
    assert talk.recorder.times == ((0, 3_000),)
    assert stretches(user, rate) == [near(1_000, 2_000, 1)]
    assert stretches(assistant, rate)[0][0] == pytest.approx(4_000, abs=50)
    assert len(user) == pytest.approx(6 * rate, abs=rate * 0.15)


@virtual_time
async def test_a_program_that_is_held_up_makes_no_gap(tmp_path: Path) -> None:
    spoken = spoken_from_to((1_000, 3_000))
    held = [b""]

    def late(until_ms: int) -> bytes:
        if 1_500 < until_ms < 1_900:  # what comes now is handed on all at once, later
            held.append(spoken(until_ms))
            return b""
        chunk = b"".join(held) + spoken(until_ms)
        held.clear()
        return chunk

    talk = Talk(tmp_path)
    await talk.hold(VirtualMicrophone(late, 4_000))
    rate, user, _ = recorded(talk.path)
    assert stretches(user, rate) == [(1_000, 3_000)]


@virtual_time
async def test_a_muted_microphone_leaves_silence_of_its_length(tmp_path: Path) -> None:
    spoken = spoken_from_to((1_000, 2_000), (6_000, 7_000))
    talk = Talk(tmp_path)
    await talk.hold(VirtualMicrophone(lambda ms: b"" if 2_500 < ms < 5_800 else spoken(ms), 8_000))
    rate, user, _ = recorded(talk.path)
    assert stretches(user, rate) == [(1_000, 2_000), (6_000, 7_000)]


@pytest.mark.parametrize("samples", [1_176, 1_224])
@virtual_time
async def test_a_microphone_whose_clock_is_wrong_does_not_run_away(tmp_path: Path, samples: int) -> None:
    # By 2 %, which makes in 10 s what a sound card makes in an hour.
    def sound(until_ms: int) -> bytes:
        return (tone(60) if until_ms == 10_050 else bytes(2_880))[: 2 * samples]

    talk = Talk(tmp_path)
    await talk.hold(VirtualMicrophone(sound, 12_000))
    rate, user, _ = recorded(talk.path)
    ((begin, end),) = stretches(user, rate)
    assert begin == pytest.approx(10_000, abs=80)
    assert end - begin == pytest.approx(samples * 1000 / rate)  # it is moved in silence alone


@virtual_time
async def test_the_user_is_resampled_to_the_rate_of_the_replies(tmp_path: Path) -> None:
    talk = Talk(tmp_path, capabilities=Capabilities(input_rate=16_000, output_rate=24_000))
    await talk.hold(VirtualMicrophone(spoken_from_to((500, 1_500), rate=16_000), 3_000, sample_rate=16_000))
    rate, user, _ = recorded(talk.path)
    assert rate == 24_000
    (span,) = stretches(user, rate, least=4_000)
    assert span == near(500, 1_500, 0.1)


async def ask_in_turns(session: VoiceSession, *questions: bytes) -> None:
    for question in questions:
        await session.send_audio(question, wait=True)


@virtual_time
async def test_files_take_the_time_for_which_they_sound(tmp_path: Path) -> None:
    connection = ScriptedConnection([answer(tone(3_000)), answer(tone(500))])
    voice = RealtimeVoice(scripted_provider(connection=connection), config=MANUAL)
    async with ConversationRecorder(tmp_path) as recorder, voice.connect(logs=[recorder]) as session:
        await asyncio.sleep(1)
        await ask_in_turns(session, tone(2_000), tone(1_000))
        await asyncio.sleep(2)
    assert recorder.path is not None
    rate, user, assistant = recorded(recorder.path)
    # One after the other, as people would talk, though all of it was sent and answered in no time.
    assert stretches(user, rate) == [(1_000, 3_000), (6_000, 7_000)]
    assert stretches(assistant, rate) == [(3_000, 6_000), (7_000, 7_500)]
    assert len(user) / rate == pytest.approx(9, abs=0.01)
    assert recorder.times[-1] == (1_000, 7_000)


@virtual_time
async def test_written_questions_leave_the_left_side_empty(tmp_path: Path) -> None:
    connection = ScriptedConnection([answer(tone(400)), answer(tone(400), "s")])
    voice = RealtimeVoice(scripted_provider(connection=connection), config=MANUAL)
    async with ConversationRecorder(tmp_path, name="talk") as recorder, voice.connect(logs=[recorder]) as session:
        await session.ask("Which city?")
        await session.ask("And then?")
    assert recorder.path == tmp_path / "talk.wav"
    rate, user, assistant = recorded(recorder.path)
    assert not user.any()
    assert stretches(assistant, rate) == [(0, 800)]


@virtual_time
async def test_no_file_is_made_where_there_was_no_sound(tmp_path: Path) -> None:
    connection = ScriptedConnection([reply("It is Paris.", audio=b"")])
    voice = RealtimeVoice(scripted_provider(connection=connection), config=MANUAL)
    async with ConversationRecorder(tmp_path / "made") as recorder, voice.connect(logs=[recorder]) as session:
        await session.ask("Which city?")
    assert recorder.path is None
    assert list((tmp_path / "made").iterdir()) == []


@virtual_time
async def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "talk.wav").write_bytes(b"mine")
    connection = ScriptedConnection([answer(tone(100))])
    voice = RealtimeVoice(scripted_provider(connection=connection), config=MANUAL)
    async with ConversationRecorder(tmp_path, name="talk") as recorder, voice.connect(logs=[recorder]) as session:
        await session.ask("Which city?")
    assert recorder.path == tmp_path / "talk-2.wav"
    assert (tmp_path / "talk.wav").read_bytes() == b"mine"
