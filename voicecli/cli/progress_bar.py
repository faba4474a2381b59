"""A bar for what is fetched, on standard error: a line where that is no terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from voicecli.cli.table import size_text

__all__ = ["progress_bar"]


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """A function that shows the bytes so far, of the bytes in all. Until it is called, nothing is written.

    Args:
        what: is fetched, such as "Fetching the model".
    """
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
                console.print(f"{what} ({size_text(total)}) ...")
        bar.update(task, completed=done, total=total)

    try:
        yield show
    finally:
        if bar.live.is_started:  # otherwise it would write an empty line
            bar.stop()
