"""Put on `sys.path` as `sounddevice`: a loudspeaker without sound, which takes blocks faster than they would be heard.

What it played is written to the file "played" in the working directory at the end. With NO_SOUND in the environment
there is no loudspeaker.
"""

import os
import threading
from pathlib import Path

from tests.audio.devices.fake_portaudio import FakePortAudio

__all__ = [
    *("PortAudioError", "RawInputStream", "RawOutputStream", "query_devices", "query_hostapis"),
    *("_exit_handler", "_initialize", "_terminate"),
]

_portaudio = FakePortAudio(plugged=[] if "NO_SOUND" in os.environ else [*FakePortAudio().plugged])
_over = threading.Event()

PortAudioError = FakePortAudio.PortAudioError
RawInputStream, RawOutputStream = _portaudio.RawInputStream, _portaudio.RawOutputStream
query_devices, query_hostapis = _portaudio.query_devices, _portaudio.query_hostapis
_initialize, _terminate = _portaudio._initialize, _portaudio._terminate


def _exit_handler() -> None:
    _over.set()
    Path("played").write_bytes(b"".join(stream.played for stream in _portaudio.streams))


threading.Thread(target=_portaudio.flow_until, args=(_over,), daemon=True).start()
