"""Real servers on loopback ports, and a plain HTTP client for them."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from socketserver import ThreadingMixIn
from typing import Any, Dict, NamedTuple, Optional
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import uvicorn

from lakepulse import Client

from ..fake_ingest import WAIT


def flush(client: Client) -> bool:
    """Flush once every request has ended: it is recorded after its response has left."""
    ends = time.monotonic() + WAIT
    while client.stats().in_flight and time.monotonic() < ends:
        time.sleep(0.005)
    return client.flush(WAIT)


class Reply(NamedTuple):
    status: int
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Site:
    """A running server."""

    port: int

    def ask(
        self, method: str, path: str, body: Optional[bytes] = None, headers: Optional[Dict[str, str]] = None
    ) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return Reply(response.status, response.read())
        finally:
            connection.close()

    def leave(self, path: str, wait_for: threading.Event) -> None:
        """Ask, wait until the app is at work, and hang up without the answer."""
        with socket.create_connection(("127.0.0.1", self.port), WAIT) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            if not wait_for.wait(WAIT):
                raise AssertionError("the app was never asked")

    def close(self) -> None:
        raise NotImplementedError


class Uvicorn(Site):
    """An ASGI app under uvicorn."""

    def __init__(self, app: Any, **config: Any) -> None:
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._listener.bind(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="critical", **config))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._listener]}, daemon=True)
        self._thread.start()
        # The socket listens once uvicorn has started; asking before is refused.
        self._until_listening()

    def _until_listening(self) -> None:
        # listen() twice does no harm, and then a connection waits in the backlog until uvicorn takes it.
        self._listener.listen(64)
        self.ask("GET", "/health")

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(WAIT)
        self._listener.close()


class _ThreadingServer(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, *args: Any) -> None:
        """Keep the test's output quiet."""


class Wsgiref(Site):
    """A WSGI app under the standard library's server."""

    def __init__(self, app: Any) -> None:
        self._server = make_server("127.0.0.1", 0, app, _ThreadingServer, _Quiet)
        self.port = self._server.server_port
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(WAIT)
