"""What to do about sound that does not work, in words for the system that this is."""

import os
import shutil
import sys

from voicecli.install import reinstall_command

__all__ = ["MICROPHONE_PERMISSION", "install_portaudio", "no_device", "permission", "restart_sound", "silence"]

MICROPHONE_PERMISSION = {
    "darwin": "System Settings, Privacy & Security, Microphone: switch on your terminal, then quit and reopen it (in "
    "tmux: end its server, too). Is it not in the list? Start `voice chat` once from Terminal.app, which asks.",
    "win32": 'Settings, Privacy & security, Microphone: switch on "Microphone access" and "Let desktop apps access '
    'your microphone".',
    "linux": 'Add yourself to the group "audio", and log in again.',
}
"""How a terminal gets to use the microphone, by `sys.platform`."""

_RESTART = {
    "darwin": "Restart it (sudo killall coreaudiod), or plug the device in again.",
    "win32": 'Restart the service "Windows Audio" (as administrator: net stop Audiosrv, then net start Audiosrv), or '
    "plug the device in again.",
    "linux": "Restart it (systemctl --user restart pipewire pulseaudio), or plug the device in again.",
}
_NO_DEVICE = {
    "darwin": "Connect one.",
    "win32": "Connect one, and see in Settings, System, Sound that it is not disabled.",
    "linux": "Connect one, and see that the sound server runs.",
}
_WSL = (
    "WSL has the sound of Windows through PulseAudio: sudo apt install libasound2-plugins, and see in the settings of "
    "Windows that desktop apps may use the microphone. Or run voice in Windows itself."
)
_INSTALL = (
    ("apt-get", "sudo apt install libportaudio2"),
    ("dnf", "sudo dnf install portaudio"),
    ("pacman", "sudo pacman -S portaudio"),
    ("zypper", "sudo zypper install libportaudio2"),
    ("apk", "sudo apk add portaudio"),
    ("brew", "brew install portaudio"),
)


def _here(words: dict[str, str]) -> str:
    return words.get(sys.platform, words["linux"])


def restart_sound() -> str:
    """How what makes the sound is started anew."""
    return _here(_RESTART)


def no_device() -> str:
    """What to see to where there is no device."""
    if sys.platform == "linux" and (os.environ.get("WSL_DISTRO_NAME") or os.environ.get("WSL_INTEROP")):
        return _WSL
    return _here(_NO_DEVICE)


def permission() -> str:
    """How a terminal gets to use the microphone."""
    return _here(MICROPHONE_PERMISSION)


def silence() -> str:
    """Why a microphone may deliver exact silence, and what to do."""
    if sys.platform == "linux":
        return "Is it muted: by a switch of its own, or in the sound settings?"
    return f"Is it muted, or may this terminal not use it? {permission()}"


def install_portaudio() -> str:
    """How to get the library PortAudio; on macOS and Windows `sounddevice` brings it."""
    if sys.platform in {"darwin", "win32"}:
        return f"The package sounddevice brings it. Run: {reinstall_command('sounddevice')}"
    known = [command for program, command in _INSTALL if shutil.which(program)]
    if known:
        return f"Install it: {known[0]}"
    return (
        "Install it. Debian, Ubuntu: "
        + "; Fedora: ".join(command for _, command in _INSTALL[:2])
        + "; Arch: "
        + (_INSTALL[2][1])
    )
