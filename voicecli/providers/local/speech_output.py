"""Speech output: an answer of the language model, spoken sentence by sentence while it is generated."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field

from voicecli.providers.local.chat_model import Delta, Finish, ToolCall
from voicecli.providers.local.sentences import SentenceSplitter
from voicecli.providers.local.spoken_text import SpokenText
from voicecli.providers.local.tts import TextToSpeech

__all__ = ["Outcome", "utter"]


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
        say: gets each piece of the text with the beginning of its PCM16 sound, and what follows of that with "" for a
            text; the texts joined are the answer.
    """
    pieces: asyncio.Queue[str | None] = asyncio.Queue()
    spoken = SpokenText()
    reading = asyncio.create_task(_read(answer, pieces, whole_sentences=speech is not None), name="voicecli-llm")
    try:
        while (piece := await pieces.get()) is not None:
            words = spoken.push(piece) if speech is not None else ""
            await _speak(words, piece, speech, say)
        outcome = await reading
        if speech is not None and (words := spoken.end()):
            await _speak(words, "", speech, say)
        return outcome
    finally:
        reading.cancel()
        await asyncio.wait([reading])
        if not reading.cancelled():
            reading.exception()  # raised above, or nobody wants to know any more


async def _speak(words: str, text: str, speech: TextToSpeech | None, say: Callable[[str, bytes], None]) -> None:
    """Say the words as they are made; a text that has none is told all the same."""
    if speech is not None and words:
        async with aclosing(speech.speak(words)) as sounds:
            async for sound in sounds:
                say(text, sound)
                text = ""
    if text:
        say(text, b"")


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
