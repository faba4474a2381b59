"""The environment's settings: VOICE_<NAME>."""

from collections.abc import Iterable, Mapping, Sequence

from voicecli.errors import ConfigurationError
from voicecli.settings.entries import Entry
from voicecli.text import nearest

__all__ = ["PROFILE_VARIABLE", "read_variable", "unknown_variables"]

PROFILE_VARIABLE = "VOICE_PROFILE"
_PREFIX = "VOICE_"
_OTHERS = (PROFILE_VARIABLE, "VOICE_TRACEBACK")


def read_variable(entry: Entry, environ: Mapping[str, str]) -> object:
    """The value that the environment gives an entry; None where it gives none, or an empty one.

    Raises:
        ConfigurationError: it is not possible; the message begins with the variable.
    """
    text = environ.get(entry.variable)
    if not text:
        return None
    try:
        return entry.read(text)
    except ConfigurationError as error:
        raise ConfigurationError(f"{entry.variable}: {error.message}", advice=error.advice) from None


def unknown_variables(entries: Sequence[Entry], environ: Mapping[str, str], others: Iterable[str] = ()) -> list[str]:
    """A sentence for each variable that looks like a setting and is none.

    Args:
        others: variables that are known besides.
    """
    known = [*(entry.variable for entry in entries), *_OTHERS, *others]
    unknown = sorted(name for name, value in environ.items() if name.startswith(_PREFIX) and value)
    return [f"The variable {name} is no setting{_hint(name, known)}" for name in unknown if name not in known]


def _hint(name: str, known: Iterable[str]) -> str:
    # All begin alike, which makes none of them like another.
    near = nearest(name.removeprefix(_PREFIX), [each.removeprefix(_PREFIX) for each in known])
    return f": did you mean {_PREFIX}{near}?" if near else "."
