"""The ASGI middleware, driven without a server."""

from __future__ import annotations

import asyncio
from typing import Any, Dict, List, Optional

from lakepulse import LakepulseMiddleware

from ..fake_ingest import WAIT
from .ingest_case import IngestCase

START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}
END = {"type": "http.response.body", "body": b"ok"}


async def ok(scope: Any, receive: Any, send: Any) -> None:
    await send(START)
    await send(END)


def scope_for(path: str = "/orders/7", headers: Optional[Dict[str, str]] = None, **more: Any) -> Dict[str, Any]:
    raw = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    return {"type": "http", "method": "GET", "path": path, "headers": raw, "query_string": b"", **more}


async def never() -> Any:
    await asyncio.Event().wait()


async def gone() -> Any:
    return {"type": "http.disconnect"}


class Case(IngestCase):
    def call(self, app: Any, scope: Any = None, receive: Any = never, send: Any = None, **more: Any) -> List[Any]:
        """Send one request through the middleware; return the messages it sent."""
        sent: List[Any] = []

        async def collect(message: Any) -> None:
            sent.append(message)

        self.middleware = LakepulseMiddleware(app, more.pop("client", None) or self.client(), **more)
        asyncio.run(self.middleware(scope or scope_for(), receive, send or collect))
        return sent

    def stored(self) -> List[Dict[str, Any]]:
        self.assertTrue(self.middleware.client.flush(WAIT))
        return self.ingest.performance()

    def one(self) -> Dict[str, Any]:
        (event,) = self.stored()
        return event


