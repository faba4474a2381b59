"""Talk through microphone and loudspeaker; Ctrl-C ends. Speak into the reply to interrupt it.

python microphone.py [PROVIDER]
"""

import asyncio
import contextlib
import sys

from voicecli import RealtimeConfig, RealtimeError, RealtimeVoice, VADMode
from voicecli.events import Event, Notice
from voicecli.providers import Provider


def tell(event: Event) -> None:
    """Show what becomes of the devices: one may be lost, and back, amid the conversation."""
    if isinstance(event, Notice):
        print(f"({event.message})")


async def main(provider: str | Provider | None = None) -> None:
    voice = RealtimeVoice(provider, config=RealtimeConfig(vad_mode=VADMode.CLIENT))

    @voice.on_connect
    async def ready() -> None:
        print("Speak. Ctrl-C ends.")

    @voice.on_transcript
    async def show(text: str, is_final: bool, role: str) -> None:
        if is_final:
            print(f"{role}: {text}")

    # The default devices; what the microphone hears of the loudspeaker is taken out.
    await voice.talk(echo="auto", observers=[tell])


if __name__ == "__main__":
    try:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else None))
    except RealtimeError as error:
        sys.exit(str(error))
