"""Stored keys: where they are kept, and what happens when they cannot be."""

import errno
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import keyring
import pytest
from keyring.backends.fail import Keyring as FailKeyring

from tests.conftest import ROOT
from tests.support.keyrings import FileKeyring, HangingKeyring, PretendingKeyring
from voicecli import ConfigurationError, RealtimeVoice
from voicecli.config import RealtimeConfig
from voicecli.providers import PROVIDERS, choose_provider
from voicecli.providers.gemini.endpoint import find_endpoint as find_gemini
from voicecli.providers.openai.endpoint import find_endpoint as find_openai
from voicecli.settings.keys import (
    has_key,
    how_to_protect,
    keys_path,
    protection,
    remove_key,
    store_key,
    stored_key,
    stored_keys,
    unsafe_permissions,
)

KEY = "sk-stored-0123456789"
Use = Callable[[type], None]


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for provider in PROVIDERS:
        for variable in (*provider.key_variables, "GOOGLE_CLOUD_PROJECT", "AZURE_OPENAI_ENDPOINT"):
            monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Use]:
    """Puts a keyring in the system's place."""
    monkeypatch.setenv("TEST_KEYRING", str(tmp_path / "keyring.json"))
    before = keyring.get_keyring()
    yield lambda kind: keyring.set_keyring(kind())
    keyring.set_keyring(before)


def test_without_a_keyring_a_file_has_them_that_only_the_owner_may_read() -> None:
    assert store_key("openai", KEY) == ("file", "there is none")
    assert stored_key("openai") == KEY
    assert stored_keys() == {"openai": "file"}
    assert stat.S_IMODE(keys_path().stat().st_mode) == 0o600
    assert not unsafe_permissions()
    store_key("gemini", "g-1")
    store_key("openai", "sk-2")
    assert (stored_key("openai"), stored_key("gemini"), stored_key("local")) == ("sk-2", "g-1", None)
    assert (remove_key("openai"), remove_key("openai")) == ("file", None)
    assert KEY not in keys_path().read_text()
    assert not has_key("openai")
    assert has_key("gemini")


def test_permissions_that_are_too_wide_are_noticed_and_mended() -> None:
    store_key("openai", KEY)
    keys_path().chmod(0o644)
    assert unsafe_permissions()
    store_key("gemini", "g-1")
    assert not unsafe_permissions()


def test_a_keyring_has_them_where_there_is_one(use: Use) -> None:
    use(FileKeyring)
    assert store_key("openai", KEY) == ("keyring", "")
    assert stored_key("openai") == KEY
    assert stored_keys() == {"openai": "keyring"}
    assert KEY not in keys_path().read_text()
    assert remove_key("openai") == "keyring"
    assert KEY not in Path(os.environ["TEST_KEYRING"]).read_text()
    assert stored_keys() == {}


def test_a_keyring_that_hangs_holds_up_nothing_and_the_file_takes_its_place(use: Use) -> None:
    use(HangingKeyring)
    assert store_key("openai", KEY) == ("file", "it does not answer within 2 seconds")
    assert stored_key("openai") == KEY


def test_a_keyring_that_keeps_nothing_is_not_believed(use: Use) -> None:
    use(PretendingKeyring)
    assert store_key("openai", KEY) == ("file", "it does not keep what it is given")
    assert stored_key("openai") == KEY


def test_a_key_that_the_keyring_does_not_give_is_told(use: Use) -> None:
    use(FileKeyring)
    store_key("openai", KEY)
    use(PretendingKeyring)
    with pytest.raises(ConfigurationError, match=r"no longer in the system's keyring\. Run: voice keys set openai"):
        stored_key("openai")
    use(HangingKeyring)
    with pytest.raises(ConfigurationError, match="cannot be asked: it does not answer within 2 seconds"):
        stored_key("openai")
    use(FailKeyring)
    with pytest.raises(
        ConfigurationError, match="is still in the system's keyring, which cannot be asked: there is no"
    ):
        remove_key("openai")
    assert has_key("openai"), "which nobody asked the keyring for"


