"""A loudspeaker and a microphone for machines without a sound card: a private PulseAudio daemon with two null sinks.

    the program plays -> sink "speaker" -> its monitor -> `record`
    `say` -> sink "room" -> its monitor, as source "mic" -> the program records
    `echo` -> what the loudspeaker plays comes back into the room

The program reaches it as it reaches any sound server on Linux: PortAudio, ALSA, ALSA's plugin for PulseAudio.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = ["PACKAGES", "Recording", "SoundServer", "is_installed", "wait_until"]

PACKAGES = ("pulseaudio", "pulseaudio-utils", "libasound2-plugins", "libportaudio2")
"""The packages that a Debian or Ubuntu machine needs."""

RATE = 48_000

_ALSA = """
pcm.virtual_speaker {{ type asym  playback.pcm {{ type pulse  server "{server}"  device "speaker" }} }}
pcm.virtual_mic {{ type asym  capture.pcm {{ type pulse  server "{server}"  device "mic" }} }}
pcm.default {{ type pulse  server "{server}" }}
ctl.default {{ type pulse  server "{server}" }}
"""
_HEADSET = """
pcm.virtual_headset {{ type asym  playback.pcm {{ type pulse  server "{server}"  device "headset" }} }}
"""
_CLIENT = """
autospawn = no
enable-shm = no
cookie-file = {cookie}
"""


def is_installed() -> bool:
    """Whether the programs are there. PACKAGES brings them."""
    return shutil.which("pulseaudio") is not None and shutil.which("pactl") is not None


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float = 10.0) -> None:
    """Return when the condition holds; fail when it does not within the time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout_s:g} s in vain: {what}"
        time.sleep(0.01)


