"""Processes of an app, started, ended and started again."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Optional

from .fake_ingest import WAIT, FakeIngest
from .unit.ingest_case import IngestCase

SOURCE = str(Path(__file__).resolve().parents[1] / "src")


class ProcessCase(IngestCase):
    """Each test has an ingest and a directory of its own, with the journal in it."""

    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.journal = self.folder / "journal"

    def environment(self, **more: str) -> Dict[str, str]:
        env = {name: value for name, value in os.environ.items() if not name.startswith(("LAKEPULSE_", "DATABRICKS_"))}
        env.update(PYTHONPATH=f"{SOURCE}{os.pathsep}{self.folder}", PYTHONDONTWRITEBYTECODE="1", PYTHONUNBUFFERED="1")
        env.update(LAKEPULSE_URL=self.ingest.url, LAKEPULSE_APP="orders", LAKEPULSE_JOURNAL=str(self.journal))
        return {**env, **more}

    def start(self, command: List[str], **more: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            command, env=self.environment(**more), cwd=self.folder, text=True, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        self.addCleanup(self._end, process)
        return process

    def script(self, code: str, **more: str) -> "subprocess.Popen[str]":
        """Start a script, and wait until it prints "up" or ends."""
        process = self.start([sys.executable, "-c", code], **more)
        assert process.stdout is not None
        for line in process.stdout:
            if line == "up\n":
                break
        return process

    def end(self, process: "subprocess.Popen[str]", how: Optional[int]) -> int:
        """Send a signal to the process, wait for its end and return its exit code (negative: the signal)."""
        if how is not None:
            process.send_signal(how)
        return process.wait(WAIT)

    def _end(self, process: "subprocess.Popen[str]") -> None:
        with contextlib.suppress(ProcessLookupError):  # raised when it has ended, and its children with it
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=WAIT)

    def reported(self, ingest: Optional[FakeIngest] = None) -> int:
        """Return how many events the batches so far have reported as dropped."""
        return sum(call.body.get("dropped", 0) for call in (ingest or self.ingest).calls)

    def next_start(self, **more: str) -> Dict[str, Any]:
        """Run a process of the same app that makes one event; return the body of its batch."""
        before = len(self.ingest.calls)
        self.assertEqual(self.script(RECORD_ONE, **more).wait(WAIT), 0)
        (call,) = self.ingest.calls[before:]
        return call.body


RECORD_ONE = """
import lakepulse
client = lakepulse.Client(flush_interval=60)
client.record(endpoint="/x", method="GET", status_code=200, response_time_ms=1)
print("up")
"""

# Makes events as told, says so and sleeps until it is ended.
RECORD_AND_WAIT = """
import lakepulse, time, sys
client = lakepulse.Client(flush_interval=60, exit_timeout=0.5)
for n in range({count}):
    client.record(endpoint="/x", method="GET", status_code=200, response_time_ms=1)
if {count}:
    client._sender.started.wait(20)
{more}
print("up", flush=True)
while True:
    time.sleep(0.01)
"""