def test_a_key_that_cannot_be_told_of_does_not_stay_in_the_keyring(use: Use, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    use(FileKeyring)
    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(ConfigurationError, match=r"No space left on device\. Nothing was changed\."):
        store_key("openai", KEY)
    assert KEY not in Path(os.environ["TEST_KEYRING"]).read_text()
    assert stored_keys() == {}


def test_without_the_package_it_is_said_how_to_get_it(use: Use, monkeypatch: pytest.MonkeyPatch) -> None:
    use(FileKeyring)
    store_key("openai", KEY)
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(ConfigurationError, match=r"the package keyring is not installed \(.*voicecli\[keyring\]"):
        stored_key("openai")
    assert store_key("openai", KEY)[0] == "file"


def test_a_stored_key_makes_its_provider_one_that_is_set_up() -> None:
    store_key("gemini", "g-1")
    assert choose_provider().name == RealtimeVoice().provider == "gemini"
    assert "gemini" in RealtimeVoice.list_configured_providers()


@pytest.mark.parametrize("content", ['{"openai": {"key": "sk-stored', "[]", '{"openai": "sk-stored"}', "\x00", "{" * 9])
def test_a_damaged_file_is_told_and_left_as_it_is(content: str) -> None:
    keys_path().parent.mkdir(parents=True)
    keys_path().write_text(content)
    for call in (lambda: stored_key("openai"), lambda: store_key("openai", KEY), lambda: remove_key("openai")):
        with pytest.raises(ConfigurationError, match="file of stored keys is damaged") as caught:
            call()
        assert "sk-stored" not in str(caught.value)
        assert caught.value.__cause__ is None
    assert keys_path().read_text() == content
    assert not has_key("openai")


def test_a_damaged_file_is_named_where_nothing_else_is_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    keys_path().parent.mkdir(parents=True)
    keys_path().write_text("{")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match="file of stored keys is damaged"):
        choose_provider()


def test_a_damaged_file_never_changes_who_hears_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    store_key("openai", KEY)
    keys_path().write_text("{")
    monkeypatch.setenv("GEMINI_API_KEY", "g-1")
    with pytest.raises(ConfigurationError, match="file of stored keys is damaged"):
        choose_provider()
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert choose_provider().name == "openai"


def test_processes_that_store_at_once_lose_nothing() -> None:
    script = "import sys; from voicecli.settings.keys import store_key; store_key(sys.argv[1], 'k-' + sys.argv[1])"
    names = [f"provider{number}" for number in range(4)]
    processes = [subprocess.Popen([sys.executable, "-c", script, name], cwd=ROOT) for name in names]
    assert [process.wait(60) for process in processes] == [0] * len(names)
    assert {name: stored_key(name) for name in names} == {name: f"k-{name}" for name in names}
    assert sorted(os.listdir(keys_path().parent)) == [".lock", "keys.json"]


def test_the_environment_comes_before_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    store_key("openai", "sk-stored")
    store_key("gemini", "g-stored")
    config = RealtimeConfig()
    assert find_openai(config, "gpt").headers["Authorization"] == "Bearer sk-stored"
    assert find_gemini(config, os.environ).headers["x-goog-api-key"] == "g-stored"
    assert all(provider.is_configured() for provider in PROVIDERS[:2])
    monkeypatch.setenv("OPENAI_API_KEY", "sk-environment")
    monkeypatch.setenv("GOOGLE_API_KEY", "g-environment")
    assert find_openai(config, "gpt").headers["Authorization"] == "Bearer sk-environment"
    assert find_gemini(config, os.environ).headers["x-goog-api-key"] == "g-environment"
    given = RealtimeConfig(api_key="k-given")
    assert find_openai(given, "gpt").headers["Authorization"] == "Bearer k-given"


def test_a_key_of_azure_in_the_environment_is_not_replaced_by_a_stored_one(monkeypatch: pytest.MonkeyPatch) -> None:
    store_key("openai", "sk-stored")
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "https://us.azure.com")
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "az-environment")
    assert find_openai(RealtimeConfig(), "gpt").headers["api-key"] == "az-environment"


def test_a_stored_key_decides_before_a_project_that_other_tools_may_have_set() -> None:
    project = {"GOOGLE_CLOUD_PROJECT": "p", "GOOGLE_CLOUD_LOCATION": "l"}
    assert find_gemini(RealtimeConfig(), project).vertex
    store_key("gemini", "g-stored")
    assert not find_gemini(RealtimeConfig(), project).vertex


def test_no_key_is_in_a_repr() -> None:
    store_key("openai", KEY)
    assert KEY not in repr(find_openai(RealtimeConfig(), "gpt"))
    json.dumps(stored_keys())


def test_windows_says_what_protects_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    store_key("openai", KEY)
    keys_path().chmod(0o644)  # tells nothing there
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(Path, "home", lambda: keys_path().parent.parent)
    assert not unsafe_permissions()
    assert "permissions of your user profile" in protection()
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "elsewhere")
    assert unsafe_permissions()
    assert "whoever may read that folder may read the key" in protection()
    assert "VOICECLI_CONFIG" in how_to_protect()
