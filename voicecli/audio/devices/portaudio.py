"""PortAudio, loaded and called by one thread. The only importer of `sounddevice`.

There is one PortAudio in a process; it is not thread-safe, and knows only the devices that were there when it was
initialised. So one thread makes all calls, in order, and initialises it again when devices have come or gone, which
closes every stream there is: streams that are to be kept open are registered here.
"""

import asyncio
import contextlib
import logging
import queue
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol, TypeVar

from voicecli.audio.devices.advice import install_portaudio, restart_sound
from voicecli.audio.devices.stderr_guard import quiet_stderr, trim_stderr
from voicecli.errors import AudioDeviceError

__all__ = ["PORTAUDIO", "PortAudioThread", "Reopenable", "describe"]

_log = logging.getLogger(__name__)

_T = TypeVar("_T")

# PortAudio answers within milliseconds; opening a Bluetooth headset takes seconds. What takes longer hangs.
_ANSWER_TIMEOUT_S = 10.0
_EXIT_TIMEOUT_S = 2.0  # it takes a few ms
_TRIM_S = 10.0  # how often it is looked, when nothing else is to do, what C has written to the terminal meanwhile
# At the first call PortAudio looks for devices, of which drivers make half a minute on Windows, rarely.
_FIRST_ANSWER_TIMEOUT_S = 40.0
_NEW_S = 2.0  # so long after PortAudio was loaded it knows all devices that anybody could expect


class Reopenable(Protocol):
    """A stream that can be closed and opened again; both are called by the PortAudio thread only."""

    @property
    def alive(self) -> bool:
        """Whether audio flows through it."""

    def close_now(self) -> None: ...
    def open_now(self, portaudio: Any) -> None: ...


def _import_sounddevice() -> Any:
    import sounddevice

    return sounddevice


class PortAudioThread:
    """The thread that makes all calls to PortAudio; it starts with the first one.

    Args:
        load: loads `sounddevice`, which initialises PortAudio.

    Attributes:
        streams: those that are open or to be opened again; for calls on this thread alone.
    """

    def __init__(self, load: Callable[[], Any] = _import_sounddevice) -> None:
        self.streams: weakref.WeakSet[Reopenable] = weakref.WeakSet()
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._start = threading.Lock()
        self._load_portaudio = load
        self._portaudio: Any = None
        self._loaded_at = float("-inf")

    def submit(self, call: Callable[[Any], _T]) -> "Future[_T]":
        """Have `call` called with the `sounddevice` module. Its PortAudioError becomes an AudioDeviceError here."""
        future: Future[_T] = Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                with quiet_stderr():
                    result = self._translated(call)
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)

        self._hand_over(run)
        return future

    def call(self, call: Callable[[Any], _T]) -> _T:
        """Wait for what `call` returns.

        Raises:
            AudioDeviceError: PortAudio is missing, fails, or does not answer; and what `call` raises.
        """
        try:
            return self.submit(call).result(self._timeout_s)
        except TimeoutError:
            raise _no_answer() from None

    async def run(self, call: Callable[[Any], _T]) -> _T:
        """Wait as `call` does, without holding up the event loop."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return await asyncio.wrap_future(self.submit(call))
        except TimeoutError:
            raise _no_answer() from None

    async def run_regardless(self, call: Callable[[Any], object], timeout_s: float) -> None:
        """Have `call` made, now or when a driver that hangs wakes up; wait for it no longer than `timeout_s`.

        Neither the end of that time nor a cancellation takes it back. What it raises is only logged.
        """

        def ended(future: "asyncio.Future[object]") -> None:
            if not future.cancelled() and (error := future.exception()):
                _log.debug("%s", error)

        future = asyncio.wrap_future(self.submit(call))
        future.add_done_callback(ended)
        await asyncio.wait([future], timeout=timeout_s)

    def refresh(self, portaudio: Any, *, unless_new: bool = False) -> None:
        """List the devices anew. Streams that are alive are interrupted for it, and opened again.

        For calls on this thread alone.

        Args:
            unless_new: only where PortAudio was not loaded just before: to initialise it takes a second on Windows.
        """
        if unless_new and time.perf_counter() - self._loaded_at < _NEW_S:
            return
        self._loaded_at = float("-inf")
        interrupted = [stream for stream in self.streams if stream.alive]
        for stream in list(self.streams):
            stream.close_now()
        try:
            portaudio._terminate()
        except portaudio.PortAudioError as error:  # it was not initialised: the last time, that failed
            _log.debug("%s", describe(error))
        portaudio._initialize()
        for stream in interrupted:
            try:
                stream.open_now(portaudio)
            except (AudioDeviceError, portaudio.PortAudioError) as error:  # its watchdog will see to it
                _log.debug("%s", describe(error))

    def shut_down(self) -> bool:
        """End PortAudio, as sounddevice does by itself at the end of a program; but wait no longer than 2 s for it.

        Returns:
            whether it has ended. Otherwise the driver hangs, and will call what is gone if the interpreter ends in
            good order: leave by `os._exit`.
        """
        if self._portaudio is None:
            return True
        with contextlib.suppress(Exception):
            self.submit(lambda portaudio: portaudio._exit_handler()).result(_EXIT_TIMEOUT_S)
            return True
        return False

    def _hand_over(self, run: Callable[[], None]) -> None:
        with self._start:
            if self._thread is None:
                # A daemon: what hangs in a driver must not keep the program from ending.
                self._thread = threading.Thread(target=self._serve, name="voicecli-portaudio", daemon=True)
                self._thread.start()
        self._calls.put(run)

    def _serve(self) -> None:
        while True:
            try:
                run = self._calls.get(timeout=_TRIM_S)
            except queue.Empty:
                trim_stderr()
            else:
                run()

    def _translated(self, call: Callable[[Any], _T]) -> _T:
        portaudio = self._load()
        try:
            return call(portaudio)
        except portaudio.PortAudioError as error:
            raise _failed(error) from error

    def _load(self) -> Any:
        if self._portaudio is None:
            try:
                self._portaudio = self._load_portaudio()
            except OSError as error:
                raise AudioDeviceError(
                    f"The library PortAudio is missing ({error}).", advice=install_portaudio()
                ) from error
            except ImportError:  # voicecli is not installed as it should be, which no advice about sound can mend
                raise
            except Exception as error:  # a PortAudioError, whose class is gone with the module that failed to load
                raise _failed(error) from error
            self._loaded_at = time.perf_counter()
        return self._portaudio

    @property
    def _timeout_s(self) -> float:
        return _ANSWER_TIMEOUT_S if self._portaudio is not None else _FIRST_ANSWER_TIMEOUT_S


PORTAUDIO = PortAudioThread()
"""The PortAudio thread of this process."""


def describe(error: Exception) -> str:
    """PortAudio's words for an error. Its `str()` asks PortAudio once more, which may fail; on its thread only."""
    try:
        return str(error)
    except Exception:
        return str(error.args[0])


def _no_answer() -> AudioDeviceError:
    return AudioDeviceError("PortAudio does not answer.", advice=restart_sound())


def _failed(error: Exception) -> AudioDeviceError:
    return AudioDeviceError(f"PortAudio failed: {describe(error)}.", advice=restart_sound())
