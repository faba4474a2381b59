"""`voice keys`: stored, listed, removed, used; and never shown."""

import io
import json
from pathlib import Path

import pytest

from tests.cli.conftest import ROOT, Result, Voice
from tests.loopback.openai_server import KEY, OpenAIServer, Refuse
from voicecli.cli import ExitStatus, execute
from voicecli.settings.keys import keys_path, store_key, stored_key


def given(monkeypatch: pytest.MonkeyPatch, text: bytes) -> None:
    """Put this on standard input."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))


@pytest.mark.parametrize(
    "text",
    [
        KEY,
        f"{KEY}\r\n".encode("utf-16"),
        f"{KEY}\n",
        f"\ufeff {KEY} \r\n\r\n",
        f"'{KEY}'",
        f'"{KEY}"\n',
        f"Bearer {KEY}",
        f"OPENAI_API_KEY={KEY}",
        f'export OPENAI_API_KEY="{KEY}"\n',
    ],
)
def test_a_key_comes_from_standard_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str | bytes
) -> None:
    given(monkeypatch, text.encode() if isinstance(text, str) else text)
    assert execute(["keys", "set", "OpenAI"]) == 0
    assert stored_key("openai") == KEY
    told = capsys.readouterr()
    assert told.out == ""
    assert f"is stored in {keys_path()}, which only you may read." in told.err
    assert KEY not in told.err


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"", "No key was given. Nothing was changed."),
        (b" \n", "No key was given."),
        (b"''", "No key was given."),
        (b"sk-1\nsk-2\n", "Standard input is no key."),
        (b"sk-\xff", "Standard input is no key."),
        (b"k" * 20_000, "Standard input is no key."),
        ("sk-schlüssel".encode(), "has characters that no key has"),
        (b"sk-a sk-b", "has characters that no key has"),
    ],
)
def test_what_is_no_key_is_not_stored(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: bytes, told: str
) -> None:
    given(monkeypatch, text)
    assert execute(["keys", "set", "openai"]) == ExitStatus.CONFIGURATION
    error = capsys.readouterr().err
    assert told in error
    assert "sk-" not in error
    assert not keys_path().exists()


@pytest.mark.parametrize("arguments", [[KEY], ["x", KEY], ["--", KEY]])
def test_a_key_is_never_an_argument(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert execute(["keys", "set", "openai", *arguments]) == ExitStatus.USAGE
    told = capsys.readouterr().err
    assert "a key is no argument" in told
    assert KEY not in told
    assert not keys_path().exists()


def test_list_remove_and_path(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("OPENAI_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY", "AZURE_OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GOOGLE_API_KEY", "g-environment")
    store_key("openai", KEY)
    assert execute(["keys", "list", "--json"]) == 0
    shown = capsys.readouterr()
    rows = {row["provider"]: (row["stored_in"], row["environment"]) for row in json.loads(shown.out)}
    assert rows == {"openai": ("file", ""), "gemini": ("", "GOOGLE_API_KEY"), "local": ("", "")}
    assert shown.err == ""
    keys_path().chmod(0o644)
    assert execute(["keys", "list"]) == 0
    assert f"Others may read {keys_path()}: chmod 600" in capsys.readouterr().err
    assert execute(["keys", "path"]) == 0
    assert capsys.readouterr().out == f"{keys_path()}\n"
    assert execute(["keys", "remove", "openai"]) == 0
    assert execute(["keys", "remove", "openai"]) == ExitStatus.USAGE
    assert "no key is stored for openai" in capsys.readouterr().err
    assert execute(["keys", "set", "alexa"]) == ExitStatus.USAGE


class TestInACleanHome:
    @pytest.fixture
    def home(self, tmp_path: Path) -> dict[str, str]:
        """The environment of a new user, in which a keyring that hangs can be named."""
        (tmp_path / "home").mkdir()
        return {
            "HOME": str(tmp_path / "home"),
            "VOICECLI_CONFIG": "",
            "XDG_CONFIG_HOME": "",
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        }

    @staticmethod
    def everything(result: Result, *folders: Path) -> str:
        """All that was written, but for the file of keys."""
        files = [file for folder in folders for file in folder.rglob("*") if file.is_file()]
        texts = [file.read_bytes().decode(errors="replace") for file in files if file.name != "keys.json"]
        return "\n".join([result.stdout.decode(errors="replace"), result.stderr, *texts])

    def test_a_stored_key_is_used_and_shown_nowhere(self, voice: Voice, home: dict[str, str], tmp_path: Path) -> None:
        stored = voice("keys", "set", "openai", stdin=KEY.encode(), **home)
        assert stored.code == 0, stored.stderr
        with OpenAIServer.in_thread() as server:
            said = voice(*("send-text", "Hi", "--json", "--debug", "trace.jsonl"), OPENAI_BASE_URL=server.url, **home)
        assert said.code == 0, said.stderr
        assert (tmp_path / "trace.jsonl").stat().st_size > 0
        for command in (["keys", "list"], ["config", "show", "--all"], ["list-providers", "--json"]):
            shown = voice(*command, **home)
            assert shown.code == 0, shown.stderr
            assert KEY not in self.everything(shown)
        assert KEY not in self.everything(said, tmp_path)
        assert KEY not in self.everything(stored)

    def test_it_is_in_no_error_and_no_crash(self, voice: Voice, home: dict[str, str], tmp_path: Path) -> None:
        voice("keys", "set", "openai", stdin=KEY.encode(), **home)
        (tmp_path / "tools.py").write_text("def f() -> str:\n    return ''\n")
        (tmp_path / "sitecustomize.py").write_text(
            "import os\n"
            "if os.environ.get('CRASH'):\n"
            "    import voicecli.connection.dial as dial\n"
            "    def crash(*arguments, **named): raise ZeroDivisionError\n"
            "    dial.dial = crash\n"
        )
        with OpenAIServer.in_thread(refuse=[Refuse(status=401, code="invalid_api_key")]) as server:
            refused = voice("send-text", "Hi", "--json", OPENAI_BASE_URL=server.url, **home)
        assert refused.code == 3
        crashed = voice(
            *("send-text", "Hi", "--debug", "trace.jsonl"),
            **home,
            CRASH="1",
            VOICE_TRACEBACK="1",
            OPENAI_BASE_URL="http://127.0.0.1:9",
            PYTHONPATH=f"{ROOT}:{tmp_path}",
        )
        assert crashed.code not in (0, 4)
        assert "Traceback" in crashed.stderr
        for result in (refused, crashed):
            assert KEY not in self.everything(result, tmp_path)

    def test_a_keyring_that_hangs_holds_up_neither_the_key_nor_the_exit(
        self, voice: Voice, home: dict[str, str], tmp_path: Path
    ) -> None:
        home["PYTHON_KEYRING_BACKEND"] = "tests.support.keyrings.HangingKeyring"
        stored = voice("keys", "set", "openai", stdin=KEY.encode(), timeout=60, **home)
        assert stored.code == 0, stored.stderr
        assert "The system's keyring did not take it: it does not answer within 2 seconds." in stored.stderr
        with OpenAIServer.in_thread() as server:
            said = voice("send-text", "Hi", "-q", "--json", OPENAI_BASE_URL=server.url, **home)
            assert said.code == 0, said.stderr
            (kept,) = (tmp_path / "home").rglob("keys.json")
            kept.write_text('{"openai": {"keyring": true}}')
            asked = voice("send-text", "Hi", timeout=60, OPENAI_BASE_URL=server.url, **home)
        assert asked.code == 3
        assert "is in the system's keyring, which cannot be asked" in asked.stderr
