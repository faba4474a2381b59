"""Keyrings for PYTHON_KEYRING_BACKEND: one that keeps its keys in a file, one that hangs, one that only pretends."""

import json
import os
import threading
from pathlib import Path

from keyring.backend import KeyringBackend

__all__ = ["HANGING", "IN_A_FILE", "PRETENDING", "FileKeyring", "HangingKeyring", "PretendingKeyring"]

IN_A_FILE, HANGING, PRETENDING = (
    f"{__name__}.{name}" for name in ("FileKeyring", "HangingKeyring", "PretendingKeyring")
)


class FileKeyring(KeyringBackend):
    """Keeps its keys in the file that the variable TEST_KEYRING names."""

    priority = 1

    def get_password(self, service: str, username: str) -> str | None:
        return self._kept().get(f"{service}/{username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        self._path.write_text(json.dumps(self._kept() | {f"{service}/{username}": password}))

    def delete_password(self, service: str, username: str) -> None:
        kept = self._kept()
        del kept[f"{service}/{username}"]
        self._path.write_text(json.dumps(kept))

    @property
    def _path(self) -> Path:
        return Path(os.environ["TEST_KEYRING"])

    def _kept(self) -> dict[str, str]:
        return dict(json.loads(self._path.read_text())) if self._path.exists() else {}


class HangingKeyring(KeyringBackend):
    """Waits for ever."""

    priority = 1

    def get_password(self, service: str, username: str) -> str | None:
        threading.Event().wait()
        return None

    def set_password(self, service: str, username: str, password: str) -> None:
        threading.Event().wait()

    def delete_password(self, service: str, username: str) -> None:
        threading.Event().wait()


class PretendingKeyring(KeyringBackend):
    """Takes all and keeps nothing, as that of headless systems does."""

    priority = 1

    def get_password(self, service: str, username: str) -> str | None:
        return None

    def set_password(self, service: str, username: str, password: str) -> None:
        pass

    def delete_password(self, service: str, username: str) -> None:
        pass
