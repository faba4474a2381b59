"""What a conversation costs, beside a plain loop written by hand for the same server in the same run.

    python -m benchmarks.connection [--rounds 5] [--sessions 300] [--seconds 15] [--json]

A conversation: 20 ms of audio up 50 times a second; down, 10 times a second, 100 ms of audio and a piece of
transcript. Both are OpenAI's frames at their real sizes. The server is a process of its own, on another core
where there is one, and throws away what it reads. The plain loop is `websockets` without compression, `json` and
`base64`, with nothing around it: no queue, no redial, no codec state. Beside it stand the codec with its connection,
and what programs use: a session, with `send_audio` up and two coroutine handlers down.

* cpu: ms of CPU for a minute of conversation, median of the rounds. The minute is played at 10 times its speed.
* latency: from the server's write to the program's hands, 20 conversations at their real speed.
* crowd: the same with many conversations on one core. Latencies and CPU are of the time after the first third: all
  handshakes at once are not the conversation.
* memory: resident memory for each of the crowd's conversations, on Linux.

Audio goes up when it is due, however busy the machine is, so that a run lasts about 4 min, and with `--seconds 5
--rounds 3` one. On a busy machine only CPU means something.
"""

import argparse
import asyncio
import base64
import gc
import json
import math
import multiprocessing
import os
import random
import statistics
import struct
import sys
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection as Pipe
from typing import Any

from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from benchmarks.process_memory import resident_mb
from voicecli import RealtimeVoice
from voicecli.commands import AppendAudio
from voicecli.config import RealtimeConfig
from voicecli.connection.websocket import WebSocketConnection
from voicecli.errors import RealtimeError
from voicecli.events import AudioChunk, TranscriptUpdate
from voicecli.ports import Capabilities, ConversationSetup
from voicecli.providers.openai import OpenAICodec

__all__ = ["main"]

CHUNK = bytes(range(240)) * 4  # 20 ms at 24 kHz
DELTA_BYTES = 4_800  # 100 ms
CHUNKS_PER_S = 50
CAPABILITIES = Capabilities(input_rate=24_000, output_rate=24_000)


@dataclass(frozen=True)
class Talked:
    """One conversation, without its beginning and end.

    Attributes:
        latencies: of each piece of audio, in ms.
        cpu_s: of the process while it lasted.
    """

    latencies: list[float]
    cpu_s: float


Talk = Callable[[str, float, float], Coroutine[Any, Any, Talked]]
"""Holds a conversation: URL, seconds of it, how many times its real speed."""


# The server, in a process of its own


class _Discard(asyncio.Protocol):
    """Takes what comes and forgets it, at next to no cost."""

    def __init__(self, lost: asyncio.Event) -> None:
        self._lost = lost

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost.set()


def _frame(message: bytes) -> bytes:
    """An unmasked text frame."""
    if len(message) < 126:
        return bytes([0x81, len(message)]) + message
    return struct.pack("!BBH", 0x81, 126, len(message)) + message


def _json_frame(kind: str, **fields: object) -> bytes:
    return _frame(json.dumps({"type": kind, "event_id": "event_BJhGUIswO2u7vA2Cxw3Jy", **fields}).encode())


_IDS = {
    "response_id": "resp_BJhGUIswO2u7vA2Cxw3Jy",
    "item_id": "item_BJhGUIswO2u7vA2Cxw3Jz",
    "output_index": 0,
    "content_index": 0,
}
_ITEM = {"id": _IDS["item_id"], "object": "realtime.item", "type": "message", "role": "assistant", "content": []}
_BEGIN = _json_frame("response.created", response={"id": _IDS["response_id"], "status": "in_progress"}) + _json_frame(
    "response.output_item.added", response_id=_IDS["response_id"], output_index=0, item=_ITEM
)
_TEXT = _json_frame("response.output_audio_transcript.delta", **_IDS, delta=" and so on")
_AUDIO_HEAD, _AUDIO_TAIL = (
    json.dumps({"type": "response.output_audio.delta", "event_id": "event_BJhGUIswO2u7vA2Cxw3Jy", **_IDS, "delta": "@"})
    .encode()
    .split(b"@")
)
_SILENCE = base64.b64encode(bytes(DELTA_BYTES - 24))


def _audio() -> bytes:
    """100 ms of audio whose first bytes are the time at which it was sent."""
    stamp = base64.b64encode(struct.pack("<qqq", time.monotonic_ns(), 0, 0))
    return _frame(_AUDIO_HEAD + stamp + _SILENCE + _AUDIO_TAIL)


