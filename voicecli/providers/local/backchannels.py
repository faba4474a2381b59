"""Backchannels: what a listener says to show that they listen, and that asks for no answer. English only."""

from voicecli.providers.local.settings import Backchannels
from voicecli.providers.local.words import plain_words

__all__ = ["is_backchannel", "may_become_backchannel"]

_WORDS = frozenset(
    plain_words(
        """ah aha ahh alright cool exactly good great hm hmm hmmm indeed interesting mhm mm mm-hm mm-hmm mmhmm mmm
        nice oh ok okay really right sure true uh-huh uhhuh uh huh um wow yeah yep yes yup"""
    )
)
_PHRASES = frozenset({("i", "see"), ("got", "it"), ("of", "course"), ("makes", "sense"), ("all", "right")})
_LONGEST = 3  # words: "yeah, yeah, right"

# The wider rule: short speech that neither commands nor asks.
_COMMANDS = frozenset(
    plain_words(
        """actually again another but cancel continue enough excuse faster go hang hello help hey hold later listen
        louder more next no nope not pause please quiet quieter repeat shut skip slower sorry start stop tell
        thanks thank that's wait what what's when where which who whose why how can could do does is are should
        would"""
    )
)
_SHORT_WORDS, _SHORT_MS = 2, 750
_SHORTEST_MS = 450


def is_backchannel(text: str, speech_ms: int, rule: Backchannels) -> bool:
    """True when these words, said while the assistant speaks, are only a sign of listening.

    Args:
        text: what the user said, as it was recognized.
        speech_ms: how long they spoke, in ms.
    """
    words = plain_words(text)
    if rule == "off" or not words:
        return False
    if _all_listed(words):
        return True
    is_short = (len(words) <= _SHORT_WORDS and speech_ms < _SHORT_MS) or speech_ms < _SHORTEST_MS
    return rule == "wide" and is_short and not _COMMANDS.intersection(words)


def may_become_backchannel(text: str, rule: Backchannels) -> bool:
    """True when words that may go on could still be one, so that nothing is to come of them yet.

    Two words or less could: of the beginning of an "okay" recognizers make all kinds of words.
    """
    words = plain_words(text)
    return rule != "off" and (len(words) <= _SHORT_WORDS or _all_listed(words))


def _all_listed(words: list[str]) -> bool:
    return len(words) <= _LONGEST and (all(word in _WORDS for word in words) or tuple(words) in _PHRASES)
