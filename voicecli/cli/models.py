"""`voice models`: language models and voices for the offline engine, downloaded on request."""

from pathlib import Path
from typing import Annotated

import typer

from voicecli.cli.command import command_group
from voicecli.cli.lists import JsonOption
from voicecli.cli.progress_bar import progress_bar
from voicecli.cli.table import show_table, size_text
from voicecli.errors import ConfigurationError
from voicecli.providers.local.downloads.catalogue import DOWNLOADS, Download, find
from voicecli.providers.local.settings import BUILT_IN
from voicecli.user_folders import models_dir

__all__ = ["models"]

models = command_group("Download language models and voices for the offline engine.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="A model or voice of `voice models list`.")]
Names = Annotated[list[str], typer.Argument(metavar="NAME...", help="Models and voices of `voice models list`.")]


@models.command("list")
def list_downloads(as_json: JsonOption = False) -> None:
    """Show what there is to download, and what is downloaded."""
    rows = [
        {
            "name": download.name,
            "kind": download.kind,
            "size": size_text(download.size),
            "downloaded": _state(download),
            "licence": download.licence,
            "note": download.note,
            "size bytes": download.size,
            "path": str(_path(download)),
        }
        for download in DOWNLOADS
    ]
    show_table(("name", "kind", "size", "downloaded", "licence", "note"), rows, as_json)


@models.command("pull")
def pull_downloads(names: Names) -> None:
    """Download models or voices; what broke off is gone on with."""
    from voicecli.providers.local.downloads.hub import pull

    for download in [_find(name) for name in names if name != BUILT_IN]:
        with progress_bar(f"Fetching {download.name}") as show:
            path = pull(
                download, show, waiting=lambda: _tell("Another process is downloading it; waiting for that ...")
            )
        option = "--llm" if download.kind == "language model" else "--voice"
        _tell(f"{download.name} is in {path.parent}. Use it: voice chat -p local {option} {download.name}")
    if BUILT_IN in names:  # before it is needed, perhaps where there is no network
        from voicecli.audio.recogniser_files import ensure_recogniser
        from voicecli.providers.local.model_file import ensure_model

        with progress_bar("Fetching the speech recogniser") as show:
            ensure_recogniser(show)
        with progress_bar(f"Fetching {BUILT_IN}") as show:
            _tell(f"{BUILT_IN} is in {ensure_model(show).parent}. It answers where no other model does.")


@models.command("remove")
def remove_downloads(names: Names) -> None:
    """Remove downloaded models or voices, unfinished ones too."""
    from voicecli.providers.local.downloads.store import remove

    for download in [_find(name) for name in names]:
        freed = remove(download)
        _tell(f"{download.name} removed: {size_text(freed)}." if freed else f"{download.name} was not downloaded.")


@models.command("path")
def path_of_download(name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Its file.")] = None) -> None:
    """Show the directory of downloads, or the file of one."""
    if name is None:
        typer.echo(models_dir())
        return
    from voicecli.providers.local.downloads.store import checked_path

    typer.echo(checked_path(_find(name)))


def _find(name: str) -> Download:
    try:
        return find(name)
    except ConfigurationError as error:
        raise typer.BadParameter(f"{error.message} {error.advice}", param_hint="NAME") from error


def _state(download: Download) -> str:
    """The part of it that is there: "yes", "40 %", or "" for nothing."""
    from voicecli.providers.local.downloads.store import partial_bytes, read_record

    if read_record(download) is not None:
        return "yes"
    there = partial_bytes(download)
    return f"{100 * there // download.size} %" if there else ""


def _path(download: Download) -> Path:
    return models_dir() / download.name / download.files[0].rpartition("/")[2]


def _tell(text: str) -> None:
    typer.echo(text, err=True)
