"""Hear everything as it happens, by handlers: words while they are spoken, sound as it comes, errors."""

import asyncio
import sys

from voicecli import RealtimeConfig, RealtimeError, RealtimeVoice
from voicecli.providers import Provider


def make_voice(provider: str | Provider | None = None) -> RealtimeVoice:
    voice = RealtimeVoice(provider, config=RealtimeConfig(system_prompt="Answer in one sentence."))
    unplayed = bytearray()

    @voice.on_connect
    async def greet() -> None:
        print("Connected.")

    @voice.on_transcript
    async def show(text: str, is_final: bool, role: str) -> None:
        print(f"{role}: {text}", end="\n" if is_final else "\r", flush=True)

    @voice.on_audio
    def play(audio: bytes) -> None:  # a plain function: it runs in a thread, and may block
        unplayed.extend(audio)  # PCM16 mono at session.output_rate Hz

    @voice.on_interrupted
    async def stop() -> None:
        unplayed.clear()

    @voice.on_error
    async def complain(error: RealtimeError) -> None:
        print("error:", error, file=sys.stderr)

    @voice.on_disconnect
    async def bye() -> None:
        print(f"Disconnected, with {len(unplayed)} bytes of sound.")

    return voice


async def main(provider: str | Provider | None = None) -> None:
    async with make_voice(provider).connect() as session:
        for question in ("What is the capital of France?", "And of Italy?"):
            await session.ask(question)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except RealtimeError as error:
        sys.exit(str(error))
