"""Commands and options that README, docs/ and CONTRIBUTING name are there, and links between pages lead somewhere."""

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import ROOT
from voicecli.cli.app import COMMANDS, load_command

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md")), ROOT / "benchmarks/README.md"]
EXAMPLES = {"--times"}
"""Options of the provider that docs/custom-provider.md makes."""
FOREIGN = re.compile(r"--(device|user|version|edges)\b|pip |npx |docker ")


def ids(page: Path) -> str:
    return str(page.relative_to(ROOT))


def spans(text: str) -> Iterator[str]:
    """What stands in code: lines of blocks of shell commands, and words between backticks."""
    for block in re.findall(r"^```sh\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        yield from block.splitlines()
    plain = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    yield from (" ".join(span.split()) for span in re.findall(r"`([^`]+)`", plain))


@cache
def command(*words: str) -> Any:
    """The command of these words, or of as many of them as name one; None where the first names none."""
    if not words or words[0] not in COMMANDS:
        return None
    found = load_command(words[0])
    if hasattr(found, "commands") and len(words) > 1:
        return found.commands.get(words[1])
    return found


@cache
def options(of: Any) -> frozenset[str]:
    names = {name for each in of.params for name in (*each.opts, *each.secondary_opts)}
    inner = [options(each) for each in getattr(of, "commands", {}).values()]
    return frozenset(names | {"--help", "-h", "--help-all"}).union(*inner)


@cache
def every_option() -> frozenset[str]:
    known = frozenset().union(*(options(load_command(name)) for name in COMMANDS))
    switches = {f"--no-{name[2:]}" for name in known if name.startswith("--")}
    return known | switches | {"--version", "--install-completion", "--show-completion"}


def commands_in(line: str) -> Iterator[list[str]]:
    """The words of each call of `voice` in a line of shell."""
    for part in re.split(r"\||&&|;|\$\(|#", line):
        if found := re.search(r"(?:^|\s)voice (.+)", part):
            try:
                yield shlex.split(found[1].rstrip(")"))
            except ValueError:  # a quotation mark that ends in the next part
                yield found[1].split()


@pytest.mark.parametrize("page", PAGES[:-1], ids=ids)  # benchmarks have options of their own
def test_commands_and_options_are_there(page: Path) -> None:
    for span in spans(page.read_text()):
        for words in commands_in(span):
            if words[0].startswith("-") or not re.fullmatch(r"[a-z][a-z-]+", words[0]):
                continue
            found = command(*(word for word in words[:2] if not word.startswith("-")))
            assert found is not None, f"{page.name}: {span}"
            given = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)} - EXAMPLES
            switches = {f"--no-{name[2:]}" for name in options(found)}
            assert given <= options(found) | switches, f"{page.name}: {span}"
        if re.match(r"--[a-z]", span) and not FOREIGN.match(span):
            assert span.split()[0].partition("=")[0] in every_option() | {"--no-NAME"}, f"{page.name}: {span}"


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_programs_and_modules_are_there(page: Path) -> None:
    """Those that are run by Python, and those of the map."""
    text = page.read_text()
    for name in re.findall(r"python -m ((?:benchmarks|tests|examples|voicecli)[\w.]*)", text):
        path = ROOT / name.rstrip(".").replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), f"{page.name}: {name}"
    for span in spans(text):
        if re.fullmatch(r"[\w/]+/\w+\.(py|jsonl)|python \w+/\w+\.py", span):
            name = span.removeprefix("python ").replace("NAME", "openai")
            assert any((base / name).exists() for base in (ROOT, ROOT / "voicecli", ROOT / "voicecli" / "providers")), (
                f"{page.name}: {name}"
            )


def test_each_variable_of_voicecli_is_told() -> None:
    source = "".join(path.read_text() for path in (ROOT / "voicecli").rglob("*.py"))
    told = (ROOT / "docs" / "settings.md").read_text()
    assert not set(re.findall(r"\bVOICECLI_[A-Z_]+\b", source)) - set(re.findall(r"VOICECLI_[A-Z_]+", told))


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if re.match(r"\w+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{page.name}: {target}"
        if anchor:
            assert anchor in anchors(there), f"{page.name}: {target}"


@cache
def anchors(page: Path) -> frozenset[str]:
    """The anchors of a page's headings, as they are made by those who show it."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return frozenset(re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings)


def test_the_pages_are_all_in_the_contents() -> None:
    """Of the site, and from the README."""
    contents = (ROOT / "mkdocs.yml").read_text()
    readme = (ROOT / "README.md").read_text()
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name in contents
        assert page.name == "index.md" or f"docs/{page.name}" in readme


def test_the_checks_are_not_vacuous() -> None:
    line = 'answer=$(voice send-text "Hi | there") && cat x | voice chat --json > y # voice models list'
    assert [words[0] for words in commands_in(line)] == ["send-text", "chat", "models"]
    assert command("models", "lost") is None
    assert "--nothing" not in options(command("chat"))
    calls = [words for page in PAGES for span in spans(page.read_text()) for words in commands_in(span)]
    assert len(calls) > 80


def test_the_tests_are_there_that_hold_what_platforms_do_otherwise() -> None:
    """Each that docs/platforms.md names: `file::test`, or `test` alone for one of the file before."""
    source, found = "", 0
    for file, test in re.findall(
        r"`(?:(tests/[\w/]+\.py)(?:::)?)?(test_\w+)?`", (ROOT / "docs/platforms.md").read_text()
    ):
        if file:
            source = (ROOT / file).read_text()
        if test:
            assert f"def {test}(" in source, test
            found += 1
    assert found > 10
