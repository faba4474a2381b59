"""Checks of what a program says to a session: each mistake gets a sentence, before anything is sent."""

import operator
import os
import re
from collections.abc import AsyncIterable, Iterable
from typing import TypeAlias

from voicecli.errors import AudioFormatError, ConfigurationError
from voicecli.pcm16 import SAMPLE_BYTES
from voicecli.text import LONGEST_TEXT

__all__ = ["PCM16", "Question", "check_audio", "check_question", "check_rate", "check_source", "check_text"]

PCM16: TypeAlias = bytes | bytearray | memoryview
"""Sound: signed 16-bit little-endian samples, mono."""

Question: TypeAlias = str | os.PathLike[str] | PCM16 | AsyncIterable[bytes]
"""Words, a sound file by its path, or sound."""

_SOUND = (bytes, bytearray, memoryview, AsyncIterable)  # by how often they come; made once, as a microphone's come fast
_SOUND_FILE = re.compile(r"\S+\.(wav|wave|flac|ogg|opus|mp3|aiff?|raw|pcm)", re.IGNORECASE)


def check_audio(audio: object, *, whole: bool) -> None:
    """Raise ConfigurationError unless that is sound, or an async iterator, which may be of sound.

    Args:
        whole: whether it is a whole utterance: one that ends with half a sample raises AudioFormatError.
    """
    if isinstance(audio, _SOUND):
        if whole and isinstance(audio, PCM16) and (size := memoryview(audio).nbytes) % SAMPLE_BYTES:
            raise AudioFormatError(
                f"{size} bytes are not PCM16: a sample has two bytes.",
                advice="Send signed 16-bit mono samples without a file header.",
            )
        return
    if isinstance(audio, str | os.PathLike):
        advice = f"A sound file: session.ask(Path({os.fspath(audio)!r})). Words: session.send_text(...)."
    elif hasattr(audio, "dtype"):
        advice = "Floats: voicecli.audio.float32_to_pcm16(samples). An int16 array: samples.tobytes()."
    else:
        advice = "Give PCM16 mono as bytes, or an async iterator of them."
    raise ConfigurationError(f"Sound is wanted as bytes, not as {type(audio).__name__}.", advice=advice)


def check_source(source: object) -> None:
    """Raise ConfigurationError unless that is words, a source of sound, or several of these."""
    is_sound = isinstance(source, AsyncIterable) and hasattr(source, "realtime")
    if isinstance(source, str) or is_sound or (isinstance(source, Iterable) and not isinstance(source, PCM16)):
        return
    is_recording = isinstance(source, os.PathLike | PCM16)
    raise ConfigurationError(
        f"source: words, or an AudioSource such as a Microphone, are wanted, not {type(source).__name__}.",
        advice="A recording: session.ask(...)." if is_recording else "Give one of these, or a list of them.",
    )


def check_text(text: object) -> None:
    """Raise ConfigurationError unless these are words."""
    if not isinstance(text, str):
        advice = "Sound goes into send_audio." if isinstance(text, PCM16) else "Give the words as a string."
        raise ConfigurationError(f"Text is wanted as str, not as {type(text).__name__}.", advice=advice)
    if not text.strip():
        raise ConfigurationError("The text to send is empty.")
    if len(text) > LONGEST_TEXT:
        raise ConfigurationError(
            f"The text to send has {len(text)} characters, and no model takes more than {LONGEST_TEXT} at once.",
            advice="Send a part of it, or a summary.",
        )


def check_rate(sample_rate: object) -> int:
    """A sample rate as a whole number, in Hz. Raises ConfigurationError when it cannot be one."""
    try:
        rate = operator.index(sample_rate)  # type: ignore[arg-type]
    except TypeError:
        rate = 0
    if rate <= 0:
        raise ConfigurationError(
            f"sample_rate: {sample_rate!r} is not possible.", advice="Give the audio's rate in Hz."
        )
    return rate


def check_question(question: object, sample_rate: int | None) -> None:
    """Raise ConfigurationError unless this can be asked; `sample_rate` belongs to PCM16 alone."""
    if not isinstance(question, str | os.PathLike | PCM16 | AsyncIterable):
        raise ConfigurationError(
            f"A question is wanted as text, as the Path of a sound file, or as bytes, not as {type(question).__name__}."
        )
    if isinstance(question, str | os.PathLike) and sample_rate is not None:
        what = "text has none" if isinstance(question, str) else "a sound file says its own"
        raise ConfigurationError(f"sample_rate: {what}.", advice="Give it with PCM16 in bytes only.")
    if isinstance(question, str) and _SOUND_FILE.fullmatch(question.strip()):
        raise ConfigurationError(f"{question!r} would be asked as words.", advice=f"A file: Path({question!r}).")
