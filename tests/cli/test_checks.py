"""The lines of `voice test-audio` on a terminal and in a pipe."""

import pytest

from tests.cli.screen import screen_of
from voicecli.cli.devices import show_checks
from voicecli.finding import Finding

CHECKS = [
    Finding("Microphone", "Starship/Matisse HD Audio Controller Analog Stereo"),
    Finding("Noise", "-35 dB of full scale", "warn", "Your voice hardly stands out from the noise (did you speak?)."),
    Finding("Level", "-60 dB of full scale", "warn", "It is soft: move closer to it; or try --auto-gain-control."),
    Finding("Echo", "not heard: right for headphones; else turn the loudspeaker up, and test again"),
]


@pytest.mark.parametrize("columns", [60, 100, 200])
def test_each_line_has_a_verdict_and_fits(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    screen = screen_of(monkeypatch, "stdout", columns)
    show_checks(CHECKS)
    assert max(map(len, screen.lines)) <= columns
    assert [line[:4].strip() for line in screen.lines if line[:4].strip()] == ["ok", "warn", "warn", "ok", "2 th"]
    assert "\x1b[33m" in screen.getvalue(), "a warning is yellow"
    text = " ".join(" ".join(screen.lines).split())
    for check in CHECKS:
        assert f"{check.name} {check.value}" in text
        assert check.fix in text


def test_in_a_pipe_each_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    show_checks(CHECKS)
    lines = capsys.readouterr().out.splitlines()
    assert lines[2] == "      Your voice hardly stands out from the noise (did you speak?)."
    assert lines[-1] == "2 things could be better."
    show_checks(CHECKS[:1])
    assert capsys.readouterr().out.splitlines()[-1] == "All is well."
    show_checks([Finding("Level", "silence", "fail", "Is it muted?")])
    assert capsys.readouterr().out.splitlines() == [
        "fail  Level  silence",
        "      Is it muted?",
        "",
        "It does not work like this.",
    ]
