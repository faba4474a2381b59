"""A recording, or a line of text, against a scripted provider."""

import asyncio
from collections.abc import AsyncIterator, Iterable

import pytest

from tests.support.virtual_time import virtual_time
from voicecli import RealtimeConfig, RealtimeVoice, VADMode
from voicecli.audio import Playhead
from voicecli.commands import AppendAudio, Command, EndTurn, SendText, StartTurn
from voicecli.conversation.duplex import converse
from voicecli.errors import AudioFormatError, RealtimeConnectionError, RealtimeError
from voicecli.events import (
    AudioChunk,
    Event,
    Interrupted,
    ResponseDone,
    ResponseStarted,
    SessionEnded,
    SessionStarted,
    SpeechStarted,
    SpeechStopped,
    TranscriptUpdate,
)
from voicecli.ports import Capabilities
from voicecli.testing import ScriptedConnection, Step, reply, scripted_provider

RATE = 16_000


class ListSource:
    """Chunks from a list; an exception among them is raised there."""

    sample_rate = RATE

    def __init__(self, chunks: Iterable[bytes | Exception], *, realtime: bool = False, endless: bool = False) -> None:
        self._chunks = chunks
        self._endless = endless
        self.realtime = realtime

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            if isinstance(chunk, Exception):
                raise chunk
            yield chunk
            await asyncio.sleep(0)
        if self._endless:
            await asyncio.Event().wait()

    async def aclose(self) -> None:
        return


class ListSink:
    """Keeps what it is given, as (item, audio)."""

    sample_rate = 24_000

    def __init__(self) -> None:
        self.written: list[tuple[str, bytes]] = []
        self.ends = 0
        self.drained = False

    def write(self, audio: bytes, item_id: str) -> None:
        self.written.append((item_id, audio))

    def end(self) -> None:
        self.ends += 1

    def clear(self) -> Playhead | None:
        return None

    def pause(self) -> None: ...
    def resume(self) -> None: ...
    async def drain(self) -> None:
        self.drained = True

    async def aclose(self) -> None:
        return


def chunks(audio: bytes, size: int = 3_200) -> list[bytes]:
    return [audio[start : start + size] for start in range(0, len(audio), size)]


async def hold(
    source: ListSource | str,
    *script: list[Step],
    config: RealtimeConfig,
    sink: ListSink | None = None,
    connection: ScriptedConnection | None = None,
) -> tuple[list[Event], ScriptedConnection]:
    connection = connection or ScriptedConnection(script)
    events: list[Event] = []
    async with RealtimeVoice(scripted_provider(connection=connection), config=config).connect() as session:
        await converse(session, source, sink, [events.append])
    return events, connection


async def test_each_utterance_of_a_recording_waits_for_the_reply_to_the_last(speech: bytes) -> None:
    silence = bytes(RATE * 2 * 2)
    recording = speech + silence + speech + silence + speech
    sink = ListSink()
    script = [reply(f"Answer {n}.", response_id=f"r{n}", audio=bytes([n, 0])) for n in range(3)]
    events, connection = await hold(
        ListSource(chunks(recording)), *script, config=RealtimeConfig(vad_mode=VADMode.CLIENT), sink=sink
    )
    turns = [type(command) for command in connection.commands if not isinstance(command, AppendAudio)]
    assert turns == [StartTurn, EndTurn] * 3
    order = [type(event) for event in events if isinstance(event, SpeechStarted | SpeechStopped | ResponseDone)]
    assert order == [SpeechStarted, SpeechStopped, ResponseDone] * 3
    assert sink.written == [(f"r{n}_item", bytes([n, 0])) for n in range(3)]
    assert sink.ends == 3
    assert sink.drained
    assert isinstance(events[0], SessionStarted)
    assert isinstance(events[-1], SessionEnded)


async def test_several_sources_follow_each_other_when_the_reply_has_been_heard(speech: bytes) -> None:
    class Slow(ListSink):
        """Notes how much there was when it was waited for."""

        def __init__(self) -> None:
            super().__init__()
            self.heard: list[int] = []

        async def drain(self) -> None:
            self.heard.append(len(self.written))

    sink = Slow()
    connection = ScriptedConnection([reply(f"Answer {n}.", response_id=f"r{n}", audio=bytes([n, 0])) for n in range(3)])
    config = RealtimeConfig(vad_mode=VADMode.CLIENT)
    sources: list[ListSource | str] = [ListSource(chunks(speech)), "And in writing?", ListSource(chunks(speech))]
    async with RealtimeVoice(scripted_provider(connection=connection), config=config).connect() as session:
        await converse(session, iter(sources), sink)
    turns = [type(command) for command in connection.commands if not isinstance(command, AppendAudio)]
    assert turns == [StartTurn, EndTurn, SendText, StartTurn, EndTurn]
    assert sink.heard[:3] == [1, 2, 3]


