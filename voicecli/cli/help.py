"""The help of a command: as wide as the terminal, with each option's name whole, and what people use first."""

import re
import shutil
from collections.abc import Iterator, Sequence
from typing import Any

import typer

from voicecli.cli.wrapping import wrapped

__all__ = ["command_help", "help_all_option", "usage_pieces"]

_WIDEST = 100  # columns; longer lines are hard to read
_NAME_SHARE = 0.4  # of the width; a longer option has a line for itself
_GAP = 2
_NO_SHORT = " " * len("-p, ")  # before an option without a short form, so that names stand in a line

_EXAMPLES = {
    "chat": (
        ("voice chat", "talk with the first provider that is set up"),
        ("voice chat --provider NAME --voice NAME", "another provider, another voice"),
        ('voice chat --system "You teach French."', "whom you talk with"),
        ("voice chat --vad none", "push Space to talk"),
        ("voice chat -i question.wav -o reply.wav", "from a file into a file"),
        ("cat question.wav | voice chat > reply.wav", "the same in a pipe"),
    ),
    "send-text": (
        ('voice send-text "What is the capital of France?"', "a question in writing"),
        ('voice send-text "Good morning!" -o morning.wav', "keep the sound of the answer"),
        ("voice send-text - < question.txt", "from a file"),
    ),
    "transcribe": (
        ("voice transcribe meeting.wav", "the words, a line for each utterance"),
        ("voice transcribe meeting.wav --srt", "captions beside it, as meeting.srt"),
        ("voice transcribe *.wav --vtt captions/", "a file for each, in a directory"),
        ("voice transcribe", "captions of what you say now"),
        ("voice transcribe --once | wl-copy", "dictation"),
    ),
    "translate": (
        ("voice translate --to es", "speak, and hear it in Spanish"),
        ("voice translate --to en --captions", "read along in English; nothing is played"),
        ("voice translate --to de -i talk.mp3 -o talk.wav", "a recording"),
        ("voice translate --to fr -i talk.wav > talk.txt", "its words alone"),
    ),
}
_VARIABLES = (
    ("NO_COLOR", "No colours."),
    ("VOICE_TRACEBACK", "1 shows where a defect is."),
)


def command_help(command: Any, context: Any, *, everything: bool) -> str:
    """The help of a command or a group of them, with its last line feed.

    Args:
        everything: whether to show the options that few people need (`command.rare`), too.
    """
    width = min(shutil.get_terminal_size().columns, _WIDEST)
    rare: frozenset[str] = frozenset() if everything else getattr(command, "rare", frozenset())
    groups: dict[str, list[tuple[str, str]]] = {}
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and parameter.name not in rare:
            groups.setdefault(_heading(parameter), []).append(_row(parameter, *record))
    parts = [_usage(command, context), *_paragraphs(command.help or "", width)]
    parts += [_section(heading, rows, width) for heading, rows in groups.items()]
    if hasattr(command, "commands"):
        rows = [(name, " ".join((each.help or "").split())) for name, each in command.commands.items()]
        parts.append(_section("Commands", rows, width))
    if rare:
        parts += _paragraphs(f"{context.command_path} --help-all shows the options that few people need.", width)
    if hasattr(command, "variables"):
        parts.append(_section("Environment", [*command.variables, *_VARIABLES], width))
    if command.name in _EXAMPLES:
        if command.name == "chat":
            from voicecli.terminal.key_hints import KEYS

            parts.append(_section("Keys in a live conversation", KEYS, width))
        parts.append(_section("Examples", _EXAMPLES[command.name], width, share=0.5))
    return "\n\n".join(parts) + "\n"


def help_all_option() -> Any:
    """The option --help-all of a command."""
    from typer.core import TyperOption

    def show(context: Any, parameter: Any, value: bool) -> None:
        if value and not context.resilient_parsing:
            typer.echo(command_help(context.command, context, everything=True), nl=False)
            raise typer.Exit

    return TyperOption(
        param_decls=["--help-all"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=show,
        help="Show the options that few people need, too.",
    )


def _heading(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return "Arguments"
    return getattr(parameter, "rich_help_panel", None) or "Options"


def _row(parameter: Any, name: str, text: str) -> tuple[str, str]:
    if parameter.param_type_name == "argument":
        return _argument(parameter), text.replace("[required]", "").strip()
    if not name.startswith("-") or name.startswith("--"):
        name = _NO_SHORT + name
    # Of a default in words typer makes "(words)".
    text = text.replace("[default: (", "[default: ").replace(")]", "]")
    text = re.sub(r"([\d.]+)<=x<=([\d.]+)", r"\1 to \2", text)
    text = re.sub(r"\[default: (\d+)\.0\]", r"[default: \1]", text)
    return name.replace("<float>", "NUMBER").replace("<int>", "NUMBER"), " ".join(text.split())


def _argument(parameter: Any) -> str:
    return str(parameter.metavar or (parameter.name or "").upper())


def usage_pieces(command: Any) -> list[str]:
    """What follows the command's name in the line that tells its usage."""
    arguments = [_argument(parameter) for parameter in command.params if parameter.param_type_name == "argument"]
    return ["[OPTIONS]", *arguments]


def _usage(command: Any, context: Any) -> str:
    return " ".join([_bold("Usage:"), context.command_path, *command.collect_usage_pieces(context)])


def _paragraphs(text: str, width: int) -> Iterator[str]:
    for paragraph in text.strip().split("\n\n"):
        yield "\n".join(wrapped(" ".join(paragraph.split()), width))


def _section(heading: str, rows: Sequence[tuple[str, str]], width: int, *, share: float = _NAME_SHARE) -> str:
    """A heading, and two columns below it. What is too long for the first column has its text below.

    Args:
        share: how much of the width the first column may take.
    """
    most = round(width * share)
    names = max((len(name) for name, _ in rows if len(name) <= most), default=_GAP)
    indent = _GAP + names + _GAP
    lines = [_bold(heading)]
    for name, text in rows:
        described = wrapped(text, width - indent)
        first = described.pop(0) if described and len(name) <= names else ""
        lines.append(f"{' ' * _GAP}{_bold(name)}{' ' * (indent - _GAP - len(name)) if first else ''}{first}")
        lines += [" " * indent + line for line in described]
    return "\n".join(lines)


def _bold(text: str) -> str:
    return typer.style(text, bold=True) if text.strip() else text
