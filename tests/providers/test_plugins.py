"""Providers that other packages bring, found in installed packages."""

import sys
import warnings
from pathlib import Path

import pytest

from tests.cli.conftest import DATA
from tests.support.plugins import PARROT, SERVICES, install
from voicecli import ConfigurationError, RealtimeConfig, RealtimeVoice, Transcriber, VADMode
from voicecli.providers import PROVIDERS, BrokenProviderWarning, all_providers, choose_provider, find_provider

PROVIDER = """
from voicecli.providers import Capabilities, ModelInfo, Provider, VoiceInfo

async def connect(setup): ...

def make(name, **changes):
    about = dict(
        name=name, title=name, capabilities=Capabilities(input_rate=16000, output_rate=16000), default_model="m",
        default_voice="v", models=(ModelInfo("m"),), voices=(VoiceInfo("v"),), is_configured=lambda: True,
        setup_advice="None.", connect=connect,
    )
    return Provider(**about | changes)
"""
# A module -> what is told of it.
BROKEN = {
    "import missing_library": "ModuleNotFoundError: No module named 'missing_library'",
    "raise OSError('no licence')": "OSError: no licence",
    "raise SystemExit(3)": "SystemExit: 3.",
    "class Odd(BaseException): ...\nraise Odd('x')": "Odd: x.",
    "class Odd(Exception):\n    def __str__(self): raise ValueError\nraise Odd": "cannot be used: Odd.",
    "x = 1": "AttributeError",
    "PROVIDER = object()": "this is a object, not a voicecli.providers.Provider",
    f"{PROVIDER}\nPROVIDER = make('other')": "it calls itself 'other'",
    f"{PROVIDER}\nPROVIDER = make('broken', settings=dict)": "its settings are no class of ProviderSettings",
    f"{PROVIDER}\nPROVIDER = make('broken', models=('m',))": "its models are no ModelInfos",
    f"{PROVIDER}\nPROVIDER = make('broken', title=None)": "its title, default model, default voice or advice",
    f"{PROVIDER}\nPROVIDER = make('broken', capabilities=None)": "its capabilities are no Capabilities",
    f"{PROVIDER}\nPROVIDER = make('broken', connect=None)": "its connect is no function",
    f"{PROVIDER}\nPROVIDER = make('broken', is_configured=lambda: 1 / 0)": "ZeroDivisionError",
    f"{PROVIDER}\nPROVIDER = make('broken', lacks=lambda config: None)": "TypeError",
}


def test_a_provider_of_a_package_is_found_by_name(site: Path) -> None:
    install(site, "voicecli-parrot", {"voicecli_parrot": PARROT}, parrot="voicecli_parrot:PARROT")
    assert find_provider("Parrot").title == "Parrot"
    assert [provider.name for provider in all_providers()] == [*(each.name for each in PROVIDERS), "parrot"]
    assert RealtimeVoice.list_providers()[-1] == "parrot"
    assert "parrot" in RealtimeVoice.list_configured_providers()
    assert RealtimeVoice.list_models("parrot") == ["parrot"]


async def test_it_holds_a_conversation_with_its_own_settings(site: Path) -> None:
    install(site, "voicecli-parrot", {"voicecli_parrot": PARROT}, parrot="voicecli_parrot:PARROT")
    from voicecli_parrot import ParrotSettings  # type: ignore[import-not-found]

    config = RealtimeConfig(vad_mode=VADMode.NONE, provider_settings=ParrotSettings(times=2))
    async with RealtimeVoice("parrot", config=config).connect() as session:
        response = await session.send_text("Hello!")
    assert response is not None
    assert response.transcript == "Hello! Hello!"
    with pytest.raises(ConfigurationError, match=r"times: 9 is not possible. Give a whole number from 1 to 5"):
        ParrotSettings(times=9)


def test_it_is_loaded_only_when_asked_for_and_never_chosen_unasked(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(site, "voicecli-parrot", {"voicecli_parrot": PARROT}, parrot="voicecli_parrot:PARROT")
    for name in ("OPENAI_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY", "AZURE_OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(ConfigurationError, match="No provider is set up") as caught:
        choose_provider()
    assert "`voice setup`" in caught.value.advice
    assert "For gemini: Run `voice keys set gemini`" in caught.value.advice
    find_provider("openai")
    with pytest.raises(ConfigurationError, match=r"There is no provider 'cockatoo'. Choose one of openai, .*, parrot"):
        find_provider("cockatoo")
    assert "voicecli_parrot" not in sys.modules


@pytest.mark.parametrize(("source", "why"), BROKEN.items())
def test_a_broken_one_is_told_and_breaks_nothing_else(site: Path, source: str, why: str) -> None:
    install(site, "voicecli-broken", {"broken_provider": source}, broken="broken_provider:PROVIDER")
    install(site, "voicecli-parrot", {"voicecli_parrot": PARROT}, parrot="voicecli_parrot:PARROT")
    with pytest.warns(BrokenProviderWarning) as told:
        names = RealtimeVoice.list_providers()
    assert names == [*(each.name for each in PROVIDERS), "parrot"]
    (warning,) = told
    assert str(warning.message).startswith("The provider 'broken' of the package voicecli-broken cannot be used: ")
    assert why in str(warning.message)
    with pytest.raises(ConfigurationError, match="'broken' of the package voicecli-broken cannot be used") as caught:
        find_provider("broken")
    assert caught.value.advice == "Update the package, or uninstall it."


def test_what_one_prints_goes_to_standard_error(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install(site, "voicecli-parrot", {"voicecli_parrot": f"print('squawk')\n{PARROT}"}, parrot="voicecli_parrot:PARROT")
    assert RealtimeVoice.list_providers()[-1] == "parrot"
    assert capsys.readouterr() == ("", "squawk\n")


def test_a_name_that_is_taken_is_told(site: Path) -> None:
    source = f"{PROVIDER}\nOPENAI, GOOGLE, ONE, TWO = make('openai'), make('google'), make('one'), make('one')"
    install(site, "voicecli-a", {"taken_names": source}, openai="taken_names:OPENAI", google="taken_names:GOOGLE")
    install(site, "voicecli-b", {}, one="taken_names:ONE")
    install(site, "voicecli-c", {}, one="taken_names:TWO")
    told: list[str] = []
    assert [provider.name for provider in all_providers(told.append)] == [*(each.name for each in PROVIDERS), "one"]
    assert [message.partition(" of the package ")[0] for message in sorted(told)] == [
        "The provider 'google'",
        "The provider 'one'",
        "The provider 'openai'",
    ]
    assert all("another provider has this name" in message for message in told)
    assert find_provider("openai") is PROVIDERS[0]


def test_without_packages_nothing_is_told() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert all_providers() == list(PROVIDERS)


async def test_it_transcribes(site: Path) -> None:
    modules = {"voicecli_parrot": PARROT, "voicecli_learned": SERVICES}
    install(site, "voicecli-parrot", modules, parrot="voicecli_learned:LEARNED")
    cues = await Transcriber("parrot").transcribe(DATA / "three_questions.wav")
    assert len(cues) == 3
    assert all(cue.text.endswith(" s of speech)") for cue in cues)
    assert find_provider("parrot").interpreter is None
