"""The speech recogniser's model, Moonshine tiny-en: an encoder of sound, and a decoder that writes words."""

from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np

from voicecli.telemetry import without_telemetry

__all__ = ["RATE", "MoonshineModel"]

RATE = 16_000
"""Of the sound that the model takes, in Hz."""
_BEGIN, _END = 1, 2
_SPACE = "\u2581"
# Shorter sound makes nothing that the decoder could look at: the three convolutions reach over 895 samples.
_SHORTEST = 900
# Eight tokens at once take the decoder 1.3 times as long as one.
_AHEAD = 8
_MISSES = 2
_THREADS = 2  # more win nothing: most of the work is done a word at a time


Samples = np.ndarray[Any, np.dtype[np.float32]]


class MoonshineModel:
    """The model, loaded: about 0.2 s, 100 MB. To be used by one thread at a time.

    Args:
        encoder, decoder: sessions of onnxruntime.
        vocabulary: the text of each token, in UTF-8; a token may be a part of a character.
    """

    def __init__(self, encoder: Any, decoder: Any, vocabulary: Sequence[bytes]) -> None:
        self._encoder = encoder
        self._decoder = decoder
        self._vocabulary = vocabulary
        self._outputs = [each.name for each in decoder.get_outputs()]
        caches = [(each.name, each.shape) for each in decoder.get_inputs() if each.name.startswith("past_key_values")]
        self._empty = {name: np.zeros((1, shape[1], 0, shape[3]), np.float32) for name, shape in caches}

    @classmethod
    def load(cls, encoder: Path, decoder: Path, vocabulary: Path) -> "MoonshineModel":
        """Load the three files. Raises what onnxruntime raises, which has no base of its own, and OSError."""
        return cls(_session(encoder), _session(decoder), _read_vocabulary(vocabulary.read_bytes()))

    def tokens(self, samples: Samples, most: int, draft: Sequence[int] = ()) -> list[int]:
        """The likeliest words, as tokens.

        Args:
            samples: the sound, from -1 to 1.
            most: how many tokens are made at most.
            draft: what they might be, such as the words of the same utterance when it was shorter: what of it is right
                costs next to nothing, and what is wrong is not taken.
        """
        if samples.size < _SHORTEST:
            samples = np.concatenate((samples, np.zeros(_SHORTEST - samples.size, np.float32)))
        mask = np.ones((1, samples.size), np.int64)
        sound = self._encoder.run(None, {"input_values": samples[None], "attention_mask": mask})[0]
        cache = {"encoder_hidden_states": sound, "encoder_attention_mask": mask, **self._empty}
        said = [_BEGIN]
        guess = _Draft(draft)
        while said[-1] != _END and len(said) <= most:
            ahead = guess.next(min(_AHEAD, most - len(said)))
            # The decoder tells for each place what it would have written there.
            written = self._decode([said[-1], *ahead], cache, begins=len(said) == 1)
            right = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(ahead, written, strict=False)))
            said += written[: right + 1]
            guess.found(right, said[-1])
            for name in self._empty:
                if "decoder" in name:
                    cache[name] = cache[name][:, :, : len(said) - 1]
        return [token for token in said if token not in (_BEGIN, _END)]

    def text(self, tokens: Sequence[int]) -> str:
        """The words that tokens stand for."""
        return (
            b"".join(self._vocabulary[token] for token in tokens).decode(errors="ignore").replace(_SPACE, " ").strip()
        )

    def _decode(self, tokens: Sequence[int], cache: dict[str, Any], *, begins: bool) -> list[int]:
        """For each token the likeliest next one. The cache then includes the tokens."""
        new = {"input_ids": np.array([tokens], np.int64), "use_cache_branch": np.array([not begins])}
        logits, *present = self._decoder.run(None, {**cache, **new})
        for name, kept in zip(self._outputs[1:], present, strict=True):
            # Of the sound, all steps but the first give nothing back.
            if begins or "decoder" in name:
                cache[name.replace("present", "past_key_values")] = kept
        likeliest: list[int] = logits[0].argmax(axis=-1).tolist()
        return likeliest


class _Draft:
    """A guess at what will be written, kept in step with what is."""

    def __init__(self, tokens: Sequence[int]) -> None:
        self._left = list(tokens)
        self._asked = 0
        self._misses = 0  # one after the other

    def next(self, most: int) -> list[int]:
        """The next tokens of it."""
        ahead = self._left[: max(most, 0)] if self._misses < _MISSES else []
        self._asked = len(ahead)
        return ahead

    def found(self, right: int, then: int) -> None:
        """So many of these were right, and then came that token, which need not be the draft's next."""
        self._misses = 0 if right else self._misses + bool(self._asked)
        del self._left[:right]
        near = self._left[:_AHEAD]
        # It goes on behind the same token; where that is not near, one stands in the place of another.
        del self._left[: near.index(then) + 1 if then in near else 1]


def _session(path: Path) -> Any:
    with without_telemetry():
        import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = _THREADS, 1
    # Threads that wait for work would take it from the language model and the voice.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _read_vocabulary(data: bytes) -> list[bytes]:
    """Texts with their lengths in front: a byte, or two from 128 on, the lower seven bits first."""
    texts, place = [], 0
    while place < len(data):
        length, place = data[place], place + 1
        if length >= 128:
            length, place = length - 128 + 128 * data[place], place + 1
        texts.append(data[place : place + length])
        place += length
    return texts
