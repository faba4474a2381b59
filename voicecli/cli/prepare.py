"""Preparation before the first conversation or transcription: what is fetched once, with a bar."""

from voicecli.cli.options import Choices
from voicecli.cli.progress_bar import progress_bar
from voicecli.config import VADMode
from voicecli.transcriber import Transcriber

__all__ = ["prepare", "prepare_transcriber"]

_RECOGNISER = "Fetching the speech recogniser, once"


def prepare(choices: Choices, wake_word: str = "") -> None:
    """Fetch what the conversation needs and is fetched once, with a bar on a terminal and a line elsewhere.

    Args:
        wake_word: begins it; "" for none.
    """
    provider, config = choices.provider, choices.config
    if wake_word:
        _fetch_wake_word(wake_word)
    if provider.prepare is not None:
        with progress_bar("Fetching models, once") as show:
            provider.prepare(config, show)
    follows = config.vad_mode is VADMode.CLIENT or "smart-turn" in provider.capabilities_of(config).turn_models
    if config.turn_model == "smart-turn" and follows and config.vad_mode is not VADMode.NONE:
        _fetch_turn_model()


def prepare_transcriber(transcriber: Transcriber, *, quiet: bool) -> None:
    """The same for a transcription.

    Args:
        quiet: whether nothing is told of it.
    """
    with progress_bar(_RECOGNISER) as show:
        transcriber.prepare((lambda done, total: None) if quiet else show)


def _fetch_wake_word(phrase: str) -> None:
    from voicecli.audio.wake.wake_word import ensure_wake_word

    with progress_bar(_RECOGNISER) as show:
        ensure_wake_word(phrase, show)


def _fetch_turn_model() -> None:
    from voicecli.audio.smart_turn import MODEL, check_installed
    from voicecli.package_file import ensure_file

    check_installed()
    with progress_bar("Fetching the model of turns, once") as show:
        ensure_file(MODEL, show)
