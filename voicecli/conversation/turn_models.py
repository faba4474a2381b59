"""The model of turns that the settings ask for, where the session finds the turns."""

import logging
from collections.abc import Callable

from voicecli.audio.smart_turn import SmartTurn
from voicecli.config import RealtimeConfig, VADMode
from voicecli.conversation.user_audio import TurnPaused
from voicecli.errors import RealtimeError
from voicecli.ports import Capabilities

__all__ = ["judge_pause", "load_turn_model", "turn_model_unused"]

_log = logging.getLogger(__name__)


async def load_turn_model(config: RealtimeConfig) -> SmartTurn | None:
    """Load the model, where one is asked for.

    Raises:
        ConfigurationError: its packages are not installed.
        RealtimeConnectionError: its file cannot be fetched.
    """
    wanted = config.turn_model == "smart-turn" and config.vad_mode is VADMode.CLIENT
    return await SmartTurn.load() if wanted else None


async def judge_pause(
    model: SmartTurn, paused: TurnPaused, *, rate: int, silence_ms: int, set_silence: Callable[[int, int], None]
) -> None:
    """Let a pause, which lasts longer by now, end as ever when the user has finished.

    Args:
        rate: of its audio, in Hz.
        silence_ms: that ends a turn.
        set_silence: as of `AudioInput`.
    """
    try:
        finished = await model.is_finished(paused.audio, rate)
    except RealtimeError as error:
        _log.warning("A pause is taken for any other: %s", error)
        finished = True
    if finished:
        set_silence(paused.pause, silence_ms)


def turn_model_unused(config: RealtimeConfig, capabilities: Capabilities) -> str:
    """The reason why `turn_model` has no effect; "" where it has, or was not chosen."""
    if config.turn_model in ("auto", "silence"):
        return ""
    match config.vad_mode:
        case VADMode.SERVER:
            follows = config.turn_model in capabilities.turn_models
            return "" if follows else "the provider ends the turns by rules of its own"
        case VADMode.CLIENT:
            return "" if config.turn_model == "smart-turn" else "this program, which ends the turns, knows no words"
        case VADMode.NONE:
            return "only you end a turn"
