"""Reasoning and tokens of templates in a model's text, which are not for the user."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicecli.providers.local.reasoning import ReasoningFilter, begins_by_thinking


def shown(text: str, size: int, *, inside: bool = False) -> str:
    filtered = ReasoningFilter(inside=inside)
    return "".join(filtered.push(text[at : at + size]) for at in range(0, len(text), size)) + filtered.flush()


HARMONY = "<|channel|>analysis<|message|>They ask.<|end|><|start|>assistant<|channel|>final<|message|>Hello.<|return|>"
HARMONY_CALL = (
    "<|channel|>analysis<|message|>I look.<|end|><|start|>assistant<|channel|>commentary to=functions.weather "
    '<|constrain|>json<|message|>{"city": "Paris"}<|call|>'
)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Hello.", "Hello."),
        ("<think>Hm.</think>Hello.", "Hello."),
        ("<think>\nHm.\n</think>\n\nHello.", "Hello."),
        ("<think>\n\n</think>\n\nHello.", "Hello."),
        ("\n<Thinking>Hm.</Thinking> Hello.", "\nHello."),
        ("[THINK]Hm.[/THINK]Hello.", "Hello."),
        ("◁think▷Hm.◁/think▷Hello.", "Hello."),
        ("<reasoning>Hm.</reasoning><think>Hm.</think>Hello.", "Hello."),
        ("Well.\n<think>Hm.</think>\nHello.", "Well.\n\nHello."),
        ("</think>Hello.", "Hello."),
        ("Hello.</think>", "Hello."),
        ("<think>no end", ""),
        (HARMONY, "Hello."),
        ("<|channel|>final<|message|>Hello.", "Hello."),
        ("<|start|>assistant<|channel|>commentary<|message|>I look.<|end|>", ""),
        (HARMONY_CALL, '<tool_call>{"name": "weather", "arguments": {"city": "Paris"}}</tool_call>'),
        ("Hello.<|im_end|>", "Hello."),
        ("Hello.<|im_end|>\n<|im_start|>user\nAnd now?<|im_end|>", "Hello."),
        ("<|im_start|>assistant\nHello.<|im_end|>\n", "Hello."),
        ("<|start_header_id|>assistant<|end_header_id|>\n\nHello.<|eot_id|>", "\n\nHello."),
        ("<s>Hello.</s>", "Hello."),
        ("<start_of_turn>model\nHello.<end_of_turn>", "Hello."),
        ("Hello.<\uff5cend\u2581of\u2581sentence\uff5c>", "Hello."),
        ("Hello.<|endoftext|>Question: who?", "Hello."),
        ("A <|reserved_special_token_1|>word.", "A word."),
        # what only looks like it
        (
            "The tag `<think>` opens it, and `</think>` closes it.",
            "The tag `<think>` opens it, and `</think>` closes it.",
        ),
        ("I <think> so.", "I <think> so."),
        ("5 < 3, a <b> and [x] or <|", "5 < 3, a <b> and [x] or <|"),
        ("<thin", "<thin"),
        ("x <", "x <"),
        ("List[int] and [INST", "List[int] and [INST"),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 5, 1000])
def test_what_is_for_the_user(text: str, answer: str, size: int) -> None:
    assert shown(text, size) == answer


@pytest.mark.parametrize("size", [1, 4, 1000])
def test_an_answer_that_begins_inside(size: int) -> None:
    assert shown("They ask.\n</think>\n\nHello.", size, inside=True) == "Hello."
    assert shown("<think>They ask.</think>Hello.", size, inside=True) == "Hello."
    assert shown("Hello.", size, inside=True) == "Hello."
    assert shown("Hello.<|im_end|>", size, inside=True) == "Hello."


def test_what_an_answer_teaches_of_the_model() -> None:
    stray, inside, plain = ReasoningFilter(), ReasoningFilter(inside=True), ReasoningFilter(inside=True)
    assert (stray.push("They ask.</think>Hello."), stray.flush()) == ("They ask.Hello.", "")
    assert stray.stray
    assert (inside.push("They ask.</think>Hello."), inside.flush()) == ("Hello.", "")
    assert inside.reasoned
    assert not inside.unfounded
    assert not inside.stray
    assert (plain.push("Hello."), plain.flush()) == ("", "Hello.")
    assert plain.unfounded


def test_text_is_given_out_as_it_comes() -> None:
    filtered = ReasoningFilter()
    assert filtered.push("Hel") == "Hel"
    assert filtered.push("lo <") == "lo "
    assert filtered.push("3") == "<3"


@pytest.mark.parametrize(
    ("model", "thinks"),
    [
        ("deepseek-r1:8b", True),
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-7B", True),
        ("qwq", True),
        ("Qwen/Qwen3-4B-Thinking-2507", True),
        ("qwen3:4b", False),
        ("llama3.1:8b", False),
        ("mistral-r10", False),
    ],
)
def test_names_of_models_that_begin_by_thinking(model: str, thinks: bool) -> None:
    assert begins_by_thinking(model) is thinks


@given(st.text(alphabet="ab <>|/[]`\nthink_end", max_size=120), st.integers(1, 9))
def test_the_size_of_the_deltas_does_not_matter(text: str, size: int) -> None:
    assert shown(text, size) == shown(text, 1000)
