from itertools import pairwise

from voicecli.providers.local.chat_model import Message, ToolCall
from voicecli.providers.local.memory import Memory
from voicecli.transcript import Turn

HEAD = [Message("system", "Be brief."), Message("user", "Hi."), Message("assistant", "Hello.")]


def memory(*messages: Message, room: int = 1000) -> Memory:
    result = Memory(HEAD, (), context_tokens=room)
    for message in messages:
        result.add(message)
    return result


def after_head(conversation: Memory) -> list[tuple[str, str]]:
    messages = conversation.messages()
    assert messages[: len(HEAD)] == HEAD
    return [(message.role, message.text) for message in messages[len(HEAD) :]]


def test_what_follows_is_shown_and_not_remembered() -> None:
    conversation = memory(Message("user", "One"))
    assert conversation.messages(then=Message("user", "two?"))[-1].text == "One two?"
    assert after_head(conversation) == [("user", "One")]


def test_a_reply_is_cut_to_what_was_heard() -> None:
    conversation = memory(Message("user", "One?"), Message("assistant", "One two.", "a"), Message("user", "Three?"))
    version = conversation.version
    conversation.cut("a", "One")
    assert after_head(conversation) == [("user", "One?"), ("assistant", "One"), ("user", "Three?")]
    assert conversation.version != version
    conversation.cut("nobody", "")
    conversation.cut("a", "")
    assert after_head(conversation) == [("user", "One? Three?")]


def test_of_replies_with_one_name_the_latest_is_cut() -> None:
    """Those before it are the history of another conversation."""
    conversation = memory(
        Message("assistant", "One two.", "a"), Message("user", "?"), Message("assistant", "Two.", "a")
    )
    conversation.cut("a", "T")
    assert after_head(conversation) == [("assistant", "One two."), ("user", "?"), ("assistant", "T")]


def test_the_older_half_goes_at_once_when_the_model_is_full() -> None:
    conversation = memory(room=200)
    sizes = []
    for number in range(30):
        conversation.add(Message("user", f"Question {number}?"))
        conversation.add(Message("assistant", f"Answer {number}."))
        sizes.append(len(conversation.messages()))
    kept = after_head(conversation)
    assert kept[-1] == ("assistant", "Answer 29.")
    assert kept[0][0] == "user"
    # It grows for a while, then loses several turns in one step.
    steps = [after - before for before, after in pairwise(sizes)]
    assert set(steps) != {2}
    assert min(steps) <= -4
    assert steps.count(2) > 20


def test_the_last_words_of_the_user_stay_however_long() -> None:
    conversation = memory(
        Message("user", "One?"), Message("assistant", "Yes."), Message("user", "word " * 1000), room=100
    )
    assert after_head(conversation) == [("user", "word " * 1000)]


def test_each_call_has_an_output() -> None:
    calls = (ToolCall("a", "clock", "{}"), ToolCall("b", "clock", "{}"))
    conversation = memory(Message("user", "Time?"), Message("assistant", "", calls=calls), Message("tool", "noon", "a"))
    messages = conversation.messages()[len(HEAD) :]
    assert [message.role for message in messages] == ["user", "assistant", "tool", "tool"]
    assert {message.item_id for message in messages[2:]} == {"a", "b"}
    assert {message.text for message in messages[2:] if message.item_id == "a"} == {"noon"}


def test_an_earlier_conversation_is_told_with_its_tools() -> None:
    history = [
        Turn("user", "1", "Time?", final=True),
        Turn("tool", "2", "noon", final=True, name="clock", arguments='{"zone": "UTC"}'),
        Turn("tool", "3", name="clock", arguments="{}"),  # never answered
        Turn("assistant", "4", "Noon.", final=True),
        Turn("user", "5", "", final=True),
    ]
    messages = Memory(HEAD, history, context_tokens=1000).messages()[len(HEAD) :]
    assert [message.role for message in messages] == ["user", "assistant", "tool", "assistant"]
    assert messages[1].calls == (ToolCall("2", "clock", '{"zone": "UTC"}'),)
    assert messages[2].to_json() == {"role": "tool", "content": "noon", "tool_call_id": "2"}
