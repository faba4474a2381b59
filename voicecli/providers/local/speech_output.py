"""One answer on its way out: held back while it is a guess, spoken piece by piece, cut to what was heard."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field

from voicecli.pcm16 import PcmFormat
from voicecli.providers.heard import heard_words
from voicecli.providers.local.chat_model import Delta, Finish, ToolCall
from voicecli.providers.local.sentences import SentenceSplitter
from voicecli.providers.local.spoken_text import SpokenText
from voicecli.providers.local.tts import TextToSpeech

__all__ = ["HeldOutput", "Outcome", "Spoken", "utter"]


class HeldOutput:
    """Output of an answer that may be a guess: held until it is known that the answer is wanted."""

    def __init__(self) -> None:
        self.is_open = False
        self._shut = False
        self._held: list[Callable[[], None]] = []

    def do(self, action: Callable[[], None]) -> None:
        """Do it: now, later after `open`, or never after `shut`."""
        if self.is_open:
            action()
        elif not self._shut:
            self._held.append(action)

    def open(self) -> None:
        """Do what was held back, and from now on do everything at once."""
        if self._shut:
            return
        self.is_open = True
        held, self._held = self._held, []
        for action in held:
            if self.is_open:
                action()

    def shut(self) -> None:
        """Nothing passes any more."""
        self.is_open, self._shut = False, True
        self._held.clear()


class Spoken:
    """The spoken part of a reply, and how long each piece sounds.

    Attributes:
        response_id: the reply's.
        text: all that was said.
    """

    def __init__(self, rate: int, response_id: str = "") -> None:
        self.response_id = response_id
        self.text = ""
        self._format = PcmFormat(rate)
        self._pieces: list[tuple[str, int]] = []

    def add(self, text: str, audio: bytes) -> None:
        """One more piece, with its PCM16 sound."""
        self.text += text
        self._pieces.append((text, int(self._format.duration_ms(len(audio)))))

    def heard(self, played_ms: int) -> str:
        """The words that `played_ms` of the sound hold, cut at the last whole one."""
        return heard_words(self._pieces, played_ms).strip()


@dataclass(slots=True)
class Outcome:
    """The end of an answer: its tool calls, and why it stopped."""

    calls: list[ToolCall] = field(default_factory=list)
    finish: Finish = field(default_factory=Finish)


async def utter(
    answer: AsyncGenerator[Delta, None], speech: TextToSpeech | None, say: Callable[[str, bytes], None]
) -> Outcome:
    """Speak an answer while it is generated.

    Args:
        speech: None gives the text as it comes, without sound.
        say: gets each piece of the text with its PCM16 sound; the pieces joined are the answer.
    """
    pieces: asyncio.Queue[str | None] = asyncio.Queue()
    spoken = SpokenText()
    reading = asyncio.create_task(_read(answer, pieces, whole_sentences=speech is not None), name="voicecli-llm")
    try:
        while (piece := await pieces.get()) is not None:
            words = spoken.push(piece) if speech is not None else ""
            say(piece, await speech.speak(words) if speech is not None and words else b"")
        outcome = await reading
        if speech is not None and (words := spoken.end()):
            say("", await speech.speak(words))
        return outcome
    finally:
        reading.cancel()
        await asyncio.wait([reading])
        if not reading.cancelled():
            reading.exception()  # raised above, or nobody wants to know any more


async def _read(
    answer: AsyncGenerator[Delta, None], pieces: asyncio.Queue[str | None], *, whole_sentences: bool
) -> Outcome:
    splitter, outcome, said = SentenceSplitter(), Outcome(), False
    try:
        async with aclosing(answer):
            async for delta in answer:
                match delta:
                    case str():
                        for piece in splitter.push(delta) if whole_sentences else [delta]:
                            pieces.put_nowait(piece)
                            said = True
                    case ToolCall():
                        outcome.calls.append(delta)
                    case Finish():
                        outcome.finish = delta
        rest = splitter.flush()
        # A sentence that the token limit cut is not worth hearing, if there was another.
        if rest.strip() and not (outcome.finish.truncated and said):
            pieces.put_nowait(rest)
        return outcome
    finally:
        pieces.put_nowait(None)
