"""Findings as lines for people: the verdict, what was found, and below it what to do."""

import os
from collections.abc import Iterator, Sequence

import typer

from voicecli.cli.wrapping import wrapped
from voicecli.finding import Finding
from voicecli.terminal.printable import printable

__all__ = ["finding_lines"]

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}
_INDENT = " " * len("warn  ")


def finding_lines(findings: Sequence[Finding], width: int, names: int) -> Iterator[str]:
    """The lines of each finding, wrapped between words.

    Args:
        width: of the terminal, in columns.
        names: columns for the findings' names.
    """
    for finding in findings:
        colour = None if os.environ.get("NO_COLOR") else _COLOURS[finding.verdict]
        verdict = typer.style(finding.verdict.ljust(len(_INDENT) - 2), fg=colour, bold=True)
        value, indent = printable(finding.value), " " * (len(_INDENT) + names + 2)
        if max(map(len, value.split()), default=0) <= width - len(indent):
            first, *others = wrapped(value, width, indent)
            yield f"{verdict}  {finding.name.ljust(names)}  {first.lstrip()}"
            yield from others
        else:  # a path, most often, that has more room below
            yield f"{verdict}  {finding.name}"
            yield from wrapped(value, width, _INDENT)
        yield from wrapped(printable(finding.fix), width, _INDENT)
