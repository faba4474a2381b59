"""Preparation before the first conversation: what is fetched once, with a bar."""

from collections.abc import Callable
from functools import partial

from voicecli.cli.options import Choices
from voicecli.config import VADMode

__all__ = ["prepare"]


def prepare(choices: Choices) -> None:
    """Fetch what the conversation needs and is fetched once, with a bar on a terminal and a line elsewhere."""
    provider, config = choices.provider, choices.config
    if provider.prepare is not None:
        _with_bar("Fetching the built-in model, once", partial(provider.prepare, config))
    follows = config.vad_mode is VADMode.CLIENT or "smart-turn" in provider.capabilities.turn_models
    if config.turn_model == "smart-turn" and follows and config.vad_mode is not VADMode.NONE:
        _fetch_turn_model()


def _fetch_turn_model() -> None:
    from voicecli.audio.smart_turn import MODEL, check_installed
    from voicecli.package_file import ensure_file

    check_installed()
    _with_bar("Fetching the model of turns, once", partial(ensure_file, MODEL))


def _with_bar(what: str, fetch: Callable[[Callable[[int, int], None]], object]) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    task: TaskID | None = None
    bar = Progress(*columns, console=console, transient=True)

    def show(done: int, total: int) -> None:
        nonlocal task
        if task is None:
            task = bar.add_task(what, total=total)
            if console.is_terminal:
                bar.start()
            else:
                console.print(f"{what} ({total / 1e6:.0f} MB) ...")
        bar.update(task, completed=done, total=total)

    try:
        fetch(show)
    finally:
        if bar.live.is_started:  # otherwise it would write an empty line
            bar.stop()
