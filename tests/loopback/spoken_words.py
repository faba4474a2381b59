"""Audio that says which words it holds: each word is a level of its own, so that a server can hear exactly them."""

from array import array

__all__ = ["FIRST", "pause", "word", "words_in"]

FIRST = 1_000
"""The level of word 0: of this and above, a sample is speech."""
_STEP = 80  # samples: 3 to 5 ms, far less than a word or a pause


def word(number: int, rate: int, ms: int = 200) -> bytes:
    """Word number 0, 1, 2 ... as PCM16 mono at this rate, in Hz."""
    return (FIRST + number).to_bytes(2, "little", signed=True) * (rate * ms // 1000)


def pause(rate: int, ms: int = 200) -> bytes:
    """Silence at this rate, in Hz."""
    return bytes(2 * (rate * ms // 1000))


def words_in(audio: bytes) -> str:
    """The words, as "w0 w1 w2"; one that comes again after a pause, or after another word, counts again."""
    words: list[str] = []
    last = 0
    for level in array("h", audio)[::_STEP]:
        if level != last and level >= FIRST:
            words.append(f"w{level - FIRST}")
        last = level
    return " ".join(words)
