"""Why the reply is paused, and what ends that. Pure; times are in seconds, of any monotonic clock."""

__all__ = ["ReplyHold"]

# Some providers tell the user's words later than the silence after them is noticed here. How long they still belong
# to a voice that was overheard, in seconds.
_LATE_WORDS_S = 3.0


class ReplyHold:
    """The reply is paused while the user may be speaking into it: a noise must not cost the rest of it.

        a suspicion (turns are found here)             ends with a turn, which cuts the reply, or with silence
        a voice (the provider tells words first)       with words, which cut it, or the news that there were none
        an overheard voice (the provider tells little) with words or another reply, which cut it, or with silence;
                                                       words and another reply still cut it for a while

    Whoever drives it pauses the player with `suspect`, `overhear` and `hear`, lets it go on when `silence` or
    `no_words` says so, and calls `forget` when the reply was cut.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self._suspected = False
        self._voices = 0  # whose words are not known
        self._words_until = float("-inf")

    @property
    def awaits_words(self) -> bool:
        """Whether only words, or their absence, will end the pause."""
        return self._voices > 0

    def suspect(self) -> None:
        self._suspected = True

    def overhear(self) -> None:
        self._suspected, self._words_until = True, float("inf")

    def hear(self) -> None:
        self._suspected = False
        self._voices += 1

    def silence(self, now: float) -> bool:
        """What was suspected or overheard is over: whether the reply goes on."""
        if self._words_until == float("inf"):
            self._words_until = now + _LATE_WORDS_S
        suspected, self._suspected = self._suspected, False
        return suspected and not self._voices

    def no_words(self) -> bool:
        """A voice had no words: whether the reply goes on."""
        self._voices -= self._voices > 0
        return not (self._voices or self._suspected)

    def overheard(self, now: float) -> bool:
        """Whether another reply answers what was overheard."""
        return now < self._words_until

    def cut_by_words(self, now: float) -> bool:
        """Whether words of the user's cut the reply."""
        return self._voices > 0 or self.overheard(now)
