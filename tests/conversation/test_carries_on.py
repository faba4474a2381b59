"""The floor's short way for more of a reply comes to the same as its long one, whatever happened before."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from voicecli.conversation.floor import Floor
from voicecli.conversation.floor_events import Deliver, Input, Rules, Stop, TextSent
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

RULES = Rules(
    output_rate=24_000,
    response_timeout_s=30.0,
    server_turns=True,
    interrupts=True,
    auto_reply=True,
    reports_speech=True,
    words_first=False,
)
responses = st.sampled_from(["one", "two"])
events: st.SearchStrategy[Input] = st.one_of(
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
    st.just(SessionStarted("", "", "", 24_000, 24_000, resumed=True)),
)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(events, st.sampled_from([0.0, 0.1, 3.0])), max_size=40),
    st.booleans(),
    st.sampled_from([RULES, replace(RULES, words_first=True), replace(RULES, interrupts=False)]),
)
def test_both_ways_lead_to_the_same_state(happened: list[tuple[Input, float]], has_player: bool, rules: Rules) -> None:
    long, short, now = Floor(rules), Floor(rules), 0.0
    long.has_player = short.has_player = has_player
    for floor in (long, short):
        floor.apply(SessionStarted("", "", "", 24_000, 24_000), now)
        floor.apply(ResponseStarted("one"), now)
    for event, pause_s in happened:
        now += pause_s
        assert long.tick(now) == short.tick(now)
        before = short.state(now)
        if short.carries_on(event, now):  # type: ignore[arg-type]
            assert long.apply(event, now) == [Deliver(event)]  # type: ignore[arg-type]
            assert short.state(now) == before
        else:
            assert long.apply(event, now) == short.apply(event, now)
        assert long.state(now) == short.state(now)
        assert long.reply(now) == short.reply(now)
        assert long.next_deadline(now) == short.next_deadline(now)


def test_most_of_a_reply_takes_the_short_way() -> None:
    floor = Floor(RULES)
    floor.apply(SessionStarted("", "", "", 24_000, 24_000), 0.0)
    floor.apply(ResponseStarted("one"), 0.0)
    chunk, words = AudioChunk(bytes(480), "one", "a"), TranscriptUpdate("assistant", "a", "so", final=False)
    assert not floor.carries_on(chunk, 0.0)
    floor.apply(chunk, 0.0)
    assert floor.carries_on(chunk, 0.1)
    assert floor.carries_on(words, 0.1)
    assert not floor.carries_on(ResponseDone("one"), 0.1)