async def test_a_source_that_ends_within_a_turn_leaves_no_reply_paused(speech: bytes) -> None:
    class Pausable(ListSink):
        """Drained when it plays."""

        def __init__(self) -> None:
            super().__init__()
            self.plays = asyncio.Event()
            self.plays.set()

        def pause(self) -> None:
            self.plays.clear()

        def resume(self) -> None:
            self.plays.set()

        async def drain(self) -> None:
            await self.plays.wait()
            self.drained = True

    sink = Pausable()
    source = ListSource(chunks(speech), realtime=True)
    capabilities = Capabilities(input_rate=24_000, output_rate=24_000, words_first=True)
    connection = ScriptedConnection(capabilities=capabilities)
    async with asyncio.timeout(10):
        await hold(source, config=RealtimeConfig(vad_mode=VADMode.CLIENT), sink=sink, connection=connection)
    assert any(isinstance(command, StartTurn) for command in connection.commands)
    assert sink.drained


@virtual_time
async def test_whoever_ends_the_conversation_waits_for_no_sound() -> None:
    """As `q` does, in the middle of a long reply: the microphone may be closed before the provider has answered."""

    class Microphone(ListSource):
        ended = asyncio.Event()

        async def __aiter__(self) -> AsyncIterator[bytes]:
            await self.ended.wait()
            return
            yield b""

    class Endless(ListSink):
        async def drain(self) -> None:
            await asyncio.Event().wait()

    class Slow(ScriptedConnection):
        async def aclose(self) -> None:
            await asyncio.sleep(1)
            await super().aclose()

    voice = RealtimeVoice(scripted_provider(connection=Slow()), config=RealtimeConfig(vad_mode=VADMode.CLIENT))
    microphone = Microphone([], realtime=True)
    async with voice.connect() as session, asyncio.timeout(5):
        talking = asyncio.create_task(converse(session, microphone, Endless()))
        await asyncio.sleep(1)
        ending = asyncio.create_task(session.aclose())
        await asyncio.sleep(0)
        microphone.ended.set()
        await asyncio.wait([talking, ending])
        assert talking.exception() is None


async def test_what_was_on_its_way_when_the_reply_was_cut_is_not_played() -> None:
    class Cleared(ListSink):
        def clear(self) -> Playhead | None:
            self.written.clear()
            return None

    sink = Cleared()
    connection = ScriptedConnection()
    first: list[Step] = [
        ResponseStarted("r"),
        AudioChunk(b"\1\0", "r", "item"),
        Interrupted("r", "item"),
        ResponseDone("r"),
    ]
    second: list[Step] = [
        ResponseStarted("r2"),
        AudioChunk(b"\2\0", "r2", "item2"),
        ResponseDone("r2"),
        SessionEnded("bye"),
    ]
    connection.play([*first, *second])
    await hold(ListSource([], endless=True), config=RealtimeConfig(), sink=sink, connection=connection)
    assert sink.written == [("item2", b"\2\0")]


async def test_without_turn_detection_a_recording_is_one_turn(speech: bytes) -> None:
    _, connection = await hold(ListSource(chunks(speech)), reply("Yes."), config=RealtimeConfig(vad_mode=VADMode.NONE))
    assert sum(isinstance(command, EndTurn) for command in connection.commands) == 1
    assert abs(len(connection.audio) - len(speech) * 24_000 / RATE) < 4


async def test_turns_found_by_the_provider_are_waited_for() -> None:
    """The provider reports the end of the first turn amid the recording; the rest waits for its reply."""
    connection = ScriptedConnection([reply("Second.", response_id="r2")])

    async def source() -> AsyncIterator[bytes]:
        yield bytes(64)
        connection.play([SpeechStarted(), SpeechStopped()])
        await asyncio.sleep(0.01)
        yield bytes(64)
        done = [event for event in events if isinstance(event, ResponseDone)]
        assert len(done) == 1, "the second half was asked for before the first was answered"
        yield bytes(64)

    class Source(ListSource):
        def __aiter__(self) -> AsyncIterator[bytes]:
            return source()

    events: list[Event] = []

    def answer(event: Event) -> None:
        events.append(event)
        if isinstance(event, SpeechStopped):
            asyncio.get_running_loop().call_later(0.02, connection.play, reply("First.", response_id="r1"))

    config = RealtimeConfig(vad_mode=VADMode.SERVER)
    async with RealtimeVoice(scripted_provider(connection=connection), config=config).connect() as session:
        await converse(session, Source([]), None, [answer])
    assert [event.response_id for event in events if isinstance(event, ResponseDone)] == ["r1", "r2"]


