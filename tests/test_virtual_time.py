"""The clock of tests: it jumps over waiting, and moves for nothing else."""

import asyncio
import threading
import time
from functools import partial

import pytest

from tests.loopback.faulty import tcp_server
from tests.support.virtual_time import virtual_time
from voicecli.threads import Worker, run_in_thread

WORK_S = 0.05
"""In real time: many times what the clock waits for a socket."""


def work(seconds: float = WORK_S) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(await reader.read(1))


@virtual_time
async def test_work_takes_no_time_where_sockets_are() -> None:
    loop = asyncio.get_running_loop()
    async with tcp_server(echo) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        began = loop.time()
        work()
        writer.write(b"x")
        assert await reader.read(1) == b"x"
        assert loop.time() - began < 0.001
        await asyncio.sleep(3_600)
        assert loop.time() - began == pytest.approx(3_600, abs=0.001)
        writer.close()


@virtual_time
async def test_the_clock_stands_while_a_thread_works() -> None:
    async with asyncio.timeout(0.001):
        await run_in_thread(work)


@virtual_time
async def test_a_thread_is_not_overtaken_that_was_just_given_work() -> None:
    """Again and again, as it depends on how soon the thread is let run."""
    worker = Worker("idle")
    for _ in range(150):
        async with asyncio.timeout(0.001):
            await worker.run(partial(work, WORK_S / 20))
    await worker.aclose()


@virtual_time
async def test_the_clock_goes_on_while_a_thread_waits() -> None:
    worker, never = Worker("idle"), threading.Event()
    await worker.run(work)
    hangs = asyncio.create_task(run_in_thread(never.wait, 60))
    began = time.monotonic()
    await asyncio.sleep(3_600)
    assert time.monotonic() - began < 60
    never.set()
    assert await hangs
    await worker.aclose()
