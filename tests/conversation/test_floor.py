"""The floor: every cell of its table, and what each effect does to a reply in each of its states."""

from dataclasses import replace

import pytest

from voicecli.conversation.awaited_words import LATE_WORDS_S
from voicecli.conversation.floor import Floor
from voicecli.conversation.floor_events import (
    Action,
    AudioEnded,
    CancelPending,
    Cut,
    Deliver,
    GaveUp,
    Heard,
    Input,
    Pause,
    Resume,
    Rules,
    Stop,
    TextSent,
    ToolAnswered,
    TurnBegins,
    TurnEnds,
)
from voicecli.conversation.floor_table import TABLE, Effect, Reply, Signal, User
from voicecli.events import (
    ApprovalRequest,
    AudioChunk,
    AudioDone,
    Interrupted,
    Notice,
    Reconnecting,
    ResponseDone,
    ResponseStarted,
    SessionStarted,
    SpeechStarted,
    SpeechStopped,
    ToolCallCancelled,
    ToolCallRequest,
    TranscriptUpdate,
)

RULES = Rules(output_rate=24_000, response_timeout_s=30)
SOUND = bytes(48_000)  # a second
STARTED = SessionStarted("s", "model", "voice", 24_000, 24_000)

CELLS = """
                        SILENT           MAYBE               SPEAKING            UNRESOLVED
SUSPICION               MAYBE pause      MAYBE pause         SPEAKING nothing    MAYBE pause
VOICE                   SPEAKING pause   SPEAKING pause      SPEAKING pause      SPEAKING pause
TURN                    SPEAKING cut+    SPEAKING cut+       SPEAKING cut+       SPEAKING cut+
SPEECH                  SPEAKING nothing SPEAKING nothing    SPEAKING nothing    SPEAKING nothing
CUT_IN                  SPEAKING cut     SPEAKING cut        SPEAKING cut        SPEAKING cut
SILENCE                 SILENT nothing   SILENT resume       SILENT nothing      UNRESOLVED nothing
SILENCE_BEFORE_WORDS    UNRESOLVED nothing UNRESOLVED nothing UNRESOLVED nothing UNRESOLVED nothing
SILENCE_WITHOUT_NEWS    SILENT nothing   UNRESOLVED resume   SILENT nothing      UNRESOLVED nothing
WORDS                   SILENT nothing   SPEAKING cut        SPEAKING cut        SILENT cut
NO_WORDS                SILENT nothing   MAYBE nothing       SPEAKING resume     SILENT resume
DEADLINE                SILENT nothing   SILENT resume       SILENT resume       SILENT resume
RESET                   SILENT nothing   SILENT resume       SILENT resume       SILENT resume
"""
EFFECTS = {"nothing": Effect.NOTHING, "cut+": Effect.INTERRUPT} | {effect.value: effect for effect in Effect}


def cells() -> dict[tuple[User, Signal], tuple[User, Effect]]:
    head, *rows = CELLS.strip().splitlines()
    expected = {}
    for row in rows:
        signal, *words = row.split()
        for user, after, effect in zip(head.split(), words[::2], words[1::2], strict=True):
            expected[User[user], Signal[signal]] = User[after], EFFECTS[effect]
    return expected


@pytest.mark.parametrize("signal", Signal, ids=lambda signal: signal.name)
@pytest.mark.parametrize("user", User, ids=lambda user: user.name)
def test_each_cell_of_the_table(user: User, signal: Signal) -> None:
    assert TABLE[user][signal] == cells()[user, signal]


# -- what an effect does to a reply


class Talk:
    """A floor, and what it has said to do since it was last asked."""

    def __init__(self, rules: Rules = RULES, *, player: bool = False) -> None:
        self.floor = Floor(rules)
        self.floor.sound.has_player = player
        self.now = 100.0
        self.actions: list[Action] = []
        self.give(STARTED)

    def give(self, *happened: Input) -> list[Action]:
        """The actions that follow from these, measurements and events aside."""
        before = len(self.actions)
        for each in happened:
            self.actions += self.floor.apply(each, self.now)
        return [action for action in self.actions[before:] if isinstance(action, ACTS)]

    def wait(self, seconds: float) -> list[Action]:
        """Let time pass, with a tick at each deadline."""
        before, until = len(self.actions), self.now + seconds
        while (deadline := self.floor.next_deadline(self.now)) is not None and deadline <= until:
            self.now = deadline
            self.actions += self.floor.tick(self.now)
        self.now = until
        return [action for action in self.actions[before:] if isinstance(action, ACTS)]

    @property
    def delivered(self) -> list[object]:
        return [action.event for action in self.actions if isinstance(action, Deliver)]

    @property
    def reply(self) -> Reply:
        return self.floor.reply(self.now)

    @property
    def state(self) -> tuple[str, str]:
        state = self.floor.state(self.now)
        return state.user, state.assistant


