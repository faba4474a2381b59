"""The state that the view shows: the conversation's own, and what only the view knows."""

from dataclasses import replace

import pytest

from tests.terminal.stage import DEVICES, STARTED, Stage, assistant, now, user
from voicecli.events import (
    ApprovalAnswered,
    ApprovalRequest,
    Asleep,
    AssistantState,
    AudioChunk,
    Awake,
    Event,
    Interrupted,
    Notice,
    Reconnecting,
    ResponseDone,
    ResponseStarted,
    SessionEnded,
    SpeechStarted,
    SpeechStopped,
    ToolCallFinished,
    ToolCallRequest,
)
from voicecli.terminal.key_hints import key_help
from voicecli.terminal.line_editor import LineEditor
from voicecli.terminal.view_model import State, ViewModel

GONE = Reconnecting(1, 4.0, "gone", 6)


def test_each_state_has_its_words() -> None:
    stage = Stage()
    stage.view = ViewModel(clock=lambda: stage.now)
    words = [stage.view.state_words]

    def then(*events: Event) -> None:
        stage.happen(*events)
        words.append(stage.view.state_words)

    then(STARTED, now("listening"))
    then(now("listening", user="speaking"))
    then(now("thinking"))
    stage.now = 1.25
    then()
    stage.now = 12.3
    then()
    then(now("speaking"))
    then(now("speaking", user="speaking"))
    then(now("listening"))
    stage.view.microphone_muted = True
    then()
    then(now("reconnecting"), GONE)
    then(Reconnecting(2, 8.0, "gone", 6))
    stage.now += 8.0
    then()
    stage.view.microphone_muted = False
    then(replace(STARTED, resumed=True), now("listening"))
    then(SessionEnded("closed"))
    assert words == [
        "Connecting",
        "Listening",
        "Hearing you",
        "Thinking 0.0 s",
        "Thinking 1.2 s",
        "Thinking 12 s",
        "Speaking",
        "Hearing you",
        "Listening",
        "Muted",
        "Reconnecting 1/6, next in 4 s",
        "Reconnecting 2/6, next in 8 s",
        "Reconnecting 2/6",
        "Listening",
        "Ended",
    ]


@pytest.mark.parametrize(
    ("assistant", "state"),
    [
        ("connecting", State.CONNECTING),
        ("listening", State.LISTENING),
        ("thinking", State.THINKING),
        ("speaking", State.SPEAKING),
        ("reconnecting", State.RECONNECTING),
    ],
)
def test_the_state_is_the_published_one_whatever_else_happens(assistant: AssistantState, state: State) -> None:
    stage = Stage(now(assistant))
    for event in (
        SpeechStarted(),
        ResponseStarted("r"),
        AudioChunk(b"", "r", "a1"),
        ToolCallRequest("c", "f", "{}"),
        ResponseDone("r", awaits_tools=True),
        Interrupted("r"),
        SpeechStopped(),
        Notice("no_speech", "Nothing was said."),
        replace(STARTED, resumed=True),
    ):
        stage.happen(event, playing=isinstance(event, AudioChunk))
        assert stage.view.state is state, event


def test_an_interruption_shows_although_the_response_is_not_over() -> None:
    stage = Stage(ResponseStarted("r"), AudioChunk(b"", "r", "a1"), now("speaking"), playing=True)
    stage.happen(Interrupted("r", "a1"), now("listening"))
    assert stage.view.state_words == "Listening"
    assert "i interrupt" not in stage.hints()


def test_the_time_of_a_thought_begins_with_the_last_turn() -> None:
    stage = Stage(SpeechStopped(), now("thinking"))
    stage.now = 2.0
    stage.happen(now("thinking", user="speaking"), SpeechStopped(is_turn=False), now("thinking"))
    assert stage.view.state_words == "Thinking 2.0 s", "a noise is no turn"
    stage.happen(now("thinking", user="speaking"), SpeechStopped(), now("thinking"))
    assert stage.view.state_words == "Thinking 0.0 s"
    stage.now = 3.0
    stage.happen(now("speaking"), now("thinking"))
    assert stage.view.state_words == "Thinking 0.0 s", "a tool runs between two parts of the answer"


