"""Preparation of a provider before its first conversation: what it fetches once, with a bar."""

from voicecli.cli.options import Choices

__all__ = ["prepare"]


def prepare(choices: Choices) -> None:
    """Let the provider fetch what it needs once, with a bar on a terminal and a line elsewhere."""
    if choices.provider.prepare is None:
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    what = "Fetching the built-in model, once"
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
        choices.provider.prepare(choices.config, show)
    finally:
        if bar.live.is_started:  # otherwise it would write an empty line
            bar.stop()
