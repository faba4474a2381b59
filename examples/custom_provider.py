"""A provider of your own: a parrot, which repeats what is said to it. `RealtimeVoice(PARROT)` talks with it."""

import asyncio
import uuid
from collections.abc import AsyncIterator

from voicecli import RealtimeConnectionError, ask, events
from voicecli.commands import AppendAudio, ClearAudio, Command, EndTurn, SendText
from voicecli.providers import Capabilities, Connection, ConversationSetup, ModelInfo, Provider, VoiceInfo


class ParrotConnection:
    """A conversation under way (`Connection`): commands in, events out."""

    capabilities = Capabilities(input_rate=24_000, output_rate=24_000, images=False, tools=False, reports_speech=False)

    def __init__(self) -> None:
        self.heard = b""
        self.closed = False
        self.told: asyncio.Queue[events.Event] = asyncio.Queue()
        self.told.put_nowait(events.SessionStarted("parrot", "polly", "grey", 24_000, 24_000))

    async def send(self, command: Command) -> None:
        if self.closed:
            raise RealtimeConnectionError("The parrot has flown away.")
        match command:  # what is not for parrots is passed over
            case AppendAudio(audio):
                self.heard += audio
            case ClearAudio():
                self.heard = b""
            case EndTurn(input_id):
                self.answer("Kraa!", input_id, self.heard)
                self.heard = b""
            case SendText(text, input_id=input_id):
                self.answer(text, input_id)

    def answer(self, text: str, input_id: str, audio: bytes = bytes(4_800)) -> None:
        name = f"reply_{uuid.uuid4().hex[:8]}"
        self.told.put_nowait(events.ResponseStarted(name, (input_id,) if input_id else ()))
        self.told.put_nowait(events.AudioChunk(audio, name, name))
        self.told.put_nowait(events.TranscriptUpdate("assistant", name, text, final=True))
        self.told.put_nowait(events.ResponseDone(name))

    async def drain(self) -> None:
        """Nothing waits to be sent."""

    async def __aiter__(self) -> AsyncIterator[events.Event]:
        while not isinstance(event := await self.told.get(), events.SessionEnded):
            yield event
        yield event

    async def aclose(self) -> None:
        if not self.closed:
            self.closed = True
            self.told.put_nowait(events.SessionEnded("closed"))


async def connect(setup: ConversationSetup) -> Connection:
    return ParrotConnection()


PARROT = Provider(
    name="parrot",
    title="A parrot",
    capabilities=ParrotConnection.capabilities,
    default_model="polly",
    default_voice="grey",
    models=(ModelInfo("polly"),),
    voices=(VoiceInfo("grey"),),
    is_configured=lambda: True,
    setup_advice="It needs nothing.",
    connect=connect,
)


if __name__ == "__main__":
    print(ask("Hello, Polly!", PARROT).transcript)
