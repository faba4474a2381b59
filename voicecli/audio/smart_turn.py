"""Smart Turn: a model that tells by the sound of the voice whether somebody has finished speaking.

It is trained on people's speech in 23 languages, and published, BSD-2-Clause, inside the package pipecat-ai.
"""

import threading
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from voicecli.audio.log_mel import RATE, log_mel
from voicecli.audio.pcm import resample_pcm16
from voicecli.errors import ConfigurationError, RealtimeError
from voicecli.install import install_command, missing_packages
from voicecli.package_file import PackageFile, ensure_file
from voicecli.pcm16 import PcmFormat
from voicecli.telemetry import without_telemetry
from voicecli.threads import Worker

__all__ = ["LISTENS_S", "MODEL", "SmartTurn", "check_installed", "features"]

MODEL = PackageFile(
    requirement="pipecat-ai==1.14.0",
    name="smart-turn-v3.2-cpu.onnx",
    size=8_679_182,
    sha256="2bb026316b14a660486a75b1733cd3fbab8c2fd0314dc9af7be49f8cca967e4f",
    title="the model of turns",
    extra="turn",
    instead='choose turn_model "auto"',
)
LISTENS_S = 8
"""How much of the speech, up to its end, it listens to, in seconds."""
_FINISHED = 0.5
_PACKAGES = ("onnxruntime", "pip")


class SmartTurn:
    """The model, loaded. It runs on one thread of its own, 40 ms for each question.

    Args:
        session: of onnxruntime.
    """

    def __init__(self, worker: Worker, session: Any) -> None:
        self._worker = worker
        self._session = session

    @classmethod
    async def load(cls) -> "SmartTurn":
        """Fetch the model, if that was not done, and load it.

        Raises:
            ConfigurationError: the extra `turn` is not installed, or the file cannot be kept.
            RealtimeConnectionError: it cannot be fetched.
        """
        check_installed()
        worker, stop = Worker("turns"), threading.Event()
        try:
            path = await worker.run(partial(ensure_file, MODEL, stop=stop))
            return cls(worker, await worker.run(partial(_session, path)))
        except BaseException:
            stop.set()
            await worker.aclose()
            raise

    async def is_finished(self, audio: bytes, sample_rate: int = RATE) -> bool:
        """Tell whether the speaker has finished.

        Args:
            audio: what they said so far, or the last 8 s of it; PCM16 mono.
            sample_rate: of the audio, in Hz.

        Raises:
            RealtimeError: the model fails.
        """
        try:
            return await self._worker.run(partial(self._chance, audio, sample_rate)) > _FINISHED
        except Exception as error:  # onnxruntime's errors have no base of their own
            raise RealtimeError(f"The model of turns failed: {error}") from error

    def _chance(self, audio: bytes, sample_rate: int) -> float:
        audio = resample_pcm16(audio, sample_rate, RATE)
        chances = self._session.run(None, {"input_features": features(audio)[None]})[0]
        return float(chances[0, 0])

    async def aclose(self) -> None:
        """Release the model; idempotent."""
        await self._worker.aclose()


def features(audio: bytes) -> "np.ndarray[Any, np.dtype[np.float32]]":
    """The input of the model: the log-mel spectrogram of the last 8 s, shape (80, 800).

    Shorter audio gets silence in front. The samples are brought to mean 0 and variance 1, as in its training.
    """
    last = audio[-PcmFormat(RATE).size(LISTENS_S * 1000) :]
    samples = np.frombuffer(last, "<i2").astype(np.float32) / np.float32(32768)
    samples = np.concatenate((np.zeros(LISTENS_S * RATE - samples.size, np.float32), samples))
    normal = (samples - samples.mean()) / np.sqrt(samples.var() + 1e-7)
    return log_mel(normal.astype(np.float32))


def check_installed() -> None:
    """Check that the extra `turn` is installed. Raises ConfigurationError."""
    if missing := missing_packages(_PACKAGES):
        raise ConfigurationError(
            f'turn_model: "smart-turn" needs packages that are not installed: {", ".join(missing)}.',
            advice=f"Run: {install_command('turn')}",
        )


def _session(path: Path) -> Any:
    with without_telemetry():
        import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
