"""The example app, started as its README says."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

from ..fake_ingest import WAIT
from ..unit.ingest_case import IngestCase
from .serving import Site

RUN = Path(__file__).resolve().parents[4] / "examples" / "fastapi" / "run"


class Example(IngestCase):
    def setUp(self) -> None:
        super().setUp()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        env = {name: value for name, value in os.environ.items() if not name.startswith("LAKEPULSE_")}
        env.update(LAKEPULSE_URL=self.ingest.url, LAKEPULSE_TRACKER=__file__, PYTHON=sys.executable)
        self.server = subprocess.Popen(
            [str(RUN), str(port)], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        self.addCleanup(self._stop)
        self.site = Site()
        self.site.port = port
        assert self.server.stderr is not None
        for line in self.server.stderr:
            if "Uvicorn running" in line:
                return
        self.fail("the example did not start")

    def _stop(self) -> None:
        self.server.terminate()
        self.server.communicate(timeout=WAIT)

    def test_page_tracker_records_and_relay(self) -> None:
        self.assertIn(b'src="/tracker.js"', self.site.ask("GET", "/").body)
        self.assertEqual(self.site.ask("GET", "/tracker.js").body, Path(__file__).read_bytes())
        self.assertEqual(self.site.ask("GET", "/api/orders/9").status, 404)
        self.assertEqual(self.site.ask("GET", "/api/broken").status, 500)
        self.ingest.wait_until(lambda: len(self.ingest.performance()) == 3)
        seen = [(e["app"], e["endpoint"], e["status_code"], e.get("error_type")) for e in self.ingest.performance()]
        name = "example-fastapi"
        self.assertEqual(seen[0], (name, "/", 200, None))
        self.assertEqual(seen[1], (name, "/api/orders/{order_id}", 404, "404"))
        self.assertEqual(seen[2], (name, "/api/broken", 500, "ZeroDivisionError"))

        batch = json.dumps({"events": [{"event_type": "page_view", "user_id": "boss"}]}).encode()
        for headers, user in (({}, "dev@localhost"), ({"X-Forwarded-Email": "jo@example.com"}, "jo@example.com")):
            reply = self.site.ask("POST", "/api/v1/metrics/usage-events", batch, headers)
            self.assertEqual(reply.status, 202)
            self.assertEqual(self.ingest.usage()[-1]["user_id"], user)
            self.assertEqual(self.ingest.calls[-1].headers["x-forwarded-email"], user)
