"""Blocking work off the event loop: results, errors, order, cancellation, and the end of the program."""

import asyncio
import contextvars
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from voicecli.threads import Worker, run_in_thread

LIMIT_S = 30.0


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """An event that a hanging call waits for; set at the end of the test."""
    event = threading.Event()
    yield event
    event.set()


async def reached(event: threading.Event) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not event.is_set():
            await asyncio.sleep(0.001)


def fail_with(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


async def test_a_result_comes_from_another_thread() -> None:
    def where(number: int, *, name: str) -> tuple[int, str, bool]:
        return number, name, threading.current_thread() is threading.main_thread()

    assert await run_in_thread(where, 3, name="x") == (3, "x", False)


async def test_the_callers_context_is_seen() -> None:
    variable = contextvars.ContextVar("variable", default="unset")
    variable.set("set")
    worker = Worker("test")
    assert await run_in_thread(variable.get) == "set"
    assert await worker.run(variable.get) == "set"
    worker.stop()


@pytest.mark.parametrize("error", [ValueError("no"), asyncio.CancelledError()])
async def test_an_error_is_raised_to_the_caller(error: BaseException) -> None:
    worker = Worker("test")
    with pytest.raises(type(error)):
        await run_in_thread(fail_with(error))
    with pytest.raises(type(error)):
        await worker.run(fail_with(error))
    assert await worker.run(lambda: "still there") == "still there"
    worker.stop()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), StopIteration(), SystemExit(3)])
async def test_what_would_end_a_program_is_an_error_like_any_other(error: BaseException) -> None:
    worker = Worker("test")
    for attempt in (run_in_thread(fail_with(error)), worker.run(fail_with(error))):
        with pytest.raises(RuntimeError, match=type(error).__name__):
            await attempt
    worker.stop()


async def test_a_worker_calls_in_order_on_one_thread() -> None:
    worker, calls = Worker("test"), list[tuple[int, int]]()

    def note(number: int) -> Callable[[], None]:
        return lambda: calls.append((number, threading.get_ident()))

    for number in range(50):
        worker.submit(note(number))
    await asyncio.gather(*(worker.run(note(number)) for number in range(50, 100)))
    assert [number for number, _ in calls] == list(range(100))
    assert len({thread for _, thread in calls}) == 1
    worker.stop()


async def test_a_cancelled_call_that_waits_is_not_made(release: threading.Event) -> None:
    worker, running, calls = Worker("test"), threading.Event(), list[str]()

    def hold() -> None:
        running.set()
        release.wait(LIMIT_S)

    first = asyncio.create_task(worker.run(hold))
    second = asyncio.create_task(worker.run(lambda: calls.append("second")))
    await reached(running)
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    release.set()
    await first
    await worker.run(lambda: calls.append("third"))
    assert calls == ["third"]
    worker.stop()


async def test_closing_releases_on_the_thread_and_ends_it() -> None:
    worker, seen = Worker("test"), list[threading.Thread]()
    await worker.run(lambda: seen.append(threading.current_thread()))
    await worker.aclose(lambda: seen.append(threading.current_thread()))
    await worker.aclose(lambda: seen.append(threading.main_thread()))
    assert seen == [seen[0]] * 2
    seen[0].join(LIMIT_S)
    assert not seen[0].is_alive()
    with pytest.raises(RuntimeError, match="stopped"):
        worker.submit(lambda: None)


async def test_closing_raises_what_the_release_raises() -> None:
    with pytest.raises(ValueError, match="cannot"):
        await Worker("test").aclose(fail_with(ValueError("cannot")))


async def test_closing_does_not_wait_for_a_call_that_hangs(release: threading.Event) -> None:
    worker, running, released = Worker("test"), threading.Event(), threading.Event()

    def hold() -> None:
        running.set()
        release.wait(LIMIT_S)

    hanging = asyncio.create_task(worker.run(hold))
    await reached(running)
    await worker.aclose(released.set, timeout=0.01)
    assert not hanging.done()
    release.set()
    await hanging
    assert not released.is_set()


@pytest.mark.parametrize("hang", ["run_in_thread(time.sleep, 3600)", "Worker('test').run(lambda: time.sleep(3600))"])
def test_a_call_that_hangs_does_not_hold_up_the_end_of_the_program(hang: str) -> None:
    program = f"""
import asyncio, time
from voicecli.threads import Worker, run_in_thread

async def main():
    try:
        async with asyncio.timeout(0.1):
            await {hang}
    except TimeoutError:
        print("given up")

asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "given up\n", "")
