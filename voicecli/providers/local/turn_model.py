"""Models of where a turn ends: is what the user has said so far complete, or does the sentence go on?"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from voicecli.audio.smart_turn import SmartTurn
from voicecli.errors import RealtimeError
from voicecli.providers.local.chat_model import Message
from voicecli.providers.local.words import plain_words, without_ending

__all__ = ["Pause", "SentenceEndModel", "SentenceEnds", "SoundModel", "TurnModel", "WordModel", "hangs"]

_log = logging.getLogger(__name__)

# After these, English goes on.
_HANGING = frozenset(
    plain_words(
        """a an the and or but nor so because since if unless until while whereas although though that which whose than
        as my your our their this these those every each of into onto between per via is are was were am been being has
        have had does did will would shall should could may might must i we he she they i'm i'll i'd i've we're we'll
        you're you'll they're he's she's it's that's there's let's um uh er erm uhm umm hmm very really quite just maybe
        perhaps when where what how who"""
    )
)
# After these too, but in a question, which may end in them: "Where are you from?"
_HANGING_IN_STATEMENTS = frozenset(plain_words("to in on at by for from with without about like do can be not you"))
_QUESTION_WORDS = frozenset(
    plain_words("what what's who who's whom where where's which when how why do does did are is can")
)


@dataclass(frozen=True, slots=True)
class Pause:
    """Speech of the user's before a pause.

    Attributes:
        text: their words; "" for a model that needs none, and where there are none.
        messages: the conversation, these words last; empty where it is not known.
        audio: the turn so far, PCM16 mono at 16000 Hz; empty for a model that needs words.
    """

    text: str = ""
    messages: Sequence[Message] = ()
    audio: bytes = b""


class TurnModel(Protocol):
    """Tells how likely a turn is complete.

    Attributes:
        needs_words: whether it goes by the words; otherwise by the sound.
    """

    @property
    def needs_words(self) -> bool: ...
    async def end_chance(self, pause: Pause) -> float:
        """The chance, 0 to 1, that the turn ends here."""

    async def aclose(self) -> None:
        """Release the model."""


class SentenceEnds(Protocol):
    """A language model that knows where sentences end."""

    async def end_chance(self, messages: Sequence[Message]) -> float | None:
        """The chance, 0 to 1, that the last message ends where it does; None where the model cannot tell.

        Raises:
            RealtimeError: it fails.
        """


class WordModel:
    """Takes a turn for complete unless its last word hangs: and, to, um, the ... English only."""

    needs_words = True

    async def end_chance(self, pause: Pause) -> float:
        return 0.0 if hangs(pause.text) else 1.0

    async def aclose(self) -> None:
        return


class SentenceEndModel:
    """Asks a language model how likely the sentence ends here, unless the last word shows that it goes on already.

    Small models are easily content with "a table for". Where the model cannot tell, the last word decides alone.

    Args:
        model: closed by its owner.
    """

    needs_words = True

    def __init__(self, model: SentenceEnds) -> None:
        self._model = model

    async def end_chance(self, pause: Pause) -> float:
        if hangs(pause.text):
            return 0.0
        chance = await self._chance(pause.messages) if pause.messages else None
        return 1.0 if chance is None else chance

    async def aclose(self) -> None:
        return

    async def _chance(self, messages: Sequence[Message]) -> float | None:
        *before, said = messages
        try:
            return await self._model.end_chance([*before, replace(said, text=without_ending(said.text))])
        except RealtimeError as error:
            _log.warning("The language model cannot tell whether the sentence ends: %s", error)
            return None


class SoundModel:
    """Goes by the sound of the voice. Closes the model."""

    needs_words = False

    def __init__(self, model: SmartTurn) -> None:
        self._model = model

    async def end_chance(self, pause: Pause) -> float:
        try:
            return float(await self._model.is_finished(pause.audio))
        except RealtimeError as error:
            _log.warning("A pause is taken for the end of a turn: %s", error)
            return 1.0

    async def aclose(self) -> None:
        await self._model.aclose()


def hangs(text: str) -> bool:
    """True when the last word is one after which English goes on."""
    words = plain_words(text)
    if not words:
        return False
    asks = words[0] in _QUESTION_WORDS
    return words[-1] in _HANGING or (words[-1] in _HANGING_IN_STATEMENTS and not asks)
