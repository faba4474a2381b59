"""`voice` alone in a terminal: a conversation, or how to get to one."""

import sys

from voicecli.cli.layers import provider_of_settings
from voicecli.errors import ConfigurationError
from voicecli.install import install_command
from voicecli.providers import PROVIDERS
from voicecli.settings.file import SettingsFile
from voicecli.settings.keys import stored_keys

__all__ = ["first_command"]


def first_command() -> list[str]:
    """The command line that `voice` alone stands for; [] where nothing is set up, after it was told what to do."""
    if _is_set_up():
        return ["chat"]
    keys = "  or  ".join(f"voice keys set {provider.name}" for provider in PROVIDERS if provider.key_url)
    steps = (
        ("voice setup", "three questions: who answers, your key, your microphone"),
        (install_command("local"), "offline, without any key; then: voice"),
        (keys, "with a key that you have; then: voice"),
    )
    lines = "".join(f"  \u2022 {command}\n    {what}\n" for command, what in steps)
    sys.stdout.write(f"Nothing is set up yet. The easiest first:\n\n{lines}\nvoice --help shows all commands.\n")
    return []


def _is_set_up() -> bool:
    """Return whether a conversation could begin, or would tell what keeps it from that."""
    if provider_of_settings(None) or any(provider.is_configured() for provider in PROVIDERS):
        return True
    try:
        SettingsFile.read()
        stored_keys()
    except ConfigurationError:
        return True
    return False
