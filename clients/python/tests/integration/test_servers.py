"""Real servers that are told to stop, to reload, or are killed: made = stored + dropped."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
import time
from http.client import HTTPException
from pathlib import Path
from typing import Collection, Dict, List, Set

from ..fake_ingest import WAIT
from ..processes import ProcessCase
from .serving import Site

FLASK_APP = """
import os, flask, lakepulse
app = flask.Flask(__name__)
lakepulse.init_flask(app, flush_interval=60)

@app.get("/health")
def health():
    return str(os.getpid())

@app.get("/items/<int:item_id>")
def item(item_id):
    return str(item_id)
"""
FASTAPI_APP = """
import os, fastapi, lakepulse
app = fastapi.FastAPI()
app.add_middleware(lakepulse.LakepulseMiddleware, flush_interval=60)

@app.get("/health")
async def health():
    return os.getpid()

@app.get("/items/{item_id}")
async def item(item_id: int):
    return item_id
"""
REQUESTS = 20


class ServerCase(ProcessCase):
    def setUp(self) -> None:
        super().setUp()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        (self.folder / "flaskapp.py").write_text(FLASK_APP)
        (self.folder / "fastapiapp.py").write_text(FASTAPI_APP)
        self.site = Site()
        self.site.port = self.port
        self.asked = 0

    def serve(self, *command: str, **more: str) -> "subprocess.Popen[str]":
        """Start a server and wait until it answers. /health is no request that is recorded."""
        process = self.start([sys.executable, *(word.replace("PORT", str(self.port)) for word in command)], **more)
        self.until_it_answers(process)
        return process

    def until_it_answers(self, process: "subprocess.Popen[str]", but_not: Collection[int] = ()) -> None:
        """Wait for an answer of a worker, one that is new if those that end are given."""
        ends = time.monotonic() + WAIT
        while time.monotonic() < ends and process.poll() is None:
            try:
                if int(self.site.ask("GET", "/health").body) not in but_not:
                    return
            except (OSError, HTTPException):
                time.sleep(0.02)  # not there yet, or no longer
        process.kill()
        self.fail(f"the server did not answer: {process.communicate()[0]}")

    def workers(self) -> Set[int]:
        """Return the process ids that answer now."""
        return {int(self.site.ask("GET", "/health").body) for _ in range(20)}

    def ask(self, count: int = REQUESTS) -> None:
        for n in range(count):
            self.assertEqual(self.site.ask("GET", f"/items/{n}").status, 200)
        self.asked += count
        self.until_recorded()

    def until_recorded(self) -> None:
        """Wait until every request is delivered or counted: it is recorded after its response has left."""
        ends = time.monotonic() + WAIT
        while len(self.ingest.performance()) + self.undelivered() < self.asked:
            self.assertLess(time.monotonic(), ends, "requests were answered and never recorded")
            time.sleep(0.01)

    def undelivered(self) -> int:
        """Return how many records the processes of the app hold, by their journals."""
        return sum(undelivered_in(path) for path in self.journal.glob("*.journal"))

    def accounted_for(self, made: int) -> Dict[str, int]:
        """Start the app once more, and compare what was made with what was stored and reported as dropped."""
        self.next_start()
        stored = [e for e in self.ingest.performance() if e["endpoint"] == "/items/{item_id}"]
        self.assertEqual(len({e["id"] for e in stored}), len(stored))
        self.assertEqual(made, len(stored) + self.reported())
        return {"stored": len(stored), "dropped": self.reported()}

    def assert_all_sent(self, made: int = REQUESTS) -> None:
        self.assertEqual(self.accounted_for(made), {"stored": made, "dropped": 0})


class FlaskServers(ServerCase):
    RUN = ["-c", "import flaskapp; flaskapp.app.run(port=PORT)"]

    def test_app_run_that_is_told_to_stop_sends_the_rest(self) -> None:
        server = self.serve(*self.RUN)
        self.ask()
        self.assertEqual(self.end(server, signal.SIGTERM), -signal.SIGTERM)
        self.assert_all_sent()

    def test_app_run_without_threads_too(self) -> None:
        server = self.serve(self.RUN[0], self.RUN[1].replace("port=PORT", "port=PORT, threaded=False"))
        self.ask()
        self.end(server, signal.SIGTERM)
        self.assert_all_sent()

    def test_flask_run_that_is_told_to_stop_sends_the_rest(self) -> None:
        server = self.serve("-m", "flask", "run", "--port", "PORT", FLASK_APP="flaskapp")
        self.ask()
        self.end(server, signal.SIGTERM)
        self.assert_all_sent()

    def test_control_c_sends_the_rest(self) -> None:
        server = self.serve(*self.RUN)
        self.ask()
        self.end(server, signal.SIGINT)
        self.assert_all_sent()

    def test_a_killed_server_is_counted_by_the_next_start(self) -> None:
        server = self.serve(*self.RUN)
        self.ask()
        self.end(server, signal.SIGKILL)
        self.assertEqual(self.accounted_for(REQUESTS), {"stored": 0, "dropped": REQUESTS})

    def test_a_reload_sends_the_rest(self) -> None:
        server = self.serve("-m", "flask", "run", "--reload", "--port", "PORT", FLASK_APP="flaskapp")
        self.ask()
        before = self.workers()
        (self.folder / "flaskapp.py").write_text(FLASK_APP + "\n# changed\n")
        self.ingest.wait_until(lambda: len(self.ingest.performance()) >= REQUESTS)
        self.until_it_answers(server, before)
        self.ask()
        self.end(server, signal.SIGTERM)
        self.accounted_for(2 * REQUESTS)


class Gunicorn(ServerCase):
    def gunicorn(self, *arguments: str) -> "subprocess.Popen[str]":
        return self.serve("-m", "gunicorn", "--bind", "127.0.0.1:PORT", "--workers", "2", *arguments)

    def test_workers_that_are_told_to_stop_send_the_rest(self) -> None:
        for arguments in (["flaskapp:app"], ["--preload", "flaskapp:app"], ["--threads", "4", "flaskapp:app"]):
            with self.subTest(arguments):
                self.setUp()
                server = self.gunicorn(*arguments)
                self.ask()
                self.end(server, signal.SIGTERM)
                self.assert_all_sent()

    def test_a_reload_of_the_workers_sends_the_rest(self) -> None:
        server = self.gunicorn("flaskapp:app")
        self.ask()
        before = self.workers()
        server.send_signal(signal.SIGHUP)
        self.ingest.wait_until(lambda: len(self.ingest.performance()) >= REQUESTS)
        self.until_it_answers(server, before)
        self.ask()
        self.end(server, signal.SIGTERM)
        self.assert_all_sent(2 * REQUESTS)

    def test_a_worker_that_is_killed_is_counted_by_the_one_that_takes_its_place(self) -> None:
        server = self.serve("-m", "gunicorn", "--bind", "127.0.0.1:PORT", "--workers", "1", "flaskapp:app")
        self.ask()
        (worker,) = children_of(server.pid)
        os.kill(worker, signal.SIGKILL)
        self.until_it_answers(server, [worker])
        self.ask()
        self.end(server, signal.SIGTERM)
        self.assertEqual(self.accounted_for(2 * REQUESTS), {"stored": REQUESTS, "dropped": REQUESTS})

    def test_workers_that_serve_asgi_send_the_rest(self) -> None:
        server = self.gunicorn("--worker-class", "uvicorn.workers.UvicornWorker", "fastapiapp:app")
        self.ask()
        self.end(server, signal.SIGTERM)
        self.assert_all_sent()


class UvicornServers(ServerCase):
    def uvicorn(self, *arguments: str) -> "subprocess.Popen[str]":
        return self.serve("-m", "uvicorn", "--port", "PORT", *arguments, "fastapiapp:app")

    def test_workers_that_are_told_to_stop_send_the_rest(self) -> None:
        server = self.uvicorn("--workers", "2")
        self.ask()
        self.end(server, signal.SIGTERM)
        self.assert_all_sent()

    def test_a_server_without_lifespan_loses_nothing_uncounted(self) -> None:
        for how in (signal.SIGTERM, signal.SIGKILL):
            with self.subTest(how):
                self.setUp()
                server = self.uvicorn("--lifespan", "off")
                self.ask()
                self.end(server, how)
                self.accounted_for(REQUESTS)

    def test_a_reload_sends_the_rest(self) -> None:
        server = self.uvicorn("--reload")
        self.ask()
        before = self.workers()
        (self.folder / "fastapiapp.py").write_text(FASTAPI_APP + "\n# changed\n")
        self.ingest.wait_until(lambda: len(self.ingest.performance()) >= REQUESTS)
        self.until_it_answers(server, before)
        self.ask()
        self.end(server, signal.SIGTERM)
        self.accounted_for(2 * REQUESTS)


def undelivered_in(journal: Path) -> int:
    try:
        _, _, performance, _ = struct.unpack("<4sI2Q", journal.read_bytes())
    except FileNotFoundError:
        return 0  # it has been taken over since it was listed
    return int(performance)


def children_of(pid: int) -> List[int]:
    """Return the process ids of a process's children."""
    said = subprocess.run(["ps", "-e", "-o", "pid=,ppid="], check=True, capture_output=True, text=True).stdout
    pairs = [line.split() for line in said.splitlines()]
    return [int(child) for child, parent in pairs if int(parent) == pid]
