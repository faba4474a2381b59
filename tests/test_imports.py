"""The public names of the package, its imports, and their cost."""

import ast
import functools
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import voicecli
import voicecli.audio
from voicecli.cli.app import COMMANDS, load_command

ROOT = Path(__file__).parent.parent
HEAVY = {
    "fastapi",
    "google",
    "httpx",
    "huggingface_hub",
    "mcp",
    "mcp_types",
    "moonshine_voice",
    "numpy",
    "onnxruntime",
    "openai",
    "piper",
    "pydantic",
    "pywebrtc_audio",
    "sounddevice",
    "soundfile",
    "soxr",
    "sqlite3",
    "webrtcvad",
    "websockets",
    "xllamacpp",
}


def loaded_after(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter has loaded after running the code."""
    script = f"{code}\nimport sys\nsys.stderr.write(' '.join({{name.partition('.')[0] for name in sys.modules}}))"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True)
    return set(result.stderr.split())


@pytest.mark.parametrize(
    "code",
    [
        "import voicecli",
        "from voicecli import RealtimeVoice, RealtimeConfig, VADMode, RealtimeError",
        "import voicecli.providers",
        "from voicecli.cli import execute; execute(['--help'])",
        "from voicecli.cli import execute; execute(['chat', '--help'])",
        "from voicecli.cli import execute; execute(['translate', '--help'])",
        "from voicecli.cli import execute; execute(['transcribe', '--help'])",
        "from voicecli.cli import execute; execute(['list-providers'])",
        "from voicecli.cli import execute; execute(['list-models', 'openai'])",
        "from voicecli.cli import execute; execute(['list-voices', '--json'])",
        "from voicecli.cli import execute; execute(['models', 'list'])",
        "from voicecli.cli import execute; execute(['cache', 'path'])",
        "from voicecli.cli import execute; execute(['doctor', '--help'])",
        "from voicecli.providers.local.downloads.catalogue import names; names()",
    ],
)
def test_nothing_heavy_is_loaded(code: str) -> None:
    loaded = loaded_after(code)
    assert "voicecli" in loaded
    assert loaded & HEAVY == set()


def test_the_heavy_list_is_not_vacuous() -> None:
    assert {"numpy", "soxr"} <= loaded_after("from voicecli.audio import resample_pcm16")


def test_rich_is_not_loaded_by_the_library() -> None:
    assert "rich" not in loaded_after("from voicecli import RealtimeVoice; import voicecli.conversation.session")


def test_public_names_are_sorted_and_there() -> None:
    assert voicecli.__all__ == sorted(voicecli.__all__)
    for name in voicecli.__all__:
        assert getattr(voicecli, name).__name__ == name
    # A type checker knows it, too: mypy complains about an `ignore` without need.
    with pytest.raises(AttributeError, match="nothing"):
        _ = voicecli.nothing  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match="nothing"):
        _ = voicecli.audio.nothing  # type: ignore[attr-defined]


MODULES = sorted(path for path in (ROOT / "voicecli").rglob("*.py") if path.name != "__main__.py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_module_says_what_it_shows(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), "a module says what it is for"
    targets = [
        target
        for node in tree.body
        for target in (node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)])
    ]
    assert [target.id for target in targets if isinstance(target, ast.Name)].count("__all__") == 1


def test_the_version_is_one() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert voicecli.__version__ == project["version"]


def test_the_list_of_commands_says_what_each_says_itself() -> None:
    for name, (_, line) in COMMANDS.items():
        assert load_command(name).get_short_help_str(200) == line


VOCABULARY = {
    *("_version", "captions", "commands", "config", "config_source", "credentials", "errors", "events", "finding"),
    *("install", "kept_files", "lazy_names", "package_file", "pcm16", "pipes", "ports", "pricing", "redaction"),
    *("setting_fields", "telemetry"),
    *("text", "text_files", "threads", "tls", "tool_names", "tool_sources", "tools", "transcript", "user_folders"),
}
"""Modules at the top of the package that import nothing but each other. (`__init__` loads names when they are used.)"""

MAY_KNOW: dict[str, set[str]] = {
    "audio": set(),
    "connection": set(),
    "settings": set(),
    "history": set(),
    "mcp": set(),
    "recording": {"audio"},
    "replay": set(),
    "terminal": set(),
    "conversation": {"audio"},
    "transcribing": {"audio", "conversation"},
    "interpreting": {"audio", "conversation"},
    "providers": {"audio", "connection", "settings"},
    "conformance": set(),
    "testing": {"conformance", "providers", "replay"},
    "voice": {"conversation", "history", "providers", "replay", "settings"},
    "interpreter": {"conversation", "interpreting", "providers"},
    "transcriber": {"audio", "conversation", "providers", "transcribing"},
    "cli": {
        *("audio", "conversation", "history", "interpreter", "interpreting", "mcp", "providers", "recording", "replay"),
        *("settings", "terminal", "transcriber", "transcribing", "voice"),
    },
    "__main__": {"cli"},
}
"""The folders and doors above the vocabulary, and which others each may import from besides it."""

AT_HOME = {
    "httpx": {
        f"providers.local.{name}" for name in ("chat_endpoint", "chat_stream", "prompt_templates", "server_search")
    },
    "httpx2": {"mcp.server", "providers.local.downloads.hub"},
    "httpx_sse": {"providers.local.chat_stream"},
    "huggingface_hub": {"providers.local.downloads.hub"},
    "mcp": {"mcp.server"},
    "mcp_types": {"mcp.server"},
    "markdown_it": {"providers.local.spoken_text"},
    "onnxruntime": {"audio.moonshine", "audio.smart_turn", "providers.local.voice_graph"},
    "piper": {"providers.local.tts", "providers.local.voices"},
    "pywebrtc_audio": {"audio.echo.webrtc"},
    "rich": {
        *("cli.doctor.terminal", "cli.log_view", "cli.progress_bar", "cli.table", "terminal.fit", "terminal.live_view"),
        *("terminal.caption_page", "terminal.page", "terminal.render_entry", "terminal.render_footer"),
        *("terminal.render_running", "terminal.render_status", "terminal.render_translation"),
        "terminal.translation_page",
    },
    "sounddevice": {"audio.devices.portaudio"},
    "soundfile": {"audio.files.decoders", "audio.files.samples", "recording.reading"},
    "sqlite3": {f"history.{name}" for name in ("database", "removal", "schema", "search", "store")},
    "typer": {
        *("cli", "cli.app", "cli.cache", "cli.chat", "cli.completion", "cli.completion_scripts", "cli.config"),
        *("cli.destinations", "cli.devices", "cli.command", "cli.doctor", "cli.doctor.bundle", "cli.finding_lines"),
        *("cli.help", "cli.inputs", "cli.keeping", "cli.keys", "cli.lists", "cli.log_export", "cli.logs"),
        *("cli.mcp_servers", "cli.models", "cli.options", "cli.replay", "cli.service_options", "cli.setting_options"),
        *("cli.caption_files", "cli.setup", "cli.table", "cli.tools", "cli.transcribe", "cli.translate"),
    },
    "keyring": {"settings.keyring_store"},
    "tomlkit": {"settings.edit"},
    "truststore": {"tls"},
    "websockets": {f"connection.{name}" for name in ("dial", "line", "liveness", "sender", "socket")},
}
"""Libraries that are to be replaced in one place, and the modules that know them."""


def room(module: str) -> str:
    """The folder or door that a module belongs to; "vocabulary" for one of it."""
    first = module.partition(".")[0]
    return "vocabulary" if first in VOCABULARY else first


@functools.cache
def imports(path: Path) -> frozenset[str]:
    """The imports anywhere in a module, by full name; those for type checkers alone do not count."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = []
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "import_module":
            literals = (name.value for name in node.args if isinstance(name, ast.Constant))
            found.update(name for name in literals if isinstance(name, str))
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            folder = ROOT / node.module.replace(".", "/")
            found.update(
                f"{node.module}.{alias.name}" for alias in node.names if (folder / f"{alias.name}.py").exists()
            )
    return frozenset(found)


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT / "voicecli").with_suffix("").parts).removesuffix(".__init__")


