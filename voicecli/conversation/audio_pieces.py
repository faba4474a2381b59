"""Long audio in pieces, so that the connection can send one while the next is made."""

from collections.abc import AsyncIterator

from voicecli.pcm16 import SAMPLE_BYTES, PcmFormat

__all__ = ["PIECE_MS", "in_pieces"]

PIECE_MS = 100


async def in_pieces(audio: bytes, rate: int) -> AsyncIterator[bytes]:
    """PCM16 mono at `rate` Hz, in pieces of PIECE_MS."""
    size = PcmFormat(rate).size(PIECE_MS) or SAMPLE_BYTES
    for start in range(0, len(audio), size):
        yield audio[start : start + size]
