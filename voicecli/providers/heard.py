"""The part of the model's output that the user heard before it was cut off: in milliseconds, and as text."""

from collections.abc import Iterable

from voicecli.transcript import heard_text

__all__ = ["heard_by_item", "heard_words"]


def heard_by_item(item_ids: Iterable[str], item_id: str | None, played_ms: int | None) -> dict[str, int]:
    """Milliseconds heard of the item that playout stopped in, and of each item after it: nothing.

    Items before it are not part of the result, as they were heard to their end.

    Args:
        item_ids: all items that may be cut, in the order of their playout.
        item_id: the item that playout stopped in.
        played_ms: how much of its audio was played.

    Returns:
        milliseconds by item, in the same order; empty when it is not known where playout stopped.
    """
    heard: dict[str, int] = {}
    if played_ms is not None:
        for other in item_ids:
            if other == item_id:
                heard[other] = max(played_ms, 0)
            elif heard:
                heard[other] = 0
    return heard


def heard_words(pieces: Iterable[tuple[str, int]], heard_ms: int) -> str:
    """Text of which `heard_ms` of the audio were heard, cut at the last whole word.

    Args:
        pieces: the text, and how long each piece of it sounds in milliseconds. The more pieces, the more exact.
        heard_ms: from the start of the first piece.
    """
    words, left_ms = "", heard_ms
    for text, duration_ms in pieces if heard_ms > 0 else ():
        if left_ms < duration_ms:
            return words + heard_text(text, left_ms, duration_ms)
        words += text
        left_ms -= duration_ms
    return words
