"""The program of docs/translate.md."""

import re

import pytest

from tests.conftest import ROOT
from tests.interpreting.stage import PROVIDERS, interpreter_for, make_server, tone
from tests.loopback.interpreting import Sentence
from tests.support.virtual_time import virtual_time

PAGE = (ROOT / "docs" / "translate.md").read_text()
(PROGRAM,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_program_translates(provider: str, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {"__name__": "guide"}
    exec(compile(PROGRAM, "translate.py", "exec"), names)
    assert capsys.readouterr().out.startswith("gpt-realtime-translate Prices(session_minute=0.034)")
    translated: object = names["translated"]
    assert callable(translated)

    @virtual_time
    async def translate() -> None:
        async with make_server(provider, sentences=[Sentence(), Sentence(target="Adiós.")]) as server:
            recording = tone(500) + bytes(48_000 * 2) + tone(500)
            assert await translated(interpreter_for(server), recording, 24_000) == ["Buenos días.", "Adiós."]

    translate()
