"""Names of devices behind a sound server, asked of its programs."""

import sys
from pathlib import Path

import pytest

from tests.support.virtual_time import virtual_time
from voicecli.audio.devices.sound_server import real_names

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only there are devices called default")

PACTL = """#!/bin/sh
test "$LC_ALL" = C.UTF-8 || exit 1
case "$*" in
info) echo "Server Name: PulseAudio"; echo "Default Sink: alsa.out"; echo "Default Source: alsa.in" ;;
"list sinks")
    printf "Sink #0\\n\\tName: hdmi\\n\\tDescription: HDMI\\n"
    printf "Sink #1\\n\\tName: alsa.out\\n\\tDescription: Headphones\\n" ;;
"list sources") printf "Source #0\\n\\tName: alsa.in\\n\\tDescription: Built-in Microphone\\n" ;;
esac
"""
WPCTL = """#!/bin/sh
test "$*" = "inspect @DEFAULT_AUDIO_SINK@" && echo '  * node.description = "Earphones"'
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which programs are looked for first; no sound server's is there."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    for name in ("pactl", "wpctl"):
        install(tmp_path, name, "#!/bin/sh\nexit 1\n")
    return tmp_path


def install(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(script)
    (folder / name).chmod(0o755)


async def test_pulseaudio_is_asked_for_its_defaults(programs: Path) -> None:
    install(programs, "pactl", PACTL)
    assert await real_names({"input": "default", "output": "pulse"}) == {
        "input": "Built-in Microphone",
        "output": "Headphones",
    }


async def test_pipewire_is_asked_where_pulseaudio_is_not(programs: Path) -> None:
    install(programs, "wpctl", WPCTL)
    assert await real_names({"input": "default", "output": "default"}) == {"output": "Earphones"}


async def test_a_device_that_has_a_name_is_not_asked_for(programs: Path) -> None:
    install(programs, "pactl", PACTL)
    assert await real_names({"input": "USB Audio", "output": "default"}) == {"output": "Headphones"}


async def test_without_an_answer_there_is_no_name(programs: Path) -> None:
    assert await real_names({"input": "default", "output": "default"}) == {}


@virtual_time
async def test_a_sound_server_that_hangs_holds_nobody_up(programs: Path) -> None:
    install(programs, "pactl", "#!/bin/sh\nexec sleep 60\n")
    assert await real_names({"input": "default"}) == {}