async def _talk_back(connection: ServerConnection) -> None:
    assert connection.request is not None
    speed = float(connection.request.headers.get("X-Speed", "1"))
    session = {"id": "sess_1", "object": "realtime.session", "type": "realtime", "model": "gpt-realtime-2.1"}
    try:
        await connection.send(json.dumps({"type": "session.created", "event_id": "e", "session": session}))
        await connection.recv()
        await connection.send(json.dumps({"type": "session.updated", "event_id": "e", "session": session}))
    except ConnectionClosed:
        return
    transport, lost = connection.transport, asyncio.Event()
    transport.set_protocol(_Discard(lost))
    transport.write(_BEGIN)
    period = 0.1 / speed
    # Each conversation has a phase of its own, as conversations have.
    loop = asyncio.get_running_loop()
    due = loop.time() + period * (id(connection) // 64 % 97) / 97
    while not lost.is_set():
        await asyncio.sleep(due - loop.time())
        due += period
        transport.write(_audio() + _TEXT)


def _serve(pipe: Pipe, core: int | None) -> None:
    _pin(core)

    async def run() -> None:
        server = await serve(_talk_back, "127.0.0.1", 0, compression=None, ping_interval=None, backlog=1_000)
        pipe.send(next(iter(server.sockets)).getsockname()[1])
        await asyncio.get_running_loop().run_in_executor(None, pipe.recv)
        os._exit(0)  # the conversations end with the process

    asyncio.run(run())


def _pin(core: int | None) -> None:
    if core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})


# The clients


async def plain(url: str, seconds: float, speed: float) -> Talked:
    latencies: list[float] = []
    # The server throws pings away, too: without a pong the library would hang up after 40 s.
    headers = {"X-Speed": str(speed)}
    async with connect(
        url, compression=None, max_size=None, ping_interval=None, additional_headers=headers
    ) as websocket:

        async def speak() -> None:
            due = time.monotonic()
            for _ in range(round(seconds * CHUNKS_PER_S)):
                audio = base64.b64encode(CHUNK).decode()
                await websocket.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))
                due += 1 / CHUNKS_PER_S / speed
                await asyncio.sleep(due - time.monotonic())

        async def listen() -> None:
            text = ""
            async for message in websocket:
                event = json.loads(message)
                kind = event["type"]
                if kind == "response.output_audio.delta":
                    latencies.append(_age_ms(base64.b64decode(event["delta"])))
                elif kind == "response.output_audio_transcript.delta":
                    text += event["delta"]

        await websocket.recv()
        await websocket.send(json.dumps({"type": "session.update", "session": {"type": "realtime"}}))
        await websocket.recv()
        listening = asyncio.create_task(listen())
        before = time.process_time()
        await speak()
        cpu = time.process_time() - before
        listening.cancel()
        # Not part of the conversation: the server does not answer a goodbye.
        websocket.transport.abort()
    return Talked(latencies, cpu)


async def codec_and_connection(url: str, seconds: float, speed: float) -> Talked:
    latencies: list[float] = []
    config = RealtimeConfig(base_url=url, api_key="sk-benchmark", headers={"X-Speed": str(speed)})
    connection = await WebSocketConnection.open(OpenAICodec(ConversationSetup(config)), CAPABILITIES, config)

    async def speak() -> None:
        due = time.monotonic()
        for _ in range(round(seconds * CHUNKS_PER_S)):
            await connection.send(AppendAudio(CHUNK))
            due += 1 / CHUNKS_PER_S / speed
            await asyncio.sleep(due - time.monotonic())

    async def listen() -> None:
        async for event in connection:
            if isinstance(event, AudioChunk):
                latencies.append(_age_ms(event.audio))
            elif isinstance(event, TranscriptUpdate):
                pass

    listening = asyncio.create_task(listen())
    before = time.process_time()
    await speak()
    cpu = time.process_time() - before
    listening.cancel()
    await connection.aclose()
    return Talked(latencies, cpu)


async def session(url: str, seconds: float, speed: float) -> Talked:
    latencies: list[float] = []
    config = RealtimeConfig(base_url=url, api_key="sk-benchmark", headers={"X-Speed": str(speed)})
    voice = RealtimeVoice("openai", config=config)

    @voice.on_audio
    async def hear(audio: bytes) -> None:
        latencies.append(_age_ms(audio))

    @voice.on_transcript
    async def read(text: str, final: bool) -> None:
        pass

    async with voice.connect() as talk:
        before, due = time.process_time(), time.monotonic()
        for _ in range(round(seconds * CHUNKS_PER_S)):
            await talk.send_audio(CHUNK)
            due += 1 / CHUNKS_PER_S / speed
            await asyncio.sleep(due - time.monotonic())
        cpu = time.process_time() - before
    return Talked(latencies, cpu)


