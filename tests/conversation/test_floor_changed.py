"""`Floor.changed`: what it says changed nothing has neither changed the state nor brought a deadline nearer."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from voicecli.conversation.floor import Floor
from voicecli.conversation.floor_events import Input, Rules, Stop, TextSent
from voicecli.events import (
    AudioChunk,
    Interrupted,
    Reconnecting,
    ResponseDone,
    ResponseStarted,
    SessionStarted,
    SpeechStarted,
    SpeechStopped,
    TranscriptUpdate,
)

RULES = Rules(output_rate=24_000, response_timeout_s=30.0)
STARTED = SessionStarted("", "", "", 24_000, 24_000)
responses = st.sampled_from(["one", "two"])
inputs: st.SearchStrategy[Input] = st.one_of(
    st.builds(AudioChunk, st.sampled_from([bytes(480), bytes(48_000)]), responses, st.sampled_from(["a", "b"])),
    st.builds(
        TranscriptUpdate,
        st.sampled_from(["assistant", "user"]),
        st.just("a"),
        st.sampled_from(["", "so"]),
        st.booleans(),
    ),
    st.builds(ResponseStarted, responses),
    st.builds(ResponseDone, responses),
    st.builds(Interrupted, responses),
    st.builds(SpeechStarted),
    st.builds(SpeechStopped),
    st.builds(TextSent, st.just("input")),
    st.builds(Stop),
    st.just(Reconnecting(1, 0.5, "lost")),
    st.just(replace(STARTED, resumed=True)),
)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(inputs, st.sampled_from([0.0, 0.1, 3.0])), max_size=40),
    st.booleans(),
    st.sampled_from([RULES, replace(RULES, words_first=True), replace(RULES, interrupts=False)]),
)
def test_what_changes_nothing_leaves_state_and_deadlines(
    happened: list[tuple[Input, float]], has_player: bool, rules: Rules
) -> None:
    floor, now = Floor(rules), 0.0
    floor.sound.has_player = has_player
    floor.apply(STARTED, now)
    floor.apply(ResponseStarted("one"), now)
    for event, pause_s in happened:
        now += pause_s
        floor.tick(now)
        state, deadline = floor.state(now), floor.next_deadline(now)
        floor.apply(event, now)
        if not floor.changed:
            assert floor.state(now) == state
            after = floor.next_deadline(now)
            assert after is None or (deadline is not None and after >= deadline)


def test_more_of_a_reply_that_is_heard_changes_nothing() -> None:
    floor = Floor(RULES)
    chunk, words = AudioChunk(bytes(48_000), "one", "a"), TranscriptUpdate("assistant", "a", "so", final=False)
    seen = []
    steps: list[Input] = [STARTED, ResponseStarted("one"), chunk, chunk, words, ResponseDone("one")]
    for now, happened in enumerate(steps):
        floor.apply(happened, now / 10)
        seen.append(floor.changed)
    assert seen == [True, True, True, False, False, True]
