"""A page in a headless Chromium, driven through its debugging socket."""

import asyncio
import contextlib
import itertools
import json
import shutil
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

__all__ = ["CHROMIUM", "Page", "open_page"]

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
"""The path of the browser, or None."""

# It asks nobody for anything, and its microphone is one that beeps.
_OPTIONS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--remote-debugging-port=0",
]
_START_S = 60
_POLL_S = 0.1


class Page:
    """The page that is shown."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)

    async def evaluate(self, script: str) -> Any:
        """The value of a script run in the page as if the user had asked for it."""
        number = next(self._numbers)
        params = {"expression": script, "userGesture": True, "awaitPromise": True, "returnByValue": True}
        await self._socket.send(json.dumps({"id": number, "method": "Runtime.evaluate", "params": params}))
        while (answer := json.loads(await self._socket.recv())).get("id") != number:
            pass
        assert "exceptionDetails" not in answer["result"], answer["result"]
        return answer["result"]["result"].get("value")

    async def until(self, script: str, timeout_s: float = 20.0) -> None:
        """Wait until the script's value is true."""
        try:
            async with asyncio.timeout(timeout_s):
                while not await self.evaluate(script):
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            shown = await self.evaluate("document.body.innerText")
            raise AssertionError(f"not within {timeout_s:g} s: {script}; the page shows {shown!r}") from None


@contextlib.asynccontextmanager
async def open_page(url: str, profile: Path) -> AsyncIterator[Page]:
    """Show a page in a browser of its own, with a fresh profile in that folder."""
    assert CHROMIUM is not None
    command = [CHROMIUM, *_OPTIONS, f"--user-data-dir={profile}", url]
    nowhere = asyncio.subprocess.DEVNULL
    browser = await asyncio.create_subprocess_exec(*command, stdin=nowhere, stdout=nowhere, stderr=nowhere)
    try:
        async with asyncio.timeout(_START_S):
            address = await _debugged_page(profile / "DevToolsActivePort", url)
        async with connect(address, max_size=None) as socket:
            yield Page(socket)
    finally:
        with contextlib.suppress(ProcessLookupError):
            browser.terminate()
        try:
            async with asyncio.timeout(10):
                await browser.wait()
        except TimeoutError:
            browser.kill()
            await browser.wait()


async def _debugged_page(port_file: Path, url: str) -> str:
    while True:
        with contextlib.suppress(OSError, IndexError):
            port = (await asyncio.to_thread(port_file.read_text)).split()[0]
            listed = await asyncio.to_thread(_get, f"http://127.0.0.1:{port}/json/list")
            for target in json.loads(listed):
                if target["type"] == "page" and target["url"].startswith(url):
                    return str(target["webSocketDebuggerUrl"])
        await asyncio.sleep(_POLL_S)


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return bytes(answer.read())