def test_an_answer_that_is_owed_is_waited_for_over_a_reconnect() -> None:
    stage = Stage(user("Hi"), now("thinking"), now("reconnecting"), GONE)
    stage.now = 2.0
    assert stage.view.state is State.RECONNECTING
    stage.happen(replace(STARTED, resumed=True), now("thinking"))
    assert stage.view.state_words == "Thinking 2.0 s"


def test_a_thought_after_a_reconnect_begins_then() -> None:
    stage = Stage(now("listening"), now("reconnecting"), GONE)
    stage.now = 2.0
    stage.happen(replace(STARTED, resumed=True), now("thinking"))
    assert stage.view.state_words == "Thinking 0.0 s"


def test_a_reconnect_has_no_number_before_its_first_attempt() -> None:
    assert Stage(now("reconnecting")).view.state_words == "Reconnecting"


def test_nobody_is_heard_while_the_microphone_is_muted() -> None:
    stage = Stage(now("listening", user="speaking"))
    stage.view.microphone_muted = True
    assert stage.view.state_words == "Muted"
    stage.happen(now("speaking", user="speaking"))
    assert stage.view.state_words == "Speaking"


def test_push_to_talk_waits_for_its_key() -> None:
    stage = Stage(push_to_talk=True)
    assert stage.view.state_words == "Ready"
    stage.view.set_talking(True)
    assert stage.view.state_words == "Hearing you"
    stage.view.set_talking(False)
    stage.happen(now("thinking"))
    assert stage.view.state is State.THINKING


def test_a_question_to_the_user_shows_until_it_is_answered() -> None:
    stage = Stage(now("thinking"), ApprovalRequest("a", "search", "{}", "web"))
    stage.scrolled()
    stage.now = 5.0
    assert stage.view.state_words == "Asking"
    stage.view.answer_question("denied")
    assert stage.view.state_words == "Thinking 0.0 s", "until now the user was waited for"


def test_a_question_over_a_lost_connection_is_void() -> None:
    stage = Stage(ApprovalRequest("a", "search", "{}", "web"), now("reconnecting"), GONE)
    stage.happen(ApprovalAnswered("a", "withdrawn"), replace(STARTED, resumed=True), now("listening"))
    assert not stage.view.questions
    assert "Asked no more: search on web" in stage.scrolled()


def test_an_answer_that_is_given_up_is_told_with_the_tool_that_still_runs() -> None:
    stage = Stage(user("Hi"), now("thinking"), ResponseStarted("r"), ToolCallRequest("c", "look_up", "{}"))
    stage.view.answer_given_up()
    stage.happen(now("listening"), ResponseDone("r", awaits_tools=True))
    assert stage.scrolled()[2:] == ["The answer is given up; look_up still runs."]
    stage.view.answer_given_up()
    stage.happen(ToolCallFinished("c", "look_up", ""), ResponseStarted("r2"), Interrupted("r2"))
    assert stage.scrolled() == ["● look_up ✓"], "nothing is waited for any more"
    stage.happen(ResponseDone("r2", "cancelled"), now("thinking"))
    stage.view.answer_given_up()
    assert stage.scrolled() == ["The answer is given up."]


