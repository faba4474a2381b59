import pytest

from voicecli.commands import CancelResponse
from voicecli.providers.local.spoken_replies import Spoken, SpokenReplies


def spoken(*pieces: str, response_id: str = "") -> Spoken:
    """A reply whose every piece sounds for a second."""
    reply = Spoken(1000, response_id)
    for piece in pieces:
        reply.add(piece, bytes(2000))
    reply.finish()
    return reply


def remembered(*texts: str) -> SpokenReplies:
    """Replies "item_0", "item_1" ... of the responses "response_0" ..."""
    replies = SpokenReplies()
    for number, text in enumerate(texts):
        replies.add(f"item_{number}", spoken(text, response_id=f"response_{number}"))
    return replies


@pytest.mark.parametrize(
    ("played_ms", "heard"),
    [(0, ""), (500, "One"), (700, "One"), (1000, "One two."), (1500, "One two. Three"), (2000, "One two. Three four.")],
)
def test_what_was_heard_is_cut_at_a_word_of_the_piece_that_was_playing(played_ms: int, heard: str) -> None:
    assert spoken("One two. ", "Three four.").heard(played_ms) == heard


def test_sound_that_follows_belongs_to_the_text_before() -> None:
    reply = spoken("One two three four. ", "", "Five.")
    assert reply.heard(1000) == "One two"
    assert reply.heard(2500) == "One two three four."
    assert reply.text == "One two three four. Five."


def test_of_a_sentence_whose_sound_is_still_being_made_no_more_is_heard_than_was_played() -> None:
    reply = Spoken(1000)
    sentence = "This is a sentence of some length that has only just begun."
    reply.add(sentence, bytes(2 * 230))
    assert reply.heard(230) == "This"
    reply.add("", bytes(2 * 4000))
    assert reply.heard(4230) == sentence
    reply.add("https://example.com/a/very/long/address", bytes(2 * 400))
    assert reply.heard(4630) == sentence
    reply.finish()
    assert reply.heard(4630) == f"{sentence}https://example.com/a/very/long/address"


def test_a_reply_after_the_one_that_was_playing_was_not_heard_at_all() -> None:
    replies = remembered("One two.", "Three four.")
    assert replies.heard(CancelResponse("response_1", "item_0", 500)) == {"item_0": "One", "item_1": ""}


def test_a_reply_after_the_response_that_is_named_is_not_cut() -> None:
    replies = remembered("One two.", "Three four.")
    assert replies.heard(CancelResponse("response_0", "item_0", 500)) == {"item_0": "One"}


@pytest.mark.parametrize("command", [CancelResponse("response_0"), CancelResponse("response_0", "item_9", 500)])
def test_nothing_is_known_of_what_was_heard_unless_the_command_says_it(command: CancelResponse) -> None:
    assert remembered("One two.").heard(command) == {}


def test_the_oldest_of_many_replies_is_forgotten() -> None:
    replies = remembered(*["One two."] * 9)
    assert replies.heard(CancelResponse("response_0", "item_0", 500)) == {}
    assert replies.text("item_8") == "One two."
