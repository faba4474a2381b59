"""Keys in the system's keyring, by the package keyring: asked on a thread of its own, and not for long.

A keyring may ask the user for a password, or wait for a service that never answers.
"""

from collections.abc import Callable
from typing import TypeVar

from voicecli.install import install_command
from voicecli.threads import TooLateError, call_within

__all__ = ["NO_KEYRING", "KeyringError", "keep", "look_up", "remove"]

NO_KEYRING = "there is none"
_SERVICE = "voicecli"
_LONGEST_S = 2.0
_T = TypeVar("_T")


class KeyringError(Exception):
    """There is no keyring, or it does not answer."""


def keep(name: str, key: str) -> None:
    """Keep a key under this name. Raises KeyringError."""

    def call() -> None:
        import keyring

        keyring.set_password(_SERVICE, name, key)
        if keyring.get_password(_SERVICE, name) != key:  # some backends only pretend
            raise KeyringError("it does not keep what it is given")

    _asked(call)


def look_up(name: str) -> str | None:
    """The key under this name, or None. Raises KeyringError."""

    def call() -> str | None:
        import keyring

        return keyring.get_password(_SERVICE, name)

    return _asked(call)


def remove(name: str) -> None:
    """Remove the key under this name, if there is one. Raises KeyringError."""

    def call() -> None:
        import keyring

        if keyring.get_password(_SERVICE, name) is not None:
            keyring.delete_password(_SERVICE, name)

    _asked(call)


def _asked(call: Callable[[], _T]) -> _T:
    try:
        return call_within(_LONGEST_S, call)
    except TooLateError:
        raise KeyringError(f"it does not answer within {_LONGEST_S:.0f} seconds") from None
    except ImportError:
        raise KeyringError(f"the package keyring is not installed ({install_command('keyring')})") from None
    except KeyringError:
        raise
    except Exception as error:  # its backends raise what they like, and might repeat what they were given
        name = type(error).__name__
        raise KeyringError(NO_KEYRING if name == "NoKeyringError" else name) from None
