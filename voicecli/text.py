"""Text that can be encoded: repairs what JSON, and the names of files, may hold beside it."""

__all__ = ["valid_text"]


def valid_text(text: str) -> str:
    """The text as it can be sent, shown and stored: surrogate pairs are joined, lone surrogates replaced by U+FFFD.

    A delta of streamed text may end between the two halves of a pair: join the deltas first.
    """
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
