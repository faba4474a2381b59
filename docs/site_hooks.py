"""Hooks of mkdocs: README, CONTRIBUTING and CHANGELOG are pages of the site, under names that its links then have."""

import re
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.structure.files import File

__all__ = ["on_files", "on_page_markdown"]

ROOT = Path(__file__).parent.parent
PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
_LINK = re.compile(r"(\[[^\]]*\])\(([^)\s:]+)\)")


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that lie beside docs/, and the pictures they show."""
    for source, name in PAGES.items():
        files.append(File.generated(config, name, content=(ROOT / source).read_text()))
    for picture in (ROOT / "assets").iterdir():
        files.append(File.generated(config, f"assets/{picture.name}", abs_src_path=str(picture)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Lead links to where the pages are on the site; what is no page, as a program, loses its link."""
    beside = page.file.src_uri in PAGES.values()

    def led(match: re.Match[str]) -> str:
        text, (path, hash_, anchor) = match[1], match[2].partition("#")
        if not path:
            return match[0]
        target = PurePosixPath(*PurePosixPath(path).parts[path.startswith("../") :])
        if beside or path.startswith("../"):
            name = PAGES.get(str(target), str(target).removeprefix("docs/"))
            return f"{text}({name}{hash_}{anchor})" if name in files.src_uris else text.strip("[]")
        return match[0]

    return _LINK.sub(led, markdown)
