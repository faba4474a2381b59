"""Options that are made of settings classes of any kind."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import pytest
import typer

from voicecli.cli.setting_options import option_parameter
from voicecli.config import ProviderSettings, RealtimeConfig, setting
from voicecli.errors import ConfigurationError
from voicecli.ports import ModelInfo, Provider
from voicecli.settings.options import make_config, setting_options
from voicecli.testing import scripted_provider


class Mood(enum.Enum):
    GOOD = "good"
    BAD = "bad"


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    if not value:
        raise ConfigurationError("lexicon: write WORD=SOUND.")
    return name, value


@dataclass(frozen=True, kw_only=True)
class Parrot(ProviderSettings):
    tone: Literal["soft", "loud"] = setting("soft", help="Its voice.")
    mood: Mood = setting(Mood.GOOD, help="good or bad.")
    offset: int = setting(0, help="Where it starts.")
    rhymes: dict[str, str] = setting(factory=dict, option="rhyme", parse=_pair, help="What it rhymes.")
    words: tuple[str, ...] = setting((), option="word", help="It knows.")
    lexicon: Mapping[str, str] = setting(factory=dict, parse=_pair, help="How to say it.")
    perch: Path | None = setting(None, help="Where it sits.")
    awake: bool = setting(True, help="Whether it is.")
    loud: bool | None = setting(None, value=True, help="Shout.")
    feathers: int = setting(3, between=(1, 9), help="How many.")
    output: str = setting("beak", help="A name that the command has.")
    plain: str = "no description"
    seeds: tuple[int, ...] = ()
    table: dict[str, int] = field(default_factory=dict)
    secret: str | None = setting(None, secret=True)
    hidden: int = setting(1, option="")


@dataclass(frozen=True, kw_only=True)
class Cockatoo(ProviderSettings):
    awake: bool = setting(True, help="Whether it is.")
    feathers: str = setting("white", help="Their colour.")


PARROT = replace(scripted_provider(), name="parrot", title="Parrot", settings=Parrot)
COCKATOO = replace(scripted_provider(), name="cockatoo", title="Cockatoo", settings=Cockatoo)
PROVIDERS = [PARROT, COCKATOO]
COMMON = {option.name for option in setting_options([])}


def made(provider: Provider, **given: Any) -> ProviderSettings | None:
    return make_config(setting_options(PROVIDERS, {"output"}), given, provider).provider_settings


def command() -> Any:
    """A typer command with the options."""
    app = typer.Typer()

    def run(**values: Any) -> None:
        pass

    parameters = [option_parameter(option) for option in setting_options(PROVIDERS, {"output"})]
    run.__signature__ = __import__("inspect").Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    app.command()(run)
    return typer.main.get_command(app)


def test_each_setting_that_can_be_written_has_an_option() -> None:
    names = {option.name for option in setting_options(PROVIDERS, {"output"})} - COMMON
    assert names == {
        *("tone", "mood", "word", "lexicon", "perch", "awake", "loud", "feathers", "parrot_output", "plain"),
        *("offset", "rhyme"),
        "cockatoo_feathers",
    }


@pytest.mark.parametrize(
    ("given", "settings"),
    [
        ({}, None),
        ({"tone": "loud", "mood": Mood.BAD}, Parrot(tone="loud", mood=Mood.BAD)),
        ({"word": ["a", "b"]}, Parrot(words=("a", "b"))),
        ({"lexicon": ["a=b", "c=d"]}, Parrot(lexicon={"a": "b", "c": "d"})),
        ({"rhyme": ["a=b"], "offset": 4}, Parrot(rhymes={"a": "b"}, offset=4)),
        ({"loud": True, "awake": False}, Parrot(loud=True, awake=False)),
        ({"parrot_output": "wing"}, Parrot(output="wing")),
        ({"word": [], "cockatoo_feathers": "grey"}, None),
    ],
)
def test_what_is_given_makes_settings(given: dict[str, Any], settings: Parrot | None) -> None:
    assert made(PARROT, **given) == settings


def test_settings_of_one_name_and_type_share_an_option() -> None:
    assert made(PARROT, awake=False) == Parrot(awake=False)
    assert made(COCKATOO, awake=False) == Cockatoo(awake=False)
    assert made(COCKATOO, feathers=9) is None
    assert made(COCKATOO, cockatoo_feathers="grey") == Cockatoo(feathers="grey")


def test_what_is_wrong_is_told_as_settings_tell_it() -> None:
    for given, says in (({"feathers": 99}, "feathers: 99"), ({"lexicon": ["a"]}, "lexicon: write WORD=SOUND")):
        with pytest.raises(ConfigurationError, match=says):
            made(PARROT, **given)


def test_secrets_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOICE_SECRET", "k-9")
    assert made(PARROT) == Parrot(secret="k-9")
    assert made(COCKATOO) is None


def test_the_help_says_choices_defaults_and_who_has_it(capsys: pytest.CaptureFixture[str]) -> None:
    command().main(["--help"], standalone_mode=False)
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "Its voice. One of soft, loud. [default: (soft)]" in shown
    assert "good or bad. [default: (good)]" in shown
    assert "How many. [default: (3)]" in shown
    assert "Where it starts. [default: (0)]" in shown
    assert "--awake --no-awake" in shown
    assert "─ Parrot, Cockatoo ─" in shown
    assert "--no-loud" not in shown


def test_the_help_of_a_common_setting_names_those_who_have_it() -> None:
    mute = replace(PARROT, lacks=lambda config: {"speed": "it has one", "turn_detection.eagerness": "it has none"})
    models = (ModelInfo("old"), ModelInfo("new"))
    grey = replace(COCKATOO, models=models, lacks=lambda config: {"awake": "no"} if config.model == "old" else {})
    by_name = {option.name: option for option in setting_options([mute, grey])}
    assert by_name["speed"].targets[0].note == "cockatoo"
    assert by_name["eagerness"].targets[0].note == "cockatoo"
    assert by_name["temperature"].targets[0].note == ""
    assert [target.note for target in by_name["awake"].targets] == ["", "some models"]
    assert make_config(list(by_name.values()), {"speed": 1.2}, mute) == RealtimeConfig(speed=1.2)
