"""Lines of findings."""

import pytest

from voicecli.cli.finding_lines import finding_lines
from voicecli.finding import Finding


@pytest.mark.parametrize(("no_color", "verdict"), [("", "\x1b[33m\x1b[1mwarn\x1b[0m"), ("1", "\x1b[1mwarn\x1b[0m")])
def test_no_color_is_obeyed(monkeypatch: pytest.MonkeyPatch, no_color: str, verdict: str) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    assert list(finding_lines([Finding("Room", "little", "warn")], 80, 6)) == [f"{verdict}  Room    little"]
