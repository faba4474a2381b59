"""A web application behind a real server, for tests of what runs in one."""

import threading

import uvicorn

__all__ = ["Server"]


class Server:
    """Serves an ASGI application on a free port of this machine, in a thread, within the `with` block.

    Attributes:
        address: host and port, once it serves.
    """

    def __init__(self, app: object) -> None:
        self.address = ""
        config = uvicorn.Config(app, port=0, log_level="info", ws="websockets-sansio")  # type: ignore[arg-type]
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def __enter__(self) -> "Server":
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive()
            threading.Event().wait(0.01)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.address = f"127.0.0.1:{port}"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(20)
        assert not self._thread.is_alive()
