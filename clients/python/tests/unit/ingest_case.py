"""The test case with an ingest and clients that are closed in the end."""

from __future__ import annotations

import logging
import unittest
from typing import Any

from lakepulse import Client

from ..fake_ingest import FakeIngest


class IngestCase(unittest.TestCase):
    """Each test has an ingest of its own."""

    def setUp(self) -> None:
        self.ingest = FakeIngest()
        self.addCleanup(self.ingest.close)
        # Left so: a relay's thread may still speak when its test is over.
        logging.getLogger("lakepulse").setLevel(logging.CRITICAL)

    def client(self, **options: Any) -> Client:
        client = self.ingest.client(**options)
        self.addCleanup(client.close, 0.0)
        return client


def record(client: Client, endpoint: str = "/items/{id}", status: int = 200, **more: Any) -> None:
    """Record one request."""
    client.record(endpoint=endpoint, method="GET", status_code=status, response_time_ms=1.5, **more)
