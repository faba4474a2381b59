"""Where words and sound of a conversation go that is not live: the one place that decides it (docs/output.md)."""

from dataclasses import dataclass

import typer

__all__ = ["Destinations", "choose_destinations"]


@dataclass(frozen=True, slots=True)
class Destinations:
    """The places for the answers.

    Attributes:
        sound: a file, "-" for standard output, None for nowhere.
        aloud: whether a loudspeaker plays them.
        as_json: whether standard output gets JSON lines, rather than words.
        bare: whether of the words only the reply's are written, without names.
        quiet: whether notes are left out.
    """

    sound: str | None = None
    aloud: bool = False
    as_json: bool = False
    bare: bool = False
    quiet: bool = False


def choose_destinations(
    *,
    spoken: bool,
    is_terminal: bool,
    output: str | None,
    as_json: bool,
    text_only: bool,
    quiet: bool,
    play: bool | None = None,
) -> Destinations:
    """The places that follow from the command line.

    Args:
        spoken: whether any of the input is sound.
        is_terminal: whether standard output is one.
        output: where the sound is to go, as it was given.
        text_only: whether the answer is in writing.
        play: whether the answer is to be played; None for wherever somebody seems to listen.

    Raises:
        typer.BadParameter: what was given goes not together.
    """
    sound = sound_destination(spoken, is_terminal, output, as_json=as_json, text_only=text_only)
    if play is None:
        play = is_terminal and output is None and not as_json
    bare = quiet or (sound != "-" and not is_terminal)
    return Destinations(sound, play and not text_only, as_json, bare, quiet)


def sound_destination(
    spoken: bool, is_terminal: bool, output: str | None, *, as_json: bool, text_only: bool
) -> str | None:
    """The place for the sound: as told, else a pipe or file behind standard output, where sound came in."""
    if output == "-":
        if as_json:
            raise typer.BadParameter("sound and --json cannot both go to standard output", param_hint="--output")
        if text_only:
            raise typer.BadParameter("with --text-only there is no sound for standard output", param_hint="--output")
        if is_terminal:
            raise typer.BadParameter("this is a terminal; name a file, or pipe it on", param_hint="--output")
    if output is None and spoken and not (as_json or text_only or is_terminal):
        return "-"
    return output