ACTS = (Pause, Resume, Cut, CancelPending, GaveUp)
CLIENT = replace(RULES, server_turns=False)


def talk_with(reply: Reply, rules: Rules = CLIENT, *, player: bool = False) -> Talk:
    talk = Talk(rules, player=player)
    if reply is Reply.POSSIBLE:
        talk.give(AudioEnded())
    if reply in {Reply.PENDING, Reply.RESPONDING, Reply.PLAYING}:
        talk.give(TextSent("q"))
    if reply in {Reply.RESPONDING, Reply.PLAYING}:
        talk.give(ResponseStarted("r", ("q",)), AudioChunk(SOUND, "r", "i"))
    if reply is Reply.PLAYING:
        talk.give(ResponseDone("r"))
    assert talk.reply is reply
    return talk


@pytest.mark.parametrize(
    ("reply", "scope"),
    [
        (Reply.NONE, None),
        (Reply.POSSIBLE, None),
        (Reply.PENDING, None),
        (Reply.RESPONDING, "reply"),
        (Reply.PLAYING, "playback"),
    ],
)
@pytest.mark.parametrize("cause", [TurnBegins(by_key=True), Stop()], ids=["turn", "stop"])
def test_an_interruption_cuts_what_there_is_by_name(cause: Input, reply: Reply, scope: str | None) -> None:
    talk = talk_with(reply)
    acts = talk.give(cause)
    cuts = [(act.response_id, act.scope) for act in acts if isinstance(act, Cut)]
    assert cuts == ([("r", scope)] if scope else [])
    assert (CancelPending() in acts) == (reply is Reply.PENDING and isinstance(cause, Stop))
    assert talk.reply not in {Reply.PENDING, Reply.RESPONDING, Reply.PLAYING}


@pytest.mark.parametrize("reply", [Reply.PENDING, Reply.RESPONDING])
def test_the_answer_to_what_was_interrupted_is_cut_as_it_begins_and_no_other(reply: Reply) -> None:
    talk = talk_with(reply)
    talk.give(TurnBegins(by_key=True))
    if reply is Reply.PENDING:
        assert [act.response_id for act in talk.give(ResponseStarted("r", ("q",))) if isinstance(act, Cut)] == ["r"]
    talk.give(AudioChunk(SOUND, "r", "i"), ResponseDone("r", "cancelled"), TurnEnds("next"))
    assert talk.give(ResponseStarted("r2", ("next",))) == []
    talk.give(AudioChunk(SOUND, "r2", "i2"))
    assert AudioChunk(SOUND, "r2", "i2") in talk.delivered


def test_a_response_that_answers_the_interrupting_turn_too_is_wanted() -> None:
    talk = talk_with(Reply.PENDING)
    talk.give(TurnBegins(by_key=True), TurnEnds("next"))
    assert talk.give(ResponseStarted("r", ("q", "next"))) == []


def test_a_reply_is_cut_once() -> None:
    talk = talk_with(Reply.RESPONDING)
    assert len(talk.give(TurnBegins(by_key=True), Stop(), Interrupted("r", "i"), TurnBegins(by_key=True))) == 1


def test_nothing_of_a_cut_reply_is_told() -> None:
    talk = talk_with(Reply.RESPONDING)
    talk.give(Stop(), AudioChunk(SOUND, "r", "i"), ResponseDone("r", "cancelled"))
    assert len([event for event in talk.delivered if isinstance(event, AudioChunk | AudioDone)]) == 1


def test_an_interruption_of_a_reply_that_is_long_over_cuts_no_other() -> None:
    talk = talk_with(Reply.PLAYING)
    talk.give(ResponseStarted("r2"), AudioChunk(SOUND, "r2", "i2"))
    assert talk.give(Interrupted("r0", "i0")) == []
    assert talk.reply is Reply.RESPONDING


