"""One recogniser for all transcriptions that run at the same time: the channels of a recording share a model."""

import asyncio

from voicecli.audio.speech_to_text import Moonshine, SpeechToText

__all__ = ["SharedHearing"]

_in_use: "dict[asyncio.AbstractEventLoop, _Recogniser]" = {}


class _Recogniser:
    """A recogniser that is loaded, or being loaded, and how many use it."""

    def __init__(self) -> None:
        self.loading: asyncio.Task[SpeechToText] = asyncio.create_task(Moonshine.load(), name="voicecli-stt-load")
        self.users = 0


class SharedHearing:
    """A share of the recogniser of this event loop. Its `aclose` releases the model when nobody else has one."""

    def __init__(self, recogniser: _Recogniser, hearing: SpeechToText) -> None:
        self._recogniser: _Recogniser | None = recogniser
        self._hearing = hearing

    @classmethod
    async def load(cls) -> "SharedHearing":
        """Load the recogniser, unless it is. Raises RealtimeError."""
        loop = asyncio.get_running_loop()
        recogniser = _in_use.get(loop)
        if recogniser is None:
            recogniser = _in_use[loop] = _Recogniser()
        recogniser.users += 1
        try:
            # Whoever else waits for it must not suffer from a cancellation here.
            return cls(recogniser, await asyncio.shield(recogniser.loading))
        except BaseException:
            await _release(recogniser)
            raise

    async def transcribe(self, audio: bytes) -> str:
        return await self._hearing.transcribe(audio)

    async def partial(self, utterance: str, audio: bytes) -> str:
        return await self._hearing.partial(f"{id(self)} {utterance}", audio)

    async def aclose(self) -> None:
        recogniser, self._recogniser = self._recogniser, None
        if recogniser is not None:
            await _release(recogniser)


async def _release(recogniser: _Recogniser) -> None:
    recogniser.users -= 1
    if recogniser.users:
        return
    loop = asyncio.get_running_loop()
    if _in_use.get(loop) is recogniser:
        del _in_use[loop]
    recogniser.loading.cancel()  # it may be fetched meanwhile, which takes minutes
    await asyncio.wait([recogniser.loading])
    if not recogniser.loading.cancelled() and recogniser.loading.exception() is None:
        await recogniser.loading.result().aclose()