def _age_ms(audio: bytes) -> float:
    sent: int = struct.unpack_from("<q", audio)[0]
    return (time.monotonic_ns() - sent) / 1e6


# The measurements


@dataclass(frozen=True)
class Crowd:
    """Many conversations at once; latencies in ms."""

    sessions: int
    p50_ms: float
    p95_ms: float
    core_busy: float
    kb_per_session: float | None


async def _cpu_per_minute(talk: Talk, url: str, seconds: float) -> float:
    gc.collect()
    await asyncio.sleep(1.0)  # the server clears up after the last one
    return (await talk(url, seconds, 10.0)).cpu_s * 60 / seconds


def _crowd(talk: Talk, url: str, sessions: int, seconds: float) -> dict[str, Any]:
    """In a process of its own: another crowd's memory would be used again."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return asdict(pool.submit(_run_crowd, talk, url, sessions, seconds).result())


def _run_crowd(talk: Talk, url: str, sessions: int, seconds: float) -> Crowd:
    return asyncio.run(_hold_crowd(talk, url, sessions, seconds))


async def _hold_crowd(talk: Talk, url: str, sessions: int, seconds: float) -> Crowd:
    await talk(url, 1.0, 10.0)  # loads what is loaded once
    gc.collect()
    memory = resident_mb()
    talks = [asyncio.create_task(talk(url, seconds, 1.0)) for _ in range(sessions)]
    await asyncio.sleep(seconds / 3)
    cpu, began = time.process_time(), time.perf_counter()
    await asyncio.sleep(seconds / 2)
    busy = (time.process_time() - cpu) / (time.perf_counter() - began)
    grown_kb = (resident_mb() - memory) * 1000
    talked = [each.latencies for each in await asyncio.gather(*talks)]
    latencies = [late for each in talked for late in each[len(each) // 3 :]]
    quantiles = statistics.quantiles(latencies, n=20)
    kb_per_session = None if math.isnan(grown_kb) else grown_kb / sessions
    return Crowd(sessions, statistics.median(latencies), quantiles[-1], busy, kb_per_session)


async def measure(url: str, rounds: int, sessions: int, seconds: float) -> dict[str, Any]:
    clients: dict[str, Talk] = {"plain": plain, "connection": codec_and_connection, "session": session}
    cpu: dict[str, list[float]] = {name: [] for name in clients}
    for talk in clients.values():
        await talk(url, 3.0, 10.0)  # warms up what is loaded and cached once
    for _ in range(rounds):
        # In random order: a machine gets faster and slower in the course of a run.
        for name in random.sample(list(clients), len(clients)):
            cpu[name].append(await _cpu_per_minute(clients[name], url, seconds * 2))
    return {
        "cpu_s_per_minute": {name: statistics.median(taken) for name, taken in cpu.items()},
        "cpu_ratio": {
            name: statistics.median(ours / theirs for ours, theirs in zip(taken, cpu["plain"], strict=True))
            for name, taken in cpu.items()
        },
        "at_20": {name: _crowd(talk, url, 20, seconds) for name, talk in clients.items()},
        "crowd": {name: _crowd(talk, url, sessions, seconds) for name, talk in clients.items()},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sessions", type=int, default=300)
    parser.add_argument(
        "--seconds", type=float, default=15.0, help="of each conversation; twice that at ten times the speed"
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    ours, theirs = (cores[0], cores[1]) if len(cores) > 1 else (None, None)
    context = multiprocessing.get_context("spawn")
    pipe, other_end = context.Pipe()
    server = context.Process(target=_serve, args=(other_end, theirs), daemon=True)
    server.start()
    _pin(ours)
    try:
        found = asyncio.run(
            measure(f"ws://127.0.0.1:{pipe.recv()}/v1", options.rounds, options.sessions, options.seconds)
        )
    except RealtimeError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    finally:
        server.terminate()
        server.join()
    if options.json:
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
        return 0
    for name, seconds in found["cpu_s_per_minute"].items():
        ratio = found["cpu_ratio"][name]
        sys.stdout.write(f"cpu      {name:10} {seconds * 1000:6.0f} ms for a minute of conversation: {ratio:.2f}\n")
    for title in ("at_20", "crowd"):
        for name, crowd in found[title].items():
            memory = "memory not known" if crowd["kb_per_session"] is None else f"{crowd['kb_per_session']:.0f} kB each"
            sys.stdout.write(
                f"{title:8} {name:10} {crowd['sessions']} conversations: latency p50 {crowd['p50_ms']:.2f} ms, "
                f"p95 {crowd['p95_ms']:.2f} ms, core {crowd['core_busy']:.0%} busy, {memory}\n"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