@pytest.mark.parametrize("reply", [Reply.RESPONDING, Reply.PLAYING])
def test_a_suspicion_holds_the_sound_up_and_silence_lets_it_go_on(reply: Reply) -> None:
    talk = talk_with(reply, player=True)
    assert talk.give(Heard(SpeechStarted())) == [Pause()]
    assert talk.state == ("speaking", "speaking")
    assert talk.give(Heard(SpeechStopped(is_turn=False))) == [Resume()]


def test_a_suspicion_that_nothing_follows_does_not_hold_the_sound_up_for_ever() -> None:
    talk = talk_with(Reply.PLAYING, player=True)
    talk.give(Heard(SpeechStarted()))
    assert talk.wait(29) == []
    assert talk.wait(2) == [Resume()]
    assert talk.state[0] == "silent"


# -- a provider that tells words first

WORDS_FIRST = replace(RULES, words_first=True)
YES = TranscriptUpdate("user", "u", "Yes", final=False)


def test_words_cut_what_began_before_the_voice_and_not_what_answers_it() -> None:
    talk = talk_with(Reply.PLAYING, WORDS_FIRST, player=True)
    assert talk.give(SpeechStarted()) == [Pause()]
    talk.give(SpeechStopped(), ResponseStarted("r2"), AudioChunk(SOUND, "r2", "i2"))
    acts = talk.give(YES)
    assert not [act for act in acts if isinstance(act, Cut) and act.response_id == "r2"]
    assert not talk.floor.sound.paused


def test_words_that_never_come_let_the_reply_go_on_at_last() -> None:
    talk = talk_with(Reply.PLAYING, WORDS_FIRST, player=True)
    talk.give(SpeechStarted(), SpeechStopped())
    assert Resume() in talk.wait(31)


@pytest.mark.parametrize("cutting", [TextSent("t"), Interrupted("r"), Stop()], ids=["text", "provider", "program"])
def test_no_words_are_waited_for_once_the_reply_is_cut(cutting: Input) -> None:
    talk = talk_with(Reply.RESPONDING, WORDS_FIRST, player=True)
    talk.give(SpeechStarted(), SpeechStopped())
    assert [act.response_id for act in talk.give(cutting) if isinstance(act, Cut)] == ["r"]
    assert talk.floor.user is User.SILENT


def test_one_voice_of_two_without_words_changes_nothing() -> None:
    talk = talk_with(Reply.PLAYING, WORDS_FIRST, player=True)
    talk.give(SpeechStarted(), SpeechStopped(), SpeechStarted(), SpeechStopped())
    assert talk.give(Notice("no_speech", "")) == []
    assert talk.give(Notice("no_speech", "")) == [Resume()]


# -- a provider that does not tell of speech

UNTOLD = replace(RULES, reports_speech=False)


def test_words_within_the_time_that_they_may_be_late_cut_the_reply_still() -> None:
    talk = talk_with(Reply.PLAYING, UNTOLD, player=True)
    talk.give(Heard(SpeechStarted()), Heard(SpeechStopped()))
    talk.wait(LATE_WORDS_S - 0.1)
    assert [type(act) for act in talk.give(YES)] == [Cut]


def test_words_after_that_cut_nothing() -> None:
    talk = talk_with(Reply.PLAYING, UNTOLD, player=True)
    talk.give(Heard(SpeechStarted()), Heard(SpeechStopped()))
    talk.wait(LATE_WORDS_S)
    assert talk.give(YES) == []


def test_what_was_heard_here_may_be_thought_about_but_nobody_is_made_to_wait() -> None:
    talk = Talk(UNTOLD)
    talk.give(Heard(SpeechStarted()), Heard(SpeechStopped()))
    assert talk.state == ("silent", "thinking")
    assert not talk.floor.awaits_reply(talk.now)
    talk.wait(4)
    assert talk.state == ("silent", "listening")


def test_a_voice_while_the_line_is_away_cuts_what_broke_off() -> None:
    talk = talk_with(Reply.RESPONDING, RULES)
    talk.give(Reconnecting(1, 0.1, "gone"))
    assert [act.response_id for act in talk.give(Heard(SpeechStarted())) if isinstance(act, Cut)] == ["r"]


# -- what is owed


def test_no_answer_for_too_long_is_told_once() -> None:
    talk = talk_with(Reply.PENDING)
    assert talk.wait(29) == []
    assert talk.wait(40) == [GaveUp()]
    assert talk.reply is Reply.NONE
    assert talk.floor.next_deadline(talk.now) is None


