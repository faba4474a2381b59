"""The commands, put together."""

import typer

from voicecli import __version__
from voicecli.cli.chat import chat, send_text
from voicecli.cli.lists import list_models, list_providers, list_voices

__all__ = ["app"]

app = typer.Typer(
    name="voice",
    help="Talk with speech-to-speech models: OpenAI Realtime, Gemini Live, or an engine that runs offline.",
    epilog="Exit codes: 0 ok, 1 defect, 2 usage, 3 configuration or key, 4 connection or provider, 5 audio device, "
    "130 Ctrl-C.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"voicecli {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Show the version."),
) -> None:
    pass


app.command("chat")(chat)
app.command("send-text")(send_text)
app.command("list-providers")(list_providers)
app.command("list-models")(list_models)
app.command("list-voices")(list_voices)
