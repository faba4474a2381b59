"""The tables of docs/providers.md; `python -m tests.support.provider_tables` makes them anew."""

import re
from collections.abc import Sequence
from pathlib import Path

from voicecli.ports import Provider
from voicecli.providers import PROVIDERS
from voicecli.settings.loading import TAKEN
from voicecli.settings.options import Option, setting_options

__all__ = ["PAGE", "renewed"]

PAGE = Path(__file__).parent.parent.parent / "docs" / "providers.md"
_PLACE = re.compile(r"(<!-- table: (\w+) -->\n\n).*?(\n\n<!-- end -->)", re.DOTALL)
_YES, _SOME, _NO = "yes", "some models", ""


def renewed(page: str) -> str:
    """The page with its tables as they ought to be."""
    tables = {"abilities": _abilities(), "options": _options(), "models": _models()}
    return _PLACE.sub(lambda match: f"{match[1]}{tables[match[2]]}{match[3]}", page)


def _abilities() -> str:
    rows = [
        ["hears, in Hz", *(str(each.capabilities.input_rate) for each in PROVIDERS)],
        ["speaks, in Hz", *(str(each.capabilities.output_rate) for each in PROVIDERS)],
        ["looks at pictures", *(_yes(each.capabilities.images) for each in PROVIDERS)],
        ["calls your tools", *(_yes(each.capabilities.tools) for each in PROVIDERS)],
        ["tells when you begin to speak", *(_yes(each.capabilities.reports_speech) for each in PROVIDERS)],
        ["knows your words before it answers", *(_yes(each.capabilities.words_first) for each in PROVIDERS)],
        ["`--turn-model` with `--vad server`", *(_turn_models(each) for each in PROVIDERS)],
        ["model", *(f"`{each.default_model}`" for each in PROVIDERS)],
        ["`voice translate`", *(_interpreter(each) for each in PROVIDERS)],
        ["voice", *(f"`{each.default_voice}`, of {len(each.voices)}" for each in PROVIDERS)],
        ["key", *(_keys(each) for each in PROVIDERS)],
        ["a key comes from", *(each.key_url and f"<{each.key_url}>" for each in PROVIDERS)],
    ]
    return _table(["", *(f"**{each.name}**" for each in PROVIDERS)], rows)


def _options() -> str:
    rows = [[f"`--{each.entry}`", *(_has(each, provider) for provider in PROVIDERS)] for each in _every_option()]
    return _table(["option", *(each.name for each in PROVIDERS)], [row for row in rows if set(row[1:]) != {_YES}])


def _models() -> str:
    rows = [
        [each.name, f"`{model.name}`", model.deprecated or model.note] for each in PROVIDERS for model in each.models
    ]
    return _table(["provider", "model", ""], rows)


def _every_option() -> list[Option]:
    return setting_options(PROVIDERS, TAKEN)


def _has(option: Option, provider: Provider) -> str:
    if option.owners and provider.name not in {owner.name for owner in option.owners}:
        return _NO
    target = next(each for each in option.targets if each.owner in (None, provider))
    paths = {each.path for each in option.targets if each.owner in (None, provider)}
    lacking = [paths <= lacks for lacks in _lacks(provider)]
    return _NO if all(lacking) and target.owner is None else _SOME if any(lacking) else _YES


def _lacks(provider: Provider) -> list[set[str]]:
    from voicecli.config import RealtimeConfig

    return [set(provider.lacks(RealtimeConfig(model=model.name))) for model in provider.models]


def _interpreter(provider: Provider) -> str:
    return f"`{provider.interpreter.default_model}`" if provider.interpreter is not None else _NO


def _turn_models(provider: Provider) -> str:
    return ", ".join(sorted(provider.capabilities.turn_models))


def _keys(provider: Provider) -> str:
    return ", ".join(f"`{name}`" for name in provider.key_variables) + (
        "" if provider.key_url else " (for `--llm URL`)"
    )


def _yes(ability: bool) -> str:
    return _YES if ability else _NO


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text()))