NAMED = {name_of(path): path for path in MODULES if name_of(path) != "__init__"}


def own_imports(path: Path) -> set[str]:
    """The modules of the package that a module imports, without the package's own name."""
    names = {module.removeprefix("voicecli.") for module in imports(path) if module.startswith("voicecli.")}
    # `from voicecli.audio import pcm` names the folder, too, whose own imports are not what is meant.
    return {name for name in names if name in NAMED}


@pytest.mark.parametrize("name", NAMED)
def test_a_module_knows_only_what_its_folder_may_know(name: str) -> None:
    own = room(name)
    for other in own_imports(NAMED[name]):
        target = room(other)
        allowed = {own, "vocabulary"} | (MAY_KNOW[own] if own != "vocabulary" else set())
        assert target in allowed, f"{name} imports {other}"
    for module in imports(NAMED[name]):
        package = module.partition(".")[0]
        if package in AT_HOME:
            assert name in AT_HOME[package], f"{name} imports {package}"


@pytest.mark.parametrize("name", [name for name in NAMED if name.startswith("providers.") and name.count(".") > 1])
def test_a_provider_knows_no_other(name: str) -> None:
    folder = name.split(".")[1]
    others = {other for other in own_imports(NAMED[name]) if other.startswith("providers.") and other.count(".") > 1}
    assert all(other.split(".")[1] == folder for other in others)


def test_no_imports_run_in_a_circle() -> None:
    graph = {name: own_imports(path) - {name} for name, path in NAMED.items()}
    while free := [name for name, known in graph.items() if not known]:
        for name in free:
            del graph[name]
        for known in graph.values():
            known.difference_update(free)
    assert not graph, f"in a circle, or above one: {sorted(graph)}"


def test_the_circle_check_is_not_vacuous() -> None:
    assert "providers.openai.codec" in own_imports(NAMED["providers.openai"])
    assert sum(len(own_imports(path)) for path in NAMED.values()) > 300


JOINED_AT_EXIT = {"ProcessPoolExecutor", "ThreadPoolExecutor", "run_in_executor", "to_thread"}
"""Ways to call what blocks that hold up the end of the program when the call hangs."""


def words(path: Path) -> set[str]:
    """The names a module's code consists of, those after a dot and in imports included."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Attribute(attr=name) | ast.Name(id=name) | ast.alias(name=name):
                found.add(name)
    return found


@pytest.mark.parametrize("name", NAMED)
def test_a_call_that_hangs_never_holds_up_the_end_of_the_program(name: str) -> None:
    assert not words(NAMED[name]) & JOINED_AT_EXIT, "use voicecli.threads"


def test_the_check_of_blocking_calls_is_not_vacuous() -> None:
    assert {"run_in_thread", "Thread", "threading"} <= words(NAMED["threads"]) | words(NAMED["tools"])
    assert "to_thread" in words(ROOT / "tests" / "providers" / "local" / "test_endpoint.py")
