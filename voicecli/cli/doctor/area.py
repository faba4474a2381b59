"""An area that `voice doctor` looks at, and how it is looked at so that nothing broken there stops the doctor."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from voicecli.cli import standard_output
from voicecli.cli.exit import ExitStatus
from voicecli.config import RealtimeConfig
from voicecli.errors import ConfigurationError, RealtimeError
from voicecli.finding import Finding
from voicecli.ports import Provider
from voicecli.providers import all_providers, find_provider
from voicecli.threads import TooLateError, call_within

__all__ = ["Area", "Scope", "config_of", "findings_in", "of_provider", "short_path"]


@dataclass(frozen=True, slots=True)
class Scope:
    """What `voice doctor` was asked to look at.

    Attributes:
        provider: the only one that is meant; None for all.
        online: whether providers are asked over the network.
        listen: whether the microphone and the loudspeaker are opened.
    """

    provider: str | None = None
    online: bool = False
    listen: bool = False

    def providers(self, tell: Callable[[str], None] = lambda message: None) -> list[Provider]:
        """The providers that are meant.

        Args:
            tell: hears about each that a package brings and that cannot be used.

        Raises:
            ConfigurationError: there is none of that name.
        """
        return [find_provider(self.provider)] if self.provider else all_providers(tell)


@dataclass(frozen=True, slots=True)
class Area:
    """A part of what `voice doctor` looks at.

    Attributes:
        look: yields what is found there, one after the other.
        status: the exit code if something there fails.
        limit_s: the longest that it may take, in seconds.
    """

    title: str
    look: Callable[[Scope], Iterator[Finding]]
    status: ExitStatus = ExitStatus.CONFIGURATION
    limit_s: float = 10.0


def findings_in(area: Area, scope: Scope) -> list[Finding]:
    """What is found in an area: all of it, or what came before it took too long or broke, and a finding about that."""
    found: list[Finding] = []

    def look() -> None:
        for finding in area.look(scope):
            found.append(finding)

    try:
        with standard_output.diverted():  # packages may print when they are loaded
            call_within(area.limit_s, look)
    except TooLateError:
        told = f"takes longer than {area.limit_s:.0f} s, and was given up"
        return [*found, Finding(area.title, told, "fail", "Something hangs there: see what came before this line.")]
    except RealtimeError as error:
        return [*found, Finding(area.title, error.message, "fail", error.advice, shared=type(error).__name__)]
    except Exception as error:
        told = f"cannot be looked at: {type(error).__name__}"
        # Its words may be anybody's.
        return [*found, Finding(area.title, f"{told}: {error}", "fail", "This is a defect in voicecli.", shared=told)]
    return found


def of_provider(provider: Provider, look: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """What a provider finds, or that it breaks: one of a package may, and then the others are still looked at."""
    try:
        return list(look())
    except RealtimeError as error:
        return [Finding(provider.name, error.message, "fail", error.advice, shared=type(error).__name__)]
    except Exception as error:
        told = f"breaks when it is asked: {type(error).__name__}"
        return [Finding(provider.name, f"{told}: {error}", "fail", "Update the package that brings it.", shared=told)]


def short_path(path: Path) -> str:
    """A path for people: with "~" for their home."""
    try:
        return str(Path("~", path.relative_to(Path.home())))
    except (ValueError, RuntimeError):
        return str(path)


def config_of(provider: Provider) -> RealtimeConfig:
    """The user's settings for that provider; without any where they are wrong, which is told elsewhere."""
    try:
        return RealtimeConfig.from_settings(provider=provider.name)
    except ConfigurationError:
        return replace(RealtimeConfig(), provider=provider.name)
