"""A scriptable ingest on a loopback port, and clients for it."""

from __future__ import annotations

import gzip
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable, Dict, List, NamedTuple, Optional
from urllib.parse import parse_qs, urlsplit

from lakepulse import Client
from lakepulse._record import rfc3339

WAIT = 20.0  # the bound of every wait: reached only when a test fails


class Call(NamedTuple):
    """One request that came in."""

    method: str
    path: str
    query: Dict[str, List[str]]
    headers: Dict[str, str]
    body: Dict[str, Any]

    @property
    def events(self) -> List[Dict[str, Any]]:
        return self.body["events"]


class Answer(NamedTuple):
    """What to answer; ``body`` None means what ingest says when it takes a batch."""

    status: int = 202
    body: Optional[Dict[str, Any]] = None
    headers: Dict[str, str] = {}
    raw: Optional[bytes] = None


class FakeIngest:
    """Accepts everything unless told otherwise by ``answer`` (a function of the call)."""

    def __init__(self) -> None:
        self.calls: List[Call] = []
        self.answer: Callable[[Call], Answer] = lambda call: Answer()
        self.clock: Callable[[], float] = time.time
        self._changed = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(WAIT)

    def client(self, **options: Any) -> Client:
        own = {"url": self.url, "app_name": "orders", "api_key": "lp_test", "flush_interval": 60.0, "journal": ""}
        # The tests stand in for the proxy of Databricks Apps, which names the user.
        return Client(**{**own, "trust_forwarded": True, **options})

    def to(self, path_end: str) -> List[Call]:
        return [call for call in self.calls if call.path.endswith(path_end)]

    def performance(self) -> List[Dict[str, Any]]:
        return [event for call in self.to("/performance-events") for event in call.events]

    def usage(self) -> List[Dict[str, Any]]:
        return [event for call in self.to("/usage-events") for event in call.events]

    def wait_until(self, true: Callable[[], bool]) -> None:
        with self._changed:
            if not self._changed.wait_for(true, WAIT):
                raise AssertionError(f"never came true; calls: {self.calls}")

    def _take(self, call: Call) -> Answer:
        answer = self.answer(call)
        with self._changed:
            self.calls.append(call)
            self._changed.notify_all()
        return answer

    def _handler(self) -> type:
        ingest = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args: Any) -> None:
                """Keep the test's output quiet."""

            def do_GET(self) -> None:
                self._serve({})

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    raw = gzip.decompress(raw)
                self._serve(json.loads(raw))

            def _serve(self, body: Dict[str, Any]) -> None:
                parts = urlsplit(self.path)
                headers = {name.lower(): value for name, value in self.headers.items()}
                answer = ingest._take(Call(self.command, parts.path, parse_qs(parts.query), headers, body))
                said = answer.body
                if said is None:
                    said = {"message": "Events accepted", "events_received": len(body.get("events", []))}
                    said.update(status="processing", server_time=rfc3339(ingest.clock()))
                out = answer.raw if answer.raw is not None else json.dumps(said).encode()
                self.send_response(answer.status)
                for name, value in {"Content-Type": "application/json", **answer.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(out)))
                try:
                    self.end_headers()
                    self.wfile.write(out)
                except OSError:
                    # The client gave up waiting, which some tests want it to.
                    self.close_connection = True

        return Handler
