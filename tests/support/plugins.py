"""Packages that bring providers, installed into a directory."""

import re
from collections.abc import Mapping
from pathlib import Path

__all__ = ["CHECK", "COMMANDS", "PARROT", "PROJECT", "SERVICES", "install"]

RECIPE = (Path(__file__).parent.parent.parent / "docs" / "custom-provider.md").read_text()
PARROT, CHECK, SERVICES = re.findall(r"^```python\n(.*?)^```$", RECIPE, re.DOTALL | re.MULTILINE)
"""The module of the recipe, which brings `PARROT`, a program that checks it, and a module that adds a transcriber."""
(PROJECT,) = re.findall(r"^```toml\n(.*?)^```$", RECIPE, re.DOTALL | re.MULTILINE)
COMMANDS: list[str] = re.findall(r"^voice .*$", RECIPE, re.MULTILINE)


def install(folder: Path, package: str, modules: Mapping[str, str], **points: str) -> None:
    """The files that an installer leaves behind: modules, and metadata with entry points of the group.

    Args:
        folder: to be on `sys.path`.
        modules: name -> source.
        points: name of the provider -> "module:attribute".
    """
    for name, source in modules.items():
        (folder / f"{name}.py").write_text(source)
    metadata = folder / f"{package.replace('-', '_')}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    lines = [f"{name} = {where}" for name, where in points.items()]
    (metadata / "entry_points.txt").write_text("\n".join(["[voicecli.providers]", *lines, ""]))
