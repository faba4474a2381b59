"""Preparation before the first conversation: what is fetched once, with a bar."""

from voicecli.cli.options import Choices
from voicecli.cli.progress_bar import progress_bar
from voicecli.config import VADMode

__all__ = ["prepare"]


def prepare(choices: Choices) -> None:
    """Fetch what the conversation needs and is fetched once, with a bar on a terminal and a line elsewhere."""
    provider, config = choices.provider, choices.config
    if provider.prepare is not None:
        with progress_bar("Fetching models, once") as show:
            provider.prepare(config, show)
    follows = config.vad_mode is VADMode.CLIENT or "smart-turn" in provider.capabilities_of(config).turn_models
    if config.turn_model == "smart-turn" and follows and config.vad_mode is not VADMode.NONE:
        _fetch_turn_model()


def _fetch_turn_model() -> None:
    from voicecli.audio.smart_turn import MODEL, check_installed
    from voicecli.package_file import ensure_file

    check_installed()
    with progress_bar("Fetching the model of turns, once") as show:
        ensure_file(MODEL, show)
