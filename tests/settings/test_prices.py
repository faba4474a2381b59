"""The table [prices] of the settings file."""

from pathlib import Path

import pytest

from voicecli import ConfigurationError, Prices, RealtimeConfig, RealtimeVoice
from voicecli.settings.file import SettingsFile

FILE = Path("/home/me/config.toml")


def read(text: str) -> SettingsFile:
    return SettingsFile.of(FILE, text.encode())


def test_prices_are_read_however_the_names_are_written() -> None:
    text = """
        model = "mine"
        [prices.mine]
        text-in = 4
        text_out = 0.5
        [prices.gpt-9.5]  # without quotes
        audio-in = 32
        [prices."a/b c"]
        session-minute = 0.05
        [prices.gpt-9]
        transcription-minute = 0
    """
    assert read(text).prices == {
        "mine": Prices(text_in=4, text_out=0.5),
        "gpt-9.5": Prices(audio_in=32),
        "gpt-9": Prices(transcription_minute=0),
        "a/b c": Prices(session_minute=0.05),
    }
    assert read(text).tables[""] == {"model": "mine"}


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("prices = 3", "line 1: prices: this is no table."),
        ("[prices]\ntext-in = 4", "line 1: prices: there is no price of a model."),
        ("\n[prices.mine]", "line 2: mine: there is no price of a model."),
        (
            "[prices.mine]\ntext-in = '4'",
            "line 2: text-in: '4' is no price. Give US dollars: a number from 0 to 1000000.",
        ),
        (
            "[prices.mine]\naudio_out = -1",
            "line 2: audio_out: -1 is no price. Give US dollars: a number from 0 to 1000000.",
        ),
        (
            "[prices.mine]\ntext-in = nan",
            "line 2: text-in: nan is no price. Give US dollars: a number from 0 to 1000000.",
        ),
        (
            "[prices.mine]\ntext-in = 1e308",
            "line 2: text-in: 1e+308 is no price. Give US dollars: a number from 0 to 1000000.",
        ),
        (
            "[prices.mine]\ntext-in = true",
            "line 2: text-in: True is no price. Give US dollars: a number from 0 to 1000000.",
        ),
        ("[prices.mine]\ntext-inn = 4", "line 2: text-inn: there is no such price. Did you mean text-in?"),
    ],
)
def test_what_is_no_price_is_told_with_its_line(text: str, error: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        read(text)
    assert str(raised.value).startswith(f"{FILE}, {error}")


def test_programs_get_them_with_the_other_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOICECLI_CONFIG", str(tmp_path))
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    (tmp_path / "config.toml").write_text("model = 'mine'\nmax-cost = 1\n[prices.mine]\ntext-in = 4\n")
    config = RealtimeConfig.from_settings(provider="openai")
    assert config.prices == {"mine": Prices(text_in=4)}
    RealtimeVoice(config=config)


@pytest.mark.parametrize("price", [-1, float("inf"), "4", True])
def test_a_program_cannot_give_a_price_that_is_none(price: object) -> None:
    with pytest.raises(ConfigurationError, match=r"text-in: .* is no price"):
        Prices(text_in=price)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="prices: this is a dict"):
        RealtimeConfig(prices={"mine": {"text_in": 4}})  # type: ignore[dict-item]