@pytest.mark.parametrize(
    "holds",
    [ToolCallRequest("c", "tool", "{}"), ApprovalRequest("a", "tool", "{}", "server"), Reconnecting(1, 1.0, "gone")],
    ids=["tool", "approval", "line"],
)
def test_what_has_a_limit_of_its_own_is_no_lack_of_an_answer(holds: Input) -> None:
    talk = talk_with(Reply.RESPONDING)
    talk.give(holds)
    assert talk.wait(100) == []
    assert talk.floor.awaits_reply(talk.now)


def test_a_tool_that_is_called_and_taken_back_leaves_nothing_owed() -> None:
    talk = talk_with(Reply.RESPONDING)
    talk.give(ToolCallRequest("c", "tool", "{}"), ToolCallCancelled("c"), ResponseDone("r", awaits_tools=True))
    assert not talk.floor.awaits_reply(talk.now)


def test_the_result_of_a_tool_is_owed_an_answer_in_another_response() -> None:
    talk = talk_with(Reply.RESPONDING)
    talk.give(ToolCallRequest("c", "tool", "{}"), ResponseDone("r", awaits_tools=True))
    assert talk.floor.awaits_reply(talk.now)
    talk.give(ToolAnswered("c", "result"), ResponseStarted("r2", ("result",)), ResponseDone("r2"))
    assert not talk.floor.awaits_reply(talk.now)


def test_what_goes_on_after_a_tool_is_cut_when_it_was_given_up_meanwhile() -> None:
    talk = talk_with(Reply.RESPONDING)
    talk.give(ToolCallRequest("c", "tool", "{}"), ResponseDone("r", awaits_tools=True), Stop())
    talk.give(ToolAnswered("c", "result"))
    assert [act.response_id for act in talk.give(ResponseStarted("r2", ("result",))) if isinstance(act, Cut)] == ["r2"]


# -- the state that is published


def test_the_states_of_a_turn() -> None:
    talk = Talk()
    states = [talk.state]
    for happened in (
        SpeechStarted(),
        SpeechStopped(),
        ResponseStarted("r"),
        AudioChunk(SOUND, "r", "i"),
        ResponseDone("r"),
    ):
        talk.give(happened)
        states.append(talk.state)
    talk.wait(1.1)
    states.append(talk.state)
    assert states == [
        ("silent", "listening"),
        ("speaking", "listening"),
        ("silent", "thinking"),
        ("silent", "thinking"),
        ("silent", "speaking"),
        ("silent", "speaking"),
        ("silent", "listening"),
    ]


def test_after_a_stop_it_listens_at_once_although_the_provider_is_not_done() -> None:
    talk = talk_with(Reply.RESPONDING)
    talk.give(Stop())
    assert talk.state == ("silent", "listening")
    assert talk.floor.awaits_reply(talk.now), "its end is still to come"


def test_a_reply_that_was_cut_is_not_completed_though_the_server_says_so() -> None:
    floor = Floor(RULES)
    for happened in (STARTED, ResponseStarted("one"), AudioChunk(SOUND, "one", "a"), Stop()):
        floor.apply(happened, 0)
    done = ResponseDone("one", status="completed")
    assert Deliver(replace(done, status="cancelled")) in floor.apply(done, 1)


def test_after_a_stop_no_words_are_waited_for() -> None:
    floor = Floor(replace(RULES, words_first=True, server_turns=False))
    for happened in (STARTED, TurnBegins(by_key=False), Heard(SpeechStopped())):
        floor.apply(happened, 0)
    states = [floor.user]
    floor.apply(Stop(), 1)
    states.append(floor.user)
    assert states == [User.UNRESOLVED, User.SILENT]
    assert floor.next_deadline(1) is None


def test_before_the_start_and_between_two_sockets() -> None:
    assert Floor(RULES).state(0.0).assistant == "connecting"
    talk = Talk()
    talk.give(Reconnecting(1, 1.0, "gone"))
    assert talk.state[1] == "reconnecting"
    talk.give(replace(STARTED, resumed=True))
    assert talk.state[1] == "listening"


def test_a_sound_that_is_held_up_is_heard_later() -> None:
    talk = talk_with(Reply.PLAYING, player=True)
    talk.wait(0.4)
    talk.give(Heard(SpeechStarted()))
    talk.wait(5)
    assert talk.state[1] == "speaking"
    talk.give(Heard(SpeechStopped(is_turn=False)))
    talk.wait(0.5)
    assert talk.state[1] == "speaking"
    talk.wait(0.2)
    assert talk.state[1] == "listening"
