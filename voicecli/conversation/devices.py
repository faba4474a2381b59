"""Microphone and loudspeaker of this computer, wired to a session: echo control, and what becomes of the devices."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

from voicecli.audio import EchoMode
from voicecli.audio.devices.microphone import Microphone
from voicecli.audio.devices.speaker import Speaker
from voicecli.audio.echo.control import make_echo_control
from voicecli.audio.ports import EchoControl, OnRendered
from voicecli.conversation.duplex import Observer
from voicecli.conversation.session import VoiceSession
from voicecli.errors import RealtimeError
from voicecli.events import Notice

__all__ = ["Devices", "open_devices"]


@dataclass(frozen=True, slots=True)
class Devices:
    """The open devices of one conversation.

    Attributes:
        microphone: the user's voice, at the session's `input_rate`, without the echo of the reply.
        speaker: takes the reply, at the session's `output_rate`.
        echo: what takes the echo out; `active` says how.
    """

    microphone: Microphone
    speaker: Speaker
    echo: EchoControl


@contextlib.asynccontextmanager
async def open_devices(
    session: VoiceSession,
    *,
    microphone: str | int | None = None,
    speaker: str | int | None = None,
    echo: EchoMode = "auto",
    auto_gain_control: bool = False,
    observers: Iterable[Observer] = (),
    on_rendered: OnRendered | None = None,
) -> AsyncIterator[Devices]:
    """Open microphone and loudspeaker for a session, to `converse` through them; they are closed with the block.

        async with voice.connect() as session, open_devices(session) as devices:
            await converse(session, devices.microphone, devices.speaker)

    Args:
        microphone, speaker: a device's number or a part of its name; None for the default.
        echo: what keeps the model from hearing itself: "auto", "aec", "gate", "half-duplex" or "off" (headphones).
        auto_gain_control: whether a very soft voice is made louder, by up to 20 dB, while no reply is heard.
        on_rendered: is told all that the loudspeaker is given; `ConversationRecorder.rendered` is for it.
        observers: called with a Notice when a device is lost, back, or another one, as Microphone and Speaker tell.

    Raises:
        AudioDeviceError: a device cannot be used.
        ConfigurationError: an unknown way to control the echo, or one whose package is missing.
    """
    told = tuple(observers)
    pausing: set[asyncio.Task[None]] = set()

    def notice(code: str, message: str) -> None:
        for observer in told:
            observer(Notice(code, message))
        if code == "microphone_lost":  # whoever was speaking into it neither goes on nor falls silent
            task = asyncio.create_task(_pause(session), name="voicecli-pause")
            pausing.add(task)
            task.add_done_callback(pausing.discard)

    control = make_echo_control(echo, session.input_rate, session.output_rate, auto_gain_control=auto_gain_control)
    source = Microphone(session.input_rate, device=microphone, echo=control, on_notice=notice)
    sink = Speaker(
        session.output_rate,
        device=speaker,
        echo=control,
        on_notice=notice,
        on_sound=lambda: _heard(session),
        on_rendered=on_rendered,
        full_duplex=session.full_duplex,
    )
    session.echo = control
    try:
        await source.open()
        await sink.open()
        yield Devices(source, sink, control)
    finally:
        session.echo = None
        for task in pausing:
            task.cancel()
        # At once: a driver that hangs takes its time for each.
        await asyncio.gather(source.aclose(), sink.aclose())


async def _pause(session: VoiceSession) -> None:
    with contextlib.suppress(RealtimeError):  # it is over: whoever holds it is told
        await session.pause_audio()


def _heard(session: VoiceSession) -> None:
    session.sound_heard()
