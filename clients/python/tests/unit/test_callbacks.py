"""Names of Dash's callbacks."""

from __future__ import annotations

import asyncio
import json
import unittest
from types import SimpleNamespace
from typing import Any, Dict, List

from lakepulse import LakepulseMiddleware, init_dash
from lakepulse._callbacks import MOST_READ, callback_name, output_in

from ..fake_ingest import WAIT
from .ingest_case import IngestCase
from .test_asgi import scope_for

HASH = "2f" * 32


class Names(unittest.TestCase):
    def test_outputs_are_readable(self) -> None:
        for output, name in {
            "graph.figure": "graph.figure",
            "..graph.figure...title.children..": "graph.figure,title.children",
            '{"index":3,"type":"filter"}.value': "filter[index].value",
            '..{"index":3,"type":"filter"}.value...graph.figure..': "filter[index].value,graph.figure",
            '{"city":"Rome","street":"x\\.y"}.value': "[city,street].value",
            f"graph.figure@{HASH}": "graph.figure",
            f"..a.b@{HASH}...c.d..": "a.b,c.d",
            HASH: "{id}",
            "my\\.graph.figure": "my.graph.figure",
            "{broken.value": "{id}.value",
            "": "{id}",
            "....": "....",
        }.items():
            with self.subTest(output):
                self.assertEqual(callback_name(output), name)

    def test_the_output_is_found_at_the_start_of_a_body(self) -> None:
        for body, output in {
            b'{"output":"graph.figure","inputs":[]}': "graph.figure",
            b'{ "output" : "a.b" , ': "a.b",
            rb'{"output":"{\"index\":3}.value"': '{"index":3}.value',
            b'{"output":7}': None,
            b'{"output":"cut': None,
            b"": None,
        }.items():
            with self.subTest(body):
                self.assertEqual(output_in(body), output)


class OverASGI(IngestCase):
    """Dash on FastAPI: the middleware sees the body pass by."""

    def ask(self, client: Any, body: bytes, status: int = 200) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            scope["route"] = SimpleNamespace(path="/_dash-update-component")
            while (await receive()).get("more_body"):
                pass
            await send({"type": "http.response.start", "status": status, "headers": []})
            await send({"type": "http.response.body", "body": b"{}"})

        parts: List[Dict[str, Any]] = [
            {"type": "http.request", "body": body[n : n + 1000], "more_body": n + 1000 < len(body)}
            for n in range(0, len(body), 1000)
        ]

        async def receive() -> Any:
            return parts.pop(0)

        async def send(message: Any) -> None:
            return None

        scope = {**scope_for("/_dash-update-component"), "method": "POST"}
        asyncio.run(LakepulseMiddleware(app, client)(scope, receive, send))

    def stored(self, client: Any) -> List[str]:
        self.assertTrue(client.flush(WAIT))
        return [event["endpoint"] for event in self.ingest.performance()]

    def test_a_callback_is_named_by_its_output(self) -> None:
        client = self.client()
        self.ask(client, json.dumps({"output": "graph.figure", "inputs": ["x" * 3 * MOST_READ]}).encode())
        self.assertEqual(self.stored(client), ["/_dash-update-component/graph.figure"])

    def test_a_body_that_names_none_has_the_routes_name(self) -> None:
        client = self.client()
        self.ask(client, b"[]", 400)
        self.assertEqual(self.stored(client), ["/_dash-update-component"])

    def test_outputs_that_a_client_makes_up_are_few(self) -> None:
        client = self.client(max_endpoints=2)
        for n in range(60):
            self.ask(client, json.dumps({"output": f"guess{n}.x"}).encode(), 500)
        for n in range(3):
            self.ask(client, json.dumps({"output": f"real{n}.x"}).encode())
        found = self.stored(client)
        self.assertEqual(found.count("/_dash-update-component"), 11)
        real = ["/_dash-update-component/real0.x", "/_dash-update-component/real1.x", "/_dash-update-component"]
        self.assertEqual(found[-3:], real)


class Servers(IngestCase):
    def test_every_server_of_dash_is_measured(self) -> None:
        added: List[Any] = []
        fastapi = SimpleNamespace(add_middleware=lambda kind, **options: added.append((kind, options)))
        client = self.client()
        self.assertIs(init_dash(SimpleNamespace(server=fastapi), client), client)
        self.assertEqual(added, [(LakepulseMiddleware, {"client": client, "user_id": None, "relay": True})])
        quart = SimpleNamespace(asgi_app=object())
        init_dash(SimpleNamespace(server=quart), client)
        self.assertIsInstance(quart.asgi_app, LakepulseMiddleware)
        with self.assertRaisesRegex(TypeError, "neither Flask, FastAPI nor Quart"):
            init_dash(SimpleNamespace(server=object()), client)
        with self.assertRaisesRegex(TypeError, "either a client or its options"):
            init_dash(SimpleNamespace(server=quart), client, app_version="1")
