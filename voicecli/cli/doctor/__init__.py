"""`voice doctor`: looks for what is wrong or missing, and says how to mend it. It changes nothing."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from voicecli.cli.doctor.area import Area, Scope, findings_in
from voicecli.cli.doctor.installation import look_at_installation
from voicecli.cli.doctor.network import look_at_network
from voicecli.cli.doctor.providers import look_at_providers
from voicecli.cli.doctor.sound import look_at_sound
from voicecli.cli.doctor.storage import look_at_storage
from voicecli.cli.doctor.terminal import look_at_terminal
from voicecli.cli.doctor.user_settings import look_at_settings
from voicecli.cli.exit import ExitStatus
from voicecli.cli.finding_lines import finding_lines
from voicecli.cli.lists import JsonOption, ProviderArgument
from voicecli.cli.standard_output import columns
from voicecli.errors import ConfigurationError
from voicecli.finding import Finding
from voicecli.providers import find_provider

__all__ = ["AREAS", "doctor"]

AREAS = (
    Area("Installation", look_at_installation, limit_s=30.0),  # large libraries from a slow disk
    Area("Sound", look_at_sound, ExitStatus.AUDIO, limit_s=25.0),  # PortAudio has 10 s for each answer
    Area("Providers", look_at_providers),
    Area("Settings", look_at_settings),
    Area("Folders", look_at_storage),
    Area("Terminal", look_at_terminal, limit_s=5.0),
)
_NETWORK = Area("Network", look_at_network, ExitStatus.CONNECTION, limit_s=60.0)
_NAME_COLUMNS = 14


def doctor(
    provider: ProviderArgument = None,
    online: Annotated[
        bool,
        typer.Option(
            "--online", help="Ask the providers that are set up (or PROVIDER), too: name, TLS, clock, and the key."
        ),
    ] = False,
    listen: Annotated[
        bool, typer.Option("--listen", help="Open loudspeaker and microphone, and record for a second.")
    ] = False,
    bundle: Annotated[
        Path | None,
        typer.Option(
            "--bundle",
            metavar="FILE",
            help="Write a report for a bug report: no keys, nothing that was said, no names of yours.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Look for what is wrong or missing: installation, sound, keys, settings, folders, terminal.

    Each line is ok, warn or fail, with what to do about it. Nothing is changed. Only --listen opens devices, and only
    --online asks anybody over the network.
    """
    if provider:
        try:
            find_provider(provider)
        except ConfigurationError as error:
            raise typer.BadParameter(str(error), param_hint="PROVIDER") from error
    scope = Scope(provider, online, listen)
    found: list[tuple[Area, list[Finding]]] = []
    for area in (*AREAS, *([_NETWORK] if online else [])):
        findings = findings_in(area, scope)
        found.append((area, findings))
        if not as_json:
            _show(area, findings)
    if as_json:
        rows = [{"area": area.title} | finding.told() for area, findings in found for finding in findings]
        typer.echo(json.dumps(rows, indent=2))
    else:
        _sum_up([finding for _, findings in found for finding in findings])
    if bundle is not None:
        from voicecli.cli.doctor.bundle import write_bundle

        write_bundle(bundle, [(area.title, findings) for area, findings in found])
    failed = [area.status for area, findings in found if any(finding.verdict == "fail" for finding in findings)]
    if failed:
        raise typer.Exit(failed[0])


def _show(area: Area, findings: Sequence[Finding]) -> None:
    width = columns() if sys.stdout.isatty() else sys.maxsize
    typer.secho(area.title, bold=True)
    for line in finding_lines(findings, width, _NAME_COLUMNS):
        typer.echo(line)
    typer.echo()


def _sum_up(findings: Sequence[Finding]) -> None:
    fails, warns = (sum(finding.verdict == verdict for finding in findings) for verdict in ("fail", "warn"))
    if not fails and not warns:
        typer.echo("All is well.")
    else:
        failed = f"{fails} failed" if fails else "Nothing failed"
        typer.echo(f"{failed}, {warns} {'warning' if warns == 1 else 'warnings'}.")
