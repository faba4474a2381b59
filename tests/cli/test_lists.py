"""Lists in a terminal: nothing that is copied from them is broken, however narrow it is."""

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.cli.screen import Screen, screen_of
from voicecli.audio.devices.listing import Device
from voicecli.cli import execute
from voicecli.config import RealtimeConfig
from voicecli.ports import ModelInfo
from voicecli.providers import PROVIDERS
from voicecli.providers.openai import OPENAI

WIDTHS = (120, 80, 60, 40)

DEVICES = [
    Device(0, "HDA Intel PCH: ALC257 Analog (hw:0,0)", "ALSA", 2, 2, 44_100, False, False),
    Device(11, "pulse", "ALSA", 32, 32, 44_100, True, False),
    Device(12, "default", "ALSA", 32, 32, 192_000, False, True),
]


@pytest.fixture(autouse=True)
def devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voicecli.audio.devices.listing.list_devices", lambda: DEVICES)


def listed(monkeypatch: pytest.MonkeyPatch, columns: int, *arguments: str) -> Screen:
    screen = screen_of(monkeypatch, "stdout", columns)
    assert execute(arguments) == 0
    return screen


@pytest.mark.parametrize("columns", WIDTHS)
def test_no_word_is_broken_and_no_line_too_long(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    lists: dict[str, list[dict[str, Any]]] = {}
    for command in ("list-models", "list-voices", "list-providers", "list-devices"):
        with monkeypatch.context() as patch, pytest.MonkeyPatch.context() as quiet:
            screen = listed(patch, columns, command)
            quiet.setattr("sys.stdout", plain := Screen())
            assert execute([command, "--json"]) == 0
            lists[command] = json.loads(plain.getvalue())
        words = {word.strip(",():;") for line in screen.lines for word in line.split()}
        for row in lists[command]:
            for column, value in row.items():
                told = value != "" and not isinstance(value, bool) and column != "prices"  # those `price` sums up
                wanted = str(value).split() if told else []
                for word in wanted:
                    assert word.strip(",():;") in words, f"{command}: {column} {value}"
        for line in screen.lines:
            assert len(line) <= columns or line in {row.get("model") for row in lists[command]}


@pytest.mark.parametrize("columns", WIDTHS)
def test_defaults_are_marked_beside_their_names(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    models = listed(monkeypatch, columns, "list-models")
    voices = listed(monkeypatch, columns, "list-voices")
    for provider in PROVIDERS:
        for name, screen in ((provider.default_model, models), (provider.default_voice, voices)):
            index = next(at for at, line in enumerate(screen.lines) if name in line.split())
            # In a narrow table the mark stands below.
            assert "(default)" in screen.lines[index].partition(name)[2] + screen.lines[index + 1]
    services = [service for each in PROVIDERS for service in (each.interpreter, each.transcriber) if service]
    assert sum("(default)" in line for line in models.lines) == len(PROVIDERS) + len(services)


@pytest.mark.parametrize("columns", WIDTHS)
def test_default_devices_and_rates(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    screen = listed(monkeypatch, columns, "list-devices")
    text = "\n".join(screen.lines)
    if columns == 40:
        assert "pulse (default input)\n  number: 11, system: ALSA," in text
        assert "default (default output)\n" in text
    else:
        assert "inputs" in screen.lines[1]
        assert "default input" not in screen.lines[1]
    for rate in ("44100", "192000"):
        assert rate in text
    assert text.count("input)") == text.count("output)") == 1


def test_a_name_wider_than_the_terminal_is_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """It wraps the name by itself, which can then be copied as one."""
    screen = listed(monkeypatch, 40, "list-models", "gemini")
    assert "gemini-2.5-flash-native-audio-preview-12-2025" in screen.lines


def test_without_devices_nothing_is_drawn(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("voicecli.audio.devices.listing.list_devices", list)
    screen = listed(monkeypatch, 80, "list-devices")
    assert screen.lines == []
    assert "No sound device was found" in capsys.readouterr().err


def test_what_goes_away_is_told_alike() -> None:
    told = [model.deprecated for provider in PROVIDERS for model in provider.models if model.deprecated]
    assert len(told) > 3
    assert all(text[0].islower() and not text.endswith(".") for text in told)


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("logs list", "One JSON array."),
        ("logs show", "One JSON object."),
        ("test-audio", "One JSON object."),
        ("replay", "One JSON object a line for all that happens; one with --describe."),
        ("doctor", "One JSON array."),
    ],
)
def test_the_help_says_what_json_it_is(capsys: pytest.CaptureFixture[str], command: str, told: str) -> None:
    assert execute([*command.split(), "--help"]) == 0
    assert told in " ".join(capsys.readouterr().out.split())


def test_models_that_a_server_tells_of_are_listed_by_their_use(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fetch(config: RealtimeConfig) -> list[ModelInfo]:
        names = ["gpt-live-transcribe", "gpt-realtime-2.1", "gpt-realtime-9", "gpt-realtime-translate"]
        return [ModelInfo(name) for name in names]

    monkeypatch.setattr("voicecli.cli.lists.find_provider", lambda name: replace(OPENAI, fetch_models=fetch))
    screen = listed(monkeypatch, 120, "list-models", "openai", "--live", "--json")
    uses = {row["model"]: row["use"] for row in json.loads(screen.getvalue())}
    assert uses == {
        "gpt-realtime-2.1": "conversation",
        "gpt-realtime-9": "conversation",
        "gpt-realtime-translate": "translation",
        "gpt-live-transcribe": "transcription",
    }
