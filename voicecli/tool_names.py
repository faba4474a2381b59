"""Names that every provider takes, for tools that others have named."""

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Iterable

__all__ = ["MAX_NAME", "callable_name", "callable_names", "free_name"]

MAX_NAME = 64
"""Characters of a function's name, with OpenAI and with Gemini."""

_HASH_DIGITS = 4


def callable_name(name: str) -> str:
    """The name as a model can call it: letters, digits, "_" and "-", begun by a letter or "_", 64 at most.

    A longer one is cut, and ends in a hash of the whole.
    """
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", name)
    if not re.match(r"[A-Za-z_]", plain):
        plain = f"_{plain}"
    return plain if len(plain) <= MAX_NAME else _hashed(plain, name)


def callable_names(names: Iterable[str]) -> dict[str, str]:
    """For each of a server's names one that a model can call; those that would be alike end in a hash."""
    plain = {name: callable_name(name) for name in names}
    alike = Counter(plain.values())
    return {
        name: called if alike[called] == 1 or called == name else _hashed(called, name)
        for name, called in plain.items()
    }


def free_name(server: str, name: str, taken: Collection[str]) -> str:
    """The name for a server's tool that none has yet: its own, else with the server's in front, else with a hash."""
    for candidate in (callable_name(name), callable_name(f"{server}_{name}")):
        if candidate not in taken:
            return candidate
    number = 0
    while (candidate := _hashed(callable_name(f"{server}_{name}"), f"{server}\0{name}\0{number}")) in taken:
        number += 1
    return candidate


def _hashed(name: str, whole: str) -> str:
    digits = hashlib.sha256(whole.encode("utf-8", "replace")).hexdigest()[:_HASH_DIGITS]
    return f"{name[: MAX_NAME - _HASH_DIGITS - 1]}_{digits}"
