"""Joins audio to a session: the user's voice goes up, the reply comes down."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable

from voicecli.audio import AudioSink, AudioSource, Playhead
from voicecli.config import VADMode
from voicecli.conversation.arguments import check_source
from voicecli.conversation.session import VoiceSession
from voicecli.errors import RealtimeConnectionError
from voicecli.events import AudioChunk, AudioDone, Event, Interrupted
from voicecli.pcm16 import PcmFormat

__all__ = ["Observer", "converse"]

Observer = Callable[[Event], None]

# For the observers to see the end of a conversation that was broken off, in seconds: it takes no I/O of ours.
_LAST_EVENTS_S = 1.0


async def converse(
    session: VoiceSession,
    source: AudioSource | str | Iterable[AudioSource | str],
    sink: AudioSink | None = None,
    observers: Iterable[Observer] = (),
) -> None:
    """Hold a conversation until the source ends, or the provider ends it. Closes the session.

    Args:
        source: the user's voice, or a single turn in writing; or several of these, one after the other. What is not
            `realtime` waits for each reply, and for it to be heard, before it goes on, as a person would.
        sink: takes the reply's sound; None throws it away.
        observers: called with every event, in order; they must not block.

    Raises:
        ConfigurationError: the source is none.
        RealtimeError: the source cannot be read, or the conversation failed.
    """
    check_source(source)
    sink = sink or _Nowhere()
    session.player = sink
    session.realtime = not isinstance(source, str | Iterable) and source.realtime
    listening = asyncio.create_task(_listen(aiter(session), sink, tuple(observers)), name="voicecli-listen")
    speaking = asyncio.create_task(_speak(session, source), name="voicecli-speak")
    try:
        await asyncio.wait({listening, speaking}, return_when=asyncio.FIRST_COMPLETED)
        if speaking.done() and session.is_active:
            # Whatever was said last, nobody will say more: it pauses the reply no longer.
            session.player = None
            sink.resume()
            await sink.drain()
        await session.aclose()  # listening ends by itself when it has seen everything
        await listening
        # A microphone cannot know that the end has come: what it sends then is no failure, as the events told why.
        error = speaking.exception() if speaking.done() else None
        if error is not None and not (session.realtime and isinstance(error, RealtimeConnectionError)):
            raise error
    finally:
        speaking.cancel()
        await session.aclose()
        await asyncio.wait({listening}, timeout=_LAST_EVENTS_S)
        listening.cancel()
        await asyncio.wait({listening, speaking})


class _Nowhere:
    """A sink for those who only read: nothing of the reply is ever unheard."""

    sample_rate = 0

    def write(self, audio: bytes, item_id: str) -> None: ...
    def end(self) -> None: ...
    def clear(self) -> Playhead | None:
        return None

    def pause(self) -> None: ...
    def resume(self) -> None: ...
    async def drain(self) -> None: ...
    async def aclose(self) -> None: ...


async def _listen(events: AsyncIterator[Event], sink: AudioSink, observers: tuple[Observer, ...]) -> None:
    async for event in events:
        match event:
            case AudioChunk(audio, item_id=item_id):
                sink.write(audio, item_id)
            case AudioDone():
                sink.end()
            case Interrupted():
                sink.clear()  # of what was still on its way here
        for observer in observers:
            observer(event)


async def _speak(session: VoiceSession, source: AudioSource | str | Iterable[AudioSource | str]) -> None:
    if isinstance(source, str):
        await session.send_text(source, wait=False)
        await _hear_reply(session)
    elif isinstance(source, Iterable):
        for each in source:
            check_source(each)
            await _speak(session, each)
    elif source.realtime:
        async for chunk in source:
            if not session.is_active:  # who listens tells why
                return
            await session.send_audio(chunk, sample_rate=source.sample_rate, wait=False)
    else:
        await _speak_in_turns(session, source)


async def _speak_in_turns(session: VoiceSession, source: AudioSource) -> None:
    """Send a recording. What is said in it does not interrupt the replies to what was said before."""
    loop = asyncio.get_running_loop()
    clock = loop.time()
    async for chunk in source:
        await session.send_audio(chunk, sample_rate=source.sample_rate, wait=False)
        await session.drain()
        if session.vad_mode is VADMode.SERVER:
            # The provider says when a turn has ended, and must say so before the next one is sent: keep to real time.
            clock += PcmFormat(source.sample_rate).duration_ms(len(chunk)) / 1000
            await asyncio.sleep(max(0.0, clock - loop.time()))
        # What a full-duplex model says into the user's words makes no pause in them.
        if session.awaiting_reply and not (session.full_duplex and session.state.user == "speaking"):
            await _hear_reply(session)
            clock = loop.time()
    await session.end_turn()
    await _hear_reply(session)


async def _hear_reply(session: VoiceSession) -> None:
    """Return when the answer is complete, and has been played: what is said next is no interruption."""
    await session.wait_for_reply()
    await asyncio.sleep(0)  # for who listens to hand on the last of it
    if session.player is not None:
        session.player.resume()  # nobody speaks into it
        await session.player.drain()
