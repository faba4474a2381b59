"""Hands a recording, a pipe or a microphone to a transcription."""

import asyncio
from collections.abc import AsyncIterator

import numpy as np

from voicecli.audio import AudioSource
from voicecli.audio.files.source import WavSource
from voicecli.errors import AudioFormatError
from voicecli.pcm16 import PcmFormat
from voicecli.transcribing.session import TranscriptionSession

__all__ = ["feed"]

# What is not live goes in larger pieces: fewer steps from thread to thread, a tenth of the time.
_PIECE_MS = 400


async def feed(session: TranscriptionSession, source: AudioSource) -> None:
    """Send all of a source, and finish. A live one ends when it is closed.

    Raises:
        RealtimeError: it cannot be read, or the transcription failed. What came before has been transcribed.
    """
    channels = 1
    if isinstance(source, WavSource):
        await source.open()
        channels = source.channels
    if channels != session.channels:
        raise AudioFormatError(f"The sound has {channels} channels, and {session.channels} are transcribed.")
    unreadable: AudioFormatError | None = None
    pieces = aiter(source) if source.realtime else _larger(source, channels)
    try:
        async for piece in pieces:
            await _send(session, piece, source.sample_rate, channels, realtime=source.realtime)
    except AudioFormatError as error:
        unreadable = error
    await session.finish()
    if unreadable is not None:
        raise unreadable


async def _send(session: TranscriptionSession, piece: bytes, rate: int, channels: int, *, realtime: bool) -> None:
    if channels == 1:
        await session.send_audio(piece, sample_rate=rate, realtime=realtime)
        return
    frames = np.frombuffer(piece, "<i2").reshape(-1, channels)
    sending = [
        session.send_audio(frames[:, place].tobytes(), sample_rate=rate, channel=place + 1, realtime=realtime)
        for place in range(channels)
    ]
    await asyncio.gather(*sending)


async def _larger(source: AudioSource, channels: int) -> AsyncIterator[bytes]:
    gathered = bytearray()
    async for chunk in source:
        gathered += chunk
        if len(gathered) >= PcmFormat(source.sample_rate).size(_PIECE_MS) * channels:
            yield bytes(gathered)
            gathered.clear()
    if gathered:
        yield bytes(gathered)
