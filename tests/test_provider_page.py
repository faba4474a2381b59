"""docs/providers.md says what the providers say of themselves."""

from tests.support.provider_tables import PAGE, renewed


def test_the_tables_are_those_of_the_providers() -> None:
    page = PAGE.read_text()
    assert page == renewed(page), "run: python -m tests.support.provider_tables"
    assert "| `--affective-dialog` |  | some models |  |" in page
    assert "| looks at pictures | yes | yes |  |" in page