def test_the_keys_shown_are_those_that_do_something_now() -> None:
    stage = Stage()
    stage.view.speaker_muted = True
    assert [stage.status().rstrip(), stage.hints()] == ["● Listening", "m mute  t type  q end  ? help"], (
        "there is no loudspeaker"
    )
    assert "speaker" not in key_help(stage.view)
    stage.view.speaker_muted = False
    stage.view.audio = DEVICES
    assert stage.hints() == "m mute  t type  q end  s speaker off  ? help"
    stage.view.microphone_muted = stage.view.speaker_muted = True
    assert stage.hints() == "m unmute  t type  q end  s speaker on  ? help"
    stage.happen(now("thinking"))
    assert "i interrupt" in stage.hints()
    stage.happen(ApprovalRequest("a", "search", '{"q": "x"}', "web\x1b"))
    assert stage.said() == ["Allow search on web\\x1b?", "  q=x"]
    assert stage.hints().startswith("y allow  n refuse  m ")
    allow, refuse, *_ = key_help(stage.view).splitlines()
    assert allow.split() == ["y", "allow", "what", "is", "asked,", "once"]
    assert refuse.index("refuse it") == allow.index("allow") == len("q or Ctrl-C  "), "in columns"
    stage.view.editor = LineEditor()
    assert stage.hints() == "enter send  esc cancel  ctrl-c clear"
    stage.view.end_asked()
    assert stage.hints() == ""
    talk = Stage(push_to_talk=True)
    assert talk.hints().startswith("space talk  ")
    talk.view.set_talking(True)
    assert talk.hints().startswith("space send  ")


def asleep(*, push_to_talk: bool = False) -> Stage:
    """A view that sleeps, after a conversation."""
    stage = Stage()
    stage.view = ViewModel(push_to_talk=push_to_talk, wake_word="computer", clock=lambda: stage.now)
    stage.happen(Asleep("computer"), Awake("word"), STARTED, now("listening"))
    stage.happen(user("What time is it?"), SessionEnded("closed"), Asleep("computer"))
    return stage


def test_asleep_it_says_so_and_how_to_wake_it() -> None:
    stage = asleep()
    stage.view.audio = DEVICES
    assert stage.view.state is State.ASLEEP
    top, _, status, keys = stage.footer(80)
    assert top == 'Say "computer", or press Space to wake it'
    assert status.startswith("● Asleep  ")
    assert keys.startswith("space wake  m mute")
    stage.view.microphone_muted = True
    assert stage.footer(80)[0] == "The microphone is muted: press Space to wake it"
    assert asleep(push_to_talk=True).footer(80)[0] == 'Say "computer", or press Space to talk'
    assert "wake it" in key_help(stage.view)
    assert "wake" not in key_help(Stage().view)


def test_awake_it_shows_the_conversation_again() -> None:
    stage = asleep()
    stage.scrolled()
    words = []
    for event in (Awake("key"), STARTED, now("listening"), SessionEnded("closed"), Asleep("computer")):
        stage.happen(event)
        words.append(stage.view.state_words)
    assert words == ["Connecting", "Connecting", "Listening", "Listening", "Asleep"]
    stage.view.end_asked()
    assert stage.view.state_words == "Ending"
    stage.view.finish()
    assert stage.view.state_words == "Ended"
    assert stage.view.summary()


def test_what_was_open_is_printed_when_it_falls_asleep() -> None:
    stage = asleep()
    stage.happen(Awake("word"), STARTED, ResponseStarted("r"), assistant("It is", final=False))
    stage.happen(ToolCallRequest("c", "clock", "{}"), ApprovalRequest("a", "f", "{}", "s"))
    stage.happen(SessionEnded("closed"), Asleep("computer"))
    assert not stage.view.questions
    assert stage.view.running_tools == []
    assert any("It is" in line for line in stage.scrolled())


def test_the_next_session_may_name_its_words_as_the_one_before_did() -> None:
    stage = asleep()
    assert any("What time is it?" in line for line in stage.scrolled())
    stage.happen(Awake("word"), STARTED, user("And tomorrow?"), SessionEnded("closed"), Asleep("computer"))
    assert any("And tomorrow?" in line for line in stage.scrolled())
    stage.happen(Awake("word"), STARTED, user("First"))
    stage.happen(SessionEnded("closed"), Asleep("computer"), Awake("word"), STARTED, user("Second"))
    printed = "".join(stage.scrolled())
    assert "First" in printed
    assert "Second" in printed
