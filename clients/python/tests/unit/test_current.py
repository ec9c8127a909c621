"""What an app says about the request under way: its route, its user, its events."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, Dict, Iterable, List

from lakepulse import LakepulseMiddleware, LakepulseWSGIMiddleware, set_route, set_user, track

from ..fake_ingest import WAIT
from .ingest_case import IngestCase
from .test_asgi import never, ok as asgi_ok, scope_for
from .test_wsgi import environ_for

WHO = {"x-forwarded-email": "header@example.com", "x-lakepulse-session-id": "s-1", "x-lakepulse-interaction-id": "i-1"}


class Current(IngestCase):
    def setUp(self) -> None:
        super().setUp()
        self.measuring = self.client()

    def over_asgi(self, say: Any) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            say()
            await asgi_ok(scope, receive, send)

        async def send(message: Any) -> None:
            return None

        asyncio.run(LakepulseMiddleware(app, self.measuring)(scope_for("/orders/7", WHO), never, send))

    def over_wsgi(self, say: Any, late: bool = False) -> None:
        def app(environ: Any, start_response: Any) -> Iterable[bytes]:
            start_response("200 OK", [])
            if not late:
                say()

            def body() -> Iterable[bytes]:
                if late:
                    say()
                yield b"x"

            return body()

        environ = environ_for(**{"HTTP_" + name.upper().replace("-", "_"): value for name, value in WHO.items()})
        list(LakepulseWSGIMiddleware(app, self.measuring)(environ, lambda *a: lambda data: None))

    def stored(self) -> List[Dict[str, Any]]:
        self.assertTrue(self.measuring.flush(WAIT))
        return self.ingest.performance()

    def test_route_and_user_are_the_apps(self) -> None:
        def say() -> None:
            set_route("/orders/<int:order_id>")
            set_user("app@example.com")

        for way in (self.over_asgi, self.over_wsgi, lambda s: self.over_wsgi(s, late=True)):
            way(say)
            event = self.stored()[-1]
            self.assertEqual((event["endpoint"], event["user_id"]), ("/orders/{order_id}", "app@example.com"))

    def test_nobody_can_be_named_too(self) -> None:
        self.over_asgi(lambda: set_user(None))
        self.assertNotIn("user_id", self.stored()[-1])

    def test_events_have_the_requests_user_session_and_interaction(self) -> None:
        for way in (self.over_asgi, self.over_wsgi):
            way(lambda: self.assertTrue(track("query_executed", success=True, metadata={"rows": 1})))
            self.stored()
            event = self.ingest.usage()[-1]
            found = {name: event[name] for name in ("user_id", "session_id", "interaction_id", "success", "metadata")}
            want = {"user_id": "header@example.com", "session_id": "s-1", "interaction_id": "i-1"}
            self.assertEqual(found, {**want, "success": True, "metadata": {"rows": 1}})

    def test_a_clients_own_event_takes_the_requests_user_and_lets_it_be_named(self) -> None:
        self.over_asgi(lambda: self.measuring.track(event_type="query_executed"))
        self.over_asgi(lambda: self.measuring.track(event_type="query_executed", user_id="other@example.com"))
        self.stored()
        self.assertEqual([e["user_id"] for e in self.ingest.usage()], ["header@example.com", "other@example.com"])

    def test_outside_a_request_nothing_happens(self) -> None:
        set_route("/x")
        set_user("jo")
        self.assertFalse(track("query_executed"))
        self.assertFalse(self.measuring.track(event_type="query_executed"))
        self.assertEqual(self.measuring.stats().recorded, 0)

    def test_requests_at_once_are_not_mixed_up(self) -> None:
        together = threading.Barrier(8, timeout=WAIT)

        def ask(n: int) -> None:
            def say() -> None:
                together.wait()
                set_user(f"user-{n}")
                together.wait()
                track("query_executed")

            (self.over_asgi if n % 2 else self.over_wsgi)(say)

        threads = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        users = {f"user-{n}" for n in range(8)}
        self.assertEqual({event["user_id"] for event in self.stored()}, users)
        self.assertEqual({event["user_id"] for event in self.ingest.usage()}, users)
