"""What the package shows, and what it costs to import."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import voicecli
from voicecli.cli.app import COMMANDS, load_command

ROOT = Path(__file__).parent.parent
HEAVY = {
    "fastapi",
    "google",
    "httpx",
    "moonshine_voice",
    "numpy",
    "onnxruntime",
    "openai",
    "piper",
    "pydantic",
    "sounddevice",
    "soundfile",
    "soxr",
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
        "from voicecli.cli import execute; execute(['list-providers'])",
        "from voicecli.cli import execute; execute(['list-models', 'openai'])",
        "from voicecli.cli import execute; execute(['list-voices', '--json'])",
    ],
)
def test_nothing_heavy_is_loaded(code: str) -> None:
    loaded = loaded_after(code)
    assert "voicecli" in loaded
    assert loaded & HEAVY == set()


def test_the_heavy_list_is_not_vacuous() -> None:
    assert {"numpy", "soxr"} <= loaded_after("from voicecli.audio import resample_pcm16")


def test_rich_is_not_loaded_by_the_library() -> None:
    assert "rich" not in loaded_after("from voicecli import RealtimeVoice; import voicecli.session")


def test_public_names_are_sorted_and_there() -> None:
    assert voicecli.__all__ == sorted(voicecli.__all__)
    for name in voicecli.__all__:
        assert getattr(voicecli, name).__name__ == name
    with pytest.raises(AttributeError, match="nothing"):
        _ = voicecli.nothing


MODULES = sorted(path for path in (ROOT / "voicecli").rglob("*.py") if path.name != "__main__.py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_module_says_what_it_shows(path: Path) -> None:

    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), "a module says what it is for"
    names = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets)
    ]
    assert len(names) == 1


def test_the_version_is_one() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert voicecli.__version__ == project["version"]


def test_the_list_of_commands_says_what_each_says_itself() -> None:
    for name, (_, line) in COMMANDS.items():
        assert load_command(name).get_short_help_str(200) == line


LAYERS = (
    ("errors", "printable", "telemetry"),
    ("commands", "config", "events"),
    (
        *("audio", "expectation", "frame_log", "handlers", "inbox", "metrics", "outbox", "pictures", "playback"),
        *("reply_hold", "response", "subscription", "tool_calls", "tools", "transcript", "turns", "word_order"),
    ),
    ("providers.base", "providers.listing"),
    ("dial", "liveness", "websocket"),
    ("providers", "testing"),
    ("session",),
    ("duplex", "voice"),
    (
        *("drawing", "entries", "key_commands", "keyboard", "keyboard_windows", "keys", "line_editor", "screen"),
        *("tally", "terminal_signals", "tui", "view"),
    ),
    ("cli", "__main__"),
)
"""From the bottom. A module imports from its own layer and from those below."""

AT_HOME = {
    "httpx": {"providers.local.endpoint"},
    "rich": {"cli.lists", "cli.run", "drawing", "tui"},
    "sounddevice": {"audio.soundsystem"},
    "soundfile": {"audio.files"},
    "typer": {"cli", "cli.app", "cli.chat", "cli.devices", "cli.lists", "cli.options"},
    "websockets": {"dial", "liveness", "websocket"},
}
"""Libraries that are to be replaced in one place, and the modules that know them."""


def layer(module: str) -> int:
    while module:
        for height, names in enumerate(LAYERS):
            if module in names:
                return height
        module = module.rpartition(".")[0]
    raise AssertionError("not in LAYERS")


def imports(path: Path) -> set[str]:
    """What a module imports anywhere in it, by full name; those for type checkers alone do not count."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = []
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            folder = ROOT / node.module.replace(".", "/")
            found.update(
                f"{node.module}.{alias.name}" for alias in node.names if (folder / f"{alias.name}.py").exists()
            )
    return found


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT / "voicecli").with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("path", [path for path in MODULES if name_of(path) != "__init__"], ids=name_of)
def test_imports_point_down(path: Path) -> None:
    own = layer(name_of(path))
    for module in imports(path):
        package, _, name = module.partition(".")
        if package == "voicecli" and name:
            assert layer(name) <= own, f"{name_of(path)} imports {name}, which stands above it"
        elif package in AT_HOME:
            assert name_of(path) in AT_HOME[package], f"{name_of(path)} imports {package}"