class Recording(Case):
    def test_a_request_is_one_record(self) -> None:
        headers = {"x-forwarded-email": "jo@example.com", "x-lakepulse-session-id": "s", "x-request-id": "r"}
        headers.update({"x-lakepulse-interaction-id": "i", "traceparent": f"00-{'a' * 32}-{'b' * 16}-01"})
        self.assertEqual(self.call(ok, scope_for(headers=headers)), [START, END])
        event = self.one()
        want = {"endpoint": "/orders/{id}", "method": "GET", "status_code": 200, "user_id": "jo@example.com"}
        want.update(session_id="s", interaction_id="i", trace_id="a" * 32, correlation_id="r", seq=1, app="orders")
        self.assertEqual({name: event[name] for name in want}, want)
        self.assertNotIn("error_type", event)

    def test_excluded_paths_are_left_alone(self) -> None:
        for path in ("/health", "/ready", "/ping", "/internal/x", "/admin/system/x", "/static/a.js"):
            self.call(ok, scope_for(path), client=self.client(exclude=["/static/*"]))
            self.assertEqual(self.stored(), [], path)

    def test_exclusion_holds_under_a_root_path(self) -> None:
        self.call(ok, scope_for("/proxy/health", root_path="/proxy"))
        self.assertEqual(self.stored(), [])

    def test_an_exception_is_a_500_with_its_name_and_is_passed_on(self) -> None:
        async def broken(scope: Any, receive: Any, send: Any) -> None:
            raise KeyError("x")

        with self.assertRaises(KeyError):
            self.call(broken)
        event = self.one()
        self.assertEqual((event["status_code"], event["error_type"]), (500, "KeyError"))

    def test_an_exception_after_the_response_changes_nothing(self) -> None:
        async def broken(scope: Any, receive: Any, send: Any) -> None:
            await ok(scope, receive, send)
            raise KeyError("in a background task")

        with self.assertRaises(KeyError):
            self.call(broken)
        self.assertEqual(self.one()["status_code"], 200)

    def test_an_app_that_answers_nothing_is_a_500(self) -> None:
        async def silent(scope: Any, receive: Any, send: Any) -> None:
            return None

        self.call(silent)
        self.assertEqual((self.one()["status_code"], self.one()["error_type"]), (500, "NoResponse"))

    def test_a_client_that_leaves_is_told_apart(self) -> None:
        async def waits(scope: Any, receive: Any, send: Any) -> None:
            await send(START)
            await receive()

        async def cancelled(scope: Any, receive: Any, send: Any) -> None:
            raise asyncio.CancelledError

        async def connection_lost(message: Any) -> None:
            raise OSError("gone")

        async def asks_and_sends(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send(START)

        for app, receive, send in ((waits, gone, None), (cancelled, never, None), (asks_and_sends, gone, connection_lost)):
            with self.subTest(app.__name__):
                try:
                    self.call(app, receive=receive, send=send)
                except (asyncio.CancelledError, OSError) as error:
                    self.assertIsNot(app, waits, error)
                event = self.stored()[-1]
                self.assertEqual((event["status_code"], event["error_type"]), (499, "ClientDisconnected"))

    def test_a_response_of_the_promised_length_is_complete_before_the_app_has_cleaned_up(self) -> None:
        promised = {**START, "headers": [(b"Content-Length", b"2")]}

        async def cleans_up(scope: Any, receive: Any, send: Any) -> None:
            await send(promised)
            await send({**END, "body": b"o", "more_body": True})
            await send({**END, "body": b"k", "more_body": True})
            await receive()
            raise asyncio.CancelledError

        async def stops_short(scope: Any, receive: Any, send: Any) -> None:
            await send(promised)
            await send({**END, "body": b"o", "more_body": True})
            await receive()

        async def promises_nothing(scope: Any, receive: Any, send: Any) -> None:
            await send(START)
            await send({**END, "more_body": True})
            await receive()

        for app, method, status in (
            (cleans_up, "GET", 200),
            (stops_short, "GET", 499),
            (promises_nothing, "GET", 499),
            (stops_short, "HEAD", 200),
        ):
            with self.subTest(app.__name__, method=method):
                scope = {**scope_for(), "method": method}
                try:
                    self.call(app, scope, receive=gone)
                except asyncio.CancelledError:
                    self.assertIs(app, cleans_up)
                self.assertEqual(self.stored()[-1]["status_code"], status)

    def test_a_client_that_left_before_the_last_part_has_no_complete_response(self) -> None:
        async def too_late(scope: Any, receive: Any, send: Any) -> None:
            await send({**START, "headers": [(b"content-length", b"2")]})
            await receive()
            await send(END)

        self.call(too_late, receive=gone)
        self.assertEqual(self.one()["status_code"], 499)

    def test_a_file_sent_by_the_server_is_complete(self) -> None:
        async def file(scope: Any, receive: Any, send: Any) -> None:
            await send(START)
            await send({"type": "http.response.pathsend", "path": "/x"})
            await receive()

        self.call(file, receive=gone)
        self.assertEqual(self.one()["status_code"], 200)

    def test_a_disconnect_after_the_response_is_none(self) -> None:
        async def listens_on(scope: Any, receive: Any, send: Any) -> None:
            await ok(scope, receive, send)
            await receive()

        self.call(listens_on, receive=gone)
        self.assertEqual(self.one()["status_code"], 200)

    def test_a_stream_of_events_is_recorded_when_it_starts(self) -> None:
        async def stream(scope: Any, receive: Any, send: Any) -> None:
            await send({**START, "headers": [(b"Content-Type", b"text/event-stream; charset=utf-8")]})
            self.assertEqual(self.one()["status_code"], 200)
            await receive()

        self.call(stream, receive=gone)
        self.assertEqual(len(self.stored()), 1)

    def test_a_request_past_the_threshold_is_a_timeout_even_if_it_never_ends(self) -> None:
        async def hangs(scope: Any, receive: Any, send: Any) -> None:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(None, self.ingest.wait_until, lambda: len(self.ingest.performance()) == 1)
            await ok(scope, receive, send)

        client = self.client(timeout_threshold=0.05, flush_interval=0.02)
        self.assertEqual(self.call(hangs, client=client), [START, END])
        event = self.one()
        self.assertEqual((event["status_code"], event["error_type"]), (504, "Timeout"))
        self.assertGreaterEqual(event["response_time_ms"], 50)

    def test_the_callback_names_the_user(self) -> None:
        def who(scope: Any) -> Optional[str]:
            return scope["session"]["user"]

        self.call(ok, scope_for(headers={"x-forwarded-email": "no"}, session={"user": "jo"}), user_id=who)
        self.assertEqual(self.one()["user_id"], "jo")

    def test_a_callback_that_fails_costs_only_the_user(self) -> None:
        self.call(ok, user_id=lambda scope: scope["absent"])
        self.assertNotIn("user_id", self.one())

    def test_unmatched_paths_do_not_use_up_the_names(self) -> None:
        async def missing(scope: Any, receive: Any, send: Any) -> None:
            await send({**START, "status": 404})
            await send(END)

        client = self.client(max_endpoints=1)
        for n in range(60):
            self.call(missing, scope_for(f"/guess-{chr(97 + n % 26)}{'z' * (n // 26)}"), client=client)
        self.call(ok, scope_for("/real"), client=client)
        names = [event["endpoint"] for event in self.stored()]
        self.assertEqual((names[-1], names.count("{other}")), ("/real", 10))

    def test_paths_that_a_client_can_make_up_do_not_use_up_the_names(self) -> None:
        async def answer(scope: Any, receive: Any, send: Any) -> None:
            await send({**START, "status": scope["answer"]})
            await send(END)

        for status in (302, 401, 403, 404, 405, 500):
            with self.subTest(status):
                client = self.client(max_endpoints=2)
                self.call(answer, scope_for("/known", answer=200), client=client)
                for n in range(60):
                    self.call(answer, scope_for(f"/guess-{'z' * (n + 1)}", answer=status), client=client)
                self.call(answer, scope_for("/known", answer=status), client=client)
                self.call(answer, scope_for("/real", answer=200), client=client)
                names = [event["endpoint"] for event in self.stored()][-62:]
                self.assertEqual((names[-2:], names.count("{other}")), (["/known", "/real"], 10))

    def test_what_no_route_matched_is_made_up_whatever_its_status(self) -> None:
        class Router:
            routes: List[Any] = []

        client = self.client(max_endpoints=1)
        for n in range(60):
            self.call(ok, scope_for(f"/guess-{'z' * (n + 1)}", router=Router()), client=client)
        self.call(ok, scope_for("/real"), client=client)
        self.assertEqual([event["endpoint"] for event in self.stored()][-1], "/real")

    def test_methods_that_nobody_knows_are_one(self) -> None:
        for method in ("ZAP", "_OTHER", "OTHER"):
            self.call(ok, {**scope_for(), "method": method})
            self.assertEqual(self.stored()[-1]["method"], "_OTHER")

    def test_websockets_pass_through(self) -> None:
        seen: List[str] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            seen.append(scope["type"])

        self.call(app, {"type": "websocket", "path": "/ws"})
        self.assertEqual((seen, self.stored()), (["websocket"], []))

    def test_the_end_of_the_app_flushes(self) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                await ok(scope, receive, send)
            else:
                await send({"type": "lifespan.shutdown.complete"})

        client = self.client()
        self.call(app, client=client)
        seen: List[int] = []

        async def send(message: Any) -> None:
            seen.append(len(self.ingest.performance()))

        self.call(app, {"type": "lifespan"}, send=send, client=client)
        self.assertEqual(seen, [1])

    def test_without_a_url_it_is_not_there(self) -> None:
        middleware = LakepulseMiddleware(ok, url="")
        sent: List[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        asyncio.run(middleware(scope_for("/api/v1/metrics/usage-events"), never, send))
        self.assertEqual(sent, [START, END])

    def test_a_client_and_options_exclude_each_other(self) -> None:
        with self.assertRaises(TypeError):
            LakepulseMiddleware(ok, self.client(), app_version="1")