async def test_a_line_of_text_is_one_turn() -> None:
    sink = ListSink()
    events, _ = await hold("Hello", reply("Yes."), config=RealtimeConfig(), sink=sink)
    assert sum(isinstance(event, ResponseDone) for event in events) == 1
    assert len(sink.written) == 1


async def test_a_source_that_breaks_ends_it_after_what_came_before(speech: bytes) -> None:
    source = ListSource([*chunks(speech), AudioFormatError("The file is damaged.")])
    with pytest.raises(AudioFormatError, match="damaged"):
        await hold(source, reply("Yes."), config=RealtimeConfig(vad_mode=VADMode.NONE))


async def test_a_provider_that_fails_ends_it_while_the_microphone_waits() -> None:
    connection = ScriptedConnection()
    connection.play([RealtimeConnectionError("The line is dead.")])
    with pytest.raises(RealtimeConnectionError, match="dead"):
        await hold(ListSource([], realtime=True, endless=True), config=RealtimeConfig(), connection=connection)


async def test_a_provider_that_ends_it_ends_it_quietly() -> None:
    connection = ScriptedConnection()
    connection.play([SessionEnded("Good night.")])
    events, _ = await hold(ListSource([], realtime=True, endless=True), config=RealtimeConfig(), connection=connection)
    assert events[-1] == SessionEnded("Good night.")


async def test_no_answer_is_an_error(speech: bytes) -> None:
    config = RealtimeConfig(vad_mode=VADMode.NONE, response_timeout_s=0.05)
    with pytest.raises(RealtimeError, match="No answer came"):
        await hold(ListSource(chunks(speech)), config=config)


async def test_the_sink_knows_at_once_and_of_the_right_reply_that_it_is_complete() -> None:
    """Its words, and its end with them, wait for the user's; a reply that only calls a tool has no sound to end."""

    class Noting(ListSink):
        def end(self) -> None:
            self.written.append(("end", b""))

    sink, connection = Noting(), ScriptedConnection()
    sound = [AudioChunk(bytes([n, 0]), "r2", "item2") for n in range(3)]
    connection.play(
        [TranscriptUpdate("user", "u", "", False), ResponseStarted("r"), ResponseDone("r", awaits_tools=True)]
    )
    connection.play([ResponseStarted("r2"), *sound[:2], TranscriptUpdate("assistant", "item2", "Sun.", True)])
    connection.play([sound[2], ResponseDone("r2")])

    async def words() -> None:
        while not sink.written or sink.written[-1][0] != "end":
            await asyncio.sleep(0.001)
        connection.play([TranscriptUpdate("user", "u", "Weather?", True), SessionEnded("bye")])

    async with asyncio.timeout(1.5):
        telling = asyncio.create_task(words())
        await hold(ListSource([], endless=True), config=RealtimeConfig(), sink=sink, connection=connection)
        await telling
    assert sink.written == [*(("item2", bytes([n, 0])) for n in range(3)), ("end", b"")]


@pytest.mark.parametrize("ends", ["program", "provider"])
async def test_the_end_of_a_live_conversation_is_no_failure_of_the_microphone(ends: str) -> None:
    """Sound is on its way when the end comes."""

    class Ending(ScriptedConnection):
        async def send(self, command: Command) -> None:
            if ends == "program":
                await self.aclose()
            else:
                self.play([SessionEnded("bye")])
                self._closed = True
            await super().send(command)

    events, _ = await hold(
        ListSource([bytes(640)] * 3, realtime=True, endless=True), config=RealtimeConfig(), connection=Ending()
    )
    assert isinstance(events[-1], SessionEnded)


async def test_a_recording_that_could_not_be_sent_is_a_failure() -> None:
    class Ending(ScriptedConnection):
        async def send(self, command: Command) -> None:
            await self.aclose()
            await super().send(command)

    with pytest.raises(RealtimeConnectionError):
        await hold(ListSource([bytes(640)] * 3), config=RealtimeConfig(), connection=Ending())
