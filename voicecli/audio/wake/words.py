"""Words that wake a conversation, and how they are found in what was recognised. Pure."""

import re
from dataclasses import dataclass

from voicecli.errors import ConfigurationError

__all__ = ["TRAINED", "Phrase", "parse_phrase"]

TRAINED = ("alexa", "hey_jarvis", "hey_mycroft", "okay_nabu")
"""Names of the models that are trained for one phrase."""

# What may stand before it: "Hey computer", and the "you" that the recogniser makes of a breath.
_BEFORE = frozenset({"a", "and", "hello", "hey", "hi", "oh", "okay", "please", "so", "uh", "um", "well", "you"})
_MOST_BEFORE = 2  # words
_LETTERS = (3, 16)  # the longest is said within the 2 s of sound that are kept
_SPELLINGS = {"ok": "okay"}


@dataclass(frozen=True, slots=True)
class Phrase:
    """One or more words that are to be said.

    Attributes:
        words: in lower case.
    """

    words: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join(self.words)

    @property
    def trained(self) -> str | None:
        """The name of the model that is trained for it, if there is one."""
        name = "_".join(self.words)
        return name if name in TRAINED else None

    def opens(self, text: str) -> bool:
        """True where a text begins with it, or has only a "hey" or the like before it.

        Whole words are compared: "computers" is not "computer". Where words are parted does not matter ("wakeup").
        """
        said, phrase = _words(text), "".join(self.words)
        for start in range(min(_MOST_BEFORE, len(said)) + 1):
            joined = ""
            for word in said[start:]:
                joined += word
                if joined == phrase:
                    return True
                if not phrase.startswith(joined):
                    break
            if start < len(said) and said[start] not in _BEFORE:
                return False
        return False


def parse_phrase(text: str) -> Phrase:
    """The phrase that a user wrote: words, or the name of a trained model.

    Raises:
        ConfigurationError: it cannot be listened for.
    """
    models = ", ".join(TRAINED)
    written = text.strip().lower()
    phrase = Phrase(tuple(_words(written.replace("_", " ").replace("-", " "))))
    if phrase.trained:
        return phrase
    if "_" in written:
        raise ConfigurationError(f"wake: there is no model {text!r}.", advice=f"Choose one of {models}, or any words.")
    if not re.fullmatch(r"[a-z' -]+", written) or not phrase.words:
        raise ConfigurationError(
            f"wake: {text!r} is not made of English letters.", advice=f'Write words, such as "computer", or {models}.'
        )
    shortest, longest = _LETTERS
    if not shortest <= sum(map(len, phrase.words)) <= longest:
        raise ConfigurationError(
            f"wake: {text!r} does not have {shortest} to {longest} letters.",
            advice="Long single words are heard best, such as computer.",
        )
    return phrase


def _words(text: str) -> list[str]:
    words = re.findall(r"[a-z]+(?:'[a-z]+)*", text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))
    return [_SPELLINGS.get(word, word) for word in words]
