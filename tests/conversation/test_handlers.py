"""Handlers are checked when they are registered, and one that fails is logged with its traceback, once."""

import asyncio
import logging
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any

import pytest

from tests.cli.conftest import ROOT, clean_environment
from tests.support.virtual_time import virtual_time
from voicecli import ConfigurationError, RealtimeConfig, RealtimeVoice, VADMode
from voicecli.testing import reply, scripted_provider, tool_call

MANUAL = RealtimeConfig(vad_mode=VADMode.NONE)


def voice(*script: Any) -> RealtimeVoice:
    return RealtimeVoice(scripted_provider(*script), config=MANUAL)


def four(a: str, b: bool, c: str, d: int) -> None: ...
def named(text: str, *, colour: str) -> None: ...
def one(a: str) -> None: ...
def two(a: str, b: object) -> None: ...
def none() -> None: ...
def generator(text: str) -> Iterator[str]:
    yield text


async def async_generator(text: str) -> AsyncIterator[str]:
    yield text


class Takes:
    def __call__(self, a: object, b: object) -> None: ...

    def method(self, text: str, is_final: bool, role: str) -> None: ...


@pytest.mark.parametrize(
    ("hook", "handler", "says"),
    [
        (
            "transcript",
            four,
            r"^on_transcript takes a function of \(text, is_final, role\) or fewer; four\(\) needs 4 arguments\. "
            r"Write def four\(text: str, is_final: bool, role: str\), or leave out the last ones\.$",
        ),
        ("transcript", named, r"named\(\) needs colour by name"),
        ("transcript", generator, r"generator\(\) is a generator, which would never run"),
        ("transcript", async_generator, r"async_generator\(\) is a generator"),
        ("audio", two, r"on_audio takes a function of \(audio\) or fewer; two\(\) needs 2 arguments"),
        ("audio", "two", r"^on_audio takes a function, not str\.$"),
        ("connect", one, r"on_connect takes a function of \(\); one\(\) needs 1 argument\. Write def one\(\)\.$"),
        ("disconnect", one, r"on_disconnect takes"),
        ("interrupted", one, r"on_interrupted takes"),
        ("error", two, r"on_error takes a function of \(error\) or fewer"),
        ("error", Takes(), r"Takes\(\) needs 2 arguments"),
        (
            "tool_call",
            one,
            r"on_tool_call takes a function of \(tool_name, args\); one\(\) takes 1 of them\. "
            r"Write def one\(tool_name: str, args: dict\[str, Any\]\)\.$",
        ),
    ],
)
def test_a_handler_that_could_not_be_called_is_refused(hook: str, handler: Any, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        getattr(RealtimeVoice(scripted_provider()), f"on_{hook}")(handler)


@pytest.mark.parametrize(
    ("hook", "handler"),
    [
        ("transcript", Takes().method),
        ("transcript", one),
        ("transcript", none),
        ("transcript", print),
        ("transcript", lambda *said: None),
        ("transcript", partial(four, d=1)),
        ("audio", [].append),
        ("audio", bytearray().extend),
        ("error", print),
        ("error", none),
        ("tool_call", two),
        ("tool_call", Takes()),
        ("connect", lambda word="hello": None),
    ],
)
def test_a_handler_that_can_be_called_is_given_back(hook: str, handler: Any) -> None:
    assert getattr(RealtimeVoice(scripted_provider()), f"on_{hook}")(handler) is handler


# -- failures


def raising(*_: Any) -> None:
    raise LookupError("oops")


async def raising_soon(*_: Any) -> None:
    await asyncio.sleep(0)
    raise LookupError("oops")


@virtual_time
@pytest.mark.parametrize("handler", [raising_soon, raising], ids=["coroutine", "plain"])
@pytest.mark.parametrize("heard", [False, True], ids=["alone", "with on_error"])
async def test_a_failing_handler_is_logged_once_with_its_traceback(
    handler: Callable[..., Any], heard: bool, caplog: pytest.LogCaptureFixture
) -> None:
    talking = voice(reply("It is Paris."), reply("And Rome."))
    talking.on_transcript(handler)
    errors: list[Exception] = []
    if heard:
        talking.on_error(errors.append)
    with caplog.at_level(logging.INFO, "voicecli"):
        async with talking.connect() as session:
            await session.send_text("Which?", wait=True)
            await session.send_text("And?", wait=True)
    assert len(caplog.records) == 1
    assert caplog.records[0].levelno == logging.ERROR
    assert f"on_transcript handler {handler.__name__} failed: LookupError: oops" in caplog.text
    assert 'raise LookupError("oops")' in caplog.text
    assert len(errors) == (6 if heard else 0)


@virtual_time
async def test_each_failing_handler_is_logged_also_that_of_errors(caplog: pytest.LogCaptureFixture) -> None:
    talking = voice(reply("It is Paris."))
    talking.on_audio(raising)
    talking.on_error(raising_soon)
    async with talking.connect() as session:
        await session.ask("Which?")
    assert [record.getMessage() for record in caplog.records] == [
        "The on_audio handler raising failed: LookupError: oops",
        "The on_error handler raising_soon failed: LookupError: oops",
    ]
    assert all(record.exc_info for record in caplog.records)


@virtual_time
async def test_a_failing_handler_of_calls_is_logged_once_and_the_model_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    talking = voice(tool_call("look"), tool_call("look"), reply("I cannot."))
    talking.on_tool_call(raising_soon)
    with caplog.at_level(logging.INFO, "voicecli"):
        async with talking.connect() as session:
            await session.ask("Look twice.")
            results = [turn.text for turn in session.history if turn.role == "tool"]
    assert results == ['{"error": "look failed: LookupError: oops"}'] * 2
    assert [record.getMessage() for record in caplog.records] == ["An on_tool_call handler failed: LookupError: oops"]
    assert 'raise LookupError("oops")' in caplog.text


def test_a_program_without_logging_shows_the_traceback_once() -> None:
    code = """if True:
        import asyncio
        from voicecli import RealtimeVoice
        from voicecli.testing import reply, scripted_provider, tool_call

        voice = RealtimeVoice(scripted_provider(reply("It is Paris.")))

        @voice.on_transcript
        async def show(text: str) -> None:
            raise LookupError("oops")

        async def main() -> None:
            async with voice.connect() as session:
                await session.ask("Which?")

        asyncio.run(main())
        """
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=clean_environment(), cwd=ROOT
    )
    assert done.returncode == 0
    assert done.stdout == ""
    assert done.stderr.count("Traceback") == 1
    assert done.stderr.count("on_transcript handler show failed: LookupError: oops") == 1


@virtual_time
async def test_a_handler_that_awaited_something_cancelled_goes_on_being_called() -> None:
    heard: list[str] = []
    errors: list[str] = []
    talk = voice(reply("One two three."))

    @talk.on_transcript
    async def listen(text: str, is_final: bool) -> None:
        heard.append(text)
        if not is_final:
            lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            lost.cancel()
            await lost

    talk.on_error(lambda error: errors.append(str(error)))
    async with talk.connect() as session:
        await session.send_text("Count.", wait=True)
    assert heard == ["Count.", "One two", "One two three."]
    assert errors == ["The on_transcript handler listen failed: CancelledError"]
