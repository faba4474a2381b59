"""Preparation of a provider before its first conversation: what it fetches once, with a bar."""

from voicecli.cli.options import Choices
from voicecli.cli.progress_bar import progress_bar

__all__ = ["prepare"]


def prepare(choices: Choices) -> None:
    """Let the provider fetch what it needs once, with a bar on a terminal and a line elsewhere."""
    if choices.provider.prepare is None:
        return
    with progress_bar("Fetching the built-in model, once") as show:
        choices.provider.prepare(choices.config, show)