class SoundServer:
    """One instance; each has its own directory, and nothing outside of it is written.

    Args:
        directory: short, as a socket's path has at most 107 bytes.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._socket = directory / "socket"
        self._daemon: subprocess.Popen[bytes] | None = None
        server = f"unix:{self._socket}"
        self.environment = {
            "PULSE_SERVER": server,
            "PULSE_CLIENTCONFIG": str(directory / "client.conf"),
            "PULSE_COOKIE": str(directory / "cookie"),
            "PULSE_RUNTIME_PATH": str(directory),
            "ALSA_CONFIG_PATH": str(directory / "asound.conf"),
        }
        """The environment of a program that uses it."""
        (directory / "client.conf").write_text(_CLIENT.format(cookie=directory / "cookie"))
        self._configure()

    def start(self) -> None:
        """Start it, or start it again after `kill`."""
        self._socket.unlink(missing_ok=True)
        arguments = ["pulseaudio", "-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1"]
        # Served before other programs, as everywhere; where it may not be, it starts all the same.
        arguments += ["--disable-shm=yes", "--high-priority=yes", "--realtime=no", "--log-target=stderr"]
        arguments += ["--resample-method=speex-float-5"]
        arguments += ["-L", f"module-native-protocol-unix socket={self._socket} auth-anonymous=1"]
        # norewinds: otherwise a null sink renders 2 s ahead while idle, and the next stream waits for so long.
        sink = "module-null-sink norewinds=1 rate={rate} channels={channels} sink_name={name}"
        arguments += ["-L", sink.format(name="speaker", rate=RATE, channels=2)]
        arguments += ["-L", sink.format(name="room", rate=RATE, channels=1)]
        arguments += ["-L", "module-remap-source source_name=mic master=room.monitor"]
        environment = {**os.environ, **self.environment, "HOME": str(self._directory)}
        for name in ("DISPLAY", "DBUS_SESSION_BUS_ADDRESS"):
            environment.pop(name, None)
        with (self._directory / "log").open("ab") as log:
            self._daemon = subprocess.Popen(arguments, env=environment, stdout=log, stderr=log, start_new_session=True)
        wait_until(lambda: self._ready(self._daemon), "the sound server starts")
        self.control("set-default-sink", "speaker")
        self.control("set-default-source", "mic")

    def kill(self) -> None:
        """End it as a crash does. Idempotent."""
        if self._daemon is not None:
            self._daemon.kill()
            self._daemon.wait()
            self._daemon = None

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Have it answer nothing and move no sound, as before a computer sleeps."""
        if sys.platform == "win32":
            raise NotImplementedError("PulseAudio is not on Windows")
        assert self._daemon is not None
        self._daemon.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._daemon.send_signal(signal.SIGCONT)

    def restore(self) -> None:
        """Have everything work again."""
        self._configure()
        if self._daemon is None:
            self.start()
        self.control("set-default-sink", "speaker")
        self.stall("mic", False)
        self.stall("speaker", False)

    def control(self, *arguments: str) -> str:
        """Run pactl; what it says."""
        return subprocess.run(
            ["pactl", *arguments], env={**os.environ, **self.environment}, check=True, capture_output=True, text=True
        ).stdout.strip()

    def stall(self, what: str, on: bool) -> None:
        """Have "mic" or "speaker" stop without an error, as a headset that falls asleep; or go on."""
        kind = "suspend-source" if what == "mic" else "suspend-sink"
        self.control(kind, what, "1" if on else "0")

    @contextlib.contextmanager
    def headset(self) -> Iterator[None]:
        """Have another loudspeaker plugged in: ALSA's "virtual_headset", and the server's sink "headset"."""
        self._configure(_HEADSET)
        module = self.control("load-module", "module-null-sink", "norewinds=1", f"rate={RATE}", "sink_name=headset")
        try:
            yield
        finally:
            self._configure()
            self.control("unload-module", module)

    def unplug_headset(self) -> None:
        """Have it stop, and ALSA know it no longer. (Without the sink, PulseAudio would move what plays by itself.)"""
        self.control("suspend-sink", "headset", "1")
        self._configure()

    @contextlib.contextmanager
    def echo(self, delay_ms: int, gain_db: float) -> Iterator[None]:
        """Let the microphone hear the loudspeaker."""
        module = self.control(
            "load-module",
            "module-loopback",
            *("source=speaker.monitor", "sink=room", f"latency_msec={delay_ms}", "adjust_time=0"),
            *("source_dont_move=1", "sink_dont_move=1"),
        )
        try:
            inputs = self.control("list", "sink-inputs").split("Sink Input #")
            number = next(text.split()[0] for text in inputs if f"Owner Module: {module}" in text)
            self.control("set-sink-input-volume", number, f"{gain_db}dB")
            yield
        finally:
            self.control("unload-module", module)

    def say(self, audio: bytes, sample_rate: int) -> None:
        """Speak PCM16 mono into the microphone; returns when it has been said."""
        command = ["paplay", "--raw", "--device=room", "--format=s16le", "--channels=1", f"--rate={sample_rate}"]
        # paplay leaves before its last milliseconds are played.
        audio += bytes(sample_rate // 5 * 2)
        environment = {**os.environ, **self.environment}
        subprocess.run([*command, "/dev/stdin"], env=environment, input=audio, check=True)

    @contextlib.contextmanager
    def record(self, sample_rate: int, source: str = "speaker.monitor") -> Iterator["Recording"]:
        """Record what the loudspeaker plays, as PCM16 mono, for as long as the block takes."""
        command = ["parec", "--raw", f"--device={source}", "--format=s16le", "--channels=1"]
        path = self._directory / f"recording-{time.monotonic_ns()}.raw"
        with path.open("wb") as file:
            recorder = subprocess.Popen(
                [*command, f"--rate={sample_rate}", "--latency-msec=20"],
                env={**os.environ, **self.environment},
                stdout=file,
                stderr=subprocess.DEVNULL,
            )
            recording = Recording(path)
            try:
                wait_until(lambda: bool(recording.audio), "the recorder begins")
                yield recording
            finally:
                recorder.terminate()
                recorder.wait()

    def _configure(self, more: str = "") -> None:
        # Complete and small: PortAudio tries whatever it finds here.
        text = (_ALSA + more).format(server=self.environment["PULSE_SERVER"])
        # A new file: ALSA takes one that changed within the same second for the same.
        fresh = self._directory / f"asound-{time.monotonic_ns()}.conf"
        fresh.write_text(text)
        fresh.replace(self._directory / "asound.conf")

    def _ready(self, daemon: "subprocess.Popen[bytes] | None") -> bool:
        assert daemon is not None
        assert daemon.poll() is None, (self._directory / "log").read_text()
        if not self._socket.exists():
            return False
        with contextlib.suppress(subprocess.CalledProcessError):
            return "mic" in self.control("list", "short", "sources").split()
        return False


class Recording:
    """The recording so far."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def audio(self) -> bytes:
        audio = self._path.read_bytes()
        return audio[: len(audio) & ~1]
