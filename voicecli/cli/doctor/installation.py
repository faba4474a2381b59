"""Installation: versions, packages that are missing or cannot be loaded, and extras."""

import platform
import sys
from collections.abc import Iterator
from importlib import import_module

from voicecli._version import __version__
from voicecli.cli.doctor.area import Scope
from voicecli.finding import Finding
from voicecli.install import EXTRAS, REQUIRED, install_command, installer, missing_packages, reinstall_command
from voicecli.text import described

__all__ = ["look_at_installation"]

_COMPILED = ("numpy", "pydantic", "soundfile", "soxr", "webrtcvad-wheels")
"""Packages that bring libraries, which may be built for another system."""


def look_at_installation(scope: Scope) -> Iterator[Finding]:
    """Look at versions and packages."""
    yield Finding("voicecli", f"{__version__}, installed by {installer()}")
    yield _python()
    missing = [package for package, module in REQUIRED.items() if missing_packages([module])]
    broken = [package for package in _COMPILED if package not in missing and not _loads(package)]
    for package in missing:
        yield Finding("Packages", f"{package} is missing", "fail", f"Run: {reinstall_command(package)}")
    for package in broken:
        yield Finding("Packages", f"{package} cannot be loaded", "fail", f"Run: {reinstall_command(package)}")
    if not missing and not broken:
        yield Finding("Packages", "all that are needed are there, and can be loaded")
    yield from _extras()


def _python() -> Finding:
    version = f"{platform.python_implementation()} {platform.python_version()}"
    system = f"{platform.system()} on {platform.machine() or 'an unknown processor'}"
    if sys.maxsize < 2**32:
        fix = "Several packages have no wheels for 32 bits: install a Python of 64 bits."
        return Finding("Python", f"{version}, 32 bits, {system}", "warn", fix)
    return Finding("Python", f"{version}, {system}")


def _loads(package: str) -> bool:
    try:
        import_module(REQUIRED[package])
    except Exception:  # an ImportError, an OSError of the library, or whatever its first lines raise
        return False
    return True


def _extras() -> Iterator[Finding]:
    lacking = [name for name, (modules, _) in EXTRAS.items() if missing_packages(modules)]
    there = [name for name in EXTRAS if name not in lacking]
    yield Finding("Extras", ", ".join(there) or "none")
    for name in lacking:
        yield Finding(f"[{name}]", f"not installed; for {EXTRAS[name][1]}: {install_command(name)}")


def package_versions() -> Iterator[tuple[str, str]]:
    """Packages that voicecli or an extra of it asks for, and their versions as far as they are installed."""
    import re
    from importlib.metadata import PackageNotFoundError, requires, version

    try:
        wanted = requires("voicecli") or []
    except PackageNotFoundError:  # it runs from a folder
        wanted = list(REQUIRED)
    own = [text for text in wanted if not re.search(r"extra *== *.dev.", text)]
    names = sorted({match[0].lower() for text in own if (match := re.match(r"[\w.-]+", text))})
    for name in names:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue
        except Exception as error:  # damaged metadata
            yield name, described(error)
