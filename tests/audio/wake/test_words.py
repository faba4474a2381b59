"""Wake words as they are written, and as they are found in what was recognised."""

import pytest

from voicecli.audio.wake.words import TRAINED, parse_phrase
from voicecli.errors import ConfigurationError


@pytest.mark.parametrize(
    ("written", "phrase"),
    [
        ("computer", "computer"),
        (" Computer ", "computer"),
        ("Wake up", "wake up"),
        ("hey_jarvis", "hey jarvis"),
        ("Hey-Jarvis", "hey jarvis"),
        ("OK nabu", "okay nabu"),
        ("o'clock", "o'clock"),
    ],
)
def test_a_phrase_is_written_in_any_way(written: str, phrase: str) -> None:
    assert str(parse_phrase(written)) == phrase


def test_what_a_model_is_trained_for_is_known_however_it_is_written() -> None:
    for name in TRAINED:
        assert parse_phrase(name).trained == parse_phrase(name.replace("_", " ").upper()).trained == name
    assert parse_phrase("jarvis").trained is None


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("hey_siri", "there is no model 'hey_siri'.*alexa, hey_jarvis, hey_mycroft, okay_nabu"),
        ("", "English letters"),
        ("!", "English letters"),
        ("Führer", "English letters"),
        ("r2d2", "English letters"),
        ("hi", "3 to 16 letters"),
        ("supercalifragilistic", "3 to 16 letters"),
    ],
)
def test_what_cannot_be_listened_for_is_told(written: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        parse_phrase(written)


@pytest.mark.parametrize(
    "text",
    [
        "Computer.",
        "computer, what time is it?",
        "COMPUTER WHAT TIME",
        "Hey, computer!",
        "Oh, hey, computer.",
        "You computer",  # a breath before it
    ],
)
def test_it_opens_an_utterance(text: str) -> None:
    assert parse_phrase("computer").opens(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Computers are everywhere.",
        "The computer is broken.",
        "My computer",
        "Tell the computer",
        "Commuter, what time is it?",
        "Compute her",
        "Hey, oh, so, computer",
        "Micro computer",
        "Microcomputer",
    ],
)
def test_other_words_and_other_places_do_not(text: str) -> None:
    assert not parse_phrase("computer").opens(text)


@pytest.mark.parametrize("text", ["Wake up!", "Wakeup, please.", "Hey, wake up", "wake  up now"])
def test_several_words_may_be_parted_otherwise(text: str) -> None:
    assert parse_phrase("wake up").opens(text)


def test_several_words_must_all_be_there() -> None:
    assert not parse_phrase("wake up").opens("Wake")
    assert not parse_phrase("wake up").opens("Wake upon the hour")
    assert parse_phrase("hey computer").opens("Hey, computer")
    assert not parse_phrase("hey computer").opens("Computer")
