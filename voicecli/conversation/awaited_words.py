"""Voices of the user's whose words are still to come, and which replies these words can cut."""

__all__ = ["LATE_WORDS_S", "AwaitedWords"]

LATE_WORDS_S = 3.0
"""The time after a silence in which words still belong to the voice before it: some providers tell words late."""


class AwaitedWords:
    """Part of the floor: keeps for which voices words are awaited. Pure; times are in seconds.

    Attributes:
        voices: how many turns by voice there were of which no words are known.
        overheard: whether a voice that the provider has not told of paused the reply.
        until: until when the words of such a voice are waited for; None while it lasts.
        begun_before: how many responses had begun before the first of these voices: its words reach no later one.
    """

    def __init__(self) -> None:
        self.voices = 0
        self.overheard = False
        self.until: float | None = None
        self.begun_before = 0

    def __bool__(self) -> bool:
        return self.voices > 0 or self.overheard

    def clear(self) -> None:
        """No words are awaited any more."""
        self.voices, self.overheard, self.until = 0, False, None

    def had_none(self) -> bool:
        """A voice had no words; whether it was the last of those whose words are awaited."""
        had_voices = self.voices > 0
        self.voices = max(self.voices - 1, 0)
        return had_voices and not self.voices
